// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * What must be as it was without this feature.
 */
#include <string.h>

#include "env.h"
#include "../../lib/kvm_compat.h"

static int create_flags(struct env *env, uint64_t flags, uint64_t nr_pages)
{
	struct gmem_file_options options = {
		.size = sizeof(options), .bytes = nr_pages * PAGE, .flags = flags,
	};
	struct gmem_file *file;
	int ret;

	ret = gmem_file_create(env->vm, &options, &file);
	if (!ret)
		gmem_file_close(file);
	return ret;
}

TEST(in_place_needs_mmap)
{
	struct env env;

	env_open_vm(&env, variant);
	ASSERT_OK(create_flags(&env, IN_PLACE, 1));
	ASSERT_OK(create_flags(&env, IN_PLACE_SHARED, 1));
	ASSERT_RET(create_flags(&env, GUEST_MEMFD_FLAG_IN_PLACE, 1), -EINVAL);
	ASSERT_RET(create_flags(&env, GUEST_MEMFD_FLAG_IN_PLACE |
				GUEST_MEMFD_FLAG_INIT_SHARED, 1), -EINVAL);
}

TEST(unknown_file_flags_are_refused)
{
	struct env env;

	env_open_vm(&env, variant);
	for (int bit = 3; bit < 64; bit++)
		ASSERT_RET(create_flags(&env, IN_PLACE | 1ull << bit, 1), -EINVAL);
	ASSERT_RET(create_flags(&env, IN_PLACE, 0), -EINVAL);
}

/* 7.3's own selftest creates files with every flag announced here. */
TEST(file_flags_do_not_announce_in_place)
{
	struct gmem_caps caps = { .size = sizeof(caps) };
	struct env env;

	env_open_vm(&env, variant);
	ASSERT_OK(gmem_vm_caps(env.vm, &caps));
	ASSERT(!(caps.file_flags & GUEST_MEMFD_FLAG_IN_PLACE));
}

TEST_WITH(init_shared_alone_is_still_refused, NEEDS_VM_TYPES, 0)
{
	struct env env;

	env_open_vm(&env, variant);
	ASSERT_RET(create_flags(&env, GUEST_MEMFD_FLAG_MMAP |
				GUEST_MEMFD_FLAG_INIT_SHARED, 1), -EINVAL);
	ASSERT_RET(create_flags(&env, GUEST_MEMFD_FLAG_INIT_SHARED, 1), -EINVAL);
}

TEST(file_without_the_flag_does_not_convert)
{
	static const uint64_t flags[] = { 0, GUEST_MEMFD_FLAG_MMAP };
	struct kvm_memory_attributes2_run run;
	struct env env;

	env_open_vm(&env, variant);
	for (int i = 0; i < 2; i++) {
		struct kvm_memory_attributes2 args = { .size = PAGE };

		env.file = new_file(&env, 2, flags[i]);
		ASSERT_RET(gmem_set_memory_attributes2(env.file, &args), -ENOTTY);
		memset(&run, 0, sizeof(run));
		ASSERT_RET(gmem_get_memory_attributes2(env.file, &run), -ENOTTY);
		args.size = 1;
		ASSERT_RET(gmem_set_memory_attributes2(env.file, &args), -ENOTTY);
		gmem_file_close(env.file);
	}
}

/* A mappable file of a VM with private memory: mapped, and never reachable. */
TEST(file_without_the_flag_stays_private)
{
	struct env env;

	env_open_vm(&env, variant);
	env.nr_pages = 2;
	env.file = new_file(&env, 2, GUEST_MEMFD_FLAG_MMAP);
	ASSERT_OK(gmem_file_map(env.file, 0, 2 * PAGE, (void **)&env.memory));
	ASSERT_HOST_REFUSED(&env, 0);
	ASSERT_HOST_REFUSED(&env, 1);
}

static void open_ordinary_vm(struct env *env, const struct variant *variant)
{
	static struct variant ordinary;

	ordinary = *variant;
	ordinary.platform = GMEM_VM_DEFAULT;
	ordinary.guest_asks = false;
	env_open_vm(env, &ordinary);
}

/* A file that is all shared, and stays so. */
static void check_stock_file(struct env *env)
{
	struct kvm_memory_attributes2 args = { .size = PAGE };
	void *memory;

	env->nr_pages = 2;
	env->file = new_file(env, 2, GUEST_MEMFD_FLAG_MMAP |
			     GUEST_MEMFD_FLAG_INIT_SHARED);
	ASSERT_OK(gmem_file_map(env->file, 0, 2 * PAGE, &memory));
	env->memory = memory;
	ASSERT_OK(bind_slot(env, TEST_SLOT, TEST_GPA, 2, env->file, 0));
	host_fill(env, 0, 2, 0x100);
	ASSERT_GUEST_READS(env, 0, 2, 0x100);
	ASSERT_RET(gmem_set_memory_attributes2(env->file, &args), -ENOTTY);
}

/* An ordinary VM has no private memory to convert. */
TEST_WITH(ordinary_vm_has_no_in_place_conversion, NEEDS_VM_TYPES, 0)
{
	struct gmem_caps caps = { .size = sizeof(caps) };
	struct env env;

	open_ordinary_vm(&env, variant);
	ASSERT_OK(gmem_vm_caps(env.vm, &caps));
	ASSERT(!caps.convert);
	ASSERT_EQ(caps.attributes, 0);
	ASSERT_EQ(caps.to_shared | caps.to_private, 0);
	ASSERT_RET(create_flags(&env, IN_PLACE, 1), -EINVAL);
	ASSERT_RET(create_flags(&env, IN_PLACE_SHARED, 1), -EINVAL);
	/* What it could do, it can. */
	check_stock_file(&env);
}

/* Or it has, in files that convert and in no others. */
TEST_WITH(ordinary_vm_converts_in_place, NEEDS_ANY_VM, 0)
{
	struct gmem_caps caps = { .size = sizeof(caps) };
	struct env env;

	open_ordinary_vm(&env, variant);
	ASSERT_OK(gmem_vm_caps(env.vm, &caps));
	ASSERT(caps.convert);
	ASSERT_EQ(caps.attributes, PRIVATE);
	ASSERT_EQ(caps.to_shared, 1u << ZERO | 1u << READABLE | 1u << DESTROY);
	ASSERT_EQ(caps.to_private, caps.to_shared);
	check_stock_file(&env);

	open_ordinary_vm(&env, variant);
	env_open_file(&env, 2, IN_PLACE);
	ASSERT_OK(bind_slot(&env, TEST_SLOT, TEST_GPA, 2, env.file, 0));
	guest_fill(&env, 0, 2, 0x100);
	ASSERT_HOST_REFUSED(&env, 1);
	ASSERT_OK(convert(&env, 1, 1, SHARED, READABLE));
	ASSERT_HOST_REFUSED(&env, 0);
	ASSERT_HOST_READS(&env, 1, 1, 0x100 + WORDS);
}

/* A file belongs to the VM that made it. */
TEST(file_of_another_vm_is_refused)
{
	struct gmem_slot_options slot = {
		.size = sizeof(slot), .gpa = TEST_GPA, .bytes = PAGE,
	};
	struct env env, other;

	env_open_vm(&env, variant);
	env_open_vm(&other, variant);
	slot.file = new_file(&env, 1, IN_PLACE);
	ASSERT_RET(gmem_slot_set(other.vm, &slot), -EINVAL);
	ASSERT_OK(gmem_slot_set(env.vm, &slot));
}

/* Misuse of the library is answered, too. */
TEST(library_refuses_misuse)
{
	struct gmem_vm_options vm_options = {
		.size = sizeof(vm_options), .platform = GMEM_VM_NR_PLATFORMS,
	};
	struct gmem_caps caps = { .size = 1 };
	struct gmem_guest_cmd cmd = { .op = GMEM_GUEST_NR_OPS };
	struct gmem_vcpu *vcpu;
	struct gmem_exit exit;
	struct gmem_vm *vm;
	struct env env;

	env_open(&env, variant, 1, IN_PLACE);
	ASSERT_RET(gmem_vm_create(env.engine, &vm_options, &vm), -EINVAL);
	ASSERT_RET(gmem_vm_create(NULL, NULL, &vm), -EINVAL);
	ASSERT_RET(gmem_vm_caps(env.vm, &caps), -EINVAL);
	ASSERT_RET(gmem_set_memory_attributes2(NULL, NULL), -EINVAL);
	ASSERT_RET(bind_slot(&env, TEST_SLOT, 2 * TEST_GPA, 1, env.file, 0),
		   -EEXIST);
	ASSERT_RET(bind_slot(&env, GMEM_SLOT_RESERVED, TEST_GPA, 1, env.file, 0),
		   -EINVAL);
	ASSERT_RET(gmem_slot_delete(env.vm, 77), -ENOENT);
	ASSERT_RET(gmem_guest_setup(env.vm), -EEXIST);

	vcpu = env_vcpu(&env, 0);
	ASSERT_RET(gmem_guest_start(vcpu, &cmd, 0, 1), -EINVAL);
	ASSERT_RET(gmem_guest_start(vcpu, NULL, 1, 1), -EINVAL);
	ASSERT_RET(gmem_vcpu_complete_hypercall(vcpu, 0), -EINVAL);
	ASSERT_RET(gmem_guest_exec(vcpu, &cmd, 1, 0, &exit), -EINVAL);
	ASSERT_RET(gmem_vcpu_serve_hypercall(vcpu, &exit, ZERO), -EINVAL);
	cmd.op = GMEM_GUEST_NOP;
	ASSERT_OK(gmem_guest_exec(vcpu, &cmd, 1, 0, &exit));
}
