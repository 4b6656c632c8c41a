// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The kernel engine: opening /dev/kvm, capabilities, VMs.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "kernel.h"

#define KVM_API_VERSION_USED	12

static int kernel_open(const struct gmem_engine_options *options,
		       struct gmem_engine **enginep)
{
	const char *device = options->device ? options->device : "/dev/kvm";
	struct kernel_engine *engine;
	int ret;

	engine = calloc(1, sizeof(*engine));
	if (!engine)
		return -ENOMEM;

	engine->fd = open(device, O_RDWR | O_CLOEXEC);
	if (engine->fd < 0) {
		ret = errno == ENXIO ? -ENODEV : -errno;
		goto err_free;
	}
	if (ioctl(engine->fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION_USED) {
		ret = -ENODEV;
		goto err_close;
	}
	ret = kernel_ioctl(engine->fd, KVM_GET_VCPU_MMAP_SIZE, NULL);
	if (ret < 0)
		goto err_close;

	engine->run_size = (size_t)ret;
	*enginep = &engine->engine;
	return 0;

err_close:
	close(engine->fd);
err_free:
	free(engine);
	return ret;
}

static void kernel_close(struct gmem_engine *base)
{
	struct kernel_engine *engine = to_kernel_engine(base);

	close(engine->fd);
	free(engine);
}

static int create_vm_fd(struct kernel_engine *engine, uint32_t platform)
{
	unsigned long type;
	int ret;

	ret = kernel_arch_vm_type(engine, platform, &type);
	if (ret)
		return ret;

	do {
		ret = ioctl(engine->fd, KVM_CREATE_VM, type);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : ret;
}

static unsigned int check_extension(int vm_fd, unsigned long extension)
{
	int ret = ioctl(vm_fd, KVM_CHECK_EXTENSION, extension);

	return ret < 0 ? 0 : (unsigned int)ret;
}

static void read_caps(int vm_fd, struct gmem_caps *caps)
{
	const unsigned int scrubs = 1u << KVM_GMEM_POLICY_ZERO_ONLY_SCRUBS;
	unsigned int policies, to_shared, to_private;

	caps->guest_memfd = check_extension(vm_fd, KVM_CAP_GUEST_MEMFD) != 0;
	caps->file_flags = check_extension(vm_fd, KVM_CAP_GUEST_MEMFD_FLAGS);
	caps->vm_attributes = check_extension(vm_fd, KVM_CAP_MEMORY_ATTRIBUTES);
	caps->attributes = check_extension(vm_fd,
					   KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES);

	policies = check_extension(vm_fd, KVM_CAP_GUEST_MEMFD_CONTENT_POLICIES);
	to_shared = (policies >> KVM_GMEM_POLICY_TO_SHARED_SHIFT) & 0xffff;
	to_private = (policies >> KVM_GMEM_POLICY_TO_PRIVATE_SHIFT) & 0xffff;
	caps->scrubs_to_shared = to_shared & scrubs;
	caps->scrubs_to_private = to_private & scrubs;
	caps->to_shared = to_shared & (scrubs - 1);
	caps->to_private = to_private & (scrubs - 1);
}

static int kernel_caps(struct gmem_engine *base, struct gmem_vm *vm,
		       uint32_t platform, struct gmem_caps *caps)
{
	int fd;

	if (vm) {
		caps->vm_available = true;
		read_caps(to_kernel_vm(vm)->fd, caps);
		return 0;
	}

	fd = create_vm_fd(to_kernel_engine(base), platform);
	if (fd == -EOPNOTSUPP || fd == -EINVAL)
		return 0;
	if (fd < 0)
		return fd;

	caps->vm_available = true;
	read_caps(fd, caps);
	close(fd);
	return 0;
}

static int kernel_vm_create(struct gmem_engine *base,
			    const struct gmem_vm_options *options,
			    struct gmem_vm **vmp)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_EXIT_HYPERCALL };
	struct kernel_vm *vm;
	int ret;

	vm = calloc(1, sizeof(*vm));
	if (!vm)
		return -ENOMEM;

	vm->fd = create_vm_fd(to_kernel_engine(base), options->platform);
	if (vm->fd < 0) {
		ret = vm->fd == -EINVAL ? -EOPNOTSUPP : vm->fd;
		goto err_free;
	}

	cap.args[0] = 1ull << KVM_HC_MAP_GPA_RANGE;
	if (check_extension(vm->fd, KVM_CAP_EXIT_HYPERCALL) & cap.args[0]) {
		ret = kernel_ioctl(vm->fd, KVM_ENABLE_CAP, &cap);
		if (ret)
			goto err_close;
	}

	*vmp = &vm->vm;
	return 0;

err_close:
	close(vm->fd);
err_free:
	free(vm);
	return ret;
}

static void kernel_vm_destroy(struct gmem_vm *base)
{
	struct kernel_vm *vm = to_kernel_vm(base);

	if (!vm->lent)
		close(vm->fd);
	free(vm);
}

static int kernel_vm_fd(struct gmem_vm *vm)
{
	return to_kernel_vm(vm)->fd;
}

const struct gmem_engine_ops gmem_kernel_ops = {
	.name = "kernel",
	.open = kernel_open,
	.close = kernel_close,
	.caps = kernel_caps,
	.vm_create = kernel_vm_create,
	.vm_adopt = kernel_vm_adopt,
	.vm_destroy = kernel_vm_destroy,
	.vm_fd = kernel_vm_fd,
	.vm_set_memory_attributes = kernel_vm_set_memory_attributes,
	.file_create = kernel_file_create,
	.file_adopt = kernel_file_adopt,
	.file_close = kernel_file_close,
	.file_fd = kernel_file_fd,
	.file_map = kernel_file_map,
	.file_unmap = kernel_file_unmap,
	.file_punch_hole = kernel_file_punch_hole,
	.file_set_attributes = kernel_file_set_attributes,
	.file_get_attributes = kernel_file_get_attributes,
	.slot_set = kernel_slot_set,
	.slot_delete = kernel_slot_delete,
	.vcpu_create = kernel_vcpu_create,
	.vcpu_adopt = kernel_vcpu_adopt,
	.vcpu_last_exit = kernel_vcpu_last_exit,
	.vcpu_destroy = kernel_vcpu_destroy,
	.vcpu_fd = kernel_vcpu_fd,
	.vcpu_run = kernel_vcpu_run,
	.vcpu_complete_hypercall = kernel_vcpu_complete_hypercall,
	.guest_prepare = kernel_arch_guest_prepare,
	.guest_enter = kernel_arch_guest_enter,
};
