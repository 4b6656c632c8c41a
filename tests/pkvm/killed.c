// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * A VMM that is killed while its guest asks for very much, four million pages in a call.
 * Whoever works on that, KVM, EL2 or the VMM's process as it ends, has to notice soon.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pkvm.h"

#define PAGES		(1ull << 22)
#define ROUNDS		8
#define LIFETIME_MS	150
#define END_MS		1000

static void go_on(struct vcpu *vcpu, struct memory *memory, uint64_t function)
{
	uint64_t first = 0;
	long event;

	for (;;) {
		event = vcpu_call(vcpu, function, memory->gpa + first * PAGE,
				  PAGES - first - 1, 0);
		while (event == KVM_EXIT_HYPERCALL) {
			convert_as_asked(memory, function, first,
					 vcpu->run->hypercall.args[1]);
			event = vcpu_answer(vcpu, 0);
		}
		if (event != DID)
			_exit(1);
		first = (first + vcpu->x1) % (PAGES - 1);
	}
}

_Noreturn static void ask(bool in_file, uint64_t function, int ready)
{
	struct memory memory, file;
	struct machine machine;
	struct vcpu *vcpu;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	machine_open(&machine);
	if (in_file)
		machine_add_file(&machine, &memory, RAM_GPA, PAGES);
	else
		machine_add_ram(&machine, &memory, RAM_GPA, PAGES);
	machine_add_file(&machine, &file, FILE_GPA, 1);
	vcpu = machine_add_vcpu(&machine, 0, false);
	if (vcpu_run(vcpu) != STARTED || write(ready, "", 1) != 1)
		_exit(1);
	go_on(vcpu, &memory, function);
	_exit(1);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

static void is_killed(bool in_file, uint64_t function)
{
	unsigned int seed = 1;
	int64_t longest = 0;

	for (int round = 0; round < ROUNDS; round++) {
		int status, ends[2];
		int64_t killed;
		char byte;
		pid_t pid;

		ASSERT(!pipe(ends));
		pid = fork();
		if (!pid)
			ask(in_file, function, ends[1]);
		close(ends[1]);
		ASSERT(read(ends[0], &byte, 1) == 1);
		close(ends[0]);
		sleep_ms((unsigned int)rand_r(&seed) % LIFETIME_MS);
		killed = now_ms();
		ASSERT(!kill(pid, SIGKILL));
		ASSERT(waitpid(pid, &status, 0) == pid);
		ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		if (now_ms() - killed > longest)
			longest = now_ms() - killed;
	}
	printf("# the longest end took %lld ms\n", (long long)longest);
	fflush(stdout);
	ASSERT(longest < END_MS);
}

PKVM_TEST(killed_while_sharing_ordinary_memory)
{
	(void)variant;
	is_killed(false, MEM_SHARE);
}

PKVM_TEST(killed_while_unsharing_ordinary_memory)
{
	(void)variant;
	is_killed(false, MEM_UNSHARE);
}

PKVM_TEST(killed_while_sharing_a_file)
{
	(void)variant;
	is_killed(true, MEM_SHARE);
}

PKVM_TEST(killed_while_unsharing_a_file)
{
	(void)variant;
	is_killed(true, MEM_UNSHARE);
}
