// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Pages that somebody else holds, and pages that only look so.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "env.h"

static int convert_refused(struct env *env, uint64_t page, uint64_t nr,
			   uint32_t policy, uint64_t *error_page)
{
	struct kvm_memory_attributes2 args = {
		.offset = page * PAGE, .size = nr * PAGE, .attributes = PRIVATE,
		.content_policy = policy == KEEP ? keep_policy(env) : policy,
		.error_offset = ~0ull,
	};
	int ret;

	ret = convert_args(env, &args);
	*error_page = args.error_offset / PAGE;
	if (ret && args.error_offset % PAGE)
		FAIL("error_offset %#llx", (unsigned long long)args.error_offset);
	return ret;
}

TEST(refuses_pinned_page)
{
	static const uint32_t policies[] = { ZERO, KEEP, DESTROY };
	uint64_t error_page;
	struct env env;
	struct pin pin;

	env_open(&env, variant, 8, IN_PLACE_SHARED);
	host_fill(&env, 0, 8, 0x100);
	for (uint64_t page = 0; page < 8; page += 3) {
		pin_pages(&pin, addr_of(&env, page), PAGE);
		for (int i = 0; i < 3; i++) {
			ASSERT_RET(convert_refused(&env, 0, 8, policies[i],
						   &error_page), -EAGAIN);
			ASSERT_EQ(error_page, page);
			ASSERT_STATE(&env, "ssssssss");
		}
		ASSERT_HOST_READS(&env, 0, 8, 0x100);
		ASSERT_GUEST_READS(&env, 0, 8, 0x100);
		unpin_pages(&pin);
	}
	ASSERT_OK(convert(&env, 0, 8, PRIVATE, KEEP));
	ASSERT_STATE(&env, "pppppppp");
	ASSERT_GUEST_READS(&env, 0, 8, 0x100);
}

TEST(pinned_page_keeps_the_whole_range)
{
	uint64_t error_page;
	struct env env;
	struct pin pin;

	env_open(&env, variant, 16, IN_PLACE);
	canvas_paint(&env);
	pin_pages(&pin, addr_of(&env, 7), PAGE);
	ASSERT_RET(convert_refused(&env, 0, 8, ZERO, &error_page), -EAGAIN);
	ASSERT_EQ(error_page, 7);
	ASSERT_RET(convert_refused(&env, 0, 8, DESTROY, &error_page), -EAGAIN);
	ASSERT_EQ(error_page, 7);
	ASSERT_CANVAS(&env);
	unpin_pages(&pin);
	ASSERT_OK(convert(&env, 0, 8, PRIVATE, DESTROY));
}

/* A pin next to the range is nobody's business, nor is one on a shared page. */
TEST(pin_matters_only_to_pages_going_private)
{
	struct env env;
	uint64_t pages;
	struct pin pin;

	env_open(&env, variant, 4, IN_PLACE_SHARED);
	host_fill(&env, 0, 4, 0x200);
	pin_pages(&pin, addr_of(&env, 1), PAGE);
	ASSERT_OK(convert(&env, 0, 1, PRIVATE, ZERO));
	ASSERT_OK(convert(&env, 2, 2, PRIVATE, KEEP));
	ASSERT_STATE(&env, "pspp");
	ASSERT_OK(convert_count(&env, 0, 4, SHARED, KEEP, &pages));
	ASSERT_EQ(pages, 3);
	ASSERT_HOST_ZEROS(&env, 0, 1);
	ASSERT_HOST_READS(&env, 1, 3, 0x200 + WORDS);
	unpin_pages(&pin);
}

/* Writing through the pin reaches the page: it is the frame that the file has. */
KERNEL_TEST(refuses_page_in_a_pipe)
{
	struct iovec iovec;
	uint64_t error_page;
	char byte[PAGE];
	int pipe_fds[2];
	struct env env;

	env_open(&env, variant, 4, IN_PLACE_SHARED);
	host_fill(&env, 0, 4, 0x300);
	ASSERT(!pipe(pipe_fds));
	iovec.iov_base = addr_of(&env, 2);
	iovec.iov_len = PAGE;
	if (vmsplice(pipe_fds[1], &iovec, 1, 0) != (ssize_t)PAGE)
		SKIP("vmsplice: %s", ret_name(-errno));
	ASSERT_RET(convert_refused(&env, 0, 4, ZERO, &error_page), -EAGAIN);
	ASSERT_EQ(error_page, 2);
	ASSERT_STATE(&env, "ssss");
	ASSERT_HOST_READS(&env, 0, 4, 0x300);
	ASSERT_EQ(read(pipe_fds[0], byte, PAGE), PAGE);
	ASSERT_OK(convert(&env, 0, 4, PRIVATE, KEEP));
	ASSERT_GUEST_READS(&env, 0, 4, 0x300);
}

KERNEL_TEST(private_page_cannot_be_pinned)
{
	struct iovec iovec;
	int pipe_fds[2];
	struct pin pin;
	struct env env;

	env_open(&env, variant, 1, IN_PLACE);
	guest_fill(&env, 0, 1, 0x400);
	ASSERT(!pipe(pipe_fds));
	iovec.iov_base = addr_of(&env, 0);
	iovec.iov_len = PAGE;
	ASSERT(vmsplice(pipe_fds[1], &iovec, 1, 0) == -1);
	ASSERT_EQ(errno, EFAULT);
	ASSERT(!try_pin_pages(&pin, addr_of(&env, 0), PAGE));
}

/* To one of the two first processors that this process may use. */
static void move_to_cpu(int nth)
{
	static cpu_set_t all;
	cpu_set_t set;
	int cpu = 0;

	if (!CPU_COUNT(&all))
		ASSERT(!sched_getaffinity(0, sizeof(all), &all));
	for (int seen = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &all) && seen++ == nth)
			break;
	}
	if (cpu == CPU_SETSIZE)
		SKIP("there is no second processor");

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	ASSERT(!sched_setaffinity(0, sizeof(set), &set));
}

/*
 * A page that was just faulted in sits in that processor's batch for the LRU
 * lists, and the batch holds a reference: it looks pinned and is not.
 */
KERNEL_TEST(fresh_pages_convert_at_once)
{
	uint64_t error_page;
	struct env env;

	env_open(&env, variant, 2, IN_PLACE_SHARED);
	for (int i = 0; i < 1000; i++) {
		int ret;

		move_to_cpu(i & 1);
		*(volatile uint64_t *)addr_of(&env, 0) = i;
		move_to_cpu(i >> 1 & 1);
		*(volatile uint64_t *)addr_of(&env, 1) = i;
		ret = convert_refused(&env, 0, 2, ZERO, &error_page);
		if (ret)
			FAIL("round %d: %s, page %llu", i, ret_name(ret),
			     (unsigned long long)error_page);
		ASSERT_OK(convert(&env, 0, 2, SHARED, ZERO));
		/* The next ones are new pages. */
		ASSERT_OK(gmem_file_punch_hole(env.file, 0, 2 * PAGE));
	}
}

KERNEL_TEST(page_that_both_sides_touched_converts_at_once)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE_SHARED);
	for (uint64_t i = 0; i < 100; i++) {
		move_to_cpu((int)(i & 1));
		host_fill(&env, 0, 4, i);
		move_to_cpu(!(i & 1));
		ASSERT_GUEST_READS(&env, 0, 4, i);
		ASSERT_OK(convert(&env, 0, 4, PRIVATE, KEEP));
		ASSERT_GUEST_READS(&env, 0, 4, i);
		ASSERT_OK(convert(&env, 0, 4, SHARED, KEEP));
		ASSERT_HOST_READS(&env, 0, 4, i);
	}
}

/* References that the mapping itself owns do not count. */
KERNEL_TEST(locked_and_advised_mappings_are_no_pins)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE_SHARED);
	if (mlock(addr_of(&env, 0), 2 * PAGE))
		SKIP("mlock: %s", ret_name(-errno));
	host_fill(&env, 0, 4, 0x500);
	ASSERT_OK(convert(&env, 0, 4, PRIVATE, KEEP));
	ASSERT_GUEST_READS(&env, 0, 4, 0x500);
	ASSERT_HOST_REFUSED(&env, 0);
	ASSERT_OK(convert(&env, 0, 4, SHARED, KEEP));
	ASSERT_HOST_READS(&env, 0, 4, 0x500);
}
