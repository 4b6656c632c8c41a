// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The guard by page protection, for kernels and sandboxes without userfaultfd.
 *
 * Every run of pages of one state is a VMA, so their number is limited, and a
 * conversion that would exceed it is refused with -ENOMEM before it changes
 * anything.  Touching a hidden page raises SIGSEGV; our handler turns it into the
 * SIGBUS that guest_memfd promises (sigbus.c).
 *
 * While a conversion to private is still being decided, a system call on its
 * pages may answer -EFAULT; other accesses wait.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "emu.h"

#define BITS_PER_LONG	(8 * sizeof(unsigned long))

/* A bit for each page; set if it is hidden. */
static bool is_hidden(const struct emu_view *view, u64 index)
{
	u64 bit = index - view->start;

	return READ_ONCE(view->guarded[bit / BITS_PER_LONG]) >>
	       bit % BITS_PER_LONG & 1;
}

/* Atomic: the signal handler does it, too, for other pages of the word. */
static void set_hidden(struct emu_view *view, u64 start, u64 end, bool hidden)
{
	for (u64 bit = start - view->start; bit < end - view->start;) {
		unsigned long *word = &view->guarded[bit / BITS_PER_LONG];
		unsigned int first = bit % BITS_PER_LONG;
		u64 nr = min(end - view->start - bit, BITS_PER_LONG - first);
		unsigned long mask = ~0ul >> (BITS_PER_LONG - nr) << first;

		if (hidden)
			__atomic_fetch_or(word, mask, __ATOMIC_RELAXED);
		else
			__atomic_fetch_and(word, ~mask, __ATOMIC_RELAXED);
		bit += nr;
	}
}

/* The first page of [start, end) unlike @start. */
static u64 hidden_run(const struct emu_view *view, u64 start, u64 end, bool *hidden)
{
	u64 index = start + 1;

	*hidden = is_hidden(view, start);
	while (index < end) {
		u64 bit = index - view->start;

		if (!(bit % BITS_PER_LONG) && end - index >= BITS_PER_LONG &&
		    READ_ONCE(view->guarded[bit / BITS_PER_LONG]) ==
		    (*hidden ? ~0ul : 0ul)) {
			index += BITS_PER_LONG;
			continue;
		}
		if (is_hidden(view, index) != *hidden)
			break;
		index++;
	}
	return index;
}

static s64 split_delta(const struct emu_view *view, u64 start, u64 end, bool hidden)
{
	u64 from = start > view->start ? start - 1 : start;
	u64 to = end < view->end ? end + 1 : end;
	s64 before = 0, after = 0;
	bool ignored;

	for (u64 index = from; index < to;) {
		index = hidden_run(view, index, to, &ignored);
		before += index < to;
	}
	if (from < start)
		after += is_hidden(view, from) != hidden;
	if (to > end)
		after += is_hidden(view, end) != hidden;
	return after - before;
}

static int check_splits(const struct emu_view *view, u64 start, u64 end, bool hidden)
{
	const struct emu_engine *engine = view->file->vm->engine;
	s64 delta = split_delta(view, start, end, hidden);

	if (emu_fail_now())
		return -ENOMEM;
	if (delta > 0 && READ_ONCE(engine->splits) + (u64)delta >
	    READ_ONCE(engine->splits_limit))
		return -ENOMEM;
	return 0;
}

/* Stops at the first run that cannot be changed. */
static int change(struct emu_view *view, u64 start, u64 end, bool hide)
{
	int prot = hide ? PROT_NONE : PROT_READ | PROT_WRITE;
	struct emu_engine *engine = view->file->vm->engine;
	bool hidden;
	u64 next;

	for (; start < end; start = next) {
		s64 delta;

		next = hidden_run(view, start, end, &hidden);
		if (hidden == hide)
			continue;
		if (mprotect((void *)(uintptr_t)emu_host_addr(view, start),
			     (next - start) << EMU_PAGE_SHIFT, prot))
			return -ENOMEM;
		delta = split_delta(view, start, next, hide);
		set_hidden(view, start, next, hide);
		view->splits += (u64)delta;
		__atomic_fetch_add(&engine->splits, (u64)delta, __ATOMIC_RELAXED);
	}
	return 0;
}

static int mprotect_attach(struct emu_view *view)
{
	u64 nr = view->end - view->start;

	view->guarded = calloc((nr + BITS_PER_LONG - 1) / BITS_PER_LONG,
			       sizeof(unsigned long));
	if (!view->guarded)
		return -ENOMEM;
	return change(view, view->start, view->end, true);
}

static void mprotect_detach(struct emu_view *view)
{
	free(view->guarded);
	view->guarded = NULL;
}

static int mprotect_prepare_hide(struct emu_view *view, u64 start, u64 end)
{
	int ret = check_splits(view, start, end, true);

	/* It may fail, so it cannot wait until later. */
	return ret ? ret : change(view, start, end, true);
}

static int mprotect_prepare_show(struct emu_view *view, u64 start, u64 end)
{
	return check_splits(view, start, end, false);
}

static void mprotect_hide(struct emu_view *view, u64 start, u64 end)
{
	WARN_ON_ONCE(change(view, start, end, true));
}

static void mprotect_show(struct emu_view *view, u64 start, u64 end, bool absent)
{
	(void)absent;
	/* What the rest of the process left no VMAs for, the handler shows. */
	change(view, start, end, false);
}

static int mprotect_fault(struct emu_view *view, u64 index)
{
	if (!is_hidden(view, index))
		return 0;
	if (mprotect((void *)(uintptr_t)emu_host_addr(view, index), PAGE_SIZE,
		     PROT_READ | PROT_WRITE))
		return -ENOMEM;
	set_hidden(view, index, index + 1, false);
	return 1;
}

const struct emu_guard_ops emu_guard_mprotect = {
	.name = "mprotect",
	.attach = mprotect_attach,
	.detach = mprotect_detach,
	.prepare_hide = mprotect_prepare_hide,
	.prepare_show = mprotect_prepare_show,
	.hide = mprotect_hide,
	.show = mprotect_show,
	.fault = mprotect_fault,
};
