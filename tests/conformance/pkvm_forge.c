// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * A VMM that forges the guest's consent, by KVM's own interfaces.
 */
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <linux/kvm.h>

#include "asking.h"

#define FORGE_TEST(name)	TEST_WITH(name, NEEDS_KERNEL | NEEDS_ASKING, 0)

/* kvm_run informs; nothing is read from it but the VMM's answer. */
FORGE_TEST(forged_kvm_run_makes_no_difference)
{
	struct gmem_guest_cmd cmd = convert_cmd(1, 1, SHARED);
	struct gmem_vcpu *vcpu;
	struct kvm_run *run;
	struct gmem_exit exit;
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	guest_fill(&env, 0, 4, 0x100);
	vcpu = env_vcpu(&env, 0);
	run = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, gmem_vcpu_fd(vcpu), 0);
	ASSERT(run != MAP_FAILED);

	/* It looks as if the guest had asked, and did it never. */
	run->exit_reason = KVM_EXIT_HYPERCALL;
	run->hypercall.nr = KVM_HC_MAP_GPA_RANGE;
	run->hypercall.args[0] = gpa_of(0);
	run->hypercall.args[1] = 4;
	run->hypercall.args[2] = 0;
	refuse_all(&env, 0, 4);

	ASSERT_OK(gmem_guest_start(vcpu, &cmd, 1, 1));
	run_list(vcpu, &exit);
	ASSERT_EQ(exit.reason, KVM_EXIT_HYPERCALL);
	ASSERT_EQ(run->hypercall.args[0], gpa_of(1));
	/* It asks for one thing, and kvm_run says another. */
	run->hypercall.args[0] = gpa_of(0);
	run->hypercall.args[1] = 4;
	refuse_all(&env, 0, 4);
	refuse_all(&env, 0, 1);
	run->hypercall.args[0] = gpa_of(1);
	run->hypercall.args[1] = 1;
	run->hypercall.args[2] = 1 << 4;
	ASSERT_RET(vmm(&env, 1, 1, PRIVATE, READABLE), -EPERM);
	ASSERT_STATE(&env, "pppp");
	ASSERT_OK(vmm(&env, 1, 1, SHARED, READABLE));

	/* On the way back it was another exit, of another range. */
	ASSERT_OK(gmem_vcpu_complete_hypercall(vcpu, 0));
	run->hypercall.args[0] = gpa_of(2);
	run->hypercall.args[1] = 2;
	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.len = 8;
	run->mmio.is_write = 0;
	run_list(vcpu, &exit);
	ASSERT_EQ(exit.reason, GMEM_EXIT_GUEST_DONE);
	ASSERT_OK(gmem_guest_finish(vcpu, &cmd, 1, NULL));
	ASSERT_EQ(cmd.result, 1);
	refuse_all(&env, 0, 4);
	ASSERT_STATE(&env, "pspp");
	ASSERT_HOST_READS(&env, 1, 1, 0x100 + WORDS);
	ASSERT_GUEST_READS(&env, 0, 4, 0x100);
}

#ifdef __aarch64__
/* What it takes to run a hypercall that lies somewhere in the guest's program. */
static const struct {
	uint64_t id;
	uint64_t value;
} forged[] = {
	{ CORE_REG(regs[0]), MEM_SHARE },
	{ CORE_REG(regs[1]), TEST_GPA },
	{ CORE_REG(regs[2]), 2 },
	{ CORE_REG(pc), 0x100000 },
	{ CORE_REG(sp), 0x120000 },
	{ CORE_REG(pstate), 0x3c5 },
	{ ARM64_SYS_REG(3, 0, 12, 0, 0), 0x100000 },	/* VBAR_EL1 */
	{ ARM64_SYS_REG(3, 0, 2, 0, 0), 0x104000 },	/* TTBR0_EL1 */
	{ ARM64_SYS_REG(3, 0, 1, 0, 0), 0 },		/* SCTLR_EL1: the MMU off */
};

#define NR_FORGED	(sizeof(forged) / sizeof(forged[0]))

static void refuse_forgery(struct env *env, unsigned int id)
{
	struct gmem_vcpu *vcpu = env_vcpu(env, id);
	struct kvm_vcpu_init init = { 0 };

	for (size_t i = 0; i < NR_FORGED; i++) {
		uint64_t value = forged[i].value;

		ASSERT_RET(access_register(vcpu, KVM_SET_ONE_REG, forged[i].id, &value),
			   -EPERM);
	}
	ASSERT(!ioctl(gmem_vm_fd(env->vm), KVM_ARM_PREFERRED_TARGET, &init));
	init.features[0] |= 1u << KVM_ARM_VCPU_PSCI_0_2;
	ASSERT(ioctl(gmem_vcpu_fd(vcpu), KVM_ARM_VCPU_INIT, &init) && errno == EPERM);
}

/* With a few registers set, a vCPU would ask for what the guest never wanted. */
FORGE_TEST(vmm_cannot_write_registers)
{
	uint64_t value;
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	/* Until the first run they are its own. */
	for (size_t i = 0; i < NR_FORGED; i++) {
		ASSERT_OK(access_register(env.vcpus[1], KVM_GET_ONE_REG, forged[i].id,
					  &value));
		ASSERT_OK(access_register(env.vcpus[1], KVM_SET_ONE_REG, forged[i].id,
					  &value));
	}

	guest_fill(&env, 0, 4, 0x100);
	refuse_forgery(&env, 0);
	/* Not even of one that has not run: the guest has powered it on. */
	refuse_forgery(&env, 1);
	refuse_all(&env, 0, 4);

	ask_share(&env, 0, 0, 2);
	refuse_forgery(&env, 0);
	refuse_forgery(&env, 1);
	ASSERT_OK(vmm(&env, 0, 2, SHARED, READABLE));
	refuse_forgery(&env, 0);
	ASSERT_ANSWER(&env, 0, 0, 0, 2);
	refuse_all(&env, 0, 4);
	ASSERT_STATE(&env, "sspp");
	ASSERT_GUEST_READS(&env, 0, 4, 0x100);
	/* The other vCPU starts where it was to start. */
	ASSERT_OK(gmem_guest_check(env_vcpu(&env, 1), gpa_of(0), 4 * PAGE, 0x100, 1));
}

/* They may be written, like those of any vCPU that KVM is to start by a reset. */
FORGE_TEST(registers_of_a_vcpu_that_is_off_do_not_survive)
{
	struct kvm_vcpu_init init = { 0 };
	struct gmem_vcpu *vcpu;
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	guest_fill(&env, 0, 4, 0x100);
	vcpu = env_vcpu(&env, 1);
	power_off(&env, 1);
	for (size_t i = 0; i < NR_FORGED; i++) {
		uint64_t value = forged[i].value;

		ASSERT_OK(access_register(vcpu, KVM_SET_ONE_REG, forged[i].id, &value));
	}
	ASSERT(!ioctl(gmem_vm_fd(env.vm), KVM_ARM_PREFERRED_TARGET, &init));
	init.features[0] |= 1u << KVM_ARM_VCPU_PSCI_0_2;
	ASSERT(ioctl(gmem_vcpu_fd(vcpu), KVM_ARM_VCPU_INIT, &init) && errno == EPERM);
	refuse_all(&env, 0, 4);
	ASSERT_OK(power_on(&env, 0, 1));
	refuse_forgery(&env, 1);
	ASSERT_OK(gmem_guest_check(vcpu, gpa_of(0), 4 * PAGE, 0x100, 1));
	refuse_all(&env, 0, 4);
}

FORGE_TEST(vmm_powers_no_vcpu_on)
{
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	/* Before the first run it may, and the guest finds the vCPU off all the same. */
	ASSERT_OK(set_mp_state(&env, 1, KVM_MP_STATE_STOPPED));
	ASSERT_OK(set_mp_state(&env, 1, KVM_MP_STATE_RUNNABLE));
	guest_fill(&env, 0, 2, 0x100);
	for (unsigned int id = 0; id < 2; id++)
		ASSERT_OK(set_mp_state(&env, id, KVM_MP_STATE_RUNNABLE));
	ASSERT_RET(set_mp_state(&env, 0, KVM_MP_STATE_SUSPENDED), -EPERM);
	ASSERT_OK(set_mp_state(&env, 1, KVM_MP_STATE_STOPPED));
	ASSERT_OK(set_mp_state(&env, 1, KVM_MP_STATE_STOPPED));
	ASSERT_RET(set_mp_state(&env, 1, KVM_MP_STATE_RUNNABLE), -EPERM);
	ASSERT_RET(set_mp_state(&env, 1, KVM_MP_STATE_SUSPENDED), -EPERM);
	ASSERT_OK(power_on(&env, 0, 1));
	ASSERT_OK(gmem_guest_check(env_vcpu(&env, 1), gpa_of(0), 2 * PAGE, 0x100, 1));
}
#endif
