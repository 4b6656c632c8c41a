// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The emu engine: opening it, choosing a guard, capabilities, VMs.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "emu.h"

/* vm.max_map_count where it cannot be read, and our part of it. */
#define DEFAULT_MAP_COUNT	65530
#define SPLITS_PART		2

/* Memory populated ahead: a part of what is free, and no more than this. */
#define AHEAD_PART		8
#define AHEAD_MOST		(1ull << 30)

static u64 read_number(const char *path, const char *format, u64 otherwise)
{
	unsigned long long number;
	u64 result = otherwise;
	char line[128];
	FILE *file;

	file = fopen(path, "re");
	if (!file)
		return result;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, format, &number) == 1) {
			result = number;
			break;
		}
	}
	fclose(file);
	return result;
}

static bool machine_swaps(void)
{
	/* Below the heading each line tells of a swap area and its size. */
	return read_number("/proc/swaps", "%*s %*s %llu", 0) != 0;
}

static void set_limits(struct emu_engine *engine)
{
	u64 maps = read_number("/proc/sys/vm/max_map_count", "%llu",
			       DEFAULT_MAP_COUNT);
	u64 free_kib = read_number("/proc/meminfo", "MemAvailable: %llu kB",
				   AHEAD_MOST / 1024);

	engine->splits_limit = maps / SPLITS_PART;
	engine->ahead_limit = min(free_kib * 1024 / AHEAD_PART, AHEAD_MOST) /
			      PAGE_SIZE;
}

int emu_guard_open(struct emu_engine *engine)
{
	const char *wish = getenv("GMEM_EMU_GUARD");
	int ret;

	engine->uffd = -1;
	engine->guard = &emu_guard_uffd;
	if (wish && !strcmp(wish, emu_guard_mprotect.name)) {
		engine->guard = &emu_guard_mprotect;
	} else {
		ret = emu_uffd_open(engine);
		if (ret) {
			gmem_log(&engine->engine, GMEM_LOG_INFO,
				 "emu: no userfaultfd (%s): private memory is kept from "
				 "the host by mprotect, which limits the number of "
				 "private and shared runs", strerror(-ret));
			engine->guard = &emu_guard_mprotect;
		}
	}
	if (engine->guard == &emu_guard_mprotect)
		return emu_sigsegv_install();
	/* A page that was swapped out has no PTE either. */
	if (machine_swaps())
		emu_lazy_enable(engine, "this machine has swap space");
	emu_lazy_report(engine);
	return 0;
}

void emu_guard_close(struct emu_engine *engine)
{
	/* Closing would open every mapping that the VMM has left. */
	if (engine->uffd >= 0 && !engine->abandoned)
		close(engine->uffd);
}

static int emu_open(const struct gmem_engine_options *options,
		    struct gmem_engine **enginep)
{
	struct emu_engine *engine;
	int ret;

	engine = calloc(1, sizeof(*engine));
	if (!engine)
		return -ENOMEM;
	engine->engine.log = options->log;
	engine->engine.log_opaque = options->log_opaque;

	engine->own_process = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (engine->own_process == MAP_FAILED) {
		ret = -ENOMEM;
		goto err_free;
	}
	if (madvise(engine->own_process, PAGE_SIZE, MADV_WIPEONFORK)) {
		ret = -errno;
		goto err_unmap;
	}
	*engine->own_process = 1;

	set_limits(engine);
	ret = emu_guard_open(engine);
	if (ret)
		goto err_unmap;
	*enginep = &engine->engine;
	return 0;

err_unmap:
	munmap(engine->own_process, PAGE_SIZE);
err_free:
	free(engine);
	return ret;
}

static void emu_close(struct gmem_engine *base)
{
	struct emu_engine *engine = to_emu_engine(base);

	emu_guard_close(engine);
	munmap(engine->own_process, PAGE_SIZE);
	free(engine);
}

static u32 policy_caps(const struct emu_platform_ops *ops, struct emu_vm *vm)
{
	if (!ops->private_memory)
		return 0;
	return vm && ops->policy_caps ? ops->policy_caps(vm) :
	       gmem_policy_caps(ops->policies);
}

static int emu_caps(struct gmem_engine *engine, struct gmem_vm *vm, u32 platform,
		    struct gmem_caps *caps)
{
	const u32 scrubs = 1u << KVM_GMEM_POLICY_ZERO_ONLY_SCRUBS;
	const struct emu_platform_ops *ops = emu_platform(platform);
	u32 policies, to_shared, to_private;

	(void)engine;
	if (!ops)
		return 0;
	policies = policy_caps(ops, vm ? to_emu_vm(vm) : NULL);
	to_shared = policies >> KVM_GMEM_POLICY_TO_SHARED_SHIFT & 0xffff;
	to_private = policies >> KVM_GMEM_POLICY_TO_PRIVATE_SHIFT & 0xffff;

	caps->vm_available = true;
	caps->guest_memfd = true;
	caps->file_flags = GUEST_MEMFD_FLAG_MMAP;
	if (ops->private_memory) {
		caps->attributes = KVM_MEMORY_ATTRIBUTE_PRIVATE;
		caps->vm_attributes = KVM_MEMORY_ATTRIBUTE_PRIVATE;
	} else {
		caps->file_flags |= GUEST_MEMFD_FLAG_INIT_SHARED;
	}
	caps->scrubs_to_shared = to_shared & scrubs;
	caps->scrubs_to_private = to_private & scrubs;
	caps->to_shared = to_shared & (scrubs - 1);
	caps->to_private = to_private & (scrubs - 1);
	return 0;
}

static int emu_vm_create(struct gmem_engine *base,
			 const struct gmem_vm_options *options,
			 struct gmem_vm **vmp)
{
	const struct emu_platform_ops *ops = emu_platform(options->platform);
	struct emu_vm *vm;
	int ret;

	if (!ops)
		return -EOPNOTSUPP;
	if (!emu_own_process(to_emu_engine(base)))
		return -EIO;
	vm = emu_fail_now() ? NULL : calloc(1, sizeof(*vm));
	if (!vm)
		return -ENOMEM;
	vm->engine = to_emu_engine(base);
	vm->ops = ops;
	ret = ops->vm_create ? ops->vm_create(vm) : 0;
	if (ret) {
		free(vm);
		return ret;
	}
	pthread_mutex_init(&vm->slots_lock, NULL);
	pthread_mutex_init(&vm->vcpus_lock, NULL);
	pthread_mutex_init(&vm->wait_lock, NULL);
	pthread_cond_init(&vm->inv_done, NULL);
	*vmp = &vm->vm;
	return 0;
}

static void emu_vm_destroy(struct gmem_vm *base)
{
	struct emu_vm *vm = to_emu_vm(base);

	for (u32 i = 0; i < vm->nr_vcpus; i++)
		emu_vcpu_free(vm->vcpus[i]);
	if (vm->ops->vm_destroy)
		vm->ops->vm_destroy(vm);
	gmem_attr_map_destroy(vm->attributes);
	free(vm->slots);
	pthread_mutex_destroy(&vm->slots_lock);
	pthread_mutex_destroy(&vm->vcpus_lock);
	pthread_mutex_destroy(&vm->wait_lock);
	pthread_cond_destroy(&vm->inv_done);
	free(vm);
}

static int emu_vm_fd(struct gmem_vm *vm)
{
	(void)vm;
	return -EOPNOTSUPP;
}

static int emu_guest_prepare(struct gmem_vm *vm, void *memory)
{
	(void)vm;
	(void)memory;
	return 0;
}

const struct gmem_engine_ops gmem_emu_ops = {
	.name = "emu",
	.open = emu_open,
	.close = emu_close,
	.caps = emu_caps,
	.vm_create = emu_vm_create,
	.vm_destroy = emu_vm_destroy,
	.vm_fd = emu_vm_fd,
	.vm_set_memory_attributes = emu_vm_set_memory_attributes,
	.file_create = emu_file_create,
	.file_close = emu_file_close,
	.file_fd = emu_file_fd,
	.file_map = emu_file_map,
	.file_unmap = emu_file_unmap,
	.file_punch_hole = emu_file_punch_hole,
	.file_set_attributes = emu_file_set_attributes,
	.file_get_attributes = emu_file_get_attributes,
	.file_load = emu_file_load,
	.slot_set = emu_slot_set,
	.slot_delete = emu_slot_delete,
	.vcpu_create = emu_vcpu_create,
	.vcpu_destroy = emu_vcpu_release,
	.vcpu_fd = emu_vcpu_fd,
	.vcpu_run = emu_vcpu_run,
	.vcpu_complete_hypercall = emu_vcpu_complete_hypercall,
	.guest_prepare = emu_guest_prepare,
	.guest_enter = emu_guest_enter,
};
