// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Calls for several pages: how many are done, where a call stops, and who is asked.
 */
#include <errno.h>

#include "kinds.h"

#define PAGES	8

IN_EACH_KIND(shares_what_the_guest_has)
{
	struct world world;

	world_open(&world, kind, PAGES);
	guest_fill(world.vcpu, &world.memory, 0, PAGES);
	for (int round = 0; round < 2; round++) {
		ASSERT_EQ(world_call(&world, MEM_SHARE, 0, PAGES), SUCCESS);
		ASSERT_EQ(world.vcpu->x1, PAGES);
		world_shows(&world, PAGES);
		ASSERT_EQ(world_call(&world, MEM_UNSHARE, 0, PAGES), SUCCESS);
		ASSERT_EQ(world.vcpu->x1, PAGES);
		world_shows(&world, 0);
		guest_has(world.vcpu, &world.memory, 0, PAGES);
	}
	/* Not what is before and behind. */
	ASSERT_EQ(world_call(&world, MEM_SHARE, 2, 3), SUCCESS);
	ASSERT_EQ(world.vcpu->x1, 3);
	world_shows(&world, 3);
	ASSERT_EQ(host_finds(&world.memory, 2, 3), 3);
}

IN_EACH_KIND(shares_what_the_guest_never_touched)
{
	struct world world;
	uint64_t value = 1;

	world_open(&world, kind, PAGES);
	world_call_all(&world, MEM_SHARE, 0, PAGES);
	for (uint64_t page = 0; page < PAGES; page++) {
		ASSERT_OK(host_reads(&world.memory, page, &value));
		ASSERT_EQ(value, 0);
	}
	guest_fill(world.vcpu, &world.memory, 0, PAGES);
	world_shows(&world, PAGES);
	world_call_all(&world, MEM_UNSHARE, 0, PAGES);
	world_shows(&world, 0);
	guest_has(world.vcpu, &world.memory, 0, PAGES);
}

/*
 * Where pages differ a call may stop, so it takes some.  Three that it has, three that it
 * never touched, two that it has.
 */
IN_EACH_KIND(shares_what_the_guest_has_in_part)
{
	struct world world;

	world_open(&world, kind, PAGES);
	guest_fill(world.vcpu, &world.memory, 0, 3);
	guest_fill(world.vcpu, &world.memory, 6, 2);
	world_call_all(&world, MEM_SHARE, 0, PAGES);
	world_shows(&world, 5);
	guest_fill(world.vcpu, &world.memory, 3, 3);
	world_shows(&world, PAGES);
	world_call_all(&world, MEM_UNSHARE, 0, PAGES);
	world_shows(&world, 0);
	guest_has(world.vcpu, &world.memory, 0, PAGES);
}

/* The other way round. */
IN_EACH_KIND(shares_what_the_guest_has_in_the_middle)
{
	struct world world;

	world_open(&world, kind, PAGES);
	guest_fill(world.vcpu, &world.memory, 3, 2);
	world_call_all(&world, MEM_SHARE, 0, PAGES);
	world_shows(&world, 2);
	guest_fill(world.vcpu, &world.memory, 0, PAGES);
	world_shows(&world, PAGES);
}

/* Every other page is shared already. */
IN_EACH_KIND(does_what_is_so_in_part)
{
	struct world world;

	world_open(&world, kind, PAGES);
	guest_fill(world.vcpu, &world.memory, 0, PAGES);
	for (uint64_t page = 0; page < PAGES; page += 2)
		ASSERT_EQ(world_call(&world, MEM_SHARE, page, 1), SUCCESS);
	world_call_all(&world, MEM_SHARE, 0, PAGES);
	world_shows(&world, PAGES);
	for (uint64_t page = 1; page < PAGES; page += 2)
		ASSERT_EQ(world_call(&world, MEM_UNSHARE, page, 1), SUCCESS);
	world_shows(&world, PAGES / 2);
	world_call_all(&world, MEM_UNSHARE, 0, PAGES);
	world_shows(&world, 0);
	guest_has(world.vcpu, &world.memory, 0, PAGES);
}

/* Unsharing takes what was never touched for done. */
IN_EACH_KIND(unshares_around_what_is_shared)
{
	struct world world;

	world_open(&world, kind, PAGES);
	guest_fill(world.vcpu, &world.memory, 3, 1);
	world_call_all(&world, MEM_SHARE, 3, 1);
	world_shows(&world, 1);
	world_call_all(&world, MEM_UNSHARE, 0, PAGES);
	world_shows(&world, 0);
	guest_has(world.vcpu, &world.memory, 3, 1);
	guest_fill(world.vcpu, &world.memory, 0, PAGES);
	guest_has(world.vcpu, &world.memory, 0, PAGES);
}

IN_EACH_KIND(does_512_pages_in_a_call)
{
	const uint64_t pages = 2 * CALL_MAX_PAGES + 6;
	struct world world;

	world_open(&world, kind, pages);
	guest_fill(world.vcpu, &world.memory, 0, pages);
	for (uint64_t function = MEM_SHARE; function <= MEM_UNSHARE; function++) {
		ASSERT_EQ(world_call(&world, function, 1, pages - 1), SUCCESS);
		ASSERT_EQ(world.vcpu->x1, CALL_MAX_PAGES);
		ASSERT_EQ(host_finds(&world.memory, 0, pages),
			  function == MEM_SHARE ? CALL_MAX_PAGES : pages - 1 - CALL_MAX_PAGES);
		world_call_all(&world, function, 1 + CALL_MAX_PAGES,
			       pages - 1 - CALL_MAX_PAGES);
		world_shows(&world, function == MEM_SHARE ? pages - 1 : 0);
	}
	guest_has(world.vcpu, &world.memory, 0, pages);
}

IN_EACH_KIND(shares_many_pages_never_touched)
{
	const uint64_t pages = CALL_MAX_PAGES + 100;
	struct world world;

	world_open(&world, kind, pages);
	world_call_all(&world, MEM_SHARE, 0, pages);
	guest_fill(world.vcpu, &world.memory, 0, pages);
	world_shows(&world, pages);
	world_call_all(&world, MEM_UNSHARE, 0, pages);
	world_shows(&world, 0);
	guest_has(world.vcpu, &world.memory, 0, pages);
}

IN_EACH_KIND(stops_at_the_end_of_a_slot)
{
	struct world world;

	world_open(&world, kind, PAGES);
	guest_fill(world.vcpu, &world.memory, 0, PAGES);
	ASSERT_EQ(world_call(&world, MEM_SHARE, PAGES - 3, 100), SUCCESS);
	ASSERT_EQ(world.vcpu->x1, 3);
	world_shows(&world, 3);
	ASSERT_EQ(vcpu_call(world.vcpu, MEM_SHARE, RAM_GPA + PAGES * PAGE, 97, 0), DID);
	ASSERT_EQ(world.vcpu->x0, INVALID);
	ASSERT_EQ(world.vcpu->x1, 0);
}

/* ---- where memory of two kinds meets ---- */

struct border {
	struct machine machine;
	struct memory first, second;
	struct vcpu *vcpu;
};

/* PAGES / 2 of each, one behind the other; the guest has all. */
static void open_border(struct border *border, bool first_is_file, bool second_is_file)
{
	const uint64_t middle = RAM_GPA + PAGES / 2 * PAGE;

	machine_open(&border->machine);
	(first_is_file ? machine_add_file : machine_add_ram)
		(&border->machine, &border->first, RAM_GPA, PAGES / 2);
	(second_is_file ? machine_add_file : machine_add_ram)
		(&border->machine, &border->second, middle, PAGES / 2);
	border->vcpu = machine_add_vcpu(&border->machine, 0, false);
	guest_fill(border->vcpu, &border->first, 0, PAGES / 2);
	guest_fill(border->vcpu, &border->second, 0, PAGES / 2);
}

/* One call of as many as there are, from @memory on; it does @pages. */
static void call_does(struct border *border, uint64_t function, struct memory *memory,
		      uint64_t first, uint64_t pages)
{
	uint64_t gpa = memory->gpa + first * PAGE;
	long event = vcpu_call(border->vcpu, function, gpa, 2 * PAGES, 0);

	if (memory->file >= 0) {
		ASSERT_EQ(event, KVM_EXIT_HYPERCALL);
		ASSERT_EQ(border->vcpu->run->hypercall.args[0], gpa);
		ASSERT_EQ(border->vcpu->run->hypercall.args[1], pages);
		ASSERT_OK(convert_as_asked(memory, function, first, pages));
		event = vcpu_answer(border->vcpu, 0);
	}
	ASSERT_EQ(event, DID);
	ASSERT_EQ(border->vcpu->x0, SUCCESS);
	ASSERT_EQ(border->vcpu->x1, pages);
}

static void call_stops_at_border(bool first_is_file, bool second_is_file)
{
	struct border border;

	open_border(&border, first_is_file, second_is_file);
	call_does(&border, MEM_SHARE, &border.first, 1, PAGES / 2 - 1);
	ASSERT_EQ(host_finds(&border.first, 0, PAGES / 2), PAGES / 2 - 1);
	if (second_is_file) {
		/* Nothing is left over of what the call began with. */
		ASSERT_EQ(host_finds(&border.second, 0, PAGES / 2), 0);
		ASSERT_EQ(vcpu_call(border.vcpu, MEM_UNSHARE, border.second.gpa, 0, 0), DID);
		ASSERT_EQ(border.vcpu->x0, INVALID);
		ASSERT_RET(to_shared(&border.second, 0, 1), -EPERM);
	} else {
		/* EL2 knows no slots, and nobody else has a say: another call counts it. */
		ASSERT_EQ(host_finds(&border.second, 0, PAGES / 2), PAGES / 2);
	}

	call_does(&border, MEM_SHARE, &border.second, 0, PAGES / 2);
	ASSERT_EQ(host_finds(&border.second, 0, PAGES / 2), PAGES / 2);
	call_does(&border, MEM_UNSHARE, &border.first, 1, PAGES / 2 - 1);
	ASSERT_EQ(host_finds(&border.first, 0, PAGES / 2), 0);
	ASSERT_EQ(host_finds(&border.second, 0, PAGES / 2), PAGES / 2);
	call_does(&border, MEM_UNSHARE, &border.second, 0, PAGES / 2);
	ASSERT_EQ(host_finds(&border.second, 0, PAGES / 2), 0);
	guest_has(border.vcpu, &border.first, 0, PAGES / 2);
	guest_has(border.vcpu, &border.second, 0, PAGES / 2);
}

PKVM_TEST(call_stops_where_a_file_begins)
{
	(void)variant;
	call_stops_at_border(false, true);
}

PKVM_TEST(call_stops_where_a_file_ends)
{
	(void)variant;
	call_stops_at_border(true, false);
}

PKVM_TEST(call_stops_where_another_file_begins)
{
	(void)variant;
	call_stops_at_border(true, true);
}
