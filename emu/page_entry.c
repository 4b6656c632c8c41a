// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Page entries; page_entry.h says what they are.  They lie in the page state that
 * the engine keeps for the platform, the counts beside them.
 */
#include <stdlib.h>

#include "emu.h"
#include "page_entry.h"

struct page_entries {
	u64 first_frame;
	u32 used[];		/* entries in each chunk; atomic */
};

/* Physical memory begins at 4 GiB. */
static u64 next_frame = 1ull << 20;

int emu_page_entries_create(struct emu_file *file)
{
	u64 chunks = (file->nr_pages + EMU_CHUNK_PAGES - 1) >> EMU_CHUNK_SHIFT;
	struct page_entries *entries;

	entries = emu_fail_now() ? NULL :
		  calloc(1, sizeof(*entries) + chunks * sizeof(entries->used[0]));
	if (!entries)
		return -ENOMEM;
	entries->first_frame = __atomic_fetch_add(&next_frame, file->nr_pages,
						  __ATOMIC_RELAXED);
	file->platform_data = entries;
	return 0;
}

void emu_page_entries_destroy(struct emu_file *file)
{
	free(file->platform_data);
}

u64 emu_page_address(struct emu_file *file, u64 index)
{
	const struct page_entries *entries = file->platform_data;

	return (entries->first_frame + index) << EMU_PAGE_SHIFT;
}

static u32 *chunk_used(struct emu_file *file, u64 index)
{
	struct page_entries *entries = file->platform_data;

	return &entries->used[index >> EMU_CHUNK_SHIFT];
}

u64 emu_page_entry(struct emu_file *file, u64 index)
{
	return smp_load_acquire((u64 *)emu_page_state(file, index));
}

u64 emu_page_entry_change(struct emu_file *file, u64 index, u64 old, u64 new)
{
	u32 *used = chunk_used(file, index);
	u64 seen;

	/* Counted before it is there, so that nobody skips it. */
	if (!old)
		__atomic_fetch_add(used, 1, __ATOMIC_SEQ_CST);
	seen = cmpxchg((u64 *)emu_page_state(file, index), old, new);
	if (!old && seen)
		__atomic_fetch_sub(used, 1, __ATOMIC_SEQ_CST);
	return seen;
}

static u64 chunk_end(u64 index, u64 end)
{
	return min((index | (EMU_CHUNK_PAGES - 1)) + 1, end);
}

u64 emu_page_entries_first(struct emu_file *file, u64 start, u64 end)
{
	while (start < end) {
		if (!smp_load_acquire(chunk_used(file, start)))
			start = chunk_end(start, end);
		else if (emu_page_entry(file, start))
			break;
		else
			start++;
	}
	return start;
}

void emu_page_entries_clear(struct emu_file *file, u64 start, u64 end)
{
	bool any = false;

	for (u64 index = emu_page_entries_first(file, start, end); index < end;
	     index = emu_page_entries_first(file, index + 1, end)) {
		any = true;
		__atomic_fetch_sub(chunk_used(file, index), 1, __ATOMIC_SEQ_CST);
	}
	if (any)
		emu_page_state_reset(file, start, end);
}

u64 emu_page_entries_host_run(struct emu_file *file, u64 start, u64 end,
			      bool *allowed)
{
	u64 next = emu_page_entries_first(file, start, end);

	*allowed = next > start;
	if (*allowed)
		return next;
	while (next < end && emu_page_entry(file, next))
		next++;
	return next;
}
