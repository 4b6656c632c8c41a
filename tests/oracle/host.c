// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Host accesses that may raise SIGBUS.
 */
#include <setjmp.h>
#include <signal.h>

#include <gmem/emu.h>
#include "world.h"

static _Thread_local sigjmp_buf fault_jump;
static _Thread_local volatile sig_atomic_t fault_expected;

static struct sigaction previous;

static void on_sigbus(int signal, siginfo_t *info, void *context)
{
	(void)context;
	/* Where emu populates lazily, and our handler came later than its own. */
	if (!gmem_emu_handle_sigbus(info->si_addr))
		return;
	if (fault_expected)
		siglongjmp(fault_jump, 1);
	/* Not ours: it happens again, for whoever was there before. */
	sigaction(signal, &previous, NULL);
}

void oracle_setup(void)
{
	struct sigaction action = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };
	struct sigaction old;

	sigaction(SIGBUS, &action, &old);
	if (old.sa_sigaction != on_sigbus)
		previous = old;
}

/* Threads race for these words on purpose. */
__attribute__((no_sanitize("thread")))
int host_load(const volatile void *addr, uint64_t *value)
{
	volatile int ret = -EFAULT;

	if (!sigsetjmp(fault_jump, 1)) {
		fault_expected = 1;
		*value = *(const volatile uint64_t *)addr;
		ret = 0;
	}
	fault_expected = 0;
	return ret;
}

__attribute__((no_sanitize("thread")))
int host_store(volatile void *addr, uint64_t value)
{
	volatile int ret = -EFAULT;

	if (!sigsetjmp(fault_jump, 1)) {
		fault_expected = 1;
		*(volatile uint64_t *)addr = value;
		ret = 0;
	}
	fault_expected = 0;
	return ret;
}
