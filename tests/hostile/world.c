// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Descriptors and address space that all threads of a hostile VMM share.  Nothing is
 * locked: a descriptor is closed, and a window is mapped anew, while others use it.
 */
#define _GNU_SOURCE
#include <linux/kvm.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hostile.h"

static atomic_int fds[NR_KINDS][NR_FDS];
static unsigned char *arena;
static _Thread_local uint64_t random_state;

/* ---- numbers ---- */

void random_seed(uint64_t seed)
{
	random_state = seed * 0x9e3779b97f4a7c15ull | 1;
	for (int i = 0; i < 8; i++)
		random_u64();
}

uint64_t random_u64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * 0x2545f4914f6cdd1dull;
}

uint64_t below(uint64_t end)
{
	return (random_u64() >> 32) % end;
}

/* ---- descriptors ---- */

static unsigned int places(enum kind kind)
{
	return kind == VMS ? NR_VMS : NR_FDS;
}

int any_fd(enum kind kind)
{
	if (one_in(64))
		kind = below(NR_KINDS);
	return fds[kind][below(places(kind))];
}

int fd_at(enum kind kind, unsigned int place)
{
	return fds[kind][place];
}

unsigned int keep_fd(enum kind kind, int fd)
{
	unsigned int place = below(places(kind));
	int old;

	if (fd < 0)
		return place;
	old = atomic_exchange(&fds[kind][place], fd);
	if (old >= 0)
		close(old);
	return place;
}

void drop_fd(enum kind kind, unsigned int place)
{
	int old = atomic_exchange(&fds[kind][place % places(kind)], -1);

	if (old >= 0)
		close(old);
}

/* ---- address space ---- */

unsigned char *window(unsigned int number)
{
	return arena + number * WINDOW_BYTES;
}

unsigned char *any_window(void)
{
	return window(below(NR_WINDOWS));
}

unsigned char *run_window(unsigned int place)
{
	return window(NR_WINDOWS) + place * 4 * PAGE;
}

unsigned char *any_address(void)
{
	unsigned char *start = one_in(4) ? run_window(below(NR_FDS)) : any_window();

	/* Near the front is where kvm_run has its fields. */
	return start + below(one_in(2) ? 512 : one_in(2) ? 4 * PAGE : WINDOW_BYTES);
}

void map_window(void *address, size_t bytes, int fd, uint64_t offset)
{
	int how = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;

	mmap(address, bytes, PROT_READ | PROT_WRITE, how | MAP_FIXED, fd, (off_t)offset);
}

/* ---- faults and signals ---- */

static _Thread_local sigjmp_buf *fault_jump, *kill_jump;

static void on_fault(int signal)
{
	if (!fault_jump) {
		/* Our own mistake. */
		dprintf(2, "hostile: signal %d outside of guarded code\n", signal);
		_exit(3);
	}
	siglongjmp(*fault_jump, 1);
}

static void on_kill(int signal)
{
	(void)signal;
	if (kill_jump)
		siglongjmp(*kill_jump, 1);
}

static void on_kick(int signal)
{
	(void)signal;
}

bool guarded(void (*code)(void *opaque), void *opaque)
{
	sigjmp_buf jump;

	if (sigsetjmp(jump, 0)) {
		fault_jump = NULL;
		return false;
	}
	fault_jump = &jump;
	code(opaque);
	fault_jump = NULL;
	return true;
}

static _Thread_local sigjmp_buf killed;

int run_vcpu_fd(int fd)
{
	int ret;

	kill_jump = &killed;
	ret = ioctl(fd, KVM_RUN, 0);
	kill_jump = NULL;
	return ret;
}

bool act_until(const bool *stop, void (*first)(void), void (*then)(void))
{
	if (sigsetjmp(killed, 0)) {
		kill_jump = NULL;
		return false;
	}
	first();
	while (!__atomic_load_n(stop, __ATOMIC_RELAXED))
		then();
	return true;
}

void world_open(void)
{
	const size_t bytes = NR_WINDOWS * WINDOW_BYTES + NR_FDS * 4 * PAGE + WINDOW_BYTES;
	/* The handlers leave by siglongjmp(), which restores no mask. */
	struct sigaction action = { .sa_flags = SA_NODEFER };

	for (unsigned int kind = 0; kind < NR_KINDS; kind++)
		for (unsigned int i = 0; i < NR_FDS; i++)
			fds[kind][i] = -1;

	arena = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (arena == MAP_FAILED) {
		perror("hostile: mmap");
		_exit(3);
	}

	action.sa_handler = on_fault;
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	action.sa_handler = on_kill;
	sigaction(KILL_SIGNAL, &action, NULL);
	action.sa_handler = on_kick;
	sigaction(KICK_SIGNAL, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}
