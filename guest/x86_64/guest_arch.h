/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * The guest program on x86-64: 64-bit mode, guest virtual is guest physical.
 */
#ifndef GUEST_ARCH_H
#define GUEST_ARCH_H

#include "mailbox.h"

#define KVM_HC_MAP_GPA_RANGE	12

static inline void guest_barrier(void)
{
	__asm__ volatile("mfence" : : : "memory");
}

static inline uint64_t guest_load(struct gmem_guest_mailbox *mb, uint64_t addr,
				  unsigned int size)
{
	(void)mb;
	switch (size) {
	case 1:
		return *(volatile uint8_t *)addr;
	case 2:
		return *(volatile uint16_t *)addr;
	case 4:
		return *(volatile uint32_t *)addr;
	default:
		return *(volatile uint64_t *)addr;
	}
}

static inline void guest_store(struct gmem_guest_mailbox *mb, uint64_t addr,
			       unsigned int size, uint64_t value)
{
	(void)mb;
	switch (size) {
	case 1:
		*(volatile uint8_t *)addr = (uint8_t)value;
		break;
	case 2:
		*(volatile uint16_t *)addr = (uint16_t)value;
		break;
	case 4:
		*(volatile uint32_t *)addr = (uint32_t)value;
		break;
	default:
		*(volatile uint64_t *)addr = value;
	}
}

static inline int64_t guest_map_gpa_range(struct gmem_guest_mailbox *mb,
					  uint64_t gpa, uint64_t pages,
					  uint64_t attributes, uint64_t *done)
{
	int64_t ret;

	if (!pages)
		pages = 1;
	if (mb->vmcall)
		__asm__ volatile("vmcall" : "=a"(ret)
				 : "a"((uint64_t)KVM_HC_MAP_GPA_RANGE), "b"(gpa),
				   "c"(pages), "d"(attributes) : "memory");
	else
		__asm__ volatile("vmmcall" : "=a"(ret)
				 : "a"((uint64_t)KVM_HC_MAP_GPA_RANGE), "b"(gpa),
				   "c"(pages), "d"(attributes) : "memory");
	*done = ret ? 0 : pages;
	return ret;
}

static inline int64_t guest_power_on(uint64_t id)
{
	(void)id;
	return -EOPNOTSUPP;
}

/* A plain 32-bit store: KVM has to decode the instruction. */
static inline void guest_exit(struct gmem_guest_mailbox *mb, uint32_t seq)
{
	(void)mb;
	__asm__ volatile("movl %0, (%1)"
			 : : "r"(seq), "r"((uint64_t)GMEM_GUEST_EXIT_GPA)
			 : "memory");
}

#endif /* GUEST_ARCH_H */
