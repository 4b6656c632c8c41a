// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Objects that are somebody else's: a VMM runs a vCPU by itself, and lends its
 * descriptors for what concerns conversions.  The VMM is played by the tests' own VM.
 */
#include <stdint.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "env.h"

#define RUN_BYTES	PAGE

struct lent {
	struct gmem_vm *vm;
	struct gmem_file *file;
	struct gmem_vcpu *vcpu;
	struct kvm_run *run;
};

static void lend(struct env *env, struct lent *lent)
{
	struct gmem_vm_options vm_options = {
		.size = sizeof(vm_options), .platform = env->variant->platform,
	};
	struct gmem_file_options file_options = {
		.size = sizeof(file_options), .flags = IN_PLACE,
	};
	struct gmem_slot_options slot = {
		.size = sizeof(slot), .id = TEST_SLOT, .gpa = TEST_GPA,
		.bytes = env->nr_pages * PAGE,
	};
	int vcpu_fd = gmem_vcpu_fd(env_vcpu(env, 0));

	lent->run = mmap(NULL, RUN_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu_fd, 0);
	ASSERT(lent->run != MAP_FAILED);
	ASSERT_OK(gmem_vm_adopt(env->engine, &vm_options, gmem_vm_fd(env->vm), &lent->vm));
	ASSERT_OK(gmem_file_adopt(lent->vm, &file_options, gmem_file_fd(env->file),
				  &lent->file));
	ASSERT_OK(gmem_vcpu_adopt(lent->vm, 0, vcpu_fd, lent->run, &lent->vcpu));
	slot.file = lent->file;
	ASSERT_OK(gmem_slot_adopt(lent->vm, &slot));
}

static void give_back(struct lent *lent)
{
	gmem_vcpu_destroy(lent->vcpu);
	gmem_file_close(lent->file);
	gmem_vm_destroy(lent->vm);
	munmap(lent->run, RUN_BYTES);
}

/* The VMM's own loop: until the guest asks for a conversion. */
static void run_to_hypercall(struct env *env, const struct lent *lent)
{
	int fd = gmem_vcpu_fd(env_vcpu(env, 0));

	for (int tries = 0; tries < 100; tries++) {
		if (ioctl(fd, KVM_RUN, 0) && errno != EINTR && errno != EAGAIN)
			break;
		if (lent->run->exit_reason == KVM_EXIT_HYPERCALL)
			return;
	}
	ASSERT(!"the guest makes its hypercall");
}

static bool has_descriptors(struct env *env)
{
	struct gmem_vm *vm;

	if (gmem_vm_fd(env->vm) != -EOPNOTSUPP)
		return true;
	ASSERT_RET(gmem_vm_adopt(env->engine, NULL, 0, &vm), -EOPNOTSUPP);
	return false;
}

TEST(lent_vm_and_file_convert)
{
	struct gmem_caps caps = { .size = sizeof(caps) };
	struct gmem_run runs[3];
	size_t nr_runs = 3;
	struct lent lent;
	struct env env;

	env_open(&env, variant, 8, IN_PLACE);
	if (!has_descriptors(&env))
		return;
	lend(&env, &lent);
	ASSERT_OK(gmem_vm_caps(lent.vm, &caps));
	ASSERT_EQ(caps.to_shared, variant->to_shared);
	ASSERT_OK(gmem_file_convert(lent.file, 2 * PAGE, 3 * PAGE, SHARED, ZERO, NULL));
	ASSERT_STATE(&env, "ppsssppp");
	ASSERT_OK(gmem_get_attributes(lent.file, 0, 8 * PAGE, runs, &nr_runs));
	ASSERT_EQ(nr_runs, 3);
	ASSERT_EQ(runs[1].bytes, 3 * PAGE);
	ASSERT_OK(gmem_vm_convert(lent.vm, gpa_of(2), PAGE, PRIVATE, ZERO, NULL));
	ASSERT_STATE(&env, "pppssppp");
	give_back(&lent);

	/* They were lent, and are as they were. */
	ASSERT_OK(convert(&env, 0, 8, SHARED, ZERO));
	ASSERT_HOST_ZEROS(&env, 0, 8);
}

TEST_WITH(hypercall_of_a_lent_vcpu_is_served, NEEDS_HYPERCALL, 0)
{
	struct gmem_guest_cmd cmd = {
		.op = GMEM_GUEST_SHARE, .addr = gpa_of(1), .size = 2 * PAGE,
	};
	struct gmem_exit exit;
	struct lent lent;
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	if (!has_descriptors(&env))
		return;
	guest_fill(&env, 0, 4, 0x100);
	lend(&env, &lent);
	ASSERT_OK(gmem_guest_start(env_vcpu(&env, 0), &cmd, 1, 1));
	run_to_hypercall(&env, &lent);
	ASSERT_OK(gmem_vcpu_serve_hypercall(lent.vcpu, NULL, ZERO));
	ASSERT_STATE(&env, "pssp");
	ASSERT_OK(gmem_vcpu_run(env_vcpu(&env, 0), &exit));
	ASSERT_EQ(exit.reason, GMEM_EXIT_GUEST_DONE);
	ASSERT_OK(gmem_guest_finish(env_vcpu(&env, 0), &cmd, 1, NULL));
	give_back(&lent);
}

TEST(descriptors_of_another_kind_are_refused)
{
	struct gmem_file_options in_place = {
		.size = sizeof(in_place), .flags = IN_PLACE,
	};
	struct gmem_file *file;
	struct gmem_vcpu *vcpu;
	struct kvm_run run;
	struct gmem_vm *vm;
	struct lent lent;
	struct env env;
	int vcpu_fd;

	env_open(&env, variant, 4, IN_PLACE);
	if (!has_descriptors(&env))
		return;
	lend(&env, &lent);
	vcpu_fd = gmem_vcpu_fd(lent.vcpu);
	ASSERT_RET(gmem_vm_adopt(env.engine, NULL, vcpu_fd, &vm), -EINVAL);
	ASSERT_RET(gmem_vm_adopt(env.engine, NULL, gmem_file_fd(lent.file), &vm), -EINVAL);
	ASSERT_RET(gmem_vm_adopt(env.engine, NULL, -1, &vm), -EBADF);
	ASSERT_RET(gmem_file_adopt(lent.vm, &in_place, vcpu_fd, &file), -EINVAL);
	ASSERT_RET(gmem_file_adopt(lent.vm, &in_place, gmem_vm_fd(lent.vm), &file), -EINVAL);
	ASSERT_RET(gmem_vcpu_adopt(lent.vm, 1, gmem_vm_fd(lent.vm), &run, &vcpu), -EINVAL);
	ASSERT_RET(gmem_vcpu_adopt(lent.vm, 1, gmem_file_fd(lent.file), &run, &vcpu),
		   -EINVAL);
	give_back(&lent);
}
