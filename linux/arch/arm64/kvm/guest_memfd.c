// SPDX-License-Identifier: GPL-2.0-only
/*
 * guest_memfd files that convert in place, under arm64's VMs.
 *
 * A protected VM decides itself what it shares.  EL2 keeps who owns which page and
 * has the last word; this file is what EL1 adds to it, so that guest_memfd, EL2 and
 * the VMM end up with one opinion:
 *
 *   MEM_SHARE	 The guest's call comes here.  EL2 shares each page, since the guest
 *		 asks for it (it looks itself); then the vCPU posts its request and
 *		 the VMM is told.
 *   MEM_UNSHARE EL2 does nothing yet; the same otherwise.
 *   conversion	 has to match a posted request.  Towards private EL2 takes the page
 *		 from the host as the last step.
 *   re-entry	 The request ends.  Shares that guest_memfd does not know of are taken
 *		 back, and the guest is told how much of what it asked for is so.
 *
 * A page is given to the guest by its first fault, or by MEM_SHARE, and taken back
 * before the file frees it.  EL2 poisons its place then: what the guest lost by
 * force does not come back.
 *
 * Ordinary memory has no VMM to ask: EL2 does at once what the guest asked for.  In a
 * VM that has nothing else we hear only of calls for several pages.
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

/* Between two of these others get their turn. */
#define PKVM_PAGES_AT_ONCE	512

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

	if (!kvm_vm_is_protected(kvm) ||
	    cap->args[0] & ~(u64)KVM_GMEM_DESTRUCTIVE_RECLAIM)
		return -EINVAL;

	if (pkvm_vm_is_sealed(kvm))
		return -EBUSY;

	kvm->arch.pkvm.destructive_reclaim = cap->args[0];
	return 0;
}

/* ---- pages ---- */

static int pkvm_page_is_shared(struct kvm *kvm, gfn_t gfn)
{
	return kvm_call_hyp_nvhe(__pkvm_guest_page_is_shared,
				 kvm->arch.pkvm.handle, gfn);
}

static int pkvm_unshare_page(struct kvm *kvm, gfn_t gfn)
{
	return kvm_call_hyp_nvhe(__pkvm_guest_unshare_host,
				 kvm->arch.pkvm.handle, gfn);
}

/*
 * Give the guest the file's page, for itself or @shared as it asked.  Return: 0;
 * -EAGAIN if it is to be tried again; -EHWPOISON if the memory failed; -EFAULT if
 * there is no page for it, or not any more.
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
	if (!ret || ret == -EAGAIN)
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

/*
 * MEM_SHARE of one page.  A page that the guest never touched is given to it now,
 * but not one that was destroyed: that has to be converted first.
 *
 * Return: 0; -EINTR or -ENOMEM to go on another time; else why not.
 */
static int pkvm_share_page(struct kvm_vcpu *vcpu, struct kvm_memory_slot *slot,
			   gfn_t gfn)
{
	int ret, err = 0;

	for (;;) {
		ret = kvm_call_hyp_nvhe(__pkvm_guest_share_host, gfn);
		if (ret == -EPERM && pkvm_page_is_shared(vcpu->kvm, gfn) == 1)
			return 0;
		if (ret != -ENOENT)
			return ret;
		if (err)
			return err;

		if (kvm_slot_in_place(slot)) {
			if (kvm_gmem_gfn_is_destroyed(slot, gfn))
				return 0;
			err = pkvm_gmem_fault_in(vcpu, slot, gfn, true);
		} else {
			err = slot ? pkvm_fault_in_anon(vcpu, slot, gfn) : -EFAULT;
		}

		if (err == -ENOMEM)
			return err;
		if ((!err || err == -EAGAIN) && signal_pending(current))
			return -EINTR;
		/* A failure counts unless another vCPU or a conversion was first. */
		if (err == -EAGAIN ||
		    (kvm_slot_in_place(slot) && kvm_gmem_gfn_is_destroyed(slot, gfn)))
			err = 0;
		cond_resched();
	}
}

/*
 * The request is over: is the page as the guest asked?  A share that guest_memfd
 * does not know of is taken back, whoever asked for it, so that nothing is left for
 * a later conversion to rest on.  Return: 0 if it is; -ENOENT if it has to be given
 * to the guest first; -EHWPOISON or -EPERM.
 *
 * Context: conversions are held, but others may settle the same page.
 */
static int pkvm_settle_page(struct kvm *kvm, struct kvm_memory_slot *slot, gfn_t gfn,
			    bool to_private)
{
	bool private = kvm_gmem_gfn_is_private(slot, gfn);
	bool destroyed = kvm_gmem_gfn_is_destroyed(slot, gfn);
	int shared = pkvm_page_is_shared(kvm, gfn);

	if (shared == 1 && private) {
		pkvm_unshare_page(kvm, gfn);
		shared = pkvm_page_is_shared(kvm, gfn);
	}

	if (shared == -EHWPOISON)
		return shared;
	if (destroyed || private != to_private)
		return -EPERM;
	if (to_private)
		return shared == 1 ? -EPERM : 0;
	if (shared == 1)
		return 0;

	return shared == -ENOENT ? -ENOENT : -EPERM;
}

/*
 * Settle up to @nr_pages of one slot, from where the request stands.  Return: 0;
 * -ENOENT if the next page has to be given to the guest first.
 */
static int pkvm_settle_slot(struct kvm_vcpu *vcpu, struct kvm_memory_slot *slot,
			    u64 nr_pages)
{
	struct pkvm_mem_request *req = &vcpu->arch.mem_request;
	struct file *file = kvm_gmem_hold_conversions(slot);
	int ret = 0;

	for (; nr_pages; nr_pages--, req->next++) {
		ret = pkvm_settle_page(vcpu->kvm, slot, req->next, req->to_private);
		/* A file that is gone has nothing to agree with. */
		if (!file)
			ret = -EPERM;
		if (ret == -ENOENT)
			break;

		if (!req->error)
			req->error = ret;
		req->good += !req->error;
		ret = 0;
	}

	kvm_gmem_let_conversions(file);

	return ret;
}

/* Settle the request.  Return: 0; -EINTR or -ENOMEM to go on there another time. */
static int pkvm_settle(struct kvm_vcpu *vcpu)
{
	struct pkvm_mem_request *req = &vcpu->arch.mem_request;
	gfn_t end = req->gfn + req->nr_pages;
	struct kvm_memory_slot *slot;
	int ret, idx;

	while (req->next < end) {
		idx = srcu_read_lock(&vcpu->kvm->srcu);
		slot = gfn_to_memslot(vcpu->kvm, req->next);
		ret = 0;
		if (kvm_slot_in_place(slot)) {
			gfn_t stop = min3(end, slot->base_gfn + slot->npages,
					  req->next + PKVM_PAGES_AT_ONCE);

			ret = pkvm_settle_slot(vcpu, slot, stop - req->next);
			/* Destroyed when the guest asked, and converted since. */
			if (ret == -ENOENT)
				ret = pkvm_share_page(vcpu, slot, req->next);
			if (ret && ret != -EINTR && ret != -ENOMEM) {
				req->error = req->error ?: ret;
				req->next++;
				ret = 0;
			}
		} else {
			req->error = req->error ?: -EPERM;
			req->next++;
		}
		srcu_read_unlock(&vcpu->kvm->srcu, idx);

		cond_resched();
		if (!ret && req->next < end && signal_pending(current))
			ret = -EINTR;
		if (ret)
			return ret;
	}

	return 0;
}

/* @done goes to guests that know of it: those that gave a number of pages. */
static void pkvm_answer(struct kvm_vcpu *vcpu, long ret, u64 done)
{
	bool is_range = vcpu->arch.mem_request.is_range;

	smccc_set_retval(vcpu, ret, is_range ? done : 0, 0, 0);
}

/* Ordinary memory: nobody to ask, EL2 does as the guest says. */
static int pkvm_ordinary_page(struct kvm_vcpu *vcpu, struct kvm_memory_slot *slot,
			      gfn_t gfn)
{
	struct pkvm_mem_request *req = &vcpu->arch.mem_request;
	int shared;

	/* What no slot backs EL2 does not know; a slot that came since may be a file's. */
	if (!slot || kvm_slot_in_place(slot))
		return -EPERM;

	shared = pkvm_page_is_shared(vcpu->kvm, gfn);
	/* One page must not be so already; of many, those are skipped. */
	if (req->to_private ? !shared || shared == -ENOENT : shared == 1)
		return req->is_range ? 0 : -EPERM;

	return req->to_private ? pkvm_unshare_page(vcpu->kvm, gfn) :
				 pkvm_share_page(vcpu, slot, gfn);
}

/*
 * Do what the step is about to each page.  Of what is to be shared only what a file
 * converts: what no slot or file backs is the VMM's to refuse.
 *
 * Return: 0; -EINTR or -ENOMEM to go on there another time; else why not.
 */
static int pkvm_for_each_page(struct kvm_vcpu *vcpu)
{
	struct pkvm_mem_request *req = &vcpu->arch.mem_request;
	gfn_t end = req->gfn + req->nr_pages;
	struct kvm_memory_slot *slot;
	int ret = 0, idx;

	while (req->next < end) {
		idx = srcu_read_lock(&vcpu->kvm->srcu);
		slot = gfn_to_memslot(vcpu->kvm, req->next);
		if (req->step == PKVM_MEM_ORDINARY)
			ret = pkvm_ordinary_page(vcpu, slot, req->next);
		else if (kvm_slot_in_place(slot))
			ret = pkvm_share_page(vcpu, slot, req->next);
		srcu_read_unlock(&vcpu->kvm->srcu, idx);
		/* Its file is gone. */
		if (ret == -EFAULT && req->step == PKVM_MEM_SHARING)
			ret = 0;
		if (ret)
			return ret;

		if (++req->next % PKVM_PAGES_AT_ONCE)
			continue;
		cond_resched();
		if (req->next < end && signal_pending(current))
			return -EINTR;
	}

	return 0;
}

/*
 * Whether all of the request is memory that no file converts.  What no slot backs is
 * left to a VMM that knows of conversions, and to EL2 to refuse otherwise.
 */
static bool pkvm_is_ordinary(struct kvm_vcpu *vcpu)
{
	struct pkvm_mem_request *req = &vcpu->arch.mem_request;
	gfn_t gfn = req->gfn, end = req->gfn + req->nr_pages;

	if (!READ_ONCE(vcpu->kvm->arch.pkvm.converts))
		return true;

	guard(srcu)(&vcpu->kvm->srcu);

	while (gfn < end) {
		struct kvm_memory_slot *slot = gfn_to_memslot(vcpu->kvm, gfn);

		if (!slot || kvm_slot_in_place(slot))
			return false;
		gfn = slot->base_gfn + slot->npages;
	}

	return true;
}

static void pkvm_begin(struct kvm_vcpu *vcpu, enum pkvm_mem_step step)
{
	struct pkvm_mem_request *req = &vcpu->arch.mem_request;

	req->step = step;
	req->next = req->gfn;
	req->good = 0;
	req->error = 0;
}

static void pkvm_exit_to_vmm(struct kvm_vcpu *vcpu)
{
	struct pkvm_mem_request *req = &vcpu->arch.mem_request;
	struct kvm_run *run = vcpu->run;

	WARN_ON_ONCE(gmem_request_post(&pkvm_requests(vcpu->kvm)[vcpu->vcpu_idx],
				       req->gfn, req->nr_pages, req->to_private));
	req->step = PKVM_MEM_AT_VMM;

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
}

/*
 * Take the step that the request is at.  EL2 takes the guest's consent from the
 * vCPU's last exit, which stays what it is until the guest runs again.
 *
 * Return: 0 if the request came to its next step; -EINTR or -ENOMEM to go on
 * another time.
 */
static int pkvm_take_step(struct kvm_vcpu *vcpu)
{
	struct pkvm_mem_request *req = &vcpu->arch.mem_request;
	int ret;

	switch (req->step) {
	case PKVM_MEM_ORDINARY:
		ret = pkvm_for_each_page(vcpu);
		if (ret == -EINTR || ret == -ENOMEM)
			return ret;
		pkvm_answer(vcpu, ret ? SMCCC_RET_INVALID_PARAMETER :
				  SMCCC_RET_SUCCESS, req->next - req->gfn);
		req->step = PKVM_MEM_NONE;
		return 0;
	case PKVM_MEM_SHARING:
		ret = pkvm_for_each_page(vcpu);
		if (ret == -EINTR || ret == -ENOMEM)
			return ret;
		if (!ret) {
			pkvm_exit_to_vmm(vcpu);
			return 0;
		}
		/* What was shared so far is taken back. */
		req->told = ret == -EHWPOISON ? ret : -EPERM;
		pkvm_begin(vcpu, PKVM_MEM_SETTLING);
		return 0;
	case PKVM_MEM_AT_VMM:
		gmem_request_end(&pkvm_requests(vcpu->kvm)[vcpu->vcpu_idx]);
		req->told = (long)READ_ONCE(vcpu->run->hypercall.ret);
		pkvm_begin(vcpu, PKVM_MEM_SETTLING);
		return 0;
	case PKVM_MEM_SETTLING:
		ret = pkvm_settle(vcpu);
		if (ret)
			return ret;
		/* What the VMM said matters if the guest did not get what it asked for. */
		if (req->error && req->told < 0 && req->told >= -MAX_ERRNO)
			req->error = req->told;
		pkvm_answer(vcpu, req->error, req->good);
		req->step = PKVM_MEM_NONE;
		return 0;
	default:
		return 0;
	}
}

/*
 * Go on with what the vCPU asked for, if anything, until the VMM has to be asked
 * or the guest has its answer.
 *
 * Context: KVM_RUN, with the vCPU loaded.
 * Return: 1 to enter the guest, 0 to exit to the VMM; -EINTR or -ENOMEM if KVM_RUN
 * has to be called again.
 */
int pkvm_continue_mem_request(struct kvm_vcpu *vcpu)
{
	struct pkvm_mem_request *req = &vcpu->arch.mem_request;
	int ret;

	while (req->step != PKVM_MEM_NONE) {
		ret = pkvm_take_step(vcpu);
		if (ret) {
			vcpu->run->exit_reason = ret == -EINTR ? KVM_EXIT_INTR :
								 KVM_EXIT_UNKNOWN;
			return ret;
		}
		if (req->step == PKVM_MEM_AT_VMM)
			return 0;
	}

	return 1;
}

/*
 * A slot is about to convert in place: from now on EL2 leaves the guest's calls to us,
 * and no vCPU is there any more with one that began before.
 *
 * Context: slots_lock is held.
 */
void pkvm_vm_begin_converting(struct kvm *kvm)
{
	if (kvm->arch.pkvm.converts)
		return;

	WRITE_ONCE(kvm->arch.pkvm.converts, true);
	kvm_make_all_cpus_request(kvm, KVM_REQ_OUTSIDE_GUEST_MODE);
}

/*
 * The guest's MEM_SHARE or MEM_UNSHARE, where EL2 does not answer by itself.
 *
 * Context: the exit handler, with the vCPU loaded.
 * Return: as pkvm_continue_mem_request().
 */
int pkvm_handle_mem_request(struct kvm_vcpu *vcpu)
{
	struct pkvm_mem_request *req = &vcpu->arch.mem_request;
	u64 nr_pages = smccc_get_arg2(vcpu) ?: 1;
	gpa_t gpa = smccc_get_arg1(vcpu);

	req->to_private = smccc_get_function(vcpu) ==
			  ARM_SMCCC_VENDOR_HYP_KVM_MEM_UNSHARE_FUNC_ID;
	req->is_range = smccc_get_arg2(vcpu);
	req->nr_pages = nr_pages;
	req->gfn = gpa_to_gfn(gpa);

	if (!PAGE_ALIGNED(gpa) || smccc_get_arg3(vcpu) ||
	    gpa >= kvm_phys_size(&vcpu->kvm->arch.mmu) ||
	    nr_pages > GMEM_REQUEST_MAX_PAGES ||
	    nr_pages > gpa_to_gfn(kvm_phys_size(&vcpu->kvm->arch.mmu)) - req->gfn) {
		pkvm_answer(vcpu, SMCCC_RET_INVALID_PARAMETER, 0);
		return 1;
	}

	if (pkvm_is_ordinary(vcpu)) {
		pkvm_begin(vcpu, PKVM_MEM_ORDINARY);
	} else if (!req->to_private) {
		pkvm_begin(vcpu, PKVM_MEM_SHARING);
	} else {
		pkvm_exit_to_vmm(vcpu);
		return 0;
	}

	return pkvm_continue_mem_request(vcpu);
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
	if (!kvm_vm_is_protected(kvm) || pkvm_vm_is_sealed(kvm))
		return false;

	mutex_lock(&kvm->slots_lock);
	if (!pkvm_vm_is_sealed(kvm))
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

	if (!pkvm_vm_is_sealed(kvm))
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

/* The next page of the range that the guest has or had, from @gfn on. */
static bool pkvm_next_page(struct kvm *kvm, const struct kvm_gfn_range *range, gfn_t *gfn,
		      bool *poisoned)
{
	struct pkvm_mapping *mapping;

	read_lock(&kvm->mmu_lock);
	mapping = pkvm_gmem_next_mapping(kvm, *gfn, range->end);
	if (mapping) {
		*gfn = mapping->gfn;
		*poisoned = mapping->poisoned;
	}
	read_unlock(&kvm->mmu_lock);
	cond_resched();

	return mapping;
}

/*
 * EL2 must have let the host in: the guest asked, but its share may have been taken
 * back since, with another request for the same page.
 */
int kvm_arch_gmem_check(struct kvm *kvm, const struct kvm_gfn_range *range,
			bool to_private, bool by_force, gfn_t *bad)
{
	bool poisoned;
	gfn_t gfn;

	for (gfn = range->start; pkvm_next_page(kvm, range, &gfn, &poisoned); gfn++) {
		int shared = poisoned ? -EHWPOISON : pkvm_page_is_shared(kvm, gfn);

		*bad = gfn;
		if (signal_pending(current))
			return -EINTR;
		if (shared == -EHWPOISON)
			return shared;
		if (!to_private && !by_force && shared != 1)
			return -EPERM;
	}

	return 0;
}

bool kvm_arch_gmem_clear(struct kvm *kvm, gfn_t gfn, struct page *page)
{
	struct kvm_gfn_range range = { .start = gfn, .end = gfn + 1 };
	bool poisoned;

	if (!pkvm_next_page(kvm, &range, &gfn, &poisoned) || poisoned)
		return false;

	/* Only EL2 knows whether the host may write. */
	if (pkvm_page_is_shared(kvm, gfn) == 1) {
		clear_highpage(page);
		__clean_dcache_guest_page(page_address(page), PAGE_SIZE);
	}

	return true;
}

void kvm_arch_gmem_unshare(struct kvm *kvm, const struct kvm_gfn_range *range)
{
	bool poisoned;
	gfn_t gfn;
	int ret;

	for (gfn = range->start; pkvm_next_page(kvm, range, &gfn, &poisoned); gfn++) {
		if (poisoned)
			continue;

		/* What the file says is shared EL2 shares, unless it has poisoned it. */
		ret = pkvm_unshare_page(kvm, gfn);
		WARN_ON_ONCE(ret && ret != -EHWPOISON);
	}
}
