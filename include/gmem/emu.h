/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * The emu engine's own calls: what a machine, a device or an attacker would do
 * to a VM, and what userspace cannot do or see.  For tests.
 *
 * Every function answers -EINVAL for an object of another engine.
 */
#ifndef GMEM_EMU_H
#define GMEM_EMU_H

#include <gmem/gmem.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * gmem_emu_pin() - hold pages as a device backend does
 * @file: the file
 * @offset: first byte, page aligned
 * @bytes: length, page aligned
 *
 * While they are pinned, shared pages do not go private: -EAGAIN, with the first
 * pinned page in error_offset.  Pins count, and may overlap.
 *
 * Return: 0; -EINVAL; -EFAULT if a page is not the host's to pin; -ENOMEM; -EIO in
 *	   another process than the VM's.
 */
int gmem_emu_pin(struct gmem_file *file, uint64_t offset, uint64_t bytes);

/**
 * gmem_emu_unpin() - let go of a range that was pinned in one call
 * @file: the file
 * @offset: as given to gmem_emu_pin()
 * @bytes: as given to gmem_emu_pin()
 *
 * Return: 0; -EINVAL if there is no such pin; -EIO in another process than the VM's.
 */
int gmem_emu_unpin(struct gmem_file *file, uint64_t offset, uint64_t bytes);

/**
 * gmem_emu_poison() - let memory fail
 * @file: the file
 * @offset: first byte, page aligned
 * @bytes: length, page aligned
 *
 * Reading raises SIGBUS for the host and exits with EHWPOISON for the guest.
 * DESTROY and freeing (a hole) are the cures.
 *
 * Return: 0; -EINVAL; -ENOMEM; -EIO in another process than the VM's.
 */
int gmem_emu_poison(struct gmem_file *file, uint64_t offset, uint64_t bytes);

/**
 * gmem_emu_force_attributes() - a host that lies: change what guest_memfd believes
 * @file: the file
 * @offset: first byte, page aligned
 * @bytes: length, page aligned
 * @attributes: 0 or KVM_MEMORY_ATTRIBUTE_PRIVATE
 *
 * No policy, no authorisation, no content step, and the platform is not told.
 * What the platform keeps from the host by itself stays kept.
 *
 * Return: 0; -EINVAL; -ENOTTY; -ENOMEM; -EIO in another process than the VM's.
 */
int gmem_emu_force_attributes(struct gmem_file *file, uint64_t offset,
			      uint64_t bytes, uint64_t attributes);

/**
 * gmem_emu_read_memory() - what really lies in memory
 * @file: the file
 * @offset: first byte, page aligned
 * @bytes: length, page aligned
 * @buffer: out
 *
 * As a probe on the memory bus sees it: no attributes, no keys, no ownership.
 *
 * Return: 0; -EINVAL; -EIO in another process than the VM's.
 */
int gmem_emu_read_memory(struct gmem_file *file, uint64_t offset, uint64_t bytes,
			 void *buffer);

/**
 * gmem_emu_write_memory() - change what lies in memory, behind everybody's back
 * @file: the file
 * @offset: first byte, page aligned
 * @bytes: length, page aligned
 * @buffer: what to write
 *
 * Return: 0; -EINVAL; -EIO in another process than the VM's.
 */
int gmem_emu_write_memory(struct gmem_file *file, uint64_t offset, uint64_t bytes,
			  const void *buffer);

/**
 * enum gmem_emu_property - opt-in behaviour of a platform
 * @GMEM_EMU_DESTRUCTIVE_RECLAIM: pkvm: an unsolicited ZERO or DESTROY takes the page
 *	by force
 * @GMEM_EMU_ENCRYPTED: snp: ENCRYPTED is offered towards shared
 *
 * SW_PROTECTED_VM has none.
 */
enum gmem_emu_property {
	GMEM_EMU_DESTRUCTIVE_RECLAIM,
	GMEM_EMU_ENCRYPTED,
};

/**
 * gmem_emu_set_property() - switch on opt-in behaviour
 * @vm: the VM, before its first vCPU runs
 * @property: enum gmem_emu_property
 * @value: 0 or 1
 *
 * Return: 0; -EINVAL; -EOPNOTSUPP if the platform has no such property; -EBUSY if
 *	   it is too late.
 */
int gmem_emu_set_property(struct gmem_vm *vm, uint32_t property, uint64_t value);

/**
 * gmem_emu_power_off() - switch a vCPU off, as KVM_SET_MP_STATE does
 * @vcpu: the vCPU, which does not run
 *
 * pkvm only.  gmem_vcpu_run() waits until the guest powers the vCPU on, by another.
 *
 * Return: 0; -EINVAL; -EOPNOTSUPP; -EIO in another process than the VM's.
 */
int gmem_emu_power_off(struct gmem_vcpu *vcpu);

/**
 * gmem_emu_plan_share() - let a vCPU ask in the guest's place, as KVM_SET_ONE_REG does
 * @vcpu: the vCPU, which does not run
 * @gpa: first byte, page aligned
 * @bytes: length, page aligned
 *
 * pkvm only.  The vCPU will begin by the hypercall that shares this memory, and by the
 * guest program afterwards.  A vCPU that the guest powers on begins with nothing that
 * was set before.
 *
 * Return: 0; -EINVAL; -EOPNOTSUPP; -EPERM once a vCPU of a VM that converts has run,
 *	   unless this one is powered off; -EIO in another process than the VM's.
 */
int gmem_emu_plan_share(struct gmem_vcpu *vcpu, uint64_t gpa, uint64_t bytes);

/**
 * enum gmem_emu_limit - limits of the engine; see docs/emu.md
 * @GMEM_EMU_LIMIT_SPLITS: places where mappings may be split; by default half of
 *	vm.max_map_count
 * @GMEM_EMU_LIMIT_AHEAD: bytes of memory populated before anybody touched it
 */
enum gmem_emu_limit {
	GMEM_EMU_LIMIT_SPLITS,
	GMEM_EMU_LIMIT_AHEAD,
};

/**
 * gmem_emu_set_limit() - change a limit, and learn the use of it
 * @engine: the engine
 * @limit: enum gmem_emu_limit
 * @value: the new one
 * @used: out: what is used now; may be NULL
 *
 * Return: 0; -EINVAL.
 */
int gmem_emu_set_limit(struct gmem_engine *engine, uint32_t limit, uint64_t value,
		       uint64_t *used);

/**
 * gmem_emu_guard() - how private pages are kept from the host
 * @engine: the engine
 *
 * Return: "userfaultfd", "mprotect", or NULL for another engine.
 */
const char *gmem_emu_guard(const struct gmem_engine *engine);

/**
 * gmem_emu_handle_sigbus() - for a VMM that replaces the library's handler
 * @addr: si_addr of a SIGBUS
 *
 * Where the library populates memory lazily (see docs/emu.md), a SIGBUS may mean
 * that memory is shared but not populated.  Async-signal-safe.
 *
 * Return: 0: return from the handler, the access will succeed; -EFAULT: the fault
 *	   is a real one, or not the library's.
 */
int gmem_emu_handle_sigbus(void *addr);

/**
 * gmem_emu_fail_after() - let a step that can fail, fail
 * @steps: how many such steps, of all threads, succeed before; negative: all
 *
 * Steps are allocations and whatever may refuse a conversion.
 *
 * Return: what was left of an earlier call: negative if its failure took place.
 */
long gmem_emu_fail_after(long steps);

#ifdef __cplusplus
}
#endif

#endif /* GMEM_EMU_H */
