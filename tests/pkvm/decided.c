// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Which VMs convert: those that have a slot of an in-place file when they first run.
 *
 * A slot that was refused made a VM convert, and one that was deleted again: from then on
 * KVM had to answer the guest's calls instead of EL2, each by an exit.  So EL2's answers
 * are those of which KVM hears nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>

#include "pkvm.h"

#define PAGES	4

struct scene {
	struct machine machine;
	struct memory ram;
	struct vcpu *vcpu;
	int file;
	void *host;		/* room for the file's slots */
};

static void open_scene(struct scene *scene)
{
	machine_open(&scene->machine);
	machine_add_ram(&scene->machine, &scene->ram, RAM_GPA, PAGES);
	scene->vcpu = machine_add_vcpu(&scene->machine, 0, false);
	scene->file = create_file(&scene->machine, PAGES);
	ASSERT(scene->file >= 0);
	scene->host = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
			   scene->file, 0);
	ASSERT(scene->host != MAP_FAILED);
}

static long set_file_slot(struct scene *scene, uint64_t gpa, uint64_t pages,
			  uint64_t offset)
{
	return set_slot(&scene->machine, 2, gpa, pages * PAGE, scene->file, offset,
			scene->host);
}

/* How often KVM heard of a hypercall. */
static unsigned long long hypercalls(void)
{
	FILE *file = fopen("/sys/kernel/debug/kvm/hvc_exit_stat", "re");
	unsigned long long count;

	if (!file)
		SKIP("debugfs does not tell of hypercalls");
	ASSERT(fscanf(file, "%llu", &count) == 1);
	fclose(file);
	return count;
}

/* What the guest has is shared and unshared, a page and a range.  Return: exits. */
static unsigned long long exits_of_calls(struct scene *scene)
{
	struct vcpu *vcpu = scene->vcpu;
	unsigned long long before;

	guest_fill(vcpu, &scene->ram, 0, PAGES);
	before = hypercalls();
	for (uint64_t pages = 0; pages <= PAGES; pages += PAGES) {
		ASSERT_EQ(vcpu_call(vcpu, MEM_SHARE, RAM_GPA, pages, 0), DID);
		ASSERT_EQ(vcpu->x0, SUCCESS);
		ASSERT_EQ(vcpu->x1, pages);
		ASSERT_EQ(host_finds(&scene->ram, 0, PAGES), pages ?: 1);
		ASSERT_EQ(vcpu_call(vcpu, MEM_UNSHARE, RAM_GPA, pages, 0), DID);
		ASSERT_EQ(vcpu->x0, SUCCESS);
		ASSERT_EQ(vcpu->x1, pages);
		ASSERT_EQ(host_finds(&scene->ram, 0, PAGES), 0);
	}
	return hypercalls() - before;
}

PKVM_TEST(el2_answers_if_nothing_converts)
{
	struct scene scene;

	(void)variant;
	open_scene(&scene);
	ASSERT_EQ(exits_of_calls(&scene), 0);
}

PKVM_TEST(el1_answers_if_a_file_converts)
{
	struct scene scene;

	(void)variant;
	open_scene(&scene);
	ASSERT_OK(set_file_slot(&scene, FILE_GPA, PAGES, 0));
	ASSERT_EQ(exits_of_calls(&scene), 4);
}

PKVM_TEST(slots_that_were_refused_decide_nothing)
{
	struct scene scene;

	(void)variant;
	open_scene(&scene);
	/* Over other memory, beyond the file, not aligned, beyond the IPA space. */
	ASSERT_RET(set_file_slot(&scene, RAM_GPA, PAGES, 0), -EEXIST);
	ASSERT_RET(set_file_slot(&scene, FILE_GPA, PAGES + 1, 0), -EINVAL);
	ASSERT_RET(set_file_slot(&scene, FILE_GPA, PAGES, PAGE), -EINVAL);
	ASSERT_RET(set_file_slot(&scene, FILE_GPA, PAGES, 1), -EINVAL);
	ASSERT(set_file_slot(&scene, 1ull << IPA_BITS, PAGES, 0) < 0);
	ASSERT(set_file_slot(&scene, (1ull << IPA_BITS) - PAGE, PAGES, 0) < 0);
	ASSERT_EQ(exits_of_calls(&scene), 0);
	/* Nor may one come now. */
	ASSERT_RET(set_file_slot(&scene, FILE_GPA, PAGES, 0), -EPERM);
	ASSERT_EQ(exits_of_calls(&scene), 0);
}

PKVM_TEST(slot_that_was_deleted_decides_nothing)
{
	struct scene scene;

	(void)variant;
	open_scene(&scene);
	ASSERT_OK(set_file_slot(&scene, FILE_GPA, PAGES, 0));
	ASSERT_OK(set_file_slot(&scene, FILE_GPA, 0, 0));
	ASSERT_EQ(exits_of_calls(&scene), 0);
	ASSERT_RET(set_file_slot(&scene, FILE_GPA, PAGES, 0), -EPERM);
}

PKVM_TEST(file_without_a_slot_decides_nothing)
{
	struct scene scene;

	(void)variant;
	open_scene(&scene);
	ASSERT_EQ(vcpu_run(scene.vcpu), STARTED);
	ASSERT_RET(set_file_slot(&scene, FILE_GPA, PAGES, 0), -EPERM);
	ASSERT_RET(set_file_slot(&scene, FILE_GPA, PAGES, 0), -EPERM);
	ASSERT_EQ(exits_of_calls(&scene), 0);
}

/* Several failures after what was once the decision, and then one that works. */
PKVM_TEST(slot_is_added_after_one_that_was_refused)
{
	struct scene scene;

	(void)variant;
	open_scene(&scene);
	ASSERT(set_file_slot(&scene, 1ull << IPA_BITS, PAGES, 0) < 0);
	ASSERT_OK(set_file_slot(&scene, FILE_GPA, PAGES, 0));
	ASSERT_EQ(exits_of_calls(&scene), 4);
}
