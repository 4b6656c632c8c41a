// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Hostile guests on x86-64: code that runs in 32-bit mode without paging, and what a
 * VMM can do to their vCPUs.
 */
#include <string.h>
#include <sys/ioctl.h>

#include "../../lib/kvm_compat.h"
#include "hostile.h"

#define CR0_PE			(1ull << 0)
#define CR0_ET			(1ull << 4)

#define HC_MAP_GPA_RANGE	12
#define ENCRYPTED		(1u << 4)

#define MOV_EAX			0xb8
#define MOV_ECX			0xb9
#define MOV_EDX			0xba
#define MOV_EBX			0xbb
#define LOAD_EAX		0xa1
#define STORE_EAX		0xa3
#define JUMP			0xe9

long machine_type(int kvm, enum platform platform)
{
	(void)kvm;
	switch (platform) {
	case PLATFORM_SW:
		return KVM_X86_SW_PROTECTED_VM;
	case PLATFORM_PLAIN:
		return KVM_X86_DEFAULT_VM;
	default:
		return -1;
	}
}

static unsigned char *emit(unsigned char *code, unsigned char op, uint32_t value)
{
	*code++ = op;
	memcpy(code, &value, sizeof(value));
	return code + sizeof(value);
}

static uint32_t any_gpa(void)
{
	return (uint32_t)(one_in(32) ? random_u64() :
			  DATA_GPA + below(DATA_PAGES + 2) * PAGE);
}

void write_code(unsigned char *page)
{
	static const unsigned char vmmcall[] = { 0x0f, 0x01, 0xd9 };
	unsigned char *code = page;

	while (code - page < 4000) {
		if (one_in(2)) {
			code = emit(code, one_in(2) ? LOAD_EAX : STORE_EAX, any_gpa());
			continue;
		}
		code = emit(code, MOV_EAX, one_in(32) ? (uint32_t)below(16) :
			    HC_MAP_GPA_RANGE);
		code = emit(code, MOV_EBX, any_gpa());
		code = emit(code, MOV_ECX, (uint32_t)(one_in(32) ? random_u64() :
						      below(one_in(4) ? DATA_PAGES : 6)));
		code = emit(code, MOV_EDX, one_in(32) ? (uint32_t)random_u64() :
			    one_in(2) ? ENCRYPTED : 0);
		memcpy(code, vmmcall, sizeof(vmmcall));
		code += sizeof(vmmcall);
	}
	emit(code, JUMP, (uint32_t)(page - code - 5));
	if (one_in(16))
		page[below(4000)] = (unsigned char)random_u64();
}

static void set_start(int vcpu, uint64_t pc)
{
	struct kvm_regs regs = { .rip = pc, .rflags = 2 };

	ioctl(vcpu, KVM_SET_REGS, &regs);
}

void prepare_vcpu(int vm, int vcpu, uint64_t pc)
{
	struct kvm_segment code = {
		.limit = 0xffffffff, .selector = 0x08, .type = 0xb,
		.present = 1, .s = 1, .db = 1, .g = 1,
	};
	struct kvm_segment data = code;
	struct kvm_sregs sregs;

	(void)vm;
	data.selector = 0x10;
	data.type = 0x3;
	if (ioctl(vcpu, KVM_GET_SREGS, &sregs))
		return;
	sregs.cs = code;
	sregs.ds = data;
	sregs.es = data;
	sregs.fs = data;
	sregs.gs = data;
	sregs.ss = data;
	sregs.cr0 = CR0_PE | CR0_ET;
	ioctl(vcpu, KVM_SET_SREGS, &sregs);
	set_start(vcpu, pc);
}

void meddle_with_vcpu(int vm, int vcpu)
{
	struct kvm_regs regs;
	unsigned char *bytes = (unsigned char *)&regs;

	switch (below(4)) {
	case 0:
		ioctl(vcpu, KVM_GET_REGS, &regs);
		break;
	case 1:
		set_start(vcpu, CODE_GPA + below(CODE_PAGES) * PAGE);
		break;
	case 2:
		prepare_vcpu(vm, vcpu, CODE_GPA + below(CODE_PAGES) * PAGE);
		break;
	default:
		for (size_t i = 0; i < sizeof(regs); i++)
			bytes[i] = (unsigned char)(one_in(4) ? random_u64() : 0);
		ioctl(vcpu, KVM_SET_REGS, &regs);
	}
}

/* Guests that ask before the VMM may look are arm64's. */
bool write_honest_code(unsigned char *page, bool betrays)
{
	(void)page;
	(void)betrays;
	return false;
}

void plan_vcpu(int vcpu)
{
	(void)vcpu;
}
