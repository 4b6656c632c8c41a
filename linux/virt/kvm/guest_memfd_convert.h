/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __KVM_GUEST_MEMFD_CONVERT_H__
#define __KVM_GUEST_MEMFD_CONVERT_H__

#include <linux/fs.h>
#include <linux/kvm.h>

/*
 * Convert a range of an in-place file whose arguments are checked.  Reports
 * pages converted on success, else the first page that stood in the way.
 */
int kvm_gmem_convert(struct file *file, const struct kvm_memory_attributes2 *args,
		     u64 *converted, u64 *error_index);

#endif /* __KVM_GUEST_MEMFD_CONVERT_H__ */
