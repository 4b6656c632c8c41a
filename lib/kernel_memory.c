// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The kernel engine: guest_memfd files, their attributes, memslots.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel.h"

int kernel_vm_set_memory_attributes(struct gmem_vm *vm, uint64_t gpa,
				    uint64_t size, uint64_t attributes)
{
	struct kvm_memory_attributes args = {
		.address = gpa,
		.size = size,
		.attributes = attributes,
	};

	return kernel_ioctl(to_kernel_vm(vm)->fd, KVM_SET_MEMORY_ATTRIBUTES, &args);
}

int kernel_file_create(struct gmem_vm *vm,
		       const struct gmem_file_options *options,
		       struct gmem_file **filep)
{
	struct kvm_create_guest_memfd args = {
		.size = options->bytes,
		.flags = options->flags,
	};
	struct kernel_file *file;

	file = calloc(1, sizeof(*file));
	if (!file)
		return -ENOMEM;

	file->fd = kernel_ioctl(to_kernel_vm(vm)->fd, KVM_CREATE_GUEST_MEMFD,
				&args);
	if (file->fd < 0) {
		int ret = file->fd;

		free(file);
		return ret;
	}

	fcntl(file->fd, F_SETFD, FD_CLOEXEC);
	*filep = &file->file;
	return 0;
}

void kernel_file_close(struct gmem_file *base)
{
	struct kernel_file *file = to_kernel_file(base);

	if (!file->lent)
		close(file->fd);
	free(file);
}

int kernel_file_fd(struct gmem_file *file)
{
	return to_kernel_file(file)->fd;
}

int kernel_file_map(struct gmem_file *file, uint64_t offset, uint64_t bytes,
		    void **addrp)
{
	void *addr;

	addr = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		    to_kernel_file(file)->fd, (off_t)offset);
	if (addr == MAP_FAILED)
		return -errno;

	*addrp = addr;
	return 0;
}

int kernel_file_unmap(struct gmem_file *file, void *addr, uint64_t bytes)
{
	(void)file;
	return munmap(addr, bytes) ? -errno : 0;
}

int kernel_file_punch_hole(struct gmem_file *file, uint64_t offset,
			   uint64_t bytes)
{
	int ret;

	ret = fallocate(to_kernel_file(file)->fd,
			FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			(off_t)offset, (off_t)bytes);
	return ret ? -errno : 0;
}

int kernel_file_set_attributes(struct gmem_file *file,
			       struct kvm_memory_attributes2 *args)
{
	return kernel_ioctl(to_kernel_file(file)->fd, KVM_SET_MEMORY_ATTRIBUTES2,
			    args);
}

int kernel_file_get_attributes(struct gmem_file *file,
			       struct kvm_memory_attributes2_run *run)
{
	return kernel_ioctl(to_kernel_file(file)->fd, KVM_GET_MEMORY_ATTRIBUTES2,
			    run);
}

int kernel_slot_set(struct gmem_vm *vm, const struct gmem_slot *slot)
{
	struct kvm_userspace_memory_region2 region2 = {
		.slot = slot->id,
		.flags = slot->file ? KVM_MEM_GUEST_MEMFD : 0,
		.guest_phys_addr = slot->gpa,
		.memory_size = slot->bytes,
		.userspace_addr = (uintptr_t)slot->userspace_addr,
		.guest_memfd_offset = slot->offset,
	};
	struct kvm_userspace_memory_region region = {
		.slot = slot->id,
		.guest_phys_addr = slot->gpa,
		.memory_size = slot->bytes,
		.userspace_addr = (uintptr_t)slot->userspace_addr,
	};

	/* The older call is on every kernel. */
	if (!slot->file)
		return kernel_ioctl(to_kernel_vm(vm)->fd,
				    KVM_SET_USER_MEMORY_REGION, &region);

	region2.guest_memfd = (uint32_t)to_kernel_file(slot->file)->fd;
	return kernel_ioctl(to_kernel_vm(vm)->fd, KVM_SET_USER_MEMORY_REGION2,
			    &region2);
}

int kernel_slot_delete(struct gmem_vm *vm, const struct gmem_slot *slot)
{
	struct kvm_userspace_memory_region region = { .slot = slot->id };

	return kernel_ioctl(to_kernel_vm(vm)->fd, KVM_SET_USER_MEMORY_REGION,
			    &region);
}
