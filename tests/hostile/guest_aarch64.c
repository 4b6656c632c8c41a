// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Guests on arm64, hostile ones and honest ones: code that runs with the MMU off, and what
 * a VMM can do to their vCPUs.
 */
#include <string.h>
#include <sys/ioctl.h>

#include "../../lib/kvm_compat.h"
#include "hostile.h"
#include "honest.h"

#define IPA_BITS	40

#define CORE_REG(index)	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | (index))
#define PC		CORE_REG(KVM_REG_ARM_CORE_REG(regs.pc))

#define MEM_SHARE	0xc6000003
#define MEM_UNSHARE	0xc6000004

#define HVC		0xd4000002
#define LOAD_X4_X1	0xf9400024
#define STORE_X4_X1	0xf9000024

long machine_type(int kvm, enum platform platform)
{
	unsigned long type = KVM_VM_TYPE_ARM_IPA_SIZE(IPA_BITS);

	(void)kvm;
	if (platform == PLATFORM_SW)
		return -1;
	return (long)(platform == PLATFORM_PKVM ? type | KVM_VM_TYPE_ARM_PROTECTED : type);
}

static uint32_t *emit_constant(uint32_t *code, unsigned int reg, uint64_t value)
{
	*code++ = 0xd2800000 | (uint32_t)(value & 0xffff) << 5 | reg;
	for (uint32_t part = 1; part < 4; part++)
		*code++ = 0xf2800000 | part << 21 |
			  (uint32_t)(value >> 16 * part & 0xffff) << 5 | reg;
	return code;
}

void write_code(unsigned char *page)
{
	uint32_t *const start = (uint32_t *)page, *code = start;

	while ((code - start) * 4 < 3800) {
		code = emit_constant(code, 1, one_in(32) ? random_u64() :
				     DATA_GPA + below(DATA_PAGES + 2) * PAGE);
		if (one_in(2)) {
			*code++ = one_in(2) ? LOAD_X4_X1 : STORE_X4_X1;
			continue;
		}
		code = emit_constant(code, 0, one_in(32) ? random_u64() :
				     one_in(2) ? MEM_SHARE : MEM_UNSHARE);
		code = emit_constant(code, 2, one_in(32) ? random_u64() :
				     below(one_in(4) ? DATA_PAGES : 6));
		code = emit_constant(code, 3, one_in(64));
		*code++ = HVC;
	}
	*code = 0x14000000 | ((uint32_t)(start - code) & 0x3ffffff);
	if (one_in(16))
		code[-1 - (long)below(200)] = (uint32_t)random_u64();
}

static void init_vcpu(int vm, int vcpu)
{
	struct kvm_vcpu_init init = { 0 };

	ioctl(vm, KVM_ARM_PREFERRED_TARGET, &init);
	init.features[0] |= 1u << KVM_ARM_VCPU_PSCI_0_2;
	if (one_in(16))
		init.features[0] ^= 1u << below(10);
	ioctl(vcpu, KVM_ARM_VCPU_INIT, &init);
}

static void set_register(int vcpu, uint64_t id, uint64_t value)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)&value };

	ioctl(vcpu, KVM_SET_ONE_REG, &reg);
}

void prepare_vcpu(int vm, int vcpu, uint64_t pc)
{
	init_vcpu(vm, vcpu);
	set_register(vcpu, PC, pc);
}

static uint64_t any_register(void)
{
	switch (below(4)) {
	case 0:
		return CORE_REG(below(0x100) * 2);
	case 1:
		return KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM64_SYSREG |
		       below(0x10000);
	case 2:
		return KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_FW | below(4);
	default:
		return PC;
	}
}

/* What comes with an ioctl of its own, beside registers. */
static void meddle_otherwise(int vcpu)
{
	struct kvm_vcpu_events events = {
		.exception.serror_pending = one_in(2), .exception.ext_dabt_pending = one_in(2),
	};
	struct kvm_guest_debug debug = {
		.control = (one_in(2) ? KVM_GUESTDBG_ENABLE : 0) |
			   (one_in(4) ? KVM_GUESTDBG_SINGLESTEP : 0),
	};
	uint64_t ipa = DATA_GPA + below(DATA_PAGES) * PAGE;
	struct kvm_device_attr steal_time = {
		.group = KVM_ARM_VCPU_PVTIME_CTRL, .attr = KVM_ARM_VCPU_PVTIME_IPA,
		.addr = (uintptr_t)&ipa,
	};

	switch (below(4)) {
	case 0:
		ioctl(vcpu, KVM_SET_GUEST_DEBUG, &debug);
		break;
	case 1:
		ioctl(vcpu, KVM_SET_DEVICE_ATTR, &steal_time);
		break;
	default:
		ioctl(vcpu, KVM_SET_VCPU_EVENTS, &events);
	}
}

void meddle_with_vcpu(int vm, int vcpu)
{
	uint64_t value;
	struct kvm_one_reg reg = { .id = any_register(), .addr = (uintptr_t)&value };
	struct kvm_mp_state state = { .mp_state = (uint32_t)below(12) };

	switch (below(10)) {
	case 0:
		init_vcpu(vm, vcpu);
		break;
	case 1:
		ioctl(vcpu, KVM_SET_MP_STATE, &state);
		break;
	case 2:
	case 3:
		ioctl(vcpu, KVM_GET_ONE_REG, &reg);
		break;
	case 4:
		prepare_vcpu(vm, vcpu, CODE_GPA + below(CODE_PAGES) * PAGE);
		break;
	case 5:
		/* As if the guest had asked. */
		set_register(vcpu, CORE_REG(KVM_REG_ARM_CORE_REG(regs.regs[0])), MEM_SHARE);
		set_register(vcpu, CORE_REG(KVM_REG_ARM_CORE_REG(regs.regs[1])),
			     DATA_GPA + below(DATA_PAGES) * PAGE);
		break;
	case 6:
		meddle_otherwise(vcpu);
		break;
	case 7:
		plan_vcpu(vcpu);
		break;
	default:
		set_register(vcpu, any_register(), one_in(2) ? random_u64() :
			     DATA_GPA + below(DATA_PAGES) * PAGE);
	}
}

/* ---- honest guests ---- */

extern const unsigned char honest_code[], honest_hvc[], honest_extra[], honest_code_end[];

bool write_honest_code(unsigned char *page, bool betrays)
{
	const uint64_t extra = betrays;

	memcpy(page, honest_code, (size_t)(honest_code_end - honest_code));
	memcpy(page + (honest_extra - honest_code), &extra, sizeof(extra));
	return true;
}

void plan_vcpu(int vcpu)
{
	const uint64_t values[] = {
		MEM_SHARE, DATA_GPA + below(HONEST_VCPUS * HONEST_PAGES) * PAGE,
		one_in(2) ? 0 : 1 + below(DATA_PAGES), 0,
	};
	struct kvm_mp_state runnable = { .mp_state = KVM_MP_STATE_RUNNABLE };

	for (unsigned int i = 0; i < 4; i++)
		set_register(vcpu, CORE_REG(KVM_REG_ARM_CORE_REG(regs.regs[0]) + 2 * i),
			     values[i]);
	set_register(vcpu, PC, CODE_GPA + (uint64_t)(honest_hvc - honest_code));
	if (one_in(2))
		ioctl(vcpu, KVM_SET_MP_STATE, &runnable);
}
