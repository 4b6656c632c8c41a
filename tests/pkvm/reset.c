// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * A vCPU's reset while it waits for its VMM.
 *
 * A vCPU asked to share memory, or accessed a device.  The VMM stopped it, another vCPU
 * powered it on again by PSCI, and KVM_GET_ONE_REG carried the reset out.  Then came the
 * answer, and was written over the new start's registers: x0, or what a load was to fill,
 * or the entry itself, which an emulated instruction leads past.
 */
#include <errno.h>

#include "pkvm.h"

#define PAGES	4

struct scene {
	struct machine machine;
	struct memory memory;
	struct vcpu *asks, *other;
};

static void open_scene(struct scene *scene)
{
	machine_open(&scene->machine);
	machine_add_file(&scene->machine, &scene->memory, FILE_GPA, PAGES);
	scene->other = machine_add_vcpu(&scene->machine, 0, false);
	scene->asks = machine_add_vcpu(&scene->machine, 1, true);
	guest_fill(scene->other, &scene->memory, 0, PAGES);
	ASSERT_EQ(guest_powers_on(scene->other, 1), SUCCESS);
	starts_as_asked(scene->asks);
}

/* Stopped by the VMM, and powered on by the guest. */
static void reset(struct scene *scene, bool looks)
{
	ASSERT_OK(set_mp_state(scene->asks, KVM_MP_STATE_STOPPED));
	ASSERT_EQ(guest_powers_on(scene->other, 1), SUCCESS);
	if (looks) {
		ASSERT_EQ(get_register(scene->asks, X(0)), CONTEXT);
		ASSERT_EQ(get_register(scene->asks, PC), GPA_OF(guest_start));
	}
}

/* What EL2 knows: MEM_UNSHARE of a page that is the guest's own already is refused. */
static bool is_shared(struct scene *scene, uint64_t page)
{
	uint64_t gpa = scene->memory.gpa + page * PAGE;
	long event = vcpu_call(scene->other, MEM_UNSHARE, gpa, 0, 0);

	if (event == KVM_EXIT_HYPERCALL) {
		/* It stays as it is. */
		ASSERT_EQ(vcpu_answer(scene->other, -1ull), DID);
		return true;
	}
	ASSERT_EQ(event, DID);
	ASSERT_EQ(scene->other->x0, INVALID);
	return false;
}

/* @converted of the pages that vCPU 1 asks to share, before the VMM stops it. */
static void reset_while_sharing(uint64_t converted, bool looks, uint64_t answer)
{
	struct scene scene;

	open_scene(&scene);
	ASSERT_EQ(vcpu_call(scene.asks, MEM_SHARE, FILE_GPA, PAGES, 0), KVM_EXIT_HYPERCALL);
	if (converted)
		ASSERT_OK(to_shared(&scene.memory, 0, converted));
	reset(&scene, looks);
	scene.asks->run->hypercall.ret = answer;
	starts_as_asked(scene.asks);

	ASSERT_RET(to_shared(&scene.memory, 0, PAGES), -EPERM);
	ASSERT_RET(to_shared(&scene.memory, PAGES - 1, 1), -EPERM);
	ASSERT_EQ(host_finds(&scene.memory, 0, PAGES), converted);
	for (uint64_t page = 0; page < PAGES; page++)
		ASSERT_EQ(is_shared(&scene, page), page < converted);
	guest_has(scene.asks, &scene.memory, 0, PAGES);
}

#define SHARING(name, ...)							\
	PKVM_TEST(reset_while_sharing_##name)					\
	{									\
		(void)variant;							\
		reset_while_sharing(__VA_ARGS__);				\
	}

SHARING(nobody_looks, 0, false, 0)
SHARING(the_vmm_looks, 0, true, 0)
SHARING(the_vmm_looks_and_declines, 0, true, -77ull)
SHARING(the_vmm_converts, PAGES, false, 0)
SHARING(the_vmm_converts_and_looks, PAGES, true, 0)
SHARING(the_vmm_converts_a_part, 2, false, 0)
SHARING(the_vmm_converts_a_part_and_looks, 2, true, -77ull)

static void reset_while_unsharing(bool converts, bool looks)
{
	struct scene scene;

	open_scene(&scene);
	ASSERT_EQ(vcpu_call(scene.other, MEM_SHARE, FILE_GPA, PAGES, 0), KVM_EXIT_HYPERCALL);
	ASSERT_OK(to_shared(&scene.memory, 0, PAGES));
	ASSERT_EQ(vcpu_answer(scene.other, 0), DID);
	ASSERT_EQ(vcpu_call(scene.asks, MEM_UNSHARE, FILE_GPA, PAGES, 0),
		  KVM_EXIT_HYPERCALL);
	if (converts)
		ASSERT_OK(to_private(&scene.memory, 0, PAGES));
	reset(&scene, looks);
	starts_as_asked(scene.asks);
	ASSERT_RET(to_private(&scene.memory, 0, PAGES), -EPERM);
	ASSERT_RET(to_shared(&scene.memory, 0, PAGES), -EPERM);
	ASSERT_EQ(host_finds(&scene.memory, 0, PAGES), converts ? 0 : PAGES);
	for (uint64_t page = 0; page < PAGES; page++)
		ASSERT_EQ(is_shared(&scene, page), !converts);
}

#define UNSHARING(name, ...)							\
	PKVM_TEST(reset_while_unsharing_##name)					\
	{									\
		(void)variant;							\
		reset_while_unsharing(__VA_ARGS__);				\
	}

UNSHARING(nobody_looks, false, false)
UNSHARING(the_vmm_looks, false, true)
UNSHARING(the_vmm_converts_and_looks, true, true)

/* The load of a command, whose value the VMM gives only now. */
static void reset_while_loading(bool looks)
{
	struct scene scene;

	open_scene(&scene);
	ASSERT_EQ(vcpu_run(scene.asks), WAITS);
	reset(&scene, looks);
	scene.asks->command[0] = -1ull;
	scene.asks->has_command = true;
	starts_as_asked(scene.asks);
	ASSERT_EQ(vcpu_run(scene.asks), WAITS);
	guest_has(scene.asks, &scene.memory, 0, PAGES);
}

PKVM_TEST(reset_while_loading_from_a_device)
{
	(void)variant;
	reset_while_loading(false);
}

PKVM_TEST(reset_while_loading_from_a_device_and_the_vmm_looks)
{
	(void)variant;
	reset_while_loading(true);
}

/* It tells that it has started, and does not hear that this was heard. */
static void reset_while_storing(bool looks)
{
	struct scene scene;

	open_scene(&scene);
	for (int round = 0; round < 3; round++) {
		reset(&scene, looks);
		starts_as_asked(scene.asks);
	}
	guest_has(scene.asks, &scene.memory, 0, PAGES);
}

PKVM_TEST(reset_while_storing_to_a_device)
{
	(void)variant;
	reset_while_storing(false);
}

PKVM_TEST(reset_while_storing_to_a_device_and_the_vmm_looks)
{
	(void)variant;
	reset_while_storing(true);
}
