// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Objects that a VMM made by itself and lends to the library.  The library never
 * closes, unmaps or changes what is lent.
 */
#include <errno.h>
#include <string.h>

#include "engine.h"

static int no_descriptors(const struct gmem_engine *engine, const char *function)
{
	gmem_log(engine, GMEM_LOG_ERROR,
		 "%s: the %s engine has no file descriptors to adopt: let the library "
		 "create the object", function, engine->ops->name);
	return -EOPNOTSUPP;
}

GMEM_API int gmem_vm_adopt(struct gmem_engine *engine,
			   const struct gmem_vm_options *options, int fd,
			   struct gmem_vm **vmp)
{
	struct gmem_vm_options opts;
	struct gmem_vm *vm;
	int ret;

	if (!engine || !vmp)
		return gmem_refuse(engine, "no engine, or no place for the VM");
	if (gmem_options_copy(&opts, sizeof(opts), options))
		return gmem_refuse(engine, "bad size of the options");
	if (opts.reserved || opts.platform >= GMEM_VM_NR_PLATFORMS)
		return gmem_refuse(engine, "no such platform, or reserved is not 0");
	if (!engine->ops->vm_adopt)
		return no_descriptors(engine, __func__);

	ret = engine->ops->vm_adopt(engine, fd, &vm);
	if (ret)
		return gmem_report(engine, ret);
	vm->adopted = true;
	gmem_vm_init(vm, engine, opts.platform);
	*vmp = vm;
	return 0;
}

GMEM_API int gmem_file_adopt(struct gmem_vm *vm,
			     const struct gmem_file_options *options, int fd,
			     struct gmem_file **filep)
{
	struct gmem_file_options opts;
	struct gmem_file *file;
	int ret;

	if (!vm || !filep)
		return gmem_refuse(vm ? vm->engine : NULL,
				   "no VM, or no place for the file");
	if (gmem_options_copy(&opts, sizeof(opts), options))
		return gmem_refuse(vm->engine, "bad size of the options");
	if (!vm->engine->ops->file_adopt)
		return no_descriptors(vm->engine, __func__);

	ret = vm->engine->ops->file_adopt(vm, &opts, fd, &file);
	if (ret)
		return gmem_report(vm->engine, ret);
	gmem_file_init(file, vm, &opts);
	*filep = file;
	return 0;
}

GMEM_API int gmem_slot_adopt(struct gmem_vm *vm,
			     const struct gmem_slot_options *options)
{
	struct gmem_slot_options opts;

	if (!vm || !options)
		return gmem_refuse(vm ? vm->engine : NULL, "no VM, or no options");
	if (gmem_options_copy(&opts, sizeof(opts), options))
		return gmem_refuse(vm->engine, "bad size of the options");
	if (!vm->engine->ops->vm_adopt)
		return no_descriptors(vm->engine, __func__);
	if (!opts.file)
		return gmem_refuse(vm->engine, "no file");
	return gmem_slot_add(vm, &opts, true);
}

GMEM_API int gmem_vcpu_adopt(struct gmem_vm *vm, uint32_t id, int fd,
			     struct kvm_run *run, struct gmem_vcpu **vcpup)
{
	struct gmem_vcpu *vcpu;
	int ret;

	if (!vm || !vcpup)
		return gmem_refuse(vm ? vm->engine : NULL,
				   "no VM, or no place for the vCPU");
	if (!vm->engine->ops->vcpu_adopt)
		return no_descriptors(vm->engine, __func__);
	if (!run)
		return gmem_refuse(vm->engine, "no kvm_run mapping");

	ret = vm->engine->ops->vcpu_adopt(vm, fd, run, &vcpu);
	if (ret)
		return gmem_report(vm->engine, ret);
	vcpu->adopted = true;
	gmem_vcpu_init(vcpu, vm, id);
	*vcpup = vcpu;
	return 0;
}
