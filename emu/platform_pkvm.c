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
 * Locks: slots_lock > the file's lock, on vCPU threads outside accesses, too.
 * Whatever takes access away from the host runs under the file's lock, and so do
 * the conversions that rely on it.
 */
#include <stdlib.h>

#include <gmem/emu.h>
#include <gmem/gmem.h>
#include "el2.h"

/* EL2 cannot be preempted: pages that one call of it handles at most. */
#define EL2_CALL_PAGES	512ull

struct pkvm_vm {
	u32 created;		/* at EL2, by the first vCPU that runs */
	bool reclaim;		/* GMEM_EMU_DESTRUCTIVE_RECLAIM */
};

/* A part of a request that lies in one file, or in none. */
struct piece {
	struct emu_file *file;
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

static int pkvm_slot_may_go(struct emu_vm *vm, const struct emu_slot *slot)
{
	(void)slot;
	return is_created(vm) ? -EPERM : 0;
}

/* ---- vCPUs ---- */

/* EL2 is told their number once. */
static int pkvm_vcpu_create(struct emu_vcpu *vcpu)
{
	return is_created(vcpu->vm) ? -EBUSY : 0;
}

static int pkvm_vcpu_enter(struct emu_vcpu *vcpu)
{
	struct pkvm_vm *pkvm = vcpu->vm->platform_data;

	emu_first_run(vcpu->vm, &pkvm->created);
	return 0;
}

/*
 * KVM_ARM_VCPU_INIT, KVM_SET_ONE_REG.  Also for vCPUs that have not run: one of
 * those would do to make the guest "ask" for something.
 */
static int pkvm_vcpu_reset(struct emu_vcpu *vcpu)
{
	return is_created(vcpu->vm) ? -EPERM : 0;
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

		if (slot->gpa > gpa) {
			most = min(most, (slot->gpa - gpa) >> EMU_PAGE_SHIFT);
			break;
		}
		if (offset >= slot->bytes)
			continue;
		return (struct piece){
			.file = slot->file && slot->file->in_place ? slot->file : NULL,
			.start = (slot->offset + offset) >> EMU_PAGE_SHIFT,
			.nr_pages = min(most, (slot->bytes - offset) >> EMU_PAGE_SHIFT),
		};
	}
	return (struct piece){ .nr_pages = most };
}

/*
 * Do @fn to all of a request, in pieces that EL2 handles in one call.  It runs
 * under the file's lock; what it returns is added up.
 */
static u64 for_pieces(struct emu_vm *vm, u64 gfn, u64 nr_pages, bool to_private,
		      int *ret,
		      u64 (*fn)(const struct piece *piece, bool to_private, int *ret))
{
	u64 sum = 0;

	for (u64 at = 0, step; at < nr_pages; at += step) {
		struct piece piece;

		pthread_mutex_lock(&vm->slots_lock);
		piece = find_piece(vm, gfn + at, min(nr_pages - at, EL2_CALL_PAGES));
		step = piece.nr_pages;
		if (piece.file)
			pthread_mutex_lock(&piece.file->lock);
		sum += fn(&piece, to_private, ret);
		if (piece.file)
			pthread_mutex_unlock(&piece.file->lock);
		pthread_mutex_unlock(&vm->slots_lock);
	}
	return sum;
}

/*
 * MEM_SHARE at EL2: this is the consent.  A page that the guest never touched is
 * faulted in first, unless its memory was destroyed: that has to be converted.
 */
static int share_page(struct emu_file *file, u64 index)
{
	unsigned int attrs = gmem_attr_map_get(file->map, index);
	bool hidden = el2_host_state(file, index) == EL2_NOPAGE;
	int ret;

	ret = el2_guest_share_host(file, index);
	if (ret == -ENOENT) {
		if (attrs & GMEM_ATTR_DESTROYED)
			return 0;
		ret = el2_host_donate_guest_shared(file, index);
		/* Another vCPU just faulted it in. */
		if (ret == -EPERM)
			ret = el2_guest_share_host(file, index);
	}
	/* Only now what guest_memfd calls shared is. */
	if (!ret && hidden && !attrs)
		emu_views_show(file, index, index + 1, false);
	return ret;
}

/* What no file backs is the VMM's to refuse. */
static u64 share_piece(const struct piece *piece, bool to_private, int *ret)
{
	(void)to_private;
	for (u64 i = 0; piece->file && i < piece->nr_pages && !*ret; i++)
		*ret = share_page(piece->file, piece->start + i);
	return 0;
}

/* Whether a page is as the guest asked, for guest_memfd and for EL2. */
static bool agree(struct emu_file *file, u64 index, bool to_private, int *ret)
{
	unsigned int attrs = gmem_attr_map_get(file->map, index);
	enum el2_page_state state = el2_guest_state(file, index);

	if (to_private ? attrs == GMEM_ATTR_PRIVATE &&
			 (state == EL2_PAGE_OWNED || state == EL2_NOPAGE) :
			 !attrs && state == EL2_PAGE_SHARED_OWNED)
		return true;
	*ret = state == EL2_POISON ? -EHWPOISON : -EPERM;
	return false;
}

/*
 * The request is over.  Shares that guest_memfd does not know of are taken back,
 * whoever asked for them: nothing is left for a later conversion to rest on.  A
 * share that could not be made before its page was converted is made now, as if
 * the guest's call were restarted.  Returns how many pages from the front on are
 * as the guest asked.
 */
static u64 settle_piece(const struct piece *piece, bool to_private, int *ret)
{
	struct emu_file *file = piece->file;
	u64 good = 0;

	if (!file && !*ret)
		*ret = -EPERM;
	for (u64 i = 0; file && i < piece->nr_pages; i++) {
		u64 index = piece->start + i;
		unsigned int attrs = gmem_attr_map_get(file->map, index);

		if (attrs & GMEM_ATTR_PRIVATE)
			el2_guest_relinquish_host(file, index);
		else if (!attrs && !to_private)
			el2_host_donate_guest_shared(file, index);
		if (!*ret && agree(file, index, to_private, ret))
			good++;
	}
	return good;
}

/*
 * EL2 does MEM_SHARE and nothing yet for MEM_UNSHARE; then both are the VMM's, and
 * what it answers matters only if the guest did not get what it asked for.
 */
static s64 pkvm_guest_convert(struct emu_vcpu *vcpu, u64 gfn, u64 nr_pages,
			      bool to_private)
{
	struct emu_vm *vm = vcpu->vm;
	s64 answer = 0;
	int ret = 0;

	vcpu->pages_done = 0;
	if (nr_pages > GMEM_REQUEST_MAX_PAGES ||
	    gfn + nr_pages - 1 > GMEM_REQUEST_MAX_GFN)
		return -EINVAL;

	if (!to_private)
		for_pieces(vm, gfn, nr_pages, to_private, &ret, share_piece);
	if (ret) {
		answer = ret;
	} else {
		WARN_ON_ONCE(gmem_request_post(&vcpu->request, gfn, nr_pages,
					       to_private));
		answer = emu_vcpu_exit_hypercall(vcpu, gfn, nr_pages, to_private);
		gmem_request_end(&vcpu->request);
	}

	ret = 0;
	vcpu->pages_done = for_pieces(vm, gfn, nr_pages, to_private, &ret,
				      settle_piece);
	if (!ret)
		return 0;
	return answer < 0 && answer >= -4095 ? answer : ret;
}

/* ---- conversions ---- */

/* The conversion's gfns, if they follow each other. */
static bool contiguous_gfns(const struct emu_conversion *ec, u64 *gfn)
{
	u64 index = ec->conv.start, end = index + ec->conv.nr_pages;
	u64 first, here, next;

	for (*gfn = 0; index < end; index = next) {
		next = emu_next_binding(ec->file, index, end, &first, &here);
		if (!next || first != index)
			return false;
		if (index == ec->conv.start)
			*gfn = here;
		else if (here != *gfn + (index - ec->conv.start))
			return false;
	}
	return true;
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
	if (contiguous_gfns(ec, &gfn)) {
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
	.slot_may_go = pkvm_slot_may_go,
	.vcpu_create = pkvm_vcpu_create,
	.vcpu_enter = pkvm_vcpu_enter,
	.vcpu_reset = pkvm_vcpu_reset,
	.host_run = el2_host_run,
	.guest_access = pkvm_guest_access,
	.guest_convert = pkvm_guest_convert,
	.authorise = pkvm_authorise,
	.check = pkvm_check,
	.content = pkvm_content,
	.convert = pkvm_convert,
	.free = el2_host_reclaim_guest,
};
