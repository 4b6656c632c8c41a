// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * What a VMM may still do to a VM that has run, by what the VM is: one that converts
 * memory, whose guest alone starts vCPUs, or one that does not, where all is as in 7.3.
 */
#include <errno.h>

#include "pkvm.h"

#define PAGES	4

struct scene {
	struct machine machine;
	struct memory memory;
	struct vcpu *first, *second;
};

static void open_scene(struct scene *scene, bool converts, bool off)
{
	machine_open(&scene->machine);
	if (converts)
		machine_add_file(&scene->machine, &scene->memory, FILE_GPA, PAGES);
	scene->first = machine_add_vcpu(&scene->machine, 0, false);
	scene->second = machine_add_vcpu(&scene->machine, 1, off);
}

static void run_first(struct scene *scene)
{
	ASSERT_EQ(vcpu_run(scene->first), STARTED);
	ASSERT_EQ(vcpu_run(scene->first), WAITS);
}

static long create_vcpu(struct machine *machine, unsigned long id)
{
	long ret = control(machine->vm, KVM_CREATE_VCPU, (void *)id);

	return ret < 0 ? ret : 0;
}

static long destroy(struct memory *memory)
{
	struct kvm_memory_attributes2 args = {
		.size = PAGE, .content_policy = SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY,
	};

	return control(memory->file, KVM_SET_MEMORY_ATTRIBUTES2, &args);
}

/* ---- a VM that converts ---- */

PKVM_TEST(sealed_vcpus_are_not_reset)
{
	struct scene scene;

	(void)variant;
	open_scene(&scene, true, false);
	run_first(&scene);
	for (int off = 0; off < 2; off++) {
		ASSERT_RET(vcpu_init(scene.first, off), -EPERM);
		ASSERT_RET(vcpu_init(scene.second, off), -EPERM);
	}
	ASSERT_EQ(mp_state(scene.first), KVM_MP_STATE_RUNNABLE);
	ASSERT_EQ(mp_state(scene.second), KVM_MP_STATE_STOPPED);
}

PKVM_TEST(sealed_registers_are_written_while_off_only)
{
	struct scene scene;

	(void)variant;
	open_scene(&scene, true, false);
	run_first(&scene);
	ASSERT_RET(set_register(scene.first, PC, GPA_OF(guest_hvc)), -EPERM);
	ASSERT_RET(set_register(scene.first, X(0), MEM_SHARE), -EPERM);
	ASSERT_RET(set_register(scene.first, VBAR_EL1, 0), -EPERM);
	ASSERT_OK(set_register(scene.second, PC, GPA_OF(guest_hvc)));
	ASSERT_EQ(get_register(scene.second, PC), GPA_OF(guest_hvc));
	ASSERT_EQ(guest_powers_on(scene.first, 1), SUCCESS);
	ASSERT_RET(set_register(scene.second, PC, GPA_OF(guest_hvc)), -EPERM);
	starts_as_asked(scene.second);
	ASSERT_RET(set_register(scene.second, PC, GPA_OF(guest_hvc)), -EPERM);
	/* Off again. */
	ASSERT_OK(set_mp_state(scene.second, KVM_MP_STATE_STOPPED));
	ASSERT_OK(set_register(scene.second, PC, GPA_OF(guest_hvc)));
	ASSERT_EQ(guest_powers_on(scene.first, 1), SUCCESS);
	starts_as_asked(scene.second);
}

PKVM_TEST(sealed_vcpus_the_vmm_can_only_stop)
{
	static const uint32_t others[] = {
		KVM_MP_STATE_SUSPENDED, KVM_MP_STATE_UNINITIALIZED, KVM_MP_STATE_HALTED, 77,
	};
	struct scene scene;

	(void)variant;
	open_scene(&scene, true, false);
	run_first(&scene);
	/* What they are already. */
	ASSERT_OK(set_mp_state(scene.first, KVM_MP_STATE_RUNNABLE));
	ASSERT_OK(set_mp_state(scene.second, KVM_MP_STATE_STOPPED));
	ASSERT_RET(set_mp_state(scene.second, KVM_MP_STATE_RUNNABLE), -EPERM);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		ASSERT_RET(set_mp_state(scene.first, others[i]), -EPERM);
		ASSERT_RET(set_mp_state(scene.second, others[i]), -EPERM);
	}
	ASSERT_EQ(guest_powers_on(scene.first, 1), SUCCESS);
	ASSERT_OK(set_mp_state(scene.second, KVM_MP_STATE_RUNNABLE));
	starts_as_asked(scene.second);

	/* Not even the vCPU that the VMM started. */
	ASSERT_OK(set_mp_state(scene.first, KVM_MP_STATE_STOPPED));
	ASSERT_OK(set_mp_state(scene.first, KVM_MP_STATE_STOPPED));
	ASSERT_RET(set_mp_state(scene.first, KVM_MP_STATE_RUNNABLE), -EPERM);
	ASSERT_RET(vcpu_run_for(scene.first, A_WHILE_MS), -EINTR);
	ASSERT_EQ(guest_powers_on(scene.second, 0), SUCCESS);
	starts_as_asked(scene.first);
}

PKVM_TEST(vcpu_that_is_off_does_not_seal)
{
	struct scene scene;

	(void)variant;
	open_scene(&scene, true, true);
	/* From here on the VM exists at EL2, and nobody has run in it. */
	ASSERT_RET(vcpu_run_for(scene.second, A_WHILE_MS), -EINTR);
	ASSERT_RET(create_vcpu(&scene.machine, 2), -EBUSY);
	ASSERT_RET(to_shared(&scene.memory, 0, 1), -EPERM);
	ASSERT_RET(set_slot(&scene.machine, 1, FILE_GPA, 0, scene.memory.file, 0, NULL),
		   -EPERM);

	ASSERT_OK(set_register(scene.first, X(5), 1));
	ASSERT_OK(set_register(scene.second, X(5), 1));
	ASSERT_OK(vcpu_init(scene.first, true));
	ASSERT_OK(vcpu_init(scene.second, false));
	ASSERT_OK(set_register(scene.second, PC, GPA_OF(guest_start)));
	ASSERT_OK(set_mp_state(scene.first, KVM_MP_STATE_SUSPENDED));
	ASSERT_OK(set_mp_state(scene.first, KVM_MP_STATE_RUNNABLE));
	ASSERT_OK(set_mp_state(scene.second, KVM_MP_STATE_RUNNABLE));

	/* The one that is off now has been on before. */
	ASSERT_EQ(vcpu_run(scene.second), STARTED);
	ASSERT_EQ(mp_state(scene.first), KVM_MP_STATE_STOPPED);
	ASSERT_RET(vcpu_init(scene.first, false), -EPERM);
	ASSERT_EQ(guest_powers_on(scene.second, 0), SUCCESS);
	starts_as_asked(scene.first);
}

PKVM_TEST(vm_that_has_run_keeps_its_slots_and_vcpus)
{
	struct memory more_ram, more_pages;
	struct scene scene;

	(void)variant;
	open_scene(&scene, true, true);
	run_first(&scene);
	ASSERT_RET(create_vcpu(&scene.machine, 2), -EBUSY);
	ASSERT_RET(set_slot(&scene.machine, 0, CODE_GPA, 0, -1, 0, NULL), -EPERM);
	ASSERT_RET(set_slot(&scene.machine, 1, FILE_GPA, 0, scene.memory.file, 0, NULL),
		   -EPERM);
	ASSERT_RET(set_slot(&scene.machine, 0, RAM_GPA, CODE_PAGES * PAGE, -1, 0,
			    scene.machine.code.host), -EPERM);
	ASSERT_RET(to_shared(&scene.memory, 0, 1), -EPERM);
	ASSERT_RET(destroy(&scene.memory), -EPERM);

	/* It may have more of both kinds. */
	machine_add_ram(&scene.machine, &more_ram, RAM_GPA, PAGES);
	machine_add_file(&scene.machine, &more_pages, RAM_GPA + PAGES * PAGE, PAGES);
	guest_fill(scene.first, &more_ram, 0, PAGES);
	guest_fill(scene.first, &more_pages, 0, PAGES);
	ASSERT_RET(to_shared(&more_pages, 0, 1), -EPERM);
	ASSERT_EQ(vcpu_call(scene.first, MEM_SHARE, more_pages.gpa, PAGES, 0),
		  KVM_EXIT_HYPERCALL);
	ASSERT_OK(to_shared(&more_pages, 0, PAGES));
	ASSERT_EQ(vcpu_answer(scene.first, 0), DID);
	ASSERT_EQ(vcpu_call(scene.first, MEM_SHARE, more_ram.gpa, PAGES, 0), DID);
	ASSERT_EQ(host_finds(&more_pages, 0, PAGES), PAGES);
	ASSERT_EQ(host_finds(&more_ram, 0, PAGES), PAGES);
}

/* ---- a VM that does not ---- */

PKVM_TEST(vcpus_are_the_vmms_if_nothing_converts)
{
	struct scene scene;

	(void)variant;
	open_scene(&scene, false, false);
	run_first(&scene);
	ASSERT_EQ(mp_state(scene.second), KVM_MP_STATE_RUNNABLE);
	ASSERT_OK(set_register(scene.second, X(0), 17));
	ASSERT_EQ(vcpu_run(scene.second), STARTED);
	ASSERT_EQ(scene.second->context, 17);

	/* Reset, off, and on again by the VMM alone, though it has run. */
	ASSERT_OK(vcpu_init(scene.second, true));
	ASSERT_EQ(mp_state(scene.second), KVM_MP_STATE_STOPPED);
	ASSERT_OK(set_register(scene.second, X(0), 18));
	ASSERT_OK(set_register(scene.second, PC, GPA_OF(guest_start)));
	ASSERT_RET(vcpu_run_for(scene.second, A_WHILE_MS), -EINTR);
	ASSERT_OK(set_mp_state(scene.second, KVM_MP_STATE_SUSPENDED));
	ASSERT_OK(set_mp_state(scene.second, KVM_MP_STATE_RUNNABLE));
	ASSERT_EQ(vcpu_run(scene.second), STARTED);
	ASSERT_EQ(scene.second->context, 18);

	/* PSCI is as ever, too. */
	ASSERT_OK(set_mp_state(scene.second, KVM_MP_STATE_STOPPED));
	ASSERT_EQ(guest_powers_on(scene.first, 1), SUCCESS);
	starts_as_asked(scene.second);
}

PKVM_TEST(vcpu_is_created_late_if_nothing_converts)
{
	struct scene scene;

	(void)variant;
	open_scene(&scene, false, true);
	run_first(&scene);
	/* EL2 knows of no place for it, and 7.3 tells only when it runs. */
	ASSERT_OK(create_vcpu(&scene.machine, 2));
	ASSERT_RET(set_slot(&scene.machine, 0, CODE_GPA, 0, -1, 0, NULL), -EPERM);
	ASSERT_EQ(guest_powers_on(scene.first, 1), SUCCESS);
	starts_as_asked(scene.second);
}

/* ---- destructive reclaim ---- */

static long enable(struct machine *machine, uint32_t flags, uint64_t arg0, uint64_t arg1,
		   uint64_t arg2, uint64_t arg3)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_GUEST_MEMFD_CONTENT_POLICIES, .flags = flags,
		.args = { arg0, arg1, arg2, arg3 },
	};

	return control(machine->vm, KVM_ENABLE_CAP, &cap);
}

PKVM_TEST(reclaim_is_enabled_by_one_argument_only)
{
	struct scene scene;

	(void)variant;
	open_scene(&scene, true, true);
	for (uint64_t arg0 = 0; arg0 < 2; arg0++) {
		ASSERT_RET(enable(&scene.machine, 0, arg0, 1, 0, 0), -EINVAL);
		ASSERT_RET(enable(&scene.machine, 0, arg0, 0, 1, 0), -EINVAL);
		ASSERT_RET(enable(&scene.machine, 0, arg0, 0, 0, 1ull << 63), -EINVAL);
		ASSERT_RET(enable(&scene.machine, 1, arg0, 0, 0, 0), -EINVAL);
	}
	ASSERT_RET(enable(&scene.machine, 0, 2, 0, 0, 0), -EINVAL);
	ASSERT_RET(enable(&scene.machine, 0, -1ull, 0, 0, 0), -EINVAL);
	ASSERT_OK(enable(&scene.machine, 0, 0, 0, 0, 0));
	run_first(&scene);
	/* Nothing of that was taken for a yes. */
	ASSERT_RET(destroy(&scene.memory), -EPERM);
	ASSERT_RET(enable(&scene.machine, 0, 1, 0, 0, 0), -EBUSY);
}

PKVM_TEST(reclaim_is_enabled)
{
	struct scene scene;

	(void)variant;
	open_scene(&scene, true, true);
	ASSERT_OK(enable(&scene.machine, 0, 1, 0, 0, 0));
	guest_fill(scene.first, &scene.memory, 0, PAGES);
	ASSERT_OK(destroy(&scene.memory));
	ASSERT_EQ(host_finds(&scene.memory, 0, PAGES), 0);
	guest_has(scene.first, &scene.memory, 1, PAGES - 1);
}
