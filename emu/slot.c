// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Memslots as vCPUs see them, and the VM-wide attributes.
 *
 * The table is replaced as a whole.  Afterwards every vCPU has left the access in
 * which it may have found the old one, and conversions of other files have left
 * their read side before it is freed.
 */
#include <stdlib.h>
#include <string.h>

#include "emu.h"

static struct emu_slots *copy_slots(const struct emu_slots *old, u32 extra)
{
	u32 nr = old ? old->nr : 0;
	struct emu_slots *slots;

	if (emu_fail_now())
		return NULL;
	slots = calloc(1, sizeof(*slots) + (nr + extra) * sizeof(slots->slot[0]));
	if (!slots)
		return NULL;

	slots->nr = nr;
	if (nr)
		memcpy(slots->slot, old->slot, nr * sizeof(slots->slot[0]));
	return slots;
}

static void free_slots(struct gmem_deferred *deferred)
{
	free(container_of(deferred, struct emu_slots, deferred));
}

static void replace_slots(struct emu_vm *vm, struct emu_slots *slots)
{
	struct emu_slots *old = vm->slots;

	__atomic_store_n(&vm->slots, slots, __ATOMIC_SEQ_CST);
	emu_quiesce(vm);
	if (old)
		gmem_defer(&old->deferred, free_slots);
}

const struct emu_slot *emu_slot_find(struct emu_vcpu *vcpu, u64 gpa)
{
	const struct emu_slots *slots = smp_load_acquire(&vcpu->vm->slots);
	const struct emu_slot *slot;
	u32 low = 0, high;

	if (!slots)
		return NULL;
	if (vcpu->last_slot < slots->nr) {
		slot = &slots->slot[vcpu->last_slot];
		if (gpa - slot->gpa < slot->bytes)
			return slot;
	}
	for (high = slots->nr; low < high;) {
		u32 middle = low + (high - low) / 2;

		slot = &slots->slot[middle];
		if (gpa - slot->gpa < slot->bytes) {
			vcpu->last_slot = middle;
			return slot;
		}
		if (gpa < slot->gpa)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

static bool overlap(u64 a, u64 a_bytes, u64 b, u64 b_bytes)
{
	return a < b + b_bytes && b < a + a_bytes;
}

static int check_slot(const struct emu_vm *vm, const struct emu_slot *new)
{
	const struct emu_file *file = new->file;

	if (new->gpa + new->bytes < new->gpa ||
	    (uintptr_t)new->userspace % PAGE_SIZE)
		return -EINVAL;
	if (file && (new->offset + new->bytes < new->offset ||
		     new->offset + new->bytes > file->nr_pages << EMU_PAGE_SHIFT))
		return -EINVAL;

	for (u32 i = 0; vm->slots && i < vm->slots->nr; i++) {
		const struct emu_slot *slot = &vm->slots->slot[i];

		if (slot->id == new->id ||
		    overlap(slot->gpa, slot->bytes, new->gpa, new->bytes))
			return -EEXIST;
		if (file && slot->file == file &&
		    overlap(slot->offset, slot->bytes, new->offset, new->bytes))
			return -EEXIST;
	}
	return 0;
}

static int insert_slot(struct emu_vm *vm, const struct emu_slot *new)
{
	struct emu_slots *slots;
	u32 at;
	int ret;

	ret = check_slot(vm, new);
	if (ret)
		return ret;
	slots = copy_slots(vm->slots, 1);
	if (!slots)
		return -ENOMEM;
	if (vm->ops->slot_set) {
		ret = vm->ops->slot_set(vm, new);
		if (ret) {
			free(slots);
			return ret;
		}
	}

	for (at = slots->nr; at && slots->slot[at - 1].gpa > new->gpa; at--)
		slots->slot[at] = slots->slot[at - 1];
	slots->slot[at] = *new;
	slots->nr++;
	replace_slots(vm, slots);
	return 0;
}

int emu_slot_set(struct gmem_vm *base, const struct gmem_slot *slot)
{
	struct emu_file *file = slot->file ? to_emu_file(slot->file) : NULL;
	struct emu_vm *vm = to_emu_vm(base);
	struct emu_slot new = {
		.id = slot->id, .gpa = slot->gpa, .bytes = slot->bytes,
		.file = file, .offset = slot->offset,
		.userspace = slot->userspace_addr,
	};
	int ret;

	if (!emu_own_process(vm->engine))
		return -EIO;

	pthread_mutex_lock(&vm->slots_lock);
	if (file)
		pthread_mutex_lock(&file->lock);
	ret = insert_slot(vm, &new);
	if (file)
		pthread_mutex_unlock(&file->lock);
	pthread_mutex_unlock(&vm->slots_lock);
	return ret;
}

static int remove_slot(struct emu_vm *vm, u32 id)
{
	struct emu_slots *slots;
	struct emu_file *file;
	struct emu_slot old;
	u32 at;
	int ret;

	for (at = 0; vm->slots && at < vm->slots->nr; at++) {
		if (vm->slots->slot[at].id == id)
			break;
	}
	if (!vm->slots || at == vm->slots->nr)
		return -ENOENT;
	if (vm->ops->slot_may_go) {
		ret = vm->ops->slot_may_go(vm, &vm->slots->slot[at]);
		if (ret)
			return ret;
	}
	slots = copy_slots(vm->slots, 0);
	if (!slots)
		return -ENOMEM;

	old = slots->slot[at];
	file = old.file;
	slots->nr--;
	memmove(&slots->slot[at], &slots->slot[at + 1],
		(slots->nr - at) * sizeof(slots->slot[0]));
	if (file)
		pthread_mutex_lock(&file->lock);
	replace_slots(vm, slots);
	if (vm->ops->slot_delete)
		vm->ops->slot_delete(vm, &old);
	if (file)
		pthread_mutex_unlock(&file->lock);
	return 0;
}

int emu_slot_delete(struct gmem_vm *base, const struct gmem_slot *slot)
{
	struct emu_vm *vm = to_emu_vm(base);
	int ret;

	if (!emu_own_process(vm->engine))
		return -EIO;

	pthread_mutex_lock(&vm->slots_lock);
	ret = remove_slot(vm, slot->id);
	pthread_mutex_unlock(&vm->slots_lock);
	return ret;
}

/* Its slots become empty: nobody can access what they cover. */
void emu_slots_forget_file(struct emu_vm *vm, struct emu_file *file)
{
	struct emu_slots *slots;

	pthread_mutex_lock(&vm->slots_lock);
	pthread_mutex_lock(&file->lock);
	slots = vm->slots;
	/* Closing cannot fail: change the entries where they are. */
	for (u32 i = 0; slots && i < slots->nr; i++) {
		struct emu_slot old = slots->slot[i];

		if (old.file != file)
			continue;
		__atomic_store_n(&slots->slot[i].file_gone, true, __ATOMIC_SEQ_CST);
		__atomic_store_n(&slots->slot[i].file, NULL, __ATOMIC_SEQ_CST);
		emu_quiesce(vm);
		if (vm->ops->slot_delete)
			vm->ops->slot_delete(vm, &old);
	}
	pthread_mutex_unlock(&file->lock);
	pthread_mutex_unlock(&vm->slots_lock);
}

void emu_first_run(struct emu_vm *vm, u32 *ran)
{
	if (smp_load_acquire(ran) == EMU_RAN)
		return;
	pthread_mutex_lock(&vm->slots_lock);
	if (!READ_ONCE(*ran))
		smp_store_release(ran, EMU_RUNS_SOON);
	/* Whoever saw no sign of it finishes before the guest sees anything. */
	for (u32 i = 0; vm->slots && i < vm->slots->nr; i++) {
		struct emu_file *file = vm->slots->slot[i].file;

		if (!file)
			continue;
		pthread_mutex_lock(&file->lock);
		pthread_mutex_unlock(&file->lock);
	}
	smp_store_release(ran, EMU_RAN);
	pthread_mutex_unlock(&vm->slots_lock);
}

u64 emu_next_binding(struct emu_file *file, u64 start, u64 end, u64 *first,
		     u64 *gfn)
{
	const struct emu_slots *slots;
	u64 best_first = end, best_last = 0;

	/* Slots of this file come and go under its lock; of others at any time. */
	gmem_read_lock();
	slots = smp_load_acquire(&file->vm->slots);
	for (u32 i = 0; slots && i < slots->nr; i++) {
		const struct emu_slot *slot = &slots->slot[i];
		u64 slot_first = slot->offset >> EMU_PAGE_SHIFT;
		u64 slot_last = slot_first + (slot->bytes >> EMU_PAGE_SHIFT);
		u64 at = max(slot_first, start);

		if (READ_ONCE(slot->file) != file || slot_last <= start ||
		    at >= best_first)
			continue;
		best_first = at;
		best_last = min(slot_last, end);
		*gfn = (slot->gpa >> EMU_PAGE_SHIFT) + at - slot_first;
	}
	gmem_read_unlock();
	*first = best_first;
	return best_last;
}

/* ---- KVM_SET_MEMORY_ATTRIBUTES ---- */

static int set_vm_attributes(struct emu_vm *vm, u64 gpa, u64 size, u64 attributes)
{
	unsigned int attrs = attributes ? GMEM_ATTR_PRIVATE : 0;
	u64 start = gpa >> EMU_PAGE_SHIFT, end = (gpa + size) >> EMU_PAGE_SHIFT;
	struct gmem_attr_map *map;
	int ret;

	for (u32 i = 0; vm->slots && i < vm->slots->nr; i++) {
		const struct emu_slot *slot = &vm->slots->slot[i];

		if (slot->file && slot->file->in_place &&
		    overlap(slot->gpa, slot->bytes, gpa, size))
			return -EINVAL;
	}

	if (!vm->attributes) {
		ret = gmem_attr_map_create(&map, GMEM_ATTR_MAP_MAX_PAGES, 0);
		if (ret)
			return ret;
		smp_store_release(&vm->attributes, map);
	}
	ret = gmem_attr_map_prepare(vm->attributes, start, end, attrs);
	if (ret)
		return ret;
	gmem_attr_map_commit(vm->attributes, start, end, attrs);
	emu_quiesce(vm);
	return 0;
}

int emu_vm_set_memory_attributes(struct gmem_vm *base, uint64_t gpa, uint64_t size,
				 uint64_t attributes)
{
	struct emu_vm *vm = to_emu_vm(base);
	int ret;

	if (!emu_own_process(vm->engine))
		return -EIO;
	if (!vm->ops->private_memory)
		return -EOPNOTSUPP;
	if (attributes & ~(u64)KVM_MEMORY_ATTRIBUTE_PRIVATE || !size ||
	    gpa + size < gpa || (gpa | size) % PAGE_SIZE ||
	    gpa + size > EMU_MAX_FILE_BYTES)
		return -EINVAL;

	pthread_mutex_lock(&vm->slots_lock);
	ret = set_vm_attributes(vm, gpa, size, attributes);
	pthread_mutex_unlock(&vm->slots_lock);
	return ret;
}
