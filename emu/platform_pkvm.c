// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * pKVM: arm64's protected VMs.  This file is the host's kernel, EL1; the hypervisor
 * is in el2.c and has the last word on who reaches a page.
 *
 * After Linux 7.3, Documentation/virt/kvm/arm/pkvm.rst ("CPU memory isolation"; no
 * memslot moves once the VM has run) and hypercalls.rst (MEM_SHARE, MEM_UNSHARE),
 * with what in-place conversion adds to them; docs/pkvm.md tells the sequences.
 *
 * All sharing is the guest's decision.  Its hypercall leaves a request, one word of
 * core/request.h in the vCPU, and exits to the VMM, whose conversion has to match
 * it.  When the vCPU is entered again the request ends, and whatever guest_memfd
 * and EL2 do not agree on by then is the host's no more.
 *
 * So that the VMM cannot ask in the guest's place, the guest alone starts vCPUs once
 * one has run, by PSCI, and each begins with nothing that the VMM has set.
 *
 * Locks: slots_lock > the file's lock, on vCPU threads outside accesses, too;
 * vcpus_lock, which guards what is on or off, is taken with neither.
 * Whatever takes access away from the host runs under the file's lock, and so do
 * the conversions that rely on it.
 */
#include <stdlib.h>

#include <gmem/emu.h>
#include <gmem/gmem.h>
#include "el2.h"

struct pkvm_vm {
	u32 created;		/* at EL2, by the first vCPU that runs */
	/* By slots_lock, and constant once the VM is created. */
	bool decided;
	bool converts;		/* a file of its did when it was created */
	u32 sealed;		/* the guest alone powers on vCPUs; atomic */
	bool reclaim;		/* GMEM_EMU_DESTRUCTIVE_RECLAIM */
};

struct pkvm_vcpu {
	struct el2_call call;	/* EL2's */
	/* What the VMM was asked, until the guest is answered; the request shrinks. */
	u64 gfn;
	u64 nr_pages;		/* 0: the vCPU waits for no answer */
	bool to_private;
};

/* Memory that lies in one slot. */
struct piece {
	bool exists;
	struct emu_file *file;	/* that converts in place; NULL: ordinary memory */
	u64 start;		/* page of the file */
	u64 nr_pages;
};

static bool is_created(const struct emu_vm *vm)
{
	const struct pkvm_vm *pkvm = vm->platform_data;

	return smp_load_acquire(&pkvm->created);
}

/* ---- the VM ---- */

static int pkvm_vm_create(struct emu_vm *vm)
{
	vm->platform_data = emu_fail_now() ? NULL : calloc(1, sizeof(struct pkvm_vm));
	return vm->platform_data ? 0 : -ENOMEM;
}

static void pkvm_vm_destroy(struct emu_vm *vm)
{
	free(vm->platform_data);
}

static int pkvm_vm_set_property(struct emu_vm *vm, u32 property, u64 value)
{
	struct pkvm_vm *pkvm = vm->platform_data;

	if (property != GMEM_EMU_DESTRUCTIVE_RECLAIM)
		return -EOPNOTSUPP;
	if (value > 1)
		return -EINVAL;
	if (is_created(vm))
		return -EBUSY;
	WRITE_ONCE(pkvm->reclaim, value);
	return 0;
}

/* EL2 answers the guest's calls by itself in a VM that does not convert. */
static int pkvm_slot_set(struct emu_vm *vm, const struct emu_slot *slot)
{
	const struct pkvm_vm *pkvm = vm->platform_data;

	if (slot->file && slot->file->in_place && pkvm->decided && !pkvm->converts)
		return -EPERM;
	return 0;
}

static int pkvm_slot_may_go(struct emu_vm *vm, const struct emu_slot *slot)
{
	(void)slot;
	return is_created(vm) ? -EPERM : 0;
}

/* ---- vCPUs ---- */

/* EL2 is told their number once. */
static int pkvm_vcpu_create(struct emu_vcpu *vcpu)
{
	const struct pkvm_vm *pkvm = vcpu->vm->platform_data;

	if (is_created(vcpu->vm) && pkvm->converts)
		return -EBUSY;
	vcpu->platform_data = emu_fail_now() ? NULL : calloc(1, sizeof(struct pkvm_vcpu));
	return vcpu->platform_data ? 0 : -ENOMEM;
}

static void pkvm_vcpu_destroy(struct emu_vcpu *vcpu)
{
	free(vcpu->platform_data);
}

static bool has_in_place_slot(const struct emu_vm *vm)
{
	for (u32 i = 0; vm->slots && i < vm->slots->nr; i++) {
		const struct emu_file *file = vm->slots->slot[i].file;

		if (file && file->in_place)
			return true;
	}
	return false;
}

static void create_vm(struct emu_vm *vm)
{
	struct pkvm_vm *pkvm = vm->platform_data;

	if (smp_load_acquire(&pkvm->created) == EMU_RAN)
		return;
	pthread_mutex_lock(&vm->slots_lock);
	if (!pkvm->decided) {
		pkvm->decided = true;
		pkvm->converts = has_in_place_slot(vm);
	}
	pthread_mutex_unlock(&vm->slots_lock);
	emu_first_run(vm, &pkvm->created);
}

/*
 * The VM's first vCPU is about to be entered: all others are powered off, whatever
 * the VMM made of them, and start where the guest says.  A vCPU that is off itself
 * leaves that to another.
 */
static void seal_vm(struct emu_vcpu *vcpu)
{
	struct emu_vm *vm = vcpu->vm;
	struct pkvm_vm *pkvm = vm->platform_data;

	if (smp_load_acquire(&pkvm->sealed))
		return;
	pthread_mutex_lock(&vm->vcpus_lock);
	if (!pkvm->sealed && !emu_vcpu_is_off(vcpu)) {
		for (u32 i = 0; i < vm->nr_vcpus; i++) {
			if (vm->vcpus[i] != vcpu)
				emu_vcpu_power_off_locked(vm->vcpus[i]);
		}
		smp_store_release(&pkvm->sealed, 1);
	}
	pthread_mutex_unlock(&vm->vcpus_lock);
}

static int pkvm_vcpu_enter(struct emu_vcpu *vcpu)
{
	const struct pkvm_vm *pkvm = vcpu->vm->platform_data;

	create_vm(vcpu->vm);
	if (pkvm->converts)
		seal_vm(vcpu);
	return 0;
}

/*
 * KVM_ARM_VCPU_INIT, KVM_SET_ONE_REG.  The latter only tells what a vCPU that is off
 * would start with if the guest's CPU_ON did not reset it.
 */
static int pkvm_vcpu_may_reset(struct emu_vcpu *vcpu, bool registers_only)
{
	struct pkvm_vm *pkvm = vcpu->vm->platform_data;

	if (!smp_load_acquire(&pkvm->sealed))
		return 0;
	return registers_only && emu_vcpu_is_off(vcpu) ? 0 : -EPERM;
}

/* The guest's first act on the vCPU that the VMM starts: as start.S does on arm64. */
static void pkvm_guest_boot(struct emu_vcpu *vcpu)
{
	struct emu_vm *vm = vcpu->vm;
	u32 nr = smp_load_acquire(&vm->nr_vcpus);

	for (u32 i = 0; i < nr; i++)
		emu_vcpu_power_on(vm, vm->vcpus[i]->vcpu.id);
}

/* ---- the guest's accesses ---- */

static enum emu_access_result pkvm_guest_access(struct emu_vcpu *vcpu,
						struct emu_access *access)
{
	(void)vcpu;
	switch (el2_guest_state(access->file, access->index)) {
	case EL2_POISON:
		return EMU_ACCESS_FAULT;
	case EL2_NOPAGE:
		/* Guests take memory for theirs that they have not shared. */
		access->fault_private = true;
		if (!(access->attrs & GMEM_ATTR_PRIVATE))
			return EMU_ACCESS_FAULT;
		/* Unless another vCPU just faulted it in. */
		if (el2_host_donate_guest(access->file, access->index) == -EHWPOISON)
			return EMU_ACCESS_FAULT;
		break;
	default:
		break;
	}
	return emu_access_plain(access);
}

/* ---- the guest's hypercalls ---- */

/* Up to @most pages from @gfn on; the caller holds slots_lock. */
static struct piece find_piece(struct emu_vm *vm, u64 gfn, u64 most)
{
	const struct emu_slots *slots = vm->slots;
	u64 gpa = gfn << EMU_PAGE_SHIFT;

	for (u32 i = 0; slots && i < slots->nr; i++) {
		const struct emu_slot *slot = &slots->slot[i];
		u64 offset = gpa - slot->gpa;

		if (offset >= slot->bytes)
			continue;
		return (struct piece){
			.exists = !slot->file_gone,
			.file = slot->file && slot->file->in_place ? slot->file : NULL,
			.start = (slot->offset + offset) >> EMU_PAGE_SHIFT,
			.nr_pages = min(most, (slot->bytes - offset) >> EMU_PAGE_SHIFT),
		};
	}
	return (struct piece){ 0 };
}

/* slots_lock, and the lock of the piece's file if it has one. */
static struct piece lock_piece(struct emu_vm *vm, u64 gfn, u64 most)
{
	struct piece piece;

	pthread_mutex_lock(&vm->slots_lock);
	piece = find_piece(vm, gfn, most);
	if (piece.file)
		pthread_mutex_lock(&piece.file->lock);
	return piece;
}

static void unlock_piece(struct emu_vm *vm, const struct piece *piece)
{
	if (piece->file)
		pthread_mutex_unlock(&piece->file->lock);
	pthread_mutex_unlock(&vm->slots_lock);
}

static unsigned int piece_attrs(const struct piece *piece, u64 i)
{
	return gmem_attr_map_get(piece->file->map, piece->start + i);
}

/* Neither destroyed nor failed memory. */
static bool can_be_given(const struct piece *piece, u64 i)
{
	u64 index = piece->start + i;

	return !(piece_attrs(piece, i) & GMEM_ATTR_DESTROYED) &&
	       emu_marks_first(&piece->file->poison, index, index + 1) != index;
}

/*
 * Give the guest what it shares before it ever had it: pages of one kind, so that the
 * VMM has a part in all of them or in none, up to one that the guest has, or that was
 * destroyed and has to be converted first.  Returns how many.
 */
static u64 give_pages(struct el2_call *call, const struct piece *piece)
{
	u64 nr = 0;

	while (nr < piece->nr_pages && can_be_given(piece, nr) &&
	       piece_attrs(piece, nr) == piece_attrs(piece, 0) &&
	       !el2_host_donate_guest_shared(call, piece->file, piece->start + nr))
		nr++;
	return nr;
}

/* What guest_memfd calls shared is, now that EL2 lets the host in. */
static void show_shared(const struct piece *piece, u64 nr)
{
	for (u64 i = 0; i < nr; i++) {
		if (!piece_attrs(piece, i))
			emu_views_show(piece->file, piece->start + i,
				       piece->start + i + 1, false);
	}
}

/*
 * MEM_SHARE of memory that converts.  What the guest has EL2 shares, which is the
 * consent; what it never had is given to it.  What was destroyed has to be converted
 * before there is anything to give.  Returns for how many pages the VMM is asked, or
 * -EINVAL.
 */
static s64 begin_share(struct emu_vcpu *vcpu, const struct piece *piece)
{
	struct pkvm_vcpu *pkvm = vcpu->platform_data;
	s64 ret;
	u64 nr;

	ret = el2_guest_share(&pkvm->call, piece->file, piece->start, piece->nr_pages,
			      !vcpu->single_page);
	if (ret < 0)
		return ret;
	show_shared(piece, (u64)ret);
	nr = ret ? (u64)ret : give_pages(&pkvm->call, piece);
	if (nr)
		return (s64)nr;
	while (nr < piece->nr_pages && piece_attrs(piece, nr) & GMEM_ATTR_DESTROYED)
		nr++;
	return nr ? (s64)nr : -EINVAL;
}

/*
 * Begin either call.  Returns for how many pages the VMM is asked: 0 for ordinary
 * memory; -EINVAL if the guest is refused.
 */
static s64 begin_call(struct emu_vcpu *vcpu, const struct piece *piece,
		      bool to_private)
{
	struct pkvm_vcpu *pkvm = vcpu->platform_data;
	s64 ret;

	if (!piece->exists)
		return -EINVAL;
	if (!piece->file)
		return 0;
	if (!to_private)
		return begin_share(vcpu, piece);
	ret = el2_guest_unshare(&pkvm->call, piece->file, piece->start,
				piece->nr_pages, !vcpu->single_page);
	return ret ? ret : (s64)piece->nr_pages;
}

/*
 * The request is over.  Shares that guest_memfd does not know of are taken back,
 * whoever asked for them: nothing is left for a later conversion to rest on.  Returns
 * how many pages from the front on are as the guest asked, for guest_memfd.
 */
static u64 settle(const struct piece *piece, bool to_private)
{
	u64 good = piece->nr_pages;

	for (u64 i = 0; i < piece->nr_pages; i++) {
		unsigned int attrs = piece_attrs(piece, i);

		if (attrs & GMEM_ATTR_PRIVATE)
			el2_guest_relinquish_host(piece->file, piece->start + i);
		if (attrs != (to_private ? GMEM_ATTR_PRIVATE : 0))
			good = min(good, i);
	}
	return good;
}

/*
 * End the vCPU's request, for which it exited to the VMM, and tell the guest, unless
 * the vCPU is reset: then nobody waits for an answer.  What EL1 says was done EL2
 * checks.  Returns what the guest gets.
 */
static s64 end_request(struct emu_vcpu *vcpu, bool answered, bool declined)
{
	struct pkvm_vcpu *pkvm = vcpu->platform_data;
	u64 nr_pages = pkvm->nr_pages, done = 0;
	struct piece piece;

	gmem_request_end(&vcpu->request);
	if (!nr_pages)
		return 0;
	piece = lock_piece(vcpu->vm, pkvm->gfn, nr_pages);
	/* A file that is gone has nothing to agree with. */
	if (piece.file) {
		/* Destroyed when the guest asked, and maybe converted since. */
		if (answered)
			give_pages(&pkvm->call, &piece);
		done = settle(&piece, pkvm->to_private);
	}
	/* Also beside an error, where it tells how far the VMM got. */
	vcpu->pages_done = el2_call_end(&pkvm->call, answered ? done : 0);
	unlock_piece(vcpu->vm, &piece);
	pkvm->nr_pages = 0;

	return vcpu->pages_done && !(declined && done < nr_pages) ? 0 : -EINVAL;
}

static void pkvm_vcpu_reset(struct emu_vcpu *vcpu)
{
	end_request(vcpu, false, true);
}

/* One call, which may stop early. */
static s64 pkvm_guest_convert(struct emu_vcpu *vcpu, u64 gfn, u64 nr_pages,
			      bool to_private)
{
	struct pkvm_vcpu *pkvm = vcpu->platform_data;
	struct piece piece;
	s64 nr;

	vcpu->pages_done = 0;
	piece = lock_piece(vcpu->vm, gfn, min(nr_pages, EL2_CALL_PAGES));
	nr = begin_call(vcpu, &piece, to_private);
	unlock_piece(vcpu->vm, &piece);
	if (nr < 0)
		return nr;
	/* Ordinary memory: nobody is asked, and it is the VMM's in this model. */
	if (!nr) {
		vcpu->pages_done = piece.nr_pages;
		return 0;
	}

	pkvm->gfn = gfn;
	pkvm->nr_pages = (u64)nr;
	pkvm->to_private = to_private;
	WARN_ON_ONCE(gmem_request_post(&vcpu->request, gfn, (u64)nr, to_private));
	return end_request(vcpu, true, emu_vcpu_exit_hypercall(vcpu, gfn, (u64)nr,
							       to_private));
}

/* ---- conversions ---- */

/* The conversion's first gfn, if it lies in one slot, as each request does. */
static bool in_one_slot(const struct emu_conversion *ec, u64 *gfn)
{
	u64 start = ec->conv.start, end = start + ec->conv.nr_pages, first;

	return emu_next_binding(ec->file, start, end, &first, gfn) == end && first == start;
}

static int pkvm_authorise(struct emu_conversion *ec)
{
	struct gmem_conversion *conv = &ec->conv;
	struct emu_vm *vm = ec->file->vm;
	const struct pkvm_vm *pkvm = vm->platform_data;
	u64 gfn;

	/* There is no guest to ask: the VMM loads its first program. */
	if (!is_created(vm))
		return 0;
	if (in_one_slot(ec, &gfn)) {
		u32 nr = smp_load_acquire(&vm->nr_vcpus);

		for (u32 i = 0; i < nr; i++)
			gmem_conversion_offer(conv, &vm->vcpus[i]->request, gfn);
		if (conv->request)
			return 0;
	}
	if (READ_ONCE(pkvm->reclaim) &&
	    (conv->policy == SET_MEMORY_ATTRIBUTES_CONTENT_ZERO ||
	     conv->policy == SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY)) {
		ec->forced = true;
		return 0;
	}
	return -EPERM;
}

/*
 * What the guest lost by force it does not get back.  And EL2 must have let the
 * host in: the guest asked, but its share may have been taken back since, with
 * another request for the same page.
 */
static int pkvm_check(struct emu_conversion *ec, u64 start, u64 end,
		      unsigned int attrs, u64 *error_index)
{
	const struct gmem_conversion *conv = &ec->conv;
	struct emu_file *file = ec->file;

	(void)attrs;
	if (conv->policy == SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY)
		return 0;
	for (u64 index = el2_next_touched(file, start, end); index < end;
	     index = el2_next_touched(file, index + 1, end)) {
		enum el2_page_state state = el2_guest_state(file, index);

		*error_index = index;
		if (state == EL2_POISON)
			return -EHWPOISON;
		if (state == EL2_PAGE_OWNED && !conv->to_private && !ec->forced)
			return -EPERM;
	}
	return 0;
}

/*
 * The guest keeps its stage-2 mapping, so that owed zeros could be read by nobody
 * but the guest in time: clear at once, while EL2 lets the host write the page.
 */
static bool pkvm_content(struct emu_conversion *ec, u64 start, u64 end,
			 unsigned int attrs, u32 content)
{
	bool allowed;
	u64 next;

	(void)attrs;
	if (content != SET_MEMORY_ATTRIBUTES_CONTENT_ZERO || ec->forced)
		return false;
	for (; start < end; start = next) {
		next = el2_host_run(ec->file, start, end, &allowed);
		if (allowed)
			emu_file_drop(ec->file, start, next);
	}
	return true;
}

static int pkvm_convert(struct emu_conversion *ec, u64 start, u64 end,
			unsigned int attrs)
{
	const struct gmem_conversion *conv = &ec->conv;

	(void)attrs;
	if (!conv->to_private || conv->policy == SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY)
		return 0;
	for (u64 index = el2_next_touched(ec->file, start, end); index < end;
	     index = el2_next_touched(ec->file, index + 1, end))
		el2_guest_relinquish_host(ec->file, index);
	return 0;
}

const struct emu_platform_ops emu_platform_pkvm = {
	.name = "pkvm",
	.platform = GMEM_VM_PKVM,
	.policies = GMEM_PLATFORM_PKVM,
	.private_memory = true,
	.page_bytes = EL2_PAGE_BYTES,
	.vm_create = pkvm_vm_create,
	.vm_destroy = pkvm_vm_destroy,
	.vm_set_property = pkvm_vm_set_property,
	.file_create = el2_file_create,
	.file_destroy = el2_file_destroy,
	.slot_set = pkvm_slot_set,
	.slot_may_go = pkvm_slot_may_go,
	.vcpu_create = pkvm_vcpu_create,
	.vcpu_destroy = pkvm_vcpu_destroy,
	.vcpu_enter = pkvm_vcpu_enter,
	.vcpu_may_reset = pkvm_vcpu_may_reset,
	.vcpu_reset = pkvm_vcpu_reset,
	.guest_boot = pkvm_guest_boot,
	.guest_powers_vcpus = true,
	.host_run = el2_host_run,
	.guest_access = pkvm_guest_access,
	.guest_convert = pkvm_guest_convert,
	.authorise = pkvm_authorise,
	.check = pkvm_check,
	.content = pkvm_content,
	.convert = pkvm_convert,
	.free = el2_host_reclaim_guest,
};
