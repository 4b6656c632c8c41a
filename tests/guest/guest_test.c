// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The guest program in real vCPUs over ordinary memory: what needs no conversion in
 * place, in an ordinary VM and, where the kernel has them, in a protected one.
 * Writes TAP; each test is a process.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gmem/gmem.h>
#include <gmem/guest.h>

#define PAGE		4096ull
#define PAGES		8
#define GPA		(1ull << 32)
#define NOWHERE		(1ull << 33)
#define VCPUS		2
#define TIMEOUT_S	60

#define ZERO		SET_MEMORY_ATTRIBUTES_CONTENT_ZERO

#define CHECK(condition) do {						\
	if (!(condition)) {						\
		printf("# %s:%d: %s\n", __FILE__, __LINE__, #condition);	\
		fflush(stdout);						\
		_exit(1);						\
	}								\
} while (0)

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

static struct gmem_engine *open_kernel(void)
{
	struct gmem_engine_options options = {
		.size = sizeof(options), .kind = GMEM_ENGINE_KERNEL, .log = hear,
	};
	struct gmem_engine *engine;

	CHECK(!gmem_engine_open(&options, &engine));
	return engine;
}

static void open_world(struct world *world, uint32_t platform)
{
	struct gmem_vm_options options = {
		.size = sizeof(options), .platform = platform,
	};
	struct gmem_slot_options slot = {
		.size = sizeof(slot), .gpa = GPA, .bytes = PAGES * PAGE,
	};

	world->engine = open_kernel();
	CHECK(!gmem_vm_create(world->engine, &options, &world->vm));
	CHECK(!gmem_guest_setup(world->vm));
	world->memory = mmap(NULL, slot.bytes, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(world->memory != MAP_FAILED);
	slot.userspace_addr = world->memory;
	CHECK(!gmem_slot_set(world->vm, &slot));
	for (uint32_t i = 0; i < VCPUS; i++)
		CHECK(!gmem_vcpu_create(world->vm, i, &world->vcpus[i]));
}

static sigjmp_buf fault_jump;

static void on_fault(int signal)
{
	siglongjmp(fault_jump, signal);
}

/* Whether reading a word kills.  Else what it is, through @value. */
static bool read_faults(const uint64_t *word, uint64_t *value)
{
	if (sigsetjmp(fault_jump, 1))
		return true;
	*value = *(const volatile uint64_t *)word;
	return false;
}

/* ---- tests of any VM ---- */

static void accesses_of_each_width(struct world *world)
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
	CHECK(!gmem_guest_exec(world->vcpus[0], cmds, 8, 0, NULL));
	for (unsigned int i = 0; i < 4; i++)
		CHECK(cmds[4 + i].result == value << (64 - (8 << i)) >> (64 - (8 << i)));
}

static void guest_reads_what_was_loaded(struct world *world)
{
	for (uint64_t i = 0; i < PAGES * PAGE / 8; i++)
		world->memory[i] = 7 + 3 * i;
	CHECK(!gmem_guest_check(world->vcpus[0], GPA, PAGES * PAGE, 7, 3));
	CHECK(gmem_guest_check(world->vcpus[1], GPA, PAGES * PAGE, 8, 3) == -EILSEQ);
}

static void vcpus_share_memory(struct world *world)
{
	for (uint64_t i = 1; i < 20; i++) {
		CHECK(!gmem_guest_fill(world->vcpus[i % 2], GPA, PAGES * PAGE, i, i));
		CHECK(!gmem_guest_check(world->vcpus[!(i % 2)], GPA, PAGES * PAGE, i, i));
	}
}

static void access_to_nothing_is_told(struct world *world)
{
	CHECK(gmem_guest_store(world->vcpus[0], NOWHERE, 1) == -EIO);
	CHECK(strstr(said, "stored to 0x200000000"));
}

static void exception_in_the_guest_is_told(struct world *world)
{
	uint64_t value;

	/* Beyond what its page tables map. */
	CHECK(gmem_guest_load(world->vcpus[0], 1ull << 45, &value) == -EIO);
#ifdef __aarch64__
	/* A data abort without a change of level. */
	CHECK(strstr(said, "syndrome 0x96"));
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

	CHECK(!gmem_guest_start(vcpu, &cmd, 1, 0));
	CHECK(!pthread_create(&thread, NULL, stop_soon, vcpu));
	do {
		CHECK(!gmem_vcpu_run(vcpu, &exit));
	} while (exit.reason == KVM_EXIT_INTR);
	CHECK(exit.reason == GMEM_EXIT_GUEST_DONE);
	CHECK(!gmem_guest_finish(vcpu, NULL, 0, NULL));
	pthread_join(thread, NULL);
}

static void endless_list_is_stopped(struct world *world)
{
	for (int i = 0; i < 3; i++)
		run_until_stopped(world->vcpus[0]);
}

static void stop_before_the_first_run_counts(struct world *world)
{
	struct gmem_guest_cmd cmd = { .op = GMEM_GUEST_NOP };
	struct gmem_exit exit;

	CHECK(!gmem_guest_start(world->vcpus[0], &cmd, 1, 0));
	CHECK(gmem_guest_finish(world->vcpus[0], NULL, 0, NULL) == -EBUSY);
	gmem_guest_stop(world->vcpus[0]);
	CHECK(!gmem_vcpu_run(world->vcpus[0], &exit));
	CHECK(exit.reason == GMEM_EXIT_GUEST_DONE);
	CHECK(!gmem_guest_finish(world->vcpus[0], NULL, 0, NULL));
}

/* ---- ordinary VMs ---- */

static void host_and_guest_see_the_same(struct world *world)
{
	CHECK(!gmem_guest_fill(world->vcpus[0], GPA, PAGES * PAGE, 5, 1));
	for (uint64_t i = 0; i < PAGES * PAGE / 8; i++)
		CHECK(world->memory[i] == 5 + i);
	world->memory[3] = 99;
	CHECK(gmem_guest_check(world->vcpus[0], GPA, PAGE, 5, 1) == -EILSEQ);
}

static void vcpu_is_reset(struct world *world)
{
	struct gmem_guest_cmd cmd = { .op = GMEM_GUEST_STORE, .addr = NOWHERE, .size = 8 };
	struct gmem_exit exit;

	/* What the vCPU exited for is over with the reset, a load just as a store. */
	for (int round = 0; round < 50; round++) {
		cmd.op = round % 2 ? GMEM_GUEST_LOAD : GMEM_GUEST_STORE;
		CHECK(gmem_guest_exec(world->vcpus[0], &cmd, 1, 0, &exit) == -EIO);
		CHECK(gmem_guest_start(world->vcpus[0], &cmd, 1, 1) == -EBUSY);
		CHECK(!gmem_guest_abort(world->vcpus[0]));
		CHECK(!gmem_guest_fill(world->vcpus[0], GPA, PAGE, (uint64_t)round, 1));
		CHECK(world->memory[8] == (uint64_t)round + 8);
	}
}

/* ---- protected VMs ---- */

static void host_reads_what_the_guest_shares(struct world *world)
{
	struct gmem_vcpu *vcpu = world->vcpus[0];
	uint64_t value;

	for (uint64_t round = 1; round < 4; round++) {
		CHECK(!gmem_guest_store(vcpu, GPA, 0x1000 + round));
		CHECK(read_faults(&world->memory[0], &value));
		CHECK(!gmem_guest_share(vcpu, GPA, PAGE, ZERO));
		CHECK(!read_faults(&world->memory[0], &value));
		CHECK(value == 0x1000 + round);
		world->memory[1] = round;
		CHECK(!gmem_guest_load(vcpu, GPA + 8, &value));
		CHECK(value == round);
		CHECK(!gmem_guest_unshare(vcpu, GPA, PAGE, ZERO));
		CHECK(read_faults(&world->memory[0], &value));
		CHECK(!gmem_guest_load(vcpu, GPA, &value));
		CHECK(value == 0x1000 + round);
	}
}

static void one_vcpu_shares_what_another_wrote(struct world *world)
{
	uint64_t value;

	CHECK(!gmem_guest_store(world->vcpus[0], GPA + PAGE, 17));
	CHECK(!gmem_guest_share(world->vcpus[1], GPA + PAGE, PAGE, ZERO));
	CHECK(!read_faults(&world->memory[PAGE / 8], &value));
	CHECK(value == 17);
	CHECK(gmem_guest_share(world->vcpus[0], GPA + PAGE, PAGE, ZERO));
}

static void system_call_on_private_memory_gets_efault(struct world *world)
{
	int pipes[2];

	CHECK(!gmem_guest_fill(world->vcpus[0], GPA, PAGE, 0, 1));
	CHECK(!pipe(pipes));
	CHECK(write(pipes[1], world->memory, 8) == -1 && errno == EFAULT);
	CHECK(write(pipes[1], "12345678", 8) == 8);
	CHECK(read(pipes[0], world->memory, 8) == -1 && errno == EFAULT);
	CHECK(!gmem_guest_check(world->vcpus[0], GPA, PAGE, 0, 1));
}

/* Nobody tells the VMM of it, since it does not know of conversions. */
static void sharing_what_no_slot_backs_fails(struct world *world)
{
	struct gmem_guest_cmd cmd = { .op = GMEM_GUEST_SHARE, .addr = NOWHERE,
				      .size = PAGE };
	struct gmem_exit exit;

	for (int pages = 1; pages < 3; pages++) {
		cmd.size = (uint64_t)pages * PAGE;
		CHECK(!gmem_guest_start(world->vcpus[0], &cmd, 1, 1));
		CHECK(!gmem_vcpu_run(world->vcpus[0], &exit));
		CHECK(exit.reason == GMEM_EXIT_GUEST_DONE);
		CHECK(gmem_guest_finish(world->vcpus[0], NULL, 0, NULL));
	}
}

static void unsharing_skips_what_is_not_shared(struct world *world)
{
	struct gmem_vcpu *vcpu = world->vcpus[0];
	uint64_t value;

	CHECK(!gmem_guest_store(vcpu, GPA + PAGE, 17));
	CHECK(!gmem_guest_share(vcpu, GPA + PAGE, PAGE, ZERO));
	/* Around it there is memory that the guest never touched. */
	CHECK(!gmem_guest_unshare(vcpu, GPA, 3 * PAGE, ZERO));
	CHECK(read_faults(&world->memory[PAGE / 8], &value));
	CHECK(!gmem_guest_load(vcpu, GPA + PAGE, &value));
	CHECK(value == 17);
}

static const struct test {
	const char *name;
	void (*run)(struct world *world);
	bool ordinary;
	bool protected;
} tests[] = {
#define BOTH(name)	{ #name, name, true, true }
#define ORDINARY(name)	{ #name, name, true, false }
#define PROTECTED(name)	{ #name, name, false, true }
	BOTH(accesses_of_each_width),
	BOTH(guest_reads_what_was_loaded),
	BOTH(vcpus_share_memory),
	BOTH(access_to_nothing_is_told),
	BOTH(exception_in_the_guest_is_told),
	BOTH(endless_list_is_stopped),
	BOTH(stop_before_the_first_run_counts),
	ORDINARY(host_and_guest_see_the_same),
	ORDINARY(vcpu_is_reset),
	PROTECTED(host_reads_what_the_guest_shares),
	PROTECTED(one_vcpu_shares_what_another_wrote),
	PROTECTED(system_call_on_private_memory_gets_efault),
	PROTECTED(sharing_what_no_slot_backs_fails),
	PROTECTED(unsharing_skips_what_is_not_shared),
};

static bool passes(const struct test *test, uint32_t platform)
{
	struct sigaction action = { .sa_handler = on_fault };
	struct world world;
	int status;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (!child) {
		alarm(TIMEOUT_S);
		sigaction(SIGSEGV, &action, NULL);
		sigaction(SIGBUS, &action, NULL);
		open_world(&world, platform);
		test->run(&world);
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return false;
	if (WIFSIGNALED(status))
		printf("# killed by signal %d\n", WTERMSIG(status));
	return !status;
}

static bool has_protected(void)
{
	struct gmem_caps caps = { .size = sizeof(caps) };
	struct gmem_engine *engine = open_kernel();

	CHECK(!gmem_engine_caps(engine, GMEM_VM_PKVM, &caps));
	gmem_engine_close(engine);
	return caps.vm_available;
}

int main(int argc, char **argv)
{
	bool protected = has_protected();
	unsigned int number = 0, bad = 0;

	if (argc > 1 && !strcmp(argv[1], "--protected") && !protected) {
		puts("Bail out! this kernel has no protected VMs");
		return 1;
	}
	puts("TAP version 13");
	for (unsigned int i = 0; i < 2 * sizeof(tests) / sizeof(tests[0]); i++) {
		const struct test *test = &tests[i / 2];
		bool ok;

		if (i % 2 ? !test->protected || !protected : !test->ordinary)
			continue;
		ok = passes(test, i % 2 ? GMEM_VM_PKVM : GMEM_VM_DEFAULT);
		bad += !ok;
		printf("%s %u - %s: %s\n", ok ? "ok" : "not ok", ++number,
		       i % 2 ? "protected" : "ordinary", test->name);
	}
	printf("1..%u\n", number);
	return bad ? 1 : 0;
}
