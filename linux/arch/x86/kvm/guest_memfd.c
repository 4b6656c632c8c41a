// SPDX-License-Identifier: GPL-2.0-only
/*
 * What x86's VM types answer when a guest_memfd asks before a conversion.
 */
#include <kunit/static_stub.h>
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

/*
 * Until the launch is finished a payload gets into an SNP or TDX guest from the very
 * page: written while shared, converted READABLE, encrypted by the launch command.
 * A conversion that began before may be done after: the guest then finds a page
 * that was not launched, as it does after a launch without it.
 */
static bool kvm_x86_gmem_launching(struct kvm *kvm, int platform)
{
	return (platform == GMEM_PLATFORM_SNP || platform == GMEM_PLATFORM_TDX) &&
	       !READ_ONCE(kvm->arch.pre_fault_allowed);
}

u32 kvm_gmem_arch_content_policies(struct kvm *kvm)
{
	int platform = kvm_x86_gmem_platform(kvm);
	u32 policies;

	if (platform < 0)
		return 0;

	policies = gmem_policy_caps(platform);
	if (kvm_x86_gmem_launching(kvm, platform))
		policies |= BIT(SET_MEMORY_ATTRIBUTES_CONTENT_READABLE)
			    << KVM_GMEM_POLICY_TO_PRIVATE_SHIFT;
	return policies;
}

int kvm_gmem_arch_content_policy_supported(struct kvm *kvm,
		enum set_memory_attributes_content_policy policy,
		gfn_t gfn, u64 nr_pages, bool to_private)
{
	int platform = kvm_x86_gmem_platform(kvm);

	KUNIT_STATIC_STUB_REDIRECT(kvm_gmem_arch_content_policy_supported, kvm, policy,
				   gfn, nr_pages, to_private);

	if (platform < 0)
		return platform;

	if (to_private && policy == SET_MEMORY_ATTRIBUTES_CONTENT_READABLE &&
	    kvm_x86_gmem_launching(kvm, platform))
		return 0;

	return gmem_policy_check(platform, policy, to_private);
}
