/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * For the tests of platforms that encrypt: looking at memory from below, and guests
 * that mean another kind.
 */
#ifndef TESTS_EMU_AT_REST_H
#define TESTS_EMU_AT_REST_H

#include <gmem/emu.h>
#include "memory_crypt.h"
#include "../conformance/env.h"

static inline void read_memory(struct env *env, uint64_t page, uint64_t *words)
{
	ASSERT_OK(gmem_emu_read_memory(env->file, page * PAGE, PAGE, words));
}

/* How many words of a page are those of the pattern. */
static inline unsigned int count_pattern(const uint64_t *words, uint64_t value)
{
	unsigned int count = 0;

	for (uint64_t i = 0; i < WORDS; i++)
		count += words[i] == value + i;
	return count;
}

/* Two VMs never share a page frame: compare their keys at one address. */
static inline void check_fresh_keys(void)
{
	uint64_t page[2][WORDS] __attribute__((aligned(16)));
	struct emu_crypt crypt[2];

	for (int i = 0; i < 2; i++) {
		ASSERT_OK(emu_crypt_init(&crypt[i]));
		emu_crypt_page(&crypt[i], 0x1000, page[i], NULL);
		emu_crypt_destroy(&crypt[i]);
	}
	for (uint64_t i = 0; i < WORDS; i++)
		ASSERT(page[0][i] != page[1][i]);
}

/* The guest's access exits, and the flags say what it meant. */
static inline void check_fault(struct env *env, uint64_t page, uint64_t flags)
{
	struct gmem_guest_cmd cmd = {
		.op = GMEM_GUEST_LOAD, .addr = gpa_of(page) + 8, .size = 8,
	};
	struct gmem_exit exit = { 0 };

	ASSERT_RET(gmem_guest_exec(env_vcpu(env, 0), &cmd, 1, 0, &exit), -EFAULT);
	ASSERT_EQ(exit.reason, KVM_EXIT_MEMORY_FAULT);
	ASSERT_EQ(exit.memory_fault.flags, flags);
	ASSERT_EQ(exit.memory_fault.gpa, gpa_of(page));
	ASSERT_OK(gmem_guest_abort(env_vcpu(env, 0)));
}

/* The guest ends itself at its next access. */
static inline void check_end(struct env *env, uint64_t page, uint64_t event)
{
	struct gmem_guest_cmd cmd = {
		.op = GMEM_GUEST_LOAD, .addr = gpa_of(page), .size = 8,
	};
	struct gmem_exit exit = { 0 };

	ASSERT_RET(gmem_guest_exec(env_vcpu(env, 0), &cmd, 1, 0, &exit), -EIO);
	ASSERT_EQ(exit.reason, KVM_EXIT_SYSTEM_EVENT);
	ASSERT_EQ(exit.raw[0] & 0xffffffff, event);
	ASSERT_OK(gmem_guest_abort(env_vcpu(env, 0)));
}

#endif /* TESTS_EMU_AT_REST_H */
