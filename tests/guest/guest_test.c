// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The guest program in real vCPUs over ordinary memory: what needs no conversion in
 * place, in an ordinary VM and, where the kernel has them, in a protected one.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <gmem/guest.h>
#include "../conformance/env.h"

#define PAGES		8
#define GPA		TEST_GPA
#define NOWHERE		(1ull << 33)
#define VCPUS		2
#define TIMEOUT_S	60

struct world {
	struct gmem_engine *engine;
	struct gmem_vm *vm;
	struct gmem_vcpu *vcpus[VCPUS];
	uint64_t *memory;
};

static char said[512];

static void hear(void *opaque, int level, const char *message)
{
	(void)opaque;
	if (level == GMEM_LOG_ERROR)
		snprintf(said, sizeof(said), "%s", message);
}

static void open_world(struct world *world, const struct variant *variant)
{
	struct gmem_engine_options engine = {
		.size = sizeof(engine), .kind = variant->engine, .log = hear,
	};
	struct gmem_vm_options options = {
		.size = sizeof(options), .platform = variant->platform,
	};
	struct gmem_slot_options slot = {
		.size = sizeof(slot), .gpa = GPA, .bytes = PAGES * PAGE,
	};

	ASSERT_OK(gmem_engine_open(&engine, &world->engine));
	ASSERT_OK(gmem_vm_create(world->engine, &options, &world->vm));
	ASSERT_OK(gmem_guest_setup(world->vm));
	world->memory = mmap(NULL, slot.bytes, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT(world->memory != MAP_FAILED);
	slot.userspace_addr = world->memory;
	ASSERT_OK(gmem_slot_set(world->vm, &slot));
	for (uint32_t i = 0; i < VCPUS; i++)
		ASSERT_OK(gmem_vcpu_create(world->vm, i, &world->vcpus[i]));
	catch_sigsegv();
}

#define WORLD_TEST(name, needs)							\
	static void name##_in(struct world *world);				\
	TEST_WITH(name, needs, TIMEOUT_S)					\
	{									\
		struct world world;						\
										\
		open_world(&world, variant);					\
		name##_in(&world);						\
	}									\
	static void name##_in(struct world *world)

/* Tests of any VM, of ordinary ones and of protected ones. */
#define NEEDS_ORDINARY	NEEDS_OWN
#define BOTH(name)	WORLD_TEST(name, 0)
#define ORDINARY(name)	WORLD_TEST(name, NEEDS_ORDINARY)
#define PROTECTED(name)	WORLD_TEST(name, NEEDS_ASKING)

static const struct variant variants[] = {
	{
		.name = "kernel/ordinary",
		.engine = GMEM_ENGINE_KERNEL,
		.platform = GMEM_VM_DEFAULT,
		.kernel = true,
	},
#ifdef __aarch64__
	{
		.name = "kernel/protected",
		.lacks = NEEDS_ORDINARY,
		.engine = GMEM_ENGINE_KERNEL,
		.platform = GMEM_VM_PKVM,
		.kernel = true,
		.guest_asks = true,
	},
#endif
};

static const char *begin(const struct variant *variant)
{
	return why_no_vm(variant, false);
}

const struct suite suite = {
	.variants = variants,
	.nr_variants = sizeof(variants) / sizeof(variants[0]),
	.begin = begin,
};

/* ---- tests of any VM ---- */

BOTH(accesses_of_each_width)
{
	struct gmem_guest_cmd cmds[8] = { 0 };
	uint64_t value = 0x8877665544332211ull;

	for (unsigned int i = 0; i < 4; i++) {
		cmds[i].op = GMEM_GUEST_STORE;
		cmds[i].addr = GPA + 32 * i + 1;	/* misaligned */
		cmds[i].size = 1ull << i;
		cmds[i].value = value;
		cmds[4 + i] = cmds[i];
		cmds[4 + i].op = GMEM_GUEST_LOAD;
	}
	ASSERT_OK(gmem_guest_exec(world->vcpus[0], cmds, 8, 0, NULL));
	for (unsigned int i = 0; i < 4; i++)
		ASSERT(cmds[4 + i].result == value << (64 - (8 << i)) >> (64 - (8 << i)));
}

BOTH(guest_reads_what_was_loaded)
{
	for (uint64_t i = 0; i < PAGES * PAGE / 8; i++)
		world->memory[i] = 7 + 3 * i;
	ASSERT_OK(gmem_guest_check(world->vcpus[0], GPA, PAGES * PAGE, 7, 3));
	ASSERT_RET(gmem_guest_check(world->vcpus[1], GPA, PAGES * PAGE, 8, 3), -EILSEQ);
}

BOTH(vcpus_share_memory)
{
	for (uint64_t i = 1; i < 20; i++) {
		ASSERT_OK(gmem_guest_fill(world->vcpus[i % 2], GPA, PAGES * PAGE, i, i));
		ASSERT_OK(gmem_guest_check(world->vcpus[!(i % 2)], GPA, PAGES * PAGE, i, i));
	}
}

BOTH(access_to_nothing_is_told)
{
	ASSERT_RET(gmem_guest_store(world->vcpus[0], NOWHERE, 1), -EIO);
	ASSERT(strstr(said, "stored to 0x200000000"));
}

BOTH(exception_in_the_guest_is_told)
{
	uint64_t value;

	/* Beyond what its page tables map. */
	ASSERT_RET(gmem_guest_load(world->vcpus[0], 1ull << 45, &value), -EIO);
#ifdef __aarch64__
	/* A data abort without a change of level. */
	ASSERT(strstr(said, "syndrome 0x96"));
#endif
}

static void *stop_soon(void *opaque)
{
	usleep(20000);
	gmem_guest_stop(opaque);
	return NULL;
}

static void run_until_stopped(struct gmem_vcpu *vcpu)
{
	struct gmem_guest_cmd cmd = { .op = GMEM_GUEST_FILL, .addr = GPA, .size = PAGE };
	struct gmem_exit exit;
	pthread_t thread;

	ASSERT_OK(gmem_guest_start(vcpu, &cmd, 1, 0));
	ASSERT(!pthread_create(&thread, NULL, stop_soon, vcpu));
	do {
		ASSERT_OK(gmem_vcpu_run(vcpu, &exit));
	} while (exit.reason == KVM_EXIT_INTR);
	ASSERT(exit.reason == GMEM_EXIT_GUEST_DONE);
	ASSERT_OK(gmem_guest_finish(vcpu, NULL, 0, NULL));
	pthread_join(thread, NULL);
}

BOTH(endless_list_is_stopped)
{
	for (int i = 0; i < 3; i++)
		run_until_stopped(world->vcpus[0]);
}

BOTH(stop_before_the_first_run_counts)
{
	struct gmem_guest_cmd cmd = { .op = GMEM_GUEST_NOP };
	struct gmem_exit exit;

	ASSERT_OK(gmem_guest_start(world->vcpus[0], &cmd, 1, 0));
	ASSERT_RET(gmem_guest_finish(world->vcpus[0], NULL, 0, NULL), -EBUSY);
	gmem_guest_stop(world->vcpus[0]);
	ASSERT_OK(gmem_vcpu_run(world->vcpus[0], &exit));
	ASSERT(exit.reason == GMEM_EXIT_GUEST_DONE);
	ASSERT_OK(gmem_guest_finish(world->vcpus[0], NULL, 0, NULL));
}

/* ---- ordinary VMs ---- */

ORDINARY(host_and_guest_see_the_same)
{
	ASSERT_OK(gmem_guest_fill(world->vcpus[0], GPA, PAGES * PAGE, 5, 1));
	for (uint64_t i = 0; i < PAGES * PAGE / 8; i++)
		ASSERT(world->memory[i] == 5 + i);
	world->memory[3] = 99;
	ASSERT_RET(gmem_guest_check(world->vcpus[0], GPA, PAGE, 5, 1), -EILSEQ);
}

ORDINARY(vcpu_is_reset)
{
	struct gmem_guest_cmd cmd = { .op = GMEM_GUEST_STORE, .addr = NOWHERE, .size = 8 };
	struct gmem_exit exit;

	/* What the vCPU exited for is over with the reset, a load just as a store. */
	for (int round = 0; round < 50; round++) {
		cmd.op = round % 2 ? GMEM_GUEST_LOAD : GMEM_GUEST_STORE;
		ASSERT_RET(gmem_guest_exec(world->vcpus[0], &cmd, 1, 0, &exit), -EIO);
		ASSERT_RET(gmem_guest_start(world->vcpus[0], &cmd, 1, 1), -EBUSY);
		ASSERT_OK(gmem_guest_abort(world->vcpus[0]));
		ASSERT_OK(gmem_guest_fill(world->vcpus[0], GPA, PAGE, (uint64_t)round, 1));
		ASSERT(world->memory[8] == (uint64_t)round + 8);
	}
}

/* ---- protected VMs ---- */

PROTECTED(host_reads_what_the_guest_shares)
{
	struct gmem_vcpu *vcpu = world->vcpus[0];
	uint64_t value;

	for (uint64_t round = 1; round < 4; round++) {
		ASSERT_OK(gmem_guest_store(vcpu, GPA, 0x1000 + round));
		ASSERT_EQ(try_read(&world->memory[0], NULL, NULL), SIGSEGV);
		ASSERT_OK(gmem_guest_share(vcpu, GPA, PAGE, ZERO));
		ASSERT_OK(try_read(&world->memory[0], &value, NULL));
		ASSERT(value == 0x1000 + round);
		world->memory[1] = round;
		ASSERT_OK(gmem_guest_load(vcpu, GPA + 8, &value));
		ASSERT(value == round);
		ASSERT_OK(gmem_guest_unshare(vcpu, GPA, PAGE, ZERO));
		ASSERT_EQ(try_read(&world->memory[0], NULL, NULL), SIGSEGV);
		ASSERT_OK(gmem_guest_load(vcpu, GPA, &value));
		ASSERT(value == 0x1000 + round);
	}
}

static int exec_once(struct gmem_vcpu *vcpu, struct gmem_guest_cmd *cmd)
{
	return gmem_guest_exec(vcpu, cmd, 1, 0, NULL);
}

PROTECTED(one_vcpu_shares_what_another_wrote)
{
	struct gmem_guest_cmd again = {
		.op = GMEM_GUEST_SHARE, .flags = GMEM_GUEST_SINGLE, .addr = GPA + PAGE,
		.size = PAGE,
	};
	uint64_t value;

	ASSERT_OK(gmem_guest_store(world->vcpus[0], GPA + PAGE, 17));
	ASSERT_OK(gmem_guest_share(world->vcpus[1], GPA + PAGE, PAGE, ZERO));
	ASSERT_OK(try_read(&world->memory[PAGE / 8], &value, NULL));
	ASSERT(value == 17);
	/* A range may have pages that are shared; the one page of 7.3's call may not. */
	ASSERT_OK(gmem_guest_share(world->vcpus[0], GPA + PAGE, PAGE, ZERO));
	ASSERT_RET(exec_once(world->vcpus[0], &again), -EINVAL);
	again.op = GMEM_GUEST_UNSHARE;
	ASSERT_OK(exec_once(world->vcpus[0], &again));
	ASSERT_RET(exec_once(world->vcpus[1], &again), -EINVAL);
}

PROTECTED(system_call_on_private_memory_gets_efault)
{
	int pipes[2];

	ASSERT_OK(gmem_guest_fill(world->vcpus[0], GPA, PAGE, 0, 1));
	ASSERT(!pipe(pipes));
	ASSERT(write(pipes[1], world->memory, 8) == -1 && errno == EFAULT);
	ASSERT(write(pipes[1], "12345678", 8) == 8);
	ASSERT(read(pipes[0], world->memory, 8) == -1 && errno == EFAULT);
	ASSERT_OK(gmem_guest_check(world->vcpus[0], GPA, PAGE, 0, 1));
}

/* Nobody tells the VMM of it, which has nothing to say there. */
PROTECTED(sharing_what_no_slot_backs_fails)
{
	struct gmem_guest_cmd cmd = { .op = GMEM_GUEST_SHARE, .addr = NOWHERE };
	struct gmem_exit exit;

	for (cmd.size = PAGE; cmd.size <= 3 * PAGE; cmd.size += PAGE) {
		ASSERT_OK(gmem_guest_start(world->vcpus[0], &cmd, 1, 1));
		ASSERT_OK(gmem_vcpu_run(world->vcpus[0], &exit));
		ASSERT_EQ(exit.reason, GMEM_EXIT_GUEST_DONE);
		ASSERT_RET(gmem_guest_finish(world->vcpus[0], &cmd, 1, NULL), -EINVAL);
		ASSERT_EQ(cmd.result, 0);
	}
	/* The call of one page is in 7.3 as an access to nothing. */
	cmd.flags = GMEM_GUEST_SINGLE;
	cmd.size = PAGE;
	ASSERT_RET(exec_once(world->vcpus[0], &cmd), -EIO);
	ASSERT(strstr(said, "syndrome 0x96"));
}

PROTECTED(unsharing_skips_what_is_not_shared)
{
	struct gmem_vcpu *vcpu = world->vcpus[0];
	uint64_t value;

	ASSERT_OK(gmem_guest_store(vcpu, GPA + PAGE, 17));
	ASSERT_OK(gmem_guest_share(vcpu, GPA + PAGE, PAGE, ZERO));
	/* Around it there is memory that the guest never touched. */
	ASSERT_OK(gmem_guest_unshare(vcpu, GPA, 3 * PAGE, ZERO));
	ASSERT_EQ(try_read(&world->memory[PAGE / 8], NULL, NULL), SIGSEGV);
	ASSERT_OK(gmem_guest_load(vcpu, GPA + PAGE, &value));
	ASSERT(value == 17);
}

/* How often KVM heard of a hypercall. */
static uint64_t hypercalls(void)
{
	FILE *file = fopen("/sys/kernel/debug/kvm/hvc_exit_stat", "re");
	unsigned long long count;

	ASSERT(file && fscanf(file, "%llu", &count) == 1);
	fclose(file);
	return count;
}

static void add_file(struct world *world, struct gmem_slot_options *slot)
{
	struct gmem_file_options file = {
		.size = sizeof(file), .bytes = slot->bytes, .flags = IN_PLACE,
	};

	ASSERT_OK(gmem_file_create(world->vm, &file, &slot->file));
}

PROTECTED(el2_answers_where_nothing_converts)
{
	struct gmem_slot_options slot = {
		.size = sizeof(slot), .id = 1, .gpa = NOWHERE, .bytes = PAGE,
	};
	struct gmem_vcpu *vcpu = world->vcpus[0];
	uint64_t before;

	ASSERT_OK(gmem_guest_store(vcpu, GPA, 17));
	/* A VM that has run converts nothing if it did not then. */
	add_file(world, &slot);
	ASSERT_RET(gmem_slot_set(world->vm, &slot), -EPERM);
	before = hypercalls();
	ASSERT_OK(gmem_guest_share(vcpu, GPA, PAGE, ZERO));
	ASSERT_OK(gmem_guest_unshare(vcpu, GPA, PAGE, ZERO));
	ASSERT_EQ(hypercalls(), before);
	/* The guest never touched this one: KVM has to give it a page first. */
	ASSERT_OK(gmem_guest_share(vcpu, GPA + PAGE, PAGE, ZERO));
	ASSERT_OK(try_read(&world->memory[PAGE / 8], NULL, NULL));
}

PROTECTED(kvm_answers_where_a_file_converts)
{
	struct gmem_slot_options slot = {
		.size = sizeof(slot), .id = 1, .gpa = NOWHERE, .bytes = PAGE,
	};
	struct gmem_guest_cmd cmd = { .op = GMEM_GUEST_SHARE, .addr = NOWHERE,
				      .size = PAGE };
	struct gmem_vcpu *vcpu = world->vcpus[0];
	struct gmem_exit exit;
	uint64_t before;

	add_file(world, &slot);
	ASSERT_OK(gmem_slot_set(world->vm, &slot));
	ASSERT_OK(gmem_guest_store(vcpu, GPA, 17));
	before = hypercalls();
	ASSERT_OK(gmem_guest_share(vcpu, GPA, PAGE, ZERO));
	ASSERT_OK(gmem_guest_unshare(vcpu, GPA, PAGE, ZERO));
	ASSERT_EQ(hypercalls(), before + 2);
	ASSERT_OK(gmem_guest_start(vcpu, &cmd, 1, 1));
	ASSERT_OK(gmem_vcpu_run(vcpu, &exit));
	ASSERT_EQ(exit.reason, KVM_EXIT_HYPERCALL);
}

/* Signals interrupt what comes before it. */
PROTECTED(vmm_is_asked_for_memory_of_a_file_only)
{
	const uint64_t nr = 4096, file_pages = 2;
	struct gmem_guest_cmd cmd = { .op = GMEM_GUEST_SHARE, .addr = NOWHERE,
				      .size = (nr + file_pages) * PAGE };
	struct gmem_slot_options slot = {
		.size = sizeof(slot), .id = 1, .gpa = NOWHERE, .bytes = nr * PAGE,
	};
	struct gmem_vcpu *vcpu = world->vcpus[0];
	unsigned char *ordinary;
	struct gmem_exit exit;

	ordinary = mmap(NULL, slot.bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT(ordinary != MAP_FAILED);
	slot.userspace_addr = ordinary;
	ASSERT_OK(gmem_slot_set(world->vm, &slot));
	slot.id = 2;
	slot.gpa += slot.bytes;
	slot.bytes = file_pages * PAGE;
	slot.userspace_addr = NULL;
	add_file(world, &slot);
	ASSERT_OK(gmem_slot_set(world->vm, &slot));

	ASSERT_OK(gmem_guest_store(vcpu, GPA, 1));
	ASSERT_OK(gmem_guest_start(vcpu, &cmd, 1, 1));
	tick(20000);
	do {
		ASSERT_OK(gmem_vcpu_run(vcpu, &exit));
	} while (exit.reason == KVM_EXIT_INTR);
	tick(0);
	ASSERT_EQ(exit.reason, KVM_EXIT_HYPERCALL);
	ASSERT_EQ(exit.hypercall.args[0], slot.gpa);
	ASSERT_EQ(exit.hypercall.args[1], file_pages);
	ASSERT_OK(try_read(ordinary + (nr - 1) * PAGE, NULL, NULL));

	/* It is not shared behind the file's back. */
	ASSERT_OK(gmem_vcpu_complete_hypercall(vcpu, -EACCES));
	ASSERT_OK(gmem_vcpu_run(vcpu, &exit));
	ASSERT_EQ(exit.reason, GMEM_EXIT_GUEST_DONE);
	ASSERT_RET(gmem_guest_finish(vcpu, &cmd, 1, NULL), -EINVAL);
	ASSERT_EQ(cmd.result, nr);
}
