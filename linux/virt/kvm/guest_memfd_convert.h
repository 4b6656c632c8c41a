/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __KVM_GUEST_MEMFD_CONVERT_H__
#define __KVM_GUEST_MEMFD_CONVERT_H__

#include <linux/fs.h>
#include <linux/kvm.h>
#include <linux/kvm_host.h>

struct gmem_conversion;

#define GMEM_NO_GFN	(~(gfn_t)0)

/*
 * Convert a range of an in-place file whose arguments are checked.  Reports
 * pages converted on success, else the first page that stood in the way.
 */
int kvm_gmem_convert(struct file *file, const struct kvm_memory_attributes2 *args,
		     u64 *converted, u64 *error_index);

/* kvm_unmap_gfn_range(), for tests to replace. */
bool kvm_gmem_unmap_gfn_range(struct kvm *kvm, struct kvm_gfn_range *range);

/*
 * Platforms on which the guest decides: it asks for each conversion, and keeps its
 * mappings over it.
 */
#ifdef CONFIG_HAVE_KVM_ARCH_GMEM_REQUESTS

/* Whether @kvm is of that kind. */
bool kvm_arch_gmem_guest_decides(struct kvm *kvm);

/*
 * Around a conversion, outside the invalidate lock.  Until kvm_arch_gmem_end()
 * the guest does not begin to exist.  Return: what kvm_arch_gmem_end() takes.
 */
bool kvm_arch_gmem_begin(struct kvm *kvm);
void kvm_arch_gmem_end(struct kvm *kvm, bool begun);

/*
 * Offer @conv the guest's requests; @gfn is that of its first page, or GMEM_NO_GFN if
 * its gfns do not follow each other.
 * Return: 0; 1 if nobody asked, but the VMM may take the pages by force; -EPERM.
 */
int kvm_arch_gmem_authorise(struct kvm *kvm, gfn_t gfn,
			    struct gmem_conversion *conv);

/*
 * Whether what the guest has of these gfns can be converted.  Return: 0, or
 * -EHWPOISON or -EPERM for the gfn in @bad, or -EINTR.
 */
int kvm_arch_gmem_check(struct kvm *kvm, const struct kvm_gfn_range *range,
			bool to_private, bool by_force, gfn_t *bad);

/*
 * Clear a page that is in the guest's hands, where it could be read before a
 * fault clears it.  Return: false if the guest does not have it.
 */
bool kvm_arch_gmem_clear(struct kvm *kvm, gfn_t gfn, struct page *page);

/* The guest takes back what it shared of pages that have become private. */
void kvm_arch_gmem_unshare(struct kvm *kvm, const struct kvm_gfn_range *range);

#else

static inline bool kvm_arch_gmem_guest_decides(struct kvm *kvm)
{
	return false;
}

static inline bool kvm_arch_gmem_begin(struct kvm *kvm)
{
	return false;
}

static inline void kvm_arch_gmem_end(struct kvm *kvm, bool begun) {}

static inline int kvm_arch_gmem_authorise(struct kvm *kvm, gfn_t gfn,
					  struct gmem_conversion *conv)
{
	return 0;
}

static inline int kvm_arch_gmem_check(struct kvm *kvm,
				      const struct kvm_gfn_range *range,
				      bool to_private, bool by_force, gfn_t *bad)
{
	return 0;
}

static inline bool kvm_arch_gmem_clear(struct kvm *kvm, gfn_t gfn, struct page *page)
{
	return false;
}

static inline void kvm_arch_gmem_unshare(struct kvm *kvm,
					 const struct kvm_gfn_range *range) {}

#endif /* CONFIG_HAVE_KVM_ARCH_GMEM_REQUESTS */

#endif /* __KVM_GUEST_MEMFD_CONVERT_H__ */
