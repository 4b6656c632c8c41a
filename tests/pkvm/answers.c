// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * What the VMM does about a request, what it says, and what the guest is told: what is
 * so, in SMCCC's words, and never the VMM's.
 */
#include <errno.h>

#include "kinds.h"

#define PAGES	8

/* A request for all from @first on, of which the VMM does @done; then it says @ret. */
static void answer(struct world *world, uint64_t function, uint64_t first, uint64_t done,
		   uint64_t ret)
{
	const uint64_t gpa = RAM_GPA + first * PAGE, pages = PAGES - first;

	ASSERT_EQ(vcpu_call(world->vcpu, function, gpa, pages, 0), KVM_EXIT_HYPERCALL);
	ASSERT_EQ(world->vcpu->run->hypercall.args[1], pages);
	if (done)
		ASSERT_OK(convert_as_asked(&world->memory, function, first, done));
	ASSERT_EQ(vcpu_answer(world->vcpu, ret), DID);
	ASSERT_EQ(world->vcpu->x1, done);
}

/* The page is the guest's own, and nobody has a request for it. */
static void is_private(struct world *world, uint64_t page)
{
	ASSERT_RET(to_shared(&world->memory, page, 1), -EPERM);
	ASSERT_EQ(vcpu_call(world->vcpu, MEM_UNSHARE, RAM_GPA + page * PAGE, 0, 0), DID);
	ASSERT_EQ(world->vcpu->x0, INVALID);
}

static void open_filled(struct world *world)
{
	world_open(world, OF_A_FILE, PAGES);
	guest_fill(world->vcpu, &world->memory, 0, PAGES);
}

PKVM_TEST(guest_learns_what_was_shared)
{
	struct world world;

	(void)variant;
	open_filled(&world);
	/* Nothing, whatever it says. */
	answer(&world, MEM_SHARE, 0, 0, 0);
	ASSERT_EQ(world.vcpu->x0, INVALID);
	answer(&world, MEM_SHARE, 0, 0, -77ull);
	ASSERT_EQ(world.vcpu->x0, INVALID);
	answer(&world, MEM_SHARE, 0, 0, 5);
	ASSERT_EQ(world.vcpu->x0, INVALID);
	for (uint64_t page = 0; page < PAGES; page++)
		is_private(&world, page);

	/* A part, and the rest is for another call. */
	answer(&world, MEM_SHARE, 0, 3, 0);
	ASSERT_EQ(world.vcpu->x0, SUCCESS);
	world_shows(&world, 3);
	is_private(&world, 3);
	/* A part, and it declines the rest. */
	answer(&world, MEM_SHARE, 3, 2, -13ull);
	ASSERT_EQ(world.vcpu->x0, INVALID);
	world_shows(&world, 5);
	is_private(&world, 5);
	/* All, so there is nothing to decline. */
	answer(&world, MEM_SHARE, 5, PAGES - 5, -13ull);
	ASSERT_EQ(world.vcpu->x0, SUCCESS);
	world_shows(&world, PAGES);
}

PKVM_TEST(guest_learns_what_was_unshared)
{
	struct world world;

	(void)variant;
	open_filled(&world);
	world_call_all(&world, MEM_SHARE, 0, PAGES);
	answer(&world, MEM_UNSHARE, 0, 0, 0);
	ASSERT_EQ(world.vcpu->x0, INVALID);
	answer(&world, MEM_UNSHARE, 0, 0, -77ull);
	ASSERT_EQ(world.vcpu->x0, INVALID);
	world_shows(&world, PAGES);
	answer(&world, MEM_UNSHARE, 0, 3, 0);
	ASSERT_EQ(world.vcpu->x0, SUCCESS);
	world_shows(&world, PAGES - 3);
	answer(&world, MEM_UNSHARE, 0, 5, 1);
	ASSERT_EQ(world.vcpu->x0, INVALID);
	world_shows(&world, PAGES - 5);
	answer(&world, MEM_UNSHARE, 0, PAGES, 1);
	ASSERT_EQ(world.vcpu->x0, SUCCESS);
	world_shows(&world, 0);
	guest_has(world.vcpu, &world.memory, 0, PAGES);
}

PKVM_TEST(guest_learns_nothing_but_the_error_of_one_page)
{
	struct world world;

	(void)variant;
	open_filled(&world);
	ASSERT_EQ(vcpu_call(world.vcpu, MEM_SHARE, RAM_GPA, 0, 0), KVM_EXIT_HYPERCALL);
	ASSERT_EQ(world.vcpu->run->hypercall.args[1], 1);
	ASSERT_EQ(vcpu_answer(world.vcpu, -77ull), DID);
	ASSERT_EQ(world.vcpu->x0, INVALID);
	ASSERT_EQ(world.vcpu->x1, 0);
	is_private(&world, 0);
	world_shows(&world, 0);
}

/* A part from the front, not more and not another. */
PKVM_TEST(vmm_converts_what_was_asked_for_only)
{
	struct world world;

	(void)variant;
	open_filled(&world);
	ASSERT_EQ(vcpu_call(world.vcpu, MEM_SHARE, RAM_GPA + 2 * PAGE, 3, 0),
		  KVM_EXIT_HYPERCALL);
	ASSERT_RET(to_shared(&world.memory, 0, 3), -EPERM);
	ASSERT_RET(to_shared(&world.memory, 2, 4), -EPERM);
	ASSERT_RET(to_shared(&world.memory, 3, 2), -EPERM);
	ASSERT_RET(to_private(&world.memory, 2, 3), -EPERM);
	world_shows(&world, 0);
	ASSERT_OK(to_shared(&world.memory, 2, 1));
	ASSERT_RET(to_shared(&world.memory, 2, 1), -EPERM);
	ASSERT_OK(to_shared(&world.memory, 3, 2));
	ASSERT_RET(to_shared(&world.memory, 2, 3), -EPERM);
	ASSERT_EQ(vcpu_answer(world.vcpu, 0), DID);
	ASSERT_EQ(world.vcpu->x0, SUCCESS);
	ASSERT_EQ(world.vcpu->x1, 3);
	world_shows(&world, 3);
}

/* ---- memory that was destroyed before the guest ran ---- */

static void destroy(struct memory *memory, uint64_t first, uint64_t pages)
{
	struct kvm_memory_attributes2 args = {
		.offset = first * PAGE, .size = pages * PAGE,
		.content_policy = SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY,
	};

	ASSERT_OK(control(memory->file, KVM_SET_MEMORY_ATTRIBUTES2, &args));
}

/* Two that the guest has, two that were destroyed, four that it never touched. */
static void open_destroyed(struct world *world)
{
	world_open(world, OF_A_FILE, PAGES);
	destroy(&world->memory, 2, 2);
	guest_fill(world->vcpu, &world->memory, 0, 2);
}

PKVM_TEST(call_stops_where_destroyed_pages_begin_and_end)
{
	static const uint64_t ends[] = { 2, 4, 8 };
	struct world world;
	uint64_t first = 0;

	(void)variant;
	open_destroyed(&world);
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(world_call(&world, MEM_SHARE, first, PAGES - first), SUCCESS);
		first += world.vcpu->x1;
		ASSERT_EQ(first, ends[i]);
	}
	/* They were given to the guest, shared. */
	guest_fill(world.vcpu, &world.memory, 2, PAGES - 2);
	world_shows(&world, PAGES);
	world_call_all(&world, MEM_UNSHARE, 0, PAGES);
	world_shows(&world, 0);
	guest_has(world.vcpu, &world.memory, 0, PAGES);
}

PKVM_TEST(destroyed_pages_that_the_vmm_leaves_are_not_shared)
{
	struct world world;

	(void)variant;
	open_destroyed(&world);
	ASSERT_EQ(vcpu_call(world.vcpu, MEM_SHARE, RAM_GPA + 2 * PAGE, 6, 0),
		  KVM_EXIT_HYPERCALL);
	ASSERT_EQ(world.vcpu->run->hypercall.args[1], 2);
	ASSERT_EQ(vcpu_answer(world.vcpu, 0), DID);
	ASSERT_EQ(world.vcpu->x0, INVALID);
	ASSERT_EQ(world.vcpu->x1, 0);
	ASSERT_RET(to_shared(&world.memory, 2, 2), -EPERM);

	/* One of the two. */
	ASSERT_EQ(vcpu_call(world.vcpu, MEM_SHARE, RAM_GPA + 2 * PAGE, 6, 0),
		  KVM_EXIT_HYPERCALL);
	ASSERT_OK(to_shared(&world.memory, 2, 1));
	ASSERT_EQ(vcpu_answer(world.vcpu, 0), DID);
	ASSERT_EQ(world.vcpu->x0, SUCCESS);
	ASSERT_EQ(world.vcpu->x1, 1);
	guest_fill(world.vcpu, &world.memory, 2, 1);
	world_shows(&world, 1);
}
