/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * A platform's table with a 64-bit entry for each page, such as an RMP or a secure
 * EPT: 0 says that the page is the host's.  A count for each 2 MiB lets ranges that
 * hold no entry be skipped, so that sparse files of any size cost little.
 *
 * vCPUs change entries by compare-and-exchange, inside an access.  Clearing is for
 * who holds the file's lock and has kept accesses to the range out.
 */
#ifndef EMU_PAGE_ENTRY_H
#define EMU_PAGE_ENTRY_H

#include "gmem_platform.h"

struct emu_file;

#define EMU_PAGE_ENTRY_BYTES	sizeof(u64)

/* For file_create and file_destroy, which keep it in platform_data. */
int emu_page_entries_create(struct emu_file *file);
void emu_page_entries_destroy(struct emu_file *file);

u64 emu_page_entry(struct emu_file *file, u64 index);
/* From @old to @new, neither 0 unless it is @old; what was there. */
u64 emu_page_entry_change(struct emu_file *file, u64 index, u64 old, u64 new);
/* The first page of [start, end) with an entry, or end. */
u64 emu_page_entries_first(struct emu_file *file, u64 start, u64 end);
void emu_page_entries_clear(struct emu_file *file, u64 start, u64 end);
/* host_run: the host reaches no page that has an entry. */
u64 emu_page_entries_host_run(struct emu_file *file, u64 start, u64 end,
			      bool *allowed);

/* The physical address of a page: no two files of this process share one. */
u64 emu_page_address(struct emu_file *file, u64 index);

#endif /* EMU_PAGE_ENTRY_H */
