// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The kernel engine on x86-64: VM types, and a vCPU in 64-bit mode for the guest
 * program.
 */
#include <cpuid.h>
#include <stdlib.h>
#include <string.h>

#include "kernel.h"
#include "../guest/mailbox.h"

#define CPUID_EXT_FEATURES	0x80000001
#define CPUID_ECX_SVM		(1u << 2)
#define CPUID_EDX_1G_PAGES	(1u << 26)

#define MAX_CPUID_ENTRIES	256

#define PTE_PRESENT		(1ull << 0)
#define PTE_WRITE		(1ull << 1)
#define PTE_LARGE		(1ull << 7)

#define CR0_PE			(1ull << 0)
#define CR0_MP			(1ull << 1)
#define CR0_ET			(1ull << 4)
#define CR0_NE			(1ull << 5)
#define CR0_PG			(1ull << 31)
#define CR4_PAE			(1ull << 5)
#define EFER_LME		(1ull << 8)
#define EFER_LMA		(1ull << 10)

int kernel_arch_vm_type(struct kernel_engine *engine, uint32_t platform,
			unsigned long *type)
{
	int types;

	switch (platform) {
	case GMEM_VM_DEFAULT:
		*type = KVM_X86_DEFAULT_VM;
		return 0;
	case GMEM_VM_SW:
		*type = KVM_X86_SW_PROTECTED_VM;
		break;
	case GMEM_VM_SNP:
		*type = KVM_X86_SNP_VM;
		break;
	case GMEM_VM_TDX:
		*type = KVM_X86_TDX_VM;
		break;
	default:
		return -EOPNOTSUPP;
	}

	types = ioctl(engine->fd, KVM_CHECK_EXTENSION, KVM_CAP_VM_TYPES);
	return types > 0 && (types & (1 << *type)) ? 0 : -EOPNOTSUPP;
}

int kernel_arch_vcpu_init(struct gmem_vm *vm, struct kernel_vcpu *vcpu)
{
	const struct kernel_engine *engine = to_kernel_engine(vm->engine);
	struct kvm_cpuid2 *cpuid;
	int ret;

	cpuid = calloc(1, sizeof(*cpuid) +
			  MAX_CPUID_ENTRIES * sizeof(cpuid->entries[0]));
	if (!cpuid)
		return -ENOMEM;

	cpuid->nent = MAX_CPUID_ENTRIES;
	ret = kernel_ioctl(engine->fd, KVM_GET_SUPPORTED_CPUID, cpuid);
	if (!ret)
		ret = kernel_ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid);
	free(cpuid);
	return ret;
}

/* Guest virtual is guest physical, by 1 GiB pages up to 512 GiB. */
int kernel_arch_guest_prepare(struct gmem_vm *vm, void *memory)
{
	uint64_t *pml4 = (uint64_t *)((char *)memory + GMEM_GUEST_TABLES_GPA -
				      GMEM_GUEST_BASE_GPA);
	uint64_t *pdpt = pml4 + 512;
	unsigned int eax, ebx, ecx, edx;
	uint64_t i;

	if (!__get_cpuid(CPUID_EXT_FEATURES, &eax, &ebx, &ecx, &edx) ||
	    !(edx & CPUID_EDX_1G_PAGES)) {
		gmem_log(vm->engine, GMEM_LOG_ERROR,
			 "the guest program needs a processor with 1 GiB pages");
		return -EOPNOTSUPP;
	}

	pml4[0] = (GMEM_GUEST_TABLES_GPA + GMEM_GUEST_PAGE_SIZE) | PTE_PRESENT |
		  PTE_WRITE;
	for (i = 0; i < 512; i++)
		pdpt[i] = i << 30 | PTE_PRESENT | PTE_WRITE | PTE_LARGE;
	return 0;
}

static void set_segments(struct kvm_sregs *sregs)
{
	struct kvm_segment code = {
		.limit = 0xffffffff, .selector = 0x08, .type = 0xb,
		.present = 1, .s = 1, .l = 1, .g = 1,
	};
	struct kvm_segment data = {
		.limit = 0xffffffff, .selector = 0x10, .type = 0x3,
		.present = 1, .s = 1, .db = 1, .g = 1,
	};

	sregs->cs = code;
	sregs->ds = data;
	sregs->es = data;
	sregs->fs = data;
	sregs->gs = data;
	sregs->ss = data;
}

/*
 * KVM completes the access that the vCPU exited for when it runs again, and writes
 * registers then: so let it, before they are set.
 */
static int complete_exit(struct kernel_vcpu *vcpu)
{
	int ret;

	vcpu->run->immediate_exit = 1;
	do {
		/* An access of several parts exits for each. */
		ret = kernel_ioctl(vcpu->fd, KVM_RUN, NULL);
	} while (ret >= 0);
	vcpu->run->immediate_exit = 0;

	return ret == -EINTR ? 0 : ret;
}

int kernel_arch_guest_enter(struct gmem_vcpu *base)
{
	struct kernel_vcpu *vcpu = to_kernel_vcpu(base);
	unsigned int eax, ebx, ecx = 0, edx;
	struct kvm_sregs sregs;
	struct kvm_regs regs = {
		.rip = GMEM_GUEST_BASE_GPA,
		.rsp = GMEM_GUEST_STACK_GPA +
		       (base->id + 1ull) * GMEM_GUEST_PAGE_SIZE,
		.rdi = GMEM_GUEST_MAILBOX_GPA +
		       (uint64_t)base->id * GMEM_GUEST_PAGE_SIZE,
		.rflags = 2,
	};
	int ret;

	ret = complete_exit(vcpu);
	if (ret)
		return ret;

	ret = kernel_ioctl(vcpu->fd, KVM_GET_SREGS, &sregs);
	if (ret)
		return ret;

	set_segments(&sregs);
	sregs.cr3 = GMEM_GUEST_TABLES_GPA;
	sregs.cr4 = CR4_PAE;
	sregs.cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_PG;
	sregs.efer = EFER_LME | EFER_LMA;
	ret = kernel_ioctl(vcpu->fd, KVM_SET_SREGS, &sregs);
	if (ret)
		return ret;

	__get_cpuid(CPUID_EXT_FEATURES, &eax, &ebx, &ecx, &edx);
	base->mailbox->vmcall = !(ecx & CPUID_ECX_SVM);
	return kernel_ioctl(vcpu->fd, KVM_SET_REGS, &regs);
}
