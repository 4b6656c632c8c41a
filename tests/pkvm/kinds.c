// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Worlds of one kind of memory each, and a guest that shares it.
 */
#include "kinds.h"

void world_open(struct world *world, enum kind kind, uint64_t pages)
{
	struct memory file;

	world->kind = kind;
	machine_open(&world->machine);
	if (kind == OF_A_FILE)
		machine_add_file(&world->machine, &world->memory, RAM_GPA, pages);
	else
		machine_add_ram(&world->machine, &world->memory, RAM_GPA, pages);
	if (kind == BESIDE_A_FILE)
		machine_add_file(&world->machine, &file, FILE_GPA, 1);
	world->vcpu = machine_add_vcpu(&world->machine, 0, false);
}

/* The VMM does what it is asked for, which has to be what the guest asked for. */
static void serve(struct world *world, uint64_t function, uint64_t first, uint64_t pages)
{
	const uint64_t *args = (const uint64_t *)world->vcpu->run->hypercall.args;

	ASSERT_EQ(world->kind, OF_A_FILE);
	ASSERT_EQ(world->vcpu->run->hypercall.nr, 12);	/* KVM_HC_MAP_GPA_RANGE */
	ASSERT_EQ(args[0], world->memory.gpa + first * PAGE);
	ASSERT(args[1] >= 1 && args[1] <= CALL_MAX_PAGES && args[1] <= (pages ?: 1));
	/* KVM_MAP_GPA_RANGE_ENCRYPTED */
	ASSERT_EQ(args[2], function == MEM_SHARE ? 0 : 1 << 4);
	ASSERT_OK(convert_as_asked(&world->memory, function, first, args[1]));
}

uint64_t world_call(struct world *world, uint64_t function, uint64_t first, uint64_t pages)
{
	struct vcpu *vcpu = world->vcpu;
	long event;

	event = vcpu_call(vcpu, function, world->memory.gpa + first * PAGE, pages, 0);
	if (event == KVM_EXIT_HYPERCALL) {
		uint64_t asked = vcpu->run->hypercall.args[1];

		serve(world, function, first, pages);
		event = vcpu_answer(vcpu, 0);
		ASSERT_EQ(event, DID);
		ASSERT_EQ(vcpu->x0, SUCCESS);
		ASSERT_EQ(vcpu->x1, pages ? asked : 0);
	}
	ASSERT_EQ(event, DID);
	ASSERT(vcpu->x0 == SUCCESS || vcpu->x0 == INVALID);
	ASSERT(vcpu->x1 <= pages && vcpu->x1 <= CALL_MAX_PAGES);
	if (vcpu->x0 == SUCCESS && pages)
		ASSERT(vcpu->x1);
	return vcpu->x0;
}

void world_call_all(struct world *world, uint64_t function, uint64_t first, uint64_t pages)
{
	while (pages) {
		ASSERT_EQ(world_call(world, function, first, pages), SUCCESS);
		first += world->vcpu->x1;
		pages -= world->vcpu->x1;
	}
}

void world_shows(struct world *world, uint64_t pages)
{
	ASSERT_EQ(host_finds(&world->memory, 0, world->memory.pages), pages);
}
