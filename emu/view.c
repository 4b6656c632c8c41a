// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Views: the host's mappings of files.
 *
 * A page is visible to the host if guest_memfd calls it shared, its memory is
 * sound and the platform allows it.  A view reaches the visible pages of its part
 * of the file and no others; a guard (guard_uffd.c, guard_mprotect.c) sees to it.
 *
 * The file's lock guards its views.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mman.h>

#include "emu.h"

u64 emu_visible_run(struct emu_file *file, u64 start, u64 end, bool *visible)
{
	const struct emu_platform_ops *ops = file->vm->ops;
	unsigned int attrs;
	bool answer;

	*visible = false;
	end = gmem_attr_map_run(file->map, start, end, &attrs);
	if (attrs & (GMEM_ATTR_PRIVATE | GMEM_ATTR_DESTROYED))
		return end;
	if (unlikely(file->poison.nr)) {
		end = emu_marks_run(&file->poison, start, end, &answer);
		if (answer)
			return end;
	}
	*visible = true;
	if (ops->host_run)
		end = ops->host_run(file, start, end, visible);
	return end;
}

/* [start, end) of the file, as far as the view has it. */
static bool clip(const struct emu_view *view, u64 *start, u64 *end)
{
	*start = max(*start, view->start);
	*end = min(*end, view->end);
	return *start < *end;
}

static void show_in_view(struct emu_view *view, u64 start, u64 end, bool absent)
{
	const struct emu_guard_ops *guard = view->file->vm->engine->guard;
	bool visible, also;
	u64 next, more;

	for (; start < end; start = next) {
		next = emu_visible_run(view->file, start, end, &visible);
		/* Runs need not be maximal, and the guard likes them long. */
		while (next < end) {
			more = emu_visible_run(view->file, next, end, &also);
			if (also != visible)
				break;
			next = more;
		}
		if (visible)
			guard->show(view, start, next, absent);
	}
}

void emu_views_show(struct emu_file *file, u64 start, u64 end, bool absent)
{
	for (struct emu_view *view = file->views; view; view = view->next) {
		u64 from = start, to = end;

		if (clip(view, &from, &to))
			show_in_view(view, from, to, absent);
	}
}

void emu_views_hide(struct emu_file *file, u64 start, u64 end)
{
	for (struct emu_view *view = file->views; view; view = view->next) {
		u64 from = start, to = end;

		if (clip(view, &from, &to))
			file->vm->engine->guard->hide(view, from, to);
	}
}

static int prepare(struct emu_file *file, u64 start, u64 end,
		   int (*one)(struct emu_view *view, u64 start, u64 end))
{
	int ret = 0;

	for (struct emu_view *view = file->views; view && !ret; view = view->next) {
		u64 from = start, to = end;

		if (clip(view, &from, &to))
			ret = one(view, from, to);
	}
	return ret;
}

int emu_views_prepare_hide(struct emu_file *file, u64 start, u64 end)
{
	return prepare(file, start, end, file->vm->engine->guard->prepare_hide);
}

int emu_views_prepare_show(struct emu_file *file, u64 start, u64 end)
{
	return prepare(file, start, end, file->vm->engine->guard->prepare_show);
}

static struct emu_view *new_view(struct emu_file *file, u64 start, u64 end)
{
	size_t bytes = (end - start) << EMU_PAGE_SHIFT;
	struct emu_view *view;
	void *addr;

	if (emu_fail_now())
		return NULL;
	view = calloc(1, sizeof(*view));
	if (!view)
		return NULL;

	addr = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_NORESERVE, file->fd,
		    (off_t)(start << EMU_PAGE_SHIFT));
	if (addr == MAP_FAILED) {
		free(view);
		return NULL;
	}
	/* A child has none of it.  Huge pages would be unmapped as a whole. */
	madvise(addr, bytes, MADV_DONTFORK);
	madvise(addr, bytes, MADV_NOHUGEPAGE);

	view->file = file;
	view->addr = addr;
	view->start = start;
	view->end = end;
	return view;
}

static void free_view(struct emu_view *view)
{
	munmap(view->addr, (view->end - view->start) << EMU_PAGE_SHIFT);
	free(view);
}

static int attach_view(struct emu_view *view)
{
	struct emu_file *file = view->file;
	struct emu_engine *engine = file->vm->engine;
	int ret;

	pthread_mutex_lock(&file->lock);
	ret = engine->guard->attach(view);
	if (ret) {
		engine->guard->detach(view);
		pthread_mutex_unlock(&file->lock);
		return ret;
	}
	emu_views_register(view);
	view->next = file->views;
	file->views = view;
	show_in_view(view, view->start, view->end, false);
	pthread_mutex_unlock(&file->lock);
	emu_lazy_report(engine);
	return 0;
}

int emu_file_map(struct gmem_file *base, uint64_t offset, uint64_t bytes, void **addrp)
{
	struct emu_file *file = to_emu_file(base);
	u64 start = offset >> EMU_PAGE_SHIFT, end;
	struct emu_view *view;
	int ret;

	if (!file->mappable)
		return -ENODEV;
	if (!emu_own_process(file->vm->engine))
		return -EIO;
	end = (offset + bytes) >> EMU_PAGE_SHIFT;
	if (offset + bytes < offset || end > file->nr_pages)
		return -EINVAL;

	view = new_view(file, start, end);
	if (!view)
		return -ENOMEM;
	ret = attach_view(view);
	if (ret) {
		free_view(view);
		return ret;
	}
	*addrp = view->addr;
	return 0;
}

static void detach_view(struct emu_view *view)
{
	struct emu_engine *engine = view->file->vm->engine;

	emu_views_unregister(view);
	__atomic_fetch_sub(&engine->splits, view->splits, __ATOMIC_RELAXED);
	engine->guard->detach(view);
}

int emu_file_unmap(struct gmem_file *base, void *addr, uint64_t bytes)
{
	struct emu_file *file = to_emu_file(base);
	struct emu_view **link, *view;

	if (!emu_own_process(file->vm->engine))
		return -EIO;

	pthread_mutex_lock(&file->lock);
	for (link = &file->views; (view = *link); link = &view->next) {
		if (view->addr == addr &&
		    view->end - view->start == bytes >> EMU_PAGE_SHIFT)
			break;
	}
	if (view) {
		*link = view->next;
		detach_view(view);
	}
	pthread_mutex_unlock(&file->lock);

	if (!view)
		return -EINVAL;
	free_view(view);
	return 0;
}

/* The file goes; what the VMM has not unmapped stays mapped, as it is now. */
void emu_views_abandon(struct emu_file *file)
{
	struct emu_view *view;

	while ((view = file->views)) {
		file->views = view->next;
		detach_view(view);
		/* Its guard has to last: see emu_guard_close(). */
		file->vm->engine->abandoned = true;
		free(view);
	}
}
