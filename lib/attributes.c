// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Conversions and reading attributes back.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "engine.h"

GMEM_API int gmem_vm_set_release(struct gmem_vm *vm,
				 const struct gmem_release_options *options)
{
	struct gmem_release_options opts;

	if (!vm)
		return gmem_refuse(NULL, "no VM");
	if (gmem_options_copy(&opts, sizeof(opts), options))
		return gmem_refuse(vm->engine, "bad size of the options");
	if (opts.retries > GMEM_RELEASE_MAX_RETRIES ||
	    opts.delay_us > GMEM_RELEASE_MAX_DELAY_US)
		return gmem_refuse(vm->engine, "more retries or delay than there may be");
	if (!opts.retries)
		opts.retries = GMEM_RELEASE_RETRIES;
	if (!opts.delay_us)
		opts.delay_us = GMEM_RELEASE_DELAY_US;

	pthread_mutex_lock(&vm->lock);
	vm->release = opts;
	pthread_mutex_unlock(&vm->lock);
	return 0;
}

/* The engine will refuse the rest, and need not disturb anybody for it. */
static bool worth_asking(const struct gmem_file *file,
			 const struct kvm_memory_attributes2 *args)
{
	return args->size && gmem_page_aligned(args->offset | args->size) &&
	       args->size <= file->bytes && args->offset <= file->bytes - args->size;
}

static int ask(const struct gmem_release_options *options,
	       const struct gmem_release *release)
{
	int ret = options->release ? options->release(options->opaque, release) : 0;

	return ret < 0 ? ret : 0;
}

static int convert_released(struct gmem_file *file,
			    const struct gmem_release_options *options,
			    struct kvm_memory_attributes2 *args)
{
	const struct timespec delay = {
		.tv_sec = options->delay_us / 1000000,
		.tv_nsec = options->delay_us % 1000000 * 1000,
	};
	struct gmem_release release = {
		.size = sizeof(release), .file = file,
		.offset = args->offset, .bytes = args->size,
		.attributes = args->attributes,
		.content_policy = args->content_policy,
	};
	const uint64_t error_offset = args->error_offset;
	int ret;

	for (;;) {
		ret = ask(options, &release);
		if (ret)
			return ret;
		ret = file->vm->engine->ops->file_set_attributes(file, args);
		if (ret != -EAGAIN || release.attempt == options->retries)
			return ret;
		release.attempt++;
		release.error_offset = args->error_offset;
		nanosleep(&delay, NULL);
		/* Success leaves it alone, also after attempts that failed. */
		args->error_offset = error_offset;
	}
}

GMEM_API int gmem_set_memory_attributes2(struct gmem_file *file,
					 struct kvm_memory_attributes2 *args)
{
	struct gmem_release_options options;
	struct gmem_vm *vm;
	int ret;

	if (!file)
		return gmem_refuse(NULL, "no file");
	vm = file->vm;
	pthread_mutex_lock(&vm->lock);
	options = vm->release;
	pthread_mutex_unlock(&vm->lock);

	/* Every other check is the engine's, as it is for the bare ioctl. */
	if (options.size && args && worth_asking(file, args))
		ret = convert_released(file, &options, args);
	else
		ret = vm->engine->ops->file_set_attributes(file, args);
	return gmem_report(vm->engine, ret);
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
		return gmem_refuse(NULL, "no file");
	return gmem_report(file->vm->engine,
			   file->vm->engine->ops->file_get_attributes(file, run));
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
		return gmem_refuse(file ? file->vm->engine : NULL,
				   "no file, or no place for the runs");
	if (!bytes || end < offset || end > file->bytes ||
	    !gmem_page_aligned(offset | bytes))
		return gmem_refuse(file->vm->engine, "not a range of the file");

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
	if (!vm)
		return gmem_refuse(NULL, "no VM");
	if (!bytes || gpa + bytes < gpa || !gmem_page_aligned(gpa | bytes))
		return gmem_refuse(vm->engine, "empty, wrapping or misaligned range");

	while (so_far < bytes) {
		ret = gmem_slot_translate(vm, gpa + so_far, bytes - so_far, &file,
					  &offset, &piece);
		if (ret) {
			gmem_refuse(vm->engine, "no slot on a file is there");
			break;
		}
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
	struct gmem_exit last;
	int ret, completed;

	if (!vcpu)
		return gmem_refuse(NULL, "no vCPU");
	if (!exit && vcpu->adopted) {
		vcpu->vm->engine->ops->vcpu_last_exit(vcpu, &last);
		exit = &last;
	}
	if (!exit || exit->reason != KVM_EXIT_HYPERCALL ||
	    exit->hypercall.nr != KVM_HC_MAP_GPA_RANGE)
		return gmem_refuse(vcpu->vm->engine,
				   "the exit is not that of KVM_HC_MAP_GPA_RANGE");

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
