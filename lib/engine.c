// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Engines, VMs, files and vCPUs: what is the same for every engine.
 *
 * An object counts its users: the VMM itself, until it releases the object, and the
 * objects made of it.  So a VMM that releases in the wrong order harms nobody.
 */
#include <errno.h>
#include <string.h>

#include "engine.h"

static const struct gmem_engine_ops *const engines[] = {
	[GMEM_ENGINE_KERNEL] = &gmem_kernel_ops,
#ifndef GMEM_NO_EMU
	[GMEM_ENGINE_EMU] = &gmem_emu_ops,
#endif
};

#define NR_ENGINES	(sizeof(engines) / sizeof(engines[0]))

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

static int open_engine(const struct gmem_engine_options *options,
		       struct gmem_engine **enginep)
{
	struct gmem_engine *engine;
	int ret;

	ret = engines[options->kind]->open(options, &engine);
	if (ret)
		return ret;

	engine->ops = engines[options->kind];
	engine->log = options->log;
	engine->log_opaque = options->log_opaque;
	engine->users = 1;
	*enginep = engine;
	return 0;
}

static bool converts(struct gmem_engine *engine)
{
	for (uint32_t platform = 0; platform < GMEM_VM_NR_PLATFORMS; platform++) {
		struct gmem_caps caps = { .size = sizeof(caps) };

		if (!gmem_engine_caps(engine, platform, &caps) && caps.convert)
			return true;
	}
	return false;
}

/* The kernel if it converts in place, else emu, else the kernel as it is. */
static int open_best(struct gmem_engine_options *options,
		     struct gmem_engine **enginep)
{
	struct gmem_engine *kernel = NULL;
	int kernel_ret, ret = -ENOENT;

	options->kind = GMEM_ENGINE_KERNEL;
	kernel_ret = open_engine(options, &kernel);
	if (!kernel_ret && converts(kernel)) {
		*enginep = kernel;
		return 0;
	}

	options->kind = GMEM_ENGINE_EMU;
	if (options->kind < NR_ENGINES && engines[options->kind])
		ret = open_engine(options, enginep);
	if (!ret) {
		gmem_log(*enginep, GMEM_LOG_INFO, "emu: the kernel does not convert: %s",
			 kernel_ret ? strerror(-kernel_ret) : "no VM type offers it");
		gmem_engine_close(kernel);
		return 0;
	}
	*enginep = kernel;
	return kernel_ret;
}

GMEM_API int gmem_engine_open(const struct gmem_engine_options *options,
			      struct gmem_engine **enginep)
{
	struct gmem_engine_options opts;
	struct gmem_engine early = { 0 };
	int ret;

	if (!enginep)
		return gmem_refuse(NULL, "no place for the engine");
	ret = gmem_options_copy(&opts, sizeof(opts), options);
	if (ret)
		return gmem_refuse(NULL, "bad size of the options");
	early.log = opts.log;
	early.log_opaque = opts.log_opaque;
	if (opts.reserved)
		return gmem_refuse(&early, "reserved is not 0");
	if (opts.kind == GMEM_ENGINE_ANY)
		return gmem_report(&early, open_best(&opts, enginep));
	if (opts.kind >= NR_ENGINES || !engines[opts.kind])
		return gmem_refuse(&early, "no such engine");

	return gmem_report(&early, open_engine(&opts, enginep));
}

static void put_engine(struct gmem_engine *engine)
{
	if (!__atomic_sub_fetch(&engine->users, 1, __ATOMIC_ACQ_REL))
		engine->ops->close(engine);
}

GMEM_API void gmem_engine_close(struct gmem_engine *engine)
{
	if (!engine)
		return;
	if (__atomic_load_n(&engine->users, __ATOMIC_RELAXED) > 1) {
		gmem_refuse(engine, "the engine has VMs, and closes with the last");
		/* Whoever receives messages may be gone by then. */
		engine->log = NULL;
	}
	put_engine(engine);
}

GMEM_API const char *gmem_engine_name(const struct gmem_engine *engine)
{
	return engine ? engine->ops->name : NULL;
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
		return gmem_refuse(engine, "bad size of the capabilities");

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
	if (!engine)
		return gmem_refuse(NULL, "no engine");
	if (platform >= GMEM_VM_NR_PLATFORMS)
		return gmem_refuse(engine, "no such platform");
	return gmem_report(engine, fill_caps(engine, NULL, platform, caps));
}

void gmem_vm_init(struct gmem_vm *vm, struct gmem_engine *engine, uint32_t platform)
{
	vm->engine = engine;
	vm->platform = platform;
	vm->users = 1;
	pthread_mutex_init(&vm->lock, NULL);
	__atomic_add_fetch(&engine->users, 1, __ATOMIC_RELAXED);
}

GMEM_API int gmem_vm_create(struct gmem_engine *engine,
			    const struct gmem_vm_options *options,
			    struct gmem_vm **vmp)
{
	struct gmem_vm_options opts;
	struct gmem_vm *vm;
	int ret;

	if (!engine || !vmp)
		return gmem_refuse(engine, "no engine, or no place for the VM");
	ret = gmem_options_copy(&opts, sizeof(opts), options);
	if (ret)
		return gmem_refuse(engine, "bad size of the options");
	if (opts.reserved || opts.platform >= GMEM_VM_NR_PLATFORMS)
		return gmem_refuse(engine, "no such platform, or reserved is not 0");

	ret = engine->ops->vm_create(engine, &opts, &vm);
	if (ret) {
		gmem_log(engine, GMEM_LOG_ERROR, "cannot create a VM (%s): %s",
			 gmem_platform_name(opts.platform), strerror(-ret));
		return ret;
	}

	gmem_vm_init(vm, engine, opts.platform);
	*vmp = vm;
	return 0;
}

void gmem_vm_put(struct gmem_vm *vm)
{
	struct gmem_engine *engine = vm->engine;
	pid_t guest_memory_owner = vm->guest_memory_owner;
	void *guest_memory = vm->guest_memory;

	if (__atomic_sub_fetch(&vm->users, 1, __ATOMIC_ACQ_REL))
		return;
	gmem_slots_release(vm);
	pthread_mutex_destroy(&vm->lock);
	engine->ops->vm_destroy(vm);
	gmem_guest_release(guest_memory, guest_memory_owner);
	put_engine(engine);
}

GMEM_API void gmem_vm_destroy(struct gmem_vm *vm)
{
	if (!vm)
		return;
	if (__atomic_load_n(&vm->users, __ATOMIC_RELAXED) > 1)
		gmem_refuse(vm->engine, "the VM has vCPUs or files, and ends with the last");
	gmem_vm_put(vm);
}

GMEM_API int gmem_vm_caps(struct gmem_vm *vm, struct gmem_caps *caps)
{
	if (!vm)
		return gmem_refuse(NULL, "no VM");
	return gmem_report(vm->engine, fill_caps(vm->engine, vm, vm->platform, caps));
}

GMEM_API int gmem_vm_fd(struct gmem_vm *vm)
{
	if (!vm)
		return gmem_refuse(NULL, "no VM");
	return gmem_report(vm->engine, vm->engine->ops->vm_fd(vm));
}

GMEM_API int gmem_vm_set_memory_attributes(struct gmem_vm *vm, uint64_t gpa,
					   uint64_t size, uint64_t attributes)
{
	if (!vm)
		return gmem_refuse(NULL, "no VM");
	return gmem_report(vm->engine,
			   vm->engine->ops->vm_set_memory_attributes(vm, gpa, size,
								     attributes));
}

void gmem_file_init(struct gmem_file *file, struct gmem_vm *vm,
		    const struct gmem_file_options *options)
{
	file->vm = vm;
	file->bytes = options->bytes;
	file->flags = options->flags;
	__atomic_add_fetch(&vm->users, 1, __ATOMIC_RELAXED);
}

GMEM_API int gmem_file_create(struct gmem_vm *vm,
			      const struct gmem_file_options *options,
			      struct gmem_file **filep)
{
	struct gmem_file_options opts;
	struct gmem_file *file;
	int ret;

	if (!vm || !filep)
		return gmem_refuse(vm ? vm->engine : NULL,
				   "no VM, or no place for the file");
	ret = gmem_options_copy(&opts, sizeof(opts), options);
	if (ret)
		return gmem_refuse(vm->engine, "bad size of the options");

	ret = vm->engine->ops->file_create(vm, &opts, &file);
	if (ret) {
		gmem_log(vm->engine, GMEM_LOG_ERROR,
			 "cannot create a file of %llu bytes, flags %#llx: %s",
			 (unsigned long long)opts.bytes,
			 (unsigned long long)opts.flags, strerror(-ret));
		return ret;
	}

	gmem_file_init(file, vm, &opts);
	*filep = file;
	return 0;
}

GMEM_API int gmem_file_fd(struct gmem_file *file)
{
	if (!file)
		return gmem_refuse(NULL, "no file");
	return gmem_report(file->vm->engine, file->vm->engine->ops->file_fd(file));
}

GMEM_API int gmem_file_map(struct gmem_file *file, uint64_t offset,
			   uint64_t bytes, void **addrp)
{
	struct gmem_engine *engine;

	if (!file)
		return gmem_refuse(NULL, "no file");
	engine = file->vm->engine;
	if (!addrp)
		return gmem_refuse(engine, "no place for the address");
	if (!bytes || !gmem_page_aligned(offset | bytes))
		return gmem_refuse(engine, "empty or misaligned range");
	return gmem_report(engine, engine->ops->file_map(file, offset, bytes, addrp));
}

GMEM_API int gmem_file_unmap(struct gmem_file *file, void *addr, uint64_t bytes)
{
	struct gmem_engine *engine;

	if (!file)
		return gmem_refuse(NULL, "no file");
	engine = file->vm->engine;
	if (!addr || !bytes || !gmem_page_aligned(bytes))
		return gmem_refuse(engine, "no address, or an empty or misaligned range");
	return gmem_report(engine, engine->ops->file_unmap(file, addr, bytes));
}

GMEM_API int gmem_file_punch_hole(struct gmem_file *file, uint64_t offset,
				  uint64_t bytes)
{
	struct gmem_engine *engine;

	if (!file)
		return gmem_refuse(NULL, "no file");
	engine = file->vm->engine;
	if (!gmem_page_aligned(offset | bytes))
		return gmem_refuse(engine, "misaligned range");
	return gmem_report(engine, engine->ops->file_punch_hole(file, offset, bytes));
}

void gmem_vcpu_init(struct gmem_vcpu *vcpu, struct gmem_vm *vm, uint32_t id)
{
	vcpu->vm = vm;
	vcpu->id = id;
	__atomic_add_fetch(&vm->users, 1, __ATOMIC_RELAXED);
	pthread_mutex_lock(&vm->lock);
	vm->nr_vcpus++;
	pthread_mutex_unlock(&vm->lock);
}

GMEM_API int gmem_vcpu_create(struct gmem_vm *vm, uint32_t id,
			      struct gmem_vcpu **vcpup)
{
	struct gmem_vcpu *vcpu;
	int ret;

	if (!vm || !vcpup)
		return gmem_refuse(vm ? vm->engine : NULL,
				   "no VM, or no place for the vCPU");

	ret = vm->engine->ops->vcpu_create(vm, id, &vcpu);
	if (ret)
		return gmem_report(vm->engine, ret);

	gmem_vcpu_init(vcpu, vm, id);
	ret = gmem_guest_attach(vcpu);
	if (ret) {
		gmem_vcpu_destroy(vcpu);
		return gmem_report(vm->engine, ret);
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
	gmem_vm_put(vm);
}

GMEM_API int gmem_vcpu_fd(struct gmem_vcpu *vcpu)
{
	if (!vcpu)
		return gmem_refuse(NULL, "no vCPU");
	return gmem_report(vcpu->vm->engine, vcpu->vm->engine->ops->vcpu_fd(vcpu));
}

GMEM_API int gmem_vcpu_run(struct gmem_vcpu *vcpu, struct gmem_exit *exit)
{
	int ret;

	if (!vcpu || !exit)
		return gmem_refuse(vcpu ? vcpu->vm->engine : NULL,
				   "no vCPU, or no place for the exit");

	memset(exit, 0, sizeof(*exit));
	ret = vcpu->vm->engine->ops->vcpu_run(vcpu, exit);
	vcpu->last_exit = ret ? KVM_EXIT_UNKNOWN : exit->reason;
	return gmem_report(vcpu->vm->engine, ret);
}

GMEM_API int gmem_vcpu_complete_hypercall(struct gmem_vcpu *vcpu, int64_t ret)
{
	struct gmem_exit exit;

	if (!vcpu)
		return gmem_refuse(NULL, "no vCPU");
	if (vcpu->adopted) {
		vcpu->vm->engine->ops->vcpu_last_exit(vcpu, &exit);
		vcpu->last_exit = exit.reason;
	}
	if (vcpu->last_exit != KVM_EXIT_HYPERCALL)
		return gmem_refuse(vcpu->vm->engine, "the last exit was no hypercall");
	return vcpu->vm->engine->ops->vcpu_complete_hypercall(vcpu, ret);
}
