// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The kernel engine: descriptors that stay the VMM's.  Each is asked something that
 * changes nothing, to see that it is what it is said to be.
 */
#include <stdlib.h>
#include <sys/stat.h>

#include "kernel.h"

/* What an ioctl means that the descriptor does not know. */
static int not_that(int ret)
{
	return ret == -ENOTTY || ret == -EINVAL ? -EINVAL : ret;
}

int kernel_vm_adopt(struct gmem_engine *engine, int fd, struct gmem_vm **vmp)
{
	struct kernel_vm *vm;
	int ret;

	(void)engine;
	/* /dev/kvm knows extensions as well, and its version. */
	ret = ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_USER_MEMORY);
	if (ret < 0)
		return not_that(-errno);
	if (ioctl(fd, KVM_GET_API_VERSION, 0) >= 0)
		return -EINVAL;

	vm = calloc(1, sizeof(*vm));
	if (!vm)
		return -ENOMEM;
	vm->fd = fd;
	vm->lent = true;
	*vmp = &vm->vm;
	return 0;
}

static int check_file(struct gmem_file_options *options, int fd)
{
	struct kvm_memory_attributes2_run run = { 0 };
	struct stat st;
	int ret;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || !st.st_size ||
	    (options->bytes && options->bytes != (uint64_t)st.st_size))
		return -EINVAL;
	options->bytes = (uint64_t)st.st_size;

	if (!(options->flags & GUEST_MEMFD_FLAG_IN_PLACE))
		return 0;
	ret = kernel_ioctl(fd, KVM_GET_MEMORY_ATTRIBUTES2, &run);
	return ret < 0 ? not_that(ret) : 0;
}

int kernel_file_adopt(struct gmem_vm *vm, struct gmem_file_options *options, int fd,
		      struct gmem_file **filep)
{
	struct kernel_file *file;
	int ret;

	(void)vm;
	ret = check_file(options, fd);
	if (ret)
		return ret;

	file = calloc(1, sizeof(*file));
	if (!file)
		return -ENOMEM;
	file->fd = fd;
	file->lent = true;
	*filep = &file->file;
	return 0;
}

int kernel_vcpu_adopt(struct gmem_vm *vm, int fd, struct kvm_run *run,
		      struct gmem_vcpu **vcpup)
{
	struct kvm_mp_state state;
	struct kernel_vcpu *vcpu;
	int ret;

	ret = kernel_ioctl(fd, KVM_GET_MP_STATE, &state);
	if (ret < 0)
		return not_that(ret);

	vcpu = calloc(1, sizeof(*vcpu));
	if (!vcpu)
		return -ENOMEM;
	vcpu->fd = fd;
	vcpu->lent = true;
	vcpu->run_size = to_kernel_engine(vm->engine)->run_size;
	vcpu->run = run;
	*vcpup = &vcpu->vcpu;
	return 0;
}
