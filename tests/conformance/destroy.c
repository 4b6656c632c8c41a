// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * DESTROY: a third state that nobody can access, and the way out of it.
 */
#include "env.h"

TEST(destroyed_page_is_unreadable_for_everybody)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	guest_fill(&env, 0, 4, 0x1000);
	ASSERT_OK(convert(&env, 0, 2, SHARED, KEEP));
	host_fill(&env, 0, 2, 0x2000);
	ASSERT_OK(convert(&env, 0, 2, SHARED, DESTROY));
	ASSERT_OK(convert(&env, 2, 2, PRIVATE, DESTROY));
	ASSERT_STATE(&env, "ddDD");
	for (uint64_t page = 0; page < 4; page++) {
		ASSERT_HOST_REFUSED(&env, page);
		ASSERT_GUEST_REFUSED(&env, page);
	}
	ASSERT_STATE(&env, "ddDD");
}

TEST(destroy_converts_every_page)
{
	struct env env;
	uint64_t pages;

	env_open(&env, variant, 4, IN_PLACE);
	ASSERT_OK(convert(&env, 0, 2, SHARED, ZERO));
	ASSERT_OK(convert_count(&env, 0, 4, SHARED, DESTROY, &pages));
	ASSERT_EQ(pages, 4);
	ASSERT_OK(convert_count(&env, 0, 4, SHARED, DESTROY, &pages));
	ASSERT_EQ(pages, 4);
	ASSERT_STATE(&env, "dddd");
	ASSERT_OK(convert_count(&env, 1, 2, PRIVATE, DESTROY, &pages));
	ASSERT_EQ(pages, 2);
	ASSERT_STATE(&env, "dDDd");
}

/* Every request converts a destroyed page, also one that names its attribute. */
TEST(destroyed_page_reads_zeros_whatever_converts_it)
{
	static const uint32_t policies[] = { ZERO, KEEP };
	struct env env;
	uint64_t pages;

	env_open(&env, variant, 2, IN_PLACE);
	for (int i = 0; i < 8; i++) {
		uint64_t from = i & 1 ? PRIVATE : SHARED;
		uint64_t to = i & 2 ? PRIVATE : SHARED;
		uint32_t policy = policies[i >> 2];

		if (lost_for_good(&env))
			env_reopen(&env, IN_PLACE);
		ASSERT_OK(convert(&env, 0, 2, SHARED, ZERO));
		host_fill(&env, 0, 2, 0x3000);
		ASSERT_OK(convert(&env, 0, 2, from, DESTROY));
		ASSERT_OK(convert_count(&env, 0, 2, to, policy, &pages));
		ASSERT_EQ(pages, 2);
		ASSERT_STATE(&env, to ? "pp" : "ss");
		if (!to)
			ASSERT_HOST_ZEROS(&env, 0, 2);
		ASSERT_GUEST_ZEROS(&env, 0, 2);
	}
}

TEST(destroyed_private_contents_do_not_come_back)
{
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	guest_fill(&env, 0, 2, 0x4000);
	ASSERT_OK(convert(&env, 0, 2, PRIVATE, DESTROY));
	if (lost_for_good(&env)) {
		ASSERT_RET(convert(&env, 0, 2, PRIVATE, KEEP), -EHWPOISON);
		/* EL2 refuses to share it, and the VMM does not hear of it. */
		ASSERT_RET(convert(&env, 0, 2, SHARED, KEEP), -EINVAL);
		ASSERT_STATE(&env, "DD");
		ASSERT_GUEST_REFUSED(&env, 0);
		ASSERT_HOST_REFUSED(&env, 0);
		return;
	}
	ASSERT_OK(convert(&env, 0, 2, PRIVATE, KEEP));
	ASSERT_STATE(&env, "pp");
	ASSERT_GUEST_ZEROS(&env, 0, 2);
}

TEST(encrypted_does_not_convert_a_destroyed_page)
{
	struct env env;

	if ((variant->to_shared | variant->to_private) & 1u << ENCRYPTED)
		SKIP("the platform has ENCRYPTED");
	env_open(&env, variant, 2, IN_PLACE);
	ASSERT_OK(convert(&env, 0, 2, SHARED, DESTROY));
	ASSERT_RET(convert(&env, 0, 2, SHARED, ENCRYPTED), -EOPNOTSUPP);
	ASSERT_RET(convert(&env, 0, 2, PRIVATE, ENCRYPTED), -EOPNOTSUPP);
	ASSERT_STATE(&env, "dd");
}

/* The access that faulted completes once the VMM has converted the page. */
TEST(guest_goes_on_after_destroyed_page_is_converted)
{
	struct gmem_guest_cmd cmd = {
		.op = GMEM_GUEST_LOAD, .addr = gpa_of(1), .size = 8,
	};
	struct gmem_exit exit;
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	/* What it never used is not lost for good. */
	if (!variant->guest_asks)
		guest_fill(&env, 0, 2, 0x5000);
	ASSERT_OK(convert(&env, 0, 2, PRIVATE, DESTROY));
	ASSERT_RET(gmem_guest_exec(env_vcpu(&env, 0), &cmd, 1, 0, &exit), -EFAULT);
	ASSERT_EQ(exit.memory_fault.gpa, gpa_of(1));
	ASSERT_OK(convert(&env, 1, 1, PRIVATE, KEEP));
	do {
		ASSERT_OK(gmem_vcpu_run(env_vcpu(&env, 0), &exit));
	} while (exit.reason == KVM_EXIT_INTR);
	ASSERT_EQ(exit.reason, GMEM_EXIT_GUEST_DONE);
	ASSERT_OK(gmem_guest_finish(env_vcpu(&env, 0), &cmd, 1, NULL));
	if (!variant->scrubs_to_private)
		ASSERT_EQ(cmd.result, 0);
	ASSERT_STATE(&env, "Dp");
}

/* 64 MiB; what else the machine does meanwhile is smaller. */
KERNEL_TEST(destroy_gives_memory_back)
{
	const uint64_t nr = 1ull << 14;
	uint64_t before, after;
	struct env env;

	env_open(&env, variant, nr, IN_PLACE_SHARED);
	for (uint64_t page = 0; page < nr; page++)
		*(volatile uint64_t *)addr_of(&env, page) = page;
	before = cached_memory();
	ASSERT(before >= nr * PAGE);
	ASSERT_OK(convert(&env, 0, nr, PRIVATE, DESTROY));
	after = cached_memory();
	if (after + nr * PAGE / 4 * 3 > before)
		FAIL("files held %llu KiB before and hold %llu KiB",
		     (unsigned long long)before / 1024,
		     (unsigned long long)after / 1024);
	ASSERT_UNIFORM(&env, 0, nr, 'D');
}

TEST(punched_hole_in_destroyed_memory_stays_destroyed)
{
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	ASSERT_OK(convert(&env, 0, 2, SHARED, DESTROY));
	ASSERT_OK(gmem_file_punch_hole(env.file, 0, 2 * PAGE));
	ASSERT_STATE(&env, "dd");
	ASSERT_HOST_REFUSED(&env, 0);
	ASSERT_GUEST_REFUSED(&env, 0);
	ASSERT_OK(convert(&env, 0, 2, SHARED, KEEP));
	ASSERT_HOST_ZEROS(&env, 0, 2);
}
