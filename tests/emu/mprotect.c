// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The guard by page protection, where userfaultfd is forbidden.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <gmem/emu.h>
#include "../conformance/env.h"

static void open_env(struct env *env, const struct variant *variant, uint64_t nr,
		     uint64_t flags)
{
	setenv("GMEM_EMU_GUARD", "mprotect", 1);
	env_open(env, variant, nr, flags);
	ASSERT(!strcmp(gmem_emu_guard(env->engine), "mprotect"));
}

TEST(mprotect_raises_sigbus_at_the_address)
{
	struct env env;

	open_env(&env, variant, 8, IN_PLACE);
	ASSERT_OK(convert(&env, 2, 3, SHARED, ZERO));
	for (uint64_t page = 0; page < 8; page++) {
		if (page >= 2 && page < 5)
			ASSERT_HOST_ZEROS(&env, page, 1);
		else
			ASSERT_HOST_REFUSED(&env, page);
	}
}

TEST(mprotect_refuses_what_would_exceed_the_limit)
{
	unsigned int done = 0;
	struct env env;
	uint64_t used;
	int ret = 0;

	open_env(&env, variant, 256, IN_PLACE_SHARED);
	host_fill(&env, 0, 256, 0x100);
	ASSERT_OK(gmem_emu_set_limit(env.engine, GMEM_EMU_LIMIT_SPLITS, 40, NULL));
	for (uint64_t page = 1; page < 256 && !ret; page += 2, done += !ret)
		ret = convert(&env, page, 1, PRIVATE, ZERO);
	ASSERT_RET(ret, -ENOMEM);
	ASSERT(done > 5 && done <= 20);
	ASSERT_OK(gmem_emu_set_limit(env.engine, GMEM_EMU_LIMIT_SPLITS, 40, &used));
	ASSERT(used <= 40);
	/* The refused page is as it was. */
	ASSERT_UNIFORM(&env, 2 * done + 1, 1, 's');
	ASSERT_HOST_READS(&env, 2 * done + 1, 1, 0x100 + (2 * done + 1) * WORDS);
	/* What joins is possible still. */
	ASSERT_OK(convert(&env, 0, 2 * done, PRIVATE, KEEP));
	ASSERT_OK(convert(&env, 2 * done + 1, 1, PRIVATE, KEEP));
	ASSERT_OK(convert(&env, 0, 256, SHARED, KEEP));
	ASSERT_OK(gmem_emu_set_limit(env.engine, GMEM_EMU_LIMIT_SPLITS, 40, &used));
	ASSERT_EQ(used, 0);
}

static _Thread_local sigjmp_buf segv_jump;
static void *volatile segv_addr;

static void on_segv(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	segv_addr = info->si_addr;
	siglongjmp(segv_jump, 1);
}

/* A fault that is not the library's goes to the handler that was there. */
TEST(mprotect_passes_foreign_faults_on)
{
	struct sigaction action = { .sa_sigaction = on_segv, .sa_flags = SA_SIGINFO };
	unsigned char *foreign;
	struct env env;

	sigaction(SIGSEGV, &action, NULL);
	open_env(&env, variant, 4, IN_PLACE);
	ASSERT_HOST_REFUSED(&env, 1);
	foreign = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT(foreign != MAP_FAILED);
	if (!sigsetjmp(segv_jump, 1)) {
		*(volatile unsigned char *)(foreign + 5) = 1;
		FAIL("a page without access was written");
	}
	ASSERT_EQ((uintptr_t)segv_addr, (uintptr_t)foreign + 5);
	ASSERT_HOST_REFUSED(&env, 1);
}
