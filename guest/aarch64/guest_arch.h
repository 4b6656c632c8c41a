/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * The guest program on arm64: EL1, guest virtual is guest physical.
 *
 * Loads and stores are instructions of their own, each with one register and no
 * write-back: KVM emulates no other.
 */
#ifndef GUEST_ARCH_H
#define GUEST_ARCH_H

#include "mailbox.h"

/* ARM_SMCCC_VENDOR_HYP_KVM_HYP_MEMINFO_FUNC_ID, ..._MEM_SHARE_..., ..._MEM_UNSHARE_... */
#define HYP_MEMINFO			0xc6000002
#define MEM_SHARE			0xc6000003
#define MEM_UNSHARE			0xc6000004
#define KVM_FUNC_HAS_RANGE		(1u << 0)
#define SMCCC_RET_INVALID_PARAMETER	(-3)

/* PSCI_0_2_FN64_CPU_ON */
#define CPU_ON				0xc4000003
#define PSCI_RET_INVALID_PARAMS		(-2)
#define PSCI_RET_ALREADY_ON		(-4)

/* start.S */
void guest_secondary(void);

static inline void guest_barrier(void)
{
	__asm__ volatile("dmb ish" : : : "memory");
}

static inline uint64_t guest_load(struct gmem_guest_mailbox *mb, uint64_t addr,
				  unsigned int size)
{
	uint64_t value;

	(void)mb;
	switch (size) {
	case 1:
		__asm__ volatile("ldrb %w0, [%1]" : "=r"(value) : "r"(addr) : "memory");
		break;
	case 2:
		__asm__ volatile("ldrh %w0, [%1]" : "=r"(value) : "r"(addr) : "memory");
		break;
	case 4:
		__asm__ volatile("ldr %w0, [%1]" : "=r"(value) : "r"(addr) : "memory");
		break;
	default:
		__asm__ volatile("ldr %0, [%1]" : "=r"(value) : "r"(addr) : "memory");
	}
	return value;
}

static inline void guest_store(struct gmem_guest_mailbox *mb, uint64_t addr,
			       unsigned int size, uint64_t value)
{
	(void)mb;
	switch (size) {
	case 1:
		__asm__ volatile("strb %w0, [%1]" : : "r"(value), "r"(addr) : "memory");
		break;
	case 2:
		__asm__ volatile("strh %w0, [%1]" : : "r"(value), "r"(addr) : "memory");
		break;
	case 4:
		__asm__ volatile("str %w0, [%1]" : : "r"(value), "r"(addr) : "memory");
		break;
	default:
		__asm__ volatile("str %0, [%1]" : : "r"(value), "r"(addr) : "memory");
	}
}

static inline int64_t hypercall(uint64_t function, uint64_t arg1, uint64_t arg2,
				uint64_t arg3, uint64_t *ret1)
{
	register uint64_t x0 __asm__("x0") = function;
	register uint64_t x1 __asm__("x1") = arg1;
	register uint64_t x2 __asm__("x2") = arg2;
	register uint64_t x3 __asm__("x3") = arg3;

	__asm__ volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)
			 : : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12",
			     "x13", "x14", "x15", "x16", "x17", "memory");
	*ret1 = x1;
	return (int64_t)x0;
}

static inline bool takes_ranges(struct gmem_guest_mailbox *mb)
{
	uint64_t features;

	if (mb->ranges == GMEM_GUEST_RANGES_UNKNOWN) {
		mb->ranges = GMEM_GUEST_RANGES_NO;
		if (hypercall(HYP_MEMINFO, 0, 0, 0, &features) > 0 &&
		    features & KVM_FUNC_HAS_RANGE)
			mb->ranges = GMEM_GUEST_RANGES_YES;
	}
	return mb->ranges == GMEM_GUEST_RANGES_YES;
}

/* -EPERM is how a hypervisor says that it does not know the hypercall. */
static inline int64_t guest_map_gpa_range(struct gmem_guest_mailbox *mb,
					  uint64_t gpa, uint64_t pages,
					  uint64_t attributes, uint64_t *done)
{
	const uint64_t function = attributes & MAP_GPA_RANGE_ENCRYPTED ? MEM_UNSHARE :
									 MEM_SHARE;
	int64_t ret;

	if (pages && takes_ranges(mb)) {
		ret = hypercall(function, gpa, pages, 0, done);
	} else {
		ret = hypercall(function, gpa, 0, 0, done);
		*done = !ret;
	}
	return ret == SMCCC_RET_INVALID_PARAMETER ? -EINVAL : ret;
}

/* The vCPU's affinity is its number, which it gets as context. */
static inline int64_t guest_power_on(uint64_t id)
{
	uint64_t ignored;

	switch (hypercall(CPU_ON, id, (uintptr_t)guest_secondary, id, &ignored)) {
	case 0:
		return 0;
	case PSCI_RET_INVALID_PARAMS:
		return -EINVAL;
	case PSCI_RET_ALREADY_ON:
		return -EEXIST;
	default:
		return -EPERM;
	}
}

static inline void guest_exit(struct gmem_guest_mailbox *mb, uint32_t seq)
{
	guest_store(mb, GMEM_GUEST_EXIT_GPA, 4, seq);
}

#endif /* GUEST_ARCH_H */
