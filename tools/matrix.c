// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * gmemctl matrix: every policy in both directions, in a VM, as observed.
 *
 * Each cell has a VM of its own and starts from pages that hold a pattern, written
 * by the side that has them.  The guest asks for the conversion, which pKVM insists
 * on and the others take.  After it one page is read first by the host and
 * another first by the guest, so that each is once the next reader.  The page frame
 * is what /proc/self/pagemap tells while the page is shared, before and after.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <gmem/emu.h>
#include "matrix.h"

#define NR_PAGES	2	/* one for each first reader */
#define BYTES		(NR_PAGES * GMEM_PAGE)
#define HOST_FIRST	0
#define GUEST_FIRST	1
#define WORDS		(GMEM_PAGE / 8)
#define PATTERN		0x6d656d6700000000ull

/* A vCPU that stands at a page nobody can access may stand there for good. */
#define READER		0
#define ASKER		1

struct shown {
	struct matrix matrices[GMEM_VM_NR_PLATFORMS];
	size_t nr;
};

static enum seen classify(uint64_t zeros, uint64_t of_pattern)
{
	return zeros == WORDS ? SEEN_ZEROS : of_pattern == WORDS ? SEEN_PATTERN :
	       of_pattern ? SEEN_MIXED : SEEN_OTHER;
}

static enum seen host_reads(struct machine *machine, uint64_t page)
{
	uint64_t words[WORDS], zeros = 0, of_pattern = 0;

	if (host_read(machine, page * GMEM_PAGE, words, WORDS))
		return SEEN_SIGBUS;
	for (uint64_t i = 0; i < WORDS; i++) {
		zeros += !words[i];
		of_pattern += words[i] == PATTERN + i;
	}
	return classify(zeros, of_pattern);
}

/* Words that are not first, first + step, ... */
static int guest_differs(struct machine *machine, uint64_t page, uint64_t first,
			 uint64_t step, uint64_t *differ)
{
	struct gmem_guest_cmd cmd = {
		.op = GMEM_GUEST_CHECK, .addr = TEST_GPA + page * GMEM_PAGE,
		.size = GMEM_PAGE, .value = first, .step = step,
	};
	int ret;

	ret = gmem_guest_exec(machine->vcpus[READER], &cmd, 1, 0, NULL);
	*differ = cmd.result;
	return ret == -EILSEQ ? 0 : ret;
}

static enum seen guest_reads(struct machine *machine, uint64_t page)
{
	uint64_t not_zero, not_pattern;
	int ret;

	ret = guest_differs(machine, page, 0, 0, &not_zero);
	if (!ret)
		ret = guest_differs(machine, page, PATTERN, 1, &not_pattern);
	if (ret)
		return ret == -EFAULT ? SEEN_FAULT : SEEN_ERROR;
	return classify(WORDS - not_zero, WORDS - not_pattern);
}

static int guest_writes(struct machine *machine)
{
	int ret = 0;

	for (uint64_t page = 0; page < NR_PAGES && !ret; page++)
		ret = gmem_guest_fill(machine->vcpus[READER],
				      TEST_GPA + page * GMEM_PAGE, GMEM_PAGE,
				      PATTERN, 1);
	return ret;
}

static uint64_t frame_of(const void *addr)
{
	const uint64_t present = 1ull << 63, mask = (1ull << 55) - 1;
	uint64_t entry = 0;
	ssize_t got;
	int fd;

	fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	got = pread(fd, &entry, sizeof(entry),
		    (off_t)((uintptr_t)addr / GMEM_PAGE * sizeof(entry)));
	close(fd);
	return got == sizeof(entry) && (entry & present) ? entry & mask : 0;
}

/*
 * The guest asks, the VMM converts and tells the guest.  Returns the ioctl's
 * answer, or the hypercall's if that did not come through to the VMM.
 */
static int ask(struct machine *machine, bool to_private, uint32_t policy,
	       uint64_t *converted)
{
	struct gmem_vcpu *vcpu = machine->vcpus[ASKER];
	struct gmem_guest_cmd cmd = {
		.op = to_private ? GMEM_GUEST_UNSHARE : GMEM_GUEST_SHARE,
		.addr = TEST_GPA, .size = BYTES,
	};
	struct gmem_exit exit;
	bool exited = false;
	int ret, answer = 0;

	ret = gmem_guest_start(vcpu, &cmd, 1, 1);
	if (ret)
		return ret;
	for (;;) {
		ret = gmem_vcpu_run(vcpu, &exit);
		if (ret)
			return ret;
		if (exit.reason == KVM_EXIT_HYPERCALL) {
			exited = true;
			answer = gmem_file_convert(machine->file, 0, BYTES,
						   to_private ?
						   KVM_MEMORY_ATTRIBUTE_PRIVATE : 0,
						   policy, converted);
			gmem_vcpu_complete_hypercall(vcpu, answer);
		} else if (exit.reason == GMEM_EXIT_GUEST_DONE) {
			ret = gmem_guest_finish(vcpu, &cmd, 1, NULL);
			if (ret != -EBUSY)
				return exited ? answer : ret;
		} else if (exit.reason == KVM_EXIT_MEMORY_FAULT && exited) {
			/* It cannot accept what was destroyed: it will not go on. */
			gmem_guest_abort(vcpu);
			return answer;
		} else if (exit.reason != KVM_EXIT_INTR) {
			return -EIO;
		}
	}
}

/* A policy that keeps what the frame is, in a direction. */
static uint32_t plain_policy(const struct machine *machine, bool to_private)
{
	uint32_t offered = to_private ? machine->caps.to_private :
			   machine->caps.to_shared;

	return offered >> SET_MEMORY_ATTRIBUTES_CONTENT_READABLE & 1 ?
	       SET_MEMORY_ATTRIBUTES_CONTENT_READABLE :
	       SET_MEMORY_ATTRIBUTES_CONTENT_ZERO;
}

/*
 * Pages that the guest has used, on the side that the cell starts from, holding
 * the pattern.
 */
static int prepare(struct machine *machine, bool to_private, uint64_t *frames)
{
	int ret;

	ret = guest_writes(machine);
	if (!ret)
		ret = ask(machine, false, plain_policy(machine, false), NULL);
	if (ret)
		return ret;

	for (uint64_t page = 0; page < NR_PAGES; page++) {
		unsigned char *addr = machine->memory + page * GMEM_PAGE;

		for (uint64_t i = 0; i < WORDS; i++)
			((volatile uint64_t *)addr)[i] = PATTERN + i;
		frames[page] = frame_of(addr);
	}
	if (to_private)
		return 0;

	ret = ask(machine, true, plain_policy(machine, true), NULL);
	return ret ? ret : guest_writes(machine);
}

static enum frame compare_frames(struct machine *machine, const uint64_t *frames)
{
	for (uint64_t page = 0; page < NR_PAGES; page++) {
		unsigned char *addr = machine->memory + page * GMEM_PAGE;

		if (!frames[page])
			return FRAME_UNKNOWN;
		if (host_reads(machine, page) == SEEN_SIGBUS)
			return FRAME_UNKNOWN;
		if (frame_of(addr) != frames[page])
			return FRAME_OTHER;
	}
	return FRAME_SAME;
}

/* In emu ZERO gives the memory back: the frame tells nothing. */
static bool frame_means_something(const struct machine *machine,
				  const struct cell *cell)
{
	const uint32_t zero = SET_MEMORY_ATTRIBUTES_CONTENT_ZERO;

	if (!strcmp(gmem_engine_name(machine->engine), "kernel"))
		return true;
	return (cell->policy != zero || cell->answer) &&
	       plain_policy(machine, false) != zero &&
	       plain_policy(machine, true) != zero;
}

/* Back to shared, where pages and their frames can be seen. */
static int look_again(struct machine *machine, struct cell *cell,
		      const uint64_t *frames)
{
	bool destroyed = cell->policy == SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY &&
			 !cell->answer;
	int ret;

	ret = ask(machine, false, plain_policy(machine, false), NULL);
	if (!destroyed) {
		cell->frame = !frame_means_something(machine, cell) ?
			      FRAME_MEANINGLESS : compare_frames(machine, frames);
		return ret;
	}
	/* The memory may be given back: another frame, or the same by chance. */
	cell->frame = FRAME_NONE;
	cell->again_answer = ret;
	cell->again = ret ? SEEN_REFUSED : host_reads(machine, HOST_FIRST);
	return 0;
}

static bool as_announced(const struct machine *machine, const struct cell *cell)
{
	uint32_t offered = cell->to_private ? machine->caps.to_private :
			   machine->caps.to_shared;
	bool scrubs = cell->to_private ? machine->caps.scrubs_to_private :
		      machine->caps.scrubs_to_shared;
	enum seen reader = cell->to_private ? cell->guest : cell->host;

	if (!(offered >> cell->policy & 1))
		return cell->answer == -EOPNOTSUPP && !cell->converted;
	if (cell->answer || cell->converted != BYTES)
		return false;
	return cell->policy != SET_MEMORY_ATTRIBUTES_CONTENT_ZERO ||
	       reader == SEEN_ZEROS || (scrubs && reader == SEEN_OTHER);
}

static int observe_in(struct machine *machine, struct cell *cell)
{
	uint64_t frames[NR_PAGES];
	int ret;

	ret = prepare(machine, cell->to_private, frames);
	if (ret)
		return ret;
	cell->answer = ask(machine, cell->to_private, cell->policy, &cell->converted);
	cell->host = host_reads(machine, HOST_FIRST);
	cell->guest = guest_reads(machine, GUEST_FIRST);
	ret = look_again(machine, cell, frames);
	if (ret)
		return ret;
	cell->as_announced = as_announced(machine, cell);
	cell->as_designed = cell_as_designed(machine->caps.platform, cell);
	return 0;
}

static int observe(const struct target *target, struct matrix *matrix,
		   struct cell *cell)
{
	struct machine machine;
	int status, ret;

	status = open_machine(&machine, target, BYTES,
			      cell->opted_in ? GMEM_EMU_ENCRYPTED : -1);
	if (!status) {
		matrix->engine = gmem_engine_name(machine.engine);
		ret = observe_in(&machine, cell);
		if (ret) {
			fprintf(stderr, "gmemctl: %s: %s towards %s cannot be shown: %s\n",
				gmem_platform_name(target->platform),
				gmem_policy_name(cell->policy),
				cell->to_private ? "private" : "shared", strerror(-ret));
			status = STATUS_FAILED;
		}
	}
	close_machine(&machine);
	return status;
}

static int observe_all(const struct target *target, void *opaque)
{
	struct shown *shown = opaque;
	struct matrix *matrix = &shown->matrices[shown->nr];
	int status;

	*matrix = (struct matrix){ .target = *target };
	for (uint32_t i = 0; i < 2 * NR_POLICIES; i++)
		matrix->cells[matrix->nr_cells++] = (struct cell){
			.policy = i / 2, .to_private = i % 2,
		};
	for (size_t i = 0; i < matrix->nr_cells; i++) {
		status = observe(target, matrix, &matrix->cells[i]);
		if (status)
			return status;
		/* The engine that models the platform knows the property. */
		if (i == 2 * NR_POLICIES - 1 && target->platform == GMEM_VM_SNP &&
		    !strcmp(matrix->engine, "emu"))
			matrix->cells[matrix->nr_cells++] = (struct cell){
				.policy = SET_MEMORY_ATTRIBUTES_CONTENT_ENCRYPTED,
				.opted_in = true,
			};
	}
	shown->nr++;
	return STATUS_OK;
}

static int show(const struct shown *shown, bool all, bool json)
{
	int status = STATUS_OK;

	for (size_t i = 0; i < shown->nr; i++) {
		const struct matrix *matrix = &shown->matrices[i];

		if (!json)
			matrix_print(matrix, all);
		if (!json && i + 1 < shown->nr)
			putchar('\n');
		for (size_t c = 0; c < matrix->nr_cells; c++) {
			if (!matrix->cells[c].as_announced ||
			    !matrix->cells[c].as_designed)
				status = STATUS_FAILED;
		}
	}
	if (json)
		matrix_print_json(shown->matrices, shown->nr, all);
	else
		matrix_print_notes(shown->matrices, shown->nr);
	return status;
}

static void usage(FILE *to)
{
	fputs("Usage: gmemctl matrix [OPTION]...\n"
	      "Convert memory of a running VM under every content policy in both\n"
	      "directions, tell what each side reads afterwards, and compare that with the\n"
	      "design.\n\n"
	      TARGET_USAGE
	      "  -j, --json            machine-readable\n"
	      "  -h, --help            this text\n\n"
	      "Page frames are seen by root only.\n"
	      "Exit status: 0 all is as announced and as designed; 1 something departs;\n"
	      "2 not available.\n", to);
}

int cmd_matrix(int argc, char **argv)
{
	struct target target = TARGET_DEFAULT;
	static struct shown shown;
	bool json = false;
	int status;

	status = target_arguments(argc, argv, &target, &json, usage);
	if (status)
		return status < 0 ? STATUS_OK : status;

	expect_sigbus();
	status = for_each_target(&target, observe_all, &shown);
	return status ? status : show(&shown, target.all, json);
}
