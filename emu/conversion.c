// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The conversion engine's surroundings in emu: what each step of the transaction
 * in core/convert.h means for a file.
 *
 * One thing is done later than core allows: shared pages are hidden from the host
 * past the point of no return, not before.  Nobody can take a reference to a page
 * but gmem_emu_pin(), which waits for the file's lock; so the check needs no
 * unmapping first, and a conversion that is refused disturbs no host thread, not
 * even one inside a system call.  What hiding needs is prepared in the check.
 */
#include "emu.h"

static struct emu_conversion *to_emu_conversion(struct gmem_conversion *conv)
{
	return container_of(conv, struct emu_conversion, conv);
}

static int policy_supported(struct emu_vm *vm, u32 policy, u64 gfn, u64 nr_pages,
			    bool to_private)
{
	if (vm->ops->policy_supported)
		return vm->ops->policy_supported(vm, policy, gfn, nr_pages,
						 to_private);
	return gmem_policy_check(vm->ops->policies, policy, to_private);
}

static int op_supported(struct gmem_conversion *conv)
{
	struct emu_file *file = to_emu_conversion(conv)->file;
	u64 index = conv->start, end = conv->start + conv->nr_pages;
	u64 first, gfn, next;
	int ret;

	if (emu_fail_now())
		return -EOPNOTSUPP;
	while (index < end) {
		next = emu_next_binding(file, index, end, &first, &gfn);
		/* A hole: no gfn, so nobody to ask. */
		if (!next || first != index) {
			conv->error_index = index;
			return -EPERM;
		}
		ret = policy_supported(file->vm, conv->policy, gfn, next - index,
				       conv->to_private);
		if (ret) {
			conv->error_index = index;
			return ret;
		}
		index = next;
	}
	return 0;
}

static int op_authorise(struct gmem_conversion *conv)
{
	struct emu_conversion *ec = to_emu_conversion(conv);
	const struct emu_platform_ops *ops = ec->file->vm->ops;

	if (emu_fail_now())
		return -EPERM;
	return ops->authorise ? ops->authorise(ec) : 0;
}

static void op_begin(struct gmem_conversion *conv)
{
	emu_invalidate_begin(to_emu_conversion(conv)->file, conv->start,
			     conv->start + conv->nr_pages);
}

/* The host's mappings: see above.  The guest's are looked up for each access. */
static void op_unmap_shared(struct gmem_conversion *conv, u64 start, u64 end)
{
	(void)conv;
	(void)start;
	(void)end;
}

static void op_flush(struct gmem_conversion *conv)
{
	struct emu_file *file = to_emu_conversion(conv)->file;

	emu_quiesce(file->vm);
	emu_quiesce_handlers(file);
}

/* The first page that stands in the way of the request, as a whole. */
static int check_marks(const struct gmem_conversion *conv,
		       const struct emu_file *file, u64 *error_index)
{
	u64 end = conv->start + conv->nr_pages;
	u64 pinned = end, poisoned = conv->start;

	/* Pins are on shared pages only. */
	if (gmem_policy_converts(conv->policy, conv->to_private, 0))
		pinned = emu_marks_first(&file->pins, conv->start, end);

	/* Poison can neither be cleared nor kept readable, only destroyed. */
	if (conv->policy == SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY)
		poisoned = end;
	for (; poisoned < end; poisoned++) {
		poisoned = emu_marks_first(&file->poison, poisoned, end);
		if (poisoned < end &&
		    gmem_policy_converts(conv->policy, conv->to_private,
					 gmem_attr_map_get(conv->map, poisoned)))
			break;
	}

	*error_index = min(pinned, poisoned);
	if (*error_index == end)
		return 0;
	return poisoned <= pinned ? -EHWPOISON : -EAGAIN;
}

/* Everything that hiding and showing may need, for the request as a whole. */
static int prepare_views(struct emu_conversion *ec)
{
	const struct gmem_conversion *conv = &ec->conv;
	u64 end = conv->start + conv->nr_pages, next;
	unsigned int attrs;
	int ret;

	ec->prepared = true;
	if (!gmem_policy_target(conv->policy, conv->to_private))
		return emu_views_prepare_show(ec->file, conv->start, end);

	for (u64 start = conv->start; start < end; start = next) {
		next = gmem_attr_map_run(conv->map, start, end, &attrs);
		if (attrs)
			continue;
		ret = emu_views_prepare_hide(ec->file, start, next);
		if (ret)
			return ret;
	}
	return 0;
}

static int op_check(struct gmem_conversion *conv, u64 start, u64 end,
		    bool exclusive, u32 content, u64 *error_index)
{
	struct emu_conversion *ec = to_emu_conversion(conv);
	const struct emu_platform_ops *ops = ec->file->vm->ops;
	unsigned int attrs;
	int ret;

	(void)exclusive;
	(void)content;
	if (emu_fail_now()) {
		*error_index = start;
		return -EAGAIN;
	}
	if (!ec->prepared) {
		ret = check_marks(conv, ec->file, error_index);
		if (ret)
			return ret;
	}
	if (ops->check) {
		gmem_attr_map_run(conv->map, start, end, &attrs);
		ret = ops->check(ec, start, end, attrs, error_index);
		if (ret)
			return ret;
	}
	/* Prepared as late as can be: a refusal has to be undone. */
	return ec->prepared ? 0 : prepare_views(ec);
}

static int op_interrupted(struct gmem_conversion *conv)
{
	(void)conv;
	/* A signal is handled at once here, and comes back. */
	return emu_fail_now() ? -EINTR : 0;
}

static void op_unmap_private(struct gmem_conversion *conv, u64 start, u64 end)
{
	struct emu_conversion *ec = to_emu_conversion(conv);

	if (ec->file->vm->ops->unmap_private)
		ec->file->vm->ops->unmap_private(ec, start, end);
}

static void op_content(struct gmem_conversion *conv, u64 start, u64 end,
		       unsigned int attrs, u32 content)
{
	struct emu_conversion *ec = to_emu_conversion(conv);
	const struct emu_platform_ops *ops = ec->file->vm->ops;

	if (!attrs)
		emu_views_hide(ec->file, start, end);
	if (ops->content && ops->content(ec, start, end, attrs, content))
		return;
	if (content != SET_MEMORY_ATTRIBUTES_CONTENT_ZERO &&
	    content != SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY)
		return;

	if (ops->free)
		ops->free(ec->file, start, end);
	emu_file_drop(ec->file, start, end);
}

static int op_platform(struct gmem_conversion *conv, u64 start, u64 end,
		       unsigned int attrs)
{
	struct emu_conversion *ec = to_emu_conversion(conv);
	struct emu_vm *vm = ec->file->vm;

	if (vm->ops->convert && vm->ops->convert(ec, start, end, attrs))
		WRITE_ONCE(vm->dead, true);
	return READ_ONCE(vm->dead) ? -EIO : 0;
}

static void op_end(struct gmem_conversion *conv)
{
	struct emu_conversion *ec = to_emu_conversion(conv);

	/* The new shared pages, or after a refusal the old ones. */
	if (ec->prepared)
		emu_views_show(ec->file, conv->start, conv->start + conv->nr_pages,
			       conv->policy == SET_MEMORY_ATTRIBUTES_CONTENT_ZERO);
	emu_invalidate_end(ec->file);
}

static const struct gmem_convert_ops emu_convert_ops = {
	.supported = op_supported,
	.authorise = op_authorise,
	.begin = op_begin,
	.unmap_shared = op_unmap_shared,
	.flush = op_flush,
	.check = op_check,
	.interrupted = op_interrupted,
	.unmap_private = op_unmap_private,
	.content = op_content,
	.platform = op_platform,
	.end = op_end,
};

/* Whether the request's own memory is still the host's to write. */
static bool can_answer(struct emu_file *file, const void *args, size_t bytes)
{
	u64 addr = (u64)(uintptr_t)args;
	bool visible;

	for (struct emu_view *view = file->views; view; view = view->next) {
		u64 offset = addr - (u64)(uintptr_t)view->addr;

		if (offset >= (view->end - view->start) << EMU_PAGE_SHIFT)
			continue;
		for (u64 at = offset; at < offset + bytes; at += bytes - 1) {
			u64 index = view->start + (at >> EMU_PAGE_SHIFT);

			emu_visible_run(file, index, index + 1, &visible);
			if (!visible)
				return false;
		}
	}
	return true;
}

static int convert_locked(struct emu_file *file, struct kvm_memory_attributes2 *args)
{
	struct emu_conversion ec = {
		.conv = {
			.ops = &emu_convert_ops,
			.map = file->map,
			.start = args->offset >> EMU_PAGE_SHIFT,
			.nr_pages = args->size >> EMU_PAGE_SHIFT,
			.policy = args->content_policy,
			.to_private = args->attributes & KVM_MEMORY_ATTRIBUTE_PRIVATE,
		},
		.file = file,
	};
	int ret;

	ret = gmem_convert(&ec.conv);
	/* If it went private meanwhile, the caller loses the number, no more. */
	if (!can_answer(file, args, sizeof(*args)))
		return ret;
	if (ret)
		args->error_offset = ec.conv.error_index << EMU_PAGE_SHIFT;
	else
		args->converted = ec.conv.converted << EMU_PAGE_SHIFT;
	return ret;
}

int emu_file_set_attributes(struct gmem_file *base,
			    struct kvm_memory_attributes2 *args)
{
	struct emu_file *file = to_emu_file(base);
	int ret;

	if (!file->in_place)
		return -ENOTTY;
	if (!emu_own_process(file->vm->engine) || READ_ONCE(file->vm->dead))
		return -EIO;
	if (!args)
		return -EFAULT;
	ret = gmem_args_check(args, file->nr_pages << EMU_PAGE_SHIFT);
	if (ret)
		return ret;

	emu_file_lock(file);
	ret = convert_locked(file, args);
	emu_file_unlock(file);
	return ret;
}
