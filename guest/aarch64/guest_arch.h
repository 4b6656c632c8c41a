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

/* ARM_SMCCC_VENDOR_HYP_KVM_MEM_SHARE_FUNC_ID and its counterpart */
#define MEM_SHARE			0xc6000003
#define MEM_UNSHARE			0xc6000004
#define SMCCC_RET_INVALID_PARAMETER	(-3)

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

/*
 * A single page is what every hypervisor with the hypercall understands: the number
 * of pages is then 0.  An error is the VMM's own or -EPERM, which is also how a
 * hypervisor says that it does not know the hypercall.
 */
static inline int64_t guest_map_gpa_range(struct gmem_guest_mailbox *mb,
					  uint64_t gpa, uint64_t pages,
					  uint64_t attributes, uint64_t *done)
{
	register uint64_t x0 __asm__("x0") =
		attributes & MAP_GPA_RANGE_ENCRYPTED ? MEM_UNSHARE : MEM_SHARE;
	register uint64_t x1 __asm__("x1") = gpa;
	register uint64_t x2 __asm__("x2") = pages == 1 ? 0 : pages;
	register uint64_t x3 __asm__("x3") = 0;
	int64_t ret;

	(void)mb;
	*done = 0;
	if (!pages)
		return -EINVAL;
	__asm__ volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)
			 : : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12",
			     "x13", "x14", "x15", "x16", "x17", "memory");
	ret = (int64_t)x0;
	*done = ret ? x1 : pages;
	return ret == SMCCC_RET_INVALID_PARAMETER ? -EINVAL : ret;
}

static inline void guest_exit(struct gmem_guest_mailbox *mb, uint32_t seq)
{
	guest_store(mb, GMEM_GUEST_EXIT_GPA, 4, seq);
}

#endif /* GUEST_ARCH_H */
