/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * What the guest program and the library agree on: where things lie in guest
 * memory, and the mailbox, one page for each vCPU.
 *
 * The host writes a command list, then @seq.  It runs the vCPU; the guest sees
 * that @seq differs from @done_seq, executes the list @repeat times, stores the
 * outcomes, then @done_seq, and stores @done_seq to GMEM_GUEST_EXIT_GPA, which
 * nothing backs: the store is the exit that tells the host.  With nothing new to
 * do the guest exits again at once, so it never polls.  While the guest runs, the
 * host writes nothing but @stop.
 *
 * On arm64 the guest begins with an exit of its own, by which it says that it has
 * shared its mailbox (0), or that the hypercall for that failed or does not exist.
 * In a protected VM the host must not touch the mailbox between the vCPU's first run
 * and that exit.  A mailbox is touched by its own vCPU alone: that another one powered
 * the vCPU on changes nothing.
 */
#ifndef GMEM_GUEST_MAILBOX_H
#define GMEM_GUEST_MAILBOX_H

#include <gmem/guest.h>
#include "layout.h"

/* arm64: whether MEM_SHARE and MEM_UNSHARE take a number of pages. */
enum gmem_guest_ranges {
	GMEM_GUEST_RANGES_UNKNOWN,
	GMEM_GUEST_RANGES_NO,
	GMEM_GUEST_RANGES_YES,
};

struct gmem_guest_mailbox {
	/* host to guest */
	uint32_t seq;
	uint32_t nr_cmds;
	uint64_t repeat;	/* rounds; 0: until @stop */
	uint32_t stop;		/* end after the command that runs now */
	uint32_t vmcall;	/* x86: VMCALL (Intel) instead of VMMCALL (AMD) */
	/* guest to host */
	uint32_t done_seq;
	int32_t status;		/* of the first command that failed, else 0 */
	uint64_t rounds;	/* complete rounds so far */
	/* the guest's own */
	uint32_t ranges;	/* enum gmem_guest_ranges */
	uint32_t reserved32;
	uint64_t reserved[2];
	struct gmem_guest_cmd cmds[GMEM_GUEST_MAX_CMDS];
};

_Static_assert(sizeof(struct gmem_guest_cmd) == 80, "guest command layout");
_Static_assert(sizeof(struct gmem_guest_mailbox) <= GMEM_GUEST_PAGE_SIZE,
	       "a mailbox is one page");

#endif /* GMEM_GUEST_MAILBOX_H */
