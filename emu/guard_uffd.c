// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The guard by userfaultfd, in user mode and with UFFD_FEATURE_SIGBUS: in a
 * registered range a page without a PTE raises SIGBUS at the address touched, by
 * the kernel and without a handler of ours, and makes a system call answer
 * -EFAULT.  Hiding a page is dropping its PTE, which splits no VMA.
 *
 * What is registered is decided by chunks of 2 MiB:
 *   guarded	registered; every visible page has a PTE, so that system calls work
 *   open	not registered; all of its pages are visible, and faulted in natively
 *		when they are touched, so that untouched memory costs nothing
 *
 * A chunk is opened when it becomes visible as a whole in one go, and guarded when
 * a page of it is to be hidden.  Where an open chunk meets a guarded one a VMA is
 * split, and their number is limited: beyond the limit, chunks are guarded.
 *
 * PTEs in guarded chunks need memory behind them.  Up to a limit it is populated
 * ahead of the first touch; beyond it by our SIGBUS handler.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "emu.h"

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY	1
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23
#endif

#define BITS_PER_LONG	(8 * sizeof(unsigned long))

/* At one page, before it is left to the signal handler. */
#define MAX_TRIES	100

int emu_uffd_open(struct emu_engine *engine)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_SIGBUS | UFFD_FEATURE_MISSING_SHMEM |
			    UFFD_FEATURE_MINOR_SHMEM,
	};
	int fd;

	fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, UFFDIO_API, &api)) {
		int ret = -errno;

		close(fd);
		return ret;
	}
	engine->uffd = fd;
	return 0;
}

static struct emu_engine *view_engine(const struct emu_view *view)
{
	return view->file->vm->engine;
}

/* ---- chunks, numbered from the start of the file ---- */

static u64 first_chunk(const struct emu_view *view)
{
	return view->start >> EMU_CHUNK_SHIFT;
}

static u64 last_chunk(const struct emu_view *view)
{
	return (view->end - 1) >> EMU_CHUNK_SHIFT;
}

static bool is_guarded(const struct emu_view *view, u64 chunk)
{
	u64 bit = chunk - first_chunk(view);

	return view->guarded[bit / BITS_PER_LONG] >> bit % BITS_PER_LONG & 1;
}

static void set_guarded(struct emu_view *view, u64 start, u64 end, bool guarded)
{
	for (u64 chunk = start; chunk < end; chunk++) {
		u64 bit = chunk - first_chunk(view);
		unsigned long *word = &view->guarded[bit / BITS_PER_LONG];

		if (guarded)
			*word |= 1ul << bit % BITS_PER_LONG;
		else
			*word &= ~(1ul << bit % BITS_PER_LONG);
	}
}

/* The first chunk of [start, end) unlike @start. */
static u64 chunk_run(const struct emu_view *view, u64 start, u64 end, bool *guarded)
{
	u64 chunk = start + 1;

	*guarded = is_guarded(view, start);
	while (chunk < end) {
		u64 bit = chunk - first_chunk(view);

		/* A whole word of the same, if there is one. */
		if (!(bit % BITS_PER_LONG) && end - chunk >= BITS_PER_LONG &&
		    view->guarded[bit / BITS_PER_LONG] == (*guarded ? ~0ul : 0ul)) {
			chunk += BITS_PER_LONG;
			continue;
		}
		if (is_guarded(view, chunk) != *guarded)
			break;
		chunk++;
	}
	return chunk;
}

/* A chunk's pages, as far as the view has them. */
static u64 chunk_start(const struct emu_view *view, u64 chunk)
{
	return max(chunk << EMU_CHUNK_SHIFT, view->start);
}

static u64 chunk_end(const struct emu_view *view, u64 end_chunk)
{
	return min(end_chunk << EMU_CHUNK_SHIFT, view->end);
}

/* How many splits more there are if chunks [start, end) get one state. */
static s64 split_delta(const struct emu_view *view, u64 start, u64 end, bool guarded)
{
	u64 from = start > first_chunk(view) ? start - 1 : start;
	u64 to = end <= last_chunk(view) ? end + 1 : end;
	s64 before = 0, after = 0;
	bool ignored;

	for (u64 chunk = from; chunk < to;) {
		chunk = chunk_run(view, chunk, to, &ignored);
		before += chunk < to;
	}
	if (from < start)
		after += is_guarded(view, from) != guarded;
	if (to > end)
		after += is_guarded(view, end) != guarded;
	return after - before;
}

static bool splits_allowed(const struct emu_engine *engine, s64 delta)
{
	return delta <= 0 ||
	       READ_ONCE(engine->splits) + (u64)delta <= READ_ONCE(engine->splits_limit);
}

static void chunks_changed(struct emu_view *view, u64 start, u64 end, bool guarded,
			   s64 delta)
{
	set_guarded(view, start, end, guarded);
	view->splits += (u64)delta;
	__atomic_fetch_add(&view_engine(view)->splits, (u64)delta, __ATOMIC_RELAXED);
}

/* ---- populating ---- */

/* Leave to populate up to @pages ahead of their touch; how many. */
static u64 take_ahead(struct emu_file *file, u64 pages)
{
	struct emu_engine *engine = file->vm->engine;
	u64 limit = READ_ONCE(engine->ahead_limit);
	u64 used = __atomic_fetch_add(&engine->ahead, pages, __ATOMIC_RELAXED);
	u64 got = used >= limit ? 0 : min(limit - used, pages);

	__atomic_fetch_sub(&engine->ahead, pages - got, __ATOMIC_RELAXED);
	file->ahead += got;
	return got;
}

static void give_ahead(struct emu_file *file, u64 pages)
{
	__atomic_fetch_sub(&file->vm->engine->ahead, pages, __ATOMIC_RELAXED);
	file->ahead -= pages;
}

/* The pages from @start on that have memory, or that have none. */
static u64 resident_run(struct emu_file *file, u64 start, u64 end, bool *resident)
{
	unsigned char vec[EMU_CHUNK_PAGES];
	u64 nr = min(end - start, EMU_CHUNK_PAGES), i = 1;

	if (mincore(file->memory + (start << EMU_PAGE_SHIFT), nr << EMU_PAGE_SHIFT, vec)) {
		*resident = false;
		return start + 1;
	}
	*resident = vec[0] & 1;
	while (i < nr && (vec[i] & 1) == *resident)
		i++;
	return start + i;
}

/*
 * Install PTEs for pages that have memory.  The number of pages done, or -errno of
 * the first: -EEXIST has a PTE already, -EFAULT has no memory.
 */
static long install(struct emu_view *view, u64 start, u64 end)
{
	struct uffdio_continue args = {
		.range = {
			.start = emu_host_addr(view, start),
			.len = (end - start) << EMU_PAGE_SHIFT,
		},
	};

	if (!ioctl(view_engine(view)->uffd, UFFDIO_CONTINUE, &args))
		return (long)(end - start);
	return args.mapped > 0 ? (long)(args.mapped >> EMU_PAGE_SHIFT) :
	       args.mapped ? (long)args.mapped : -errno;
}

/* The same for pages without memory, which they get: -EEXIST has some. */
static long install_zeros(struct emu_view *view, u64 start, u64 end)
{
	struct uffdio_zeropage args = {
		.range = {
			.start = emu_host_addr(view, start),
			.len = (end - start) << EMU_PAGE_SHIFT,
		},
	};

	if (emu_fail_now())
		return -ENOMEM;
	if (!ioctl(view_engine(view)->uffd, UFFDIO_ZEROPAGE, &args))
		return (long)(end - start);
	return args.zeropage > 0 ? (long)(args.zeropage >> EMU_PAGE_SHIFT) :
	       args.zeropage ? (long)args.zeropage : -errno;
}

/* Pages without memory: populate, or leave it to the signal handler. */
static u64 show_absent(struct emu_view *view, u64 start, u64 end)
{
	struct emu_file *file = view->file;
	u64 nr = take_ahead(file, end - start);
	bool resident;
	long done;

	if (!nr) {
		emu_lazy_enable(view_engine(view), "the limit of memory populated "
				"ahead is reached");
		end = resident_run(file, start, end, &resident);
		return resident ? start : end;
	}
	done = install_zeros(view, start, start + nr);
	give_ahead(file, nr - (done > 0 ? (u64)done : 0));
	if (done > 0)
		return start + (u64)done;
	if (done == -EAGAIN || done == -EEXIST)
		return start;
	emu_lazy_enable(view_engine(view), "memory is short");
	return start + 1;
}

/* Give every page of a guarded range its PTE. */
static void show_guarded(struct emu_view *view, u64 start, u64 end, bool absent)
{
	unsigned int tries = 0;

	while (start < end) {
		long done = absent ? -EFAULT : install(view, start, end);
		u64 next = start;

		if (done > 0) {
			start += (u64)done;
			tries = 0;
			continue;
		}
		switch (tries++ < MAX_TRIES ? done : -EIO) {
		case -EAGAIN:
			continue;
		case -EFAULT:
			next = show_absent(view, start, end);
			/* The guest populated it meanwhile. */
			absent = next != start;
			tries = absent ? 0 : tries;
			start = next;
			continue;
		default:
			/* -EEXIST: is there already.  What else remains is lazy. */
			if (done != -EEXIST)
				emu_lazy_enable(view_engine(view),
						"userfaultfd refused a page");
			start++;
			tries = 0;
		}
	}
}

/* ---- the guard's operations ---- */

static int change_registration(struct emu_view *view, u64 start, u64 end, bool guard)
{
	struct uffdio_register args = {
		.range = {
			.start = emu_host_addr(view, start),
			.len = (end - start) << EMU_PAGE_SHIFT,
		},
		.mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_MINOR,
	};
	int ret;

	if (emu_fail_now())
		return -ENOMEM;
	if (guard)
		ret = ioctl(view_engine(view)->uffd, UFFDIO_REGISTER, &args);
	else
		ret = ioctl(view_engine(view)->uffd, UFFDIO_UNREGISTER, &args.range);
	return ret ? -errno : 0;
}

static int uffd_attach(struct emu_view *view)
{
	u64 chunks = last_chunk(view) - first_chunk(view) + 1;
	int ret;

	view->guarded = calloc((chunks + BITS_PER_LONG - 1) / BITS_PER_LONG,
			       sizeof(unsigned long));
	if (!view->guarded)
		return -ENOMEM;
	ret = change_registration(view, view->start, view->end, true);
	if (!ret)
		set_guarded(view, first_chunk(view), last_chunk(view) + 1, true);
	return ret;
}

static void uffd_detach(struct emu_view *view)
{
	free(view->guarded);
	view->guarded = NULL;
}

/* Open chunks [start, end) if they may be; all their pages are visible. */
static bool open_chunks(struct emu_view *view, u64 start, u64 end)
{
	s64 delta = split_delta(view, start, end, false);
	bool guarded;

	if (chunk_run(view, start, end, &guarded) == end && !guarded)
		return true;
	if (!splits_allowed(view_engine(view), delta) ||
	    change_registration(view, chunk_start(view, start), chunk_end(view, end),
				false))
		return false;
	chunks_changed(view, start, end, false, delta);
	return true;
}

static void uffd_show(struct emu_view *view, u64 start, u64 end, bool absent)
{
	u64 open_start = (start + EMU_CHUNK_PAGES - 1) >> EMU_CHUNK_SHIFT;
	u64 open_end = end >> EMU_CHUNK_SHIFT;
	bool guarded;
	u64 next;

	if (open_start < open_end)
		open_chunks(view, open_start, open_end);

	for (u64 chunk = start >> EMU_CHUNK_SHIFT; start < end; chunk = next) {
		next = chunk_run(view, chunk, ((end - 1) >> EMU_CHUNK_SHIFT) + 1,
				 &guarded);
		if (guarded)
			show_guarded(view, start, min(end, next << EMU_CHUNK_SHIFT),
				     absent);
		start = next << EMU_CHUNK_SHIFT;
	}
}

/*
 * Fault pages of open chunks in, while that is done natively: once the chunk is
 * guarded, there must be no moment in which a system call meets none.
 */
static int populate_open(struct emu_view *view, u64 start, u64 end)
{
	struct emu_file *file = view->file;

	while (start < end) {
		bool resident;
		u64 next = resident_run(file, start, end, &resident);
		u64 want = next - start, got = resident ? 0 : take_ahead(file, want);

		if (!resident && got < want)
			emu_lazy_enable(view_engine(view), "the limit of memory "
					"populated ahead is reached");
		if (resident)
			got = want;
		if (emu_fail_now())
			return -ENOMEM;
		if (got && madvise((void *)(uintptr_t)emu_host_addr(view, start),
				   got << EMU_PAGE_SHIFT, MADV_POPULATE_WRITE))
			return -ENOMEM;
		start = next;
	}
	return 0;
}

/*
 * Guard open chunks [start, end).  If that splits too much, guard the open ones
 * next to them as well, which joins instead.
 */
static int guard_chunks(struct emu_view *view, u64 start, u64 end, u64 hide_start,
			u64 hide_end)
{
	struct emu_engine *engine = view_engine(view);
	u64 from, to;
	int ret;

	if (!splits_allowed(engine, split_delta(view, start, end, true)))
		while (start > first_chunk(view) && !is_guarded(view, start - 1))
			start--;
	if (!splits_allowed(engine, split_delta(view, start, end, true)))
		while (end <= last_chunk(view) && !is_guarded(view, end))
			end++;

	from = chunk_start(view, start);
	to = chunk_end(view, end);
	ret = from < hide_start ? populate_open(view, from, hide_start) : 0;
	if (!ret && hide_end < to)
		ret = populate_open(view, hide_end, to);
	if (!ret)
		ret = change_registration(view, from, to, true);
	if (ret)
		return ret == -EAGAIN ? ret : -ENOMEM;
	chunks_changed(view, start, end, true, split_delta(view, start, end, true));
	return 0;
}

static int uffd_prepare_hide(struct emu_view *view, u64 start, u64 end)
{
	u64 to = ((end - 1) >> EMU_CHUNK_SHIFT) + 1;
	bool guarded;
	u64 next;

	for (u64 chunk = start >> EMU_CHUNK_SHIFT; chunk < to; chunk = next) {
		int ret;

		next = chunk_run(view, chunk, to, &guarded);
		if (guarded)
			continue;
		ret = guard_chunks(view, chunk, next, start, end);
		if (ret)
			return ret;
	}
	return 0;
}

static int uffd_prepare_show(struct emu_view *view, u64 start, u64 end)
{
	/* Where there is no memory for a page, the handler shows it later. */
	(void)view;
	(void)start;
	(void)end;
	return 0;
}

static void uffd_hide(struct emu_view *view, u64 start, u64 end)
{
	void *addr = (void *)(uintptr_t)emu_host_addr(view, start);

	/* Drops the PTEs and keeps the memory. */
	WARN_ON_ONCE(madvise(addr, (end - start) << EMU_PAGE_SHIFT, MADV_DONTNEED));
}

static int uffd_fault(struct emu_view *view, u64 index)
{
	long done = install(view, index, index + 1);

	if (done == -EFAULT)
		done = install_zeros(view, index, index + 1);
	if (done == -ENOMEM)
		return -ENOMEM;
	/* -EEXIST: another thread was faster; others: opened, or try again. */
	return done > 0;
}

const struct emu_guard_ops emu_guard_uffd = {
	.name = "userfaultfd",
	.attach = uffd_attach,
	.detach = uffd_detach,
	.prepare_hide = uffd_prepare_hide,
	.prepare_show = uffd_prepare_show,
	.hide = uffd_hide,
	.show = uffd_show,
	.fault = uffd_fault,
};
