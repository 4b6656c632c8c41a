// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Files: a guest_memfd is a sparse memfd, the engine's mapping of it, the attribute
 * map and the platform's state for each page.  A page without memory owes zeros.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "emu.h"

static size_t file_bytes(const struct emu_file *file)
{
	return file->nr_pages << EMU_PAGE_SHIFT;
}

static size_t page_state_bytes(const struct emu_file *file)
{
	size_t bytes = file->nr_pages * file->vm->ops->page_bytes;

	return (bytes + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
}

static int check_options(const struct emu_vm *vm,
			 const struct gmem_file_options *options)
{
	u64 supported = GUEST_MEMFD_FLAG_MMAP;

	if (!vm->ops->private_memory)
		supported |= GUEST_MEMFD_FLAG_INIT_SHARED;
	if (options->flags & GUEST_MEMFD_FLAG_IN_PLACE) {
		if (!(options->flags & GUEST_MEMFD_FLAG_MMAP))
			return -EINVAL;
		if (vm->ops->private_memory)
			supported |= GUEST_MEMFD_FLAG_IN_PLACE |
				     GUEST_MEMFD_FLAG_INIT_SHARED;
	}
	if (options->flags & ~supported)
		return -EINVAL;
	if (!options->bytes || options->bytes % PAGE_SIZE ||
	    options->bytes > EMU_MAX_FILE_BYTES)
		return -EINVAL;
	return 0;
}

/* Sparse; @fd negative: anonymous and private. */
static void *map_sparse(size_t bytes, int fd)
{
	int flags = MAP_NORESERVE;
	void *addr;

	flags |= fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	addr = emu_fail_now() ? MAP_FAILED :
	       mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (addr == MAP_FAILED)
		return NULL;
	madvise(addr, bytes, MADV_DONTFORK);
	/* Views drop PTEs page by page. */
	madvise(addr, bytes, MADV_NOHUGEPAGE);
	return addr;
}

static int open_memfd(struct emu_file *file)
{
	struct rlimit limit;
	int ret;

	/* Beyond it, ftruncate() would end the process by SIGXFSZ. */
	if (!getrlimit(RLIMIT_FSIZE, &limit) && limit.rlim_cur < file_bytes(file))
		return -EFBIG;

	file->fd = memfd_create("gmem", MFD_CLOEXEC);
	if (file->fd < 0)
		return -errno;
	if (ftruncate(file->fd, (off_t)file_bytes(file))) {
		ret = -errno;
		goto err_close;
	}
	file->memory = map_sparse(file_bytes(file), file->fd);
	if (!file->memory) {
		ret = -ENOMEM;
		goto err_close;
	}
	return 0;

err_close:
	close(file->fd);
	return ret;
}

static int init_file(struct emu_file *file, u64 flags)
{
	const struct emu_platform_ops *ops = file->vm->ops;
	int ret;

	ret = open_memfd(file);
	if (ret)
		return ret;
	ret = gmem_attr_map_create(&file->map, file->nr_pages,
				   flags & GUEST_MEMFD_FLAG_INIT_SHARED ?
				   0 : GMEM_ATTR_PRIVATE);
	if (ret)
		goto err_memory;
	if (ops->page_bytes) {
		file->page_state = map_sparse(page_state_bytes(file), -1);
		if (!file->page_state) {
			ret = -ENOMEM;
			goto err_map;
		}
	}
	if (ops->file_create) {
		ret = ops->file_create(file);
		if (ret)
			goto err_state;
	}
	return 0;

err_state:
	if (file->page_state)
		munmap(file->page_state, page_state_bytes(file));
err_map:
	gmem_attr_map_destroy(file->map);
err_memory:
	munmap(file->memory, file_bytes(file));
	close(file->fd);
	return ret;
}

int emu_file_create(struct gmem_vm *base, const struct gmem_file_options *options,
		    struct gmem_file **filep)
{
	struct emu_vm *vm = to_emu_vm(base);
	struct emu_file *file;
	int ret;

	if (!emu_own_process(vm->engine))
		return -EIO;
	ret = check_options(vm, options);
	if (ret)
		return ret;

	file = emu_fail_now() ? NULL : calloc(1, sizeof(*file));
	if (!file)
		return -ENOMEM;
	file->vm = vm;
	file->nr_pages = options->bytes >> EMU_PAGE_SHIFT;
	file->in_place = options->flags & GUEST_MEMFD_FLAG_IN_PLACE;
	file->mappable = options->flags & GUEST_MEMFD_FLAG_MMAP;

	ret = init_file(file, options->flags);
	if (ret) {
		free(file);
		return ret;
	}
	pthread_mutex_init(&file->lock, NULL);
	*filep = &file->file;
	return 0;
}

static void free_file(struct emu_file *file)
{
	pthread_mutex_destroy(&file->lock);
	gmem_attr_map_destroy(file->map);
	free(file->pins.mark);
	free(file->poison.mark);
	close(file->fd);
	free(file);
}

/* Views that outlive the file must not show what was private. */
static void drop_private(struct emu_file *file)
{
	unsigned int attrs;
	u64 next;

	for (u64 start = 0; start < file->nr_pages; start = next) {
		next = gmem_attr_map_run(file->map, start, file->nr_pages, &attrs);
		if (attrs)
			emu_file_drop(file, start, next);
	}
}

void emu_file_close(struct gmem_file *base)
{
	struct emu_file *file = to_emu_file(base);
	struct emu_vm *vm = file->vm;

	/* In a child of fork() there is neither a mapping nor a vCPU. */
	if (!emu_own_process(vm->engine)) {
		free_file(file);
		return;
	}

	emu_slots_forget_file(vm, file);
	pthread_mutex_lock(&file->lock);
	if (vm->ops->free)
		vm->ops->free(file, 0, file->nr_pages);
	if (file->views) {
		drop_private(file);
		emu_views_abandon(file);
	}
	pthread_mutex_unlock(&file->lock);

	if (vm->ops->file_destroy)
		vm->ops->file_destroy(file);
	__atomic_fetch_sub(&vm->engine->ahead, file->ahead, __ATOMIC_RELAXED);
	munmap(file->memory, file_bytes(file));
	if (file->page_state)
		munmap(file->page_state, page_state_bytes(file));
	free_file(file);
}

void emu_file_lock(struct emu_file *file)
{
	pthread_mutex_lock(&file->lock);
}

void emu_file_unlock(struct emu_file *file)
{
	struct emu_engine *engine = file->vm->engine;

	pthread_mutex_unlock(&file->lock);
	emu_lazy_report(engine);
}

int emu_file_fd(struct gmem_file *file)
{
	/* Mapped past the library it would show what is private. */
	(void)file;
	return -EOPNOTSUPP;
}

/* The first page of [start, end) that has memory, or end. */
static u64 first_populated(const struct emu_file *file, u64 start, u64 end)
{
	off_t offset = lseek(file->fd, (off_t)(start << EMU_PAGE_SHIFT), SEEK_DATA);

	if (offset < 0)
		return errno == ENXIO ? end : start;
	return min((u64)offset >> EMU_PAGE_SHIFT, end);
}

void emu_file_drop(struct emu_file *file, u64 start, u64 end)
{
	u64 ahead = min(file->ahead, end - start), from = start;

	/* To look costs a quarter of a hole in untouched memory. */
	if (end - start >= EMU_CHUNK_PAGES)
		from = first_populated(file, start, end);
	if (from < end)
		WARN_ON_ONCE(fallocate(file->fd,
				       FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				       (off_t)(from << EMU_PAGE_SHIFT),
				       (off_t)((end - from) << EMU_PAGE_SHIFT)));
	/* The poisoned frame is gone. */
	if (unlikely(file->poison.nr))
		emu_marks_clear(&file->poison, start, end);
	if (ahead) {
		file->ahead -= ahead;
		__atomic_fetch_sub(&file->vm->engine->ahead, ahead, __ATOMIC_RELAXED);
	}
}

void emu_page_state_reset(struct emu_file *file, u64 start, u64 end)
{
	size_t bytes = file->vm->ops->page_bytes;
	unsigned char *from = file->page_state + start * bytes;
	unsigned char *to = file->page_state + end * bytes;
	unsigned char *first, *last;

	first = (void *)(((uintptr_t)from + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1));
	last = (void *)((uintptr_t)to & ~(PAGE_SIZE - 1));
	if (first >= last) {
		memset(from, 0, (size_t)(to - from));
		return;
	}
	memset(from, 0, (size_t)(first - from));
	memset(last, 0, (size_t)(to - last));
	WARN_ON_ONCE(madvise(first, (size_t)(last - first), MADV_DONTNEED));
}

int emu_file_punch_hole(struct gmem_file *base, uint64_t offset, uint64_t bytes)
{
	struct emu_file *file = to_emu_file(base);
	u64 start = offset >> EMU_PAGE_SHIFT, end;

	if (!emu_own_process(file->vm->engine))
		return -EIO;
	if (!bytes || offset + bytes < offset)
		return -EINVAL;
	end = min((offset + bytes) >> EMU_PAGE_SHIFT, file->nr_pages);
	if (start >= end)
		return 0;

	emu_file_lock(file);
	emu_invalidate_begin(file, start, end);
	emu_quiesce(file->vm);
	emu_quiesce_handlers(file);
	if (file->vm->ops->free)
		file->vm->ops->free(file, start, end);
	emu_file_drop(file, start, end);
	/* Guarded pages lost their PTEs, and are visible still. */
	emu_views_show(file, start, end, true);
	emu_invalidate_end(file);
	emu_file_unlock(file);
	return 0;
}

int emu_file_get_attributes(struct gmem_file *base,
			    struct kvm_memory_attributes2_run *run)
{
	struct emu_file *file = to_emu_file(base);
	u64 start, end, any = 0;
	unsigned int attrs;

	if (!file->in_place)
		return -ENOTTY;
	if (!emu_own_process(file->vm->engine) || READ_ONCE(file->vm->dead))
		return -EIO;
	if (!run)
		return -EFAULT;

	for (size_t i = 0; i < sizeof(run->reserved) / sizeof(run->reserved[0]); i++)
		any |= run->reserved[i];
	if (run->size || run->attributes || run->state || any)
		return -EINVAL;
	start = run->offset >> EMU_PAGE_SHIFT;
	if (run->offset % PAGE_SIZE || start >= file->nr_pages)
		return -EINVAL;

	pthread_mutex_lock(&file->lock);
	end = gmem_attr_map_run(file->map, start, file->nr_pages, &attrs);
	pthread_mutex_unlock(&file->lock);

	run->size = (end - start) << EMU_PAGE_SHIFT;
	run->attributes = attrs & GMEM_ATTR_PRIVATE ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0;
	run->state = attrs & GMEM_ATTR_DESTROYED ? KVM_GMEM_STATE_DESTROYED : 0;
	return 0;
}

static int load_page(struct emu_file *file, u64 index, const void *data)
{
	u64 first, gfn;

	if (gmem_attr_map_get(file->map, index) != GMEM_ATTR_PRIVATE)
		return -EINVAL;
	if (!emu_next_binding(file, index, index + 1, &first, &gfn))
		return -EPERM;
	if (emu_fail_now())
		return -ENOMEM;
	return file->vm->ops->load(file, index, gfn, data);
}

int emu_file_load(struct gmem_file *base, uint64_t offset, const void *data,
		  uint64_t bytes)
{
	struct emu_file *file = to_emu_file(base);
	u64 start = offset >> EMU_PAGE_SHIFT;
	u64 end = (offset + bytes) >> EMU_PAGE_SHIFT;
	int ret = 0;

	if (!file->vm->ops->load)
		return -EOPNOTSUPP;
	if (!emu_own_process(file->vm->engine) || READ_ONCE(file->vm->dead))
		return -EIO;

	emu_file_lock(file);
	emu_invalidate_begin(file, start, end);
	emu_quiesce(file->vm);
	for (u64 index = start; index < end && !ret; index++)
		ret = load_page(file, index, (const char *)data +
				((index - start) << EMU_PAGE_SHIFT));
	emu_invalidate_end(file);
	emu_file_unlock(file);
	return ret;
}
