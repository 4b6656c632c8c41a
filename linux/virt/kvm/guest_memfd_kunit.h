/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What KUnit tests of guest_memfd conversions share: a VM with one memslot, whose
 * file converts in place, driven through its ioctls as a VMM does.
 */
#ifndef __KVM_GUEST_MEMFD_KUNIT_H__
#define __KVM_GUEST_MEMFD_KUNIT_H__

#if IS_ENABLED(CONFIG_KUNIT)
int kvm_dev_ioctl_create_vm(unsigned long type);
#endif

#ifdef CONFIG_KVM_GMEM_KUNIT_TEST

#include <kunit/test.h>
#include <linux/kvm_host.h>

#define GMEM_KUNIT_PAGES	8
#define GMEM_KUNIT_GFN		0x80000ull

struct gmem_kunit_vm {
	struct kunit *test;
	struct kvm *kvm;
	struct file *vm_file;
	struct file *gmem;
	/* In the test's address space: arguments of ioctls, the file's pages. */
	unsigned long args;
	unsigned long view;
	/* How the last conversion ended. */
	u64 converted;
	u64 error_offset;
};

#define GMEM_KUNIT_POLICY(name)	BIT(SET_MEMORY_ATTRIBUTES_CONTENT_##name)

/*
 * Both end with the test, which is skipped where there are no such VMs.  The file
 * has all of its pages shared.
 */
void gmem_kunit_create_vm(struct kunit *test, struct gmem_kunit_vm *vm,
			  unsigned long type);
void gmem_kunit_create_file(struct gmem_kunit_vm *vm);

long gmem_kunit_vm_ioctl(struct gmem_kunit_vm *vm, unsigned int ioctl,
			 void *args, size_t size);
int gmem_kunit_convert(struct gmem_kunit_vm *vm, unsigned int page,
		       unsigned int nr_pages, bool to_private, u32 policy);

/* A KVM_MEMORY_ATTRIBUTE_*, or -1 for a destroyed page. */
int gmem_kunit_state(struct gmem_kunit_vm *vm, unsigned int page);

/* What the host reads there: a byte, or -EFAULT. */
int gmem_kunit_read(struct gmem_kunit_vm *vm, unsigned int page);
int gmem_kunit_write(struct gmem_kunit_vm *vm, unsigned int page, u8 value);

/* As the guest's fault does.  Return: 0 and the pfn. */
int gmem_kunit_guest_fault(struct gmem_kunit_vm *vm, unsigned int page,
			   kvm_pfn_t *pfn);

/* The file's page, or NULL if it has none there. */
struct page *gmem_kunit_page(struct gmem_kunit_vm *vm, unsigned int page);

/* Expectations that hold for each type of VM; see where they are defined. */
void gmem_kunit_expect_policies(struct gmem_kunit_vm *vm, u32 to_shared,
				u32 to_private);
void gmem_kunit_expect_conversions(struct gmem_kunit_vm *vm);
void gmem_kunit_expect_refusals(struct gmem_kunit_vm *vm);
void gmem_kunit_expect_refused_to_shared(struct gmem_kunit_vm *vm, unsigned int page);

/* The frame was lost, once; then end that, since no hardware has it. */
void gmem_kunit_expect_lost(struct kunit *test, struct page *page);

#endif /* CONFIG_KVM_GMEM_KUNIT_TEST */

#endif /* __KVM_GUEST_MEMFD_KUNIT_H__ */
