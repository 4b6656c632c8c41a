// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * What it costs that pKVM's guests are asked: how much a conversion grows by being
 * held against the guests' requests, and how long a share takes.
 *
 * Counts instructions of all exception levels, EL2's too: bench/pkvm boots a machine
 * with one CPU whose counter advances by one nanosecond an instruction.  Emulation
 * makes nothing else of time worth telling.  A bench decides nothing: the exit status
 * says only whether it ran.
 *
 * Validation cannot be left out, so it is told from what surrounds it: a request for
 * ENCRYPTED is refused in the step before, one for another direction than the guest's
 * by validation, after all vCPUs' words were read.  The difference and, given by
 * --claim, all instructions of the two functions that take and shorten a matching
 * word, run or not, are the most that validation adds to the conversion that then
 * succeeds.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <gmem/gmem.h>

#define PAGE		4096ull
#define NR_PAGES	32	/* as many as a list has commands */
#define FILE_GPA	(1ull << 32)
#define ORDINARY_GPA	(2ull << 32)
#define ORDINARY_SLOT	1
#define ROUNDS		15
#define MAX_VCPUS	64

#define READABLE	SET_MEMORY_ATTRIBUTES_CONTENT_READABLE
#define ENCRYPTED	SET_MEMORY_ATTRIBUTES_CONTENT_ENCRYPTED
#define PRIVATE		KVM_MEMORY_ATTRIBUTE_PRIVATE
#define SHARED		0

struct machine {
	struct gmem_engine *engine;
	struct gmem_vm *vm;
	struct gmem_file *file;
	struct gmem_vcpu *vcpu;
	void *memory;		/* behind the ordinary slot */
	int others[MAX_VCPUS];	/* vCPUs that only exist */
	unsigned int nr_others;
};

/* In instructions, and what there is one of for each page. */
struct cost {
	double instructions;
	double exits;		/* from the guest to EL1 */
	double vmm_exits;	/* from KVM_RUN, for this */
};

static void check(int ret, const char *what)
{
	if (!ret)
		return;
	fprintf(stderr, "bench/pkvm: %s: %s\n", what, strerror(ret < 0 ? -ret : ret));
	exit(1);
}

/* ---- counting ---- */

static uint64_t now(void)
{
	uint64_t ticks, frequency;

	__asm__ volatile("isb; mrs %0, cntvct_el0; mrs %1, cntfrq_el0"
			 : "=r"(ticks), "=r"(frequency) : : "memory");
	return ticks * (1000000000ull / frequency);
}

/* A counter of anything but instructions is off by more than a tick's work. */
static void check_counter(void)
{
	const uint64_t loops = 1000000;
	uint64_t left = loops, start = now(), got;

	__asm__ volatile("1: subs %0, %0, #1; b.ne 1b" : "+r"(left) : : "cc");
	got = now() - start;
	if (got > 2 * loops - 2 * loops / 50 && got < 2 * loops + 2 * loops / 50)
		return;
	fprintf(stderr, "bench/pkvm: this machine's counter does not count instructions "
		"(%" PRIu64 " for %" PRIu64 "): run it by bench/pkvm\n", got, 2 * loops);
	exit(1);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values)
{
	qsort(values, ROUNDS, sizeof(*values), compare);
	return values[ROUNDS / 2];
}

/* The vCPU's own statistics: exits that EL2 did not handle by itself. */
static uint64_t exits_of(struct gmem_vcpu *vcpu)
{
	struct kvm_stats_header header;
	struct kvm_stats_desc *desc;
	uint64_t value;
	int fd;

	fd = ioctl(gmem_vcpu_fd(vcpu), KVM_GET_STATS_FD, NULL);
	if (fd < 0 || pread(fd, &header, sizeof(header), 0) != sizeof(header))
		check(errno, "statistics");
	desc = malloc(sizeof(*desc) + header.name_size);
	check(desc ? 0 : ENOMEM, "statistics");
	for (uint32_t i = 0; i < header.num_desc; i++) {
		size_t size = sizeof(*desc) + header.name_size;

		if (pread(fd, desc, size, header.desc_offset + (off_t)(i * size)) !=
		    (ssize_t)size)
			check(errno, "statistics");
		if (strcmp(desc->name, "exits"))
			continue;
		if (pread(fd, &value, sizeof(value), header.data_offset +
			  (off_t)desc->offset) != sizeof(value))
			check(errno, "statistics");
		free(desc);
		close(fd);
		return value;
	}
	check(ENOENT, "the statistic 'exits'");
	return 0;
}

/* ---- the VM ---- */

static void add_file(struct machine *machine)
{
	struct gmem_file_options file = {
		.size = sizeof(file), .bytes = NR_PAGES * PAGE,
		.flags = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_IN_PLACE,
	};
	struct gmem_slot_options slot = {
		.size = sizeof(slot), .gpa = FILE_GPA, .bytes = NR_PAGES * PAGE,
	};

	check(gmem_file_create(machine->vm, &file, &machine->file), "file");
	slot.file = machine->file;
	check(gmem_slot_set(machine->vm, &slot), "slot");
}

static void add_ordinary_memory(struct machine *machine)
{
	struct gmem_slot_options slot = {
		.size = sizeof(slot), .id = ORDINARY_SLOT, .gpa = ORDINARY_GPA,
		.bytes = NR_PAGES * PAGE,
	};

	machine->memory = mmap(NULL, NR_PAGES * PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (machine->memory == MAP_FAILED)
		check(errno, "mmap");
	slot.userspace_addr = machine->memory;
	check(gmem_slot_set(machine->vm, &slot), "ordinary slot");
}

/* The vCPU that asks is the last of @nr_vcpus. */
static void machine_open(struct machine *machine, unsigned int nr_vcpus, bool in_place)
{
	struct gmem_engine_options engine = {
		.size = sizeof(engine), .kind = GMEM_ENGINE_KERNEL,
	};
	struct gmem_vm_options vm = { .size = sizeof(vm), .platform = GMEM_VM_PKVM };
	int fd;

	memset(machine, 0, sizeof(*machine));
	check(gmem_engine_open(&engine, &machine->engine), "engine");
	check(gmem_vm_create(machine->engine, &vm, &machine->vm), "VM");
	check(gmem_guest_setup(machine->vm), "guest program");
	if (in_place)
		add_file(machine);
	add_ordinary_memory(machine);
	while (machine->nr_others < nr_vcpus - 1) {
		fd = ioctl(gmem_vm_fd(machine->vm), KVM_CREATE_VCPU,
			   (unsigned long)machine->nr_others + 1);
		check(fd < 0 ? errno : 0, "another vCPU");
		machine->others[machine->nr_others++] = fd;
	}
	check(gmem_vcpu_create(machine->vm, 0, &machine->vcpu), "vCPU");
	check(gmem_guest_fill(machine->vcpu, ORDINARY_GPA, NR_PAGES * PAGE, 1, 1), "guest");
	if (in_place)
		check(gmem_guest_fill(machine->vcpu, FILE_GPA, NR_PAGES * PAGE, 1, 1),
		      "guest");
}

static void machine_close(struct machine *machine)
{
	gmem_vcpu_destroy(machine->vcpu);
	while (machine->nr_others)
		close(machine->others[--machine->nr_others]);
	gmem_file_close(machine->file);
	gmem_vm_destroy(machine->vm);
	gmem_engine_close(machine->engine);
	munmap(machine->memory, NR_PAGES * PAGE);
}

/* The bare system call; return the instructions of it. */
static uint64_t convert(struct machine *machine, uint64_t offset, uint64_t attributes,
			uint32_t policy, int want)
{
	struct kvm_memory_attributes2 args = {
		.offset = offset, .size = PAGE, .attributes = attributes,
		.content_policy = policy,
	};
	int fd = gmem_file_fd(machine->file), ret;
	uint64_t start, end;

	start = now();
	ret = ioctl(fd, KVM_SET_MEMORY_ATTRIBUTES2, &args);
	end = now();
	ret = ret ? errno : 0;
	check(ret == want ? 0 : ret ? ret : EINVAL, "conversion");
	return end - start;
}

/* ---- lists ---- */

/* Let the guest ask for each page, and @serve its exits. */
static uint64_t run_list(struct machine *machine, const struct gmem_guest_cmd *cmds,
			 void (*serve)(struct machine *machine, uint64_t offset,
				       uint64_t attributes, void *opaque),
			 void *opaque)
{
	struct gmem_exit exit;
	uint64_t served = 0;
	int ret;

	check(gmem_guest_start(machine->vcpu, cmds, NR_PAGES, 1), "list");
	for (;;) {
		check(gmem_vcpu_run(machine->vcpu, &exit), "run");
		if (exit.reason == KVM_EXIT_HYPERCALL) {
			served++;
			serve(machine, exit.hypercall.args[0] - FILE_GPA,
			      exit.hypercall.args[2] & 1u << 4 ? PRIVATE : SHARED,
			      opaque);
			gmem_vcpu_complete_hypercall(machine->vcpu, 0);
		} else if (exit.reason == GMEM_EXIT_GUEST_DONE) {
			ret = gmem_guest_finish(machine->vcpu, NULL, 0, NULL);
			if (ret == -EBUSY)
				continue;
			check(ret, "the guest's list");
			return served;
		} else if (exit.reason != KVM_EXIT_INTR) {
			check(EIO, "exit of the guest");
		}
	}
}

static void fill_list(struct gmem_guest_cmd *cmds, uint32_t op, uint64_t gpa)
{
	memset(cmds, 0, NR_PAGES * sizeof(*cmds));
	for (unsigned int i = 0; i < NR_PAGES; i++) {
		cmds[i].op = op;
		cmds[i].addr = gpa + i * PAGE;
		cmds[i].size = PAGE;
	}
}

/* ---- what validation adds ---- */

/* The ioctl's instructions. */
struct parts {
	double before;		/* refused in the step before validation */
	double refused;		/* refused by validation */
	double done;
};

static void serve_in_parts(struct machine *machine, uint64_t offset, uint64_t attributes,
			   void *opaque)
{
	struct parts *parts = opaque;

	parts->before += (double)convert(machine, offset, attributes, ENCRYPTED,
					 EOPNOTSUPP);
	parts->refused += (double)convert(machine, offset, attributes ^ PRIVATE, READABLE,
					  EPERM);
	parts->done += (double)convert(machine, offset, attributes, READABLE, 0);
}

static struct parts measure_parts(struct machine *machine, uint32_t op)
{
	double before[ROUNDS], refused[ROUNDS], done[ROUNDS];
	struct gmem_guest_cmd cmds[NR_PAGES], back[NR_PAGES];
	struct parts ignored;

	fill_list(cmds, op, FILE_GPA);
	fill_list(back, op == GMEM_GUEST_SHARE ? GMEM_GUEST_UNSHARE : GMEM_GUEST_SHARE,
		  FILE_GPA);
	if (op == GMEM_GUEST_UNSHARE)
		run_list(machine, back, serve_in_parts, &ignored);
	for (int round = 0; round < ROUNDS; round++) {
		struct parts parts = { 0 };

		run_list(machine, cmds, serve_in_parts, &parts);
		before[round] = parts.before / NR_PAGES;
		refused[round] = parts.refused / NR_PAGES;
		done[round] = parts.done / NR_PAGES;
		if (round + 1 < ROUNDS || op == GMEM_GUEST_SHARE)
			run_list(machine, back, serve_in_parts, &ignored);
	}
	return (struct parts){ median(before), median(refused), median(done) };
}

static void report_validation(const struct parts *parts, const char *direction,
			      unsigned int nr_vcpus, double claim)
{
	double added = parts->refused - parts->before + claim;
	double percent = 100 * added / (parts->done - added);
	double target = nr_vcpus == 1 ? 5 : 10;

	printf("%-11s %5u %12.0f %10.0f %8.1f %%  target %2g %%: %s\n", direction,
	       nr_vcpus, parts->done, added, percent, target,
	       percent <= target ? "met" : "NOT MET");
}

static void bench_validation(double claim)
{
	static const unsigned int sizes[] = { 1, MAX_VCPUS };
	static const uint32_t ops[] = { GMEM_GUEST_SHARE, GMEM_GUEST_UNSHARE };
	struct machine machine;
	struct parts parts;

	puts("The conversion ioctl, one page, READABLE, asked for by the last vCPU, in "
	     "instructions:\n\n"
	     "            vCPUs   conversion   validation, at most");
	for (size_t i = 0; i < 4; i++) {
		machine_open(&machine, sizes[i & 1], true);
		parts = measure_parts(&machine, ops[i / 2]);
		report_validation(&parts, i / 2 ? "to private" : "to shared",
				  sizes[i & 1], claim);
		machine_close(&machine);
	}
	putchar('\n');
}

/* ---- what a share takes ---- */

static void serve_at_once(struct machine *machine, uint64_t offset, uint64_t attributes,
			  void *opaque)
{
	(void)opaque;
	convert(machine, offset, attributes, READABLE, 0);
}

/* A list of @op, for each page of it; @undo is its opposite, and not counted. */
static struct cost measure(struct machine *machine, uint32_t op, uint32_t undo,
			   uint64_t gpa)
{
	double instructions[ROUNDS], exits[ROUNDS], vmm_exits[ROUNDS];
	struct gmem_guest_cmd cmds[NR_PAGES], back[NR_PAGES];

	fill_list(cmds, op, gpa);
	fill_list(back, undo, gpa);
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t start, served, before = exits_of(machine->vcpu);

		start = now();
		served = run_list(machine, cmds, serve_at_once, NULL);
		instructions[round] = (double)(now() - start) / NR_PAGES;
		exits[round] = (double)(exits_of(machine->vcpu) - before) / NR_PAGES;
		vmm_exits[round] = (double)served / NR_PAGES;
		run_list(machine, back, serve_at_once, NULL);
	}
	return (struct cost){ median(instructions), median(exits), median(vmm_exits) };
}

/* What the list costs without it, its last exit included, is not the share's. */
static void report_share(struct machine *machine, const char *what, uint64_t gpa)
{
	struct cost nop = measure(machine, GMEM_GUEST_NOP, GMEM_GUEST_NOP, gpa);
	struct cost share = measure(machine, GMEM_GUEST_SHARE, GMEM_GUEST_UNSHARE, gpa);
	struct gmem_guest_cmd cmds[NR_PAGES];
	struct cost unshare;

	fill_list(cmds, GMEM_GUEST_SHARE, gpa);
	run_list(machine, cmds, serve_at_once, NULL);
	unshare = measure(machine, GMEM_GUEST_UNSHARE, GMEM_GUEST_SHARE, gpa);
	printf("%-24s share   %10.0f %12.1f %12.1f\n", what,
	       share.instructions - nop.instructions, share.exits - nop.exits,
	       share.vmm_exits);
	printf("%-24s unshare %10.0f %12.1f %12.1f\n", "",
	       unshare.instructions - nop.instructions, unshare.exits - nop.exits,
	       unshare.vmm_exits);
}

static void bench_share(bool in_place)
{
	struct machine machine;

	puts("The guest's hypercall until it goes on, one page:\n\n"
	     "                               instructions  exits to EL1  exits to VMM");
	machine_open(&machine, 1, in_place);
	report_share(&machine, "ordinary memory", ORDINARY_GPA);
	if (in_place)
		report_share(&machine, "in-place guest_memfd", FILE_GPA);
	machine_close(&machine);
	putchar('\n');
}

static void usage(void)
{
	fputs("Usage: pkvm --claim=N | --ordinary\n"
	      "In a machine that counts instructions; bench/pkvm boots one.\n", stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	double claim = 0;
	bool ordinary;

	if (argc != 2)
		usage();
	ordinary = !strcmp(argv[1], "--ordinary");
	if (!ordinary && sscanf(argv[1], "--claim=%lf", &claim) != 1)
		usage();

	check_counter();
	if (!ordinary)
		bench_validation(claim);
	bench_share(!ordinary);
	return 0;
}
