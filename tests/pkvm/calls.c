// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * What a protected guest is told of its calls, and which of them make no sense.
 */
#include "kinds.h"

#define PAGES	8

PKVM_TEST(meminfo_tells_of_ranges)
{
	struct world world;

	(void)variant;
	world_open(&world, ALONE, PAGES);
	ASSERT_EQ(vcpu_call(world.vcpu, HYP_MEMINFO, 0, 0, 0), DID);
	ASSERT_EQ(world.vcpu->x0, PAGE);
	ASSERT_EQ(world.vcpu->x1, HAS_RANGE);
	ASSERT_EQ(vcpu_call(world.vcpu, HYP_MEMINFO, 1, 0, 0), DID);
	ASSERT_EQ(world.vcpu->x0, INVALID);
	ASSERT_EQ(vcpu_call(world.vcpu, HYP_MEMINFO, 0, 0, 1), DID);
	ASSERT_EQ(world.vcpu->x0, INVALID);
}

/* Ranges have no number of their own there: the number is others' to define. */
PKVM_TEST(features_are_those_of_7_3)
{
	struct world world;

	(void)variant;
	world_open(&world, ALONE, PAGES);
	ASSERT_EQ(vcpu_call(world.vcpu, FEATURES, 0, 0, 0), DID);
	/* FEATURES, HYP_MEMINFO, MEM_SHARE, MEM_UNSHARE */
	ASSERT_EQ(world.vcpu->x0, 1 << 0 | 1 << 2 | 1 << 3 | 1 << 4);
	ASSERT_EQ(world.vcpu->x1, 0);
}

IN_EACH_KIND(refuses_calls_that_make_no_sense)
{
	static const struct { uint64_t x1, x2, x3; } calls[] = {
		{ RAM_GPA + 1, 0, 0 }, { RAM_GPA + 2048, 0, 0 },
		{ RAM_GPA + 1, 2, 0 }, { RAM_GPA + PAGE - 1, 2, 0 },
		{ RAM_GPA, 0, 1 }, { RAM_GPA, 2, 1 }, { RAM_GPA, 2, 1ull << 63 },
		/* Beyond the IPA space. */
		{ 1ull << IPA_BITS, 0, 0 }, { 1ull << IPA_BITS, 1, 0 },
		{ 1ull << 47, 2, 0 }, { 1ull << 63, 2, 0 },
		{ (1ull << IPA_BITS) + RAM_GPA, 1, 0 }, { (1ull << 52) + RAM_GPA, 0, 0 },
		/* Around the end of all. */
		{ -PAGE, 0, 0 }, { -PAGE, 1, 0 }, { -PAGE, 2, 0 }, { -PAGE, -1ull, 0 },
		{ -1ull, -1ull, -1ull },
	};
	struct world world;

	world_open(&world, kind, PAGES);
	guest_fill(world.vcpu, &world.memory, 0, PAGES);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		for (uint64_t function = MEM_SHARE; function <= MEM_UNSHARE; function++) {
			ASSERT_EQ(vcpu_call(world.vcpu, function, calls[i].x1, calls[i].x2,
					    calls[i].x3), DID);
			ASSERT_EQ(world.vcpu->x0, INVALID);
			ASSERT_EQ(world.vcpu->x1, 0);
			world_shows(&world, 0);
		}
	}
	guest_has(world.vcpu, &world.memory, 0, PAGES);
}

/* The call stops early, whatever the number is: nothing wraps. */
IN_EACH_KIND(numbers_of_pages_may_be_too_large)
{
	static const uint64_t numbers[] = {
		PAGES + 1, 1ull << 28, (1ull << 28) + 1, 1ull << 52, (1ull << 52) + 1,
		1ull << 63, -1ull,
	};
	struct world world;

	world_open(&world, kind, PAGES);
	guest_fill(world.vcpu, &world.memory, 0, PAGES);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		ASSERT_EQ(world_call(&world, MEM_SHARE, 2, numbers[i]), SUCCESS);
		ASSERT_EQ(world.vcpu->x1, PAGES - 2);
		world_shows(&world, PAGES - 2);
		ASSERT_EQ(world_call(&world, MEM_UNSHARE, 2, numbers[i]), SUCCESS);
		ASSERT(world.vcpu->x1 >= PAGES - 2);
		world_shows(&world, 0);
	}
	guest_has(world.vcpu, &world.memory, 0, PAGES);
}

/* Nobody is asked, not even where the VMM knows of conversions. */
IN_EACH_KIND(refuses_what_no_slot_backs)
{
	struct world world;

	world_open(&world, kind, PAGES);
	guest_fill(world.vcpu, &world.memory, 0, PAGES);
	for (uint64_t function = MEM_SHARE; function <= MEM_UNSHARE; function++) {
		/* EL2 knows no slots, and what the guest never had is not shared. */
		const bool is_so = function == MEM_UNSHARE && kind == ALONE;

		for (uint64_t pages = 1; pages < 4; pages++) {
			ASSERT_EQ(vcpu_call(world.vcpu, function, NOWHERE_GPA, pages, 0),
				  DID);
			ASSERT_EQ(world.vcpu->x0, is_so ? SUCCESS : INVALID);
			ASSERT_EQ(world.vcpu->x1, is_so ? pages : 0);
		}
	}
	/* The call of one page is what an access to nothing is in 7.3, a data abort. */
	if (kind != ALONE) {
		ASSERT_EQ(vcpu_call(world.vcpu, MEM_SHARE, NOWHERE_GPA, 0, 0), DID);
		ASSERT_EQ(world.vcpu->x0, INVALID);
	}
	ASSERT_EQ(vcpu_call(world.vcpu, MEM_UNSHARE, NOWHERE_GPA, 0, 0), DID);
	ASSERT_EQ(world.vcpu->x0, INVALID);
	ASSERT_EQ(world.vcpu->x1, 0);
	guest_has(world.vcpu, &world.memory, 0, PAGES);
}

/* ---- the call that 7.3 knows ---- */

IN_EACH_KIND(shares_one_page_as_in_7_3)
{
	struct world world;

	world_open(&world, kind, PAGES);
	guest_fill(world.vcpu, &world.memory, 0, PAGES - 1);
	ASSERT_EQ(world_call(&world, MEM_SHARE, 1, 0), SUCCESS);
	ASSERT_EQ(world.vcpu->x1, 0);
	world_shows(&world, 1);
	ASSERT_EQ(world_call(&world, MEM_UNSHARE, 1, 0), SUCCESS);
	ASSERT_EQ(world.vcpu->x1, 0);
	world_shows(&world, 0);
	guest_has(world.vcpu, &world.memory, 0, PAGES - 1);

	/* One that the guest never touched. */
	ASSERT_EQ(world_call(&world, MEM_SHARE, PAGES - 1, 0), SUCCESS);
	guest_fill(world.vcpu, &world.memory, PAGES - 1, 1);
	world_shows(&world, 1);
}

/* One page must not be so already; of a range, those are done. */
IN_EACH_KIND(page_that_is_so_already_counts_in_a_range_only)
{
	struct world world;

	world_open(&world, kind, PAGES);
	guest_fill(world.vcpu, &world.memory, 0, PAGES);
	ASSERT_EQ(vcpu_call(world.vcpu, MEM_UNSHARE, RAM_GPA + 2 * PAGE, 0, 0), DID);
	ASSERT_EQ(world.vcpu->x0, INVALID);
	ASSERT_EQ(world_call(&world, MEM_SHARE, 2, 0), SUCCESS);
	ASSERT_EQ(vcpu_call(world.vcpu, MEM_SHARE, RAM_GPA + 2 * PAGE, 0, 0), DID);
	ASSERT_EQ(world.vcpu->x0, INVALID);
	ASSERT_EQ(world.vcpu->x1, 0);
	world_shows(&world, 1);

	world_call_all(&world, MEM_SHARE, 2, 1);
	world_call_all(&world, MEM_SHARE, 0, PAGES);
	world_shows(&world, PAGES);
	world_call_all(&world, MEM_UNSHARE, 3, 1);
	world_call_all(&world, MEM_UNSHARE, 3, 1);
	world_shows(&world, PAGES - 1);
	world_call_all(&world, MEM_UNSHARE, 0, PAGES);
	world_shows(&world, 0);
	guest_has(world.vcpu, &world.memory, 0, PAGES);
}

/* ---- a guest that asks what its host knows ---- */

static void share_as_the_host_knows_how(struct world *world, uint64_t function)
{
	ASSERT_EQ(vcpu_call(world->vcpu, HYP_MEMINFO, 0, 0, 0), DID);
	if (world->vcpu->x0 == PAGE && world->vcpu->x1 & HAS_RANGE) {
		world_call_all(world, function, 0, PAGES);
		return;
	}
	for (uint64_t page = 0; page < PAGES; page++)
		ASSERT_EQ(world_call(world, function, page, 0), SUCCESS);
}

/* It works on hosts that know of no ranges as well. */
IN_EACH_KIND(guest_shares_as_the_host_knows_how)
{
	struct world world;

	world_open(&world, kind, PAGES);
	guest_fill(world.vcpu, &world.memory, 0, PAGES);
	share_as_the_host_knows_how(&world, MEM_SHARE);
	world_shows(&world, PAGES);
	share_as_the_host_knows_how(&world, MEM_UNSHARE);
	world_shows(&world, 0);
	guest_has(world.vcpu, &world.memory, 0, PAGES);
}

/* A guest that was written for 7.3, and knows of no ranges. */
IN_EACH_KIND(guest_of_7_3_shares_page_by_page)
{
	struct world world;

	world_open(&world, kind, PAGES);
	guest_fill(world.vcpu, &world.memory, 0, PAGES / 2);
	for (int round = 0; round < 2; round++) {
		for (uint64_t page = 0; page < PAGES; page++)
			ASSERT_EQ(world_call(&world, MEM_SHARE, page, 0), SUCCESS);
		guest_fill(world.vcpu, &world.memory, PAGES / 2, PAGES / 2);
		world_shows(&world, PAGES);
		for (uint64_t page = 0; page < PAGES; page++)
			ASSERT_EQ(world_call(&world, MEM_UNSHARE, page, 0), SUCCESS);
		world_shows(&world, 0);
	}
	guest_has(world.vcpu, &world.memory, 0, PAGES);
}
