/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What came of each KVM_SET_MEMORY_ATTRIBUTES2.  The file is named by device and
 * inode number, as fstat() tells them.
 */
#if !defined(_TRACE_KVM_GUEST_MEMFD_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_KVM_GUEST_MEMFD_H

#include <linux/fs.h>
#include <linux/kdev_t.h>
#include <linux/kvm.h>
#include <linux/timekeeping.h>
#include <linux/tracepoint.h>

#undef TRACE_SYSTEM
#define TRACE_SYSTEM kvm

TRACE_DEFINE_ENUM(SET_MEMORY_ATTRIBUTES_CONTENT_ZERO);
TRACE_DEFINE_ENUM(SET_MEMORY_ATTRIBUTES_CONTENT_READABLE);
TRACE_DEFINE_ENUM(SET_MEMORY_ATTRIBUTES_CONTENT_ENCRYPTED);
TRACE_DEFINE_ENUM(SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY);

/*
 * @result is 0 or -errno.  Where it is -EINVAL the arguments may be anything.  @ns
 * is the time from @began on, waiting included; 0 if the event was off then.
 */
TRACE_EVENT(kvm_gmem_convert,
	TP_PROTO(const struct inode *inode,
		 const struct kvm_memory_attributes2 *args, int result,
		 u64 pages, u64 error_offset, u64 began),
	TP_ARGS(inode, args, result, pages, error_offset, began),

	TP_STRUCT__entry(
		__field(u64, ino)
		__field(u64, offset)
		__field(u64, size)
		__field(u64, attributes)
		__field(u64, pages)
		__field(u64, error_offset)
		__field(u64, ns)
		__field(dev_t, dev)
		__field(u32, policy)
		__field(int, result)
	),

	TP_fast_assign(
		__entry->ino		= inode->i_ino;
		__entry->offset		= args->offset;
		__entry->size		= args->size;
		__entry->attributes	= args->attributes;
		__entry->pages		= pages;
		__entry->error_offset	= error_offset;
		__entry->ns		= began ? ktime_get_ns() - began : 0;
		__entry->dev		= inode->i_sb->s_dev;
		__entry->policy		= args->content_policy;
		__entry->result		= result;
	),

	TP_printk("dev %u:%u ino %llu offset 0x%llx size 0x%llx to %s policy %s result %d pages %llu error_offset 0x%llx ns %llu",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->ino,
		  __entry->offset, __entry->size,
		  __print_symbolic(__entry->attributes,
				   { 0, "shared" },
				   { KVM_MEMORY_ATTRIBUTE_PRIVATE, "private" }),
		  __print_symbolic(__entry->policy,
				   { SET_MEMORY_ATTRIBUTES_CONTENT_ZERO, "ZERO" },
				   { SET_MEMORY_ATTRIBUTES_CONTENT_READABLE, "READABLE" },
				   { SET_MEMORY_ATTRIBUTES_CONTENT_ENCRYPTED, "ENCRYPTED" },
				   { SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY, "DESTROY" }),
		  __entry->result, __entry->pages, __entry->error_offset, __entry->ns)
);

#endif /* _TRACE_KVM_GUEST_MEMFD_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH ../../virt/kvm
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE guest_memfd_trace

/* This part must be outside protection */
#include <trace/define_trace.h>
