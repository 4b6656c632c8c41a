/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Guest physical addresses of the guest program, for C and for assembly.  All of it
 * lies in one ordinary memslot, so that memory under test holds nothing else.
 */
#ifndef GMEM_GUEST_LAYOUT_H
#define GMEM_GUEST_LAYOUT_H

#define GMEM_GUEST_PAGE_SHIFT	12
#define GMEM_GUEST_PAGE_SIZE	(1 << GMEM_GUEST_PAGE_SHIFT)
#define GMEM_GUEST_MAX_VCPUS	16

#define GMEM_GUEST_BASE_GPA	0x100000	/* program, loaded here */
#define GMEM_GUEST_IMAGE_SIZE	0x4000
#define GMEM_GUEST_TABLES_GPA	0x104000	/* page tables */
#define GMEM_GUEST_TABLES_SIZE	0x4000
#define GMEM_GUEST_MAILBOX_GPA	0x110000	/* one page for each vCPU */
#define GMEM_GUEST_STACK_GPA	0x120000	/* one page for each vCPU */
#define GMEM_GUEST_SLOT_SIZE	0x30000
/* Backed by nothing: stores to them are exits. */
#define GMEM_GUEST_EXIT_GPA	0x200000	/* a list is done */
#define GMEM_GUEST_FAULT_GPA	0x201000	/* arm64: an exception's syndrome */

#endif /* GMEM_GUEST_LAYOUT_H */
