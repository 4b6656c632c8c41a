// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Once a vCPU has run the guest alone powers vCPUs on, and each begins with nothing
 * that the VMM has set: so that it cannot ask in the guest's place.
 */
#include <pthread.h>
#include <unistd.h>

#include "asking.h"

/* It is on, and runs the guest program to where it says hello, or what it was told. */
static void runs_the_program(struct env *env, unsigned int id)
{
	struct gmem_exit exit;

	run_list(env_vcpu(env, id), &exit);
	ASSERT_EQ(exit.reason, GMEM_EXIT_GUEST_DONE);
}

static void waits(struct env *env, unsigned int id)
{
	struct gmem_exit exit;

	tick(20000);
	ASSERT_OK(gmem_vcpu_run(env_vcpu(env, id), &exit));
	tick(0);
	ASSERT_EQ(exit.reason, KVM_EXIT_INTR);
}

/* Or the tests below would show nothing. */
ASKING_TEST(planned_vcpu_asks_if_it_is_the_first)
{
	struct gmem_exit exit;
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	ASSERT_OK(plan_share(&env, 0, 0, 2));
	run_list(env_vcpu(&env, 0), &exit);
	ASSERT_EQ(exit.reason, KVM_EXIT_HYPERCALL);
	ASSERT_EQ(exit.hypercall.args[0], gpa_of(0));
	ASSERT_EQ(exit.hypercall.args[1], 2);
}

ASKING_TEST(planned_vcpu_asks_for_nothing_once_another_has_run)
{
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	ASSERT_OK(plan_share(&env, 1, 0, 2));
	guest_fill(&env, 0, 2, 0x100);
	runs_the_program(&env, 1);
	refuse_all(&env, 0, 2);
	ASSERT_STATE(&env, "pp");
	ASSERT_HOST_REFUSED(&env, 0);
	ASSERT_OK(gmem_guest_check(env_vcpu(&env, 1), gpa_of(0), 2 * PAGE, 0x100, 1));
}

ASKING_TEST(vmm_plans_in_vain_for_a_vcpu_that_is_off)
{
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	guest_fill(&env, 0, 2, 0x100);
	ASSERT_RET(plan_share(&env, 0, 0, 2), -EPERM);
	/* The guest has powered it on, though it has not run. */
	ASSERT_RET(plan_share(&env, 1, 0, 2), -EPERM);
	power_off(&env, 1);
	ASSERT_OK(plan_share(&env, 1, 0, 2));
	ASSERT_RET(gmem_guest_abort(env_vcpu(&env, 1)), -EPERM);
	ASSERT_OK(power_on(&env, 0, 1));
	ASSERT_RET(plan_share(&env, 1, 0, 2), -EPERM);
	runs_the_program(&env, 1);
	refuse_all(&env, 0, 2);
	ASSERT_OK(gmem_guest_check(env_vcpu(&env, 1), gpa_of(0), 2 * PAGE, 0x100, 1));
}

ASKING_TEST(vcpu_that_is_off_waits_for_the_guest)
{
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	guest_fill(&env, 0, 2, 0x100);
	for (int i = 0; i < 2; i++) {
		power_off(&env, 1);
		waits(&env, 1);
		waits(&env, 1);
		ASSERT_OK(power_on(&env, 0, 1));
		ASSERT_RET(power_on(&env, 0, 1), -EEXIST);
		runs_the_program(&env, 1);
		ASSERT_OK(gmem_guest_check(env_vcpu(&env, 1), gpa_of(0), 2 * PAGE, 0x100, 1));
	}
	ASSERT_RET(power_on(&env, 0, 0), -EEXIST);
	ASSERT_RET(power_on(&env, 0, NR_ALL_VCPUS), -EINVAL);
}

static void *run_program(void *opaque)
{
	runs_the_program(opaque, 1);
	return NULL;
}

ASKING_TEST(guest_wakes_a_vcpu_that_waits)
{
	pthread_t thread;
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	guest_fill(&env, 0, 2, 0x100);
	power_off(&env, 1);
	ASSERT(!pthread_create(&thread, NULL, run_program, &env));
	usleep(20000);
	ASSERT_OK(power_on(&env, 0, 1));
	pthread_join(thread, NULL);
	ASSERT_OK(gmem_guest_check(env_vcpu(&env, 1), gpa_of(0), 2 * PAGE, 0x100, 1));
}

/* It creates the VM, and the guest has not run all the same. */
ASKING_TEST(run_of_a_vcpu_that_is_off_seals_nothing)
{
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	power_off(&env, 1);
	waits(&env, 1);
	refuse_all(&env, 0, 2);
	ASSERT_RET(gmem_slot_delete(env.vm, TEST_SLOT), -EPERM);
	/* vCPU 0 may be planned as before, and be reset. */
	ASSERT_OK(plan_share(&env, 0, 0, 2));
	ASSERT_OK(gmem_guest_abort(env_vcpu(&env, 0)));
	guest_fill(&env, 0, 2, 0x100);
	ASSERT_RET(plan_share(&env, 0, 0, 2), -EPERM);
	runs_the_program(&env, 1);
	refuse_all(&env, 0, 2);
	ASSERT_GUEST_READS(&env, 0, 2, 0x100);
}

/* The guest starts the vCPU anew: nobody waits for an answer to what it asked for. */
ASKING_TEST(power_on_ends_a_request)
{
	struct gmem_exit exit;
	struct gmem_vcpu *vcpu;
	struct env env;

	env_open(&env, variant, 3, IN_PLACE);
	guest_fill(&env, 0, 3, 0x100);
	ask_share(&env, 1, 0, 3);
	ASSERT_OK(vmm(&env, 0, 1, SHARED, READABLE));
	power_off(&env, 1);
	ASSERT_OK(power_on(&env, 0, 1));
	/* So that the program does not ask once more. */
	vcpu = env_vcpu(&env, 1);
	gmem_guest_stop(vcpu);
	run_list(vcpu, &exit);
	ASSERT_EQ(exit.reason, GMEM_EXIT_GUEST_DONE);
	refuse_all(&env, 0, 3);
	refuse_all(&env, 1, 2);
	ASSERT_STATE(&env, "spp");
	ASSERT_HOST_READS(&env, 0, 1, 0x100);
	ASSERT_HOST_REFUSED(&env, 1);
	ASSERT_GUEST_READS(&env, 0, 3, 0x100);
	/* The share was taken back, or this would not get as far as the VMM. */
	ASSERT_OK(gmem_guest_start(vcpu, &(struct gmem_guest_cmd){
		.op = GMEM_GUEST_SHARE, .flags = GMEM_GUEST_SINGLE, .addr = gpa_of(1),
		.size = PAGE,
	}, 1, 1));
	run_list(vcpu, &exit);
	ASSERT_EQ(exit.reason, KVM_EXIT_HYPERCALL);
	ASSERT_OK(vmm(&env, 1, 1, SHARED, READABLE));
	ASSERT_ANSWER(&env, 1, 0, 0, 1);
}

/* By KVM_RUN the VMM answers, though the vCPU will begin anew. */
ASKING_TEST(run_of_a_vcpu_that_is_off_ends_its_request)
{
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	guest_fill(&env, 0, 2, 0x100);
	ask_share(&env, 1, 0, 2);
	power_off(&env, 1);
	waits(&env, 1);
	refuse_all(&env, 0, 2);
	ASSERT_HOST_REFUSED(&env, 0);
	ASSERT_GUEST_READS(&env, 0, 2, 0x100);
}
