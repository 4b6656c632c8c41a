// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * A model of pKVM's hypervisor: which of host and guest has a page, whatever the
 * host's guest_memfd thinks.
 *
 * The states and what moves a page between them are those of Linux 7.3 with our
 * patches, arch/arm64/kvm/hyp/nvhe/mem_protect.c:
 *
 *	host		guest
 *	OWNED		NOPAGE		never given to the guest
 *	NOPAGE		OWNED		__pkvm_host_donate_guest()
 *	SHARED_BORROWED	SHARED_OWNED	__pkvm_guest_share_host(), or
 *					__pkvm_host_donate_guest_shared()
 *	OWNED		POISON		__pkvm_host_poison_page_guest()
 *
 * and back from the third to the second by __pkvm_guest_unshare_host().  There is
 * no column for the hypervisor's own state: it has none of these pages.  None of them
 * becomes NOPAGE again for the guest, so what it wrote is shared by its own call, or
 * not at all.
 *
 * A page's state is one byte that only atomic operations touch.  Donation runs on
 * vCPU threads; everything else runs under the file's lock.  A flag for each 2 MiB
 * says whether any of its bytes may differ from zero, so that what was never
 * touched costs nothing to look through.
 */
#include <stdlib.h>

#include "el2.h"

#define GUEST_SHIFT	4
#define HOST_MASK	0xf

/* As stored: zero is a page that was never given to the guest. */
#define STORED(host, guest)	((host) | ((guest) ^ EL2_NOPAGE) << GUEST_SHIFT)
#define NEVER_GIVEN		STORED(EL2_PAGE_OWNED, EL2_NOPAGE)
#define GIVEN			STORED(EL2_NOPAGE, EL2_PAGE_OWNED)
#define GIVEN_AND_SHARED	STORED(EL2_PAGE_SHARED_BORROWED, EL2_PAGE_SHARED_OWNED)
#define POISONED		STORED(EL2_PAGE_OWNED, EL2_POISON)

_Static_assert(!NEVER_GIVEN, "memory that is all zeros");

int el2_file_create(struct emu_file *file)
{
	u64 chunks = (file->nr_pages + EMU_CHUNK_PAGES - 1) >> EMU_CHUNK_SHIFT;

	file->platform_data = emu_fail_now() ? NULL : calloc(chunks, 1);
	return file->platform_data ? 0 : -ENOMEM;
}

void el2_file_destroy(struct emu_file *file)
{
	free(file->platform_data);
}

static u8 *chunk_flag(struct emu_file *file, u64 index)
{
	return (u8 *)file->platform_data + (index >> EMU_CHUNK_SHIFT);
}

static u8 stored_state(struct emu_file *file, u64 index)
{
	if (!smp_load_acquire(chunk_flag(file, index)))
		return NEVER_GIVEN;
	return smp_load_acquire((u8 *)emu_page_state(file, index));
}

/* Whether the page was in state @from and is in state @to now. */
static bool change(struct emu_file *file, u64 index, u8 from, u8 to)
{
	u8 *state = emu_page_state(file, index);

	/* Before the state, or somebody would skip it. */
	if (!smp_load_acquire(chunk_flag(file, index)))
		__atomic_store_n(chunk_flag(file, index), 1, __ATOMIC_SEQ_CST);
	return cmpxchg(state, from, to) == from;
}

enum el2_page_state el2_host_state(struct emu_file *file, u64 index)
{
	return stored_state(file, index) & HOST_MASK;
}

enum el2_page_state el2_guest_state(struct emu_file *file, u64 index)
{
	return (stored_state(file, index) >> GUEST_SHIFT) ^ EL2_NOPAGE;
}

static bool host_reaches(struct emu_file *file, u64 index)
{
	return el2_host_state(file, index) != EL2_NOPAGE;
}

u64 el2_next_touched(struct emu_file *file, u64 start, u64 end)
{
	while (start < end && !smp_load_acquire(chunk_flag(file, start)))
		start = (start | (EMU_CHUNK_PAGES - 1)) + 1;
	return min(start, end);
}

u64 el2_host_run(struct emu_file *file, u64 start, u64 end, bool *allowed)
{
	u64 index, next;

	*allowed = host_reaches(file, start);
	for (index = start + 1; index < end; index++) {
		next = el2_next_touched(file, index, end);
		/* What was never touched is the host's. */
		if (next != index && !*allowed)
			return index;
		index = next;
		if (index < end && host_reaches(file, index) != *allowed)
			return index;
	}
	return end;
}

/* Why a page in this state is not what the caller took it for. */
static int wrong_state(u8 stored)
{
	switch (stored) {
	case NEVER_GIVEN:
		return -ENOENT;
	case POISONED:
		return -EHWPOISON;
	default:
		return -EPERM;
	}
}

int el2_host_donate_guest(struct emu_file *file, u64 index)
{
	if (change(file, index, NEVER_GIVEN, GIVEN))
		return 0;
	return wrong_state(stored_state(file, index));
}

int el2_host_donate_guest_shared(const struct el2_call *call, struct emu_file *file,
				 u64 index)
{
	if (call->to_private || file != call->file || index < call->start ||
	    index - call->start >= call->nr_pages)
		return -EPERM;
	if (change(file, index, NEVER_GIVEN, GIVEN_AND_SHARED))
		return 0;
	return wrong_state(stored_state(file, index));
}

int el2_guest_relinquish_host(struct emu_file *file, u64 index)
{
	u8 stored = stored_state(file, index);

	if (stored != GIVEN_AND_SHARED ||
	    !change(file, index, GIVEN_AND_SHARED, GIVEN))
		return wrong_state(stored);
	return 0;
}

s64 el2_guest_share(struct el2_call *call, struct emu_file *file, u64 start,
		    u64 nr_pages, bool range)
{
	u8 first = stored_state(file, start);
	u64 done;

	/* What was shared before, and what was not, are calls of their own. */
	for (done = 0; done < nr_pages; done++) {
		u8 stored = stored_state(file, start + done);

		if (stored != first || (stored == GIVEN_AND_SHARED && !range))
			break;
		if (stored != GIVEN_AND_SHARED &&
		    !change(file, start + done, GIVEN, GIVEN_AND_SHARED))
			break;
	}
	if (!done && first != NEVER_GIVEN)
		return -EINVAL;
	*call = (struct el2_call){
		.file = file, .start = start, .nr_pages = nr_pages,
	};
	return (s64)done;
}

s64 el2_guest_unshare(struct el2_call *call, struct emu_file *file, u64 start,
		      u64 nr_pages, bool range)
{
	if (!range && stored_state(file, start) != GIVEN_AND_SHARED)
		return -EINVAL;
	*call = (struct el2_call){
		.file = file, .start = start, .nr_pages = nr_pages, .to_private = true,
	};
	return 0;
}

u64 el2_call_end(struct el2_call *call, u64 said)
{
	u64 done;

	for (done = 0; done < min(said, call->nr_pages); done++) {
		u8 stored = stored_state(call->file, call->start + done);

		if (call->to_private ? stored != GIVEN && stored != NEVER_GIVEN :
				       stored != GIVEN_AND_SHARED)
			break;
	}
	call->nr_pages = 0;
	return done;
}

/* The first page after @start, at most @end, whose state differs. */
static u64 stored_run(struct emu_file *file, u64 start, u64 end, u8 *stored)
{
	u64 index = start + 1;

	*stored = stored_state(file, start);
	while (index < end && stored_state(file, index) == *stored)
		index++;
	return index;
}

void el2_host_reclaim_guest(struct emu_file *file, u64 start, u64 end)
{
	u8 stored;
	u64 next;

	for (start = el2_next_touched(file, start, end); start < end;
	     start = el2_next_touched(file, next, end)) {
		next = stored_run(file, start, end, &stored);
		if (stored != GIVEN && stored != GIVEN_AND_SHARED)
			continue;
		/* Scrubbed before the host gets it. */
		if (stored == GIVEN)
			emu_file_drop(file, start, next);
		for (u64 index = start; index < next; index++)
			WARN_ON_ONCE(!change(file, index, stored, POISONED));
	}
}
