/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Policy rules: what a request may ask, and which platform honours which
 * content policy in which direction.  Pure functions, no state.
 */
#ifndef GMEM_POLICY_H
#define GMEM_POLICY_H

#include "gmem_platform.h"

enum gmem_platform {
	GMEM_PLATFORM_SW,	/* KVM_X86_SW_PROTECTED_VM */
	GMEM_PLATFORM_PKVM,	/* arm64 protected VM */
	GMEM_PLATFORM_SNP,	/* AMD SEV-SNP */
	GMEM_PLATFORM_TDX,	/* Intel TDX */
	GMEM_NR_PLATFORMS,
};

/**
 * gmem_args_check() - check a conversion request before anything else
 * @args: the request as userspace wrote it
 * @file_size: size of the guest_memfd in bytes
 *
 * Context: any.
 * Return: 0; -EINVAL for a range that is misaligned, empty, wraps or ends past
 *	   the file, for an unknown attribute, policy or flag, and for reserved
 *	   or output fields that are not 0 (@error_offset may hold anything).
 */
int gmem_args_check(const struct kvm_memory_attributes2 *args, u64 file_size);

/**
 * gmem_policy_check() - does a platform honour a policy in a direction
 * @platform: the platform
 * @policy: enum set_memory_attributes_content_policy
 * @to_private: direction
 *
 * Context: any.
 * Return: 0; -EINVAL for an unknown policy; -EOPNOTSUPP.
 */
int gmem_policy_check(enum gmem_platform platform, u32 policy, bool to_private);

/**
 * gmem_policy_caps() - what KVM_CAP_GUEST_MEMFD_CONTENT_POLICIES answers
 * @platform: the platform
 *
 * Context: any.
 * Return: the bits that <linux/kvm_gmem.h> describes.
 */
u32 gmem_policy_caps(enum gmem_platform platform);

/**
 * gmem_policy_target() - the state of a page after a conversion
 * @policy: a known policy
 * @to_private: direction
 *
 * Context: any.
 * Return: GMEM_ATTR_*.
 */
unsigned int gmem_policy_target(u32 policy, bool to_private);

/**
 * gmem_policy_converts() - does a request convert a page in this state
 * @policy: a known policy
 * @to_private: direction
 * @attrs: GMEM_ATTR_* of the page now
 *
 * A page that already has the attribute is left alone, whatever the policy.
 * Destroyed counts as a third state that every request converts, and DESTROY
 * converts every page.
 *
 * Context: any.
 */
bool gmem_policy_converts(u32 policy, bool to_private, unsigned int attrs);

/**
 * gmem_policy_content() - the content step that a page of this state needs
 * @policy: a known policy
 * @attrs: GMEM_ATTR_* of the page before the conversion
 *
 * Context: any.
 * Return: @policy, but ZERO for a destroyed page unless it is destroyed again:
 *	   whatever the request, it reads as zeros.
 */
u32 gmem_policy_content(u32 policy, unsigned int attrs);

#endif /* GMEM_POLICY_H */
