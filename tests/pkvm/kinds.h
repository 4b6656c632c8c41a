/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * The three kinds of memory whose sharing calls different parts answer: EL2 by itself
 * in a VM that converts nothing; EL2 and KVM in one that does, for memory that no file
 * converts; and the VMM, too, for memory that a file converts.
 */
#ifndef PKVM_KINDS_H
#define PKVM_KINDS_H

#include "pkvm.h"

enum kind { ALONE, BESIDE_A_FILE, OF_A_FILE };

struct world {
	enum kind kind;
	struct machine machine;
	struct memory memory;
	struct vcpu *vcpu;
};

/* The memory lies at RAM_GPA, and ends where nothing is. */
void world_open(struct world *world, enum kind kind, uint64_t pages);
/*
 * A call of the guest's for @pages (0: the call of one page) from page @first on.  The
 * VMM is asked for memory of a file only, and does what it is asked for.  Return: R0;
 * R1 is in vcpu->x1.
 */
uint64_t world_call(struct world *world, uint64_t function, uint64_t first,
		    uint64_t pages);
/* By as many calls as it takes, each of which has to do something. */
void world_call_all(struct world *world, uint64_t function, uint64_t first,
		    uint64_t pages);
/* That many pages are the host's to read, of those that guest_fill() wrote. */
void world_shows(struct world *world, uint64_t pages);

#define IN_EACH_KIND(name)							\
	static void name##_in(enum kind kind);					\
	PKVM_TEST(name##_if_nothing_converts)					\
	{									\
		(void)variant;							\
		name##_in(ALONE);						\
	}									\
	PKVM_TEST(name##_beside_a_file)						\
	{									\
		(void)variant;							\
		name##_in(BESIDE_A_FILE);					\
	}									\
	PKVM_TEST(name##_in_a_file)						\
	{									\
		(void)variant;							\
		name##_in(OF_A_FILE);						\
	}									\
	static void name##_in(enum kind kind)

#endif /* PKVM_KINDS_H */
