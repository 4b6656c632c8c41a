// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Slots: offsets that are not guest frame numbers, several slots, several files,
 * and memory that is not converted in place beside memory that is.
 */
#define _GNU_SOURCE
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "env.h"
#include "../../lib/kvm_compat.h"

/* Private memory that nobody has written since it became private. */
static void check_fresh(struct env *env, uint64_t gpa, uint64_t bytes)
{
	ASSERT_RET(gmem_guest_check(env_vcpu(env, 0), gpa, bytes, 0, 0),
		   env->variant->scrubs_to_private ? -EILSEQ : 0);
}

/* The file's halves lie crosswise, and neither at its offset. */
TEST(two_slots_on_one_file)
{
	const uint64_t high = TEST_GPA + (1ull << 30), low = TEST_GPA;
	struct gmem_vcpu *vcpu;
	struct env env;

	env_open(&env, variant, 8, IN_PLACE);
	ASSERT_OK(gmem_slot_delete(env.vm, TEST_SLOT));
	ASSERT_OK(bind_slot(&env, 1, high, 4, env.file, 0));
	ASSERT_OK(bind_slot(&env, 2, low, 4, env.file, 4));
	vcpu = env_vcpu(&env, 0);
	ASSERT_OK(gmem_guest_fill(vcpu, high, 4 * PAGE, 0x1000, 1));
	ASSERT_OK(gmem_guest_fill(vcpu, low, 4 * PAGE, 0x1000 + 4 * WORDS, 1));

	/* Over both. */
	ASSERT_OK(convert(&env, 2, 4, SHARED, KEEP));
	ASSERT_STATE(&env, "ppsssspp");
	ASSERT_HOST_READS(&env, 2, 4, 0x1000 + 2 * WORDS);
	host_fill(&env, 2, 4, 0x2000);
	ASSERT_OK(gmem_guest_check(vcpu, high + 2 * PAGE, 2 * PAGE, 0x2000, 1));
	ASSERT_OK(gmem_guest_check(vcpu, low, 2 * PAGE, 0x2000 + 2 * WORDS, 1));
	ASSERT_OK(convert(&env, 0, 8, PRIVATE, ZERO));
	ASSERT_OK(gmem_guest_check(vcpu, high, 2 * PAGE, 0x1000, 1));
	check_fresh(&env, high + 2 * PAGE, 2 * PAGE);
	check_fresh(&env, low, 2 * PAGE);
	ASSERT_OK(gmem_guest_check(vcpu, low + 2 * PAGE, 2 * PAGE,
				   0x1000 + 6 * WORDS, 1));
}

TEST(slot_in_the_middle_of_a_file)
{
	struct gmem_vcpu *vcpu;
	struct env env;

	env_open(&env, variant, 8, IN_PLACE);
	ASSERT_OK(gmem_slot_delete(env.vm, TEST_SLOT));
	ASSERT_OK(bind_slot(&env, 1, TEST_GPA + 7 * PAGE, 3, env.file, 3));
	vcpu = env_vcpu(&env, 0);
	ASSERT_OK(gmem_guest_fill(vcpu, TEST_GPA + 7 * PAGE, 3 * PAGE, 0x100, 1));
	ASSERT_OK(convert(&env, 4, 1, SHARED, KEEP));
	ASSERT_STATE(&env, "ppppsppp");
	ASSERT_HOST_READS(&env, 4, 1, 0x100 + WORDS);
	/* By guest physical address, too. */
	if (variant->guest_asks)
		ASSERT_OK(gmem_guest_share(vcpu, TEST_GPA + 9 * PAGE, PAGE,
					   keep_policy(&env)));
	else
		ASSERT_OK(gmem_vm_convert(env.vm, TEST_GPA + 9 * PAGE, PAGE, SHARED,
					  keep_policy(&env), NULL));
	ASSERT_STATE(&env, "ppppsspp");
	ASSERT_RET(gmem_vm_convert(env.vm, TEST_GPA, PAGE, SHARED, ZERO, NULL),
		   -ENXIO);
}

TEST(offset_is_bound_once)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	ASSERT_RET(bind_slot(&env, 1, 2 * TEST_GPA, 4, env.file, 0), -EEXIST);
	ASSERT_RET(bind_slot(&env, 1, 2 * TEST_GPA, 1, env.file, 3), -EEXIST);
	guest_fill(&env, 0, 4, 0x100);
	ASSERT_OK(convert(&env, 0, 4, SHARED, KEEP));
	ASSERT_HOST_READS(&env, 0, 4, 0x100);
}

/* Dirty logging never worked for guest_memfd, and still does not. */
KERNEL_TEST(dirty_logging_is_refused)
{
	struct kvm_userspace_memory_region2 region = {
		.slot = 1, .flags = KVM_MEM_GUEST_MEMFD | KVM_MEM_LOG_DIRTY_PAGES,
		.guest_phys_addr = 2 * TEST_GPA, .memory_size = 4 * PAGE,
	};
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	ASSERT_OK(gmem_slot_delete(env.vm, TEST_SLOT));
	region.userspace_addr = (uintptr_t)env.memory;
	region.guest_memfd = (uint32_t)gmem_file_fd(env.file);
	ASSERT(ioctl(gmem_vm_fd(env.vm), KVM_SET_USER_MEMORY_REGION2, &region) == -1);
	ASSERT_EQ(errno, EINVAL);
	region.flags = KVM_MEM_GUEST_MEMFD;
	ASSERT(!ioctl(gmem_vm_fd(env.vm), KVM_SET_USER_MEMORY_REGION2, &region));
}

TEST(attributes_outlive_a_slot)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	guest_fill(&env, 0, 4, 0x100);
	ASSERT_OK(convert(&env, 1, 2, SHARED, KEEP));
	if (variant->guest_asks) {
		/* The slot lives as long as the VM. */
		ASSERT_RET(gmem_slot_delete(env.vm, TEST_SLOT), -EPERM);
		ASSERT_GUEST_READS(&env, 0, 4, 0x100);
		env_reopen(&env, IN_PLACE_SHARED);
		host_fill(&env, 0, 4, 0x100);
		ASSERT_OK(convert(&env, 0, 1, PRIVATE, KEEP));
		ASSERT_OK(convert(&env, 3, 1, PRIVATE, KEEP));
	}
	ASSERT_OK(gmem_slot_delete(env.vm, TEST_SLOT));
	ASSERT_STATE(&env, "pssp");
	ASSERT_HOST_READS(&env, 1, 2, 0x100 + WORDS);
	ASSERT_HOST_REFUSED(&env, 0);
	ASSERT_OK(bind_slot(&env, TEST_SLOT, TEST_GPA, 4, env.file, 0));
	ASSERT_GUEST_READS(&env, 0, 4, 0x100);
	ASSERT_OK(convert(&env, 0, 4, PRIVATE, KEEP));
	ASSERT_GUEST_READS(&env, 0, 4, 0x100);
}

/*
 * A slot's address is for KVM's own accesses; nothing may rest on it.  Where it is
 * a mapping of the file, the MMU notifiers zap the guest along with it, and hide
 * a conversion that forgets to.
 */
TEST(conversion_does_not_need_the_slots_address)
{
	struct gmem_slot_options slot = {
		.size = sizeof(slot), .id = 1, .gpa = TEST_GPA, .bytes = 4 * PAGE,
	};
	struct env env;

	env_open(&env, variant, 4, IN_PLACE_SHARED);
	ASSERT_OK(gmem_slot_delete(env.vm, TEST_SLOT));
	slot.file = env.file;
	slot.userspace_addr = mmap(NULL, 4 * PAGE, PROT_NONE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT(slot.userspace_addr != MAP_FAILED);
	ASSERT_OK(gmem_slot_set(env.vm, &slot));
	/* The host's mapping comes and goes; the guest's must go on its own. */
	host_fill(&env, 0, 4, 0x100);
	ASSERT_GUEST_READS(&env, 0, 4, 0x100);
	ASSERT_OK(gmem_file_unmap(env.file, env.memory, 4 * PAGE));

	ASSERT_OK(convert(&env, 0, 2, PRIVATE, ZERO));
	ASSERT_GUEST_ZEROS(&env, 0, 2);
	ASSERT_GUEST_READS(&env, 2, 2, 0x100 + 2 * WORDS);
	guest_fill(&env, 0, 4, 0x200);
	ASSERT_OK(convert(&env, 0, 4, SHARED, ZERO));
	ASSERT_GUEST_ZEROS(&env, 0, 2);
	ASSERT_GUEST_READS(&env, 2, 2, 0x200 + 2 * WORDS);
	ASSERT_OK(convert(&env, 3, 1, SHARED, DESTROY));
	ASSERT_GUEST_REFUSED(&env, 3);
	ASSERT_OK(gmem_file_punch_hole(env.file, 2 * PAGE, PAGE));
	if (lost_for_good(&env))
		ASSERT_GUEST_REFUSED(&env, 2);
	else
		ASSERT_GUEST_ZEROS(&env, 2, 1);
	ASSERT_STATE(&env, "sssd");
}

TEST_WITH(two_files_do_not_touch_each_other, NEEDS_HYPERCALL, 0)
{
	struct gmem_file *other;
	struct gmem_vcpu *vcpu;
	struct env env;
	uint64_t gpa = TEST_GPA + 4 * PAGE;

	env_open(&env, variant, 4, IN_PLACE);
	other = new_file(&env, 4, IN_PLACE);
	ASSERT_OK(bind_slot(&env, 1, gpa, 4, other, 0));
	vcpu = env_vcpu(&env, 0);
	ASSERT_OK(gmem_guest_fill(vcpu, TEST_GPA, 8 * PAGE, 0x100, 1));
	ASSERT_OK(convert(&env, 0, 4, SHARED, ZERO));
	ASSERT_OK(gmem_guest_check(vcpu, gpa, 4 * PAGE, 0x100 + 4 * WORDS, 1));
	ASSERT_OK(gmem_guest_check(vcpu, TEST_GPA, 4 * PAGE, 0, 0));
	/* One request of the guest over both. */
	ASSERT_OK(gmem_guest_unshare(vcpu, TEST_GPA + 2 * PAGE, 4 * PAGE, ZERO));
	ASSERT_STATE(&env, "sspp");
	ASSERT_OK(gmem_guest_share(vcpu, TEST_GPA, 8 * PAGE, keep_policy(&env)));
	ASSERT_STATE(&env, "ssss");
	if (keep_policy(&env) == READABLE)
		ASSERT_OK(gmem_guest_check(vcpu, gpa, 4 * PAGE, 0x100 + 4 * WORDS, 1));
	else
		ASSERT_OK(gmem_guest_check(vcpu, gpa, 4 * PAGE, 0, 0));
}

/* ---- memory of the stock kind ---- */

#define STOCK_GPA	(TEST_GPA + (1ull << 30))

static void open_beside_stock(struct env *env, const struct variant *variant,
			      unsigned char **shared_side)
{
	struct gmem_slot_options slot = {
		.size = sizeof(slot), .id = 5, .gpa = STOCK_GPA, .bytes = 4 * PAGE,
	};

	env_open(env, variant, 4, IN_PLACE);
	*shared_side = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT(*shared_side != MAP_FAILED);
	slot.userspace_addr = *shared_side;
	slot.file = new_file(env, 4, 0);
	ASSERT_OK(gmem_slot_set(env->vm, &slot));
}

TEST_WITH(stock_slot_beside_in_place_slot, NEEDS_VM_ATTRIBUTES, 0)
{
	unsigned char *shared_side;
	struct gmem_vcpu *vcpu;
	struct env env;

	open_beside_stock(&env, variant, &shared_side);
	vcpu = env_vcpu(&env, 0);
	/* Shared by the VM's attributes: backed by the VMM's memory. */
	ASSERT_OK(gmem_guest_fill(vcpu, STOCK_GPA, 4 * PAGE, 0x100, 1));
	ASSERT_EQ(*(uint64_t *)(shared_side + PAGE), 0x100 + WORDS);
	guest_fill(&env, 0, 4, 0x200);

	/* Private by the VM's attributes: the stock file's own, empty pages. */
	ASSERT_OK(gmem_vm_set_memory_attributes(env.vm, STOCK_GPA + PAGE, 2 * PAGE,
						PRIVATE));
	check_fresh(&env, STOCK_GPA + PAGE, 2 * PAGE);
	ASSERT_OK(gmem_guest_check(vcpu, STOCK_GPA, PAGE, 0x100, 1));
	ASSERT_STATE(&env, "pppp");
	ASSERT_GUEST_READS(&env, 0, 4, 0x200);

	ASSERT_OK(convert(&env, 0, 2, SHARED, KEEP));
	ASSERT_GUEST_READS(&env, 0, 4, 0x200);
	ASSERT_HOST_READS(&env, 0, 2, 0x200);
	check_fresh(&env, STOCK_GPA + PAGE, 2 * PAGE);
	ASSERT_OK(gmem_vm_set_memory_attributes(env.vm, STOCK_GPA, 4 * PAGE, SHARED));
	ASSERT_OK(gmem_guest_check(vcpu, STOCK_GPA, 4 * PAGE, 0x100, 1));
	ASSERT_STATE(&env, "sspp");
}

TEST_WITH(vm_attributes_refuse_in_place_slot, NEEDS_VM_ATTRIBUTES, 0)
{
	unsigned char *shared_side;
	struct env env;

	open_beside_stock(&env, variant, &shared_side);
	guest_fill(&env, 0, 4, 0x200);
	for (int i = 0; i < 2; i++) {
		uint64_t attributes = i ? PRIVATE : SHARED;

		ASSERT_RET(gmem_vm_set_memory_attributes(env.vm, TEST_GPA, 4 * PAGE,
							 attributes), -EINVAL);
		ASSERT_RET(gmem_vm_set_memory_attributes(env.vm, TEST_GPA + PAGE,
							 PAGE, attributes), -EINVAL);
		ASSERT_RET(gmem_vm_set_memory_attributes(env.vm, TEST_GPA - PAGE,
							 2 * PAGE, attributes),
			   -EINVAL);
		ASSERT_RET(gmem_vm_set_memory_attributes(env.vm,
							 TEST_GPA + 3 * PAGE,
							 2 * PAGE, attributes),
			   -EINVAL);
		ASSERT_RET(gmem_vm_set_memory_attributes(env.vm, TEST_GPA,
							 (1ull << 30) + 4 * PAGE,
							 attributes), -EINVAL);
		ASSERT_OK(gmem_vm_set_memory_attributes(env.vm, TEST_GPA - PAGE,
							PAGE, attributes));
		ASSERT_OK(gmem_vm_set_memory_attributes(env.vm, TEST_GPA + 4 * PAGE,
							PAGE, attributes));
	}
	ASSERT_STATE(&env, "pppp");
	ASSERT_GUEST_READS(&env, 0, 4, 0x200);
}

/* Attributes set before the slot came must not govern it. */
TEST_WITH(older_vm_attributes_do_not_govern_in_place_slot, NEEDS_VM_ATTRIBUTES, 0)
{
	struct env env;

	env_open_vm(&env, variant);
	ASSERT_OK(gmem_vm_set_memory_attributes(env.vm, TEST_GPA, 2 * PAGE, PRIVATE));
	env_open_file(&env, 4, IN_PLACE_SHARED);
	if (bind_slot(&env, TEST_SLOT, TEST_GPA, 4, env.file, 0)) {
		/* Refusing such a slot would do as well. */
		ASSERT_OK(gmem_vm_set_memory_attributes(env.vm, TEST_GPA, 2 * PAGE,
							SHARED));
		ASSERT_OK(bind_slot(&env, TEST_SLOT, TEST_GPA, 4, env.file, 0));
	}
	host_fill(&env, 0, 4, 0x300);
	ASSERT_GUEST_READS(&env, 0, 4, 0x300);
	ASSERT_OK(convert(&env, 0, 1, PRIVATE, KEEP));
	ASSERT_OK(convert(&env, 2, 1, PRIVATE, KEEP));
	ASSERT_GUEST_READS(&env, 0, 4, 0x300);
}

/* Populated for a vCPU ahead of its first access: owed zeros are paid there, too. */
TEST_WITH(pre_faulted_pages_read_zeros, NEEDS_KERNEL | NEEDS_PRE_FAULT, 0)
{
	struct kvm_pre_fault_memory range = { .gpa = TEST_GPA, .size = 4 * PAGE };
	struct env env;

	env_open(&env, variant, 4, IN_PLACE_SHARED);
	host_fill(&env, 0, 4, 0x300);
	ASSERT_OK(convert(&env, 0, 4, PRIVATE, ZERO));
	if (ioctl(gmem_vcpu_fd(env_vcpu(&env, 0)), KVM_PRE_FAULT_MEMORY, &range))
		SKIP("KVM_PRE_FAULT_MEMORY: %s", ret_name(-errno));
	ASSERT_EQ(range.size, 0);
	ASSERT_GUEST_ZEROS(&env, 0, 4);
	ASSERT_OK(convert(&env, 0, 4, SHARED, KEEP));
	ASSERT_HOST_ZEROS(&env, 0, 4);
}

TEST_WITH(pre_fault_of_destroyed_pages_is_refused, NEEDS_KERNEL | NEEDS_PRE_FAULT, 0)
{
	struct kvm_pre_fault_memory range = { .gpa = TEST_GPA, .size = 4 * PAGE };
	struct env env;
	int ret;

	env_open(&env, variant, 4, IN_PLACE_SHARED);
	host_fill(&env, 0, 4, 0x300);
	ASSERT_OK(convert(&env, 0, 4, PRIVATE, DESTROY));
	ret = ioctl(gmem_vcpu_fd(env_vcpu(&env, 0)), KVM_PRE_FAULT_MEMORY, &range);
	if (ret && (errno == ENOTTY || errno == EOPNOTSUPP))
		SKIP("KVM_PRE_FAULT_MEMORY: %s", ret_name(-errno));
	ASSERT(ret);
	ASSERT_GUEST_REFUSED(&env, 0);
	ASSERT_STATE(&env, "DDDD");
}
