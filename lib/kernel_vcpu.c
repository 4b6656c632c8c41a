// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The kernel engine: vCPUs and their exits.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel.h"
#include "../guest/layout.h"

int kernel_vcpu_create(struct gmem_vm *vm, uint32_t id, struct gmem_vcpu **vcpup)
{
	struct kernel_engine *engine = to_kernel_engine(vm->engine);
	struct kernel_vcpu *vcpu;
	int ret;

	vcpu = calloc(1, sizeof(*vcpu));
	if (!vcpu)
		return -ENOMEM;

	ret = ioctl(to_kernel_vm(vm)->fd, KVM_CREATE_VCPU, (unsigned long)id);
	if (ret < 0) {
		ret = -errno;
		goto err_free;
	}

	vcpu->fd = ret;
	vcpu->run_size = engine->run_size;
	vcpu->run = mmap(NULL, vcpu->run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
			 vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED) {
		ret = -errno;
		goto err_close;
	}

	ret = kernel_arch_vcpu_init(vm, vcpu);
	if (ret)
		goto err_unmap;

	*vcpup = &vcpu->vcpu;
	return 0;

err_unmap:
	munmap(vcpu->run, vcpu->run_size);
err_close:
	close(vcpu->fd);
err_free:
	free(vcpu);
	return ret;
}

void kernel_vcpu_destroy(struct gmem_vcpu *base)
{
	struct kernel_vcpu *vcpu = to_kernel_vcpu(base);

	if (!vcpu->lent) {
		munmap(vcpu->run, vcpu->run_size);
		close(vcpu->fd);
	}
	free(vcpu);
}

int kernel_vcpu_fd(struct gmem_vcpu *vcpu)
{
	return to_kernel_vcpu(vcpu)->fd;
}

/* kvm_run's union; kernel headers may lack the member that is meant. */
static const void *exit_data(const struct kvm_run *run)
{
	return &run->hw;
}

static void decode_exit(const struct kvm_run *run, struct gmem_exit *exit)
{
	struct gmem_kvm_memory_fault fault;

	exit->reason = run->exit_reason;
	switch (run->exit_reason) {
	case KVM_EXIT_HYPERCALL:
		exit->hypercall.nr = run->hypercall.nr;
		memcpy(exit->hypercall.args, run->hypercall.args,
		       sizeof(exit->hypercall.args));
		break;
	case KVM_EXIT_MEMORY_FAULT:
		memcpy(&fault, exit_data(run), sizeof(fault));
		exit->memory_fault.flags = fault.flags;
		exit->memory_fault.gpa = fault.gpa;
		exit->memory_fault.size = fault.size;
		break;
	case KVM_EXIT_MMIO:
		if (run->mmio.is_write &&
		    run->mmio.phys_addr == GMEM_GUEST_EXIT_GPA) {
			exit->reason = GMEM_EXIT_GUEST_DONE;
			break;
		}
		exit->mmio.gpa = run->mmio.phys_addr;
		exit->mmio.len = run->mmio.len;
		exit->mmio.is_write = run->mmio.is_write;
		memcpy(exit->mmio.data, run->mmio.data, sizeof(exit->mmio.data));
		break;
	default:
		memcpy(exit->raw, exit_data(run), sizeof(exit->raw));
	}
}

static int run_once(struct gmem_vcpu *base, struct gmem_exit *exit)
{
	struct kernel_vcpu *vcpu = to_kernel_vcpu(base);
	int ret;

	/* Other reasons stay: by them KVM knows on arm64 what it has to complete. */
	if (vcpu->run->exit_reason == KVM_EXIT_MEMORY_FAULT)
		vcpu->run->exit_reason = KVM_EXIT_UNKNOWN;
	ret = kernel_ioctl(vcpu->fd, KVM_RUN, NULL);
	if (ret == -EINTR || ret == -EAGAIN) {
		exit->reason = KVM_EXIT_INTR;
		return 0;
	}
	/* A memory fault exit comes with an error, too. */
	if (ret < 0 && vcpu->run->exit_reason != KVM_EXIT_MEMORY_FAULT)
		return ret;

	decode_exit(vcpu->run, exit);
	exit->error = -ret;
	/* The mailbox's exit belongs to those that have one. */
	if (exit->reason == GMEM_EXIT_GUEST_DONE && !base->mailbox)
		exit->reason = KVM_EXIT_MMIO;
	return 0;
}

int kernel_vcpu_run(struct gmem_vcpu *vcpu, struct gmem_exit *exit)
{
	int ret;

	gmem_guest_runs(vcpu);
	ret = run_once(vcpu, exit);
	if (ret || exit->reason != GMEM_EXIT_GUEST_DONE || !vcpu->hello_due)
		return ret;

	memcpy(&ret, to_kernel_vcpu(vcpu)->run->mmio.data, sizeof(ret));
	ret = gmem_guest_came_up(vcpu, ret);
	return ret ? ret : run_once(vcpu, exit);
}

void kernel_vcpu_last_exit(struct gmem_vcpu *vcpu, struct gmem_exit *exit)
{
	memset(exit, 0, sizeof(*exit));
	decode_exit(to_kernel_vcpu(vcpu)->run, exit);
}

int kernel_vcpu_complete_hypercall(struct gmem_vcpu *base, int64_t ret)
{
	to_kernel_vcpu(base)->run->hypercall.ret = (uint64_t)ret;
	return 0;
}
