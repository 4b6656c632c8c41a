// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files created with GUEST_MEMFD_FLAG_IN_PLACE: the lifetime of their
 * attributes, lookups by gfn, and the ioctls.
 *
 * Lock order: kvm->slots_lock > mapping->invalidate_lock > folio lock >
 * i_mmap_rwsem > kvm->mmu_lock.  Lookups take none of them.
 */
#include <kunit/static_stub.h>
#include <linux/kvm_host.h>
#include <linux/moduleparam.h>
#include <linux/pagemap.h>

#include "gmem_platform.h"
#include "gmem/attr_map.h"
#include "gmem/policy.h"
#include "guest_memfd.h"
#include "guest_memfd_convert.h"
#include "guest_memfd_in_place.h"

#define CREATE_TRACE_POINTS
#include "guest_memfd_trace.h"

struct kmem_cache *gmem_leaf_cache;
static struct workqueue_struct *gmem_wq;

#ifdef CONFIG_KVM_GUEST_MEMFD_LIE
bool kvm_gmem_lie;
module_param_named(guest_memfd_lie, kvm_gmem_lie, bool, 0600);
#endif

/* What userspace was built with, of 32 bits or 64: nothing is translated for either. */
static_assert(sizeof(struct kvm_memory_attributes2) == 128);
static_assert(offsetof(struct kvm_memory_attributes2, error_offset) == 32);
static_assert(offsetof(struct kvm_memory_attributes2, content_policy) == 40);
static_assert(offsetof(struct kvm_memory_attributes2, converted) == 48);
static_assert(offsetof(struct kvm_memory_attributes2, reserved) == 56);
static_assert(sizeof(struct kvm_memory_attributes2_run) == 64);
static_assert(offsetof(struct kvm_memory_attributes2_run, state) == 24);
static_assert(offsetof(struct kvm_memory_attributes2_run, reserved) == 32);
static_assert(!(GUEST_MEMFD_FLAG_IN_PLACE &
		(GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED)));

void *gmem_leaf_alloc(void)
{
	KUNIT_STATIC_STUB_REDIRECT(gmem_leaf_alloc);

	return kmem_cache_zalloc(gmem_leaf_cache, GFP_KERNEL_ACCOUNT);
}

void *gmem_table_alloc(size_t bytes)
{
	KUNIT_STATIC_STUB_REDIRECT(gmem_table_alloc, bytes);

	return kvzalloc(bytes, GFP_KERNEL_ACCOUNT);
}

static void gmem_deferred_work(struct work_struct *work)
{
	struct gmem_deferred *d = container_of(to_rcu_work(work),
					       struct gmem_deferred, work);

	d->fn(d);
}

void gmem_defer(struct gmem_deferred *d, void (*fn)(struct gmem_deferred *d))
{
	d->fn = fn;
	INIT_RCU_WORK(&d->work, gmem_deferred_work);
	queue_rcu_work(gmem_wq, &d->work);
}

struct kvm_gmem_attrs *kvm_gmem_attrs_create(u64 nr_pages, bool shared)
{
	struct kvm_gmem_attrs *attrs;
	int r;

	attrs = kzalloc_obj(*attrs, GFP_KERNEL_ACCOUNT);
	if (!attrs)
		return ERR_PTR(-ENOMEM);

	kref_init(&attrs->ref);
	r = gmem_attr_map_create(&attrs->map, nr_pages,
				 shared ? 0 : GMEM_ATTR_PRIVATE);
	if (r) {
		kfree(attrs);
		return ERR_PTR(r);
	}

	return attrs;
}

void kvm_gmem_attrs_get(struct kvm_gmem_attrs *attrs)
{
	if (attrs)
		kref_get(&attrs->ref);
}

static void kvm_gmem_attrs_free(struct kref *ref)
{
	struct kvm_gmem_attrs *attrs = container_of(ref, struct kvm_gmem_attrs, ref);

	gmem_attr_map_destroy(attrs->map);
	kfree(attrs);
}

void kvm_gmem_attrs_put(struct kvm_gmem_attrs *attrs)
{
	if (attrs)
		kref_put(&attrs->ref, kvm_gmem_attrs_free);
}

bool kvm_gmem_attrs_private(const struct kvm_gmem_attrs *attrs, pgoff_t index)
{
	return gmem_attr_map_get(attrs->map, index) & GMEM_ATTR_PRIVATE;
}

bool kvm_gmem_attrs_destroyed(const struct kvm_gmem_attrs *attrs, pgoff_t index)
{
	return gmem_attr_map_get(attrs->map, index) & GMEM_ATTR_DESTROYED;
}

bool kvm_gmem_gfn_is_private(const struct kvm_memory_slot *slot, gfn_t gfn)
{
	const struct kvm_gmem_attrs *attrs = slot->gmem.attrs;

	/* A file that is gone has nothing to share. */
	if (READ_ONCE(attrs->file_gone))
		return true;

	return kvm_gmem_attrs_private(attrs, gfn - slot->base_gfn + slot->gmem.pgoff);
}
EXPORT_SYMBOL_FOR_KVM_INTERNAL(kvm_gmem_gfn_is_private);

bool kvm_gmem_gfn_is_destroyed(const struct kvm_memory_slot *slot, gfn_t gfn)
{
	return kvm_gmem_attrs_destroyed(slot->gmem.attrs,
					gfn - slot->base_gfn + slot->gmem.pgoff);
}

struct file *kvm_gmem_hold_conversions(struct kvm_memory_slot *slot)
{
	struct file *file = get_file_active(&slot->gmem.file);

	if (file)
		filemap_invalidate_lock_shared(file->f_mapping);
	return file;
}

void kvm_gmem_let_conversions(struct file *file)
{
	if (!file)
		return;

	filemap_invalidate_unlock_shared(file->f_mapping);
	fput(file);
}

u64 kvm_gmem_memory_attributes(struct kvm *kvm)
{
	if (!kvm || kvm_gmem_arch_content_policies(kvm))
		return KVM_MEMORY_ATTRIBUTE_PRIVATE;

	return 0;
}

u64 kvm_gmem_in_place_flags(struct kvm *kvm)
{
	if (!kvm_gmem_memory_attributes(kvm))
		return 0;

	return GUEST_MEMFD_FLAG_IN_PLACE | GUEST_MEMFD_FLAG_INIT_SHARED;
}

static int __kvm_gmem_set_memory_attributes(struct file *file,
					    struct kvm_memory_attributes2 __user *uargs,
					    const struct kvm_memory_attributes2 *args,
					    u64 *converted, u64 *error_offset)
{
	u64 error_index;
	int r;

	r = gmem_args_check(args, i_size_read(file_inode(file)));
	if (r)
		return r;

	/*
	 * Once converted there is no way back: learn now whether the caller's
	 * memory can be written.  The value is what the caller has there.
	 */
	if (put_user(0, &uargs->converted))
		return -EFAULT;

	r = kvm_gmem_convert(file, args, converted, &error_index);

	/*
	 * The locks are dropped, so the structure may lie in the very file.  If
	 * it has gone private by now the caller loses the number, no more.
	 */
	if (!r) {
		(void)put_user(*converted << PAGE_SHIFT, &uargs->converted);
		return 0;
	}

	*error_offset = error_index << PAGE_SHIFT;
	return put_user(*error_offset, &uargs->error_offset) ? -EFAULT : r;
}

/* Several conversions of a VM, of several files, may end at the same time. */
static void kvm_gmem_count_conversion(struct kvm *kvm, bool to_private, int r,
				      u64 converted)
{
	struct kvm_vm_stat_generic *stat = &kvm->stat.generic;

	/* What was interrupted is not refused, and may be restarted unseen. */
	if (!r)
		atomic64_inc(&stat->gmem_conversions);
	else if (r != -EINTR)
		atomic64_inc(&stat->gmem_conversions_failed);

	atomic64_add(converted, to_private ? &stat->gmem_pages_to_private :
					     &stat->gmem_pages_to_shared);
}

static int kvm_gmem_set_memory_attributes(struct file *file,
					  struct kvm_memory_attributes2 __user *uargs)
{
	u64 began = trace_kvm_gmem_convert_enabled() ? ktime_get_ns() : 0;
	struct gmem_file *f = file->private_data;
	struct kvm_memory_attributes2 args;
	u64 converted = 0, error_offset = 0;
	int r;

	if (copy_from_user(&args, uargs, sizeof(args)))
		return -EFAULT;

	r = __kvm_gmem_set_memory_attributes(file, uargs, &args, &converted,
					     &error_offset);

	kvm_gmem_count_conversion(f->kvm, args.attributes & KVM_MEMORY_ATTRIBUTE_PRIVATE,
				  r, converted);
	trace_kvm_gmem_convert(file_inode(file), &args, r, converted, error_offset, began);

	/*
	 * What interrupts need not be a signal: task work, e.g. io_uring's, may
	 * be due, and may be what lets go of a page.  Nothing has changed, so
	 * let userspace see -EINTR only if a handler ran.
	 */
	return r == -EINTR ? -ERESTARTNOHAND : r;
}

static int kvm_gmem_get_memory_attributes(struct file *file,
					  struct kvm_memory_attributes2_run __user *urun)
{
	struct inode *inode = file_inode(file);
	struct kvm_memory_attributes2_run run;
	unsigned int attrs;
	u64 start, end;

	if (copy_from_user(&run, urun, sizeof(run)))
		return -EFAULT;

	if (run.size || run.attributes || run.state ||
	    memchr_inv(run.reserved, 0, sizeof(run.reserved)))
		return -EINVAL;

	if (!PAGE_ALIGNED(run.offset) || run.offset >= i_size_read(inode))
		return -EINVAL;

	start = run.offset >> PAGE_SHIFT;

	filemap_invalidate_lock_shared(inode->i_mapping);
	end = gmem_attr_map_run(GMEM_I(inode)->attrs->map, start,
				i_size_read(inode) >> PAGE_SHIFT, &attrs);
	filemap_invalidate_unlock_shared(inode->i_mapping);

	run.size = (end - start) << PAGE_SHIFT;
	if (attrs & GMEM_ATTR_PRIVATE)
		run.attributes = KVM_MEMORY_ATTRIBUTE_PRIVATE;
	if (attrs & GMEM_ATTR_DESTROYED)
		run.state = KVM_GMEM_STATE_DESTROYED;

	return copy_to_user(urun, &run, sizeof(run)) ? -EFAULT : 0;
}

long kvm_gmem_ioctl(struct file *file, unsigned int ioctl, unsigned long arg)
{
	struct gmem_file *f = file->private_data;
	void __user *argp = (void __user *)arg;

	if (!GMEM_I(file_inode(file))->attrs)
		return -ENOTTY;

	/* As for the VM's own ioctls; a file passed on may only be mapped. */
	if (f->kvm->mm != current->mm || f->kvm->vm_dead)
		return -EIO;

	switch (ioctl) {
	case KVM_SET_MEMORY_ATTRIBUTES2:
		return kvm_gmem_set_memory_attributes(file, argp);
	case KVM_GET_MEMORY_ATTRIBUTES2:
		return kvm_gmem_get_memory_attributes(file, argp);
	default:
		return -ENOTTY;
	}
}

int kvm_gmem_in_place_init(void)
{
	gmem_leaf_cache = kmem_cache_create("kvm_gmem_leaf", GMEM_LEAF_BYTES, 0,
					    SLAB_ACCOUNT, NULL);
	if (!gmem_leaf_cache)
		return -ENOMEM;

	gmem_wq = alloc_workqueue("kvm_gmem", WQ_UNBOUND, 0);
	if (!gmem_wq) {
		kmem_cache_destroy(gmem_leaf_cache);
		return -ENOMEM;
	}

	return 0;
}

void kvm_gmem_in_place_exit(void)
{
	/* After rcu_barrier() every deferred free is at least queued. */
	rcu_barrier();
	destroy_workqueue(gmem_wq);
	kmem_cache_destroy(gmem_leaf_cache);
}
