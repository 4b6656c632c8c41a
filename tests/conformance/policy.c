// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The policy table, and what the next reader reads.
 */
#include <string.h>

#include "env.h"

#define NR_POLICIES	4

TEST(capabilities_tell_the_policy_table)
{
	struct gmem_caps caps = { .size = sizeof(caps) };
	struct env env;

	env_open_vm(&env, variant);
	ASSERT_OK(gmem_vm_caps(env.vm, &caps));
	ASSERT(caps.vm_available && caps.guest_memfd && caps.convert);
	ASSERT_EQ(caps.attributes, KVM_MEMORY_ATTRIBUTE_PRIVATE);
	ASSERT_EQ(caps.to_shared, variant->to_shared);
	ASSERT_EQ(caps.to_private, variant->to_private);
	ASSERT(!caps.scrubs_to_shared);
	ASSERT_EQ(caps.scrubs_to_private, variant->scrubs_to_private);
}

TEST(every_cell_of_the_policy_table_answers_as_announced)
{
	struct env env;
	uint64_t pages;

	env_open(&env, variant, 2, IN_PLACE);
	for (uint32_t policy = 0; policy < NR_POLICIES; policy++) {
		for (int to_private = 0; to_private < 2; to_private++) {
			uint64_t to = to_private ? PRIVATE : SHARED;
			uint64_t from = to_private ? SHARED : PRIVATE;
			uint32_t offered = to_private ? variant->to_private :
					   variant->to_shared;
			bool ok = offered >> policy & 1;
			const char *want;

			/* From DESTROY every page has to be converted. */
			ASSERT_OK(convert(&env, 0, 2, from, DESTROY));
			ASSERT_OK(convert(&env, 0, 2, from, ZERO));
			pages = 77;
			ASSERT_RET(convert_count(&env, 0, 2, to, policy, &pages),
				   ok ? 0 : -EOPNOTSUPP);
			ASSERT_EQ(pages, ok ? 2 : 0);
			if (!ok)
				want = to_private ? "ss" : "pp";
			else if (policy == DESTROY)
				want = to_private ? "DD" : "dd";
			else
				want = to_private ? "pp" : "ss";
			ASSERT_STATE(&env, want);
		}
	}
}

TEST(file_starts_private)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	ASSERT_STATE(&env, "pppp");
	ASSERT_HOST_REFUSED(&env, 0);
	ASSERT_GUEST_ZEROS(&env, 0, 4);
}

TEST(file_starts_shared_if_asked)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE_SHARED);
	ASSERT_STATE(&env, "ssss");
	ASSERT_HOST_ZEROS(&env, 0, 4);
	host_fill(&env, 0, 4, 0x1000);
	ASSERT_GUEST_READS(&env, 0, 4, 0x1000);
}

TEST(omitted_policy_is_zero)
{
	struct kvm_memory_attributes2 args;
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	guest_fill(&env, 0, 2, 0x1111);
	memset(&args, 0, sizeof(args));
	args.size = 2 * PAGE;
	args.error_offset = 0x123;
	ASSERT_OK(convert_args(&env, &args));
	ASSERT_EQ(args.converted, 2 * PAGE);
	/* Written on failure only. */
	ASSERT_EQ(args.error_offset, 0x123);
	ASSERT_STATE(&env, "ss");
	ASSERT_HOST_ZEROS(&env, 0, 2);
}

TEST(zero_to_shared_reads_zeros_for_host)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	guest_fill(&env, 0, 4, 0x2222);
	ASSERT_OK(convert(&env, 0, 4, SHARED, ZERO));
	ASSERT_STATE(&env, "ssss");
	ASSERT_HOST_ZEROS(&env, 0, 4);
	ASSERT_GUEST_ZEROS(&env, 0, 4);
}

TEST(zero_to_shared_reads_zeros_for_guest)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	guest_fill(&env, 0, 4, 0x2222);
	ASSERT_OK(convert(&env, 0, 4, SHARED, ZERO));
	ASSERT_GUEST_ZEROS(&env, 0, 4);
	ASSERT_HOST_ZEROS(&env, 0, 4);
}

TEST(zero_to_private_reads_zeros_for_guest)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE_SHARED);
	host_fill(&env, 0, 4, 0x3333);
	ASSERT_OK(convert(&env, 0, 4, PRIVATE, ZERO));
	ASSERT_STATE(&env, "pppp");
	ASSERT_HOST_REFUSED(&env, 3);
	ASSERT_GUEST_ZEROS(&env, 0, 4);
}

/* Where others gave up: nobody touches the pages between two conversions. */
TEST(zero_round_trip_without_access_reads_zeros)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE_SHARED);
	host_fill(&env, 0, 4, 0x4444);
	ASSERT_OK(convert(&env, 0, 4, PRIVATE, ZERO));
	ASSERT_OK(convert(&env, 0, 4, SHARED, ZERO));
	ASSERT_HOST_ZEROS(&env, 0, 4);

	guest_fill(&env, 0, 4, 0x5555);
	ASSERT_OK(convert(&env, 0, 4, PRIVATE, ZERO));
	ASSERT_OK(convert(&env, 0, 4, SHARED, ZERO));
	ASSERT_OK(convert(&env, 0, 4, PRIVATE, ZERO));
	ASSERT_GUEST_ZEROS(&env, 0, 4);
}

TEST(readable_keeps_owed_zeros)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE_SHARED);
	host_fill(&env, 0, 4, 0x6666);
	ASSERT_OK(convert(&env, 0, 4, PRIVATE, ZERO));
	ASSERT_OK(convert(&env, 0, 4, SHARED, KEEP));
	ASSERT_OK(convert(&env, 0, 2, PRIVATE, KEEP));
	ASSERT_STATE(&env, "ppss");
	ASSERT_GUEST_ZEROS(&env, 0, 2);
	ASSERT_HOST_ZEROS(&env, 2, 2);
}

TEST(zeros_are_owed_once)
{
	struct env env;

	env_open(&env, variant, 2, IN_PLACE_SHARED);
	host_fill(&env, 0, 2, 0x7777);
	ASSERT_OK(convert(&env, 0, 2, PRIVATE, ZERO));
	guest_fill(&env, 0, 2, 0x8888);
	ASSERT_GUEST_READS(&env, 0, 2, 0x8888);
	ASSERT_OK(convert(&env, 0, 2, SHARED, KEEP));
	ASSERT_HOST_READS(&env, 0, 2, 0x8888);
	host_fill(&env, 0, 2, 0x9999);
	ASSERT_OK(convert(&env, 0, 2, PRIVATE, KEEP));
	ASSERT_GUEST_READS(&env, 0, 2, 0x9999);
}

TEST(untouched_pages_read_zeros)
{
	struct env env;

	env_open(&env, variant, 8, IN_PLACE);
	ASSERT_OK(convert(&env, 0, 4, SHARED, ZERO));
	ASSERT_OK(convert(&env, 4, 4, SHARED, KEEP));
	ASSERT_OK(convert(&env, 2, 4, PRIVATE, KEEP));
	ASSERT_STATE(&env, "ssppppss");
	ASSERT_HOST_ZEROS(&env, 0, 2);
	ASSERT_GUEST_ZEROS(&env, 0, 8);
	ASSERT_HOST_ZEROS(&env, 6, 2);
}

TEST(zero_on_half_touched_range_reads_zeros)
{
	struct env env;

	env_open(&env, variant, 64, IN_PLACE);
	for (uint64_t page = 0; page < 64; page += 2)
		guest_fill(&env, page, 1, 0xabc);
	ASSERT_OK(convert(&env, 0, 64, SHARED, ZERO));
	for (uint64_t page = 0; page < 64; page += 3)
		host_fill(&env, page, 1, 0xdef);
	ASSERT_OK(convert(&env, 0, 64, PRIVATE, ZERO));
	ASSERT_GUEST_ZEROS(&env, 0, 64);
}

TEST(zero_wipes_a_partly_written_page)
{
	struct env env;

	env_open(&env, variant, 1, IN_PLACE);
	ASSERT_OK(gmem_guest_store(env_vcpu(&env, 0), gpa_of(0) + 0xff8, 0x123));
	ASSERT_OK(convert(&env, 0, 1, SHARED, ZERO));
	ASSERT_HOST_ZEROS(&env, 0, 1);
	*(volatile uint64_t *)(addr_of(&env, 0) + 0x800) = 0x456;
	ASSERT_OK(convert(&env, 0, 1, PRIVATE, ZERO));
	ASSERT_GUEST_ZEROS(&env, 0, 1);
}

TEST(readable_keeps_bytes_both_ways)
{
	struct env env;

	env_open(&env, variant, 16, IN_PLACE);
	guest_fill(&env, 0, 16, 0x1234000);
	if (keep_policy(&env) != READABLE) {
		ASSERT_RET(convert(&env, 0, 16, SHARED, READABLE), -EOPNOTSUPP);
		ASSERT_UNIFORM(&env, 0, 16, 'p');
		ASSERT_GUEST_READS(&env, 0, 16, 0x1234000);
		ASSERT_HOST_REFUSED(&env, 7);
		ASSERT_OK(convert(&env, 0, 16, SHARED, ZERO));
		host_fill(&env, 0, 16, 0x5678000);
		ASSERT_RET(convert(&env, 0, 16, PRIVATE, READABLE), -EOPNOTSUPP);
		ASSERT_UNIFORM(&env, 0, 16, 's');
		ASSERT_HOST_READS(&env, 0, 16, 0x5678000);
		return;
	}
	ASSERT_OK(convert(&env, 0, 16, SHARED, KEEP));
	ASSERT_HOST_READS(&env, 0, 16, 0x1234000);
	ASSERT_GUEST_READS(&env, 0, 16, 0x1234000);
	host_fill(&env, 0, 16, 0x5678000);
	ASSERT_OK(convert(&env, 0, 16, PRIVATE, KEEP));
	ASSERT_GUEST_READS(&env, 0, 16, 0x5678000);
	ASSERT_HOST_REFUSED(&env, 7);
}

/* A private page has no mapping to ask; it is shared before and after. */
KERNEL_TEST(round_trip_keeps_the_page_frame)
{
	static const uint32_t policies[] = { READABLE, ZERO };
	uint64_t before[4];
	struct env env;

	env_open(&env, variant, 4, IN_PLACE_SHARED);
	for (int i = 0; i < 2; i++) {
		host_fill(&env, 0, 4, 0x777);
		for (uint64_t page = 0; page < 4; page++) {
			before[page] = frame_of(addr_of(&env, page));
			if (!before[page])
				SKIP("/proc/self/pagemap hides page frames");
		}
		ASSERT_OK(convert(&env, 0, 4, PRIVATE, policies[i]));
		ASSERT_EQ(frame_of(addr_of(&env, 0)), 0);
		guest_fill(&env, 0, 4, 0x888);
		ASSERT_OK(convert(&env, 0, 4, SHARED, policies[i]));
		for (uint64_t page = 0; page < 4; page++) {
			ASSERT_OK(try_read(addr_of(&env, page), NULL, NULL));
			ASSERT_EQ(frame_of(addr_of(&env, page)), before[page]);
		}
	}
}

TEST(page_that_has_the_attribute_is_left_alone)
{
	static const uint32_t policies[] = { ZERO, KEEP };
	struct env env;
	uint64_t pages;

	env_open(&env, variant, 4, IN_PLACE);
	ASSERT_OK(convert(&env, 0, 2, SHARED, ZERO));
	host_fill(&env, 0, 2, 0x10);
	guest_fill(&env, 2, 2, 0x20);
	for (int i = 0; i < 2; i++) {
		ASSERT_OK(convert_count(&env, 0, 2, SHARED, policies[i], &pages));
		ASSERT_EQ(pages, 0);
		ASSERT_OK(convert_count(&env, 2, 2, PRIVATE, policies[i], &pages));
		ASSERT_EQ(pages, 0);
		ASSERT_STATE(&env, "sspp");
		ASSERT_HOST_READS(&env, 0, 2, 0x10);
		ASSERT_GUEST_READS(&env, 2, 2, 0x20);
	}
}

/* What it owes, it still owes. */
TEST(page_that_has_the_attribute_still_owes_zeros)
{
	struct env env;
	uint64_t pages;

	env_open(&env, variant, 1, IN_PLACE_SHARED);
	host_fill(&env, 0, 1, 0x10);
	ASSERT_OK(convert(&env, 0, 1, PRIVATE, ZERO));
	ASSERT_OK(convert_count(&env, 0, 1, PRIVATE, KEEP, &pages));
	ASSERT_EQ(pages, 0);
	ASSERT_GUEST_ZEROS(&env, 0, 1);
}

KERNEL_TEST(page_that_has_the_attribute_stays_mapped)
{
	struct env env;

	env_open(&env, variant, 2, IN_PLACE_SHARED);
	host_fill(&env, 0, 2, 1);
	if (!frame_of(addr_of(&env, 0)))
		SKIP("/proc/self/pagemap hides page frames");
	ASSERT_OK(convert(&env, 1, 1, PRIVATE, ZERO));
	ASSERT_OK(convert(&env, 0, 2, SHARED, ZERO));
	ASSERT(frame_of(addr_of(&env, 0)) != 0);
}

TEST(mixed_range_converts_the_rest)
{
	struct env env;
	uint64_t pages;

	env_open(&env, variant, 6, IN_PLACE);
	ASSERT_OK(convert(&env, 0, 6, SHARED, ZERO));
	host_fill(&env, 0, 6, 0x30000);
	ASSERT_OK(convert(&env, 1, 2, PRIVATE, KEEP));
	ASSERT_OK(convert(&env, 4, 1, PRIVATE, KEEP));
	ASSERT_STATE(&env, "sppsps");

	ASSERT_OK(convert_count(&env, 0, 6, PRIVATE, ZERO, &pages));
	ASSERT_EQ(pages, 3);
	ASSERT_STATE(&env, "pppppp");
	ASSERT_GUEST_ZEROS(&env, 0, 1);
	ASSERT_GUEST_READS(&env, 1, 2, 0x30000 + WORDS);
	ASSERT_GUEST_ZEROS(&env, 3, 1);
	ASSERT_GUEST_READS(&env, 4, 1, 0x30000 + 4 * WORDS);
	ASSERT_GUEST_ZEROS(&env, 5, 1);
}

TEST(mixed_range_towards_shared_converts_the_rest)
{
	struct env env;
	uint64_t pages;

	env_open(&env, variant, 4, IN_PLACE);
	guest_fill(&env, 0, 3, 0x40000);
	ASSERT_OK(convert(&env, 1, 1, SHARED, KEEP));
	if (lost_for_good(&env)) {
		/* A destroyed page would not convert. */
		ASSERT_OK(convert_count(&env, 0, 3, SHARED, KEEP, &pages));
		ASSERT_EQ(pages, 2);
		ASSERT_HOST_READS(&env, 0, 3, 0x40000);
		return;
	}
	guest_fill(&env, 3, 1, 0x40000);
	ASSERT_OK(convert(&env, 3, 1, SHARED, DESTROY));
	ASSERT_STATE(&env, "pspd");

	ASSERT_OK(convert_count(&env, 0, 4, SHARED, KEEP, &pages));
	ASSERT_EQ(pages, 3);
	ASSERT_STATE(&env, "ssss");
	ASSERT_HOST_READS(&env, 0, 3, 0x40000);
	ASSERT_HOST_ZEROS(&env, 3, 1);
}

TEST(neighbours_of_a_range_keep_everything)
{
	struct env env;

	env_open(&env, variant, 5, IN_PLACE);
	guest_fill(&env, 0, 5, 0x50000);
	ASSERT_OK(convert(&env, 2, 1, SHARED, ZERO));
	ASSERT_STATE(&env, "ppspp");
	ASSERT_GUEST_READS(&env, 0, 2, 0x50000);
	ASSERT_GUEST_ZEROS(&env, 2, 1);
	ASSERT_GUEST_READS(&env, 3, 2, 0x50000 + 3 * WORDS);
	ASSERT_HOST_REFUSED(&env, 1);
	ASSERT_HOST_REFUSED(&env, 3);
}

/*
 * One page to 1 GiB; a page in 4 MiB is populated.  A guest that asks populates all
 * of it, and pKVM's EL2 shares page by page: there it is 32 MiB.
 */
TEST_WITH(ranges_of_every_size_convert, 0, 300)
{
	const uint64_t most = 1ull << (variant->kernel && variant->guest_asks ? 13 : 18);
	struct env env;
	uint64_t pages;
	bool kept;

	env_open(&env, variant, most, IN_PLACE);
	kept = keep_policy(&env) == READABLE;
	for (uint64_t nr = 1; nr <= most; nr = nr * 8 > most && nr < most ? most : nr * 8) {
		for (uint64_t page = 0; page < nr; page += 1024)
			ASSERT_OK(gmem_guest_store(env_vcpu(&env, 0), gpa_of(page),
						   page + 1));
		ASSERT_OK(convert_count(&env, 0, nr, SHARED, KEEP, &pages));
		ASSERT_EQ(pages, nr);
		ASSERT_UNIFORM(&env, 0, nr, 's');
		if (nr < most)
			ASSERT_UNIFORM(&env, nr, most - nr, 'p');
		for (uint64_t page = 0; page < nr; page += 1024)
			ASSERT_EQ(*(volatile uint64_t *)addr_of(&env, page),
				  kept ? page + 1 : 0);
		ASSERT_EQ(*(volatile uint64_t *)addr_of(&env, nr - 1),
			  (nr - 1) % 1024 || !kept ? 0 : nr);
		ASSERT_OK(convert_count(&env, 0, nr, PRIVATE, ZERO, &pages));
		ASSERT_EQ(pages, nr);
		ASSERT_UNIFORM(&env, 0, most, 'p');
	}
}

/* Nothing is populated but a few pages, so it costs next to nothing. */
TEST(sparse_256_gib_convert_as_one)
{
	const uint64_t nr = 1ull << 26;
	static const uint64_t touched[] = { 0, 513, 1ull << 18, (1ull << 26) - 1 };
	struct env env;
	uint64_t pages;

	env_open(&env, variant, nr, IN_PLACE);
	for (int i = 0; i < 4; i++) {
		if (!variant->guest_asks) {
			guest_fill(&env, touched[i], 1, 0x100 + touched[i]);
			continue;
		}
		/* More than a guest can ask for at once: before it runs. */
		ASSERT_OK(convert(&env, touched[i], 1, SHARED, ZERO));
		host_fill(&env, touched[i], 1, 0x100 + touched[i]);
		ASSERT_OK(convert(&env, touched[i], 1, PRIVATE, KEEP));
	}
	ASSERT_OK(convert_count(&env, 0, nr, SHARED, KEEP, &pages));
	ASSERT_EQ(pages, nr);
	ASSERT_UNIFORM(&env, 0, nr, 's');
	for (int i = 0; i < 4; i++)
		ASSERT_HOST_READS(&env, touched[i], 1, 0x100 + touched[i]);
	ASSERT_OK(convert(&env, 1, nr - 2, PRIVATE, ZERO));
	ASSERT_UNIFORM(&env, 0, 1, 's');
	ASSERT_UNIFORM(&env, 1, nr - 2, 'p');
	ASSERT_UNIFORM(&env, nr - 1, 1, 's');
	if (!variant->guest_asks)
		ASSERT_GUEST_ZEROS(&env, touched[1], 1);
	ASSERT_HOST_READS(&env, nr - 1, 1, 0x100 + nr - 1);
	ASSERT_OK(convert_count(&env, 0, nr, PRIVATE, DESTROY, &pages));
	ASSERT_EQ(pages, nr);
	ASSERT_UNIFORM(&env, 0, nr, 'D');
}

/* A request that a VMM splits, over several calls and out of order. */
TEST(split_request_ends_as_the_whole)
{
	struct env env;
	uint64_t pages;

	env_open(&env, variant, 16, IN_PLACE);
	guest_fill(&env, 0, 16, 0x60000);
	ASSERT_OK(convert_count(&env, 8, 8, SHARED, KEEP, &pages));
	ASSERT_EQ(pages, 8);
	ASSERT_OK(convert_count(&env, 0, 3, SHARED, KEEP, &pages));
	ASSERT_EQ(pages, 3);
	ASSERT_STATE(&env, "sssppppp" "ssssssss");
	ASSERT_OK(convert_count(&env, 2, 14, SHARED, KEEP, &pages));
	ASSERT_EQ(pages, 5);
	ASSERT_STATE(&env, "ssssssss" "ssssssss");
	ASSERT_HOST_READS(&env, 0, 16, 0x60000);
}

TEST(checkerboard_converts_page_by_page)
{
	uint64_t nr = 1200;	/* over two 2 MiB boundaries */
	struct env env;
	uint64_t pages;

	env_open(&env, variant, nr, IN_PLACE);
	for (uint64_t page = 0; page < nr; page += 2)
		ASSERT_OK(convert(&env, page, 1, SHARED, ZERO));
	for (uint64_t page = 0; page < nr; page++)
		ASSERT_UNIFORM(&env, page, 1, page % 2 ? 'p' : 's');
	ASSERT_OK(convert_count(&env, 0, nr, PRIVATE, ZERO, &pages));
	ASSERT_EQ(pages, nr / 2);
	ASSERT_UNIFORM(&env, 0, nr, 'p');
}
