// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The guest's request and the VMM's part in it, step by step: see asking.h.
 */
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <linux/kvm.h>

#include <gmem/emu.h>
#include "asking.h"

struct gmem_guest_cmd convert_cmd(uint64_t page, uint64_t nr, uint64_t attributes)
{
	return (struct gmem_guest_cmd){
		.op = attributes & PRIVATE ? GMEM_GUEST_UNSHARE : GMEM_GUEST_SHARE,
		.addr = gpa_of(page), .size = nr * PAGE,
	};
}

unsigned int run_list(struct gmem_vcpu *vcpu, struct gmem_exit *exit)
{
	unsigned int interruptions = 0;

	do {
		ASSERT_OK(gmem_vcpu_run(vcpu, exit));
		interruptions += exit->reason == KVM_EXIT_INTR;
	} while (exit->reason == KVM_EXIT_INTR ||
		 (exit->reason == GMEM_EXIT_GUEST_DONE &&
		  gmem_guest_finish(vcpu, NULL, 0, NULL) == -EBUSY));

	return interruptions;
}

static void check_request(const struct gmem_exit *exit, uint64_t page, uint64_t nr,
			  uint64_t attributes)
{
	ASSERT_EQ(exit->reason, KVM_EXIT_HYPERCALL);
	ASSERT_EQ(exit->hypercall.nr, KVM_HC_MAP_GPA_RANGE);
	ASSERT_EQ(exit->hypercall.args[0], gpa_of(page));
	ASSERT_EQ(exit->hypercall.args[1], nr);
	ASSERT_EQ(!!(exit->hypercall.args[2] & 1u << 4), attributes == PRIVATE);
}

struct gmem_exit ask_part(struct env *env, unsigned int id, uint64_t page, uint64_t nr,
			  uint64_t attributes, uint64_t part)
{
	struct gmem_guest_cmd cmd = convert_cmd(page, nr, attributes);
	struct gmem_vcpu *vcpu = env_vcpu(env, id);
	struct gmem_exit exit;

	ASSERT_OK(gmem_guest_start(vcpu, &cmd, 1, 1));
	run_list(vcpu, &exit);
	check_request(&exit, page, part, attributes);
	return exit;
}

void ask_share(struct env *env, unsigned int id, uint64_t page, uint64_t nr)
{
	ask_part(env, id, page, nr, SHARED, nr);
}

void ask_unshare(struct env *env, unsigned int id, uint64_t page, uint64_t nr)
{
	ask_part(env, id, page, nr, PRIVATE, nr);
}

void ask_next(struct env *env, unsigned int id, uint64_t page, uint64_t nr,
	      uint64_t attributes)
{
	struct gmem_vcpu *vcpu = env_vcpu(env, id);
	struct gmem_exit exit;

	ASSERT_OK(gmem_vcpu_complete_hypercall(vcpu, 0));
	run_list(vcpu, &exit);
	check_request(&exit, page, nr, attributes);
}

int answer(struct env *env, unsigned int id, int64_t ret, uint64_t *done)
{
	struct gmem_vcpu *vcpu = env_vcpu(env, id);
	struct gmem_guest_cmd cmd;
	struct gmem_exit exit;
	int status;

	do {
		ASSERT_OK(gmem_vcpu_complete_hypercall(vcpu, ret));
		run_list(vcpu, &exit);
	} while (exit.reason == KVM_EXIT_HYPERCALL);
	ASSERT_EQ(exit.reason, GMEM_EXIT_GUEST_DONE);
	status = gmem_guest_finish(vcpu, &cmd, 1, NULL);
	*done = cmd.result;
	return status;
}

int ask_in_vain(struct env *env, unsigned int id, uint64_t page, uint64_t nr,
		uint64_t attributes)
{
	struct gmem_guest_cmd cmd = convert_cmd(page, nr, attributes);
	struct gmem_vcpu *vcpu = env_vcpu(env, id);
	struct gmem_exit exit;

	ASSERT_OK(gmem_guest_start(vcpu, &cmd, 1, 1));
	run_list(vcpu, &exit);
	ASSERT_EQ(exit.reason, GMEM_EXIT_GUEST_DONE);
	return gmem_guest_finish(vcpu, NULL, 0, NULL);
}

int add_ordinary_memory(struct env *env, uint32_t id, uint64_t gpa, uint64_t nr,
			void **at)
{
	struct gmem_slot_options slot = {
		.size = sizeof(slot), .id = id, .gpa = gpa, .bytes = nr * PAGE,
	};

	*at = mmap(NULL, slot.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		   -1, 0);
	ASSERT(*at != MAP_FAILED);
	slot.userspace_addr = *at;
	return gmem_slot_set(env->vm, &slot);
}

#ifdef __aarch64__
#define CODE_SLOT	9
#define CODE_GPA	0xc0000000ull

int access_register(struct gmem_vcpu *vcpu, unsigned long request, uint64_t id,
		    uint64_t *value)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)value };

	return ioctl(gmem_vcpu_fd(vcpu), request, &reg) ? -errno : 0;
}

/* Memory that holds nothing but a hypercall, and an endless loop behind it. */
static void add_code(struct env *env)
{
	static const uint32_t code[] = { 0xd4000002, 0x14000000 };
	void *at;
	int ret;

	ret = add_ordinary_memory(env, CODE_SLOT, CODE_GPA, 1, &at);
	if (ret == -EEXIST)
		return;
	ASSERT_OK(ret);
	memcpy(at, code, sizeof(code));
}

static int plan_registers(struct env *env, unsigned int id, uint64_t page, uint64_t nr)
{
	struct {
		uint64_t id;
		uint64_t value;
	} plan[] = {
		{ CORE_REG(regs[0]), MEM_SHARE },
		{ CORE_REG(regs[1]), gpa_of(page) },
		{ CORE_REG(regs[2]), nr },
		{ CORE_REG(regs[3]), 0 },
		{ CORE_REG(pc), CODE_GPA },
	};

	int ret = 0;

	add_code(env);
	for (size_t i = 0; i < sizeof(plan) / sizeof(plan[0]) && !ret; i++)
		ret = access_register(env->vcpus[id], KVM_SET_ONE_REG, plan[i].id,
				      &plan[i].value);
	return ret;
}
#else
static int plan_registers(struct env *env, unsigned int id, uint64_t page, uint64_t nr)
{
	(void)env;
	(void)id;
	(void)page;
	(void)nr;
	return -EOPNOTSUPP;
}
#endif

int plan_share(struct env *env, unsigned int id, uint64_t page, uint64_t nr)
{
	if (env->variant->kernel)
		return plan_registers(env, id, page, nr);
	return gmem_emu_plan_share(env->vcpus[id], gpa_of(page), nr * PAGE);
}

int set_mp_state(struct env *env, unsigned int id, uint32_t value)
{
	struct kvm_mp_state state = { .mp_state = value };

	return ioctl(gmem_vcpu_fd(env->vcpus[id]), KVM_SET_MP_STATE, &state) ? -errno : 0;
}

void power_off(struct env *env, unsigned int id)
{
	if (env->variant->kernel)
		ASSERT_OK(set_mp_state(env, id, KVM_MP_STATE_STOPPED));
	else
		ASSERT_OK(gmem_emu_power_off(env->vcpus[id]));
}

int power_on(struct env *env, unsigned int by, unsigned int id)
{
	struct gmem_guest_cmd cmd = { .op = GMEM_GUEST_POWER_ON, .value = id };

	return gmem_guest_exec(env_vcpu(env, by), &cmd, 1, 0, NULL);
}

int vmm(struct env *env, uint64_t page, uint64_t nr, uint64_t attributes,
	uint32_t policy)
{
	return gmem_file_convert(env->file, page * PAGE, nr * PAGE, attributes, policy,
				 NULL);
}

void run_guest_once(struct env *env)
{
	struct gmem_guest_cmd cmd = { .op = GMEM_GUEST_NOP };

	ASSERT_OK(gmem_guest_exec(env_vcpu(env, 0), &cmd, 1, 0, NULL));
}

void refuse_all(struct env *env, uint64_t page, uint64_t nr)
{
	static const uint32_t policies[] = { ZERO, READABLE, DESTROY };

	for (int i = 0; i < 6; i++)
		ASSERT_RET(vmm(env, page, nr, i & 1 ? PRIVATE : SHARED,
			       policies[i / 2]), -EPERM);
}
