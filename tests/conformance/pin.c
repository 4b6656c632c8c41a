// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Pins, as a device backend takes them: buffers registered with io_uring, by raw
 * system calls.  The emu engine, which cannot see those, is told of its pins.
 */
#define _GNU_SOURCE
#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <gmem/emu.h>
#include "env.h"

static const struct env *engine_env;

void pin_through_engine(const struct env *env)
{
	engine_env = env;
}

static bool try_pin_by_engine(struct pin *pin, void *addr, size_t bytes)
{
	int ret;

	pin->file = engine_env->file;
	pin->offset = (uint64_t)((unsigned char *)addr - engine_env->memory);
	pin->bytes = bytes;
	ret = gmem_emu_pin(pin->file, pin->offset, bytes);
	if (ret && ret != -EFAULT)
		FAIL("gmem_emu_pin: %s", ret_name(ret));
	return !ret;
}

bool try_pin_pages(struct pin *pin, void *addr, size_t bytes)
{
	struct io_uring_params params = { 0 };
	struct iovec iovec = { .iov_base = addr, .iov_len = bytes };

	if (engine_env)
		return try_pin_by_engine(pin, addr, bytes);
	pin->fd = (int)syscall(__NR_io_uring_setup, 1, &params);
	if (pin->fd < 0)
		SKIP("io_uring_setup: %s", ret_name(-errno));
	if (!syscall(__NR_io_uring_register, pin->fd, IORING_REGISTER_BUFFERS,
		     &iovec, 1))
		return true;
	if (errno != EFAULT)
		FAIL("IORING_REGISTER_BUFFERS: %s", ret_name(-errno));
	close(pin->fd);
	return false;
}

void pin_pages(struct pin *pin, void *addr, size_t bytes)
{
	if (!try_pin_pages(pin, addr, bytes))
		FAIL("the pages cannot be pinned");
}

void unpin_pages(struct pin *pin)
{
	if (engine_env) {
		ASSERT_OK(gmem_emu_unpin(pin->file, pin->offset, pin->bytes));
		return;
	}
	/* Closing would let go later, from a work item. */
	if (syscall(__NR_io_uring_register, pin->fd, IORING_UNREGISTER_BUFFERS,
		    NULL, 0))
		FAIL("IORING_UNREGISTER_BUFFERS: %s", ret_name(-errno));
	close(pin->fd);
}
