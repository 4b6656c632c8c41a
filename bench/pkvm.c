// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * What it costs that pKVM's guests are asked: how much a conversion grows by being
 * held against the guests' requests, how long a share takes, what a range of pages
 * saves, and what VMs pay: for each KVM_RUN if no file of theirs converts, and for
 * their end if one does.
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
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <gmem/gmem.h>

#define PAGE		UINT64_C(4096)
#define NR_PAGES	32	/* as many as a list has commands */
#define RANGE_PAGES	512	/* as many as EL2 takes at a time */
#define FILE_GPA	(1ull << 32)
#define ORDINARY_GPA	(2ull << 32)
#define ORDINARY_SLOT	1
#define MMIO_GPA	(3ull << 32)	/* no slot backs it */
#define ROUNDS		15
#define ROUND_TRIPS	1000
#define MAX_VCPUS	64
#define MAX_FIGURES	64
#define MAX_TARGETS	16

/* At most: instructions, or what part of something else. */
#define TARGET_SHARE		14000
#define TARGET_RANGE_EXITS	(1.0 / 20)
#define TARGET_RANGE_PAGE	(1.0 / 5)
#define TARGET_TEARDOWN		(1.0 / 2)

#define READABLE	SET_MEMORY_ATTRIBUTES_CONTENT_READABLE
#define ENCRYPTED	SET_MEMORY_ATTRIBUTES_CONTENT_ENCRYPTED
#define PRIVATE		KVM_MEMORY_ATTRIBUTE_PRIVATE
#define SHARED		0

#define REG(member)	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | \
			 KVM_REG_ARM_CORE_REG(regs.member))

struct machine {
	struct gmem_engine *engine;
	struct gmem_vm *vm;
	struct gmem_file *file;
	uint64_t file_pages;
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

/* What a list of commands asks for. */
struct list {
	struct gmem_guest_cmd cmds[NR_PAGES];
	uint32_t nr_cmds;
	unsigned int nr_pages;
};

static struct {
	char name[96];
	double value;
} figures[MAX_FIGURES];
static unsigned int nr_figures;

static struct {
	char what[128];
	double measured, limit;
} targets[MAX_TARGETS];
static unsigned int nr_targets;

static void check(int ret, const char *what)
{
	if (!ret)
		return;
	fprintf(stderr, "bench/pkvm: %s: %s\n", what, strerror(ret < 0 ? -ret : ret));
	exit(1);
}

/* ---- figures and targets ---- */

/* Names are made of what JSON takes as it is. */
__attribute__((format(printf, 2, 3)))
static void note(double value, const char *format, ...)
{
	va_list arguments;

	check(nr_figures < MAX_FIGURES ? 0 : ENOSPC, "figures");
	va_start(arguments, format);
	vsnprintf(figures[nr_figures].name, sizeof(figures[0].name), format, arguments);
	va_end(arguments);
	figures[nr_figures++].value = value;
}

__attribute__((format(printf, 3, 4)))
static void target(double measured, double limit, const char *format, ...)
{
	va_list arguments;

	check(nr_targets < MAX_TARGETS ? 0 : ENOSPC, "targets");
	va_start(arguments, format);
	vsnprintf(targets[nr_targets].what, sizeof(targets[0].what), format, arguments);
	va_end(arguments);
	targets[nr_targets].measured = measured;
	targets[nr_targets++].limit = limit;
}

static const char *verdict(unsigned int i)
{
	return targets[i].measured <= targets[i].limit ? "met" : "missed";
}

static void print_targets(void)
{
	if (!nr_targets)
		return;
	puts("Targets:                                                         at most"
	     "     measured");
	for (unsigned int i = 0; i < nr_targets; i++)
		printf("%-62s %9.5g %12.5g  %s\n", targets[i].what, targets[i].limit,
		       targets[i].measured, verdict(i));
	putchar('\n');
}

static void write_json(const char *path)
{
	FILE *file = fopen(path, "w");

	check(file ? 0 : errno, path);
	fputs("{\n  \"figures\": {", file);
	for (unsigned int i = 0; i < nr_figures; i++)
		fprintf(file, "%s\n    \"%s\": %.2f", i ? "," : "", figures[i].name,
			figures[i].value);
	fputs("\n  },\n  \"targets\": [", file);
	for (unsigned int i = 0; i < nr_targets; i++)
		fprintf(file, "%s\n    { \"target\": \"%s\", \"limit\": %.4f, "
			"\"measured\": %.4f, \"verdict\": \"%s\" }", i ? "," : "",
			targets[i].what, targets[i].limit, targets[i].measured,
			verdict(i));
	fputs("\n  ]\n}\n", file);
	check(fclose(file) ? errno : 0, path);
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
	uint64_t got = 0;

	/* Work that the kernel left for after its boot comes between, at first. */
	for (int tries = 0; tries < 10; tries++) {
		uint64_t left = loops, start = now();

		__asm__ volatile("1: subs %0, %0, #1; b.ne 1b" : "+r"(left) : : "cc");
		got = now() - start;
		if (got > 2 * loops - 2 * loops / 50 && got < 2 * loops + 2 * loops / 50)
			return;
	}
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
		.size = sizeof(file), .bytes = machine->file_pages * PAGE,
		.flags = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_IN_PLACE,
	};
	struct gmem_slot_options slot = {
		.size = sizeof(slot), .gpa = FILE_GPA,
		.bytes = machine->file_pages * PAGE,
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

static void create_vm(struct machine *machine, uint32_t platform)
{
	struct gmem_engine_options engine = {
		.size = sizeof(engine), .kind = GMEM_ENGINE_KERNEL,
	};
	struct gmem_vm_options vm = { .size = sizeof(vm), .platform = platform };

	memset(machine, 0, sizeof(*machine));
	check(gmem_engine_open(&engine, &machine->engine), "engine");
	check(gmem_vm_create(machine->engine, &vm, &machine->vm), "VM");
}

/* The guest has each page then. */
static void touch(struct machine *machine, uint64_t gpa, uint64_t nr_pages)
{
	struct gmem_guest_cmd cmd = {
		.op = GMEM_GUEST_FILL, .addr = gpa, .size = nr_pages * PAGE,
		.stride = PAGE, .value = 1, .step = 1,
	};

	check(gmem_guest_exec(machine->vcpu, &cmd, 1, 0, NULL), "guest");
}

/* The vCPU that asks is the last of @nr_vcpus. */
static void machine_open(struct machine *machine, unsigned int nr_vcpus,
			 uint64_t file_pages)
{
	int fd;

	create_vm(machine, GMEM_VM_PKVM);
	check(gmem_guest_setup(machine->vm), "guest program");
	machine->file_pages = file_pages;
	if (file_pages)
		add_file(machine);
	add_ordinary_memory(machine);
	while (machine->nr_others < nr_vcpus - 1) {
		fd = ioctl(gmem_vm_fd(machine->vm), KVM_CREATE_VCPU,
			   (unsigned long)machine->nr_others + 1);
		check(fd < 0 ? errno : 0, "another vCPU");
		machine->others[machine->nr_others++] = fd;
	}
	check(gmem_vcpu_create(machine->vm, 0, &machine->vcpu), "vCPU");
	touch(machine, ORDINARY_GPA, NR_PAGES);
	if (file_pages)
		touch(machine, FILE_GPA, file_pages);
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
static uint64_t convert(struct machine *machine, uint64_t offset, uint64_t bytes,
			uint64_t attributes, uint32_t policy, int want)
{
	struct kvm_memory_attributes2 args = {
		.offset = offset, .size = bytes, .attributes = attributes,
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

/* Let the guest ask for each page, and @serve its exits.  Return: how many. */
static uint64_t run_list(struct machine *machine, const struct list *list,
			 void (*serve)(struct machine *machine, uint64_t offset,
				       uint64_t bytes, uint64_t attributes, void *opaque),
			 void *opaque)
{
	struct gmem_exit exit;
	uint64_t served = 0;
	int ret;

	check(gmem_guest_start(machine->vcpu, list->cmds, list->nr_cmds, 1), "list");
	for (;;) {
		check(gmem_vcpu_run(machine->vcpu, &exit), "run");
		if (exit.reason == KVM_EXIT_HYPERCALL) {
			served++;
			serve(machine, exit.hypercall.args[0] - FILE_GPA,
			      exit.hypercall.args[1] * PAGE,
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

static uint32_t opposite(uint32_t op)
{
	return op == GMEM_GUEST_SHARE ? GMEM_GUEST_UNSHARE :
	       op == GMEM_GUEST_UNSHARE ? GMEM_GUEST_SHARE : op;
}

/* A command for each of NR_PAGES pages, by the call that Linux 7.3 knows, too. */
static struct list page_by_page(uint32_t op, uint64_t gpa)
{
	struct list list = { .nr_cmds = NR_PAGES, .nr_pages = NR_PAGES };

	for (unsigned int i = 0; i < NR_PAGES; i++) {
		list.cmds[i].op = op;
		list.cmds[i].flags = GMEM_GUEST_SINGLE;
		list.cmds[i].addr = gpa + i * PAGE;
		list.cmds[i].size = PAGE;
	}
	return list;
}

/* One command for RANGE_PAGES pages. */
static struct list range(uint32_t op, uint64_t gpa, uint32_t flags)
{
	return (struct list){
		.cmds = {{ .op = op, .flags = flags, .addr = gpa,
			   .size = RANGE_PAGES * PAGE }},
		.nr_cmds = 1, .nr_pages = RANGE_PAGES,
	};
}

/* ---- what validation adds ---- */

/* The ioctl's instructions. */
struct parts {
	double before;		/* refused in the step before validation */
	double refused;		/* refused by validation */
	double done;
};

static void serve_in_parts(struct machine *machine, uint64_t offset, uint64_t bytes,
			   uint64_t attributes, void *opaque)
{
	struct parts *parts = opaque;

	parts->before += (double)convert(machine, offset, bytes, attributes,
					 ENCRYPTED, EOPNOTSUPP);
	parts->refused += (double)convert(machine, offset, bytes,
					  attributes ^ PRIVATE, READABLE, EPERM);
	parts->done += (double)convert(machine, offset, bytes, attributes, READABLE, 0);
}

static struct parts measure_parts(struct machine *machine, uint32_t op)
{
	double before[ROUNDS], refused[ROUNDS], done[ROUNDS];
	struct list list = page_by_page(op, FILE_GPA);
	struct list back = page_by_page(opposite(op), FILE_GPA);
	struct parts ignored;

	if (op == GMEM_GUEST_UNSHARE)
		run_list(machine, &back, serve_in_parts, &ignored);
	for (int round = 0; round < ROUNDS; round++) {
		struct parts parts = { 0 };

		run_list(machine, &list, serve_in_parts, &parts);
		before[round] = parts.before / NR_PAGES;
		refused[round] = parts.refused / NR_PAGES;
		done[round] = parts.done / NR_PAGES;
		if (round + 1 < ROUNDS || op == GMEM_GUEST_SHARE)
			run_list(machine, &back, serve_in_parts, &ignored);
	}
	return (struct parts){ median(before), median(refused), median(done) };
}

static void report_validation(const struct parts *parts, const char *direction,
			      unsigned int nr_vcpus, double claim)
{
	double added = parts->refused - parts->before + claim;
	double percent = 100 * added / (parts->done - added);

	printf("%-11s %5u %12.0f %10.0f %8.1f %%\n", direction, nr_vcpus, parts->done,
	       added, percent);
	note(parts->done, "conversion %s, vCPUs: %u: instructions", direction, nr_vcpus);
	note(added, "conversion %s, vCPUs: %u: of validation", direction, nr_vcpus);
	target(percent, nr_vcpus == 1 ? 5 : 10, "validation %s, vCPUs: %u, %%", direction,
	       nr_vcpus);
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
		machine_open(&machine, sizes[i & 1], NR_PAGES);
		parts = measure_parts(&machine, ops[i / 2]);
		report_validation(&parts, i / 2 ? "to private" : "to shared",
				  sizes[i & 1], claim);
		machine_close(&machine);
	}
	putchar('\n');
}

/* ---- what a share takes ---- */

static void serve_at_once(struct machine *machine, uint64_t offset, uint64_t bytes,
			  uint64_t attributes, void *opaque)
{
	(void)opaque;
	convert(machine, offset, bytes, attributes, READABLE, 0);
}

/* For each page of a list; @undo is not counted. */
static struct cost measure_list(struct machine *machine, const struct list *list,
				const struct list *undo)
{
	double instructions[ROUNDS], exits[ROUNDS], vmm_exits[ROUNDS];

	for (int round = 0; round < ROUNDS; round++) {
		uint64_t start, served, before = exits_of(machine->vcpu);

		start = now();
		served = run_list(machine, list, serve_at_once, NULL);
		instructions[round] = (double)(now() - start) / list->nr_pages;
		exits[round] = (double)(exits_of(machine->vcpu) - before) / list->nr_pages;
		vmm_exits[round] = (double)served / list->nr_pages;
		run_list(machine, undo, serve_at_once, NULL);
	}
	return (struct cost){ median(instructions), median(exits), median(vmm_exits) };
}

/* What the list costs without it, its last exit included, is not the share's. */
static struct cost measure(struct machine *machine, const struct list *list)
{
	struct list nop = *list, undo = *list;
	struct cost cost, without;

	for (uint32_t i = 0; i < list->nr_cmds; i++) {
		nop.cmds[i] = (struct gmem_guest_cmd){ .op = GMEM_GUEST_NOP };
		undo.cmds[i].op = opposite(list->cmds[i].op);
	}
	without = measure_list(machine, &nop, &nop);
	if (list->cmds[0].op == GMEM_GUEST_UNSHARE)
		run_list(machine, &undo, serve_at_once, NULL);
	cost = measure_list(machine, list, &undo);
	if (list->cmds[0].op == GMEM_GUEST_UNSHARE)
		run_list(machine, list, serve_at_once, NULL);
	cost.instructions -= without.instructions;
	cost.exits -= without.exits;
	return cost;
}

static void report_cost(const struct cost *cost, const char *what, const char *direction)
{
	printf("%-24s %-7s %10.0f %12.3f %12.3f\n", what, direction, cost->instructions,
	       cost->exits, cost->vmm_exits);
	note(cost->instructions, "%s, %s: instructions", what, direction);
	note(cost->exits, "%s, %s: exits to EL1", what, direction);
	note(cost->vmm_exits, "%s, %s: exits to VMM", what, direction);
}

static const struct {
	uint32_t op;
	const char *name;
} directions[] = {
	{ GMEM_GUEST_SHARE, "share" }, { GMEM_GUEST_UNSHARE, "unshare" },
};

static void report_share(struct machine *machine, const char *what, uint64_t gpa)
{
	for (size_t i = 0; i < 2; i++) {
		struct list list = page_by_page(directions[i].op, gpa);
		struct cost cost = measure(machine, &list);

		report_cost(&cost, what, directions[i].name);
		if (gpa == FILE_GPA)
			target(cost.instructions, TARGET_SHARE, "%s of one page, in place",
			       directions[i].name);
	}
}

/* By one call, or one for each page. */
static void report_range(struct machine *machine)
{
	for (size_t i = 0; i < 2; i++) {
		struct list one = range(directions[i].op, FILE_GPA, 0);
		struct list each = range(directions[i].op, FILE_GPA, GMEM_GUEST_SINGLE);
		struct cost all = measure(machine, &one), single = measure(machine, &each);

		report_cost(&all, "of 512, by one call", directions[i].name);
		report_cost(&single, "of 512, one by one", directions[i].name);
		target(all.exits / single.exits, TARGET_RANGE_EXITS,
		       "%s of 512 pages by a range: part of the exits to EL1",
		       directions[i].name);
		target(all.vmm_exits / single.vmm_exits, TARGET_RANGE_EXITS,
		       "%s of 512 pages by a range: part of the exits to VMM",
		       directions[i].name);
		target(all.instructions / single.instructions, TARGET_RANGE_PAGE,
		       "%s of 512 pages by a range: part of the instructions",
		       directions[i].name);
	}
}

static void bench_share(bool in_place)
{
	struct machine machine;

	puts("The guest's hypercall until it goes on, each page:\n\n"
	     "                               instructions  exits to EL1  exits to VMM");
	machine_open(&machine, 1, in_place ? RANGE_PAGES : 0);
	report_share(&machine, in_place ? "ordinary memory" : "no file converts",
		     ORDINARY_GPA);
	if (in_place) {
		report_share(&machine, "in-place guest_memfd", FILE_GPA);
		report_range(&machine);
	}
	machine_close(&machine);
	putchar('\n');
}

/* ---- what KVM_RUN takes ---- */

static void set_register(struct machine *machine, uint64_t id, uint64_t value)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)&value };

	check(ioctl(gmem_vcpu_fd(machine->vcpu), KVM_SET_ONE_REG, &reg) ? errno : 0,
	      "register");
}

/* The guest does nothing but store where no memory is. */
static void load_storing_guest(struct machine *machine)
{
	static const uint32_t code[] = {
		0xb9000020,	/* 1: str w0, [x1] */
		0x17ffffff,	/*    b 1b */
	};

	add_ordinary_memory(machine);
	memcpy(machine->memory, code, sizeof(code));
	check(gmem_vcpu_create(machine->vm, 0, &machine->vcpu), "vCPU");
	set_register(machine, REG(pc), ORDINARY_GPA);
	set_register(machine, REG(regs[1]), MMIO_GPA);
}

static void check_store(struct machine *machine)
{
	struct gmem_exit exit;

	check(gmem_vcpu_run(machine->vcpu, &exit), "run");
	if (exit.reason != KVM_EXIT_MMIO || exit.mmio.gpa != MMIO_GPA)
		check(EIO, "exit of the storing guest");
}

static void report_round_trip(const char *what, uint32_t platform, uint64_t file_pages)
{
	double instructions[ROUNDS], exits;
	struct machine machine;
	int fd;

	create_vm(&machine, platform);
	machine.file_pages = file_pages;
	if (file_pages)
		add_file(&machine);
	load_storing_guest(&machine);
	fd = gmem_vcpu_fd(machine.vcpu);

	check_store(&machine);
	exits = (double)exits_of(machine.vcpu);
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t start = now();

		for (int i = 0; i < ROUND_TRIPS; i++)
			check(ioctl(fd, KVM_RUN, NULL) ? errno : 0, "KVM_RUN");
		instructions[round] = (double)(now() - start) / ROUND_TRIPS;
	}
	exits = (double)exits_of(machine.vcpu) - exits;
	check_store(&machine);
	machine_close(&machine);

	printf("%-32s %10.0f %12.3f\n", what, median(instructions),
	       exits / (ROUNDS * ROUND_TRIPS));
	note(median(instructions), "KVM_RUN, %s: instructions", what);
}

static void bench_round_trip(bool in_place)
{
	puts("KVM_RUN, from the guest's store to its next one, by the VMM:\n\n"
	     "                               instructions  exits to EL1");
	report_round_trip("ordinary VM", GMEM_VM_DEFAULT, 0);
	report_round_trip("protected VM, no file converts", GMEM_VM_PKVM, 0);
	if (in_place)
		report_round_trip("protected VM, a file converts", GMEM_VM_PKVM, NR_PAGES);
	putchar('\n');
}

/* ---- what the end of a VM takes ---- */

/* A file lives as long as it is open, the VM as long as its file. */
static void bench_teardown(uint64_t nr_pages, double base)
{
	struct machine machine;
	double file, vm;
	uint64_t start;

	machine_open(&machine, 1, nr_pages);
	gmem_vcpu_destroy(machine.vcpu);
	machine.vcpu = NULL;
	start = now();
	gmem_file_close(machine.file);
	machine.file = NULL;
	file = (double)(now() - start) / (double)nr_pages;
	start = now();
	gmem_vm_destroy(machine.vm);
	machine.vm = NULL;
	vm = (double)(now() - start) / (double)nr_pages;
	machine_close(&machine);

	printf("The end of a VM with %" PRIu64 " MiB in place that the guest has touched:\n\n"
	       "                         instructions a page\n"
	       "closing the file         %19.0f\n"
	       "closing the VM           %19.0f\n"
	       "both                     %19.0f\n\n", nr_pages * PAGE >> 20, file, vm,
	       file + vm);
	note((double)nr_pages, "teardown: pages");
	note(file, "teardown, file: instructions a page");
	note(vm, "teardown, VM: instructions a page");
	if (base > 0)
		target((file + vm) / base, TARGET_TEARDOWN,
		       "teardown, part of the %.0f instructions a page before", base);
}

/* ---- the program ---- */

static void usage(void)
{
	fputs("Usage: pkvm [--ordinary] [--claim N] [--teardown MIB] [--teardown-base N]\n"
	      "            [--json FILE]\n"
	      "In a machine that counts instructions; bench/pkvm boots one.\n", stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "ordinary", no_argument, NULL, 'o' },
		{ "claim", required_argument, NULL, 'c' },
		{ "teardown", required_argument, NULL, 't' },
		{ "teardown-base", required_argument, NULL, 'b' },
		{ "json", required_argument, NULL, 'j' },
		{ 0 },
	};
	double claim = 0, base = 0;
	const char *json = NULL;
	bool ordinary = false;
	uint64_t mib = 256;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'o':
			ordinary = true;
			break;
		case 'c':
			claim = strtod(optarg, NULL);
			break;
		case 't':
			mib = strtoull(optarg, NULL, 0);
			break;
		case 'b':
			base = strtod(optarg, NULL);
			break;
		case 'j':
			json = optarg;
			break;
		default:
			usage();
		}
	}
	if (optind < argc || !mib)
		usage();

	check_counter();
	if (!ordinary)
		bench_validation(claim);
	bench_share(!ordinary);
	bench_round_trip(!ordinary);
	if (!ordinary)
		bench_teardown((mib << 20) / PAGE, base);
	print_targets();
	if (json)
		write_json(json);
	return 0;
}
