// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Engines, VMs, files and vCPUs: what is the same for every engine.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine.h"

static const struct gmem_engine_ops *const engines[] = {
	[GMEM_ENGINE_KERNEL] = &gmem_kernel_ops,
#ifndef GMEM_NO_EMU
	[GMEM_ENGINE_EMU] = &gmem_emu_ops,
#endif
};

#define NR_ENGINES	(sizeof(engines) / sizeof(engines[0]))

void gmem_log(const struct gmem_engine *engine, int level, const char *format, ...)
{
	char line[512];
	va_list args;

	if (!engine->log)
		return;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	engine->log(engine->log_opaque, level, line);
}

/*
 * Copy an option struct, whose first member is the size that its writer knew.
 * Members that the writer did not know are 0; members that we do not know must
 * be.
 */
int gmem_options_copy(void *dst, size_t dst_size, const void *src)
{
	const unsigned char *bytes = src;
	size_t size, i;

	memset(dst, 0, dst_size);
	if (!src)
		return 0;

	memcpy(&size, src, sizeof(size));
	if (size < sizeof(size))
		return -EINVAL;
	for (i = dst_size; i < size; i++) {
		if (bytes[i])
			return -EINVAL;
	}
	memcpy(dst, src, size < dst_size ? size : dst_size);
	return 0;
}

GMEM_API int gmem_engine_open(const struct gmem_engine_options *options,
			      struct gmem_engine **enginep)
{
	struct gmem_engine_options opts;
	struct gmem_engine *engine;
	int ret;

	if (!enginep)
		return -EINVAL;
	ret = gmem_options_copy(&opts, sizeof(opts), options);
	if (ret)
		return ret;
	if (opts.kind == GMEM_ENGINE_ANY)
		opts.kind = GMEM_ENGINE_KERNEL;
	if (opts.reserved || opts.kind >= NR_ENGINES || !engines[opts.kind])
		return -EINVAL;

	ret = engines[opts.kind]->open(&opts, &engine);
	if (ret)
		return ret;

	engine->ops = engines[opts.kind];
	engine->log = opts.log;
	engine->log_opaque = opts.log_opaque;
	*enginep = engine;
	return 0;
}

GMEM_API void gmem_engine_close(struct gmem_engine *engine)
{
	if (engine)
		engine->ops->close(engine);
}

GMEM_API const char *gmem_engine_name(const struct gmem_engine *engine)
{
	return engine->ops->name;
}

GMEM_API const char *gmem_platform_name(uint32_t platform)
{
	static const char *const names[GMEM_VM_NR_PLATFORMS] = {
		[GMEM_VM_DEFAULT] = "default",
		[GMEM_VM_SW] = "sw",
		[GMEM_VM_PKVM] = "pkvm",
		[GMEM_VM_SNP] = "snp",
		[GMEM_VM_TDX] = "tdx",
	};

	return platform < GMEM_VM_NR_PLATFORMS ? names[platform] : NULL;
}

GMEM_API const char *gmem_policy_name(uint32_t policy)
{
	switch (policy) {
	case SET_MEMORY_ATTRIBUTES_CONTENT_ZERO:
		return "ZERO";
	case SET_MEMORY_ATTRIBUTES_CONTENT_READABLE:
		return "READABLE";
	case SET_MEMORY_ATTRIBUTES_CONTENT_ENCRYPTED:
		return "ENCRYPTED";
	case SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY:
		return "DESTROY";
	default:
		return NULL;
	}
}

static int fill_caps(struct gmem_engine *engine, struct gmem_vm *vm,
		     uint32_t platform, struct gmem_caps *caps)
{
	struct gmem_caps filled = { .size = sizeof(filled), .platform = platform };
	int ret;

	if (!caps || caps->size != sizeof(filled))
		return -EINVAL;

	ret = engine->ops->caps(engine, vm, platform, &filled);
	if (ret)
		return ret;

	filled.convert = filled.attributes != 0;
	*caps = filled;
	return 0;
}

GMEM_API int gmem_engine_caps(struct gmem_engine *engine, uint32_t platform,
			      struct gmem_caps *caps)
{
	if (!engine || platform >= GMEM_VM_NR_PLATFORMS)
		return -EINVAL;
	return fill_caps(engine, NULL, platform, caps);
}

GMEM_API int gmem_vm_create(struct gmem_engine *engine,
			    const struct gmem_vm_options *options,
			    struct gmem_vm **vmp)
{
	struct gmem_vm_options opts;
	struct gmem_vm *vm;
	int ret;

	if (!engine || !vmp)
		return -EINVAL;
	ret = gmem_options_copy(&opts, sizeof(opts), options);
	if (ret)
		return ret;
	if (opts.reserved || opts.platform >= GMEM_VM_NR_PLATFORMS)
		return -EINVAL;

	ret = engine->ops->vm_create(engine, &opts, &vm);
	if (ret) {
		gmem_log(engine, GMEM_LOG_ERROR, "cannot create a VM (%s): %s",
			 gmem_platform_name(opts.platform), strerror(-ret));
		return ret;
	}

	vm->engine = engine;
	vm->platform = opts.platform;
	pthread_mutex_init(&vm->lock, NULL);
	*vmp = vm;
	return 0;
}

GMEM_API void gmem_vm_destroy(struct gmem_vm *vm)
{
	void *guest_memory;

	if (!vm)
		return;

	guest_memory = vm->guest_memory;
	gmem_slots_release(vm);
	pthread_mutex_destroy(&vm->lock);
	vm->engine->ops->vm_destroy(vm);
	gmem_guest_release(guest_memory);
}

GMEM_API int gmem_vm_caps(struct gmem_vm *vm, struct gmem_caps *caps)
{
	if (!vm)
		return -EINVAL;
	return fill_caps(vm->engine, vm, vm->platform, caps);
}

GMEM_API int gmem_vm_fd(struct gmem_vm *vm)
{
	return vm ? vm->engine->ops->vm_fd(vm) : -EINVAL;
}

GMEM_API int gmem_vm_set_memory_attributes(struct gmem_vm *vm, uint64_t gpa,
					   uint64_t size, uint64_t attributes)
{
	if (!vm)
		return -EINVAL;
	return vm->engine->ops->vm_set_memory_attributes(vm, gpa, size, attributes);
}

GMEM_API int gmem_file_create(struct gmem_vm *vm,
			      const struct gmem_file_options *options,
			      struct gmem_file **filep)
{
	struct gmem_file_options opts;
	struct gmem_file *file;
	int ret;

	if (!vm || !filep)
		return -EINVAL;
	ret = gmem_options_copy(&opts, sizeof(opts), options);
	if (ret)
		return ret;

	ret = vm->engine->ops->file_create(vm, &opts, &file);
	if (ret) {
		gmem_log(vm->engine, GMEM_LOG_ERROR,
			 "cannot create a file of %llu bytes, flags %#llx: %s",
			 (unsigned long long)opts.bytes,
			 (unsigned long long)opts.flags, strerror(-ret));
		return ret;
	}

	file->vm = vm;
	file->bytes = opts.bytes;
	file->flags = opts.flags;
	*filep = file;
	return 0;
}

GMEM_API int gmem_file_fd(struct gmem_file *file)
{
	return file ? file->vm->engine->ops->file_fd(file) : -EINVAL;
}

GMEM_API int gmem_file_map(struct gmem_file *file, uint64_t offset,
			   uint64_t bytes, void **addrp)
{
	if (!file || !addrp || !bytes || !gmem_page_aligned(offset | bytes))
		return -EINVAL;
	return file->vm->engine->ops->file_map(file, offset, bytes, addrp);
}

GMEM_API int gmem_file_unmap(struct gmem_file *file, void *addr, uint64_t bytes)
{
	if (!file || !addr || !bytes || !gmem_page_aligned(bytes))
		return -EINVAL;
	return file->vm->engine->ops->file_unmap(file, addr, bytes);
}

GMEM_API int gmem_file_punch_hole(struct gmem_file *file, uint64_t offset,
				  uint64_t bytes)
{
	if (!file || !gmem_page_aligned(offset | bytes))
		return -EINVAL;
	return file->vm->engine->ops->file_punch_hole(file, offset, bytes);
}

GMEM_API int gmem_vcpu_create(struct gmem_vm *vm, uint32_t id,
			      struct gmem_vcpu **vcpup)
{
	struct gmem_vcpu *vcpu;
	int ret;

	if (!vm || !vcpup)
		return -EINVAL;

	ret = vm->engine->ops->vcpu_create(vm, id, &vcpu);
	if (ret)
		return ret;

	vcpu->vm = vm;
	vcpu->id = id;
	pthread_mutex_lock(&vm->lock);
	vm->nr_vcpus++;
	pthread_mutex_unlock(&vm->lock);

	ret = gmem_guest_attach(vcpu);
	if (ret) {
		gmem_vcpu_destroy(vcpu);
		return ret;
	}
	*vcpup = vcpu;
	return 0;
}

GMEM_API void gmem_vcpu_destroy(struct gmem_vcpu *vcpu)
{
	struct gmem_vm *vm;

	if (!vcpu)
		return;

	vm = vcpu->vm;
	pthread_mutex_lock(&vm->lock);
	vm->nr_vcpus--;
	pthread_mutex_unlock(&vm->lock);
	vm->engine->ops->vcpu_destroy(vcpu);
}

GMEM_API int gmem_vcpu_fd(struct gmem_vcpu *vcpu)
{
	return vcpu ? vcpu->vm->engine->ops->vcpu_fd(vcpu) : -EINVAL;
}

GMEM_API int gmem_vcpu_run(struct gmem_vcpu *vcpu, struct gmem_exit *exit)
{
	int ret;

	if (!vcpu || !exit)
		return -EINVAL;

	memset(exit, 0, sizeof(*exit));
	ret = vcpu->vm->engine->ops->vcpu_run(vcpu, exit);
	vcpu->last_exit = ret ? KVM_EXIT_UNKNOWN : exit->reason;
	return ret;
}

GMEM_API int gmem_vcpu_complete_hypercall(struct gmem_vcpu *vcpu, int64_t ret)
{
	if (!vcpu || vcpu->last_exit != KVM_EXIT_HYPERCALL)
		return -EINVAL;
	return vcpu->vm->engine->ops->vcpu_complete_hypercall(vcpu, ret);
}
