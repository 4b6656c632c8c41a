/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * The kernel engine: /dev/kvm.  Its objects, and what differs between machines
 * (lib/kernel_<machine>.c).
 */
#ifndef GMEM_LIB_KERNEL_H
#define GMEM_LIB_KERNEL_H

#include <errno.h>
#include <sys/ioctl.h>

#include "engine.h"
#include "kvm_compat.h"

struct kernel_engine {
	struct gmem_engine engine;
	int fd;
	size_t run_size;	/* of a vCPU's struct kvm_run mapping */
};

struct kernel_vm {
	struct gmem_vm vm;
	int fd;
	bool lent;		/* the VMM's descriptor: it closes that */
};

struct kernel_file {
	struct gmem_file file;
	int fd;
	bool lent;
};

struct kernel_vcpu {
	struct gmem_vcpu vcpu;
	int fd;
	bool lent;		/* @run, too */
	size_t run_size;
	struct kvm_run *run;
};

static inline struct kernel_engine *to_kernel_engine(struct gmem_engine *engine)
{
	return gmem_container_of(engine, struct kernel_engine, engine);
}

static inline struct kernel_vm *to_kernel_vm(struct gmem_vm *vm)
{
	return gmem_container_of(vm, struct kernel_vm, vm);
}

static inline struct kernel_file *to_kernel_file(struct gmem_file *file)
{
	return gmem_container_of(file, struct kernel_file, file);
}

static inline struct kernel_vcpu *to_kernel_vcpu(struct gmem_vcpu *vcpu)
{
	return gmem_container_of(vcpu, struct kernel_vcpu, vcpu);
}

/* An ioctl that answers 0 or a number, or -errno. */
static inline int kernel_ioctl(int fd, unsigned long request, void *arg)
{
	int ret = ioctl(fd, request, arg);

	return ret < 0 ? -errno : ret;
}

/* lib/kernel_memory.c */
int kernel_vm_set_memory_attributes(struct gmem_vm *vm, uint64_t gpa,
				    uint64_t size, uint64_t attributes);
int kernel_file_create(struct gmem_vm *vm,
		       const struct gmem_file_options *options,
		       struct gmem_file **filep);
void kernel_file_close(struct gmem_file *file);
int kernel_file_fd(struct gmem_file *file);
int kernel_file_map(struct gmem_file *file, uint64_t offset, uint64_t bytes,
		    void **addrp);
int kernel_file_unmap(struct gmem_file *file, void *addr, uint64_t bytes);
int kernel_file_punch_hole(struct gmem_file *file, uint64_t offset,
			   uint64_t bytes);
int kernel_file_set_attributes(struct gmem_file *file,
			       struct kvm_memory_attributes2 *args);
int kernel_file_get_attributes(struct gmem_file *file,
			       struct kvm_memory_attributes2_run *run);
int kernel_slot_set(struct gmem_vm *vm, const struct gmem_slot *slot);
int kernel_slot_delete(struct gmem_vm *vm, const struct gmem_slot *slot);

/* lib/kernel_vcpu.c */
int kernel_vcpu_create(struct gmem_vm *vm, uint32_t id, struct gmem_vcpu **vcpup);
void kernel_vcpu_destroy(struct gmem_vcpu *vcpu);
int kernel_vcpu_fd(struct gmem_vcpu *vcpu);
int kernel_vcpu_run(struct gmem_vcpu *vcpu, struct gmem_exit *exit);
void kernel_vcpu_last_exit(struct gmem_vcpu *vcpu, struct gmem_exit *exit);
int kernel_vcpu_complete_hypercall(struct gmem_vcpu *vcpu, int64_t ret);

/* lib/kernel_adopt.c */
int kernel_vm_adopt(struct gmem_engine *engine, int fd, struct gmem_vm **vmp);
int kernel_file_adopt(struct gmem_vm *vm, struct gmem_file_options *options, int fd,
		      struct gmem_file **filep);
int kernel_vcpu_adopt(struct gmem_vm *vm, int fd, struct kvm_run *run,
		      struct gmem_vcpu **vcpup);

/* lib/kernel_<machine>.c */

/* KVM_CREATE_VM's argument; -EOPNOTSUPP if this machine has no such platform. */
int kernel_arch_vm_type(struct kernel_engine *engine, uint32_t platform,
			unsigned long *type);
/* What every vCPU needs before it runs. */
int kernel_arch_vcpu_init(struct gmem_vm *vm, struct kernel_vcpu *vcpu);
int kernel_arch_guest_prepare(struct gmem_vm *vm, void *memory);
int kernel_arch_guest_enter(struct gmem_vcpu *vcpu);

#endif /* GMEM_LIB_KERNEL_H */
