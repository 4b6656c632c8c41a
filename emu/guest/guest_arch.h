/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * The guest program in the emu engine: compiled for the host, it runs on a vCPU's
 * thread.  Its mailbox is at hand; all other memory it reaches through the engine.
 */
#ifndef GUEST_ARCH_H
#define GUEST_ARCH_H

#include "mailbox.h"

uint64_t emu_guest_load(uint64_t addr, unsigned int size);
void emu_guest_store(uint64_t addr, unsigned int size, uint64_t value);
int64_t emu_guest_map_gpa_range(uint64_t gpa, uint64_t pages, uint64_t attributes,
				uint64_t *done);
int64_t emu_guest_power_on(uint64_t id);

static inline void guest_barrier(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static inline uint64_t guest_load(struct gmem_guest_mailbox *mb, uint64_t addr,
				  unsigned int size)
{
	(void)mb;
	return emu_guest_load(addr, size);
}

static inline void guest_store(struct gmem_guest_mailbox *mb, uint64_t addr,
			       unsigned int size, uint64_t value)
{
	(void)mb;
	emu_guest_store(addr, size, value);
}

static inline int64_t guest_map_gpa_range(struct gmem_guest_mailbox *mb,
					  uint64_t gpa, uint64_t pages,
					  uint64_t attributes, uint64_t *done)
{
	(void)mb;
	return emu_guest_map_gpa_range(gpa, pages, attributes, done);
}

static inline int64_t guest_power_on(uint64_t id)
{
	return emu_guest_power_on(id);
}

static inline void guest_exit(struct gmem_guest_mailbox *mb, uint32_t seq)
{
	(void)mb;
	emu_guest_store(GMEM_GUEST_EXIT_GPA, sizeof(seq), seq);
}

#endif /* GUEST_ARCH_H */
