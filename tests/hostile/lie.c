// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * A host kernel that lies: guest_memfd maps a protected VM's private page for whoever
 * asks (the parameter kvm.guest_memfd_lie of debug kernels).  Whatever the host then
 * tries, nobody but the guest may ever see what the guest wrote, the host must
 * survive, and the guest must find its own data or no page at all.
 *
 * Userspace's own access ends in a signal and changes nothing.  So does one that the
 * kernel makes for it and is prepared to see fail.  An access by the kernel's own
 * address of the page is not: EL2 then takes the page from the guest, scrubbed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gmem/gmem.h>
#include <gmem/guest.h>

#include "hostile.h"

#define PARAMETER	"/sys/module/kvm/parameters/guest_memfd_lie"
#define GPA		(1ull << 32)
#define SLOT		1
#define PAGES		2
#define SECRET		0x5ec4e75ec4e70000ull
#define WORDS		(PAGE / 8)
#define TIMEOUT_S	60

#define CHECK(condition) do {							\
	if (!(condition)) {							\
		printf("# %s:%d: %s (errno %d)\n", __FILE__, __LINE__,		\
		       #condition, errno);					\
		fflush(stdout);							\
		_exit(1);							\
	}									\
} while (0)

struct world {
	struct gmem_vm *vm;
	struct gmem_vcpu *vcpu;
	uint64_t *page;		/* the file's first, mapped by the host */
};

/* What an attack brought home. */
struct loot {
	uint64_t words[WORDS];
	long bytes;		/* or -errno */
	int signal;
};

static int parameter;

static void lie(bool on)
{
	CHECK(pwrite(parameter, on ? "Y" : "N", 1, 0) == 1);
}

static void be_silent(void *opaque, int level, const char *message)
{
	(void)opaque;
	(void)level;
	(void)message;
}

static void open_world(struct world *world, uint32_t platform)
{
	struct gmem_engine_options options = {
		.size = sizeof(options), .kind = GMEM_ENGINE_KERNEL, .log = be_silent,
	};
	struct gmem_vm_options vm_options = {
		.size = sizeof(vm_options), .platform = platform,
	};
	struct gmem_file_options file_options = {
		.size = sizeof(file_options), .bytes = PAGES * PAGE,
		.flags = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_IN_PLACE,
	};
	struct gmem_slot_options slot = {
		.size = sizeof(slot), .id = SLOT, .gpa = GPA, .bytes = PAGES * PAGE,
	};
	struct gmem_engine *engine;
	void *memory;

	CHECK(!gmem_engine_open(&options, &engine));
	CHECK(!gmem_vm_create(engine, &vm_options, &world->vm));
	CHECK(!gmem_guest_setup(world->vm));
	CHECK(!gmem_file_create(world->vm, &file_options, &slot.file));
	CHECK(!gmem_file_map(slot.file, 0, PAGES * PAGE, &memory));
	CHECK(!gmem_slot_set(world->vm, &slot));
	CHECK(!gmem_vcpu_create(world->vm, 0, &world->vcpu));
	CHECK(!gmem_guest_fill(world->vcpu, GPA, PAGES * PAGE, SECRET, 1));
	world->page = memory;
}

/* ---- accesses by userspace ---- */

static sigjmp_buf fault_jump;

static void on_fault(int signal)
{
	siglongjmp(fault_jump, signal);
}

static void touch_to_read(uint64_t *page, struct loot *loot)
{
	loot->signal = sigsetjmp(fault_jump, 1);
	if (loot->signal)
		return;
	loot->words[0] = *(volatile uint64_t *)page;
	loot->bytes = 8;
}

static void touch_to_write(uint64_t *page, struct loot *loot)
{
	loot->signal = sigsetjmp(fault_jump, 1);
	if (!loot->signal)
		*(volatile uint64_t *)page = 1;
}

/* ---- accesses by the kernel, at userspace's address ---- */

static long or_errno(long ret)
{
	return ret < 0 ? -errno : ret;
}

static void write_to_pipe(uint64_t *page, struct loot *loot)
{
	int ends[2];

	CHECK(!pipe2(ends, O_NONBLOCK));
	loot->bytes = or_errno(write(ends[1], page, PAGE));
	read(ends[0], loot->words, PAGE);
}

static void read_from_pipe(uint64_t *page, struct loot *loot)
{
	int ends[2];

	CHECK(!pipe2(ends, O_NONBLOCK));
	CHECK(write(ends[1], loot->words, PAGE) == (ssize_t)PAGE);
	loot->bytes = or_errno(read(ends[0], page, PAGE));
}

/* ---- accesses by the kernel, at its own address ---- */

/* Another process reads or writes this one's memory. */
static void from_another_process(uint64_t *page, struct loot *loot, bool writes)
{
	struct iovec local = { loot->words, PAGE }, remote = { page, PAGE };
	pid_t child;

	/* Both mappings are shared: it is the other one that asks. */
	child = fork();
	if (!child) {
		loot->bytes = or_errno(writes ?
			process_vm_writev(getppid(), &local, 1, &remote, 1, 0) :
			process_vm_readv(getppid(), &local, 1, &remote, 1, 0));
		_exit(0);
	}
	CHECK(child > 0 && waitpid(child, NULL, 0) == child);
}

static void read_by_another_process(uint64_t *page, struct loot *loot)
{
	from_another_process(page, loot, false);
}

static void write_by_another_process(uint64_t *page, struct loot *loot)
{
	from_another_process(page, loot, true);
}

static void read_through_proc(uint64_t *page, struct loot *loot)
{
	int memory = open("/proc/self/mem", O_RDONLY);

	CHECK(memory >= 0);
	loot->bytes = or_errno(pread(memory, loot->words, PAGE, (off_t)(uintptr_t)page));
}

static void splice_into_pipe(uint64_t *page, struct loot *loot)
{
	struct iovec iovec = { page, PAGE };
	int ends[2];

	CHECK(!pipe2(ends, O_NONBLOCK));
	loot->bytes = or_errno(vmsplice(ends[1], &iovec, 1, 0));
	if (loot->bytes > 0)
		loot->bytes = or_errno(read(ends[0], loot->words, PAGE));
}

/* ---- io_uring, with the page as a plain buffer or as a registered one ---- */

static long ring_write(int fd, const void *buffer, unsigned int op)
{
	struct io_uring_params params = { 0 };
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	unsigned char *queues;
	int ring;

	ring = (int)syscall(SYS_io_uring_setup, 1, &params);
	CHECK(ring >= 0);
	if (op == IORING_OP_WRITE_FIXED) {
		struct iovec iovec = { (void *)buffer, PAGE };

		if (syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &iovec, 1))
			return -errno;
	}
	CHECK(params.features & IORING_FEAT_SINGLE_MMAP);
	queues = mmap(NULL, params.cq_off.cqes + params.cq_entries * sizeof(*cqe),
		      PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	sqe = mmap(NULL, sizeof(*sqe), PROT_READ | PROT_WRITE, MAP_SHARED, ring,
		   IORING_OFF_SQES);
	CHECK(queues != MAP_FAILED && sqe != MAP_FAILED);

	sqe->opcode = (uint8_t)op;
	sqe->fd = fd;
	sqe->addr = (uintptr_t)buffer;
	sqe->len = PAGE;
	((uint32_t *)(queues + params.sq_off.array))[0] = 0;
	__atomic_store_n((uint32_t *)(queues + params.sq_off.tail), 1, __ATOMIC_RELEASE);
	CHECK(syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 1);
	cqe = (struct io_uring_cqe *)(queues + params.cq_off.cqes);
	return cqe->res;
}

static void ring_into_pipe(uint64_t *page, struct loot *loot)
{
	int ends[2];

	CHECK(!pipe2(ends, O_NONBLOCK));
	loot->bytes = ring_write(ends[1], page, IORING_OP_WRITE);
	read(ends[0], loot->words, PAGE);
}

static void registered_ring_into_pipe(uint64_t *page, struct loot *loot)
{
	int ends[2];

	CHECK(!pipe2(ends, O_NONBLOCK));
	loot->bytes = ring_write(ends[1], page, IORING_OP_WRITE_FIXED);
	read(ends[0], loot->words, PAGE);
}

/* ---- tests ---- */

enum access {
	BY_USER,		/* a signal */
	AT_USERS_ADDRESS,	/* -EFAULT */
	AT_KERNELS_ADDRESS,	/* an error, or a page that is the guest's no more */
};

static const struct test {
	const char *name;
	void (*attack)(uint64_t *page, struct loot *loot);
	enum access access;
} tests[] = {
	{ "user reads", touch_to_read, BY_USER },
	{ "user writes", touch_to_write, BY_USER },
	{ "write(2) from it", write_to_pipe, AT_USERS_ADDRESS },
	{ "read(2) into it", read_from_pipe, AT_USERS_ADDRESS },
	{ "io_uring writes from it", ring_into_pipe, AT_USERS_ADDRESS },
	{ "another process reads it", read_by_another_process, AT_KERNELS_ADDRESS },
	{ "another process writes it", write_by_another_process, AT_KERNELS_ADDRESS },
	{ "/proc/self/mem", read_through_proc, AT_KERNELS_ADDRESS },
	{ "vmsplice(2) and read(2)", splice_into_pipe, AT_KERNELS_ADDRESS },
	{ "io_uring writes from it, registered", registered_ring_into_pipe,
	  AT_KERNELS_ADDRESS },
};

static bool has_secret(const struct loot *loot)
{
	for (unsigned int i = 0; i < WORDS; i++)
		if (loot->words[i] >> 16 == SECRET >> 16)
			return true;
	return false;
}

static struct loot *attack(struct world *world, const struct test *test)
{
	struct loot *loot = mmap(NULL, sizeof(*loot), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(loot != MAP_FAILED);
	lie(true);
	test->attack(world->page, loot);
	lie(false);
	printf("# %s: %ld bytes, signal %d\n", test->name, loot->bytes, loot->signal);
	return loot;
}

static void el2_keeps_the_secret(const struct test *test)
{
	struct world world;
	struct loot *loot;
	int ret;

	open_world(&world, GMEM_VM_PKVM);
	loot = attack(&world, test);
	CHECK(!has_secret(loot));
	/* EL2's signal: guest_memfd's own, if it did not lie, is SIGBUS. */
	if (test->access == BY_USER)
		CHECK(loot->signal == SIGSEGV);
	if (test->access == AT_USERS_ADDRESS)
		CHECK(loot->bytes == -EFAULT);

	/* The page beside it is as it was. */
	CHECK(!gmem_guest_check(world.vcpu, GPA + PAGE, PAGE, SECRET + WORDS, 1));
	ret = gmem_guest_check(world.vcpu, GPA, PAGE, SECRET, 1);
	printf("# the guest's own access: %d\n", ret);
	if (ret)
		CHECK(ret == -EFAULT && test->access == AT_KERNELS_ADDRESS);
	else
		CHECK(loot->bytes <= 0 || test->access != AT_KERNELS_ADDRESS);
}

/* What shows that the lie works, and that it is EL2 that keeps the secret. */
static void without_el2_the_lie_gives_it_away(const struct test *test)
{
	struct world world;

	open_world(&world, GMEM_VM_SW);
	CHECK(has_secret(attack(&world, test)));
}

static bool passes(void (*run)(const struct test *test), const struct test *test)
{
	struct sigaction action = { .sa_handler = on_fault };
	int status;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (!child) {
		alarm(TIMEOUT_S);
		sigaction(SIGSEGV, &action, NULL);
		sigaction(SIGBUS, &action, NULL);
		run(test);
		fflush(stdout);
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return false;
	lie(false);
	if (WIFSIGNALED(status))
		printf("# killed by signal %d\n", WTERMSIG(status));
	return !status && leaks_settled();
}

int main(void)
{
	const unsigned int nr = sizeof(tests) / sizeof(tests[0]);
	unsigned int number = 0, bad = 0;

	parameter = open(PARAMETER, O_WRONLY | O_CLOEXEC);
	if (parameter < 0) {
		fprintf(stderr, "lie: this kernel cannot lie: no " PARAMETER "\n");
		return 2;
	}
	leaks_begin();
	puts("TAP version 13");
	for (unsigned int i = 0; i < nr; i++) {
		bool ok = passes(el2_keeps_the_secret, &tests[i]);

		printf("%s %u - protected: %s\n", ok ? "ok" : "not ok", ++number,
		       tests[i].name);
		bad += !ok;
	}
	for (unsigned int i = 0; i < nr; i++) {
		bool ok;

		if (tests[i].attack == touch_to_write || tests[i].attack == read_from_pipe ||
		    tests[i].attack == write_by_another_process)
			continue;
		ok = passes(without_el2_the_lie_gives_it_away, &tests[i]);
		printf("%s %u - ordinary, where the lie works: %s\n", ok ? "ok" : "not ok",
		       ++number, tests[i].name);
		bad += !ok;
	}
	printf("1..%u\n", number);
	return bad ? 1 : 0;
}
