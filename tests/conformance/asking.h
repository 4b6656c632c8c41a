/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Tests of conversions that the guest has to ask for: its hypercall in two halves,
 * and a VMM that acts on its own in between.
 */
#ifndef CONFORMANCE_ASKING_H
#define CONFORMANCE_ASKING_H

#include "env.h"

struct gmem_guest_cmd convert_cmd(uint64_t page, uint64_t nr, uint64_t attributes);
/* Run to what the list of commands ends with, or exits with.  Return: interruptions. */
unsigned int run_list(struct gmem_vcpu *vcpu, struct gmem_exit *exit);

/* The guest asks, and waits for the VMM. */
void ask_share(struct env *env, unsigned int id, uint64_t page, uint64_t nr);
void ask_unshare(struct env *env, unsigned int id, uint64_t page, uint64_t nr);
/* The same, and the first hypercall stops early: it is for @part pages. */
struct gmem_exit ask_part(struct env *env, unsigned int id, uint64_t page, uint64_t nr,
			  uint64_t attributes, uint64_t part);
/* The VMM says that it is done, and the guest asks for what is left. */
void ask_next(struct env *env, unsigned int id, uint64_t page, uint64_t nr,
	      uint64_t attributes);
/*
 * The VMM answers, and gives the same answer if the guest asks for what is left; what
 * the guest is told in the end, and how many pages were done.
 */
int answer(struct env *env, unsigned int id, int64_t ret, uint64_t *done);

#define ASSERT_ANSWER(env, id, ret, want, want_done)				\
	do {									\
		uint64_t done_ = ~0ull;						\
		ASSERT_RET(answer(env, id, ret, &done_), want);			\
		ASSERT_EQ(done_, want_done);					\
	} while (0)

/* A hypercall that is over without the VMM. */
int ask_in_vain(struct env *env, unsigned int id, uint64_t page, uint64_t nr,
		uint64_t attributes);

/*
 * Before the vCPU runs: the VMM has it ask in the guest's place, to share these pages,
 * by its registers.  0 or -errno.
 */
int plan_share(struct env *env, unsigned int id, uint64_t page, uint64_t nr);
#ifdef __aarch64__
#define CORE_REG(member) (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | \
			  KVM_REG_ARM_CORE_REG(regs.member))
#define MEM_SHARE	0xc6000003

/* KVM_GET_ONE_REG or KVM_SET_ONE_REG.  0 or -errno. */
int access_register(struct gmem_vcpu *vcpu, unsigned long request, uint64_t id,
		    uint64_t *value);
#endif
/* KVM_SET_MP_STATE, in the kernel only.  0 or -errno. */
int set_mp_state(struct env *env, unsigned int id, uint32_t value);
/* Memory that no file converts, in a slot; @at: the VMM's mapping.  0 or -errno. */
int add_ordinary_memory(struct env *env, uint32_t id, uint64_t gpa, uint64_t nr,
			void **at);
/* The VMM switches a vCPU off; the guest switches it on, by another.  0 or -errno. */
void power_off(struct env *env, unsigned int id);
int power_on(struct env *env, unsigned int by, unsigned int id);

/* The VMM on its own. */
int vmm(struct env *env, uint64_t page, uint64_t nr, uint64_t attributes,
	uint32_t policy);
/* It gets -EPERM whatever it tries. */
void refuse_all(struct env *env, uint64_t page, uint64_t nr);
void run_guest_once(struct env *env);

#endif /* CONFORMANCE_ASKING_H */
