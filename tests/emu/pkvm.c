// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * pKVM as emu models it: a host that lies about guest_memfd's state, and one that calls
 * EL2 when it must not.  What any engine's pKVM does is tested in
 * tests/conformance/pkvm_*.c.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <gmem/emu.h>
#include "../conformance/env.h"
#include "el2.h"

static int vmm(struct env *env, uint64_t page, uint64_t nr, uint64_t attributes,
	       uint32_t policy)
{
	return gmem_file_convert(env->file, page * PAGE, nr * PAGE, attributes, policy,
				 NULL);
}

static void lie(struct env *env, uint64_t page, uint64_t nr, uint64_t attributes)
{
	ASSERT_OK(gmem_emu_force_attributes(env->file, page * PAGE, nr * PAGE,
					    attributes));
}

static int guest_shares(struct env *env, uint64_t page, uint64_t nr)
{
	return gmem_guest_share(env_vcpu(env, 0), gpa_of(page), nr * PAGE, READABLE);
}

static int guest_takes(struct env *env, uint64_t page, uint64_t nr, uint32_t policy)
{
	return gmem_guest_unshare(env_vcpu(env, 0), gpa_of(page), nr * PAGE, policy);
}

/* ---- a host that lies ---- */

ASKING_TEST(pkvm_lying_host_gets_a_fault)
{
	char byte = 0x77;
	int pipe_fds[2];
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	guest_fill(&env, 0, 3, 0x100);
	lie(&env, 0, 4, SHARED);
	ASSERT_STATE(&env, "ssss");
	for (uint64_t page = 0; page < 3; page++)
		ASSERT_HOST_REFUSED(&env, page);
	/* The guest never had it. */
	ASSERT_HOST_ZEROS(&env, 3, 1);
	ASSERT_RET(gmem_emu_pin(env.file, 0, PAGE), -EFAULT);
	ASSERT(!pipe(pipe_fds));
	ASSERT(write(pipe_fds[1], addr_of(&env, 1), 1) == -1 && errno == EFAULT);
	ASSERT_EQ(write(pipe_fds[1], &byte, 1), 1);
	ASSERT(read(pipe_fds[0], addr_of(&env, 1), 1) == -1 && errno == EFAULT);
	ASSERT_OK(gmem_guest_check(env_vcpu(&env, 0), gpa_of(0), 3 * PAGE, 0x100, 1));

	/* A mapping made now is no better. */
	ASSERT_OK(gmem_file_unmap(env.file, env.memory, 4 * PAGE));
	ASSERT_OK(gmem_file_map(env.file, 0, 4 * PAGE, (void **)&env.memory));
	ASSERT_HOST_REFUSED(&env, 0);
	ASSERT_HOST_REFUSED(&env, 2);
	lie(&env, 0, 4, PRIVATE);
	ASSERT_GUEST_READS(&env, 0, 3, 0x100);
}

ASKING_TEST(pkvm_share_opens_what_the_host_calls_shared_already)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	guest_fill(&env, 0, 4, 0x100);
	lie(&env, 0, 4, SHARED);
	ASSERT_OK(guest_shares(&env, 1, 2));
	ASSERT_HOST_REFUSED(&env, 0);
	ASSERT_HOST_READS(&env, 1, 2, 0x100 + WORDS);
	ASSERT_HOST_REFUSED(&env, 3);
	ASSERT_OK(guest_takes(&env, 1, 2, READABLE));
	ASSERT_HOST_REFUSED(&env, 1);
	ASSERT_OK(gmem_guest_check(env_vcpu(&env, 0), gpa_of(0), 4 * PAGE, 0x100, 1));
}

/* The guest asks; every step fails in turn until one conversion gets through. */
static void fail_asked(struct env *env, uint64_t attributes)
{
	struct gmem_vcpu *vcpu = env_vcpu(env, 0);
	struct gmem_guest_cmd cmd = {
		.op = attributes ? GMEM_GUEST_UNSHARE : GMEM_GUEST_SHARE,
		.addr = gpa_of(1), .size = 2 * PAGE,
	};
	struct gmem_exit exit;
	bool failed = true;
	long step;

	ASSERT_OK(gmem_guest_start(vcpu, &cmd, 1, 1));
	do {
		ASSERT_OK(gmem_vcpu_run(vcpu, &exit));
	} while (exit.reason != KVM_EXIT_HYPERCALL);
	for (step = 0; failed; step++) {
		int ret;

		ASSERT(step < 100);
		gmem_emu_fail_after(step);
		ret = vmm(env, 1, 2, attributes, READABLE);
		failed = gmem_emu_fail_after(-1) < 0;
		if (!ret)
			break;
		ASSERT(failed);
		ASSERT_STATE(env, attributes ? "pssp" : "pppp");
	}
	ASSERT(step > 2);
	ASSERT_OK(gmem_vcpu_complete_hypercall(vcpu, 0));
	do {
		ASSERT_OK(gmem_vcpu_run(vcpu, &exit));
	} while (exit.reason != GMEM_EXIT_GUEST_DONE);
	ASSERT_OK(gmem_guest_finish(vcpu, &cmd, 1, NULL));
	ASSERT_STATE(env, attributes ? "pppp" : "pssp");
}

ASKING_TEST(pkvm_failure_at_every_step_keeps_the_request)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	guest_fill(&env, 0, 4, 0x100);
	for (int i = 0; i < 3; i++) {
		fail_asked(&env, SHARED);
		ASSERT_HOST_READS(&env, 1, 2, 0x100 + WORDS);
		fail_asked(&env, PRIVATE);
		ASSERT_HOST_REFUSED(&env, 1);
	}
	ASSERT_GUEST_READS(&env, 0, 4, 0x100);
}

/* Private means private from the conversion on, not from re-entry on. */
ASKING_TEST(pkvm_conversion_to_private_closes_el2)
{
	struct gmem_guest_cmd cmd = {
		.op = GMEM_GUEST_UNSHARE, .addr = gpa_of(0), .size = 2 * PAGE,
	};
	struct gmem_exit exit;
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	guest_fill(&env, 0, 2, 0x100);
	ASSERT_OK(guest_shares(&env, 0, 2));
	ASSERT_OK(gmem_guest_start(env_vcpu(&env, 0), &cmd, 1, 1));
	do {
		ASSERT_OK(gmem_vcpu_run(env_vcpu(&env, 0), &exit));
	} while (exit.reason != KVM_EXIT_HYPERCALL);
	ASSERT_OK(vmm(&env, 0, 2, PRIVATE, READABLE));
	lie(&env, 0, 2, SHARED);
	ASSERT_HOST_REFUSED(&env, 0);
	ASSERT_HOST_REFUSED(&env, 1);
}

/* What it cannot reach it cannot clear either. */
ASKING_TEST(pkvm_lying_host_cannot_clear_a_private_page)
{
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	guest_fill(&env, 0, 2, 0x100);
	lie(&env, 0, 2, SHARED);
	ASSERT_OK(guest_takes(&env, 0, 2, ZERO));
	ASSERT_STATE(&env, "pp");
	ASSERT_GUEST_READS(&env, 0, 2, 0x100);
}

/* The guest shared it, and the host forgot: the end of any request tidies up. */
ASKING_TEST(pkvm_forgotten_share_is_taken_back)
{
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	guest_fill(&env, 0, 2, 0x100);
	ASSERT_OK(guest_shares(&env, 0, 2));
	lie(&env, 0, 2, PRIVATE);
	ASSERT_HOST_REFUSED(&env, 0);
	ASSERT_OK(guest_takes(&env, 0, 2, ZERO));
	lie(&env, 0, 2, SHARED);
	ASSERT_HOST_REFUSED(&env, 0);
	ASSERT_HOST_REFUSED(&env, 1);
	lie(&env, 0, 2, PRIVATE);
	ASSERT_GUEST_READS(&env, 0, 2, 0x100);
}

struct liar {
	pthread_t thread;
	struct env *env;
	bool stop;
	uint64_t bad;
};

/* Page 0 is never the host's, whatever it says. */
static void *lie_and_look(void *opaque)
{
	struct liar *self = opaque;
	uint64_t value;

	for (int i = 0; !__atomic_load_n(&self->stop, __ATOMIC_RELAXED); i++) {
		lie(self->env, 0, 2, i & 1 ? PRIVATE : SHARED);
		if (!try_read(addr_of(self->env, 0), &value, NULL))
			self->bad++;
	}
	return NULL;
}

ASKING_TEST(pkvm_lies_race_with_the_guest)
{
	struct liar liar = { 0 };
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	guest_fill(&env, 0, 2, 0x100);
	liar.env = &env;
	ASSERT(!pthread_create(&liar.thread, NULL, lie_and_look, &liar));
	for (int i = 0; i < 100; i++) {
		int ret = i & 1 ? guest_takes(&env, 1, 1, READABLE) : guest_shares(&env, 1, 1);

		/* The map may say anything. */
		if (ret != -EINVAL)
			ASSERT_OK(ret);
		ASSERT_OK(gmem_guest_check(env_vcpu(&env, 0), gpa_of(0), 2 * PAGE,
					   0x100, 1));
	}
	__atomic_store_n(&liar.stop, true, __ATOMIC_RELAXED);
	pthread_join(liar.thread, NULL);
	ASSERT_EQ(liar.bad, 0);
}

/* ---- an EL1 that calls EL2 as it likes ---- */

/* The guest's MEM_SHARE of pages 0 and 1, as of a vCPU that waits in it. */
static s64 begin_share(struct env *env, struct el2_call *call, bool range)
{
	struct emu_file *file = to_emu_file(env->file);
	s64 ret;

	emu_file_lock(file);
	ret = el2_guest_share(call, file, 0, 2, range);
	emu_file_unlock(file);
	return ret;
}

static int give(struct env *env, const struct el2_call *call, u64 index)
{
	struct emu_file *file = to_emu_file(env->file);
	int ret;

	emu_file_lock(file);
	ret = el2_host_donate_guest_shared(call, file, index);
	emu_file_unlock(file);
	return ret;
}

/* Only what the guest never had, only of the call, and only while the vCPU waits. */
ASKING_TEST(pkvm_el2_gives_what_the_guest_waits_for)
{
	struct el2_call call = { 0 };
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	guest_fill(&env, 3, 1, 0x100);
	ASSERT_RET(give(&env, &call, 0), -EPERM);
	ASSERT_EQ(begin_share(&env, &call, true), 0);
	ASSERT_RET(give(&env, &call, 2), -EPERM);
	ASSERT_OK(give(&env, &call, 0));
	ASSERT_EQ(el2_guest_state(to_emu_file(env.file), 0), EL2_PAGE_SHARED_OWNED);
	ASSERT_EQ(el2_call_end(&call, 2), 1);
	ASSERT_RET(give(&env, &call, 1), -EPERM);
	ASSERT_EQ(el2_guest_state(to_emu_file(env.file), 1), EL2_NOPAGE);
}

/* Shared by one vCPU, taken back by another, which then wrote to it. */
ASKING_TEST(pkvm_el2_gives_no_page_twice)
{
	struct el2_call call = { 0 };
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	guest_fill(&env, 3, 1, 0x100);
	ASSERT_EQ(begin_share(&env, &call, true), 0);
	ASSERT_OK(give(&env, &call, 0));
	ASSERT_RET(give(&env, &call, 0), -EPERM);
	/* The file calls it private: the end of any request takes it back. */
	ASSERT_OK(guest_takes(&env, 0, 1, ZERO));
	guest_fill(&env, 0, 1, 0x200);
	lie(&env, 0, 2, SHARED);
	ASSERT_RET(give(&env, &call, 0), -EPERM);
	ASSERT_HOST_REFUSED(&env, 0);
	ASSERT_EQ(el2_call_end(&call, 2), 0);
	lie(&env, 0, 2, PRIVATE);
	ASSERT_GUEST_READS(&env, 0, 1, 0x200);
}

/* What the guest has the host does not share for it, nor while it asks for the reverse. */
ASKING_TEST(pkvm_el2_shares_by_the_call_alone)
{
	struct el2_call call = { 0 };
	struct emu_file *file;
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	guest_fill(&env, 0, 1, 0x100);
	ASSERT_EQ(begin_share(&env, &call, true), 1);
	ASSERT_RET(give(&env, &call, 0), -EPERM);
	ASSERT_EQ(begin_share(&env, &call, true), 1);
	ASSERT_EQ(begin_share(&env, &call, false), -EINVAL);
	ASSERT_EQ(el2_call_end(&call, 1), 1);

	file = to_emu_file(env.file);
	emu_file_lock(file);
	ASSERT_OK(el2_guest_unshare(&call, file, 0, 2, true));
	emu_file_unlock(file);
	ASSERT_RET(give(&env, &call, 1), -EPERM);
	ASSERT_EQ(el2_guest_state(file, 1), EL2_NOPAGE);
}

/* What the guest is told to be its own again has to be. */
ASKING_TEST(pkvm_el2_checks_what_the_host_says)
{
	struct el2_call call = { 0 };
	struct emu_file *file;
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	guest_fill(&env, 0, 3, 0x100);
	ASSERT_OK(guest_shares(&env, 1, 1));
	file = to_emu_file(env.file);
	emu_file_lock(file);
	ASSERT_OK(el2_guest_unshare(&call, file, 0, 4, true));
	ASSERT_EQ(el2_call_end(&call, 4), 1);
	ASSERT_OK(el2_guest_unshare(&call, file, 1, 1, true));
	ASSERT_EQ(el2_call_end(&call, 1), 0);
	/* The last of them the guest never had. */
	ASSERT_OK(el2_guest_unshare(&call, file, 2, 2, true));
	ASSERT_EQ(el2_call_end(&call, 2), 2);
	/* Nor is more done than was asked for. */
	ASSERT_OK(el2_guest_unshare(&call, file, 2, 1, true));
	ASSERT_EQ(el2_call_end(&call, 2), 1);
	ASSERT_EQ(el2_guest_unshare(&call, file, 2, 1, false), -EINVAL);
	ASSERT_EQ(el2_guest_share(&call, file, 2, 1, true), 1);
	ASSERT_EQ(el2_guest_share(&call, file, 1, 2, true), 2);
	ASSERT_OK(el2_guest_relinquish_host(file, 2));
	ASSERT_EQ(el2_call_end(&call, 2), 1);
	emu_file_unlock(file);
}

/* ---- vCPUs ---- */

ASKING_TEST(pkvm_plans_make_sense)
{
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	ASSERT_RET(gmem_emu_plan_share(env_vcpu(&env, 0), gpa_of(0), 0), -EINVAL);
	ASSERT_RET(gmem_emu_plan_share(env_vcpu(&env, 0), gpa_of(0) + 1, PAGE), -EINVAL);
	ASSERT_RET(gmem_emu_plan_share(env_vcpu(&env, 0), gpa_of(0), PAGE + 8), -EINVAL);
	ASSERT_OK(gmem_emu_plan_share(env_vcpu(&env, 0), gpa_of(0), PAGE));
}

/* A vCPU that begins anew waits for no page. */
ASKING_TEST(pkvm_reset_gives_nothing)
{
	struct gmem_guest_cmd share = {
		.op = GMEM_GUEST_SHARE, .addr = gpa_of(0), .size = PAGE,
	};
	struct gmem_guest_cmd on = { .op = GMEM_GUEST_POWER_ON, .value = 1 };
	struct gmem_exit exit;
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	ASSERT_OK(vmm(&env, 0, 1, PRIVATE, DESTROY));
	guest_fill(&env, 1, 1, 0x100);
	ASSERT_OK(gmem_guest_start(env_vcpu(&env, 1), &share, 1, 1));
	ASSERT_OK(gmem_vcpu_run(env_vcpu(&env, 1), &exit));
	ASSERT_EQ(exit.reason, KVM_EXIT_HYPERCALL);
	ASSERT_OK(vmm(&env, 0, 1, SHARED, ZERO));
	ASSERT_OK(gmem_emu_power_off(env_vcpu(&env, 1)));
	ASSERT_OK(gmem_guest_exec(env_vcpu(&env, 0), &on, 1, 0, NULL));
	gmem_guest_stop(env_vcpu(&env, 1));
	ASSERT_OK(gmem_vcpu_run(env_vcpu(&env, 1), &exit));
	ASSERT_EQ(exit.reason, GMEM_EXIT_GUEST_DONE);
	ASSERT_EQ(el2_guest_state(to_emu_file(env.file), 0), EL2_NOPAGE);
	ASSERT_RET(vmm(&env, 0, 1, SHARED, ZERO), -EPERM);
}

ASKING_TEST(pkvm_has_no_new_vcpus_after_the_first_run)
{
	struct gmem_vcpu *vcpu;
	struct env env;

	env_open(&env, variant, 1, IN_PLACE);
	for (unsigned int id = 0; id < NR_ALL_VCPUS; id++)
		ASSERT_RET(gmem_vcpu_create(env.vm, id, &vcpu), -EEXIST);
	guest_fill(&env, 0, 1, 0x100);
	ASSERT_RET(gmem_vcpu_create(env.vm, 40, &vcpu), -EBUSY);
}
