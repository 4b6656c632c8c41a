// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Conversions and reading attributes back.
 */
#include <errno.h>
#include <string.h>

#include "engine.h"

GMEM_API int gmem_set_memory_attributes2(struct gmem_file *file,
					 struct kvm_memory_attributes2 *args)
{
	if (!file)
		return -EINVAL;
	/* Every other check is the engine's, as it is for the bare ioctl. */
	return file->vm->engine->ops->file_set_attributes(file, args);
}

GMEM_API int gmem_file_convert(struct gmem_file *file, uint64_t offset,
			       uint64_t bytes, uint64_t attributes,
			       uint32_t policy, uint64_t *converted)
{
	struct kvm_memory_attributes2 args = {
		.offset = offset,
		.size = bytes,
		.attributes = attributes,
		.content_policy = policy,
	};
	int ret;

	ret = gmem_set_memory_attributes2(file, &args);
	if (!ret && converted)
		*converted = args.converted;
	return ret;
}

GMEM_API int gmem_get_memory_attributes2(struct gmem_file *file,
					 struct kvm_memory_attributes2_run *run)
{
	if (!file)
		return -EINVAL;
	return file->vm->engine->ops->file_get_attributes(file, run);
}

static bool same_state(const struct gmem_run *run,
		       const struct kvm_memory_attributes2_run *piece)
{
	return run->attributes == piece->attributes && run->state == piece->state;
}

GMEM_API int gmem_get_attributes(struct gmem_file *file, uint64_t offset,
				 uint64_t bytes, struct gmem_run *runs,
				 size_t *nr_runs)
{
	struct kvm_memory_attributes2_run piece;
	uint64_t end = offset + bytes;
	struct gmem_run last = { 0 };
	size_t room, count = 0;
	int ret;

	if (!file || !nr_runs || (!runs && *nr_runs))
		return -EINVAL;
	if (!bytes || end < offset || !gmem_page_aligned(offset | bytes))
		return -EINVAL;

	room = *nr_runs;
	while (offset < end) {
		memset(&piece, 0, sizeof(piece));
		piece.offset = offset;
		ret = gmem_get_memory_attributes2(file, &piece);
		if (ret)
			return ret;
		if (!piece.size)
			return -EIO;
		if (piece.size > end - offset)
			piece.size = end - offset;

		if (count && same_state(&last, &piece)) {
			last.bytes += piece.size;
		} else {
			last.offset = offset;
			last.bytes = piece.size;
			last.attributes = piece.attributes;
			last.state = piece.state;
			count++;
		}
		if (count <= room)
			runs[count - 1] = last;
		offset += piece.size;
	}

	*nr_runs = count;
	return count > room ? -ENOSPC : 0;
}

GMEM_API int gmem_vm_convert(struct gmem_vm *vm, uint64_t gpa, uint64_t bytes,
			     uint64_t attributes, uint32_t policy, uint64_t *done)
{
	uint64_t offset, piece, so_far = 0;
	struct gmem_file *file;
	int ret = 0;

	if (done)
		*done = 0;
	if (!vm || !bytes || gpa + bytes < gpa || !gmem_page_aligned(gpa | bytes))
		return -EINVAL;

	while (so_far < bytes) {
		ret = gmem_slot_translate(vm, gpa + so_far, bytes - so_far, &file,
					  &offset, &piece);
		if (ret)
			break;
		ret = gmem_file_convert(file, offset, piece, attributes, policy,
					NULL);
		if (ret)
			break;
		so_far += piece;
	}

	if (done)
		*done = so_far;
	return ret;
}

GMEM_API int gmem_vcpu_serve_hypercall(struct gmem_vcpu *vcpu,
				       const struct gmem_exit *exit,
				       uint32_t policy)
{
	/* bit 4 of the third argument: encrypted, that is private */
	const uint64_t encrypted = 1ull << 4;
	uint64_t pages, attributes;
	int ret, completed;

	if (!vcpu || !exit || exit->reason != KVM_EXIT_HYPERCALL ||
	    exit->hypercall.nr != KVM_HC_MAP_GPA_RANGE)
		return -EINVAL;

	pages = exit->hypercall.args[1];
	attributes = exit->hypercall.args[2] & encrypted ?
		     KVM_MEMORY_ATTRIBUTE_PRIVATE : 0;
	if (pages > UINT64_MAX / GMEM_PAGE_SIZE)
		ret = -EINVAL;
	else
		ret = gmem_vm_convert(vcpu->vm, exit->hypercall.args[0],
				      pages * GMEM_PAGE_SIZE, attributes, policy,
				      NULL);

	completed = gmem_vcpu_complete_hypercall(vcpu, ret);
	return ret ? ret : completed;
}
