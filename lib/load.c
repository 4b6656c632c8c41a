// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The initial payload: what a VMM puts into memory before the guest first runs.
 *
 * Where launching a VM measures and encrypts, the engine has a call of its own for
 * private memory.  Elsewhere it is converted, written and converted back.
 */
#include <errno.h>
#include <string.h>

#include "engine.h"

#define READABLE	SET_MEMORY_ATTRIBUTES_CONTENT_READABLE

static int write_shared(struct gmem_file *file, uint64_t offset, const void *data,
			uint64_t bytes)
{
	void *memory;
	int ret;

	ret = gmem_file_map(file, offset, bytes, &memory);
	if (ret)
		return ret;
	memcpy(memory, data, bytes);
	return gmem_file_unmap(file, memory, bytes);
}

static int write_private(struct gmem_file *file, uint64_t offset, const void *data,
			 uint64_t bytes)
{
	const struct gmem_engine_ops *ops = file->vm->engine->ops;
	int ret, back;

	if (ops->file_load) {
		ret = ops->file_load(file, offset, data, bytes);
		if (ret != -EOPNOTSUPP)
			return ret;
	}
	ret = gmem_file_convert(file, offset, bytes, 0, READABLE, NULL);
	if (ret)
		return ret;
	ret = write_shared(file, offset, data, bytes);
	back = gmem_file_convert(file, offset, bytes, KVM_MEMORY_ATTRIBUTE_PRIVATE,
				 READABLE, NULL);
	return ret ? ret : back;
}

/* Whole pages of one file, run by run. */
static int load_file(struct gmem_file *file, uint64_t offset, const void *data,
		     uint64_t bytes)
{
	struct kvm_memory_attributes2_run run;
	int ret;

	while (bytes) {
		memset(&run, 0, sizeof(run));
		run.offset = offset;
		ret = gmem_get_memory_attributes2(file, &run);
		if (ret)
			return ret;
		if (run.state & KVM_GMEM_STATE_DESTROYED)
			return gmem_refuse(file->vm->engine, "the memory is destroyed");
		if (run.size > bytes)
			run.size = bytes;
		if (run.attributes & KVM_MEMORY_ATTRIBUTE_PRIVATE)
			ret = write_private(file, offset, data, run.size);
		else
			ret = write_shared(file, offset, data, run.size);
		if (ret)
			return ret;
		data = (const char *)data + run.size;
		offset += run.size;
		bytes -= run.size;
	}
	return 0;
}

static int load_pages(struct gmem_vm *vm, uint64_t gpa, const void *data,
		      uint64_t bytes)
{
	uint64_t offset, piece;
	struct gmem_file *file;
	int ret;

	while (bytes) {
		ret = gmem_slot_translate(vm, gpa, bytes, &file, &offset, &piece);
		if (!ret)
			ret = load_file(file, offset, data, piece);
		if (ret)
			return ret;
		data = (const char *)data + piece;
		gpa += piece;
		bytes -= piece;
	}
	return 0;
}

GMEM_API int gmem_vm_load(struct gmem_vm *vm, uint64_t gpa, const void *data,
			  uint64_t bytes)
{
	const uint64_t tail = bytes % GMEM_PAGE_SIZE, whole = bytes - tail;
	unsigned char page[GMEM_PAGE_SIZE];
	int ret;

	if (!vm || !data)
		return gmem_refuse(vm ? vm->engine : NULL, "no VM, or no data");
	if (!bytes || gpa + bytes < gpa || !gmem_page_aligned(gpa))
		return gmem_refuse(vm->engine, "empty, wrapping or misaligned range");

	ret = load_pages(vm, gpa, data, whole);
	if (!ret && tail) {
		memset(page, 0, sizeof(page));
		memcpy(page, (const char *)data + whole, tail);
		ret = load_pages(vm, gpa + whole, page, sizeof(page));
	}
	return gmem_report(vm->engine, ret);
}
