/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * pKVM's hypervisor, as far as it decides who reaches a page: see el2.c.
 *
 * Every call is about pages of one file, which are this model's page frames and,
 * since a memslot never moves once the VM has run, the guest's IPAs, too.
 */
#ifndef EMU_EL2_H
#define EMU_EL2_H

#include "emu.h"

/* enum pkvm_page_state of arch/arm64/kvm/hyp/include/nvhe/memory.h */
enum el2_page_state {
	EL2_PAGE_OWNED,			/* exclusively */
	EL2_PAGE_SHARED_OWNED,		/* by its owner with another */
	EL2_PAGE_SHARED_BORROWED,	/* from its owner */
	EL2_NOPAGE,			/* not mapped: somebody else's */
	EL2_POISON,			/* guest only: taken back by force */
};

#define EL2_PAGE_BYTES	1		/* of the platform's state for each page */

int el2_file_create(struct emu_file *file);
void el2_file_destroy(struct emu_file *file);

/* Lock-free, in signal handlers, too. */
enum el2_page_state el2_host_state(struct emu_file *file, u64 index);
enum el2_page_state el2_guest_state(struct emu_file *file, u64 index);
/* Whether the host reaches @start, and the first page with another answer. */
u64 el2_host_run(struct emu_file *file, u64 start, u64 end, bool *allowed);
/* The first page of [start, end) that the guest may have or have had, or end. */
u64 el2_next_touched(struct emu_file *file, u64 start, u64 end);

/*
 * The host's hypercalls and the guest's.  One page each; all but the first two
 * under the file's lock.  They check every party's state, then commit, and change
 * nothing if they fail:
 *
 *	-ENOENT		the guest does not have the page
 *	-EHWPOISON	it was taken from the guest by force
 *	-EPERM		any other wrong state
 *
 * el2_host_donate_guest(): the host gives the guest a page that it faulted on.
 * el2_guest_share_host(): MEM_SHARE.  What is shared already is skipped: that is
 *	how a call that was restarted gets on.
 * el2_host_donate_guest_shared(): both, for a page that the guest shares before it
 *	ever touched it: EL2 has the host fault it in and restarts the call.
 * el2_guest_relinquish_host(): the end of MEM_UNSHARE, called by the host.  It only
 *	ever takes access away from the host, so EL2 need not know who asked.
 */
int el2_host_donate_guest(struct emu_file *file, u64 index);
int el2_host_donate_guest_shared(struct emu_file *file, u64 index);
int el2_guest_share_host(struct emu_file *file, u64 index);
int el2_guest_relinquish_host(struct emu_file *file, u64 index);
/*
 * Take back what the guest has of a range, from a VM that lives: scrubbed if it
 * was the guest's alone, and gone from the guest for good.  No access is under way.
 */
void el2_host_reclaim_guest(struct emu_file *file, u64 start, u64 end);

#endif /* EMU_EL2_H */
