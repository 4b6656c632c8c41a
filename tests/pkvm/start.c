// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * vCPUs that the guest powers on: they start where it says, with the context that it
 * gives, and nothing that the VMM wrote to them is left.
 */
#include <errno.h>

#include "pkvm.h"

#define PAGES	4

/* In front of all memory: where a vCPU's vectors are until it has set its own. */
#define ZERO_GPA	0ull
#define VECTOR		0x200		/* a synchronous exception at this level */

static void scribble_over_registers(struct vcpu *vcpu, long want)
{
	const uint64_t garbage = 0x0123456789abcdefull;

	for (unsigned int i = 0; i < 31; i++)
		ASSERT_RET(set_register(vcpu, X(i), garbage), want);
	ASSERT_RET(set_register(vcpu, PC, GPA_OF(guest_hvc)), want);
	ASSERT_RET(set_register(vcpu, VBAR_EL1, CODE_GPA), want);
}

/* The vCPU is as good as any: it writes, shares, and takes back. */
static void vcpu_can_share(struct vcpu *vcpu, struct memory *memory)
{
	guest_fill(vcpu, memory, 0, PAGES);
	ASSERT_EQ(vcpu_call(vcpu, MEM_SHARE, memory->gpa + PAGE, 2, 0), KVM_EXIT_HYPERCALL);
	ASSERT_EQ(vcpu->run->hypercall.args[0], memory->gpa + PAGE);
	ASSERT_EQ(vcpu->run->hypercall.args[1], 2);
	ASSERT_OK(to_shared(memory, 1, 2));
	ASSERT_EQ(vcpu_answer(vcpu, 0), DID);
	ASSERT_EQ(vcpu->x0, SUCCESS);
	ASSERT_EQ(vcpu->x1, 2);
	ASSERT_EQ(host_finds(memory, 0, PAGES), 2);

	ASSERT_EQ(vcpu_call(vcpu, MEM_UNSHARE, memory->gpa + PAGE, 2, 0),
		  KVM_EXIT_HYPERCALL);
	ASSERT_OK(to_private(memory, 1, 2));
	ASSERT_EQ(vcpu_answer(vcpu, 0), DID);
	ASSERT_EQ(vcpu->x0, SUCCESS);
	ASSERT_EQ(host_finds(memory, 0, PAGES), 0);
	guest_has(vcpu, memory, 0, PAGES);
}

struct two {
	struct machine machine;
	struct memory memory;
	struct vcpu *first, *second;
};

static void open_two(struct two *two, bool off)
{
	machine_open(&two->machine);
	machine_add_file(&two->machine, &two->memory, FILE_GPA, PAGES);
	two->first = machine_add_vcpu(&two->machine, 0, false);
	two->second = machine_add_vcpu(&two->machine, 1, off);
}

static void first_runs(struct two *two)
{
	ASSERT_EQ(vcpu_run(two->first), STARTED);
}

PKVM_TEST(vcpu_starts_as_the_guest_says)
{
	struct two two;

	(void)variant;
	open_two(&two, true);
	first_runs(&two);
	ASSERT_EQ(guest_powers_on(two.first, 1), SUCCESS);
	ASSERT_EQ(guest_powers_on(two.first, 1), ALREADY_ON);
	ASSERT_EQ(guest_powers_on(two.first, 0), ALREADY_ON);
	ASSERT_EQ(guest_powers_on(two.first, 2), NO_SUCH_VCPU);
	starts_as_asked(two.second);
	vcpu_can_share(two.second, &two.memory);
	vcpu_can_share(two.first, &two.memory);
}

PKVM_TEST(vcpu_left_on_starts_as_the_guest_says)
{
	struct two two;

	(void)variant;
	open_two(&two, false);
	scribble_over_registers(two.second, 0);
	first_runs(&two);
	ASSERT_EQ(mp_state(two.second), KVM_MP_STATE_STOPPED);
	ASSERT_EQ(guest_powers_on(two.first, 1), SUCCESS);
	starts_as_asked(two.second);
	vcpu_can_share(two.second, &two.memory);
}

PKVM_TEST(what_the_vmm_wrote_does_not_survive_the_start)
{
	struct two two;

	(void)variant;
	open_two(&two, true);
	scribble_over_registers(two.second, 0);
	first_runs(&two);
	/* It is off, and nobody minds. */
	scribble_over_registers(two.second, 0);
	ASSERT_EQ(guest_powers_on(two.first, 1), SUCCESS);
	/* It is on, but has not run yet. */
	scribble_over_registers(two.second, -EPERM);
	starts_as_asked(two.second);
	vcpu_can_share(two.second, &two.memory);
}

PKVM_TEST(vcpu_whose_registers_were_read_starts_as_the_guest_says)
{
	struct two two;

	(void)variant;
	open_two(&two, true);
	scribble_over_registers(two.second, 0);
	first_runs(&two);
	ASSERT_EQ(guest_powers_on(two.first, 1), SUCCESS);
	/* This carries the reset out. */
	ASSERT_EQ(get_register(two.second, PC), GPA_OF(guest_start));
	ASSERT_EQ(get_register(two.second, X(0)), CONTEXT);
	scribble_over_registers(two.second, -EPERM);
	starts_as_asked(two.second);
	vcpu_can_share(two.second, &two.memory);
}

PKVM_TEST(vcpu_that_sleeps_in_run_starts_as_the_guest_says)
{
	struct runner sleeper;
	struct two two;

	(void)variant;
	open_two(&two, true);
	scribble_over_registers(two.second, 0);
	runner_start(&sleeper, two.second, vcpu_run);
	sleep_ms(50);
	first_runs(&two);
	ASSERT(!runner_ended(&sleeper, A_WHILE_MS));
	ASSERT_EQ(guest_powers_on(two.first, 1), SUCCESS);
	ASSERT(runner_ended(&sleeper, LONG_MS));
	ASSERT_EQ(runner_stop(&sleeper), STARTED);
	ASSERT_EQ(two.second->context, CONTEXT);
	ASSERT_EQ(two.second->registers, 0);
	vcpu_can_share(two.second, &two.memory);
}

/* Off by itself, by the VMM, and on again each time. */
PKVM_TEST(vcpu_starts_again)
{
	struct two two;

	(void)variant;
	open_two(&two, true);
	first_runs(&two);
	for (int round = 0; round < 4; round++) {
		ASSERT_EQ(guest_powers_on(two.first, 1), SUCCESS);
		starts_as_asked(two.second);
		vcpu_can_share(two.second, &two.memory);
		if (round % 2) {
			ASSERT_OK(set_mp_state(two.second, KVM_MP_STATE_STOPPED));
		} else {
			two.second->command[0] = GUEST_CALL;
			two.second->command[1] = CPU_OFF;
			two.second->has_command = true;
		}
		ASSERT_RET(vcpu_run_for(two.second, A_WHILE_MS), -EINTR);
		ASSERT_EQ(mp_state(two.second), KVM_MP_STATE_STOPPED);
		ASSERT_RET(set_mp_state(two.second, KVM_MP_STATE_RUNNABLE), -EPERM);
	}
}

/*
 * Until the guest has set its vectors, an exception leads a vCPU to address 0x200, and
 * there the VMM may have put code of its own.  It could inject one into a vCPU that the
 * guest had powered on: as soon as the reset was carried out, before the first
 * instruction, and the VMM's code was the guest's, with the right to share everything.
 */
static void plant_code_at_the_vector(struct machine *machine)
{
	/* MEM_SHARE of FILE_GPA, and whatever it needs of registers. */
	static const uint32_t code[] = {
		0xd2b8c000,	/* movz x0, #0xc600, lsl #16 */
		0xf2800060,	/* movk x0, #3 */
		0xd2a80001,	/* movz x1, #0x4000, lsl #16 */
		0xd2800022,	/* mov x2, #1 */
		0xd2800003,	/* mov x3, #0 */
		0xd4000002,	/* hvc #0 */
	};
	struct memory zero;

	machine_add_ram(machine, &zero, ZERO_GPA, 1);
	for (size_t i = 0; i < sizeof(code) / sizeof(code[0]); i++)
		((uint32_t *)zero.host)[VECTOR / 4 + i] = code[i];
}

/* Whatever of it is refused. */
static long inject(struct vcpu *vcpu, bool abort, bool serror)
{
	struct kvm_vcpu_events events = {
		.exception.ext_dabt_pending = abort, .exception.serror_pending = serror,
	};

	return control(vcpu->fd, KVM_SET_VCPU_EVENTS, &events);
}

static void injection_does_not_divert(bool abort, bool serror, bool looks)
{
	struct two two;

	open_two(&two, true);
	plant_code_at_the_vector(&two.machine);
	inject(two.second, abort, serror);
	guest_fill(two.first, &two.memory, 0, PAGES);
	inject(two.second, abort, serror);
	ASSERT_EQ(guest_powers_on(two.first, 1), SUCCESS);
	if (looks)
		get_register(two.second, PC);
	inject(two.second, abort, serror);
	inject(two.second, abort, serror);
	starts_as_asked(two.second);
	nothing_is_shared(&two.memory);
}

#define INJECTION(name, ...)							\
	PKVM_TEST(injected_##name)						\
	{									\
		(void)variant;							\
		injection_does_not_divert(__VA_ARGS__);				\
	}

INJECTION(abort_does_not_divert_a_start, true, false, false)
INJECTION(abort_does_not_divert_a_start_after_a_look, true, false, true)
INJECTION(serror_does_not_divert_a_start, false, true, false)
INJECTION(serror_does_not_divert_a_start_after_a_look, false, true, true)
INJECTION(abort_and_serror_do_not_divert_a_start_after_a_look, true, true, true)

/* A device does not answer: that is what the VMM may say, also of a vCPU that is sealed. */
PKVM_TEST(abort_of_an_access_is_the_guests)
{
	struct two two;

	(void)variant;
	open_two(&two, true);
	first_runs(&two);
	ASSERT_EQ(vcpu_run(two.first), WAITS);
	ASSERT_OK(inject(two.first, true, false));
	two.first->has_command = true;
	ASSERT_EQ(vcpu_run(two.first), FAULTED);
	ASSERT_EQ(two.first->x0 >> 26, 0x25);	/* a data abort, no change of level */
	vcpu_can_share(two.first, &two.memory);
}

/* It came for the access of the vCPU that was, and not of the one that starts. */
PKVM_TEST(abort_of_an_access_does_not_divert_a_start)
{
	struct two two;

	(void)variant;
	open_two(&two, true);
	plant_code_at_the_vector(&two.machine);
	guest_fill(two.first, &two.memory, 0, PAGES);
	for (int round = 0; round < 4; round++) {
		ASSERT_EQ(guest_powers_on(two.first, 1), SUCCESS);
		if (round % 2)
			get_register(two.second, PC);
		inject(two.second, true, false);
		starts_as_asked(two.second);
		ASSERT_EQ(vcpu_run(two.second), WAITS);
		ASSERT_OK(set_mp_state(two.second, KVM_MP_STATE_STOPPED));
		inject(two.second, true, false);
		/* What the load gets is too late, too. */
		two.second->command[0] = -1ull;
		two.second->has_command = true;
	}
	nothing_is_shared(&two.memory);
}

/* The VMM may watch each step, and that is all. */
PKVM_TEST(debugged_vcpu_starts_as_the_guest_says)
{
	struct kvm_guest_debug debug = {
		.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP,
	};
	struct two two;
	long event;

	(void)variant;
	open_two(&two, true);
	plant_code_at_the_vector(&two.machine);
	guest_fill(two.first, &two.memory, 0, PAGES);
	ASSERT_EQ(guest_powers_on(two.first, 1), SUCCESS);
	control(two.second->fd, KVM_SET_GUEST_DEBUG, &debug);
	for (int step = 0; step < 200; step++) {
		event = vcpu_run_for(two.second, LONG_MS);
		if (event != KVM_EXIT_DEBUG)
			break;
	}
	ASSERT_EQ(event, STARTED);
	ASSERT_EQ(two.second->context, CONTEXT);
	ASSERT_EQ(two.second->registers, 0);
	nothing_is_shared(&two.memory);
}
