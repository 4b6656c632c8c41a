// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The emu engine beside the bare system calls that its work consists of.
 *
 * Numbers are medians of several rounds, of processor time where the two are
 * compared, so that a busy machine disturbs less.  A bench decides nothing: targets are
 * reported as met or not met, and the exit status says only whether it ran.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <gmem/emu.h>

#define PAGE		4096ull
#define GIB		(1ull << 30)
#define TEST_GPA	(1ull << 32)
#define MAX_ROUNDS	21
#define SMALL_LOOPS	2000

#define READABLE	SET_MEMORY_ATTRIBUTES_CONTENT_READABLE
#define ZERO		SET_MEMORY_ATTRIBUTES_CONTENT_ZERO
#define PRIVATE		KVM_MEMORY_ATTRIBUTE_PRIVATE
#define IN_PLACE	(GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_IN_PLACE)

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY	1
#endif

struct machine {
	struct gmem_engine *engine;
	struct gmem_vm *vm;
	struct gmem_file *file;
	struct gmem_vcpu *vcpus[2];
	unsigned char *memory;
	uint64_t bytes;
};

/* The same memory without the engine: a memfd, guarded by hand. */
struct bare {
	int fd;
	int uffd;
	unsigned char *memory;
	uint64_t bytes;
};

static void check(int ret, const char *what)
{
	if (!ret)
		return;
	fprintf(stderr, "bench/emu: %s: %s\n", what, strerror(ret < 0 ? -ret : ret));
	exit(1);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static double processor_time(void)
{
	struct timespec time;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, int nr)
{
	qsort(values, (size_t)nr, sizeof(*values), compare);
	return values[nr / 2];
}

static void machine_open(struct machine *machine, uint64_t bytes, uint64_t flags)
{
	struct gmem_engine_options engine = {
		.size = sizeof(engine), .kind = GMEM_ENGINE_EMU,
	};
	struct gmem_vm_options vm = { .size = sizeof(vm), .platform = GMEM_VM_SW };
	struct gmem_file_options file = {
		.size = sizeof(file), .bytes = bytes, .flags = flags,
	};
	struct gmem_slot_options slot = {
		.size = sizeof(slot), .gpa = TEST_GPA, .bytes = bytes,
	};
	void *memory;

	check(gmem_engine_open(&engine, &machine->engine), "engine");
	check(gmem_vm_create(machine->engine, &vm, &machine->vm), "VM");
	check(gmem_guest_setup(machine->vm), "guest program");
	check(gmem_file_create(machine->vm, &file, &machine->file), "file");
	check(gmem_file_map(machine->file, 0, bytes, &memory), "mapping");
	slot.file = machine->file;
	slot.userspace_addr = memory;
	check(gmem_slot_set(machine->vm, &slot), "slot");
	for (uint32_t i = 0; i < 2; i++)
		check(gmem_vcpu_create(machine->vm, i, &machine->vcpus[i]), "vCPU");
	machine->memory = memory;
	machine->bytes = bytes;
}

static void machine_close(struct machine *machine)
{
	for (int i = 0; i < 2; i++)
		gmem_vcpu_destroy(machine->vcpus[i]);
	gmem_file_unmap(machine->file, machine->memory, machine->bytes);
	gmem_file_close(machine->file);
	gmem_vm_destroy(machine->vm);
	gmem_engine_close(machine->engine);
}

static void convert(struct machine *machine, uint64_t offset, uint64_t bytes,
		    uint64_t attributes, uint32_t policy)
{
	check(gmem_file_convert(machine->file, offset, bytes, attributes, policy, NULL),
	      "conversion");
}

static void bare_open(struct bare *bare, uint64_t bytes)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_SIGBUS | UFFD_FEATURE_MISSING_SHMEM |
			    UFFD_FEATURE_MINOR_SHMEM,
	};

	bare->bytes = bytes;
	bare->fd = memfd_create("bare", MFD_CLOEXEC);
	bare->uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
	if (bare->fd < 0 || bare->uffd < 0 || ioctl(bare->uffd, UFFDIO_API, &api) ||
	    ftruncate(bare->fd, (off_t)bytes))
		check(errno, "userfaultfd");
	bare->memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_NORESERVE, bare->fd, 0);
	if (bare->memory == MAP_FAILED)
		check(errno, "mmap");
	madvise(bare->memory, bytes, MADV_NOHUGEPAGE);
	memset(bare->memory, 1, bytes);
}

static void bare_register(struct bare *bare)
{
	struct uffdio_register args = {
		.range = { (uintptr_t)bare->memory, bare->bytes },
		.mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_MINOR,
	};

	if (ioctl(bare->uffd, UFFDIO_REGISTER, &args))
		check(errno, "UFFDIO_REGISTER");
}

static void bare_unregister(struct bare *bare)
{
	struct uffdio_range range = { (uintptr_t)bare->memory, bare->bytes };

	if (ioctl(bare->uffd, UFFDIO_UNREGISTER, &range))
		check(errno, "UFFDIO_UNREGISTER");
}

static void bare_close(struct bare *bare)
{
	munmap(bare->memory, bare->bytes);
	close(bare->uffd);
	close(bare->fd);
}

static void report(const char *what, double got, const char *unit, double target)
{
	printf("%-58s %10.3f %-3s", what, got, unit);
	if (target > 0)
		printf(" target %g: %s", target, got <= target ? "met" : "NOT MET");
	putchar('\n');
}

/*
 * A page there and back; both by turns, so that noise meets both.  If it is the
 * only private one in 2 MiB, the map gets and loses a leaf each time.
 */
static void bench_small(bool alone)
{
	double ours[MAX_ROUNDS], theirs[MAX_ROUNDS], start;
	struct machine machine;
	struct bare bare;

	machine_open(&machine, 16 << 20, IN_PLACE);
	convert(&machine, 0, 16 << 20, 0, READABLE);
	memset(machine.memory, 1, 16 << 20);
	for (uint64_t offset = PAGE; offset < 16 << 20 && !alone; offset += 2 << 20)
		convert(&machine, offset, PAGE, PRIVATE, READABLE);
	bare_open(&bare, 16 << 20);
	bare_register(&bare);
	for (int round = 0; round < MAX_ROUNDS; round++) {
		start = processor_time();
		for (int i = 0; i < SMALL_LOOPS; i++) {
			uint64_t offset = (uint64_t)(i % 1024) * 3 * PAGE;

			convert(&machine, offset, PAGE, PRIVATE, READABLE);
			convert(&machine, offset, PAGE, 0, READABLE);
		}
		ours[round] = (processor_time() - start) / SMALL_LOOPS / 2;

		start = processor_time();
		for (int i = 0; i < SMALL_LOOPS; i++) {
			unsigned char *addr = bare.memory + i % 1024 * 3 * PAGE;
			struct uffdio_continue args = {
				.range = { (uintptr_t)addr, PAGE },
			};

			if (madvise(addr, PAGE, MADV_DONTNEED) ||
			    ioctl(bare.uffd, UFFDIO_CONTINUE, &args))
				check(errno, "bare conversion");
		}
		theirs[round] = (processor_time() - start) / SMALL_LOOPS / 2;
	}
	report(alone ? "4 KiB READABLE, alone in its 2 MiB" : "4 KiB READABLE",
	       median(ours, MAX_ROUNDS) * 1e6, "us", 0);
	report("  the bare system calls", median(theirs, MAX_ROUNDS) * 1e6, "us", 0);
	report("  ratio", median(ours, MAX_ROUNDS) / median(theirs, MAX_ROUNDS), "x",
	       1.5);
	bare_close(&bare);
	machine_close(&machine);
}

static void bench_large(void)
{
	enum { ROUNDS = 5 };
	double ours[ROUNDS], theirs[ROUNDS], start;
	struct machine machine;
	struct bare bare;

	machine_open(&machine, GIB, IN_PLACE);
	convert(&machine, 0, GIB, 0, READABLE);
	bare_open(&bare, GIB);
	for (int round = 0; round < ROUNDS; round++) {
		memset(machine.memory, round, GIB);
		start = processor_time();
		convert(&machine, 0, GIB, PRIVATE, READABLE);
		convert(&machine, 0, GIB, 0, READABLE);
		ours[round] = processor_time() - start;

		memset(bare.memory, round, GIB);
		start = processor_time();
		bare_register(&bare);
		madvise(bare.memory, GIB, MADV_DONTNEED);
		bare_unregister(&bare);
		theirs[round] = processor_time() - start;
	}
	report("1 GiB populated, READABLE, there and back",
	       median(ours, ROUNDS) * 1e3, "ms", 0);
	report("  the bare system calls", median(theirs, ROUNDS) * 1e3, "ms", 0);
	report("  ratio", median(ours, ROUNDS) / median(theirs, ROUNDS), "x", 1.2);
	bare_close(&bare);
	machine_close(&machine);
}

static double round_trip(struct machine *machine, uint64_t bytes, uint32_t policy)
{
	double values[MAX_ROUNDS], start;

	for (int round = 0; round < MAX_ROUNDS; round++) {
		start = processor_time();
		convert(machine, 0, bytes, 0, policy);
		convert(machine, 0, bytes, PRIVATE, policy);
		values[round] = processor_time() - start;
	}
	return median(values, MAX_ROUNDS);
}

static void bench_untouched(void)
{
	struct machine machine;
	double readable, zero;

	machine_open(&machine, 64 * GIB, IN_PLACE);
	readable = round_trip(&machine, GIB, READABLE);
	zero = round_trip(&machine, GIB, ZERO);
	report("1 GiB untouched, READABLE, there and back", readable * 1e6, "us", 0);
	report("1 GiB untouched, ZERO", zero * 1e6, "us", 0);
	report("64 GiB untouched, ZERO", round_trip(&machine, 64 * GIB, ZERO) * 1e6,
	       "us", 0);
	machine_close(&machine);
}

static void bench_start(void)
{
	double open[MAX_ROUNDS], all[MAX_ROUNDS], huge[MAX_ROUNDS];

	for (int round = 0; round < MAX_ROUNDS; round++) {
		struct gmem_engine_options options = {
			.size = sizeof(options), .kind = GMEM_ENGINE_EMU,
		};
		struct gmem_engine *engine;
		struct machine machine;
		uint64_t value;
		double start;

		start = now();
		check(gmem_engine_open(&options, &engine), "engine");
		open[round] = now() - start;
		gmem_engine_close(engine);

		start = now();
		machine_open(&machine, GIB, IN_PLACE);
		check(gmem_guest_load(machine.vcpus[0], TEST_GPA, &value), "guest");
		all[round] = now() - start;
		machine_close(&machine);

		start = now();
		machine_open(&machine, 1024 * GIB, IN_PLACE);
		convert(&machine, 0, 1024 * GIB, 0, ZERO);
		convert(&machine, 0, 1024 * GIB, PRIVATE, ZERO);
		huge[round] = now() - start;
		machine_close(&machine);
	}
	report("engine start", median(open, MAX_ROUNDS) * 1e3, "ms", 5);
	report("engine, VM, 1 GiB, first guest load", median(all, MAX_ROUNDS) * 1e3,
	       "ms", 5);
	report("engine, VM, 1 TiB, converted there and back",
	       median(huge, MAX_ROUNDS) * 1e3, "ms", 0);
}

struct filler {
	struct gmem_vcpu *vcpu;
	uint64_t gpa;
};

/* Half stores, half loads. */
static void *fill(void *opaque)
{
	struct filler *filler = opaque;

	for (int i = 0; i < 8; i++) {
		check(gmem_guest_fill(filler->vcpu, filler->gpa, 8 << 20, 1, 1), "fill");
		check(gmem_guest_check(filler->vcpu, filler->gpa, 8 << 20, 1, 1),
		      "check");
	}
	return NULL;
}

/* Processor time of both sides, so that a busy machine does not count. */
static double seconds_per_access(struct machine *machine, int nr)
{
	struct filler filler[2];
	pthread_t threads[2];
	double start = processor_time();

	for (int i = 0; i < nr; i++) {
		filler[i].vcpu = machine->vcpus[i];
		filler[i].gpa = TEST_GPA + ((uint64_t)i << 24);
		check(pthread_create(&threads[i], NULL, fill, &filler[i]), "thread");
	}
	for (int i = 0; i < nr; i++)
		pthread_join(threads[i], NULL);
	return (processor_time() - start) / (nr * 8 * 2 * (double)(8 << 20) / 8);
}

static void bench_access(void)
{
	enum { ROUNDS = 7 };
	double one[ROUNDS], two[ROUNDS], scale;
	struct machine machine;

	machine_open(&machine, 64 << 20, IN_PLACE);
	seconds_per_access(&machine, 2);
	for (int round = 0; round < ROUNDS; round++) {
		one[round] = seconds_per_access(&machine, 1);
		two[round] = seconds_per_access(&machine, 2);
	}
	report("guest access", median(one, ROUNDS) * 1e9, "ns", 0);
	scale = 2 * median(one, ROUNDS) / median(two, ROUNDS);
	printf("%-58s %10.3f %-3s target 1.8: %s\n",
	       "  two vCPUs, given a processor each, do", scale, "x",
	       scale >= 1.8 ? "met" : "NOT MET");
	machine_close(&machine);
}

int main(void)
{
	bench_start();
	bench_small(false);
	bench_small(true);
	bench_large();
	bench_untouched();
	bench_access();
	return 0;
}
