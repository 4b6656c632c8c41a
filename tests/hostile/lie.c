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
#include <fcntl.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gmem/guest.h>
#include "../conformance/env.h"
#include "hostile.h"

#define PARAMETER	"/sys/module/kvm/parameters/guest_memfd_lie"
#define SECRET		0x5ec4e75ec4e70000ull
#define TIMEOUT_S	60

/* What an attack brought home. */
struct loot {
	uint64_t words[WORDS];
	long bytes;		/* or -errno */
	int signal;
};

static int parameter;

static bool lie(bool on)
{
	return pwrite(parameter, on ? "Y" : "N", 1, 0) == 1;
}

/* ---- tests ---- */

enum access {
	BY_USER,		/* a signal */
	AT_USERS_ADDRESS,	/* -EFAULT */
	AT_KERNELS_ADDRESS,	/* an error, or a page that is the guest's no more */
};

static bool has_secret(const struct loot *loot)
{
	for (unsigned int i = 0; i < WORDS; i++)
		if (loot->words[i] >> 16 == SECRET >> 16)
			return true;
	return false;
}

static void el2_keeps_the_secret(struct env *env, const struct loot *loot,
				 enum access access)
{
	int ret;

	ASSERT(!has_secret(loot));
	/* EL2's signal: guest_memfd's own, if it did not lie, is SIGBUS. */
	if (access == BY_USER)
		ASSERT_EQ(loot->signal, SIGSEGV);
	if (access == AT_USERS_ADDRESS)
		ASSERT_RET(loot->bytes, -EFAULT);

	/* The page beside it is as it was. */
	ASSERT_GUEST_READS(env, 1, 1, SECRET + WORDS);
	ret = gmem_guest_check(env_vcpu(env, 0), gpa_of(0), PAGE, SECRET, 1);
	printf("# the guest's own access: %d\n", ret);
	if (ret)
		ASSERT(ret == -EFAULT && access == AT_KERNELS_ADDRESS);
	else
		ASSERT(loot->bytes <= 0 || access != AT_KERNELS_ADDRESS);
}

static void attack(const struct variant *variant, enum access access,
		   void (*act)(uint64_t *page, struct loot *loot))
{
	struct loot *loot = mmap(NULL, sizeof(*loot), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct env env;

	ASSERT(loot != MAP_FAILED);
	setvbuf(stdout, NULL, _IOLBF, 0);
	catch_sigsegv();
	env_open(&env, variant, 2, IN_PLACE);
	guest_fill(&env, 0, 2, SECRET);
	ASSERT(lie(true));
	act((uint64_t *)env.memory, loot);
	ASSERT(lie(false));
	printf("# %ld bytes, signal %d\n", loot->bytes, loot->signal);

	if (variant->guest_asks)
		el2_keeps_the_secret(&env, loot, access);
	else
		/* The lie works, and it is EL2 that keeps the secret. */
		ASSERT(has_secret(loot));
}

#define ATTACK(name, access, needs)						\
	static void try_to_##name(uint64_t *page, struct loot *loot);		\
	TEST_WITH(name, needs, TIMEOUT_S)					\
	{									\
		attack(variant, access, try_to_##name);				\
	}									\
	static void try_to_##name(uint64_t *page, struct loot *loot)

/* Where nobody keeps the page from its host, only reading shows that it lies. */
#define READ(name, access)	ATTACK(name, access, 0)
#define WRITE(name, access)	ATTACK(name, access, NEEDS_ASKING)

/* ---- accesses by userspace ---- */

READ(user_reads, BY_USER)
{
	loot->signal = try_read(page, loot->words, NULL);
}

WRITE(user_writes, BY_USER)
{
	loot->signal = try_write(page, 1, NULL);
}

/* ---- accesses by the kernel, at userspace's address ---- */

static long or_errno(long ret)
{
	return ret < 0 ? -errno : ret;
}

READ(write_from_it, AT_USERS_ADDRESS)
{
	int ends[2];

	ASSERT(!pipe2(ends, O_NONBLOCK));
	loot->bytes = or_errno(write(ends[1], page, PAGE));
	read(ends[0], loot->words, PAGE);
}

WRITE(read_into_it, AT_USERS_ADDRESS)
{
	int ends[2];

	ASSERT(!pipe2(ends, O_NONBLOCK));
	ASSERT(write(ends[1], loot->words, PAGE) == (ssize_t)PAGE);
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
	ASSERT(child > 0 && waitpid(child, NULL, 0) == child);
}

READ(another_process_reads_it, AT_KERNELS_ADDRESS)
{
	from_another_process(page, loot, false);
}

WRITE(another_process_writes_it, AT_KERNELS_ADDRESS)
{
	from_another_process(page, loot, true);
}

READ(proc_self_mem, AT_KERNELS_ADDRESS)
{
	int memory = open("/proc/self/mem", O_RDONLY);

	ASSERT(memory >= 0);
	loot->bytes = or_errno(pread(memory, loot->words, PAGE, (off_t)(uintptr_t)page));
}

READ(vmsplice_and_read, AT_KERNELS_ADDRESS)
{
	struct iovec iovec = { page, PAGE };
	int ends[2];

	ASSERT(!pipe2(ends, O_NONBLOCK));
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
	ASSERT(ring >= 0);
	if (op == IORING_OP_WRITE_FIXED) {
		struct iovec iovec = { (void *)buffer, PAGE };

		if (syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &iovec, 1))
			return -errno;
	}
	ASSERT(params.features & IORING_FEAT_SINGLE_MMAP);
	queues = mmap(NULL, params.cq_off.cqes + params.cq_entries * sizeof(*cqe),
		      PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	sqe = mmap(NULL, sizeof(*sqe), PROT_READ | PROT_WRITE, MAP_SHARED, ring,
		   IORING_OFF_SQES);
	ASSERT(queues != MAP_FAILED && sqe != MAP_FAILED);

	sqe->opcode = (uint8_t)op;
	sqe->fd = fd;
	sqe->addr = (uintptr_t)buffer;
	sqe->len = PAGE;
	((uint32_t *)(queues + params.sq_off.array))[0] = 0;
	__atomic_store_n((uint32_t *)(queues + params.sq_off.tail), 1, __ATOMIC_RELEASE);
	ASSERT(syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 1);
	cqe = (struct io_uring_cqe *)(queues + params.cq_off.cqes);
	return cqe->res;
}

READ(io_uring_writes_from_it, AT_USERS_ADDRESS)
{
	int ends[2];

	ASSERT(!pipe2(ends, O_NONBLOCK));
	loot->bytes = ring_write(ends[1], page, IORING_OP_WRITE);
	read(ends[0], loot->words, PAGE);
}

READ(io_uring_writes_from_it_registered, AT_KERNELS_ADDRESS)
{
	int ends[2];

	ASSERT(!pipe2(ends, O_NONBLOCK));
	loot->bytes = ring_write(ends[1], page, IORING_OP_WRITE_FIXED);
	read(ends[0], loot->words, PAGE);
}

/* ---- where ---- */

static const struct variant variants[] = {
	{
		.name = "kernel/pkvm",
		.engine = GMEM_ENGINE_KERNEL,
		.platform = GMEM_VM_PKVM,
		.to_shared = POLICY(READABLE),
		.to_private = POLICY(READABLE),
		.kernel = true,
		.guest_asks = true,
	},
	{
		.name = "kernel/sw",
		.engine = GMEM_ENGINE_KERNEL,
		.platform = GMEM_VM_SW,
		.to_shared = POLICY(READABLE),
		.to_private = POLICY(READABLE),
		.kernel = true,
	},
};

static const char *begin(const struct variant *variant)
{
	const char *why = why_no_vm(variant, true);

	if (why)
		return why;
	parameter = open(PARAMETER, O_WRONLY | O_CLOEXEC);
	if (parameter < 0)
		return "this kernel cannot lie: no " PARAMETER;
	leaks_begin();
	return NULL;
}

static bool settled(void)
{
	return lie(false) && leaks_settled();
}

const struct suite suite = {
	.variants = variants,
	.nr_variants = sizeof(variants) / sizeof(variants[0]),
	.begin = begin,
	.settled = settled,
};
