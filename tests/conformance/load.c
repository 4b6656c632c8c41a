// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The initial payload.
 */
#include "env.h"

TEST(payload_is_there_when_the_guest_starts)
{
	static uint64_t payload[4 * WORDS];
	struct gmem_guest_cmd check = {
		.op = GMEM_GUEST_CHECK, .addr = gpa_of(1), .size = 3 * PAGE + PAGE / 2,
		.value = 0x1000, .step = 1,
	};
	struct gmem_exit exit;
	struct env env;

	env_open(&env, variant, 6, IN_PLACE);
	ASSERT_OK(convert(&env, 2, 2, SHARED, ZERO));
	for (uint64_t i = 0; i < 4 * WORDS; i++)
		payload[i] = 0x1000 + i;
	/* Private, shared, and the half of a private page. */
	ASSERT_OK(gmem_vm_load(env.vm, gpa_of(1), payload, 3 * PAGE + PAGE / 2));
	ASSERT_STATE(&env, "ppsspp");
	ASSERT_HOST_REFUSED(&env, 1);
	ASSERT_HOST_READS(&env, 2, 2, 0x1000 + WORDS);
	ASSERT_HOST_REFUSED(&env, 4);
	ASSERT_OK(guest_command(&env, env_vcpu(&env, 0), &check, &exit));
	ASSERT_OK(gmem_guest_check(env.vcpus[0], gpa_of(4) + PAGE / 2, PAGE / 2, 0, 0));
	/* It is the guest's memory as any other. */
	ASSERT_OK(convert(&env, 0, 6, SHARED, ZERO));
	ASSERT_HOST_ZEROS(&env, 0, 2);
	ASSERT_HOST_READS(&env, 2, 2, 0x1000 + WORDS);
	ASSERT_HOST_ZEROS(&env, 4, 2);
}

TEST(refuses_payload_that_has_no_place)
{
	uint64_t payload[WORDS] = { 1 };
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	ASSERT_RET(gmem_vm_load(NULL, gpa_of(0), payload, PAGE), -EINVAL);
	ASSERT_RET(gmem_vm_load(env.vm, gpa_of(0), NULL, PAGE), -EINVAL);
	ASSERT_RET(gmem_vm_load(env.vm, gpa_of(0), payload, 0), -EINVAL);
	ASSERT_RET(gmem_vm_load(env.vm, gpa_of(0) + 8, payload, PAGE), -EINVAL);
	ASSERT_RET(gmem_vm_load(env.vm, gpa_of(2), payload, PAGE), -ENXIO);
	ASSERT_OK(convert(&env, 1, 1, PRIVATE, DESTROY));
	ASSERT_RET(gmem_vm_load(env.vm, gpa_of(1), payload, PAGE), -EINVAL);
	ASSERT_STATE(&env, "pD");
	ASSERT_GUEST_ZEROS(&env, 0, 1);
}
