// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * vCPUs that run, what their guest is told to do, and threads for them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "pkvm.h"

#define STEP_MS		2

void sleep_ms(unsigned int ms)
{
	usleep(ms * 1000);
}

/* ---- one vCPU ---- */

/* A load of the guest's that the VMM has been told of.  False: it has no answer yet. */
static bool answer_load(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint64_t word = (run->mmio.phys_addr - MMIO_GPA) / 8;

	if (word >= 5)
		FAIL("the guest loads from %#llx", (unsigned long long)run->mmio.phys_addr);
	if (!word && !vcpu->has_command)
		return false;
	if (!word)
		vcpu->has_command = false;
	memcpy(run->mmio.data, &vcpu->command[word], sizeof(uint64_t));
	return true;
}

/* Return: an event, or 0 if the guest has more to say. */
static long hear_store(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint64_t value;

	memcpy(&value, run->mmio.data, sizeof(value));
	switch (run->mmio.phys_addr) {
	case MMIO_GPA + MMIO_X0:
		vcpu->x0 = value;
		return 0;
	case MMIO_GPA + MMIO_X1:
		vcpu->x1 = value;
		return DID;
	case MMIO_GPA + MMIO_REGISTERS:
		vcpu->registers = value;
		return 0;
	case MMIO_GPA + MMIO_STARTED:
		vcpu->context = value;
		return STARTED;
	case MMIO_GPA + MMIO_FAULT:
		vcpu->x0 = value;
		return FAULTED;
	default:
		FAIL("the guest stores to %#llx", (unsigned long long)run->mmio.phys_addr);
	}
}

long vcpu_run(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	for (;;) {
		long event;

		if (run->exit_reason == KVM_EXIT_MMIO && !run->mmio.is_write &&
		    !answer_load(vcpu))
			return WAITS;
		event = control(vcpu->fd, KVM_RUN, NULL);
		if (event)
			return event;
		if (run->exit_reason != KVM_EXIT_MMIO)
			return run->exit_reason;
		event = run->mmio.is_write ? hear_store(vcpu) : 0;
		if (event)
			return event;
	}
}

static void on_signal(int signal)
{
	(void)signal;
}

long vcpu_run_for(struct vcpu *vcpu, unsigned int ms)
{
	/* Over and over: the first may come before the vCPU sleeps. */
	struct itimerval timer = {
		.it_value = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 },
		.it_interval = { .tv_usec = 100000 },
	};
	struct sigaction action = { .sa_handler = on_signal };
	long event;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	event = vcpu_run(vcpu);
	memset(&timer, 0, sizeof(timer));
	setitimer(ITIMER_REAL, &timer, NULL);
	return event;
}

long vcpu_do(struct vcpu *vcpu, uint64_t command, uint64_t x0, uint64_t x1, uint64_t x2,
	     uint64_t x3)
{
	const uint64_t words[5] = { command, x0, x1, x2, x3 };
	long event;

	memcpy(vcpu->command, words, sizeof(words));
	vcpu->has_command = true;
	do {
		event = vcpu_run(vcpu);
	} while (event == STARTED);
	return event;
}

long vcpu_call(struct vcpu *vcpu, uint64_t function, uint64_t x1, uint64_t x2,
	       uint64_t x3)
{
	return vcpu_do(vcpu, GUEST_CALL, function, x1, x2, x3);
}

long vcpu_answer(struct vcpu *vcpu, uint64_t ret)
{
	vcpu->run->hypercall.ret = ret;
	return vcpu_run(vcpu);
}

/* ---- what guests do ---- */

void guest_fill(struct vcpu *vcpu, struct memory *memory, uint64_t first, uint64_t pages)
{
	ASSERT_EQ(vcpu_do(vcpu, GUEST_FILL, memory->gpa + first * PAGE, pages,
			  SECRET + first, 0), DID);
}

void guest_has(struct vcpu *vcpu, struct memory *memory, uint64_t first, uint64_t pages)
{
	ASSERT_EQ(vcpu_do(vcpu, GUEST_COUNT, memory->gpa + first * PAGE, pages,
			  SECRET + first, 0), DID);
	ASSERT_EQ(vcpu->x0, pages);
}

uint64_t guest_powers_on(struct vcpu *vcpu, uint64_t id)
{
	ASSERT_EQ(vcpu_call(vcpu, CPU_ON, id, GPA_OF(guest_start), CONTEXT), DID);
	return vcpu->x0;
}

void starts_as_asked(struct vcpu *vcpu)
{
	ASSERT_EQ(vcpu_run_for(vcpu, LONG_MS), STARTED);
	ASSERT_EQ(vcpu->context, CONTEXT);
	ASSERT_EQ(vcpu->registers, 0);
}

/* ---- threads ---- */

static void *run_once(void *opaque)
{
	struct runner *runner = opaque;

	runner->event = runner->run(runner->vcpu);
	__atomic_store_n(&runner->ended, true, __ATOMIC_RELEASE);
	return NULL;
}

void runner_start(struct runner *runner, struct vcpu *vcpu,
		  long (*run)(struct vcpu *vcpu))
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(KICK_SIGNAL, &action, NULL);
	*runner = (struct runner){ .vcpu = vcpu, .run = run };
	ASSERT(!pthread_create(&runner->thread, NULL, run_once, runner));
}

bool runner_ended(struct runner *runner, unsigned int ms)
{
	for (unsigned int past = 0; past < ms; past += STEP_MS) {
		if (__atomic_load_n(&runner->ended, __ATOMIC_ACQUIRE))
			return true;
		sleep_ms(STEP_MS);
	}
	return false;
}

long runner_stop(struct runner *runner)
{
	/* Over and over: the first may come before the vCPU sleeps. */
	while (!__atomic_load_n(&runner->ended, __ATOMIC_ACQUIRE)) {
		pthread_kill(runner->thread, KICK_SIGNAL);
		sleep_ms(STEP_MS);
	}
	pthread_join(runner->thread, NULL);
	return runner->event;
}
