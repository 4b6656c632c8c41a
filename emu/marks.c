// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Sets of page ranges, for the few pages that are pinned or poisoned: an array,
 * no order, overlaps allowed.  The file's lock guards them.  vCPUs and signal
 * handlers read poison without it: whoever adds to it keeps them out first, and
 * clearing moves nothing under them, it leaves empty ranges behind.
 */
#include <stdlib.h>

#include "emu.h"

static void forget_empty(struct emu_marks *marks)
{
	for (size_t i = 0; i < marks->nr;) {
		if (marks->mark[i].end)
			i++;
		else
			marks->mark[i] = marks->mark[--marks->nr];
	}
}

int emu_marks_reserve(struct emu_marks *marks, size_t nr)
{
	struct emu_mark *mark;
	size_t room;

	forget_empty(marks);
	if (nr <= marks->room - marks->nr)
		return 0;
	room = max(2 * marks->room, max(marks->nr + nr, (size_t)8));
	mark = emu_fail_now() ? NULL :
	       reallocarray(marks->mark, room, sizeof(*mark));
	if (!mark)
		return -ENOMEM;
	marks->mark = mark;
	marks->room = room;
	return 0;
}

int emu_marks_add(struct emu_marks *marks, u64 start, u64 end)
{
	int ret;

	ret = emu_marks_reserve(marks, 1);
	if (ret)
		return ret;
	marks->mark[marks->nr++] = (struct emu_mark){ start, end };
	return 0;
}

bool emu_marks_remove(struct emu_marks *marks, u64 start, u64 end)
{
	for (size_t i = 0; i < marks->nr; i++) {
		if (marks->mark[i].start != start || marks->mark[i].end != end)
			continue;
		marks->mark[i] = marks->mark[--marks->nr];
		return true;
	}
	return false;
}

/* Takes [start, end) out.  A range of one page is never cut in two. */
void emu_marks_clear(struct emu_marks *marks, u64 start, u64 end)
{
	for (size_t i = 0; i < marks->nr; i++) {
		struct emu_mark *mark = &marks->mark[i];

		if (mark->start >= start && mark->end <= end)
			WRITE_ONCE(mark->end, 0);
	}
}

u64 emu_marks_first(const struct emu_marks *marks, u64 start, u64 end)
{
	u64 first = end;

	for (size_t i = 0; i < marks->nr; i++) {
		const struct emu_mark *mark = &marks->mark[i];

		if (READ_ONCE(mark->end) > start && mark->start < first)
			first = max(mark->start, start);
	}
	return first;
}

u64 emu_marks_run(const struct emu_marks *marks, u64 start, u64 end, bool *marked)
{
	u64 first = emu_marks_first(marks, start, end);

	*marked = first == start && start < end;
	/* Runs need not be maximal: a marked page is one. */
	return *marked ? start + 1 : first;
}
