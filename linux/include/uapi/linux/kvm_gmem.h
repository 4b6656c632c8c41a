/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR BSD-3-Clause */
/*
 * In-place conversion of guest_memfd memory between private and shared.
 *
 * The kernel's <linux/kvm.h> includes this file.  A program that is built
 * against older kernel headers may include it by itself.
 */
#ifndef _LINUX_KVM_GMEM_H
#define _LINUX_KVM_GMEM_H

#include <linux/types.h>
#include <linux/kvm.h>

/*
 * KVM_CHECK_EXTENSION, on a VM: the attributes that this VM can set on a
 * guest_memfd created with GUEST_MEMFD_FLAG_IN_PLACE; 0 if it can set none.
 */
#define KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES		252

/*
 * KVM_CHECK_EXTENSION, on a VM: the content policies it accepts.  Bit N says
 * that policy N is accepted towards shared, bit 16 + N towards private.
 */
#define KVM_CAP_GUEST_MEMFD_CONTENT_POLICIES		253
#define KVM_GMEM_POLICY_TO_SHARED_SHIFT			0
#define KVM_GMEM_POLICY_TO_PRIVATE_SHIFT		16
/*
 * Within either half: ZERO only scrubs.  What the other side wrote is gone, but
 * the next reader reads undefined bytes, not zeros, until it writes.
 */
#define KVM_GMEM_POLICY_ZERO_ONLY_SCRUBS		14

/*
 * KVM_ENABLE_CAP with KVM_CAP_GUEST_MEMFD_CONTENT_POLICIES, in args[0], on arm64's
 * protected VMs before their first run: a conversion under ZERO or DESTROY that the
 * guest did not ask for takes the pages from it by force instead of being refused.
 * They are scrubbed, and the guest does not get them back.
 */
#define KVM_GMEM_DESTRUCTIVE_RECLAIM			(1ULL << 0)

/*
 * KVM_CREATE_GUEST_MEMFD: track private and shared for each page of the file,
 * and convert in place.  Needs GUEST_MEMFD_FLAG_MMAP.  Announced by
 * KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES, not by KVM_CAP_GUEST_MEMFD_FLAGS.
 */
#define GUEST_MEMFD_FLAG_IN_PLACE			(1ULL << 2)

enum set_memory_attributes_content_policy {
	/* The next reader, whoever it is, reads zeros. */
	SET_MEMORY_ATTRIBUTES_CONTENT_ZERO = 0,
	/* The contents are kept and the new owner can read them. */
	SET_MEMORY_ATTRIBUTES_CONTENT_READABLE = 1,
	/* The bytes are kept as they lie in memory.  Towards shared only. */
	SET_MEMORY_ATTRIBUTES_CONTENT_ENCRYPTED = 2,
	/*
	 * The contents are gone.  Nobody can access the range until it is
	 * converted again; then, whatever that request's policy, it reads as
	 * after ZERO.
	 */
	SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY = 3,
};

/**
 * struct kvm_memory_attributes2 - convert a byte range of a guest_memfd
 * @offset: in: first byte of the range in the file, page aligned
 * @size: in: length of the range in bytes, page aligned, not 0
 * @attributes: in: 0 (shared) or KVM_MEMORY_ATTRIBUTE_PRIVATE
 * @flags: in: must be 0
 * @error_offset: out, on failure: the first page that stood in the way
 * @content_policy: in: enum set_memory_attributes_content_policy
 * @reserved32: in: must be 0
 * @converted: in: must be 0; out, on success: bytes converted.  Pages that
 *	       already had the attribute are left alone and not counted.
 * @reserved: in: must be 0
 */
struct kvm_memory_attributes2 {
	__u64 offset;
	__u64 size;
	__u64 attributes;
	__u64 flags;
	__u64 error_offset;
	__u32 content_policy;
	__u32 reserved32;
	__u64 converted;
	__u64 reserved[9];
};

/* On a guest_memfd created with GUEST_MEMFD_FLAG_IN_PLACE, else -ENOTTY. */
#define KVM_SET_MEMORY_ATTRIBUTES2 \
	_IOWR(KVMIO, 0xd2, struct kvm_memory_attributes2)

/* Set in @state by KVM_GET_MEMORY_ATTRIBUTES2: destroyed, see CONTENT_DESTROY. */
#define KVM_GMEM_STATE_DESTROYED			(1ULL << 0)

/**
 * struct kvm_memory_attributes2_run - the state at an offset of a guest_memfd
 * @offset: in: a byte offset in the file, page aligned
 * @size: in: must be 0; out: bytes from @offset on that share this state
 * @attributes: in: must be 0; out: 0 or KVM_MEMORY_ATTRIBUTE_PRIVATE
 * @state: in: must be 0; out: KVM_GMEM_STATE_*
 * @reserved: in: must be 0
 *
 * @size is at least one page.  A run may be reported in several pieces.
 */
struct kvm_memory_attributes2_run {
	__u64 offset;
	__u64 size;
	__u64 attributes;
	__u64 state;
	__u64 reserved[4];
};

/* On a guest_memfd created with GUEST_MEMFD_FLAG_IN_PLACE, else -ENOTTY. */
#define KVM_GET_MEMORY_ATTRIBUTES2 \
	_IOWR(KVMIO, 0xd3, struct kvm_memory_attributes2_run)

#endif /* _LINUX_KVM_GMEM_H */
