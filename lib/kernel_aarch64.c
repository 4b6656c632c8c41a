// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The kernel engine on arm64: VM types, and a vCPU at EL1 for the guest program.
 *
 * A protected VM's ordinary memory is the host's until the guest touches it, page by
 * page, and then keeps what the host had loaded.
 */
#include <stddef.h>

#include "kernel.h"
#include "../guest/mailbox.h"

#define IPA_BITS		40

#define PTE_BLOCK		(1ull << 0)
#define PTE_INNER_SHAREABLE	(3ull << 8)
#define PTE_ACCESSED		(1ull << 10)

#define REG(member)	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | \
			 KVM_REG_ARM_CORE_REG(regs.member))

/* sw is an ordinary VM: what it offers is the kernel's to say. */
int kernel_arch_vm_type(struct kernel_engine *engine, uint32_t platform,
			unsigned long *type)
{
	int bits;

	bits = ioctl(engine->fd, KVM_CHECK_EXTENSION, KVM_CAP_ARM_VM_IPA_SIZE);
	if (bits > IPA_BITS)
		bits = IPA_BITS;
	*type = bits > 0 ? KVM_VM_TYPE_ARM_IPA_SIZE((unsigned int)bits) : 0;

	switch (platform) {
	case GMEM_VM_DEFAULT:
	case GMEM_VM_SW:
		return 0;
	case GMEM_VM_PKVM:
		*type |= KVM_VM_TYPE_ARM_PROTECTED;
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

static int reset(struct gmem_vm *vm, struct kernel_vcpu *vcpu)
{
	struct kvm_vcpu_init init = { 0 };
	int ret;

	ret = kernel_ioctl(to_kernel_vm(vm)->fd, KVM_ARM_PREFERRED_TARGET, &init);
	if (ret)
		return ret;

	init.features[0] |= 1u << KVM_ARM_VCPU_PSCI_0_2;
	return kernel_ioctl(vcpu->fd, KVM_ARM_VCPU_INIT, &init);
}

int kernel_arch_vcpu_init(struct gmem_vm *vm, struct kernel_vcpu *vcpu)
{
	return reset(vm, vcpu);
}

/* Guest virtual is guest physical, by 1 GiB blocks up to 512 GiB. */
int kernel_arch_guest_prepare(struct gmem_vm *vm, void *memory)
{
	uint64_t *table = (uint64_t *)((char *)memory + GMEM_GUEST_TABLES_GPA -
				       GMEM_GUEST_BASE_GPA);
	uint64_t i;

	(void)vm;
	for (i = 0; i < 512; i++)
		table[i] = i << 30 | PTE_BLOCK | PTE_INNER_SHAREABLE | PTE_ACCESSED;
	return 0;
}

static int set_register(struct kernel_vcpu *vcpu, uint64_t id, uint64_t value)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)&value };

	return kernel_ioctl(vcpu->fd, KVM_SET_ONE_REG, &reg);
}

int kernel_arch_guest_enter(struct gmem_vcpu *base)
{
	const uint64_t page = base->id * (uint64_t)GMEM_GUEST_PAGE_SIZE;
	struct kernel_vcpu *vcpu = to_kernel_vcpu(base);
	int ret;

	ret = reset(base->vm, vcpu);
	if (!ret)
		ret = set_register(vcpu, REG(pc), GMEM_GUEST_BASE_GPA);
	if (!ret)
		ret = set_register(vcpu, REG(regs[0]), GMEM_GUEST_MAILBOX_GPA + page);
	if (!ret)
		ret = set_register(vcpu, REG(regs[1]), GMEM_GUEST_STACK_GPA + page +
				   GMEM_GUEST_PAGE_SIZE);
	if (ret)
		return ret;

	/* KVM would complete an access that the vCPU exited for before the reset. */
	vcpu->run->exit_reason = KVM_EXIT_UNKNOWN;
	base->hello_due = true;
	if (base->vm->platform == GMEM_VM_PKVM)
		base->mailbox_state = GMEM_MAILBOX_LOADED;
	return 0;
}
