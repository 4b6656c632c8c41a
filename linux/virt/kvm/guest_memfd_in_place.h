/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * guest_memfd files that track private and shared themselves
 * (GUEST_MEMFD_FLAG_IN_PLACE), and convert in place.
 */
#ifndef __KVM_GUEST_MEMFD_IN_PLACE_H__
#define __KVM_GUEST_MEMFD_IN_PLACE_H__

#include <linux/kref.h>
#include <linux/kvm_host.h>

struct gmem_attr_map;

/*
 * The attributes of a file.  The inode holds one reference and every memslot
 * bound to the file another, so that who finds a slot under SRCU may look up a
 * gfn without a reference to the file.
 */
struct kvm_gmem_attrs {
	struct kref ref;
	/* Set once, by release: nobody can convert any more. */
	bool file_gone;
	struct gmem_attr_map *map;
};

#ifdef CONFIG_KVM_GUEST_MEMFD_LIE
extern bool kvm_gmem_lie;
#endif

/* For tests: userspace is to get whatever it asks for. */
static inline bool kvm_gmem_lies(void)
{
#ifdef CONFIG_KVM_GUEST_MEMFD_LIE
	return READ_ONCE(kvm_gmem_lie);
#else
	return false;
#endif
}

#ifdef CONFIG_KVM_GUEST_MEMFD_IN_PLACE

int kvm_gmem_in_place_init(void);
void kvm_gmem_in_place_exit(void);

struct kvm_gmem_attrs *kvm_gmem_attrs_create(u64 nr_pages, bool shared);
void kvm_gmem_attrs_get(struct kvm_gmem_attrs *attrs);
void kvm_gmem_attrs_put(struct kvm_gmem_attrs *attrs);

/*
 * The state of a page.  Stable while the file's invalidate lock is held; else
 * recheck mmu_invalidate_retry_gfn() under mmu_lock.
 */
bool kvm_gmem_attrs_private(const struct kvm_gmem_attrs *attrs, pgoff_t index);
bool kvm_gmem_attrs_destroyed(const struct kvm_gmem_attrs *attrs, pgoff_t index);

/* As kvm_gmem_gfn_is_private(): for slots that convert in place. */
bool kvm_gmem_gfn_is_destroyed(const struct kvm_memory_slot *slot, gfn_t gfn);

/*
 * Nothing in the slot's file is converted in between.  Called under SRCU; no file
 * is left (and none is returned) if it was closed, and then nobody converts.
 */
struct file *kvm_gmem_hold_conversions(struct kvm_memory_slot *slot);
void kvm_gmem_let_conversions(struct file *file);

u64 kvm_gmem_in_place_flags(struct kvm *kvm);
long kvm_gmem_ioctl(struct file *file, unsigned int ioctl, unsigned long arg);

#else

static inline int kvm_gmem_in_place_init(void)
{
	return 0;
}

static inline void kvm_gmem_in_place_exit(void) {}

static inline struct kvm_gmem_attrs *kvm_gmem_attrs_create(u64 nr_pages,
							    bool shared)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static inline void kvm_gmem_attrs_get(struct kvm_gmem_attrs *attrs) {}
static inline void kvm_gmem_attrs_put(struct kvm_gmem_attrs *attrs) {}

static inline bool kvm_gmem_attrs_private(const struct kvm_gmem_attrs *attrs,
					  pgoff_t index)
{
	return true;
}

static inline bool kvm_gmem_attrs_destroyed(const struct kvm_gmem_attrs *attrs,
					    pgoff_t index)
{
	return false;
}

static inline u64 kvm_gmem_in_place_flags(struct kvm *kvm)
{
	return 0;
}

static inline long kvm_gmem_ioctl(struct file *file, unsigned int ioctl,
				  unsigned long arg)
{
	return -ENOTTY;
}

#endif /* CONFIG_KVM_GUEST_MEMFD_IN_PLACE */

#endif /* __KVM_GUEST_MEMFD_IN_PLACE_H__ */
