/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * What guest.S and the VMM beside it agree on.  The guest has no memory that both can
 * read: it loads what it is to do from addresses that nothing backs, and stores there
 * what came of it.
 */
#ifndef PKVM_GUEST_H
#define PKVM_GUEST_H

#define CODE_GPA	0x10000000
#define MMIO_GPA	0x20000000

/* Loads, at MMIO_GPA: what to do, and x0 to x3 for it. */
#define MMIO_COMMAND	0x00
#define MMIO_ARGUMENTS	0x08
/* Stores: x0 and x1 after it, the latter last. */
#define MMIO_X0		0x40
#define MMIO_X1		0x48
/* Stores: x0 at the guest's entry; all registers that ought to be 0 there, ored. */
#define MMIO_STARTED	0x50
#define MMIO_REGISTERS	0x58
/* A store: the syndrome of an exception. */
#define MMIO_FAULT	0x60

/* Commands. */
#define GUEST_CALL	0	/* hvc */
#define GUEST_FILL	1	/* x2, x2 + 1, ... to the first word of each of x1 pages at x0 */
#define GUEST_COUNT	2	/* how many of these pages have it */

#endif /* PKVM_GUEST_H */
