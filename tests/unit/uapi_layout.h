/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * The uAPI's layout, pinned.  Compiled for x86 of 64 and of 32 bits and for arm64,
 * so it includes nothing but the header itself.
 */
#ifndef GMEM_UAPI_LAYOUT_H
#define GMEM_UAPI_LAYOUT_H

#include <linux/kvm_gmem.h>

#define assert_field(type, field, at)					\
	_Static_assert(__builtin_offsetof(struct type, field) == (at),	\
		       #type "." #field)

_Static_assert(sizeof(struct kvm_memory_attributes2) == 128, "size");
_Static_assert(sizeof(((struct kvm_memory_attributes2 *)0)->content_policy) == 4, "size");
assert_field(kvm_memory_attributes2, offset, 0);
assert_field(kvm_memory_attributes2, size, 8);
assert_field(kvm_memory_attributes2, attributes, 16);
assert_field(kvm_memory_attributes2, flags, 24);
assert_field(kvm_memory_attributes2, error_offset, 32);
assert_field(kvm_memory_attributes2, content_policy, 40);
assert_field(kvm_memory_attributes2, reserved32, 44);
assert_field(kvm_memory_attributes2, converted, 48);
assert_field(kvm_memory_attributes2, reserved, 56);

_Static_assert(sizeof(struct kvm_memory_attributes2_run) == 64, "size");
assert_field(kvm_memory_attributes2_run, offset, 0);
assert_field(kvm_memory_attributes2_run, size, 8);
assert_field(kvm_memory_attributes2_run, attributes, 16);
assert_field(kvm_memory_attributes2_run, state, 24);
assert_field(kvm_memory_attributes2_run, reserved, 32);

/* _IOWR(0xae, number, size), spelled out. */
_Static_assert(KVM_SET_MEMORY_ATTRIBUTES2 == (3u << 30 | 128 << 16 | 0xae << 8 | 0xd2), "ioctl");
_Static_assert(KVM_GET_MEMORY_ATTRIBUTES2 == (3u << 30 | 64 << 16 | 0xae << 8 | 0xd3), "ioctl");

_Static_assert(SET_MEMORY_ATTRIBUTES_CONTENT_ZERO == 0, "policy");
_Static_assert(SET_MEMORY_ATTRIBUTES_CONTENT_READABLE == 1, "policy");
_Static_assert(SET_MEMORY_ATTRIBUTES_CONTENT_ENCRYPTED == 2, "policy");
_Static_assert(SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY == 3, "policy");

_Static_assert(KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES == 252, "capability");
_Static_assert(KVM_CAP_GUEST_MEMFD_CONTENT_POLICIES == 253, "capability");
_Static_assert(KVM_GMEM_POLICY_TO_SHARED_SHIFT == 0, "capability bits");
_Static_assert(KVM_GMEM_POLICY_TO_PRIVATE_SHIFT == 16, "capability bits");
_Static_assert(KVM_GMEM_POLICY_ZERO_ONLY_SCRUBS == 14, "capability bits");
_Static_assert(KVM_GMEM_DESTRUCTIVE_RECLAIM == 1, "argument");
_Static_assert(GUEST_MEMFD_FLAG_IN_PLACE == 4, "flag");
_Static_assert(KVM_GMEM_STATE_DESTROYED == 1, "state");

#endif /* GMEM_UAPI_LAYOUT_H */
