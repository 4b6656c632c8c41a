// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Policy rules; policy.h says what they promise.  One table holds what each
 * platform honours; the check and the capability bits both come from it.
 */
#include "policy.h"
#include "attr_map.h"

#define NR_POLICIES	4

#define TO_SHARED	1u
#define TO_PRIVATE	2u
#define BOTH		(TO_SHARED | TO_PRIVATE)
/* Towards private the contents are gone, but what replaces them is undefined. */
#define PRIVATE_SCRUBS	4u

static_assert(SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY == NR_POLICIES - 1,
	      "every policy has a column");

static const u8 support[GMEM_NR_PLATFORMS][NR_POLICIES] = {
	[GMEM_PLATFORM_SW] = {
		[SET_MEMORY_ATTRIBUTES_CONTENT_ZERO]		= BOTH,
		[SET_MEMORY_ATTRIBUTES_CONTENT_READABLE]	= BOTH,
		[SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY]		= BOTH,
	},
	[GMEM_PLATFORM_PKVM] = {
		[SET_MEMORY_ATTRIBUTES_CONTENT_ZERO]		= BOTH,
		[SET_MEMORY_ATTRIBUTES_CONTENT_READABLE]	= BOTH,
		[SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY]		= BOTH,
	},
	/*
	 * RMPUPDATE and PVALIDATE clear nothing: once a page is private, the
	 * guest reads what its key makes of the old bytes.
	 */
	[GMEM_PLATFORM_SNP] = {
		[SET_MEMORY_ATTRIBUTES_CONTENT_ZERO]		= BOTH | PRIVATE_SCRUBS,
		[SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY]		= BOTH,
	},
	/* Accepting a page zeroes it. */
	[GMEM_PLATFORM_TDX] = {
		[SET_MEMORY_ATTRIBUTES_CONTENT_ZERO]		= BOTH,
		[SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY]		= BOTH,
	},
};

int gmem_args_check(const struct kvm_memory_attributes2 *args, u64 file_size)
{
	if (!args->size || (args->offset | args->size) & (PAGE_SIZE - 1))
		return -EINVAL;
	/* The sum of the two may wrap. */
	if (args->size > file_size || args->offset > file_size - args->size)
		return -EINVAL;
	if (args->attributes & ~(u64)KVM_MEMORY_ATTRIBUTE_PRIVATE)
		return -EINVAL;
	if (args->content_policy >= NR_POLICIES)
		return -EINVAL;
	if (args->flags || args->reserved32 || args->converted)
		return -EINVAL;

	for (size_t i = 0; i < sizeof(args->reserved) / sizeof(args->reserved[0]); i++) {
		if (args->reserved[i])
			return -EINVAL;
	}
	return 0;
}

int gmem_policy_check(enum gmem_platform platform, u32 policy, bool to_private)
{
	if (policy >= NR_POLICIES)
		return -EINVAL;
	if (!(support[platform][policy] & (to_private ? TO_PRIVATE : TO_SHARED)))
		return -EOPNOTSUPP;
	return 0;
}

u32 gmem_policy_caps(enum gmem_platform platform)
{
	u32 to_shared = 0, to_private = 0;

	for (u32 policy = 0; policy < NR_POLICIES; policy++) {
		if (support[platform][policy] & TO_SHARED)
			to_shared |= 1u << policy;
		if (support[platform][policy] & TO_PRIVATE)
			to_private |= 1u << policy;
		if (support[platform][policy] & PRIVATE_SCRUBS)
			to_private |= 1u << KVM_GMEM_POLICY_ZERO_ONLY_SCRUBS;
	}
	return to_shared << KVM_GMEM_POLICY_TO_SHARED_SHIFT |
	       to_private << KVM_GMEM_POLICY_TO_PRIVATE_SHIFT;
}

unsigned int gmem_policy_target(u32 policy, bool to_private)
{
	unsigned int attrs = to_private ? GMEM_ATTR_PRIVATE : 0;

	if (policy == SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY)
		attrs |= GMEM_ATTR_DESTROYED;
	return attrs;
}

bool gmem_policy_converts(u32 policy, bool to_private, unsigned int attrs)
{
	if (policy == SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY)
		return true;
	return attrs != gmem_policy_target(policy, to_private);
}

u32 gmem_policy_content(u32 policy, unsigned int attrs)
{
	if (attrs & GMEM_ATTR_DESTROYED &&
	    policy != SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY)
		return SET_MEMORY_ATTRIBUTES_CONTENT_ZERO;
	return policy;
}
