// SPDX-License-Identifier: GPL-2.0-only
/*
 * The conversion engine's surroundings in the kernel: what each step of the
 * transaction in gmem/convert.h means for a guest_memfd.
 *
 * The file's invalidate lock is held exclusively from the first step to the
 * last.  Both fault paths of an in-place file hold it shared, so while a
 * conversion runs no folio of the file appears, and none becomes mapped but by
 * user faults that had returned from ->fault before: those still hold the folio
 * lock, and taking it waits for them.
 *
 * Zapping yields: mmu_lock is taken for each run and dropped inside.  Flushing
 * once, after the last run and without mmu_lock, is safe because the invalidate
 * lock keeps every page of the file where it is until then.
 */
#include <kunit/static_stub.h>
#include <linux/delay.h>
#include <linux/folio_batch.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/ratelimit.h>
#include <linux/sched/signal.h>
#include <linux/swap.h>

#include "gmem_platform.h"
#include "gmem/convert.h"
#include "guest_memfd.h"
#include "guest_memfd_convert.h"
#include "guest_memfd_in_place.h"
#include "kvm_mm.h"

/*
 * How long one request waits, in all, for references that go away by
 * themselves: faults in flight, a per-CPU LRU batch, somebody's get_user_pages()
 * that was not meant to last.
 */
#define GMEM_REFERENCE_WAIT_MS	100

/*
 * A global LRU drain interrupts every CPU, and anybody who may create a VM can
 * ask for one: no more than this often, over all VMs.
 */
static struct ratelimit_state gmem_drain_ratelimit =
	RATELIMIT_STATE_INIT_FLAGS(gmem_drain_ratelimit, HZ / 50, 32,
				   RATELIMIT_MSG_ON_RELEASE);

struct gmem_file_conversion {
	struct gmem_conversion conv;
	struct gmem_file *f;
	struct kvm *kvm;
	struct address_space *mapping;

	/* The first, or GMEM_NO_GFN if they do not follow each other. */
	gfn_t gfn;

	/* The guest decides, and was not asked: its pages go by force. */
	bool guest_decides;
	bool by_force;

	/* vCPUs that fault on the range retry; see gmem_invalidate_start(). */
	bool invalidating;

	/* Something was zapped that is not flushed yet. */
	bool flush;

	/* The VM died of taking private memory from it: it may have kept some. */
	bool died;

	/* From the first to the last page that userspace is to lose, by then. */
	pgoff_t unmap_start;
	pgoff_t unmap_end;

	/* Waiting for references: what was tried, and when to give up. */
	bool drained_local;
	bool drained_all;
	unsigned long give_up;
};

static struct gmem_file_conversion *to_gmem_file_conversion(struct gmem_conversion *conv)
{
	return container_of(conv, struct gmem_file_conversion, conv);
}

/*
 * Find the first part of [@start, @end) that a memslot is bound to, as gfns in
 * @range.  Return the page after it, or 0 if there is none.
 */
static pgoff_t gmem_next_binding(struct gmem_file *f, pgoff_t start, pgoff_t end,
				 struct kvm_gfn_range *range)
{
	struct kvm_memory_slot *slot;
	unsigned long index = start;
	pgoff_t first, last;

	if (start >= end)
		return 0;

	slot = xa_find(&f->bindings, &index, end - 1, XA_PRESENT);
	if (!slot)
		return 0;

	first = max(start, slot->gmem.pgoff);
	last = min(end, slot->gmem.pgoff + slot->npages);

	*range = (struct kvm_gfn_range) {
		.slot = slot,
		.start = slot->base_gfn + first - slot->gmem.pgoff,
		.end = slot->base_gfn + last - slot->gmem.pgoff,
		.may_block = true,
	};

	return last;
}

static int gmem_op_supported(struct gmem_conversion *conv)
{
	struct gmem_file_conversion *fc = to_gmem_file_conversion(conv);
	pgoff_t index = conv->start, end = conv->start + conv->nr_pages, next;
	struct kvm_gfn_range range;
	int r;

	while ((next = gmem_next_binding(fc->f, index, end, &range))) {
		/* A hole: no gfn, so nobody to ask. */
		if (next - index != range.end - range.start)
			break;

		if (index == conv->start)
			fc->gfn = range.start;
		else if (range.start != fc->gfn + (index - conv->start))
			fc->gfn = GMEM_NO_GFN;

		r = kvm_gmem_arch_content_policy_supported(fc->kvm, conv->policy,
							   range.start,
							   range.end - range.start,
							   conv->to_private);
		if (r) {
			conv->error_index = index;
			return r;
		}

		index = next;
	}

	if (index < end) {
		conv->error_index = index;
		return -EPERM;
	}

	return 0;
}

static int gmem_op_authorise(struct gmem_conversion *conv)
{
	struct gmem_file_conversion *fc = to_gmem_file_conversion(conv);
	int r;

	if (!fc->guest_decides)
		return 0;

	r = kvm_arch_gmem_authorise(fc->kvm, fc->gfn, conv);
	fc->by_force = r > 0;

	return min(r, 0);
}

/*
 * While an invalidation is in progress a vCPU that faults on the range spins.
 * One that waits for the invalidate lock sleeps, and that lock keeps new faults
 * out by itself.  So the invalidation is in progress while something is zapped
 * or set, which turns back the faults that were past the lock when it was taken,
 * but not while the conversion waits for references.
 */
static void gmem_invalidate_start(struct gmem_file_conversion *fc)
{
	pgoff_t index = fc->conv.start, end = fc->conv.start + fc->conv.nr_pages;
	struct kvm_gfn_range range;

	if (fc->invalidating)
		return;

	KVM_MMU_LOCK(fc->kvm);
	kvm_mmu_invalidate_start(fc->kvm);
	while ((index = gmem_next_binding(fc->f, index, end, &range)))
		kvm_mmu_invalidate_range_add(fc->kvm, range.start, range.end);
	KVM_MMU_UNLOCK(fc->kvm);

	fc->invalidating = true;
}

static void gmem_invalidate_end(struct gmem_file_conversion *fc)
{
	if (!fc->invalidating)
		return;

	/*
	 * Who sees the end of the invalidation sees the new attributes.  Pairs
	 * with the barrier between mmu_invalidate_seq and the attributes in the
	 * fault handlers; taking mmu_lock orders only what follows.
	 */
	smp_wmb();

	KVM_MMU_LOCK(fc->kvm);
	kvm_mmu_invalidate_end(fc->kvm);
	KVM_MMU_UNLOCK(fc->kvm);

	fc->invalidating = false;
}

static void gmem_op_begin(struct gmem_conversion *conv)
{
	gmem_invalidate_start(to_gmem_file_conversion(conv));
}

static void gmem_op_end(struct gmem_conversion *conv)
{
	gmem_invalidate_end(to_gmem_file_conversion(conv));
}

bool kvm_gmem_unmap_gfn_range(struct kvm *kvm, struct kvm_gfn_range *range)
{
	KUNIT_STATIC_STUB_REDIRECT(kvm_gmem_unmap_gfn_range, kvm, range);

	return kvm_unmap_gfn_range(kvm, range);
}

/*
 * Zap only mappings of the kind that goes away: zapping private memory that
 * stays private loses its contents on some platforms.  A guest that decides
 * itself keeps its mappings.
 */
static void gmem_zap_guest(struct gmem_file_conversion *fc, pgoff_t start,
			   pgoff_t end, enum kvm_gfn_range_filter filter)
{
	struct kvm_gfn_range range;

	if (fc->guest_decides)
		return;

	KVM_MMU_LOCK(fc->kvm);
	while ((start = gmem_next_binding(fc->f, start, end, &range))) {
		range.attr_filter = filter;
		fc->flush |= kvm_gmem_unmap_gfn_range(fc->kvm, &range);
#ifdef CONFIG_HAVE_KVM_ARCH_GMEM_INVALIDATE
		kvm_arch_gmem_invalidate_range(fc->kvm, &range);
#endif
	}
	KVM_MMU_UNLOCK(fc->kvm);
}

static void gmem_op_unmap_shared(struct gmem_conversion *conv, u64 start, u64 end)
{
	struct gmem_file_conversion *fc = to_gmem_file_conversion(conv);

	gmem_zap_guest(fc, start, end, KVM_FILTER_SHARED);

	if (!fc->unmap_end)
		fc->unmap_start = start;
	fc->unmap_end = end;
}

static void gmem_op_unmap_private(struct gmem_conversion *conv, u64 start, u64 end)
{
	struct gmem_file_conversion *fc = to_gmem_file_conversion(conv);

	gmem_invalidate_start(fc);
	gmem_zap_guest(fc, start, end, KVM_FILTER_PRIVATE);

	/*
	 * On TDX this was the removal, and its failure is the VM's end.  Whether it
	 * failed here or for another request a moment ago cannot be told.
	 */
	fc->died |= READ_ONCE(fc->kvm->vm_bugged);
}

static void gmem_op_flush(struct gmem_conversion *conv)
{
	struct gmem_file_conversion *fc = to_gmem_file_conversion(conv);

	if (fc->flush)
		kvm_flush_remote_tlbs(fc->kvm);
	fc->flush = false;

	/*
	 * Userspace loses all at once.  What lies between the runs and is shared
	 * does not exist: where shared memory goes away, all of the request's
	 * does.  The guest was zapped before, so that the MMU notifier finds
	 * nothing to flush.  All mappings are shared; "even cows" drops the
	 * marks that poison left.
	 */
	if (fc->unmap_end)
		unmap_mapping_pages(fc->mapping, fc->unmap_start,
				    fc->unmap_end - fc->unmap_start, true);
	fc->unmap_end = 0;
}

typedef int (*gmem_folio_fn)(struct gmem_file_conversion *fc,
			     struct folio *folio, bool exclusive);

/* Call @fn for each folio that populates [@start, @end); stop if it fails. */
static int gmem_for_each_folio(struct gmem_file_conversion *fc, pgoff_t start,
			       pgoff_t end, gmem_folio_fn fn, bool exclusive,
			       u64 *error_index)
{
	struct folio_batch fbatch;
	unsigned int i;
	int r = 0;

	folio_batch_init(&fbatch);
	while (!r && start < end &&
	       filemap_get_folios(fc->mapping, &start, end - 1, &fbatch)) {
		for (i = 0; i < folio_batch_count(&fbatch); i++) {
			r = fn(fc, fbatch.folios[i], exclusive);
			if (r) {
				*error_index = fbatch.folios[i]->index;
				break;
			}
		}
		folio_batch_release(&fbatch);
		cond_resched();
	}

	return r;
}

/*
 * The folio has more references than the file and this function's caller hold.
 * Return 0 if it is worth looking again.
 */
static int gmem_wait_for_references(struct gmem_file_conversion *fc,
				    struct folio *folio)
{
	enum lru_cache_drained drained = LRU_CACHE_DRAINED;

	if (signal_pending(current))
		return -EINTR;

	/* A device may take its time, or never let go: the caller knows. */
	if (folio_maybe_dma_pinned(folio))
		return -EAGAIN;

	if (!fc->drained_local) {
		lru_add_drain();
		fc->drained_local = true;
		return 0;
	}

	/* This CPU is drained; another may hold the folio in its batch. */
	if (!fc->drained_all && __ratelimit(&gmem_drain_ratelimit)) {
		lru_cache_drain_for_folio(folio, 1, &drained);
		fc->drained_all = drained == LRU_CACHE_DRAINED_ALL;
		return 0;
	}

	if (!fc->give_up) {
		fc->give_up = jiffies + msecs_to_jiffies(GMEM_REFERENCE_WAIT_MS);
		atomic64_inc(&fc->kvm->stat.generic.gmem_reference_waits);
	} else if (time_after(jiffies, fc->give_up)) {
		return -EAGAIN;
	}

	usleep_range(50, 200);
	return 0;
}

static int gmem_check_folio(struct gmem_file_conversion *fc, struct folio *folio,
			    bool exclusive)
{
	bool busy;
	int r;

	/* A run may be a terabyte. */
	if (signal_pending(current))
		return -EINTR;

	/*
	 * Poison can neither be cleared nor kept readable, only destroyed.  It
	 * has a reference for good, so of others only pins can be told.
	 */
	if (folio_test_hwpoison(folio)) {
		if (fc->conv.policy != SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY)
			return -EHWPOISON;
		return exclusive && folio_maybe_dma_pinned(folio) ? -EAGAIN : 0;
	}

	if (!exclusive)
		return 0;

	for (;;) {
		if (folio_lock_killable(folio))
			return -EINTR;

		/*
		 * By a user fault that was in flight when the range was unmapped.
		 * An mlocked folio is in the local batch now.
		 */
		if (folio_mapped(folio)) {
			unmap_mapping_pages(fc->mapping, folio->index, 1, true);
			fc->drained_local = false;
		}

		/* One reference is the batch's. */
		busy = folio_mapped(folio) ||
		       folio_ref_count(folio) != folio_expected_ref_count(folio) + 1;
		folio_unlock(folio);

		if (!busy)
			return 0;

		r = gmem_wait_for_references(fc, folio);
		if (r)
			return r;
	}
}

static int gmem_check_guest(struct gmem_file_conversion *fc, pgoff_t start,
			    pgoff_t end, u64 *error_index)
{
	struct kvm_gfn_range range;
	pgoff_t next;
	gfn_t bad;
	int r;

	while ((next = gmem_next_binding(fc->f, start, end, &range))) {
		r = kvm_arch_gmem_check(fc->kvm, &range, fc->conv.to_private,
					fc->by_force, &bad);
		if (r) {
			*error_index = next - (range.end - bad);
			return r;
		}
		start = next;
	}

	return 0;
}

static int gmem_op_check(struct gmem_conversion *conv, u64 start, u64 end,
			 bool exclusive, u32 content, u64 *error_index)
{
	struct gmem_file_conversion *fc = to_gmem_file_conversion(conv);
	int r;

	gmem_invalidate_end(fc);

	r = gmem_for_each_folio(fc, start, end, gmem_check_folio, exclusive,
				error_index);

	/* What is destroyed is taken from the guest, whatever it has. */
	if (!r && fc->guest_decides &&
	    conv->policy != SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY)
		r = gmem_check_guest(fc, start, end, error_index);

	return r;
}

static int gmem_op_interrupted(struct gmem_conversion *conv)
{
	return signal_pending(current) ? -EINTR : 0;
}

/*
 * Owe zeros: every path that hands out a folio clears one not up to date.  What
 * the guest keeps is not handed out to it again, so that is cleared here.
 */
static int gmem_owe_zeros(struct gmem_file_conversion *fc, struct folio *folio,
			  bool exclusive)
{
	pgoff_t index = folio->index;
	struct kvm_gfn_range range;

	if (fc->guest_decides && gmem_next_binding(fc->f, index, index + 1, &range) &&
	    kvm_arch_gmem_clear(fc->kvm, range.start, folio_page(folio, 0)))
		return 0;

	folio_lock(folio);
	folio_clear_uptodate(folio);
	folio_unlock(folio);
	return 0;
}

/* Take from the guest what it would keep otherwise. */
static void gmem_reclaim(struct gmem_file_conversion *fc, pgoff_t start, pgoff_t end)
{
#ifdef CONFIG_HAVE_KVM_ARCH_GMEM_REQUESTS
	struct kvm_gfn_range range;

	KVM_MMU_LOCK(fc->kvm);
	while ((start = gmem_next_binding(fc->f, start, end, &range)))
		kvm_arch_gmem_invalidate_range(fc->kvm, &range);
	KVM_MMU_UNLOCK(fc->kvm);
#endif
}

/*
 * Let a fresh page take its place in the file: platforms that may keep a frame
 * promise zeros towards shared, never contents.
 */
static int gmem_drop_folio(struct gmem_file_conversion *fc, struct folio *folio,
			   bool exclusive)
{
	loff_t pos = folio_pos(folio);

	truncate_inode_pages_range(fc->mapping, pos, pos + folio_size(folio) - 1);
	return 0;
}

/* Freeing the frame would not tell that the guest may have kept it. */
static int gmem_lose_folio(struct gmem_file_conversion *fc, struct folio *folio,
			   bool exclusive)
{
	kvm_gmem_leak_folio(folio);
	return gmem_drop_folio(fc, folio, exclusive);
}

static void gmem_op_content(struct gmem_conversion *conv, u64 start, u64 end,
			    unsigned int attrs, u32 content)
{
	struct gmem_file_conversion *fc = to_gmem_file_conversion(conv);
	u64 ignored;

	gmem_invalidate_start(fc);

	if (fc->died && (attrs & GMEM_ATTR_PRIVATE))
		gmem_for_each_folio(fc, start, end, gmem_lose_folio, false, &ignored);

	if (fc->by_force || (fc->guest_decides &&
			     content == SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY))
		gmem_reclaim(fc, start, end);

	switch (content) {
	case SET_MEMORY_ATTRIBUTES_CONTENT_ZERO:
		gmem_for_each_folio(fc, start, end, gmem_owe_zeros, false, &ignored);
		break;
	case SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY:
		/* A page that is not there owes zeros, and costs nothing. */
		truncate_inode_pages_range(fc->mapping, (loff_t)start << PAGE_SHIFT,
					   ((loff_t)end << PAGE_SHIFT) - 1);
		break;
	}
}

#ifdef CONFIG_HAVE_KVM_ARCH_GMEM_CONVERT
static int gmem_make_folio_shared(struct gmem_file_conversion *fc,
				  struct folio *folio, bool exclusive)
{
	if (!kvm_arch_gmem_make_shared(folio_pfn(folio), folio_nr_pages(folio)))
		return 0;

	/* Freeing tries again, and loses the frame if that fails, too. */
	BUILD_BUG_ON(!IS_ENABLED(CONFIG_HAVE_KVM_ARCH_GMEM_RECLAIM));
	return gmem_drop_folio(fc, folio, exclusive);
}
#endif

static int gmem_op_platform(struct gmem_conversion *conv, u64 start, u64 end,
			    unsigned int attrs)
{
	struct gmem_file_conversion *fc = to_gmem_file_conversion(conv);

#ifdef CONFIG_HAVE_KVM_ARCH_GMEM_CONVERT
	u64 ignored;

	/* The other way is make_private, when the guest faults the page in. */
	if ((attrs & GMEM_ATTR_PRIVATE) && !conv->to_private)
		gmem_for_each_folio(fc, start, end, gmem_make_folio_shared, false,
				    &ignored);
#endif

	if (fc->guest_decides && conv->to_private) {
		struct kvm_gfn_range range;
		pgoff_t index = start;

		while ((index = gmem_next_binding(fc->f, index, end, &range)))
			kvm_arch_gmem_unshare(fc->kvm, &range);
	}

	return READ_ONCE(fc->kvm->vm_dead) ? -EIO : 0;
}

static const struct gmem_convert_ops kvm_gmem_convert_ops = {
	.supported	= gmem_op_supported,
	.authorise	= gmem_op_authorise,
	.begin		= gmem_op_begin,
	.unmap_shared	= gmem_op_unmap_shared,
	.flush		= gmem_op_flush,
	.check		= gmem_op_check,
	.interrupted	= gmem_op_interrupted,
	.unmap_private	= gmem_op_unmap_private,
	.content	= gmem_op_content,
	.platform	= gmem_op_platform,
	.end		= gmem_op_end,
};

int kvm_gmem_convert(struct file *file, const struct kvm_memory_attributes2 *args,
		     u64 *converted, u64 *error_index)
{
	struct inode *inode = file_inode(file);
	struct gmem_file *f = file->private_data;
	struct gmem_file_conversion fc = {
		.conv = {
			.ops = &kvm_gmem_convert_ops,
			.map = GMEM_I(inode)->attrs->map,
			.start = args->offset >> PAGE_SHIFT,
			.nr_pages = args->size >> PAGE_SHIFT,
			.policy = args->content_policy,
			.to_private = args->attributes & KVM_MEMORY_ATTRIBUTE_PRIVATE,
			.error_index = args->offset >> PAGE_SHIFT,
		},
		.f = f,
		.kvm = f->kvm,
		.mapping = inode->i_mapping,
		.guest_decides = kvm_arch_gmem_guest_decides(f->kvm),
	};
	bool begun;
	int r;

	begun = kvm_arch_gmem_begin(f->kvm);

	r = down_write_killable(&inode->i_mapping->invalidate_lock);
	if (!r) {
		r = gmem_convert(&fc.conv);
		filemap_invalidate_unlock(inode->i_mapping);
	}

	kvm_arch_gmem_end(f->kvm, begun);

	*converted = fc.conv.converted;
	*error_index = fc.conv.error_index;

	return r;
}
