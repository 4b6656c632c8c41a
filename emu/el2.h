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

/* EL2 cannot be preempted: pages that one call of it handles at most. */
#define EL2_CALL_PAGES	512ull

/*
 * The guest's MEM_SHARE or MEM_UNSHARE in which a vCPU waits for the host: EL2's own,
 * and the vCPU's.  All of it lies in one file.
 */
struct el2_call {
	struct emu_file *file;
	u64 start;
	u64 nr_pages;		/* 0: the vCPU waits in none */
	bool to_private;
};

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
 * The host's hypercalls.  One page each; all but the first under the file's lock.
 * They check every party's state, then commit, and change nothing if they fail:
 *
 *	-ENOENT		the guest does not have the page
 *	-EHWPOISON	it was taken from the guest by force
 *	-EPERM		any other wrong state
 *
 * el2_host_donate_guest(): give the guest a page that it faulted on.
 * el2_host_donate_guest_shared(): give the guest a page, shared, that it never had
 *	and waits to share, by @call.  What the guest has it shares itself.
 * el2_guest_relinquish_host(): the end of MEM_UNSHARE.  It only ever takes access
 *	away from the host, so EL2 need not know who asked.
 */
int el2_host_donate_guest(struct emu_file *file, u64 index);
int el2_host_donate_guest_shared(const struct el2_call *call, struct emu_file *file,
				 u64 index);
int el2_guest_relinquish_host(struct emu_file *file, u64 index);
/*
 * The guest's hypercalls, as far as EL2 handles them before the host does, under the
 * file's lock; @range: many pages, of which those that are as asked are skipped.
 * Both return -EINVAL for what the host is not told of; else the vCPU waits in @call.
 *
 * el2_guest_share(): shares the pages from @start on that the guest has, which is the
 *	guest's consent, and returns their number.  0: it never had the first one.  The
 *	host may give it what it never had.
 * el2_guest_unshare(): changes nothing.  0.
 */
s64 el2_guest_share(struct el2_call *call, struct emu_file *file, u64 start,
		    u64 nr_pages, bool range);
s64 el2_guest_unshare(struct el2_call *call, struct emu_file *file, u64 start,
		      u64 nr_pages, bool range);
/*
 * The vCPU goes on, and waits no more.  The host says that it did what the guest
 * asked for with @said pages.  Returns how many of them, from the front on, are as the
 * guest asked.
 */
u64 el2_call_end(struct el2_call *call, u64 said);
/*
 * Take back what the guest has of a range, from a VM that lives: scrubbed if it
 * was the guest's alone, and gone from the guest for good.  No access is under way.
 */
void el2_host_reclaim_guest(struct emu_file *file, u64 start, u64 end);

#endif /* EMU_EL2_H */
