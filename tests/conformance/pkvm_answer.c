// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * What becomes of a guest's request, and what the guest is told: by a VMM that does
 * less than it was asked, or takes memory away.
 */
#include "asking.h"

/* ---- the VMM does less than it was asked ---- */

ASKING_TEST(guest_learns_how_much_was_done)
{
	struct env env;

	env_open(&env, variant, 8, IN_PLACE);
	guest_fill(&env, 0, 8, 0x100);
	ask_share(&env, 0, 0, 6);
	ASSERT_OK(vmm(&env, 0, 4, SHARED, READABLE));
	/* It asks for the rest, and nothing comes of that. */
	ASSERT_ANSWER(&env, 0, 0, -EINVAL, 4);
	ASSERT_STATE(&env, "sssspppp");
	ASSERT_HOST_READS(&env, 0, 4, 0x100);
	/* The rest was taken back, from EL2 and from the VMM. */
	refuse_all(&env, 4, 2);
	ASSERT_GUEST_READS(&env, 0, 8, 0x100);

	ask_unshare(&env, 0, 0, 6);
	ASSERT_OK(vmm(&env, 0, 1, PRIVATE, READABLE));
	ASSERT_ANSWER(&env, 0, -EIO, -EINVAL, 1);
	ASSERT_STATE(&env, "pssspppp");
	refuse_all(&env, 1, 3);
	ASSERT_HOST_READS(&env, 1, 3, 0x100 + WORDS);
	ASSERT_GUEST_READS(&env, 0, 8, 0x100);
}

ASKING_TEST(vmm_declines)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	guest_fill(&env, 0, 4, 0x100);
	ask_share(&env, 0, 0, 2);
	ASSERT_ANSWER(&env, 0, -EACCES, -EINVAL, 0);
	ASSERT_STATE(&env, "pppp");
	refuse_all(&env, 0, 2);
	ASSERT_HOST_REFUSED(&env, 0);

	ASSERT_OK(gmem_guest_share(env_vcpu(&env, 0), gpa_of(2), 2 * PAGE, READABLE));
	ask_unshare(&env, 0, 2, 2);
	ASSERT_ANSWER(&env, 0, -EACCES, -EINVAL, 0);
	ASSERT_STATE(&env, "ppss");
	refuse_all(&env, 2, 2);
	ASSERT_HOST_READS(&env, 2, 2, 0x100 + 2 * WORDS);
	ASSERT_GUEST_READS(&env, 0, 4, 0x100);
}

/* EL2 would not mind: the guest never had these pages. */
ASKING_TEST(vmm_destroys_what_the_guest_asked_for)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	run_guest_once(&env);
	ask_unshare(&env, 0, 0, 4);
	ASSERT_OK(vmm(&env, 0, 2, PRIVATE, READABLE));
	ASSERT_OK(vmm(&env, 2, 2, PRIVATE, DESTROY));
	ASSERT_ANSWER(&env, 0, 0, -EINVAL, 2);
	ASSERT_STATE(&env, "ppDD");
}

/* "Done", it says, and did nothing. */
ASKING_TEST(reentry_without_conversion_ends_the_request)
{
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	guest_fill(&env, 0, 2, 0x100);
	for (int i = 0; i < 3; i++) {
		ask_share(&env, 0, 0, 2);
		ASSERT_ANSWER(&env, 0, 0, -EINVAL, 0);
		refuse_all(&env, 0, 2);
	}
	ASSERT_STATE(&env, "pp");
	ASSERT_GUEST_READS(&env, 0, 2, 0x100);
	ASSERT_OK(gmem_guest_share(env_vcpu(&env, 0), gpa_of(0), 2 * PAGE, READABLE));
	ask_unshare(&env, 0, 0, 2);
	ASSERT_ANSWER(&env, 0, 0, -EINVAL, 0);
	ASSERT_STATE(&env, "ss");
	ASSERT_HOST_READS(&env, 0, 2, 0x100);
}

/* Each interruption costs the rest of its turn, and not what was done before. */
ASKING_TEST(request_gets_ahead_under_signals)
{
	const uint64_t nr = 4096;
	struct gmem_guest_cmd cmd = convert_cmd(0, nr, SHARED);
	unsigned int interruptions = 0;
	struct gmem_vcpu *vcpu;
	struct gmem_exit exit;
	uint64_t done = 0;
	struct env env;

	env_open(&env, variant, nr, IN_PLACE);
	run_guest_once(&env);
	vcpu = env_vcpu(&env, 0);
	ASSERT_OK(gmem_guest_start(vcpu, &cmd, 1, 1));
	for (;;) {
		tick(1000);
		interruptions += run_list(vcpu, &exit);
		tick(0);
		if (exit.reason != KVM_EXIT_HYPERCALL)
			break;
		ASSERT_EQ(exit.hypercall.args[0], gpa_of(done));
		ASSERT_OK(vmm(&env, done, exit.hypercall.args[1], SHARED, ZERO));
		ASSERT_OK(gmem_vcpu_complete_hypercall(vcpu, 0));
		done += exit.hypercall.args[1];
	}
	ASSERT_EQ(exit.reason, GMEM_EXIT_GUEST_DONE);
	ASSERT_EQ(done, nr);
	ASSERT_OK(gmem_guest_finish(vcpu, &cmd, 1, NULL));
	ASSERT_EQ(cmd.result, nr);
	/* emu is done before the first tick. */
	ASSERT(interruptions || variant->engine == GMEM_ENGINE_EMU);
	ASSERT_HOST_ZEROS(&env, 0, 1);
	ASSERT_HOST_ZEROS(&env, nr - 1, 1);
}

/* Converted, and the vCPU left where it is for now. */
ASKING_TEST(conversion_takes_effect_before_reentry)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	guest_fill(&env, 0, 4, 0x100);
	ask_share(&env, 1, 0, 4);
	ASSERT_OK(vmm(&env, 0, 4, SHARED, READABLE));
	ASSERT_HOST_READS(&env, 0, 4, 0x100);
	host_fill(&env, 0, 4, 0x200);
	ASSERT_GUEST_READS(&env, 0, 4, 0x200);
	/* The other vCPU takes half of it back meanwhile. */
	ASSERT_OK(gmem_guest_unshare(env_vcpu(&env, 0), gpa_of(2), 2 * PAGE, READABLE));
	ASSERT_STATE(&env, "sspp");
	ASSERT_ANSWER(&env, 1, 0, -EINVAL, 2);
	ASSERT_GUEST_READS(&env, 0, 4, 0x200);
}

ASKING_TEST(guest_shares_memory_it_never_touched)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	ask_share(&env, 0, 0, 4);
	ASSERT_OK(vmm(&env, 0, 2, SHARED, READABLE));
	ASSERT_OK(vmm(&env, 2, 2, SHARED, ZERO));
	ASSERT_ANSWER(&env, 0, 0, 0, 4);
	ASSERT_HOST_ZEROS(&env, 0, 4);
	host_fill(&env, 0, 4, 0x300);
	ASSERT_GUEST_READS(&env, 0, 4, 0x300);
}

/* The VMM is not even asked. */
ASKING_TEST(guest_shares_memory_it_does_not_have)
{
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	guest_fill(&env, 0, 2, 0x100);
	ASSERT_RET(ask_in_vain(&env, 0, 100, 2, SHARED), -EINVAL);
	ASSERT_RET(ask_in_vain(&env, 0, 100, 2, PRIVATE), -EINVAL);
	refuse_all(&env, 0, 2);
	/* It has the first page only. */
	ask_part(&env, 0, 1, 2, SHARED, 1);
	ASSERT_OK(vmm(&env, 1, 1, SHARED, READABLE));
	ASSERT_ANSWER(&env, 0, 0, -EINVAL, 1);
	ASSERT_STATE(&env, "ps");
	ASSERT_HOST_READS(&env, 1, 1, 0x100 + WORDS);
	ASSERT_GUEST_READS(&env, 0, 2, 0x100);
}

/*
 * EL2 can share it only once it is converted: a call of its own, between that for the
 * page that the guest has and that for the page that it never touched.
 */
ASKING_TEST(guest_shares_memory_destroyed_before_it_ran)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	ASSERT_OK(vmm(&env, 1, 2, PRIVATE, DESTROY));
	guest_fill(&env, 0, 1, 0x100);
	ask_part(&env, 0, 0, 4, SHARED, 1);
	ASSERT_OK(vmm(&env, 0, 1, SHARED, READABLE));
	ask_next(&env, 0, 1, 2, SHARED);
	ASSERT_OK(vmm(&env, 1, 2, SHARED, READABLE));
	ask_next(&env, 0, 3, 1, SHARED);
	ASSERT_OK(vmm(&env, 3, 1, SHARED, READABLE));
	ASSERT_ANSWER(&env, 0, 0, 0, 4);
	ASSERT_STATE(&env, "ssss");
	ASSERT_HOST_READS(&env, 0, 1, 0x100);
	ASSERT_HOST_ZEROS(&env, 1, 3);
	host_fill(&env, 0, 4, 0x200);
	ASSERT_OK(gmem_guest_check(env_vcpu(&env, 0), gpa_of(0), 4 * PAGE, 0x200, 1));
}

/* ---- what was taken does not come back ---- */

ASKING_TEST(destroyed_memory_is_lost_for_good)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	guest_fill(&env, 0, 4, 0x100);
	ask_share(&env, 0, 0, 3);
	ASSERT_OK(vmm(&env, 0, 1, SHARED, READABLE));
	ASSERT_OK(vmm(&env, 1, 2, SHARED, DESTROY));
	/* The first page is shared; EL2 refuses to share the others again. */
	ASSERT_ANSWER(&env, 0, 0, -EINVAL, 1);
	ASSERT_STATE(&env, "sddp");
	ASSERT_HOST_READS(&env, 0, 1, 0x100);
	ASSERT_HOST_REFUSED(&env, 1);
	ASSERT_GUEST_REFUSED(&env, 1);
	refuse_all(&env, 1, 2);

	/* EL2 refuses to share it, the host to make it private. */
	ASSERT_RET(ask_in_vain(&env, 0, 1, 2, SHARED), -EINVAL);
	ask_part(&env, 0, 0, 3, SHARED, 1);
	ASSERT_ANSWER(&env, 0, 0, -EINVAL, 1);
	ASSERT_STATE(&env, "sddp");
	refuse_all(&env, 0, 3);
	ask_unshare(&env, 0, 1, 2);
	ASSERT_RET(vmm(&env, 1, 2, PRIVATE, ZERO), -EHWPOISON);
	ASSERT_RET(vmm(&env, 1, 2, PRIVATE, READABLE), -EHWPOISON);
	ASSERT_STATE(&env, "sddp");
	/* To destroy it once more is all that is left. */
	ASSERT_OK(vmm(&env, 1, 2, PRIVATE, DESTROY));
	ASSERT_ANSWER(&env, 0, 0, -EINVAL, 0);
	ASSERT_STATE(&env, "sDDp");
	ASSERT_GUEST_READS(&env, 0, 1, 0x100);
	ASSERT_GUEST_READS(&env, 3, 1, 0x100 + 3 * WORDS);
}

/* The VMM may free what it pays for; it does not get at what was there. */
ASKING_TEST(hole_under_the_guest_is_lost_for_good)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	guest_fill(&env, 0, 4, 0x100);
	ASSERT_OK(gmem_guest_share(env_vcpu(&env, 0), gpa_of(2), 2 * PAGE, READABLE));
	ASSERT_OK(gmem_file_punch_hole(env.file, PAGE, 2 * PAGE));
	ASSERT_STATE(&env, "ppss");
	ASSERT_GUEST_READS(&env, 0, 1, 0x100);
	ASSERT_GUEST_READS(&env, 3, 1, 0x100 + 3 * WORDS);
	ASSERT_GUEST_REFUSED(&env, 1);
	ASSERT_GUEST_REFUSED(&env, 2);
	ASSERT_HOST_REFUSED(&env, 1);
	ASSERT_HOST_ZEROS(&env, 2, 1);
	host_fill(&env, 2, 1, 0x200);
	ASSERT_RET(ask_in_vain(&env, 0, 1, 1, SHARED), -EINVAL);
	ask_unshare(&env, 0, 2, 2);
	ASSERT_RET(vmm(&env, 2, 2, PRIVATE, READABLE), -EHWPOISON);
	ASSERT_ANSWER(&env, 0, 0, -EINVAL, 0);
	ASSERT_STATE(&env, "ppss");
	ASSERT_HOST_READS(&env, 2, 1, 0x200);
}

/* ---- the end ---- */

ASKING_TEST(teardown_with_shared_memory_and_requests)
{
	struct env env;

	for (int i = 0; i < 8; i++) {
		env_open(&env, variant, 4, i & 1 ? IN_PLACE : IN_PLACE_SHARED);
		if (i & 1)
			guest_fill(&env, 0, 2, 0x100);
		ASSERT_OK(gmem_guest_share(env_vcpu(&env, 0), gpa_of(0), 2 * PAGE, ZERO));
		ask_share(&env, 0, 2, 2);
		ask_unshare(&env, 1, 0, 1);
		if (i & 2)
			ASSERT_OK(vmm(&env, 2, 1, SHARED, READABLE));
		if (i & 4) {
			gmem_file_unmap(env.file, env.memory, 4 * PAGE);
			gmem_file_close(env.file);
		}
		for (unsigned int id = 0; id < NR_ALL_VCPUS; id++)
			gmem_vcpu_destroy(env.vcpus[id]);
		if (!(i & 4)) {
			ASSERT_OK(vmm(&env, 0, 1, PRIVATE, ZERO));
			gmem_file_unmap(env.file, env.memory, 4 * PAGE);
			gmem_file_close(env.file);
		}
		gmem_vm_destroy(env.vm);
		gmem_engine_close(env.engine);
	}
}

/* The file goes while a request for it waits. */
ASKING_TEST(guest_is_told_that_its_file_is_gone)
{
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	guest_fill(&env, 0, 2, 0x100);
	ask_share(&env, 0, 0, 2);
	gmem_file_unmap(env.file, env.memory, 2 * PAGE);
	gmem_file_close(env.file);
	ASSERT_ANSWER(&env, 0, 0, -EINVAL, 0);
}

ASKING_TEST(guest_shares_memory_of_a_file_that_is_gone)
{
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	run_guest_once(&env);
	gmem_file_unmap(env.file, env.memory, 2 * PAGE);
	gmem_file_close(env.file);
	ASSERT_RET(ask_in_vain(&env, 0, 0, 2, SHARED), -EINVAL);
}
