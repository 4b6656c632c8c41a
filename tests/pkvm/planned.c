// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * vCPUs that the VMM has planned to ask for what the guest never wanted to share.
 *
 * The VMM may write what it likes to vCPUs before the guest runs.  It set one of them to
 * a call of the guest's own, MEM_SHARE of all memory, and ran it only when the others
 * had filled that memory.  EL2 took the call for the guest's consent, and the VMM had
 * all of the guest's secrets.
 *
 * So only the first vCPU that runs is started by the VMM.  The others are off from then
 * on, whatever they were before, and the guest alone powers them on.
 */
#include <errno.h>

#include "pkvm.h"

#define PAGES		8
#define NR_STATES	3

struct plan {
	bool off;		/* created powered off */
	bool one_page;		/* the call that 7.3 knows; else all memory at once */
	bool late;		/* the registers are written when the guest has run */
	bool sleeps;		/* it is in KVM_RUN when the guest runs */
	/* KVM_SET_MP_STATE, if not 0 (which is RUNNABLE): see STATE() */
	int before[NR_STATES], after[NR_STATES];
};

#define STATE(name)	(KVM_MP_STATE_##name + 1)

static void set_states(struct vcpu *vcpu, const int states[NR_STATES])
{
	for (int i = 0; i < NR_STATES && states[i]; i++)
		set_mp_state(vcpu, (uint32_t)states[i] - 1);
}

/* Whatever of it is refused: no answer is expected. */
static void write_call(struct vcpu *vcpu, uint64_t pages)
{
	const struct { uint64_t id, value; } registers[] = {
		{ PC, GPA_OF(guest_hvc) },
		{ X(0), MEM_SHARE }, { X(1), FILE_GPA }, { X(2), pages }, { X(3), 0 },
		{ CORE(regs.pstate), 0x3c5 },
	};

	for (size_t i = 0; i < sizeof(registers) / sizeof(registers[0]); i++)
		set_register(vcpu, registers[i].id, registers[i].value);
}

static long fill_all(struct vcpu *vcpu)
{
	return vcpu_do(vcpu, GUEST_FILL, FILE_GPA, PAGES, SECRET, 0);
}

static void guest_keeps_its_secrets(const struct plan *plan)
{
	const uint64_t pages = plan->one_page ? 0 : PAGES;
	struct vcpu *honest, *planned;
	struct machine machine;
	struct runner sleeper;
	struct memory memory;

	machine_open(&machine);
	machine_add_file(&machine, &memory, FILE_GPA, PAGES);
	honest = machine_add_vcpu(&machine, 0, false);
	planned = machine_add_vcpu(&machine, 1, plan->off);
	if (!plan->late)
		write_call(planned, pages);
	set_states(planned, plan->before);
	if (plan->sleeps) {
		runner_start(&sleeper, planned, vcpu_run);
		sleep_ms(50);
	}

	guest_fill(honest, &memory, 0, PAGES);
	nothing_is_shared(&memory);
	if (plan->sleeps && runner_stop(&sleeper) == KVM_EXIT_HYPERCALL)
		FAIL("the vCPU that slept asks to share");
	if (plan->late)
		write_call(planned, pages);
	set_states(planned, plan->after);
	ASSERT_RET(vcpu_run_for(planned, A_WHILE_MS), -EINTR);
	nothing_is_shared(&memory);
	guest_has(honest, &memory, 0, PAGES);

	/* What was planned is not what it does when the guest wants it to run. */
	ASSERT_EQ(guest_powers_on(honest, 1), SUCCESS);
	starts_as_asked(planned);
	nothing_is_shared(&memory);
}

#define PLAN(name, ...)								\
	PKVM_TEST(planned_vcpu_##name)						\
	{									\
		const struct plan plan = { __VA_ARGS__ };			\
										\
		(void)variant;							\
		guest_keeps_its_secrets(&plan);					\
	}

PLAN(left_on)
PLAN(left_on_asks_for_one_page, .one_page = true)
PLAN(left_on_is_written_late, .late = true)
PLAN(made_runnable_before, .off = true, .before = { STATE(RUNNABLE) })
PLAN(made_runnable_before_asks_for_one_page, .off = true, .one_page = true,
	.before = { STATE(RUNNABLE) })
PLAN(made_runnable_after, .off = true, .after = { STATE(RUNNABLE) })
PLAN(made_runnable_after_asks_for_one_page, .off = true, .one_page = true,
	.after = { STATE(RUNNABLE) })
PLAN(made_runnable_after_is_written_late, .off = true, .late = true,
	.after = { STATE(RUNNABLE) })
PLAN(suspended_before_runnable_after, .before = { STATE(SUSPENDED) },
	.after = { STATE(RUNNABLE) })
PLAN(off_and_suspended_before_runnable_after, .off = true,
	.before = { STATE(SUSPENDED) }, .after = { STATE(RUNNABLE) })
PLAN(suspended_after, .off = true, .after = { STATE(SUSPENDED), STATE(RUNNABLE) })
PLAN(stopped_suspended_runnable_before, .before = { STATE(STOPPED), STATE(SUSPENDED),
	STATE(RUNNABLE) })
PLAN(stopped_suspended_runnable_after, .after = { STATE(STOPPED), STATE(SUSPENDED),
	STATE(RUNNABLE) })
PLAN(sleeps_in_run, .off = true, .sleeps = true)
PLAN(sleeps_in_run_made_runnable, .off = true, .sleeps = true,
	.after = { STATE(RUNNABLE) })
PLAN(sleeps_in_run_suspended_and_runnable, .off = true, .sleeps = true,
	.after = { STATE(STOPPED), STATE(SUSPENDED), STATE(RUNNABLE) })

/*
 * The VMM may start the planned vCPU first: then it is the one that runs, and the honest
 * one does not.  What it asks for nobody has written yet.
 */
PKVM_TEST(planned_vcpu_that_runs_first_is_the_only_one)
{
	struct vcpu *honest, *planned;
	struct machine machine;
	struct memory memory;
	uint64_t value = 1;

	(void)variant;
	machine_open(&machine);
	machine_add_file(&machine, &memory, FILE_GPA, PAGES);
	honest = machine_add_vcpu(&machine, 0, false);
	planned = machine_add_vcpu(&machine, 1, false);
	write_call(planned, PAGES);
	ASSERT_EQ(vcpu_run(planned), KVM_EXIT_HYPERCALL);
	ASSERT_RET(set_mp_state(honest, KVM_MP_STATE_RUNNABLE), -EPERM);
	ASSERT_RET(vcpu_run_for(honest, A_WHILE_MS), -EINTR);
	ASSERT_OK(to_shared(&memory, 0, PAGES));
	ASSERT_OK(host_reads(&memory, 0, &value));
	ASSERT_EQ(value, 0);
}

/* Both at once: whoever is first is the only one, each time. */
static void first_runs_race(void)
{
	struct vcpu *honest, *planned;
	struct runner runners[2];
	struct machine machine;
	struct memory memory;
	long events[2];

	machine_open(&machine);
	machine_add_file(&machine, &memory, FILE_GPA, PAGES);
	honest = machine_add_vcpu(&machine, 0, false);
	planned = machine_add_vcpu(&machine, 1, false);
	write_call(planned, PAGES);
	runner_start(&runners[0], honest, fill_all);
	runner_start(&runners[1], planned, vcpu_run);
	while (!__atomic_load_n(&runners[0].ended, __ATOMIC_ACQUIRE) &&
	       !__atomic_load_n(&runners[1].ended, __ATOMIC_ACQUIRE))
		sleep_ms(1);
	sleep_ms(5);
	for (int i = 0; i < 2; i++)
		events[i] = runner_stop(&runners[i]);

	if (events[0] == DID) {
		ASSERT_RET(events[1], -EINTR);
		nothing_is_shared(&memory);
		guest_has(honest, &memory, 0, PAGES);
	} else {
		ASSERT_RET(events[0], -EINTR);
		ASSERT_EQ(events[1], KVM_EXIT_HYPERCALL);
		ASSERT_OK(to_shared(&memory, 0, PAGES));
		ASSERT_EQ(host_finds(&memory, 0, PAGES), 0);
		ASSERT_RET(vcpu_run_for(honest, 10), -EINTR);
	}
	machine_close(&machine);
	memory_close(&memory);
}

TEST_WITH(first_runs_of_two_vcpus_race, 0, 120)
{
	(void)variant;
	for (int i = 0; i < 50; i++)
		first_runs_race();
}
