// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The calls of <gmem/emu.h>: devices that pin, memory that fails, a host that lies, a
 * VMM that meddles with vCPUs.
 */
#include <string.h>

#include <gmem/emu.h>

#include "emu.h"

static int check_file(struct gmem_file *file, u64 offset, u64 bytes,
		      const char *function, struct emu_file **filep)
{
	struct emu_file *ours;

	if (!file || file->vm->engine->ops != &gmem_emu_ops) {
		gmem_refuse_with(file ? file->vm->engine : NULL, 0, function,
				 "no file of the emu engine");
		return -EINVAL;
	}
	ours = to_emu_file(file);
	if (!bytes || (offset | bytes) % PAGE_SIZE || offset + bytes < offset ||
	    offset + bytes > ours->nr_pages << EMU_PAGE_SHIFT) {
		gmem_refuse_with(file->vm->engine, 0, function,
				 "not a range of the file");
		return -EINVAL;
	}
	if (!emu_own_process(ours->vm->engine))
		return -EIO;
	*filep = ours;
	return 0;
}

static bool all_visible(struct emu_file *file, u64 start, u64 end)
{
	bool visible = true;

	while (start < end && visible)
		start = emu_visible_run(file, start, end, &visible);
	return visible;
}

GMEM_API int gmem_emu_pin(struct gmem_file *base, uint64_t offset, uint64_t bytes)
{
	struct emu_file *file;
	u64 start = offset >> EMU_PAGE_SHIFT;
	u64 end = (offset + bytes) >> EMU_PAGE_SHIFT;
	int ret;

	ret = check_file(base, offset, bytes, __func__, &file);
	if (ret)
		return ret;
	pthread_mutex_lock(&file->lock);
	ret = all_visible(file, start, end) ?
	      emu_marks_add(&file->pins, start, end) : -EFAULT;
	pthread_mutex_unlock(&file->lock);
	return ret;
}

GMEM_API int gmem_emu_unpin(struct gmem_file *base, uint64_t offset, uint64_t bytes)
{
	struct emu_file *file;
	bool found;
	int ret;

	ret = check_file(base, offset, bytes, __func__, &file);
	if (ret)
		return ret;
	pthread_mutex_lock(&file->lock);
	found = emu_marks_remove(&file->pins, offset >> EMU_PAGE_SHIFT,
				 (offset + bytes) >> EMU_PAGE_SHIFT);
	pthread_mutex_unlock(&file->lock);
	return found ? 0 : gmem_refuse(base->vm->engine, "no such pin");
}

/* No vCPU and no signal handler looks at [start, end) between the two. */
static void stop_all(struct emu_file *file, u64 start, u64 end)
{
	emu_file_lock(file);
	emu_invalidate_begin(file, start, end);
	emu_quiesce(file->vm);
	emu_quiesce_handlers(file);
}

static void resume_all(struct emu_file *file)
{
	emu_invalidate_end(file);
	emu_file_unlock(file);
}

/* The same for all of the file, to hide some of it. */
static int freeze(struct emu_file *file, u64 start, u64 end)
{
	stop_all(file, 0, file->nr_pages);
	return emu_views_prepare_hide(file, start, end);
}

static void thaw(struct emu_file *file, u64 start, u64 end)
{
	emu_views_show(file, start, end, false);
	resume_all(file);
}

GMEM_API int gmem_emu_poison(struct gmem_file *base, uint64_t offset, uint64_t bytes)
{
	struct emu_file *file;
	u64 start = offset >> EMU_PAGE_SHIFT;
	u64 end = (offset + bytes) >> EMU_PAGE_SHIFT;
	int ret;

	ret = check_file(base, offset, bytes, __func__, &file);
	if (ret)
		return ret;
	ret = freeze(file, start, end);
	if (!ret)
		ret = emu_marks_reserve(&file->poison, end - start);
	if (!ret) {
		for (u64 index = start; index < end; index++)
			emu_marks_add(&file->poison, index, index + 1);
		emu_views_hide(file, start, end);
	}
	thaw(file, start, end);
	return ret;
}

GMEM_API int gmem_emu_force_attributes(struct gmem_file *base, uint64_t offset,
				       uint64_t bytes, uint64_t attributes)
{
	struct emu_file *file;
	unsigned int attrs = attributes ? GMEM_ATTR_PRIVATE : 0;
	u64 start = offset >> EMU_PAGE_SHIFT;
	u64 end = (offset + bytes) >> EMU_PAGE_SHIFT;
	int ret;

	ret = check_file(base, offset, bytes, __func__, &file);
	if (ret)
		return ret;
	if (attributes & ~(u64)KVM_MEMORY_ATTRIBUTE_PRIVATE)
		return gmem_refuse(base->vm->engine, "unknown attribute");
	if (!file->in_place)
		return gmem_report(base->vm->engine, -ENOTTY);
	ret = freeze(file, start, end);
	if (!ret)
		ret = gmem_attr_map_prepare(file->map, start, end, attrs);
	if (!ret) {
		if (attrs)
			emu_views_hide(file, start, end);
		gmem_attr_map_commit(file->map, start, end, attrs);
	}
	thaw(file, start, end);
	return ret;
}

GMEM_API int gmem_emu_read_memory(struct gmem_file *base, uint64_t offset,
				  uint64_t bytes, void *buffer)
{
	struct emu_file *file;
	u64 start = offset >> EMU_PAGE_SHIFT;
	u64 end = (offset + bytes) >> EMU_PAGE_SHIFT;
	int ret;

	ret = check_file(base, offset, bytes, __func__, &file);
	if (ret)
		return ret;
	if (!buffer)
		return gmem_refuse(base->vm->engine, "no buffer");
	stop_all(file, start, end);
	memcpy(buffer, file->memory + offset, bytes);
	resume_all(file);
	return 0;
}

GMEM_API int gmem_emu_write_memory(struct gmem_file *base, uint64_t offset,
				   uint64_t bytes, const void *buffer)
{
	struct emu_file *file;
	u64 start = offset >> EMU_PAGE_SHIFT;
	u64 end = (offset + bytes) >> EMU_PAGE_SHIFT;
	int ret;

	ret = check_file(base, offset, bytes, __func__, &file);
	if (ret)
		return ret;
	if (!buffer)
		return gmem_refuse(base->vm->engine, "no buffer");
	stop_all(file, start, end);
	memcpy(file->memory + offset, buffer, bytes);
	resume_all(file);
	return 0;
}

GMEM_API int gmem_emu_set_property(struct gmem_vm *base, uint32_t property,
				   uint64_t value)
{
	struct emu_vm *vm;

	if (!base || base->engine->ops != &gmem_emu_ops)
		return gmem_refuse(base ? base->engine : NULL, "no VM of the emu engine");
	vm = to_emu_vm(base);
	return gmem_report(base->engine, vm->ops->vm_set_property ?
			   vm->ops->vm_set_property(vm, property, value) : -EOPNOTSUPP);
}

static int check_vcpu(struct gmem_vcpu *vcpu, const char *function)
{
	if (!vcpu || vcpu->vm->engine->ops != &gmem_emu_ops)
		return gmem_refuse_with(vcpu ? vcpu->vm->engine : NULL, -EINVAL, function,
					"no vCPU of the emu engine");
	if (!emu_own_process(to_emu_engine(vcpu->vm->engine)))
		return -EIO;
	return to_emu_vm(vcpu->vm)->ops->guest_powers_vcpus ? 0 : -EOPNOTSUPP;
}

GMEM_API int gmem_emu_power_off(struct gmem_vcpu *vcpu)
{
	int ret;

	ret = check_vcpu(vcpu, __func__);
	if (ret)
		return ret;
	emu_vcpu_power_off(to_emu_vcpu(vcpu));
	return 0;
}

GMEM_API int gmem_emu_plan_share(struct gmem_vcpu *vcpu, uint64_t gpa, uint64_t bytes)
{
	int ret;

	ret = check_vcpu(vcpu, __func__);
	if (ret)
		return ret;
	if (!bytes || !gmem_page_aligned(gpa | bytes))
		return gmem_refuse(vcpu->vm->engine, "empty or misaligned range");
	return emu_vcpu_plan_share(to_emu_vcpu(vcpu), gpa >> EMU_PAGE_SHIFT,
				   bytes >> EMU_PAGE_SHIFT);
}

GMEM_API int gmem_emu_set_limit(struct gmem_engine *base, uint32_t limit,
				uint64_t value, uint64_t *used)
{
	struct emu_engine *engine;

	if (!base || base->ops != &gmem_emu_ops)
		return gmem_refuse(base, "not the emu engine");
	engine = to_emu_engine(base);
	switch (limit) {
	case GMEM_EMU_LIMIT_SPLITS:
		WRITE_ONCE(engine->splits_limit, value);
		if (used)
			*used = READ_ONCE(engine->splits);
		return 0;
	case GMEM_EMU_LIMIT_AHEAD:
		WRITE_ONCE(engine->ahead_limit, value / PAGE_SIZE);
		if (used)
			*used = READ_ONCE(engine->ahead) * PAGE_SIZE;
		return 0;
	default:
		return gmem_refuse(base, "no such limit");
	}
}

GMEM_API const char *gmem_emu_guard(const struct gmem_engine *base)
{
	if (!base || base->ops != &gmem_emu_ops)
		return NULL;
	return gmem_container_of(base, const struct emu_engine, engine)->guard->name;
}
