// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The guest's request and the VMM's part in it, step by step: see asking.h.
 */
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

void ask(struct env *env, unsigned int id, uint64_t page, uint64_t nr,
	 uint64_t attributes, struct gmem_exit *exit)
{
	struct gmem_guest_cmd cmd = convert_cmd(page, nr, attributes);
	struct gmem_vcpu *vcpu = env_vcpu(env, id);

	ASSERT_OK(gmem_guest_start(vcpu, &cmd, 1, 1));
	run_list(vcpu, exit);
	ASSERT_EQ(exit->reason, KVM_EXIT_HYPERCALL);
	ASSERT_EQ(exit->hypercall.nr, KVM_HC_MAP_GPA_RANGE);
	ASSERT_EQ(exit->hypercall.args[0], gpa_of(page));
	ASSERT_EQ(exit->hypercall.args[1], nr);
	ASSERT_EQ(!!(exit->hypercall.args[2] & 1u << 4), attributes == PRIVATE);
}

void ask_share(struct env *env, unsigned int id, uint64_t page, uint64_t nr)
{
	struct gmem_exit exit;

	ask(env, id, page, nr, SHARED, &exit);
}

void ask_unshare(struct env *env, unsigned int id, uint64_t page, uint64_t nr)
{
	struct gmem_exit exit;

	ask(env, id, page, nr, PRIVATE, &exit);
}

int answer(struct env *env, unsigned int id, int64_t ret, uint64_t *done)
{
	struct gmem_vcpu *vcpu = env_vcpu(env, id);
	struct gmem_guest_cmd cmd;
	struct gmem_exit exit;
	int status;

	ASSERT_OK(gmem_vcpu_complete_hypercall(vcpu, ret));
	run_list(vcpu, &exit);
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
