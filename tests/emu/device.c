// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The calls of <gmem/emu.h>, and misuse of the engine.
 */
#include <signal.h>
#include <string.h>

#include <gmem/emu.h>
#include "../conformance/env.h"

static int convert_error(struct env *env, uint64_t page, uint64_t nr, uint32_t policy,
			 uint64_t *error_page)
{
	struct kvm_memory_attributes2 args = {
		.offset = page * PAGE, .size = nr * PAGE, .attributes = PRIVATE,
		.content_policy = policy,
	};
	int ret = gmem_set_memory_attributes2(env->file, &args);

	*error_page = args.error_offset / PAGE;
	return ret;
}

TEST(pins_count)
{
	uint64_t error_page;
	struct env env;

	env_open(&env, variant, 8, IN_PLACE_SHARED);
	ASSERT_OK(gmem_emu_pin(env.file, 2 * PAGE, 3 * PAGE));
	ASSERT_OK(gmem_emu_pin(env.file, 2 * PAGE, 3 * PAGE));
	ASSERT_OK(gmem_emu_pin(env.file, 4 * PAGE, 4 * PAGE));
	ASSERT_RET(convert_error(&env, 0, 8, ZERO, &error_page), -EAGAIN);
	ASSERT_EQ(error_page, 2);
	ASSERT_OK(gmem_emu_unpin(env.file, 2 * PAGE, 3 * PAGE));
	ASSERT_RET(convert_error(&env, 3, 5, ZERO, &error_page), -EAGAIN);
	ASSERT_EQ(error_page, 3);
	ASSERT_OK(gmem_emu_unpin(env.file, 2 * PAGE, 3 * PAGE));
	ASSERT_RET(convert_error(&env, 0, 8, ZERO, &error_page), -EAGAIN);
	ASSERT_EQ(error_page, 4);
	ASSERT_RET(gmem_emu_unpin(env.file, 2 * PAGE, 3 * PAGE), -EINVAL);
	ASSERT_RET(gmem_emu_unpin(env.file, 4 * PAGE, PAGE), -EINVAL);
	ASSERT_OK(gmem_emu_unpin(env.file, 4 * PAGE, 4 * PAGE));
	ASSERT_OK(convert_error(&env, 0, 8, ZERO, &error_page));
	ASSERT_RET(gmem_emu_pin(env.file, 0, PAGE), -EFAULT);
}

/* A refusal is invisible to a host thread in the middle of the range. */
TEST(refused_conversion_does_not_disturb_the_host)
{
	uint64_t error_page;
	struct env env;

	env_open(&env, variant, 2048, IN_PLACE_SHARED);
	host_fill(&env, 0, 4, 0x100);
	ASSERT_OK(gmem_emu_pin(env.file, 2047 * PAGE, PAGE));
	ASSERT_RET(convert_error(&env, 0, 2048, ZERO, &error_page), -EAGAIN);
	ASSERT_EQ(error_page, 2047);
	ASSERT_HOST_READS(&env, 0, 4, 0x100);
	ASSERT_HOST_ZEROS(&env, 1000, 1);
}

TEST(poisoned_page_refuses_and_kills_only_its_reader)
{
	struct gmem_guest_cmd cmd = {
		.op = GMEM_GUEST_LOAD, .addr = gpa_of(5), .size = 8,
	};
	struct gmem_exit exit = { 0 };
	uint64_t error_page;
	struct env env;

	env_open(&env, variant, 8, IN_PLACE_SHARED);
	host_fill(&env, 0, 8, 0x100);
	ASSERT_OK(gmem_emu_poison(env.file, 5 * PAGE, PAGE));
	ASSERT_HOST_REFUSED(&env, 5);
	ASSERT_HOST_READS(&env, 0, 5, 0x100);
	ASSERT_HOST_READS(&env, 6, 2, 0x100 + 6 * WORDS);
	ASSERT_RET(gmem_guest_exec(env_vcpu(&env, 0), &cmd, 1, 0, &exit), -EHWPOISON);
	ASSERT_EQ(exit.memory_fault.gpa, gpa_of(5));
	ASSERT_OK(gmem_guest_abort(env_vcpu(&env, 0)));

	ASSERT_RET(convert_error(&env, 0, 8, ZERO, &error_page), -EHWPOISON);
	ASSERT_EQ(error_page, 5);
	ASSERT_RET(convert_error(&env, 4, 4, keep_policy(&env), &error_page),
		   -EHWPOISON);
	ASSERT_EQ(error_page, 5);
	ASSERT_OK(gmem_emu_pin(env.file, 2 * PAGE, PAGE));
	ASSERT_RET(convert_error(&env, 0, 8, ZERO, &error_page), -EAGAIN);
	ASSERT_EQ(error_page, 2);
	ASSERT_OK(gmem_emu_unpin(env.file, 2 * PAGE, PAGE));
	ASSERT_STATE(&env, "ssssssss");

	ASSERT_OK(convert_error(&env, 0, 8, DESTROY, &error_page));
	ASSERT_OK(convert(&env, 0, 8, SHARED, ZERO));
	ASSERT_HOST_ZEROS(&env, 0, 8);
}

TEST(failed_poison_leaves_earlier_poison)
{
	struct env env;

	env_open(&env, variant, 64, IN_PLACE_SHARED);
	ASSERT_OK(gmem_emu_poison(env.file, PAGE, PAGE));
	for (long steps = 0;; steps++) {
		int ret;

		gmem_emu_fail_after(steps);
		ret = gmem_emu_poison(env.file, 0, 64 * PAGE);
		gmem_emu_fail_after(-1);
		ASSERT_HOST_REFUSED(&env, 1);
		if (!ret)
			break;
		ASSERT_RET(ret, -ENOMEM);
		ASSERT_HOST_ZEROS(&env, 2, 2);
	}
	ASSERT_HOST_REFUSED(&env, 63);
}

TEST(hole_cures_poison)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE_SHARED);
	ASSERT_OK(gmem_emu_poison(env.file, PAGE, 2 * PAGE));
	ASSERT_HOST_REFUSED(&env, 2);
	ASSERT_OK(gmem_file_punch_hole(env.file, PAGE, PAGE));
	ASSERT_HOST_ZEROS(&env, 1, 1);
	ASSERT_HOST_REFUSED(&env, 2);
}

/* Of all platforms, SW_PROTECTED_VM has nothing but guest_memfd to protect it. */
TEST(lying_host_reads_what_only_guest_memfd_protects)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	guest_fill(&env, 0, 4, 0x100);
	ASSERT_HOST_REFUSED(&env, 1);
	ASSERT_OK(gmem_emu_force_attributes(env.file, PAGE, 2 * PAGE, SHARED));
	ASSERT_STATE(&env, "pssp");
	if (variant->platform == GMEM_VM_SW)
		ASSERT_HOST_READS(&env, 1, 2, 0x100 + WORDS);
	else
		ASSERT_HOST_REFUSED(&env, 1);
	ASSERT_HOST_REFUSED(&env, 0);
	ASSERT_OK(gmem_emu_force_attributes(env.file, 0, 4 * PAGE, PRIVATE));
	ASSERT_STATE(&env, "pppp");
	ASSERT_HOST_REFUSED(&env, 1);
	ASSERT_GUEST_READS(&env, 0, 4, 0x100);
}

TEST(only_pkvms_vcpus_are_powered)
{
	struct gmem_guest_cmd on = { .op = GMEM_GUEST_POWER_ON, .value = 1 };
	struct env env;

	if (variant->guest_asks)
		SKIP("the platform has it");
	env_open(&env, variant, 1, IN_PLACE);
	ASSERT_RET(gmem_guest_exec(env_vcpu(&env, 0), &on, 1, 0, NULL), -EOPNOTSUPP);
	ASSERT_RET(gmem_emu_power_off(env_vcpu(&env, 0)), -EOPNOTSUPP);
	ASSERT_RET(gmem_emu_plan_share(env_vcpu(&env, 0), gpa_of(0), PAGE), -EOPNOTSUPP);
	ASSERT_RET(gmem_emu_plan_share(NULL, gpa_of(0), PAGE), -EINVAL);
	ASSERT_RET(gmem_emu_power_off(NULL), -EINVAL);
}

TEST(engine_refuses_misuse)
{
	struct gmem_engine_options options = { .size = sizeof(options), .kind = 99 };
	struct gmem_file_options huge = {
		.size = sizeof(huge), .bytes = 1ull << 62, .flags = IN_PLACE,
	};
	struct gmem_engine *engine;
	struct gmem_file *file;
	struct gmem_vcpu *vcpu;
	struct gmem_exit exit;
	struct gmem_vm *vm;
	struct env env;
	void *addr;

	ASSERT_RET(gmem_engine_open(&options, &engine), -EINVAL);
	ASSERT_RET(gmem_emu_pin(NULL, 0, PAGE), -EINVAL);
	ASSERT_RET(gmem_emu_set_property(NULL, 0, 0), -EINVAL);
	ASSERT_RET(gmem_emu_set_limit(NULL, 0, 0, NULL), -EINVAL);
	ASSERT(!gmem_emu_guard(NULL));

	env_open(&env, variant, 2, IN_PLACE);
	ASSERT(!strcmp(gmem_engine_name(env.engine), "emu"));
	ASSERT_RET(gmem_vm_fd(env.vm), -EOPNOTSUPP);
	ASSERT_RET(gmem_file_fd(env.file), -EOPNOTSUPP);
	ASSERT_RET(gmem_file_create(env.vm, &huge, &file), -EINVAL);
	ASSERT_RET(gmem_file_map(env.file, 0, 3 * PAGE, &addr), -EINVAL);
	ASSERT_RET(gmem_file_map(env.file, -PAGE, 2 * PAGE, &addr), -EINVAL);
	ASSERT_RET(gmem_file_unmap(env.file, &env, PAGE), -EINVAL);
	ASSERT_RET(gmem_file_unmap(env.file, env.memory, PAGE), -EINVAL);
	ASSERT_RET(gmem_emu_pin(env.file, 0, 3 * PAGE), -EINVAL);
	ASSERT_RET(gmem_emu_pin(env.file, 1, PAGE), -EINVAL);
	ASSERT_RET(gmem_emu_pin(env.file, -PAGE, 2 * PAGE), -EINVAL);
	ASSERT_RET(gmem_emu_poison(env.file, 0, 0), -EINVAL);
	ASSERT_RET(gmem_emu_force_attributes(env.file, 0, PAGE, 1), -EINVAL);
	ASSERT_RET(gmem_emu_set_property(env.vm, 77, 1), -EOPNOTSUPP);
	ASSERT_RET(gmem_emu_set_limit(env.engine, 77, 1, NULL), -EINVAL);
	ASSERT_RET(gmem_set_memory_attributes2(env.file, NULL), -EFAULT);
	ASSERT_RET(gmem_get_memory_attributes2(env.file, NULL), -EFAULT);
	ASSERT_RET(gmem_file_punch_hole(env.file, 0, 0), -EINVAL);
	ASSERT_OK(gmem_file_punch_hole(env.file, 0, 1ull << 40));

	ASSERT_RET(gmem_vcpu_create(env.vm, 1u << 20, &vcpu), -EINVAL);
	ASSERT_RET(gmem_vcpu_fd(env_vcpu(&env, 0)), -EOPNOTSUPP);
	ASSERT_RET(gmem_vcpu_create(env.vm, 0, &vcpu), -EEXIST);
	/* A vCPU lives as long as the VM. */
	ASSERT_OK(gmem_vcpu_create(env.vm, 5, &vcpu));
	gmem_vcpu_destroy(vcpu);
	ASSERT_RET(gmem_vcpu_create(env.vm, 5, &vcpu), -EEXIST);

	ASSERT_OK(gmem_vm_create(env.engine, NULL, &vm));
	ASSERT_OK(gmem_vcpu_create(vm, 0, &vcpu));
	ASSERT_RET(gmem_vcpu_run(vcpu, &exit), -ENOEXEC);
	gmem_vcpu_destroy(vcpu);
	gmem_vm_destroy(vm);
}
