// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The engine's two limits: places where VMAs are split, and memory populated ahead.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gmem/emu.h>
#include "../conformance/env.h"

#define CHUNK		512ull

static void set_limit(struct env *env, uint32_t limit, uint64_t value)
{
	ASSERT_OK(gmem_emu_set_limit(env->engine, limit, value, NULL));
}

static uint64_t splits(struct env *env)
{
	uint64_t used;

	ASSERT_OK(gmem_emu_set_limit(env->engine, GMEM_EMU_LIMIT_SPLITS, 6, &used));
	return used;
}

static int read_into(struct env *env, uint64_t page)
{
	ssize_t ret;
	int fd;

	fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	ASSERT(fd >= 0);
	ret = read(fd, addr_of(env, page) + 8, 16);
	close(fd);
	return ret == 16 ? 0 : ret < 0 ? -errno : -EIO;
}

/* Both ways into the limit: opening every second chunk, guarding every second. */
TEST(splits_stay_below_their_limit)
{
	const uint64_t nr = 16 * CHUNK;
	struct env env;

	env_open(&env, variant, nr, IN_PLACE);
	set_limit(&env, GMEM_EMU_LIMIT_SPLITS, 6);
	for (uint64_t page = 0; page < nr; page += CHUNK)
		guest_fill(&env, page, 8, 0x1000 + page * WORDS);
	for (uint64_t page = 0; page < nr; page += 2 * CHUNK) {
		ASSERT_OK(convert(&env, page, CHUNK, SHARED, KEEP));
		ASSERT(splits(&env) <= 2 * 6);
		ASSERT_HOST_READS(&env, page, 2, 0x1000 + page * WORDS);
		ASSERT_HOST_REFUSED(&env, page + CHUNK);
	}
	ASSERT_OK(convert(&env, 0, nr, SHARED, KEEP));
	for (uint64_t page = 3; page < nr; page += 2 * CHUNK) {
		ASSERT_OK(convert(&env, page, 1, PRIVATE, KEEP));
		ASSERT(splits(&env) <= 2 * 6);
		ASSERT_HOST_REFUSED(&env, page);
		ASSERT_HOST_READS(&env, page + 1, 2, 0x1000 + (page + 1) * WORDS);
	}
	ASSERT_OK(read_into(&env, nr - 1));
	host_fill(&env, nr - 1, 1, 0x1000 + (nr - 1) * WORDS);
	ASSERT_OK(convert(&env, 0, nr, PRIVATE, KEEP));
	for (uint64_t page = 0; page < nr; page += CHUNK)
		ASSERT_GUEST_READS(&env, page, 8, 0x1000 + page * WORDS);
	ASSERT_GUEST_READS(&env, nr - 1, 1, 0x1000 + (nr - 1) * WORDS);
	ASSERT_EQ(splits(&env), 0);
}

/* A test's own handler has to be there before the library's. */
static void open_lazy(struct env *env, const struct variant *variant, uint64_t nr,
		      uint64_t flags)
{
	env_open(env, variant, nr, flags);
	ASSERT_OK(convert(env, 0, 1, PRIVATE, ZERO));
	ASSERT_HOST_REFUSED(env, 0);
	set_limit(env, GMEM_EMU_LIMIT_AHEAD, 0);
}

/* The handler is the only way to memory that was not populated ahead. */
TEST(shared_memory_beyond_the_limit_is_populated_lazily)
{
	struct env env;

	open_lazy(&env, variant, 4 * CHUNK, IN_PLACE);
	for (uint64_t page = 1; page < 64; page += 2)
		ASSERT_OK(convert(&env, page, 1, SHARED, ZERO));
	for (uint64_t page = 1; page < 64; page += 2) {
		ASSERT_HOST_ZEROS(&env, page, 1);
		ASSERT_OK(read_into(&env, page));
		ASSERT_HOST_REFUSED(&env, page + 1);
	}
	/* Guest and host meet in one page. */
	ASSERT_OK(convert(&env, CHUNK + 1, 1, SHARED, KEEP));
	guest_fill(&env, CHUNK + 1, 1, 0x77);
	ASSERT_HOST_READS(&env, CHUNK + 1, 1, 0x77);
}

/* However often: each time it is another page. */
TEST(lazy_page_may_be_populated_again_and_again)
{
	struct env env;

	open_lazy(&env, variant, 4, IN_PLACE);
	ASSERT_OK(convert(&env, 1, 1, SHARED, ZERO));
	for (unsigned int i = 0; i < 1500; i++) {
		volatile unsigned char *byte = addr_of(&env, 1);

		ASSERT_OK(try_read(addr_of(&env, 1), NULL, NULL));
		ASSERT_EQ(*byte, 0);
		*byte = 1;
		ASSERT_OK(gmem_file_punch_hole(env.file, PAGE, PAGE));
	}
}

/* ThreadSanitizer calls handlers with SIGBUS blocked. */
#ifndef __SANITIZE_THREAD__
static volatile unsigned char *touched;
static volatile unsigned int ticks;

static void touch(int signal)
{
	(void)signal;
	ticks += 1u + *touched;
}

/* It would wait for the thread that it interrupts. */
TEST(handler_touches_pages_that_its_thread_frees)
{
	const struct itimerval often = { { 0, 100 }, { 0, 100 } }, never = { 0 };
	struct sigaction action = { .sa_handler = touch, .sa_flags = SA_RESTART };
	struct env env;

	open_lazy(&env, variant, 4, IN_PLACE);
	ASSERT_OK(convert(&env, 1, 1, SHARED, ZERO));
	touched = addr_of(&env, 1);
	ASSERT(!sigaction(SIGALRM, &action, NULL));
	ASSERT(!setitimer(ITIMER_REAL, &often, NULL));
	while (ticks < 200)
		ASSERT_OK(gmem_file_punch_hole(env.file, PAGE, PAGE));
	ASSERT(!setitimer(ITIMER_REAL, &never, NULL));
}
#endif

TEST(open_chunks_are_guarded_beyond_the_limit)
{
	struct env env;

	open_lazy(&env, variant, 4 * CHUNK, IN_PLACE_SHARED);
	host_fill(&env, CHUNK + 1, 3, 0x100);
	ASSERT_OK(convert(&env, CHUNK + 2, 1, PRIVATE, KEEP));
	/* What was populated stays in reach of system calls. */
	ASSERT_OK(read_into(&env, CHUNK + 1));
	ASSERT_HOST_READS(&env, CHUNK + 3, 1, 0x100 + 2 * WORDS);
	ASSERT_HOST_ZEROS(&env, CHUNK + 4, 1);
	ASSERT_OK(read_into(&env, CHUNK + 4));
	ASSERT_HOST_REFUSED(&env, CHUNK + 2);
	ASSERT_OK(convert(&env, CHUNK + 2, 1, SHARED, KEEP));
	ASSERT_HOST_READS(&env, CHUNK + 2, 1, 0x100 + WORDS);
}

/* A fault that has nothing to do with the library. */
TEST(foreign_sigbus_reaches_the_vmm)
{
	void *fault = NULL, *addr;
	struct env env;
	int fd;

	open_lazy(&env, variant, 4, IN_PLACE);
	ASSERT_OK(convert(&env, 1, 1, SHARED, ZERO));
	ASSERT_HOST_ZEROS(&env, 1, 1);

	fd = memfd_create("foreign", MFD_CLOEXEC);
	ASSERT(fd >= 0 && !ftruncate(fd, PAGE));
	addr = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT(addr != MAP_FAILED);
	ASSERT_EQ(try_read((unsigned char *)addr + PAGE + 24, NULL, &fault), SIGBUS);
	ASSERT_EQ((uintptr_t)fault, (uintptr_t)addr + PAGE + 24);
	ASSERT_OK(try_read(addr, NULL, NULL));
}

static int signal_that_kills(struct env *env, uint64_t page)
{
	int status;
	pid_t pid;

	/* The engine is the child's own: mappings do not outlive fork(). */
	(void)env;
	pid = fork();
	ASSERT(pid >= 0);
	if (!pid) {
		struct sigaction action = { .sa_handler = SIG_DFL };
		struct env own;

		sigaction(SIGBUS, &action, NULL);
		env_open(&own, env->variant, 4, IN_PLACE);
		set_limit(&own, GMEM_EMU_LIMIT_AHEAD, 0);
		if (convert(&own, 1, 1, SHARED, ZERO))
			_exit(98);
		*(volatile char *)addr_of(&own, 1) = 1;
		*(volatile char *)addr_of(&own, page) = 1;
		_exit(0);
	}
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

TEST(private_access_without_a_handler_kills)
{
	struct env env = { .variant = variant };

	ASSERT_EQ(signal_that_kills(&env, 1), 0);
#ifndef __SANITIZE_ADDRESS__
	ASSERT_EQ(signal_that_kills(&env, 2), SIGBUS);
#endif
}

TEST(vmm_may_ask_from_its_own_handler)
{
	struct env env;

	open_lazy(&env, variant, 4, IN_PLACE);
	ASSERT_OK(convert(&env, 1, 1, SHARED, ZERO));
	ASSERT_OK(gmem_emu_handle_sigbus(addr_of(&env, 1)));
	ASSERT_OK(read_into(&env, 1));
	ASSERT_RET(gmem_emu_handle_sigbus(addr_of(&env, 0)), -EFAULT);
	ASSERT_RET(gmem_emu_handle_sigbus(&env), -EFAULT);
}
