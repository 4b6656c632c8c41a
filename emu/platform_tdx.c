// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * tdx: Intel TDX.
 *
 *   Intel TDX Module Base Architecture Specification (348549), "TD Private Memory
 *   Management": secure EPT, its entries' states, adding, accepting and removing
 *   pages.  ABI Reference Specification (348551): TDH.MEM.PAGE.ADD and .AUG,
 *   TDH.MEM.RANGE.BLOCK, TDH.MEM.TRACK, TDH.MEM.PAGE.REMOVE, TDH.MR.FINALIZE,
 *   TDG.MEM.PAGE.ACCEPT.  Guest-Host-Communication Interface (348552):
 *   TDG.VP.VMCALL<MapGPA>, <ReportFatalError>.
 *
 * Each page has a secure EPT entry.  As KVM does, the host adds a private page
 * when the guest first touches it (AUG: pending), the guest accepts it, which
 * fills it with zeros under the TD's key, and a conversion towards shared removes
 * it (block, track, remove).  What the guest stores lies in memory as ciphertext.
 * Hardware would let a host that touches a TD's page read nothing of use, and blow
 * up at the TD's next read; KVM does not map it, and the model raises SIGBUS.
 *
 * The guest names the kind of its accesses by the shared bit (guest_view.h).
 * Sharing, it asks (MapGPA); unsharing, it asks, then accepts.  A pending page
 * raises #VE; the guest accepts memory about which it has no opinion, but ends
 * itself when it loses memory that it had accepted as its own.
 *
 * No locks of its own: entries change by compare-and-exchange inside accesses, and
 * are removed under the file's lock.
 */
#include <stdlib.h>

#include <gmem/gmem.h>

#include "emu.h"
#include "guest_view.h"
#include "memory_crypt.h"
#include "page_entry.h"
#include "platform_tdx.h"

/* kvm_run.system_event of a guest that reports a fatal error: type, ndata. */
#define SYSTEM_EVENT_TDX_FATAL	7ull

struct tdx_vm {
	struct emu_crypt crypt;
	struct emu_guest_view view;
	u32 finalized;		/* TDH.MR.FINALIZE took place */
	u64 epoch;		/* of TLB tracking */
};

static struct tdx_vm *to_tdx(const struct emu_vm *vm)
{
	return vm->platform_data;
}

static int tdx_vm_create(struct emu_vm *vm)
{
	struct tdx_vm *tdx;
	int ret;

	tdx = emu_fail_now() ? NULL : aligned_alloc(__alignof__(*tdx), sizeof(*tdx));
	if (!tdx)
		return -ENOMEM;
	ret = emu_crypt_init(&tdx->crypt);
	if (ret) {
		free(tdx);
		return ret;
	}
	emu_guest_view_init(&tdx->view);
	tdx->finalized = 0;
	tdx->epoch = 0;
	vm->platform_data = tdx;
	return 0;
}

static void tdx_vm_destroy(struct emu_vm *vm)
{
	struct tdx_vm *tdx = to_tdx(vm);

	emu_guest_view_destroy(&tdx->view);
	emu_crypt_destroy(&tdx->crypt);
	free(tdx);
}

/* The first run seals the launch. */
static int tdx_vcpu_enter(struct emu_vcpu *vcpu)
{
	emu_first_run(vcpu->vm, &to_tdx(vcpu->vm)->finalized);
	return 0;
}

/* ---- the secure EPT ---- */

u64 emu_tdx_sept_read(struct emu_file *file, u64 index)
{
	return emu_page_entry(file, index);
}

u64 emu_tdx_epoch(struct emu_file *file)
{
	return READ_ONCE(to_tdx(file->vm)->epoch);
}

static u64 sept_entry(u64 gfn, enum tdx_sept_state state)
{
	return (gfn << EMU_PAGE_SHIFT & TDX_SEPT_GPA) | state;
}

/*
 * The host's answer to an EPT violation of a private access: TDH.MEM.PAGE.AUG.
 * The entry as it is then.
 */
static u64 sept_augment(const struct emu_access *access)
{
	u64 entry = emu_page_entry(access->file, access->index);
	u64 new;

	if (entry)
		return entry;
	new = sept_entry(access->gpa >> EMU_PAGE_SHIFT, TDX_SEPT_PENDING);
	entry = emu_page_entry_change(access->file, access->index, 0, new);
	return entry ? entry : new;
}

static bool sept_matches(const struct emu_access *access, u64 entry)
{
	return (entry & ~TDX_SEPT_STATE) ==
	       sept_entry(access->gpa >> EMU_PAGE_SHIFT, TDX_SEPT_FREE);
}

/* Nobody uses what is on the way out: blocked entries translate nothing. */
static void sept_block(struct emu_file *file, u64 start, u64 end)
{
	u64 index, entry;

	for (index = emu_page_entries_first(file, start, end); index < end;
	     index = emu_page_entries_first(file, index + 1, end)) {
		entry = emu_page_entry(file, index);
		emu_page_entry_change(file, index, entry,
				      (entry & ~TDX_SEPT_STATE) | TDX_SEPT_BLOCKED);
	}
}

/* Block, track, remove; the caller has kicked every vCPU out of the range. */
static void sept_remove(struct emu_file *file, u64 start, u64 end)
{
	start = emu_page_entries_first(file, start, end);
	if (start == end)
		return;
	sept_block(file, start, end);
	__atomic_fetch_add(&to_tdx(file->vm)->epoch, 1, __ATOMIC_RELAXED);
	emu_page_entries_clear(file, start, end);
}

/* ---- TDG.MEM.PAGE.ACCEPT ---- */

static bool is_private(const struct emu_access *access)
{
	return (access->attrs & (GMEM_ATTR_PRIVATE | GMEM_ATTR_DESTROYED)) ==
	       GMEM_ATTR_PRIVATE;
}

static enum emu_access_result fault_as_private(struct emu_access *access)
{
	access->fault_private = true;
	return EMU_ACCESS_FAULT;
}

static u64 page_address(const struct emu_access *access)
{
	return emu_page_address(access->file, access->index);
}

/* The module holds the entry while it fills the page; others find it busy. */
static bool accept_pending(struct emu_vcpu *vcpu, const struct emu_access *access,
			   u64 entry)
{
	u64 gpa = entry & ~TDX_SEPT_STATE;

	if (emu_page_entry_change(access->file, access->index, entry,
				  gpa | TDX_SEPT_ACCEPTING) != entry)
		return false;
	emu_crypt_page(&to_tdx(vcpu->vm)->crypt, page_address(access),
		       access->file->memory + (access->index << EMU_PAGE_SHIFT), NULL);
	emu_page_entry_change(access->file, access->index, gpa | TDX_SEPT_ACCEPTING,
			      gpa | TDX_SEPT_MAPPED);
	return true;
}

static enum emu_access_result page_accept(struct emu_vcpu *vcpu,
					  struct emu_access *access)
{
	u64 entry;

	if (!is_private(access))
		return fault_as_private(access);
	for (;;) {
		entry = sept_augment(access);
		if (!sept_matches(access, entry))
			return fault_as_private(access);
		switch (entry & TDX_SEPT_STATE) {
		case TDX_SEPT_PENDING:
			if (accept_pending(vcpu, access, entry)) {
				access->value = TDX_SUCCESS;
				return EMU_ACCESS_DONE;
			}
			break;
		case TDX_SEPT_MAPPED:
			access->value = TDX_PAGE_ALREADY_ACCEPTED;
			return EMU_ACCESS_DONE;
		case TDX_SEPT_BLOCKED:
			/* A conversion began since, and is taking the page. */
			return EMU_ACCESS_BUSY;
		}
		gmem_relax();
	}
}

unsigned int emu_tdx_accept(struct emu_vcpu *vcpu, u64 gfn)
{
	return (unsigned int)emu_vcpu_instruction(vcpu, gfn, TDX_SUCCESS, page_accept);
}

/* ---- the guest ---- */

static enum emu_access_result report_fatal_error(struct emu_vcpu *vcpu)
{
	vcpu->exit = (struct gmem_exit){
		.reason = KVM_EXIT_SYSTEM_EVENT, .raw = { SYSTEM_EVENT_TDX_FATAL },
	};
	return EMU_ACCESS_EXIT;
}

static enum emu_access_result access_private(struct emu_vcpu *vcpu,
					     struct emu_access *access, bool asked)
{
	u64 entry = sept_augment(access), value = access->value;
	enum emu_access_result result;

	if (!sept_matches(access, entry))
		return fault_as_private(access);
	if (unlikely((entry & TDX_SEPT_STATE) != TDX_SEPT_MAPPED)) {
		/* #VE, or the entry is busy because another vCPU accepts. */
		if (asked && (entry & TDX_SEPT_STATE) == TDX_SEPT_PENDING)
			return report_fatal_error(vcpu);
		result = page_accept(vcpu, access);
		if (result != EMU_ACCESS_DONE)
			return result;
		access->value = value;
	}
	emu_crypt_access(&to_tdx(vcpu->vm)->crypt,
			 page_address(access) + access->gpa % PAGE_SIZE, access);
	return EMU_ACCESS_DONE;
}

static enum emu_access_result tdx_guest_access(struct emu_vcpu *vcpu,
					       struct emu_access *access)
{
	return emu_guest_view_access(&to_tdx(vcpu->vm)->view, vcpu, access,
				     access_private);
}

static s64 tdx_guest_convert(struct emu_vcpu *vcpu, u64 gfn, u64 nr_pages,
			     bool to_private)
{
	struct emu_guest_view *view = &to_tdx(vcpu->vm)->view;
	s64 ret;

	if (gfn >= GMEM_ATTR_MAP_MAX_PAGES ||
	    nr_pages > GMEM_ATTR_MAP_MAX_PAGES - gfn)
		return -EINVAL;
	ret = emu_vcpu_exit_hypercall(vcpu, gfn, nr_pages, to_private);
	if (!ret && to_private)
		ret = emu_guest_view_take(view, vcpu, gfn, nr_pages, emu_tdx_accept,
					  TDX_PAGE_ALREADY_ACCEPTED);
	return ret ? ret : emu_guest_view_set(view, gfn, nr_pages, to_private);
}

/* ---- conversions ---- */

static void tdx_unmap_private(struct emu_conversion *ec, u64 start, u64 end)
{
	sept_block(ec->file, start, end);
}

static void tdx_free(struct emu_file *file, u64 start, u64 end)
{
	sept_remove(file, start, end);
}

/* TDH.MEM.PAGE.ADD and TDH.MR.EXTEND: mapped, encrypted in place, measured. */
static int tdx_load(struct emu_file *file, u64 index, u64 gfn, const void *data)
{
	struct tdx_vm *tdx = to_tdx(file->vm);
	u64 old = emu_page_entry(file, index);
	u64 new = sept_entry(gfn, TDX_SEPT_MAPPED);

	if (smp_load_acquire(&tdx->finalized))
		return -EBUSY;
	if (old && old != new)
		return -EEXIST;
	emu_page_entry_change(file, index, old, new);
	emu_crypt_page(&tdx->crypt, emu_page_address(file, index),
		       file->memory + (index << EMU_PAGE_SHIFT), data);
	return 0;
}

const struct emu_platform_ops emu_platform_tdx = {
	.name = "tdx",
	.platform = GMEM_VM_TDX,
	.policies = GMEM_PLATFORM_TDX,
	.private_memory = true,
	.page_bytes = EMU_PAGE_ENTRY_BYTES,
	.vm_create = tdx_vm_create,
	.vm_destroy = tdx_vm_destroy,
	.file_create = emu_page_entries_create,
	.file_destroy = emu_page_entries_destroy,
	.vcpu_enter = tdx_vcpu_enter,
	.host_run = emu_page_entries_host_run,
	.guest_access = tdx_guest_access,
	.guest_convert = tdx_guest_convert,
	.unmap_private = tdx_unmap_private,
	.load = tdx_load,
	.free = tdx_free,
};
