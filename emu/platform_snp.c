// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * snp: AMD SEV-SNP.
 *
 *   AMD64 Architecture Programmer's Manual, volume 2 (24593), 15.36: the reverse
 *   map table (15.36.3), its management by the hypervisor (15.36.5), page
 *   validation (15.36.6), the checks of accesses (15.36.10).  Volume 3 (24594):
 *   PVALIDATE, RMPUPDATE.  SEV Secure Nested Paging Firmware ABI (56860):
 *   SNP_LAUNCH_UPDATE, SNP_LAUNCH_FINISH.  SEV-ES GHCB standardization (56421):
 *   Page State Change, termination requests.
 *
 * Each page has an RMP entry.  As KVM does, the host assigns a private page to the
 * guest when the guest first touches it, and takes it back when it is freed or
 * goes shared; whatever guest_memfd believes, an assigned page is not the host's.
 * What the guest stores in it lies in memory as ciphertext.  Neither RMPUPDATE nor
 * PVALIDATE clears anything: a guest that reads a fresh private page reads what
 * its key makes of the bytes that lie there.
 *
 * The guest names the kind of its accesses (guest_view.h).  Sharing, it takes the
 * validation back, then asks for the page state change; unsharing, it asks, then
 * validates.  A page that was never validated raises #VC; the guest validates
 * memory about which it has no opinion, but ends itself when it loses memory that
 * it had validated as its own.
 *
 * No locks of its own: entries change by compare-and-exchange inside accesses, and
 * are cleared under the file's lock.
 */
#include <stdlib.h>

#include <gmem/emu.h>

#include "emu.h"
#include "guest_view.h"
#include "memory_crypt.h"
#include "page_entry.h"
#include "platform_snp.h"

/* kvm_run.system_event of a guest that ends itself: type, ndata, data[0]. */
#define SYSTEM_EVENT_SEV_TERM	6ull
/* GHCB MSR protocol: termination request, reason set 1 (Linux), PVALIDATE. */
#define GHCB_TERM_PVALIDATE	(0x100ull | 1ull << 12 | 2ull << 16)

struct snp_vm {
	struct emu_crypt crypt;
	struct emu_guest_view view;
	u32 asid;
	u32 launched;		/* SNP_LAUNCH_FINISH took place */
	u32 encrypted;		/* ENCRYPTED is offered towards shared */
};

static u32 last_asid;

static struct snp_vm *to_snp(const struct emu_vm *vm)
{
	return vm->platform_data;
}

static int snp_vm_create(struct emu_vm *vm)
{
	struct snp_vm *snp;
	int ret;

	snp = emu_fail_now() ? NULL : aligned_alloc(__alignof__(*snp), sizeof(*snp));
	if (!snp)
		return -ENOMEM;
	ret = emu_crypt_init(&snp->crypt);
	if (ret) {
		free(snp);
		return ret;
	}
	emu_guest_view_init(&snp->view);
	snp->asid = 1 + __atomic_fetch_add(&last_asid, 1, __ATOMIC_RELAXED) %
		    SNP_MAX_ASID;
	snp->launched = 0;
	snp->encrypted = 0;
	vm->platform_data = snp;
	return 0;
}

static void snp_vm_destroy(struct emu_vm *vm)
{
	struct snp_vm *snp = to_snp(vm);

	emu_guest_view_destroy(&snp->view);
	emu_crypt_destroy(&snp->crypt);
	free(snp);
}

static int snp_vm_set_property(struct emu_vm *vm, u32 property, u64 value)
{
	struct snp_vm *snp = to_snp(vm);

	if (property != GMEM_EMU_ENCRYPTED)
		return -EOPNOTSUPP;
	if (value > 1)
		return -EINVAL;
	if (smp_load_acquire(&snp->launched))
		return -EBUSY;
	WRITE_ONCE(snp->encrypted, (u32)value);
	return 0;
}

/* The first run seals the launch. */
static int snp_vcpu_enter(struct emu_vcpu *vcpu)
{
	emu_first_run(vcpu->vm, &to_snp(vcpu->vm)->launched);
	return 0;
}

/* ---- the reverse map table ---- */

u64 emu_snp_rmp_read(struct emu_file *file, u64 index)
{
	return emu_page_entry(file, index);
}

static u64 rmp_assigned(const struct snp_vm *snp, u64 gfn)
{
	return SNP_RMP_ASSIGNED | (gfn << EMU_PAGE_SHIFT & SNP_RMP_GPA) |
	       (u64)snp->asid << SNP_RMP_ASID_SHIFT;
}

/*
 * The host's answer to a nested page fault: RMPUPDATE.  The entry as it is then;
 * assigned to other guests or addresses it stays what it is.
 */
static u64 rmp_assign(struct emu_vm *vm, const struct emu_access *access)
{
	u64 entry = emu_page_entry(access->file, access->index);
	u64 new;

	if (entry)
		return entry;
	new = rmp_assigned(to_snp(vm), access->gpa >> EMU_PAGE_SHIFT);
	entry = emu_page_entry_change(access->file, access->index, 0, new);
	return entry ? entry : new;
}

/* Does the hardware let this guest use the page, at this address, as private. */
static bool rmp_matches(struct emu_vm *vm, const struct emu_access *access, u64 entry)
{
	return (entry & ~SNP_RMP_VALIDATED) ==
	       rmp_assigned(to_snp(vm), access->gpa >> EMU_PAGE_SHIFT);
}

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

/* ---- PVALIDATE ---- */

static enum emu_access_result pvalidate(struct emu_vcpu *vcpu,
					struct emu_access *access)
{
	u64 entry;

	if (!is_private(access))
		return fault_as_private(access);
	entry = rmp_assign(vcpu->vm, access);
	if (!rmp_matches(vcpu->vm, access, entry))
		return fault_as_private(access);
	access->value = SNP_PVALIDATE_NO_CHANGE;
	if (!(entry & SNP_RMP_VALIDATED) &&
	    emu_page_entry_change(access->file, access->index, entry,
				  entry | SNP_RMP_VALIDATED) == entry)
		access->value = SNP_PVALIDATE_DONE;
	return EMU_ACCESS_DONE;
}

/* To take back what was never given changes nothing, and faults nothing in. */
static enum emu_access_result rescind(struct emu_vcpu *vcpu,
				      struct emu_access *access)
{
	u64 entry = emu_page_entry(access->file, access->index);

	access->value = SNP_PVALIDATE_NO_CHANGE;
	if (entry & SNP_RMP_VALIDATED && rmp_matches(vcpu->vm, access, entry) &&
	    emu_page_entry_change(access->file, access->index, entry,
				  entry & ~SNP_RMP_VALIDATED) == entry)
		access->value = SNP_PVALIDATE_DONE;
	return EMU_ACCESS_DONE;
}

/* Sharing failed: what is the guest's still is validated again. */
static enum emu_access_result restore(struct emu_vcpu *vcpu,
				      struct emu_access *access)
{
	u64 entry = emu_page_entry(access->file, access->index);

	return is_private(access) && rmp_matches(vcpu->vm, access, entry) ?
	       pvalidate(vcpu, access) : EMU_ACCESS_DONE;
}

unsigned int emu_snp_pvalidate(struct emu_vcpu *vcpu, u64 gfn, bool validate)
{
	return (unsigned int)emu_vcpu_instruction(vcpu, gfn, SNP_PVALIDATE_DONE,
						  validate ? pvalidate : rescind);
}

/* ---- the guest ---- */

static enum emu_access_result terminate(struct emu_vcpu *vcpu)
{
	vcpu->exit = (struct gmem_exit){
		.reason = KVM_EXIT_SYSTEM_EVENT,
		.raw = { SYSTEM_EVENT_SEV_TERM | 1ull << 32, GHCB_TERM_PVALIDATE },
	};
	return EMU_ACCESS_EXIT;
}

static enum emu_access_result access_private(struct emu_vcpu *vcpu,
					     struct emu_access *access, bool asked)
{
	struct snp_vm *snp = to_snp(vcpu->vm);
	u64 entry = rmp_assign(vcpu->vm, access);

	if (!rmp_matches(vcpu->vm, access, entry))
		return fault_as_private(access);
	if (unlikely(!(entry & SNP_RMP_VALIDATED))) {
		/* #VC, page not validated. */
		if (asked)
			return terminate(vcpu);
		emu_page_entry_change(access->file, access->index, entry,
				      entry | SNP_RMP_VALIDATED);
	}
	emu_crypt_access(&snp->crypt,
			 emu_page_address(access->file, access->index) +
			 access->gpa % PAGE_SIZE, access);
	return EMU_ACCESS_DONE;
}

static enum emu_access_result snp_guest_access(struct emu_vcpu *vcpu,
					       struct emu_access *access)
{
	return emu_guest_view_access(&to_snp(vcpu->vm)->view, vcpu, access,
				     access_private);
}

static unsigned int validate(struct emu_vcpu *vcpu, u64 gfn)
{
	return emu_snp_pvalidate(vcpu, gfn, true);
}

static s64 snp_guest_convert(struct emu_vcpu *vcpu, u64 gfn, u64 nr_pages,
			     bool to_private)
{
	struct emu_guest_view *view = &to_snp(vcpu->vm)->view;
	s64 ret;

	if (gfn >= GMEM_ATTR_MAP_MAX_PAGES ||
	    nr_pages > GMEM_ATTR_MAP_MAX_PAGES - gfn)
		return -EINVAL;
	if (!to_private) {
		for (u64 i = 0; i < nr_pages; i++)
			emu_snp_pvalidate(vcpu, gfn + i, false);
	}
	ret = emu_vcpu_exit_hypercall(vcpu, gfn, nr_pages, to_private);
	if (ret) {
		for (u64 i = 0; i < nr_pages && !to_private; i++)
			emu_vcpu_instruction(vcpu, gfn + i, 0, restore);
		return ret;
	}
	if (to_private)
		ret = emu_guest_view_take(view, vcpu, gfn, nr_pages, validate,
					  SNP_PVALIDATE_NO_CHANGE);
	return ret ? ret : emu_guest_view_set(view, gfn, nr_pages, to_private);
}

/* ---- conversions ---- */

static bool offers_encrypted(struct emu_vm *vm)
{
	return READ_ONCE(to_snp(vm)->encrypted);
}

static u32 snp_policy_caps(struct emu_vm *vm)
{
	u32 caps = gmem_policy_caps(GMEM_PLATFORM_SNP);

	if (offers_encrypted(vm))
		caps |= 1u << SET_MEMORY_ATTRIBUTES_CONTENT_ENCRYPTED <<
			KVM_GMEM_POLICY_TO_SHARED_SHIFT;
	return caps;
}

static int snp_policy_supported(struct emu_vm *vm, u32 policy, u64 gfn, u64 nr_pages,
				bool to_private)
{
	(void)gfn;
	(void)nr_pages;
	if (policy == SET_MEMORY_ATTRIBUTES_CONTENT_ENCRYPTED && !to_private &&
	    offers_encrypted(vm))
		return 0;
	return gmem_policy_check(GMEM_PLATFORM_SNP, policy, to_private);
}

/* RMPUPDATE: the hypervisor's again.  What lies there stays ciphertext. */
static void snp_free(struct emu_file *file, u64 start, u64 end)
{
	emu_page_entries_clear(file, start, end);
}

/* ENCRYPTED frees nothing; for the others this was done with the memory. */
static int snp_convert(struct emu_conversion *ec, u64 start, u64 end,
		       unsigned int attrs)
{
	(void)attrs;
	if (!ec->conv.to_private)
		emu_page_entries_clear(ec->file, start, end);
	return 0;
}

/* SNP_LAUNCH_UPDATE: assigned, encrypted in place, measured, validated. */
static int snp_load(struct emu_file *file, u64 index, u64 gfn, const void *data)
{
	struct snp_vm *snp = to_snp(file->vm);
	u64 old = emu_page_entry(file, index);
	u64 new = rmp_assigned(snp, gfn) | SNP_RMP_VALIDATED;

	if (smp_load_acquire(&snp->launched))
		return -EBUSY;
	if (old && old != new)
		return -EEXIST;
	emu_page_entry_change(file, index, old, new);
	emu_crypt_page(&snp->crypt, emu_page_address(file, index),
		       file->memory + (index << EMU_PAGE_SHIFT), data);
	return 0;
}

const struct emu_platform_ops emu_platform_snp = {
	.name = "snp",
	.platform = GMEM_VM_SNP,
	.policies = GMEM_PLATFORM_SNP,
	.private_memory = true,
	.page_bytes = EMU_PAGE_ENTRY_BYTES,
	.vm_create = snp_vm_create,
	.vm_destroy = snp_vm_destroy,
	.vm_set_property = snp_vm_set_property,
	.file_create = emu_page_entries_create,
	.file_destroy = emu_page_entries_destroy,
	.vcpu_enter = snp_vcpu_enter,
	.host_run = emu_page_entries_host_run,
	.guest_access = snp_guest_access,
	.guest_convert = snp_guest_convert,
	.policy_caps = snp_policy_caps,
	.policy_supported = snp_policy_supported,
	.convert = snp_convert,
	.load = snp_load,
	.free = snp_free,
};
