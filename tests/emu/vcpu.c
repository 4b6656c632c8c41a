// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * vCPU threads: signals, aborts, accesses of every width, and memory of every kind.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <gmem/emu.h>
#include "../conformance/env.h"

static void on_signal(int signal)
{
	(void)signal;
}

/* SA_RESTART, which must not hide the signal from gmem_vcpu_run(). */
static void catch_alarm(void)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	sigaction(SIGALRM, &action, NULL);
}

static void start_spin(struct gmem_vcpu *vcpu, uint64_t count)
{
	struct gmem_guest_cmd cmd = { .op = GMEM_GUEST_SPIN, .value = count };

	ASSERT_OK(gmem_guest_start(vcpu, &cmd, 1, 1));
}

TEST(signal_interrupts_a_computing_guest)
{
	struct gmem_exit exit;
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	catch_alarm();
	start_spin(env_vcpu(&env, 0), ~0ull);
	for (int i = 0; i < 3; i++) {
		ualarm(5000, 5000);
		ASSERT_OK(gmem_vcpu_run(env.vcpus[0], &exit));
		ASSERT_EQ(exit.reason, KVM_EXIT_INTR);
	}
	/* It goes on, until it is told to stop. */
	gmem_guest_stop(env.vcpus[0]);
	do {
		ASSERT_OK(gmem_vcpu_run(env.vcpus[0], &exit));
	} while (exit.reason == KVM_EXIT_INTR);
	ASSERT_EQ(exit.reason, GMEM_EXIT_GUEST_DONE);
	ASSERT_OK(gmem_guest_finish(env.vcpus[0], NULL, 0, NULL));
}

/* Interrupted in the middle of accesses: none takes place while nobody runs it. */
TEST(interrupted_guest_touches_nothing)
{
	struct gmem_guest_cmd cmd = {
		.op = GMEM_GUEST_FILL, .addr = gpa_of(0), .size = 64 * PAGE, .value = 1,
		.step = 1,
	};
	unsigned int interrupted = 0;
	struct gmem_exit exit;
	struct env env;

	env_open(&env, variant, 64, IN_PLACE_SHARED);
	catch_alarm();
	ASSERT_OK(gmem_guest_start(env_vcpu(&env, 0), &cmd, 1, 0));
	for (int i = 0; i < 20; i++) {
		ualarm(2000, 2000);
		ASSERT_OK(gmem_vcpu_run(env.vcpus[0], &exit));
		if (exit.reason != KVM_EXIT_INTR)
			continue;
		interrupted++;
		memset(env.memory, 0, 64 * PAGE);
		usleep(1000);
		ASSERT_HOST_ZEROS(&env, 0, 64);
	}
	ASSERT(interrupted);
	gmem_guest_stop(env.vcpus[0]);
	do {
		ASSERT_OK(gmem_vcpu_run(env.vcpus[0], &exit));
	} while (exit.reason != GMEM_EXIT_GUEST_DONE);
}

TEST(abort_ends_a_guest_anywhere)
{
	struct gmem_guest_cmd fault = {
		.op = GMEM_GUEST_LOAD, .addr = gpa_of(0), .size = 8,
	};
	struct gmem_exit exit;
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	catch_alarm();
	/* Before it ever ran, in a computation, at a fault, at a hypercall. */
	ASSERT_OK(gmem_guest_abort(env_vcpu(&env, 0)));
	start_spin(env.vcpus[0], ~0ull);
	ualarm(2000, 2000);
	ASSERT_OK(gmem_vcpu_run(env.vcpus[0], &exit));
	ASSERT_EQ(exit.reason, KVM_EXIT_INTR);
	ASSERT_OK(gmem_guest_abort(env.vcpus[0]));
	guest_fill(&env, 0, 4, 0x100);

	ASSERT_OK(convert(&env, 0, 1, SHARED, DESTROY));
	ASSERT_RET(gmem_guest_exec(env.vcpus[0], &fault, 1, 0, &exit), -EFAULT);
	ASSERT_OK(gmem_guest_abort(env.vcpus[0]));
	fault = (struct gmem_guest_cmd){
		.op = GMEM_GUEST_SHARE, .addr = gpa_of(1), .size = PAGE,
	};
	ASSERT_OK(gmem_guest_start(env.vcpus[0], &fault, 1, 1));
	do {
		ASSERT_OK(gmem_vcpu_run(env.vcpus[0], &exit));
	} while (exit.reason != KVM_EXIT_HYPERCALL);
	ASSERT_OK(gmem_guest_abort(env.vcpus[0]));
	ASSERT_GUEST_READS(&env, 1, 3, 0x100 + WORDS);
	ASSERT_OK(convert(&env, 0, 1, PRIVATE, ZERO));
	ASSERT_GUEST_ZEROS(&env, 0, 1);
}

/* Released in the middle of a computation or a fault. */
TEST(release_ends_a_guest_anywhere)
{
	struct gmem_guest_cmd fault = {
		.op = GMEM_GUEST_LOAD, .addr = gpa_of(0), .size = 8,
	};
	struct gmem_exit exit;
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	catch_alarm();
	start_spin(env_vcpu(&env, 0), ~0ull);
	ualarm(2000, 2000);
	ASSERT_OK(gmem_vcpu_run(env.vcpus[0], &exit));
	gmem_vcpu_destroy(env.vcpus[0]);
	ASSERT_OK(convert(&env, 0, 1, SHARED, DESTROY));
	ASSERT_RET(gmem_guest_exec(env_vcpu(&env, 1), &fault, 1, 0, &exit), -EFAULT);
	gmem_vcpu_destroy(env.vcpus[1]);
}

TEST(accesses_of_every_width_and_alignment)
{
	struct gmem_guest_cmd cmd = { 0 };
	struct env env;

	env_open(&env, variant, 3, IN_PLACE_SHARED);
	for (uint64_t size = 1; size <= 8; size *= 2) {
		for (uint64_t offset = PAGE - 9; offset < PAGE + 9; offset++) {
			uint64_t want = 0x1122334455667788ull, got = 0;

			memset(env.memory, 0xee, 2 * PAGE);
			cmd.op = GMEM_GUEST_STORE;
			cmd.addr = gpa_of(0) + offset;
			cmd.size = size;
			cmd.value = want;
			ASSERT_OK(gmem_guest_exec(env_vcpu(&env, 0), &cmd, 1, 0, NULL));
			memcpy(&got, env.memory + offset, size);
			ASSERT(!memcmp(&got, &want, size));
			ASSERT_EQ(env.memory[offset - 1], 0xee);
			ASSERT_EQ(env.memory[offset + size], 0xee);
			cmd.op = GMEM_GUEST_LOAD;
			ASSERT_OK(gmem_guest_exec(env.vcpus[0], &cmd, 1, 0, NULL));
			ASSERT_EQ(cmd.result, got);
		}
	}
}

/* Half of an access lies in a page that nobody has. */
TEST(access_over_a_page_boundary_faults_in_the_right_page)
{
	struct gmem_guest_cmd cmd = {
		.op = GMEM_GUEST_STORE, .addr = gpa_of(1) - 4, .size = 8, .value = ~0ull,
	};
	struct gmem_exit exit = { 0 };
	struct env env;

	env_open(&env, variant, 3, IN_PLACE);
	ASSERT_OK(convert(&env, 1, 1, PRIVATE, DESTROY));
	ASSERT_RET(gmem_guest_exec(env_vcpu(&env, 0), &cmd, 1, 0, &exit), -EFAULT);
	ASSERT_EQ(exit.memory_fault.gpa, gpa_of(1));
	/* Converted, the access is completed. */
	ASSERT_OK(convert(&env, 1, 1, PRIVATE, ZERO));
	do {
		ASSERT_OK(gmem_vcpu_run(env.vcpus[0], &exit));
	} while (exit.reason == KVM_EXIT_INTR);
	ASSERT_EQ(exit.reason, GMEM_EXIT_GUEST_DONE);
	cmd.op = GMEM_GUEST_LOAD;
	ASSERT_OK(gmem_guest_exec(env.vcpus[0], &cmd, 1, 0, NULL));
	ASSERT_EQ(cmd.result, ~0ull);
}

TEST(memory_that_nobody_backs_is_mmio)
{
	struct gmem_guest_cmd cmd = {
		.op = GMEM_GUEST_STORE, .addr = 0x7000123, .size = 2, .value = 0xabcd,
	};
	struct gmem_exit exit = { 0 };
	struct env env;

	env_open(&env, variant, 1, IN_PLACE);
	ASSERT_RET(gmem_guest_exec(env_vcpu(&env, 0), &cmd, 1, 0, &exit), -EIO);
	ASSERT_EQ(exit.reason, KVM_EXIT_MMIO);
	ASSERT_EQ(exit.mmio.gpa, 0x7000123);
	ASSERT_EQ(exit.mmio.len, 2);
	ASSERT_EQ(exit.mmio.is_write, 1);
	ASSERT_EQ(exit.mmio.data[0], 0xcd);
	ASSERT_OK(gmem_vcpu_run(env.vcpus[0], &exit));
	ASSERT_EQ(exit.reason, GMEM_EXIT_GUEST_DONE);
}

/* Attributes of the VM end where they can be set no more. */
TEST(memory_beyond_all_attributes_is_mmio)
{
	struct gmem_guest_cmd cmd = {
		.op = GMEM_GUEST_STORE, .addr = 1ull << 62, .size = 8, .value = 1,
	};
	struct gmem_exit exit = { 0 };
	struct env env;

	env_open(&env, variant, 1, IN_PLACE);
	ASSERT_OK(gmem_vm_set_memory_attributes(env.vm, 1ull << 36, PAGE, PRIVATE));
	ASSERT_RET(gmem_guest_exec(env_vcpu(&env, 0), &cmd, 1, 0, &exit), -EIO);
	ASSERT_EQ(exit.reason, KVM_EXIT_MMIO);
	ASSERT_EQ(exit.mmio.gpa, 1ull << 62);
}

TEST(ordinary_slot_is_the_vmms_memory)
{
	struct gmem_slot_options slot = {
		.size = sizeof(slot), .id = 3, .gpa = 1ull << 36, .bytes = 2 * PAGE,
	};
	uint64_t *memory;
	struct env env;

	env_open(&env, variant, 1, IN_PLACE);
	memory = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT(memory != MAP_FAILED);
	slot.userspace_addr = memory;
	ASSERT_OK(gmem_slot_set(env.vm, &slot));
	ASSERT_OK(gmem_guest_fill(env_vcpu(&env, 0), slot.gpa, 2 * PAGE, 9, 1));
	ASSERT_EQ(memory[WORDS + 1], 9 + WORDS + 1);
	slot.id = 4;
	ASSERT_RET(gmem_slot_set(env.vm, &slot), -EEXIST);
	ASSERT_OK(gmem_slot_delete(env.vm, 3));
}
