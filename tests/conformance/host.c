// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * What a process learns of its own memory: accesses that may be refused, the frame
 * behind an address, how much is cached.  And a timer, whose signals interrupt it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "env.h"

static _Thread_local sigjmp_buf fault_jump;
static _Thread_local void *volatile fault_address;
static _Thread_local volatile bool fault_expected;

static void on_fault(int signal, siginfo_t *info, void *context)
{
	(void)context;
	if (!fault_expected) {
		struct sigaction action = { .sa_handler = SIG_DFL };

		sigaction(signal, &action, NULL);
		return;
	}
	fault_address = info->si_addr;
	siglongjmp(fault_jump, signal);
}

static void catch_signal(int signal)
{
	struct sigaction action = {
		.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER,
	};

	sigaction(signal, &action, NULL);
}

static void catch_sigbus(void)
{
	catch_signal(SIGBUS);
}

void catch_sigsegv(void)
{
	catch_signal(SIGSEGV);
}

static pthread_once_t sigbus_caught = PTHREAD_ONCE_INIT;

/* ThreadSanitizer blocks all signals in a handler, whatever its flags say. */
#ifdef __SANITIZE_THREAD__
#define SAVE_MASK	1
#else
#define SAVE_MASK	0
#endif

static int try_access(volatile uint64_t *word, uint64_t *value, bool write,
		      void **fault)
{
	int signal;

	pthread_once(&sigbus_caught, catch_sigbus);
	signal = sigsetjmp(fault_jump, SAVE_MASK);
	if (signal) {
		fault_expected = false;
		if (fault)
			*fault = fault_address;
		return signal;
	}
	fault_expected = true;
	if (write)
		__atomic_store_n(word, *value, __ATOMIC_RELAXED);
	else
		*value = __atomic_load_n(word, __ATOMIC_RELAXED);
	fault_expected = false;
	return 0;
}

int try_read(const volatile void *addr, uint64_t *value, void **fault)
{
	uint64_t dummy;

	return try_access((volatile uint64_t *)(uintptr_t)addr,
			  value ? value : &dummy, false, fault);
}

int try_write(volatile void *addr, uint64_t value, void **fault)
{
	return try_access((volatile uint64_t *)(uintptr_t)addr, &value, true, fault);
}

int try_madvise(void *addr, size_t bytes, int advice)
{
	int ret;

	catch_sigbus();
	if (sigsetjmp(fault_jump, 0)) {
		fault_expected = false;
		return SIGBUS;
	}
	fault_expected = true;
	ret = madvise(addr, bytes, advice) ? -errno : 0;
	fault_expected = false;
	return ret;
}

uint64_t frame_of(const volatile void *addr)
{
	const uint64_t present = 1ull << 63, frame = (1ull << 55) - 1;
	uint64_t entry = 0;
	ssize_t got;
	int fd;

	fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	got = pread(fd, &entry, sizeof(entry),
		    (off_t)((uintptr_t)addr / PAGE * sizeof(entry)));
	close(fd);
	return got == sizeof(entry) && (entry & present) ? entry & frame : 0;
}

uint64_t cached_memory(void)
{
	unsigned long long kib = 0;
	char line[128];
	FILE *file;

	file = fopen("/proc/meminfo", "re");
	if (!file)
		SKIP("no /proc/meminfo");
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Cached: %llu kB", &kib) == 1)
			break;
	}
	fclose(file);
	return kib * 1024;
}

static void on_tick(int signal)
{
	(void)signal;
}

void tick(long us)
{
	struct itimerval every = { .it_interval.tv_usec = us, .it_value.tv_usec = us };
	struct sigaction action = { .sa_handler = on_tick };

	ASSERT_OK(sigaction(SIGALRM, &action, NULL));
	ASSERT_OK(setitimer(ITIMER_REAL, &every, NULL));
}
