// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Guest accesses, and how a conversion keeps them out: without a lock, by the
 * handshake of KVM's vcpu->mode.
 *
 *	vCPU					conversion
 *	access_seq becomes odd			publish the range
 *	full barrier				full barrier
 *	range being invalidated?		wait until every vCPU that is
 *	  yes: become even, wait, repeat	  inside an access has left it
 *	look the map up, access the page	change map and contents
 *	access_seq becomes even			withdraw the range
 *
 * Whichever barrier comes first, either the vCPU sees the range or the conversion
 * sees the vCPU.  The same holds for the table of slots and for files: who takes
 * one away waits for the vCPUs that may still look at it.
 *
 * A vCPU that has to wait sleeps until some invalidation of its VM ends.  It holds
 * on to nothing meanwhile, so the file may even go away.
 */
#include <string.h>

#include "emu.h"
#include "../guest/layout.h"

#define full_barrier_store(p, v)	__atomic_store_n((p), (v), __ATOMIC_SEQ_CST)
#define full_barrier_load(p)		__atomic_load_n((p), __ATOMIC_SEQ_CST)

static void access_begin(struct emu_vcpu *vcpu)
{
	full_barrier_store(&vcpu->access_seq, vcpu->access_seq + 1);
}

static void access_end(struct emu_vcpu *vcpu)
{
	smp_store_release(&vcpu->access_seq, vcpu->access_seq + 1);
}

static void mask_signals(sigset_t *unmasked)
{
	sigset_t all;

	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_BLOCK, &all, unmasked);
}

void emu_invalidate_begin(struct emu_file *file, u64 start, u64 end)
{
	file->masked = emu_faults_wait();
	if (file->masked)
		mask_signals(&file->unmasked);
	__atomic_store_n(&file->inv_thread, pthread_self(), __ATOMIC_RELAXED);
	WRITE_ONCE(file->inv_start, start);
	WRITE_ONCE(file->inv_end, end);
	full_barrier_store(&file->inv_active, 1);
}

void emu_invalidate_end(struct emu_file *file)
{
	struct emu_vm *vm = file->vm;

	smp_store_release(&file->inv_active, 0);
	__atomic_fetch_add(&vm->inv_seq, 1, __ATOMIC_SEQ_CST);
	if (full_barrier_load(&vm->inv_waiters)) {
		pthread_mutex_lock(&vm->wait_lock);
		pthread_cond_broadcast(&vm->inv_done);
		pthread_mutex_unlock(&vm->wait_lock);
	}
	if (file->masked)
		pthread_sigmask(SIG_SETMASK, &file->unmasked, NULL);
}

/*
 * Reading the bounds of a later invalidation than the flag's is harmless: that
 * one waits for the reader.
 */
bool emu_invalidated(struct emu_file *file, u64 index)
{
	return full_barrier_load(&file->inv_active) &&
	       index >= READ_ONCE(file->inv_start) &&
	       index < READ_ONCE(file->inv_end);
}

/* An invalidation was in the way when inv_seq was @seq. */
static void wait_for_invalidation(struct emu_vm *vm, u32 seq)
{
	__atomic_fetch_add(&vm->inv_waiters, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_lock(&vm->wait_lock);
	while (full_barrier_load(&vm->inv_seq) == seq)
		pthread_cond_wait(&vm->inv_done, &vm->wait_lock);
	pthread_mutex_unlock(&vm->wait_lock);
	__atomic_fetch_sub(&vm->inv_waiters, 1, __ATOMIC_SEQ_CST);
}

void emu_quiesce(struct emu_vm *vm)
{
	u32 nr = smp_load_acquire(&vm->nr_vcpus);

	for (u32 i = 0; i < nr; i++) {
		u32 *seq = &vm->vcpus[i]->access_seq;
		u32 seen = full_barrier_load(seq);

		while (seen & 1 && smp_load_acquire(seq) == seen)
			gmem_relax();
	}
}

void emu_quiesce_handlers(struct emu_file *file)
{
	while (full_barrier_load(&file->handlers))
		gmem_relax();
}

/* Part of an access over a page boundary may have any size below 8. */
static bool is_aligned(const void *host, unsigned int size)
{
	return !(size & (size - 1)) && !((uintptr_t)host & (size - 1));
}

/* As the processor does: single-copy atomic if aligned. */
static u64 load(const void *host, unsigned int size)
{
	u64 value = 0;

	if (!is_aligned(host, size)) {
		for (unsigned int i = 0; i < size; i++)
			value |= (u64)READ_ONCE(((const u8 *)host)[i]) << 8 * i;
		return value;
	}
	switch (size) {
	case 1:
		return READ_ONCE(*(const u8 *)host);
	case 2:
		return READ_ONCE(*(const u16 *)host);
	case 4:
		return READ_ONCE(*(const u32 *)host);
	default:
		return READ_ONCE(*(const u64 *)host);
	}
}

static void store(void *host, unsigned int size, u64 value)
{
	if (!is_aligned(host, size)) {
		for (unsigned int i = 0; i < size; i++)
			WRITE_ONCE(((u8 *)host)[i], (u8)(value >> 8 * i));
		return;
	}
	switch (size) {
	case 1:
		WRITE_ONCE(*(u8 *)host, (u8)value);
		break;
	case 2:
		WRITE_ONCE(*(u16 *)host, (u16)value);
		break;
	case 4:
		WRITE_ONCE(*(u32 *)host, (u32)value);
		break;
	default:
		WRITE_ONCE(*(u64 *)host, value);
	}
}

enum emu_access_result emu_access_plain(struct emu_access *access)
{
	if (access->write)
		store(access->host, access->size, access->value);
	else
		access->value = load(access->host, access->size);
	return EMU_ACCESS_DONE;
}

static void fault_exit(struct emu_vcpu *vcpu, u64 gpa, bool to_private, int error)
{
	vcpu->exit = (struct gmem_exit){
		.reason = KVM_EXIT_MEMORY_FAULT,
		.error = error,
		.memory_fault = {
			.flags = to_private ? KVM_MEMORY_EXIT_FLAG_PRIVATE : 0,
			.gpa = gpa & ~(PAGE_SIZE - 1),
			.size = PAGE_SIZE,
		},
	};
}

static void mmio_exit(struct emu_vcpu *vcpu, const struct emu_access *access)
{
	struct gmem_exit *exit = &vcpu->exit;

	*exit = (struct gmem_exit){ .reason = KVM_EXIT_MMIO };
	if (access->write && access->gpa == GMEM_GUEST_EXIT_GPA) {
		exit->reason = GMEM_EXIT_GUEST_DONE;
		return;
	}
	exit->mmio.gpa = access->gpa;
	exit->mmio.len = access->size;
	exit->mmio.is_write = access->write;
	if (access->write)
		memcpy(exit->mmio.data, &access->value, sizeof(access->value));
}

/* Whether KVM_SET_MEMORY_ATTRIBUTES made it private. */
static bool vm_private(struct emu_vm *vm, u64 gpa)
{
	const struct gmem_attr_map *map = smp_load_acquire(&vm->attributes);

	return map && vm->ops->private_memory &&
	       gpa >> EMU_PAGE_SHIFT < GMEM_ATTR_MAP_MAX_PAGES &&
	       gmem_attr_map_get(map, gpa >> EMU_PAGE_SHIFT) & GMEM_ATTR_PRIVATE;
}

static enum emu_access_result access_file(struct emu_vcpu *vcpu,
					  const struct emu_slot *slot,
					  struct emu_file *file,
					  struct emu_access *access)
{
	const struct emu_platform_ops *ops = vcpu->vm->ops;
	u64 offset = slot->offset + (access->gpa - slot->gpa);

	access->file = file;
	access->index = offset >> EMU_PAGE_SHIFT;
	access->host = file->memory + offset;
	if (emu_invalidated(file, access->index))
		return EMU_ACCESS_BUSY;

	access->attrs = gmem_attr_map_get(file->map, access->index);
	access->fault_private = access->attrs & GMEM_ATTR_PRIVATE;
	if (access->instruction)
		return access->instruction(vcpu, access);
	if (access->attrs & GMEM_ATTR_DESTROYED)
		return EMU_ACCESS_FAULT;
	if (unlikely(file->poison.nr) &&
	    emu_marks_first(&file->poison, access->index, access->index + 1) ==
	    access->index) {
		fault_exit(vcpu, access->gpa, access->fault_private, EHWPOISON);
		return EMU_ACCESS_EXIT;
	}
	return ops->guest_access ? ops->guest_access(vcpu, access) :
	       emu_access_plain(access);
}

static enum emu_access_result access_slot(struct emu_vcpu *vcpu,
					  const struct emu_slot *slot,
					  struct emu_access *access)
{
	struct emu_file *file;
	bool private_kind;

	if (access->instruction && (!slot || !smp_load_acquire(&slot->file)))
		return EMU_ACCESS_DONE;
	if (!slot) {
		if (vm_private(vcpu->vm, access->gpa)) {
			access->fault_private = true;
			return EMU_ACCESS_FAULT;
		}
		mmio_exit(vcpu, access);
		return EMU_ACCESS_EXIT;
	}
	/* It may go meanwhile, and waits for this access then. */
	file = smp_load_acquire(&slot->file);
	if (file && file->in_place)
		return access_file(vcpu, slot, file, access);

	/* Elsewhere the VM's attributes say which of the two memories it is. */
	private_kind = vm_private(vcpu->vm, access->gpa);
	if (file && (private_kind || file->mappable))
		return access_file(vcpu, slot, file, access);
	if (private_kind || READ_ONCE(slot->file_gone) || !slot->userspace) {
		access->fault_private = private_kind || READ_ONCE(slot->file_gone);
		return EMU_ACCESS_FAULT;
	}
	access->host = slot->userspace + (access->gpa - slot->gpa);
	return emu_access_plain(access);
}

/* Until it took place; exits to the VMM on the way as often as need be. */
static void access_page(struct emu_vcpu *vcpu, struct emu_access *access)
{
	struct emu_vm *vm = vcpu->vm;
	enum emu_access_result result;
	bool done = false;
	u32 seq;

	while (!done) {
		seq = full_barrier_load(&vm->inv_seq);
		access_begin(vcpu);
		if (unlikely(full_barrier_load(&vcpu->kick))) {
			access_end(vcpu);
			emu_vcpu_park(vcpu);
			continue;
		}
		result = access_slot(vcpu, emu_slot_find(vcpu, access->gpa), access);
		access_end(vcpu);

		switch (result) {
		case EMU_ACCESS_DONE:
			return;
		case EMU_ACCESS_BUSY:
			wait_for_invalidation(vm, seq);
			continue;
		case EMU_ACCESS_FAULT:
			fault_exit(vcpu, access->gpa, access->fault_private, EFAULT);
			break;
		case EMU_ACCESS_EXIT:
			/* The VMM did it, and has no way to return a value. */
			done = vcpu->exit.reason == KVM_EXIT_MMIO ||
			       vcpu->exit.reason == GMEM_EXIT_GUEST_DONE;
			break;
		}
		emu_vcpu_exit(vcpu);
	}
}

/* The part of an access of @size bytes that lies in the first page. */
static unsigned int first_part(u64 gpa, unsigned int size)
{
	u64 left = PAGE_SIZE - gpa % PAGE_SIZE;

	return left < size ? (unsigned int)left : size;
}

u64 emu_vcpu_load(struct emu_vcpu *vcpu, u64 gpa, unsigned int size)
{
	unsigned int part = first_part(gpa, size);
	struct emu_access access = { .gpa = gpa, .size = part };
	u64 value;

	access_page(vcpu, &access);
	value = access.value;
	if (part < size) {
		access = (struct emu_access){
			.gpa = gpa + part, .size = size - part,
		};
		access_page(vcpu, &access);
		value |= access.value << 8 * part;
	}
	return value;
}

void emu_vcpu_store(struct emu_vcpu *vcpu, u64 gpa, unsigned int size, u64 value)
{
	unsigned int part = first_part(gpa, size);
	struct emu_access access = {
		.gpa = gpa, .size = part, .write = true, .value = value,
	};

	access_page(vcpu, &access);
	if (part < size) {
		access = (struct emu_access){
			.gpa = gpa + part, .size = size - part, .write = true,
			.value = value >> 8 * part,
		};
		access_page(vcpu, &access);
	}
}

u64 emu_vcpu_instruction(struct emu_vcpu *vcpu, u64 gfn, u64 operand,
			 enum emu_access_result (*instruction)(struct emu_vcpu *vcpu,
							       struct emu_access *access))
{
	struct emu_access access = {
		.gpa = gfn << EMU_PAGE_SHIFT, .value = operand,
		.instruction = instruction,
	};

	access_page(vcpu, &access);
	return access.value;
}
