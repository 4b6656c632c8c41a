// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Conversions that the guest asks for, by KVM_HC_MAP_GPA_RANGE.
 */
#include "env.h"

#define HYPERCALL_TEST(name)	TEST_WITH(name, NEEDS_HYPERCALL, 0)

HYPERCALL_TEST(guest_shares_and_unshares)
{
	struct env env;

	env_open(&env, variant, 8, IN_PLACE);
	guest_fill(&env, 0, 8, 0x100);
	ASSERT_OK(guest_share(&env, 0, 2, 3, KEEP));
	ASSERT_STATE(&env, "ppsssppp");
	ASSERT_HOST_READS(&env, 2, 3, 0x100 + 2 * WORDS);
	host_fill(&env, 2, 3, 0x900);
	ASSERT_OK(guest_unshare(&env, 0, 2, 2, KEEP));
	ASSERT_STATE(&env, "ppppsppp");
	ASSERT_GUEST_READS(&env, 2, 3, 0x900);
	ASSERT_OK(guest_unshare(&env, 0, 0, 8, ZERO));
	ASSERT_STATE(&env, "pppppppp");
	ASSERT_GUEST_READS(&env, 0, 2, 0x100);
	ASSERT_GUEST_READS(&env, 2, 2, 0x900);
	ASSERT_GUEST_ZEROS(&env, 4, 1);
}

/* The guest program does it all by itself: one list, one run. */
HYPERCALL_TEST(guest_converts_in_a_list_of_commands)
{
	struct gmem_guest_cmd cmds[] = {
		{ .op = GMEM_GUEST_FILL, .addr = gpa_of(0), .size = 2 * PAGE, .value = 7 },
		{ .op = GMEM_GUEST_SHARE, .addr = gpa_of(0), .size = 2 * PAGE },
		{ .op = GMEM_GUEST_CHECK, .addr = gpa_of(0), .size = 2 * PAGE, .value = 7 },
		{ .op = GMEM_GUEST_UNSHARE, .addr = gpa_of(0), .size = 2 * PAGE },
		{ .op = GMEM_GUEST_CHECK, .addr = gpa_of(0), .size = 2 * PAGE, .value = 7 },
	};
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	if (keep_policy(&env) == READABLE)
		ASSERT_OK(gmem_guest_exec(env_vcpu(&env, 0), cmds, 5, READABLE, NULL));
	else
		ASSERT_RET(gmem_guest_exec(env_vcpu(&env, 0), cmds, 5, READABLE, NULL),
			   -EOPNOTSUPP);
	/* Under ZERO the third command finds zeros. */
	ASSERT_RET(gmem_guest_exec(env_vcpu(&env, 0), cmds, 5, ZERO, NULL), -EILSEQ);
	ASSERT_EQ(cmds[2].result, 2 * WORDS);
	ASSERT_EQ(cmds[2].bad_addr, gpa_of(0));
	ASSERT_EQ(cmds[2].bad_value, 0);
}

/* pKVM's hypercall has one code for all errors. */
static int refused(const struct variant *variant, int ret)
{
	return variant->guest_asks ? -EINVAL : ret;
}

HYPERCALL_TEST(guest_is_told_of_a_refusal)
{
	struct env env;

	if (variant->to_shared & 1u << ENCRYPTED)
		SKIP("the platform has ENCRYPTED");
	env_open(&env, variant, 2, IN_PLACE);
	guest_fill(&env, 0, 2, 0x100);
	ASSERT_RET(gmem_guest_share(env_vcpu(&env, 0), gpa_of(0), 2 * PAGE,
				    ENCRYPTED), refused(variant, -EOPNOTSUPP));
	ASSERT_STATE(&env, "pp");
	ASSERT_GUEST_READS(&env, 0, 2, 0x100);
	/* Memory that it does not have. */
	ASSERT_RET(gmem_guest_share(env_vcpu(&env, 0), TEST_GPA + (1ull << 34),
				    PAGE, ZERO), refused(variant, -ENXIO));
}

/* The exit itself, and a VMM that serves it in pieces. */
HYPERCALL_TEST(vmm_serves_one_request_by_several_calls)
{
	struct gmem_guest_cmd cmd = {
		.op = GMEM_GUEST_SHARE, .addr = gpa_of(1), .size = 6 * PAGE,
	};
	struct gmem_vcpu *vcpu;
	struct gmem_exit exit;
	struct env env;

	env_open(&env, variant, 8, IN_PLACE);
	vcpu = env_vcpu(&env, 0);
	guest_fill(&env, 0, 8, 0x100);
	ASSERT_OK(gmem_guest_start(vcpu, &cmd, 1, 1));
	do {
		ASSERT_OK(gmem_vcpu_run(vcpu, &exit));
	} while (exit.reason == KVM_EXIT_INTR);
	ASSERT_EQ(exit.reason, KVM_EXIT_HYPERCALL);
	ASSERT_EQ(exit.hypercall.nr, KVM_HC_MAP_GPA_RANGE);
	ASSERT_EQ(exit.hypercall.args[0], gpa_of(1));
	ASSERT_EQ(exit.hypercall.args[1], 6);
	ASSERT_EQ(exit.hypercall.args[2] & 1ull << 4, 0);
	ASSERT_OK(convert(&env, 1, 1, SHARED, KEEP));
	ASSERT_OK(convert(&env, 2, 4, SHARED, KEEP));
	ASSERT_OK(convert(&env, 6, 1, SHARED, KEEP));
	ASSERT_OK(gmem_vcpu_complete_hypercall(vcpu, 0));
	do {
		ASSERT_OK(gmem_vcpu_run(vcpu, &exit));
	} while (exit.reason == KVM_EXIT_INTR);
	ASSERT_EQ(exit.reason, GMEM_EXIT_GUEST_DONE);
	ASSERT_OK(gmem_guest_finish(vcpu, &cmd, 1, NULL));
	ASSERT_STATE(&env, "pssssssp");
	ASSERT_HOST_READS(&env, 1, 6, 0x100 + WORDS);
}

HYPERCALL_TEST(two_vcpus_convert_their_own_memory)
{
	struct env env;

	env_open(&env, variant, 8, IN_PLACE);
	for (uint64_t i = 0; i < 8; i++) {
		struct gmem_vcpu *vcpu = env_vcpu(&env, i & 1);

		ASSERT_OK(gmem_guest_fill(vcpu, gpa_of(i), PAGE, i << 16, 1));
		ASSERT_OK(guest_share(&env, i & 1, i, 1, KEEP));
		ASSERT_HOST_READS(&env, i, 1, i << 16);
	}
	ASSERT_STATE(&env, "ssssssss");
}
