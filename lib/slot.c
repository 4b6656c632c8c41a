// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Slots, and the way from guest physical addresses to files.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"

static struct gmem_slot *find_slot(struct gmem_vm *vm, uint32_t id)
{
	struct gmem_slot *slot;

	for (slot = vm->slots; slot; slot = slot->next) {
		if (slot->id == id)
			return slot;
	}
	return NULL;
}

static int map_slot(struct gmem_slot *slot)
{
	int ret;

	if (slot->userspace_addr || !slot->file ||
	    !(slot->file->flags & GUEST_MEMFD_FLAG_MMAP))
		return 0;

	ret = gmem_file_map(slot->file, slot->offset, slot->bytes,
			    &slot->userspace_addr);
	if (!ret)
		slot->mapped_here = true;
	return ret;
}

static void free_slot(struct gmem_slot *slot)
{
	if (slot->mapped_here)
		gmem_file_unmap(slot->file, slot->userspace_addr, slot->bytes);
	free(slot);
}

static const char *why_no_slot(const struct gmem_vm *vm,
			       const struct gmem_slot_options *opts)
{
	if (opts->reserved)
		return "reserved is not 0";
	if (!opts->bytes || !gmem_page_aligned(opts->gpa | opts->bytes | opts->offset))
		return "empty or misaligned range";
	if (opts->gpa + opts->bytes < opts->gpa)
		return "the range wraps";
	if (!opts->file && !opts->userspace_addr)
		return "neither a file nor an address";
	if (opts->file && opts->file->vm != vm)
		return "the file is another VM's";
	if (opts->file && (opts->bytes > opts->file->bytes ||
			   opts->offset > opts->file->bytes - opts->bytes))
		return "the range ends past the file";
	return NULL;
}

static struct gmem_slot *new_slot(const struct gmem_slot_options *opts)
{
	struct gmem_slot *slot;

	slot = calloc(1, sizeof(*slot));
	if (!slot)
		return NULL;

	slot->id = opts->id;
	slot->gpa = opts->gpa;
	slot->bytes = opts->bytes;
	slot->file = opts->file;
	slot->offset = opts->offset;
	slot->userspace_addr = opts->userspace_addr;
	return slot;
}

static int insert_slot(struct gmem_vm *vm, struct gmem_slot *slot)
{
	int ret = 0;

	pthread_mutex_lock(&vm->lock);
	/* KVM would take an id in use for a request to change that slot. */
	if (find_slot(vm, slot->id))
		ret = -EEXIST;
	else if (!slot->adopted)
		ret = vm->engine->ops->slot_set(vm, slot);
	if (!ret) {
		slot->next = vm->slots;
		vm->slots = slot;
	}
	pthread_mutex_unlock(&vm->lock);
	return ret;
}

int gmem_slot_add(struct gmem_vm *vm, const struct gmem_slot_options *options,
		  bool adopted)
{
	const char *why = why_no_slot(vm, options);
	struct gmem_slot *slot;
	int ret;

	if (why)
		return gmem_refuse(vm->engine, why);
	slot = new_slot(options);
	if (!slot)
		return -ENOMEM;

	slot->adopted = adopted;
	ret = adopted ? 0 : map_slot(slot);
	if (ret) {
		free(slot);
		return ret;
	}
	ret = insert_slot(vm, slot);
	if (ret)
		free_slot(slot);
	return gmem_report(vm->engine, ret);
}

GMEM_API int gmem_slot_set(struct gmem_vm *vm,
			   const struct gmem_slot_options *options)
{
	struct gmem_slot_options opts;

	if (!vm || !options)
		return gmem_refuse(vm ? vm->engine : NULL, "no VM, or no options");
	if (gmem_options_copy(&opts, sizeof(opts), options))
		return gmem_refuse(vm->engine, "bad size of the options");
	if (opts.id >= GMEM_SLOT_RESERVED)
		return gmem_refuse(vm->engine, "this slot number is the library's");
	return gmem_slot_add(vm, &opts, false);
}

static int delete_slot_locked(struct gmem_vm *vm, uint32_t id)
{
	struct gmem_slot **link, *slot;
	int ret;

	for (link = &vm->slots; *link; link = &(*link)->next) {
		if ((*link)->id == id)
			break;
	}
	slot = *link;
	if (!slot)
		return -ENOENT;

	if (id >= GMEM_SLOT_RESERVED && !slot->adopted)
		return -EINVAL;

	ret = slot->adopted ? 0 : vm->engine->ops->slot_delete(vm, slot);
	if (ret)
		return ret;

	*link = slot->next;
	free_slot(slot);
	return 0;
}

GMEM_API int gmem_slot_delete(struct gmem_vm *vm, uint32_t id)
{
	int ret;

	if (!vm)
		return gmem_refuse(NULL, "no VM");

	pthread_mutex_lock(&vm->lock);
	ret = delete_slot_locked(vm, id);
	pthread_mutex_unlock(&vm->lock);
	return gmem_report(vm->engine, ret);
}

/* The VM goes away, and its slots with it; an adopted one stays, without ours. */
void gmem_slots_release(struct gmem_vm *vm)
{
	struct gmem_slot *slot;

	while ((slot = vm->slots)) {
		vm->slots = slot->next;
		if (vm->adopted && !slot->adopted)
			vm->engine->ops->slot_delete(vm, slot);
		free_slot(slot);
	}
}

GMEM_API void gmem_file_close(struct gmem_file *file)
{
	struct gmem_slot *slot;
	struct gmem_vm *vm;

	if (!file)
		return;

	vm = file->vm;
	pthread_mutex_lock(&vm->lock);
	for (slot = vm->slots; slot; slot = slot->next) {
		if (slot->file != file)
			continue;
		if (slot->mapped_here)
			gmem_file_unmap(file, slot->userspace_addr, slot->bytes);
		slot->mapped_here = false;
		slot->file = NULL;
	}
	pthread_mutex_unlock(&vm->lock);
	vm->engine->ops->file_close(file);
	gmem_vm_put(vm);
}

/*
 * The file behind @gpa, and how many of @bytes lie in the same slot.  -ENXIO:
 * none.
 */
int gmem_slot_translate(struct gmem_vm *vm, uint64_t gpa, uint64_t bytes,
			struct gmem_file **filep, uint64_t *offset,
			uint64_t *run_bytes)
{
	struct gmem_slot *slot;
	int ret = -ENXIO;
	uint64_t left;

	pthread_mutex_lock(&vm->lock);
	for (slot = vm->slots; slot; slot = slot->next) {
		if (!slot->file || gpa < slot->gpa ||
		    gpa - slot->gpa >= slot->bytes)
			continue;
		left = slot->bytes - (gpa - slot->gpa);
		*filep = slot->file;
		*offset = slot->offset + (gpa - slot->gpa);
		*run_bytes = left < bytes ? left : bytes;
		ret = 0;
		break;
	}
	pthread_mutex_unlock(&vm->lock);
	return ret;
}
