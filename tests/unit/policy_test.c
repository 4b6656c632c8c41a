// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/* Policy rules: arguments, the support table, which page converts to what. */
#include "unit.h"
#include "policy.c"

#define ZERO		SET_MEMORY_ATTRIBUTES_CONTENT_ZERO
#define READABLE	SET_MEMORY_ATTRIBUTES_CONTENT_READABLE
#define ENCRYPTED	SET_MEMORY_ATTRIBUTES_CONTENT_ENCRYPTED
#define DESTROY		SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY

#define FILE_SIZE	(16 * 4096ull)

static struct kvm_memory_attributes2 good_args(void)
{
	return (struct kvm_memory_attributes2){ .offset = 4096, .size = 8192 };
}

static void accepts_zeroed_struct_with_a_range(void **state)
{
	struct kvm_memory_attributes2 args = good_args();

	assert_int_equal(gmem_args_check(&args, FILE_SIZE), 0);
}

static void accepts_every_known_value(void **state)
{
	struct kvm_memory_attributes2 args = good_args();

	args.attributes = KVM_MEMORY_ATTRIBUTE_PRIVATE;
	for (args.content_policy = 0; args.content_policy < 4; args.content_policy++)
		assert_int_equal(gmem_args_check(&args, FILE_SIZE), 0);
}

static void ignores_error_offset_on_entry(void **state)
{
	struct kvm_memory_attributes2 args = good_args();

	args.error_offset = ~0ull;
	assert_int_equal(gmem_args_check(&args, FILE_SIZE), 0);
}

static void accepts_ranges_up_to_the_last_byte(void **state)
{
	struct kvm_memory_attributes2 args = { .offset = 0, .size = FILE_SIZE };

	assert_int_equal(gmem_args_check(&args, FILE_SIZE), 0);
	args.offset = FILE_SIZE - 4096;
	args.size = 4096;
	assert_int_equal(gmem_args_check(&args, FILE_SIZE), 0);
}

static void refuses_bad_ranges(void **state)
{
	static const struct {
		u64 offset, size;
	} bad[] = {
		{ 0, 0 },
		{ 1, 4096 },
		{ 4096, 1 },
		{ 2048, 4096 },
		{ 4096, 6144 },
		{ 0, FILE_SIZE + 4096 },
		{ FILE_SIZE, 4096 },
		{ FILE_SIZE - 4096, 8192 },
		{ FILE_SIZE + 4096, 4096 },
		/* The end wraps: to nothing, to 4096, into the file. */
		{ -4096ull, 4096 },
		{ -4096ull, 8192 },
		{ 4096, -4096ull },
		{ 8192, -4096ull },
		{ 1ull << 63, 1ull << 63 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct kvm_memory_attributes2 args = {
			.offset = bad[i].offset,
			.size = bad[i].size,
		};

		assert_int_equal(gmem_args_check(&args, FILE_SIZE), -EINVAL);
	}
}

static void refuses_any_range_of_an_empty_file(void **state)
{
	struct kvm_memory_attributes2 args = { .size = 4096 };

	assert_int_equal(gmem_args_check(&args, 0), -EINVAL);
}

static void refuses_unknown_attributes_and_flags(void **state)
{
	for (int bit = 0; bit < 64; bit++) {
		struct kvm_memory_attributes2 args = good_args();

		args.attributes = 1ull << bit;
		assert_int_equal(gmem_args_check(&args, FILE_SIZE),
				 args.attributes == KVM_MEMORY_ATTRIBUTE_PRIVATE ?
				 0 : -EINVAL);

		args = good_args();
		args.flags = 1ull << bit;
		assert_int_equal(gmem_args_check(&args, FILE_SIZE), -EINVAL);
	}
}

static void refuses_unknown_policies(void **state)
{
	static const u32 bad[] = { 4, 5, 14, 255, 1u << 16, ~0u };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct kvm_memory_attributes2 args = good_args();

		args.content_policy = bad[i];
		assert_int_equal(gmem_args_check(&args, FILE_SIZE), -EINVAL);
		for (int p = 0; p < GMEM_NR_PLATFORMS; p++) {
			assert_int_equal(gmem_policy_check(p, bad[i], false), -EINVAL);
			assert_int_equal(gmem_policy_check(p, bad[i], true), -EINVAL);
		}
	}
}

/* Each byte behind the fields that may be set, one after the other. */
static void refuses_reserved_bytes(void **state)
{
	static const struct {
		size_t start, end;
	} reserved[] = {
		{ offsetof(struct kvm_memory_attributes2, reserved32),
		  offsetof(struct kvm_memory_attributes2, converted) },
		{ offsetof(struct kvm_memory_attributes2, converted),
		  offsetof(struct kvm_memory_attributes2, reserved) },
		{ offsetof(struct kvm_memory_attributes2, reserved),
		  sizeof(struct kvm_memory_attributes2) },
	};

	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++) {
		for (size_t at = reserved[i].start; at < reserved[i].end; at++) {
			struct kvm_memory_attributes2 args = good_args();

			((u8 *)&args)[at] = 1;
			assert_int_equal(gmem_args_check(&args, FILE_SIZE), -EINVAL);
		}
	}
}

/* The table of the documentation, written a second time. */
static const struct {
	int to_shared[4];
	int to_private[4];
	u32 caps;
} expected[GMEM_NR_PLATFORMS] = {
	[GMEM_PLATFORM_SW] = {
		{ 0, 0, -EOPNOTSUPP, 0 }, { 0, 0, -EOPNOTSUPP, 0 }, 0x000b000b,
	},
	[GMEM_PLATFORM_PKVM] = {
		{ 0, 0, -EOPNOTSUPP, 0 }, { 0, 0, -EOPNOTSUPP, 0 }, 0x000b000b,
	},
	[GMEM_PLATFORM_SNP] = {
		{ 0, -EOPNOTSUPP, -EOPNOTSUPP, 0 },
		{ 0, -EOPNOTSUPP, -EOPNOTSUPP, 0 }, 0x40090009,
	},
	[GMEM_PLATFORM_TDX] = {
		{ 0, -EOPNOTSUPP, -EOPNOTSUPP, 0 },
		{ 0, -EOPNOTSUPP, -EOPNOTSUPP, 0 }, 0x00090009,
	},
};

static void honours_what_the_table_says(void **state)
{
	for (int p = 0; p < GMEM_NR_PLATFORMS; p++) {
		for (u32 policy = 0; policy < 4; policy++) {
			assert_int_equal(gmem_policy_check(p, policy, false),
					 expected[p].to_shared[policy]);
			assert_int_equal(gmem_policy_check(p, policy, true),
					 expected[p].to_private[policy]);
		}
	}
}

static void refuses_encrypted_towards_private_everywhere(void **state)
{
	for (int p = 0; p < GMEM_NR_PLATFORMS; p++)
		assert_int_equal(gmem_policy_check(p, ENCRYPTED, true), -EOPNOTSUPP);
}

static void capabilities_agree_with_the_check(void **state)
{
	for (int p = 0; p < GMEM_NR_PLATFORMS; p++) {
		u32 caps = gmem_policy_caps(p);

		assert_int_equal(caps, expected[p].caps);
		for (u32 policy = 0; policy < 4; policy++) {
			assert_int_equal(!!(caps & 1u << policy),
					 !gmem_policy_check(p, policy, false));
			assert_int_equal(!!(caps & 1u << (16 + policy)),
					 !gmem_policy_check(p, policy, true));
		}
	}
}

static void only_snp_scrubs_towards_private(void **state)
{
	for (int p = 0; p < GMEM_NR_PLATFORMS; p++) {
		assert_int_equal(!!(gmem_policy_caps(p) & 1u << 30),
				 p == GMEM_PLATFORM_SNP);
		assert_false(gmem_policy_caps(p) & 1u << 14);
	}
}

static void target_state_follows_direction_and_destroy(void **state)
{
	for (u32 policy = 0; policy < 4; policy++) {
		unsigned int destroyed = policy == DESTROY ? GMEM_ATTR_DESTROYED : 0;

		assert_int_equal(gmem_policy_target(policy, false), destroyed);
		assert_int_equal(gmem_policy_target(policy, true),
				 destroyed | GMEM_ATTR_PRIVATE);
	}
}

static void leaves_pages_that_have_the_attribute_alone(void **state)
{
	for (u32 policy = ZERO; policy < DESTROY; policy++) {
		assert_false(gmem_policy_converts(policy, false, 0));
		assert_false(gmem_policy_converts(policy, true, GMEM_ATTR_PRIVATE));
		assert_true(gmem_policy_converts(policy, true, 0));
		assert_true(gmem_policy_converts(policy, false, GMEM_ATTR_PRIVATE));
	}
}

static void every_request_converts_a_destroyed_page(void **state)
{
	for (u32 policy = 0; policy < 4; policy++) {
		for (int dir = 0; dir < 2; dir++) {
			assert_true(gmem_policy_converts(policy, dir, GMEM_ATTR_DESTROYED));
			assert_true(gmem_policy_converts(policy, dir, GMEM_ATTR_DESTROYED |
							 GMEM_ATTR_PRIVATE));
		}
	}
}

static void destroy_converts_every_page(void **state)
{
	for (unsigned int attrs = 0; attrs <= GMEM_ATTR_MASK; attrs++) {
		assert_true(gmem_policy_converts(DESTROY, false, attrs));
		assert_true(gmem_policy_converts(DESTROY, true, attrs));
	}
}

static void destroyed_pages_come_back_as_zeros(void **state)
{
	for (unsigned int attrs = 0; attrs <= GMEM_ATTR_MASK; attrs++) {
		bool destroyed = attrs & GMEM_ATTR_DESTROYED;

		for (u32 policy = ZERO; policy < DESTROY; policy++)
			assert_int_equal(gmem_policy_content(policy, attrs),
					 destroyed ? ZERO : policy);
		assert_int_equal(gmem_policy_content(DESTROY, attrs), DESTROY);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_zeroed_struct_with_a_range),
		cmocka_unit_test(accepts_every_known_value),
		cmocka_unit_test(ignores_error_offset_on_entry),
		cmocka_unit_test(accepts_ranges_up_to_the_last_byte),
		cmocka_unit_test(refuses_bad_ranges),
		cmocka_unit_test(refuses_any_range_of_an_empty_file),
		cmocka_unit_test(refuses_unknown_attributes_and_flags),
		cmocka_unit_test(refuses_unknown_policies),
		cmocka_unit_test(refuses_reserved_bytes),
		cmocka_unit_test(honours_what_the_table_says),
		cmocka_unit_test(refuses_encrypted_towards_private_everywhere),
		cmocka_unit_test(capabilities_agree_with_the_check),
		cmocka_unit_test(only_snp_scrubs_towards_private),
		cmocka_unit_test(target_state_follows_direction_and_destroy),
		cmocka_unit_test(leaves_pages_that_have_the_attribute_alone),
		cmocka_unit_test(every_request_converts_a_destroyed_page),
		cmocka_unit_test(destroy_converts_every_page),
		cmocka_unit_test(destroyed_pages_come_back_as_zeros),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
