// SPDX-License-Identifier: GPL-2.0-only
/*
 * guest_memfd files that convert in place, under arm64's VMs.
 *
 * A protected VM decides itself what it shares.  EL2 keeps who owns which page and
 * has the last word; this file is what EL1 adds to it, so that guest_memfd, EL2 and
 * the VMM end up with one opinion:
 *
 *   MEM_SHARE	 EL2 has shared what the guest has of it.  What it never had is given
 *		 to it, shared; then the vCPU posts its request and the VMM is told.
 *   MEM_UNSHARE EL2 has done nothing yet; the same otherwise.
 *   conversion	 has to match a posted request.  Towards private EL2 takes the page
 *		 from the host as the last step.
 *   re-entry	 The request ends.  Shares that guest_memfd does not know of are taken
 *		 back, and the guest is told how much of what it asked for is so, as
 *		 far as EL2 agrees.
 *
 * A call may stop early, and the guest goes on with another: each request lies in
 * one slot, and is small.
 *
 * A page is given to the guest by its first fault, or by MEM_SHARE, and taken back
 * before the file frees it.  EL2 poisons its place then: what the guest lost by
 * force does not come back.
 *
 * Ordinary memory has no VMM to ask: EL2 does at once what the guest asked for.
 */
#include <kunit/static_stub.h>
#include <linux/kvm_host.h>
#include <linux/kvm_para.h>

#include <asm/kvm_mmu.h>
#include <asm/kvm_pkvm.h>
#include <kvm/arm_hypercalls.h>

#include "gmem_platform.h"
#include "gmem/convert.h"
#include "gmem/policy.h"
#include "gmem/request.h"
#include "guest_memfd_convert.h"
#include "guest_memfd_in_place.h"

static_assert(sizeof(struct gmem_request) == sizeof(u64));

/* All in one place, since conversions look at each of them. */
static struct gmem_request *pkvm_requests(struct kvm *kvm)
{
	return (struct gmem_request *)kvm->arch.pkvm.requests;
}

/* ---- what the VM offers ---- */

/* Memory of a plain VM is private by the file's word alone. */
static enum gmem_platform kvm_arm_gmem_platform(struct kvm *kvm)
{
	return kvm_vm_is_protected(kvm) ? GMEM_PLATFORM_PKVM : GMEM_PLATFORM_SW;
}

u32 kvm_gmem_arch_content_policies(struct kvm *kvm)
{
	return gmem_policy_caps(kvm_arm_gmem_platform(kvm));
}

int kvm_gmem_arch_content_policy_supported(struct kvm *kvm,
		enum set_memory_attributes_content_policy policy,
		gfn_t gfn, u64 nr_pages, bool to_private)
{
	KUNIT_STATIC_STUB_REDIRECT(kvm_gmem_arch_content_policy_supported, kvm, policy,
				   gfn, nr_pages, to_private);

	return gmem_policy_check(kvm_arm_gmem_platform(kvm), policy, to_private);
}

int pkvm_enable_destructive_reclaim(struct kvm *kvm, const struct kvm_enable_cap *cap)
{
	guard(mutex)(&kvm->slots_lock);

	if (!kvm_vm_is_protected(kvm) || cap->flags ||
	    cap->args[0] & ~(u64)KVM_GMEM_DESTRUCTIVE_RECLAIM ||
	    cap->args[1] || cap->args[2] || cap->args[3])
		return -EINVAL;

	if (pkvm_hyp_vm_is_created(kvm))
		return -EBUSY;

	kvm->arch.pkvm.destructive_reclaim = cap->args[0];
	return 0;
}

/* ---- the guest starts ---- */

bool pkvm_vm_has_in_place_slot(struct kvm *kvm)
{
	struct kvm_memory_slot *slot;
	int bkt;

	lockdep_assert_held(&kvm->slots_lock);

	if (!kvm_vm_is_protected(kvm))
		return false;

	kvm_for_each_memslot(slot, bkt, kvm_memslots(kvm)) {
		if (kvm_slot_in_place(slot))
			return true;
	}

	return false;
}

/*
 * The vCPU is about to be entered.  If it is the VM's first, all others are powered off,
 * whatever the VMM made of them, and start where the guest says.  A vCPU that is off
 * itself, and only waits, leaves that to another.
 *
 * Whoever holds config_lock, or a vCPU's mp_state_lock, either finds the VM sealed or is
 * done before the vCPU is powered off here, which undoes what it did.
 */
void pkvm_seal_vm(struct kvm_vcpu *vcpu)
{
	struct kvm *kvm = vcpu->kvm;
	struct kvm_vcpu *other;
	unsigned long i;

	guard(mutex)(&kvm->arch.config_lock);

	if (pkvm_vm_is_sealed(kvm))
		return;

	if (kvm_arm_vcpu_stopped(vcpu)) {
		kvm_make_request(KVM_REQ_PKVM_SEAL, vcpu);
		return;
	}

	/* Pairs with pkvm_vm_is_sealed(). */
	smp_store_release(&kvm->arch.pkvm.is_sealed, true);
	kvm_for_each_vcpu(i, other, kvm) {
		if (other != vcpu)
			kvm_arm_vcpu_power_off(other);
	}
}

/* ---- pages ---- */

/*
 * The pages that EL2 has to be asked about: the next in [@gfn, @end) that the guest has
 * from a file, or had, and those after it, as many as one call takes.  Return: their
 * number, 0 if there is none.
 */
static u64 pkvm_next_pages(struct kvm *kvm, gfn_t *gfn, gfn_t end, bool *poisoned)
{
	struct pkvm_mapping *mapping;
	u64 nr_pages = 0;

	read_lock(&kvm->mmu_lock);
	mapping = pkvm_gmem_next_mapping(kvm, *gfn, end);
	if (mapping) {
		*gfn = mapping->gfn;
		*poisoned = mapping->poisoned;
		nr_pages = min(end - *gfn, PKVM_MEM_CALL_MAX_PAGES);
	}
	read_unlock(&kvm->mmu_lock);
	cond_resched();

	return nr_pages;
}

/* How many pages from @gfn on the guest shares, or never had; or -EHWPOISON. */
static long pkvm_shared_pages(struct kvm *kvm, gfn_t gfn, u64 nr_pages)
{
	return kvm_call_hyp_nvhe(__pkvm_guest_shared_pages, kvm->arch.pkvm.handle, gfn,
				 nr_pages);
}

/* Take from the host what the guest shares.  Return: how many pages up to poison. */
static u64 pkvm_unshare_pages(struct kvm *kvm, gfn_t gfn, u64 nr_pages)
{
	long ret = kvm_call_hyp_nvhe(__pkvm_guest_unshare_pages, kvm->arch.pkvm.handle,
				     gfn, nr_pages);

	return WARN_ON_ONCE(ret < 0) ? 0 : ret;
}

/*
 * Give the guest the file's page, for itself or @shared as it asked.  Return: 0;
 * -EEXIST if it has the page; -EAGAIN if it is to be tried again; -EHWPOISON if the
 * memory failed; -EFAULT if there is no page for it, or not any more.
 */
static int pkvm_gmem_fault_in(struct kvm_vcpu *vcpu, struct kvm_memory_slot *slot,
			 gfn_t gfn, bool shared)
{
	struct kvm *kvm = vcpu->kvm;
	unsigned long mmu_seq;
	struct page *page;
	kvm_pfn_t pfn;
	int ret;

	ret = pkvm_topup_memcache(vcpu);
	if (ret)
		return ret;

	mmu_seq = kvm->mmu_invalidate_seq;
	/* Pairs with the smp_wmb() in gmem_invalidate_end(). */
	smp_rmb();

	/* Guests take memory for theirs that they have not shared. */
	if (!shared && !kvm_gmem_gfn_is_private(slot, gfn))
		return -EFAULT;

	ret = kvm_gmem_get_pfn(kvm, slot, gfn, &pfn, &page, NULL);
	if (ret)
		return ret;

	write_lock(&kvm->mmu_lock);
	if (mmu_invalidate_retry_gfn(kvm, mmu_seq, gfn))
		ret = -EAGAIN;
	else
		ret = pkvm_gmem_map(vcpu, gfn, pfn, shared);
	kvm_release_faultin_page(kvm, page, !!ret, true);
	write_unlock(&kvm->mmu_lock);

	return ret;
}

int pkvm_gmem_abort(struct kvm_vcpu *vcpu, struct kvm_memory_slot *slot, gfn_t gfn)
{
	int ret;

	ret = pkvm_gmem_fault_in(vcpu, slot, gfn, false);
	if (!ret || ret == -EAGAIN || ret == -EEXIST)
		return 0;
	if (ret == -ENOMEM)
		return ret;

	kvm_prepare_memory_fault_exit(vcpu, gfn_to_gpa(gfn), PAGE_SIZE,
				      kvm_is_write_fault(vcpu),
				      kvm_vcpu_trap_is_exec_fault(vcpu), true);
	return ret == -EHWPOISON ? ret : -EFAULT;
}

void kvm_arch_gmem_invalidate_range(struct kvm *kvm, struct kvm_gfn_range *range)
{
	if (kvm_vm_is_protected(kvm))
		pkvm_gmem_reclaim(kvm, range->start, range->end, range->may_block);
}

/* ---- the guest's requests ---- */

/* The guest has its answer: how many pages are as it asked. */
static int pkvm_answer(struct kvm_vcpu *vcpu, u64 done, bool is_error)
{
	struct pkvm_mem_request *req = &vcpu->arch.mem_request;

	smccc_set_retval(vcpu, done && !is_error ? SMCCC_RET_SUCCESS :
						   SMCCC_RET_INVALID_PARAMETER,
			 req->is_range ? done : 0, 0, 0);
	req->nr_pages = 0;

	return 1;
}

/* The guest calls once more, as it touches memory once more after a fault: nothing is shared. */
static int pkvm_call_again(struct kvm_vcpu *vcpu, int ret)
{
	*vcpu_pc(vcpu) -= AARCH64_INSN_SIZE;
	vcpu->arch.mem_request.nr_pages = 0;

	return ret;
}

/*
 * Give the guest what it shares before it ever had it: pages of one kind, so that the
 * VMM has a part in all of them or in none, up to one that the guest has, or that was
 * destroyed and has to be converted first.
 *
 * Return: 0; or why not even the first page could be given.
 */
static int pkvm_give_pages(struct kvm_vcpu *vcpu, struct kvm_memory_slot *slot)
{
	struct pkvm_mem_request *req = &vcpu->arch.mem_request;
	bool private = kvm_gmem_gfn_is_private(slot, req->gfn);
	int ret = 0;

	while (req->nr_shared < req->nr_pages) {
		gfn_t gfn = req->gfn + req->nr_shared;

		if (kvm_gmem_gfn_is_private(slot, gfn) != private ||
		    kvm_gmem_gfn_is_destroyed(slot, gfn))
			break;

		ret = pkvm_gmem_fault_in(vcpu, slot, gfn, true);
		cond_resched();
		if (ret == -EAGAIN && !signal_pending(current))
			continue;
		if (ret)
			break;
		req->nr_shared++;
	}

	return req->nr_shared ? 0 : ret;
}

static int pkvm_ask_vmm(struct kvm_vcpu *vcpu)
{
	struct pkvm_mem_request *req = &vcpu->arch.mem_request;
	struct kvm_run *run = vcpu->run;

	WARN_ON_ONCE(gmem_request_post(&pkvm_requests(vcpu->kvm)[vcpu->vcpu_idx],
				       req->gfn, req->nr_pages, req->to_private));

	run->exit_reason = KVM_EXIT_HYPERCALL;
	run->hypercall = (typeof(run->hypercall)) {
		.nr = KVM_HC_MAP_GPA_RANGE,
		.args = {
			gfn_to_gpa(req->gfn),
			req->nr_pages << (PAGE_SHIFT - 12),
			KVM_MAP_GPA_RANGE_PAGE_SZ_4K |
			(req->to_private ? KVM_MAP_GPA_RANGE_ENCRYPTED : 0),
		},
	};

	return 0;
}

/* The VMM is asked for what the guest shares by now, or for what was destroyed. */
static int pkvm_share_in_place(struct kvm_vcpu *vcpu, struct kvm_memory_slot *slot)
{
	struct pkvm_mem_request *req = &vcpu->arch.mem_request;
	u64 nr_destroyed = 0;
	int ret;

	ret = req->nr_shared ? 0 : pkvm_give_pages(vcpu, slot);
	if (ret == -EEXIST || ret == -EAGAIN)
		return pkvm_call_again(vcpu, 1);
	if (ret == -ENOMEM)
		return pkvm_call_again(vcpu, ret);
	if (ret)
		return pkvm_answer(vcpu, 0, true);

	while (!req->nr_shared && nr_destroyed < req->nr_pages &&
	       kvm_gmem_gfn_is_destroyed(slot, req->gfn + nr_destroyed))
		nr_destroyed++;

	req->nr_pages = req->nr_shared ?: nr_destroyed;
	/* The page was converted meanwhile, and can be given now. */
	if (!req->nr_pages)
		return pkvm_call_again(vcpu, 1);

	return pkvm_ask_vmm(vcpu);
}

/* Ordinary memory: nobody to ask, EL2 does as the guest says. */
static int pkvm_share_ordinary(struct kvm_vcpu *vcpu, struct kvm_memory_slot *slot)
{
	struct pkvm_mem_request *req = &vcpu->arch.mem_request;
	int ret = 0;
	u64 i;

	if (req->nr_shared)
		return pkvm_answer(vcpu, req->nr_shared, false);

	/* EL2 shares what the guest has when it calls again. */
	for (i = 0; i < req->nr_pages && !signal_pending(current); i++) {
		ret = pkvm_fault_in_anon(vcpu, slot, req->gfn + i);
		if (ret)
			break;
		cond_resched();
	}

	return pkvm_call_again(vcpu, i || !ret ? 1 : ret);
}

/* Take back what is shared of a slot's pages and the file has for private. */
static void pkvm_take_back(struct kvm *kvm, struct kvm_memory_slot *slot, gfn_t gfn,
			   gfn_t end)
{
	struct file *file = kvm_gmem_hold_conversions(slot);

	for (; gfn < end; gfn++) {
		if (kvm_gmem_gfn_is_private(slot, gfn))
			pkvm_unshare_pages(kvm, gfn, 1);
	}

	kvm_gmem_let_conversions(file);
}

/* EL2 knows no slots: what it shared beyond the first one the guest will ask for again. */
static void pkvm_cut_to_slot(struct kvm_vcpu *vcpu, struct kvm_memory_slot *slot)
{
	struct pkvm_mem_request *req = &vcpu->arch.mem_request;
	gfn_t gfn = slot->base_gfn + slot->npages;
	gfn_t end = req->gfn + req->nr_shared;

	req->nr_pages = min(req->nr_pages, gfn - req->gfn);
	req->nr_shared = min(req->nr_shared, req->nr_pages);

	for (; gfn < end && !req->was_shared; gfn = slot->base_gfn + slot->npages) {
		slot = gfn_to_memslot(vcpu->kvm, gfn);
		if (!slot)
			break;
		if (kvm_slot_in_place(slot))
			pkvm_take_back(vcpu->kvm, slot, gfn,
				       min(end, slot->base_gfn + slot->npages));
	}
}

/*
 * The guest's MEM_SHARE or MEM_UNSHARE, where EL2 does not answer by itself.
 *
 * Context: the exit handler, with the vCPU loaded.
 * Return: 1 to enter the guest, 0 to exit to the VMM; -errno as for a fault.
 */
int pkvm_handle_mem_request(struct kvm_vcpu *vcpu)
{
	struct pkvm_mem_request *req = &vcpu->arch.mem_request;
	struct kvm_memory_slot *slot;

	guard(srcu)(&vcpu->kvm->srcu);

	slot = gfn_to_memslot(vcpu->kvm, req->gfn);
	/* What no slot backs, or a file that is gone, nobody can convert. */
	if (!slot || (kvm_slot_in_place(slot) && READ_ONCE(slot->gmem.attrs->file_gone)))
		return pkvm_answer(vcpu, 0, true);

	pkvm_cut_to_slot(vcpu, slot);

	if (!kvm_slot_in_place(slot))
		return req->to_private ?
		       pkvm_answer(vcpu, pkvm_unshare_pages(vcpu->kvm, req->gfn,
							    req->nr_pages), false) :
		       pkvm_share_ordinary(vcpu, slot);

	return req->to_private ? pkvm_ask_vmm(vcpu) : pkvm_share_in_place(vcpu, slot);
}

/* How many pages are as the guest asked, from the first on, for guest_memfd. */
static u64 pkvm_count_good(struct pkvm_mem_request *req, struct kvm_memory_slot *slot)
{
	u64 good = 0;

	/* A file that is gone has nothing to agree with. */
	while (good < req->nr_pages && !READ_ONCE(slot->gmem.attrs->file_gone) &&
	       kvm_gmem_gfn_is_private(slot, req->gfn + good) == req->to_private &&
	       !kvm_gmem_gfn_is_destroyed(slot, req->gfn + good))
		good++;

	return good;
}

/*
 * The request is over.  A share that guest_memfd does not know of is taken back, whoever
 * asked for it, so that nothing is left for a later conversion to rest on.
 *
 * Return: as pkvm_count_good().
 */
static u64 pkvm_settle(struct kvm_vcpu *vcpu, struct kvm_memory_slot *slot)
{
	struct pkvm_mem_request *req = &vcpu->arch.mem_request;
	struct file *file;
	u64 good;

	if (!req->to_private) {
		good = pkvm_count_good(req, slot);
		if (good < req->nr_pages)
			pkvm_take_back(vcpu->kvm, slot, req->gfn + good,
				       req->gfn + req->nr_pages);
		return good;
	}

	/* Of another vCPU's request for the same pages. */
	file = kvm_gmem_hold_conversions(slot);
	good = pkvm_count_good(req, slot);
	if (good)
		pkvm_unshare_pages(vcpu->kvm, req->gfn, good);
	kvm_gmem_let_conversions(file);

	return good;
}

/*
 * End the request for which the vCPU exited to the VMM.  @is_answered: the guest is
 * told; false if the vCPU is reset, for then nobody waits.  EL2 checks what it is told.
 *
 * Context: no locks; the vCPU is the caller's, and loaded if it gets an answer.
 */
void pkvm_end_mem_request(struct kvm_vcpu *vcpu, bool is_answered)
{
	struct pkvm_mem_request *req = &vcpu->arch.mem_request;
	bool declined = READ_ONCE(vcpu->run->hypercall.ret);
	struct kvm_memory_slot *slot;
	u64 done;

	gmem_request_end(&pkvm_requests(vcpu->kvm)[vcpu->vcpu_idx]);

	guard(srcu)(&vcpu->kvm->srcu);

	/* Slots stay in a VM that has run. */
	slot = gfn_to_memslot(vcpu->kvm, req->gfn);
	if (WARN_ON_ONCE(!slot)) {
		req->nr_pages = 0;
		return;
	}

	/* Destroyed when the guest asked, and maybe converted since. */
	if (is_answered && !req->to_private && !req->nr_shared)
		pkvm_give_pages(vcpu, slot);

	done = pkvm_settle(vcpu, slot);
	if (is_answered)
		pkvm_answer(vcpu, done, declined && done < req->nr_pages);
	else
		req->nr_pages = 0;
}

/* ---- conversions ---- */

bool kvm_arch_gmem_guest_decides(struct kvm *kvm)
{
	return kvm_vm_is_protected(kvm);
}

/*
 * Until it runs there is no guest to ask.  slots_lock keeps the VM from being
 * created at EL2 while the VMM converts freely.
 */
bool kvm_arch_gmem_begin(struct kvm *kvm)
{
	if (!kvm_vm_is_protected(kvm) || pkvm_hyp_vm_is_created(kvm))
		return false;

	mutex_lock(&kvm->slots_lock);
	if (!pkvm_hyp_vm_is_created(kvm))
		return true;

	mutex_unlock(&kvm->slots_lock);
	return false;
}

void kvm_arch_gmem_end(struct kvm *kvm, bool begun)
{
	if (begun)
		mutex_unlock(&kvm->slots_lock);
}

int kvm_arch_gmem_authorise(struct kvm *kvm, gfn_t gfn,
			    struct gmem_conversion *conv)
{
	struct gmem_request *req, *end;

	if (!pkvm_hyp_vm_is_created(kvm))
		return 0;

	req = pkvm_requests(kvm);
	for (end = req + kvm->arch.pkvm.nr_requests; req < end; req++)
		gmem_conversion_offer(conv, req, gfn);

	if (conv->request)
		return 0;

	if (kvm->arch.pkvm.destructive_reclaim &&
	    (conv->policy == SET_MEMORY_ATTRIBUTES_CONTENT_ZERO ||
	     conv->policy == SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY))
		return 1;

	return -EPERM;
}

/*
 * EL2 must have let the host in: the guest asked, but its share may have been taken
 * back since, with another request for the same page.
 */
int kvm_arch_gmem_check(struct kvm *kvm, const struct kvm_gfn_range *range,
			bool to_private, bool by_force, gfn_t *bad)
{
	gfn_t gfn = range->start;
	bool poisoned;
	u64 nr_pages;
	long shared;

	while ((nr_pages = pkvm_next_pages(kvm, &gfn, range->end, &poisoned))) {
		*bad = gfn;
		if (signal_pending(current))
			return -EINTR;
		if (poisoned)
			return -EHWPOISON;
		if (to_private || by_force) {
			gfn++;
			continue;
		}

		shared = pkvm_shared_pages(kvm, gfn, nr_pages);
		if (shared <= 0)
			return shared ?: -EPERM;
		gfn += shared;
	}

	return 0;
}

bool kvm_arch_gmem_clear(struct kvm *kvm, gfn_t gfn, struct page *page)
{
	bool poisoned;

	if (!pkvm_next_pages(kvm, &gfn, gfn + 1, &poisoned) || poisoned)
		return false;

	/* Only EL2 knows whether the host may write. */
	if (pkvm_shared_pages(kvm, gfn, 1) == 1) {
		clear_highpage(page);
		__clean_dcache_guest_page(page_address(page), PAGE_SIZE);
	}

	return true;
}

void kvm_arch_gmem_unshare(struct kvm *kvm, const struct kvm_gfn_range *range)
{
	gfn_t gfn = range->start;
	bool poisoned;
	u64 nr_pages;

	while ((nr_pages = pkvm_next_pages(kvm, &gfn, range->end, &poisoned))) {
		/* The page at which EL2 stops it has poisoned. */
		gfn += poisoned ? 1 : pkvm_unshare_pages(kvm, gfn, nr_pages) ?: 1;
	}
}
