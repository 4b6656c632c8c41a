// SPDX-License-Identifier: GPL-2.0-only
/*
 * What x86's VM types answer when a guest_memfd asks before a conversion.
 */
#include <linux/kvm_host.h>

#include "gmem_platform.h"
#include "gmem/policy.h"

/* The engine's name for the VM's platform, negative if it converts nothing. */
static int kvm_x86_gmem_platform(struct kvm *kvm)
{
	switch (kvm->arch.vm_type) {
	case KVM_X86_SW_PROTECTED_VM:
		return GMEM_PLATFORM_SW;
	case KVM_X86_SNP_VM:
		return GMEM_PLATFORM_SNP;
	case KVM_X86_TDX_VM:
		return GMEM_PLATFORM_TDX;
	default:
		return -EOPNOTSUPP;
	}
}

u32 kvm_gmem_arch_content_policies(struct kvm *kvm)
{
	int platform = kvm_x86_gmem_platform(kvm);

	return platform < 0 ? 0 : gmem_policy_caps(platform);
}

int kvm_gmem_arch_content_policy_supported(struct kvm *kvm,
		enum set_memory_attributes_content_policy policy,
		gfn_t gfn, u64 nr_pages, bool to_private)
{
	int platform = kvm_x86_gmem_platform(kvm);

	if (platform < 0)
		return platform;

	return gmem_policy_check(platform, policy, to_private);
}
