// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Host accesses that may raise SIGBUS.
 */
#include <setjmp.h>
#include <signal.h>

#include "world.h"

static _Thread_local sigjmp_buf fault_jump;
static _Thread_local volatile sig_atomic_t fault_expected;

static void on_sigbus(int signal)
{
	if (fault_expected)
		siglongjmp(fault_jump, 1);
	/* Not ours: it happens again, and ends the program. */
	sigaction(signal, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
}

void oracle_setup(void)
{
	sigaction(SIGBUS, &(struct sigaction){ .sa_handler = on_sigbus }, NULL);
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
