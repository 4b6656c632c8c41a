// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * gmemctl matrix: every policy in both directions, in a VM, as observed.
 *
 * Each cell starts from fresh pages that hold a pattern, written by the side that
 * has them.  After the request one page is read first by the host and another
 * first by the guest, so that each is once the next reader.  The page frame is
 * what /proc/self/pagemap tells while the page is shared, before and after.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <getopt.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <json-c/json.h>

#include "gmemctl.h"

#define NR_POLICIES	4
#define NR_PAGES	2	/* one for each first reader */
#define HOST_FIRST	0
#define GUEST_FIRST	1
#define WORDS		(GMEM_PAGE / 8)
#define PATTERN		0x6d656d6700000000ull

enum seen {
	SEEN_ZEROS,
	SEEN_PATTERN,
	SEEN_OTHER,
	SEEN_SIGBUS,
	SEEN_FAULT,
	SEEN_ERROR,
};

static const char *const seen_names[] = {
	[SEEN_ZEROS] = "zeros",
	[SEEN_PATTERN] = "the pattern",
	[SEEN_OTHER] = "other bytes",
	[SEEN_SIGBUS] = "SIGBUS",
	[SEEN_FAULT] = "memory fault",
	[SEEN_ERROR] = "error",
};

enum frame {
	FRAME_UNKNOWN,
	FRAME_SAME,
	FRAME_OTHER,
	FRAME_NONE,
};

static const char *const frame_names[] = {
	[FRAME_UNKNOWN] = "not known",
	[FRAME_SAME] = "same",
	[FRAME_OTHER] = "another",
	[FRAME_NONE] = "-",
};

struct cell {
	uint32_t policy;
	bool to_private;
	int answer;
	uint64_t converted;
	enum seen host;
	enum seen guest;
	enum seen again;	/* DESTROY: what a later conversion shows */
	enum frame frame;
	bool as_announced;
};

static sigjmp_buf fault_jump;
static volatile sig_atomic_t fault_expected;

static void on_sigbus(int signal)
{
	if (fault_expected)
		siglongjmp(fault_jump, 1);
	/* Not ours: it happens again, and ends the program. */
	sigaction(signal, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
}

static void merge_word(enum seen *seen, uint64_t got, uint64_t word)
{
	enum seen this = !got ? SEEN_ZEROS : got == PATTERN + word ? SEEN_PATTERN :
			 SEEN_OTHER;

	if (!word)
		*seen = this;
	else if (*seen != this)
		*seen = SEEN_OTHER;
}

static enum seen host_reads(struct machine *machine, uint64_t page)
{
	const volatile uint64_t *words;
	volatile enum seen result;
	enum seen seen = SEEN_OTHER;

	words = (uint64_t *)(machine->memory + page * GMEM_PAGE);
	result = SEEN_SIGBUS;
	if (!sigsetjmp(fault_jump, 1)) {
		fault_expected = 1;
		for (uint64_t i = 0; i < WORDS; i++)
			merge_word(&seen, words[i], i);
		result = seen;
	}
	fault_expected = 0;
	return result;
}

static enum seen guest_reads(struct machine *machine, uint64_t page)
{
	uint64_t gpa = TEST_GPA + page * GMEM_PAGE;
	int ret;

	ret = gmem_guest_check(machine->vcpu, gpa, GMEM_PAGE, 0, 0);
	if (!ret)
		return SEEN_ZEROS;
	if (ret == -EFAULT)
		return SEEN_FAULT;
	if (ret != -EILSEQ)
		return SEEN_ERROR;
	ret = gmem_guest_check(machine->vcpu, gpa, GMEM_PAGE, PATTERN, 1);
	return !ret ? SEEN_PATTERN : SEEN_OTHER;
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

static int convert(struct machine *machine, bool to_private, uint32_t policy,
		   uint64_t *converted)
{
	return gmem_file_convert(machine->file, 0, NR_PAGES * GMEM_PAGE,
				 to_private ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0, policy,
				 converted);
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

/* Fresh pages on the side that the cell starts from, holding the pattern. */
static int prepare(struct machine *machine, bool to_private, uint64_t *frames)
{
	int ret;

	ret = convert(machine, false, SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY, NULL);
	if (!ret)
		ret = convert(machine, false, SET_MEMORY_ATTRIBUTES_CONTENT_ZERO, NULL);
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

	ret = convert(machine, true, plain_policy(machine, true), NULL);
	for (uint64_t page = 0; page < NR_PAGES && !ret; page++)
		ret = gmem_guest_fill(machine->vcpu, TEST_GPA + page * GMEM_PAGE,
				      GMEM_PAGE, PATTERN, 1);
	return ret;
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

static bool as_announced(const struct machine *machine, const struct cell *cell)
{
	uint32_t offered = cell->to_private ? machine->caps.to_private :
			   machine->caps.to_shared;
	enum seen reader = cell->to_private ? cell->guest : cell->host;
	bool scrubs = cell->to_private ? machine->caps.scrubs_to_private :
		      machine->caps.scrubs_to_shared;

	if (!(offered >> cell->policy & 1))
		return cell->answer == -EOPNOTSUPP && !cell->converted;
	if (cell->answer || cell->converted != NR_PAGES * GMEM_PAGE)
		return false;

	switch (cell->policy) {
	case SET_MEMORY_ATTRIBUTES_CONTENT_ZERO:
		return (reader == SEEN_ZEROS || (scrubs && reader == SEEN_OTHER)) &&
		       cell->frame != FRAME_OTHER;
	case SET_MEMORY_ATTRIBUTES_CONTENT_READABLE:
		return reader == SEEN_PATTERN && cell->frame != FRAME_OTHER;
	case SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY:
		return cell->host == SEEN_SIGBUS && cell->guest == SEEN_FAULT &&
		       cell->again == SEEN_ZEROS;
	default:
		return true;
	}
}

static int observe(struct machine *machine, struct cell *cell)
{
	bool destroys = cell->policy == SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY;
	uint64_t frames[NR_PAGES];
	int ret;

	ret = prepare(machine, cell->to_private, frames);
	if (ret)
		return ret;

	cell->converted = 0;
	cell->answer = convert(machine, cell->to_private, cell->policy,
			       &cell->converted);
	cell->host = host_reads(machine, HOST_FIRST);
	cell->guest = guest_reads(machine, GUEST_FIRST);

	/* Back to shared, where the frame can be seen. */
	ret = convert(machine, false, plain_policy(machine, false), NULL);
	if (ret)
		return ret;
	if (destroys && !cell->answer) {
		cell->again = host_reads(machine, HOST_FIRST);
		/* The memory may be given back: another frame, or the same by chance. */
		cell->frame = FRAME_NONE;
	} else {
		cell->frame = compare_frames(machine, frames);
	}
	cell->as_announced = as_announced(machine, cell);
	return 0;
}

static void print_table(const struct cell *cells, size_t nr)
{
	bool again = false, departs = false;

	printf("%-10s %-9s %-12s %-13s %-13s %s\n", "policy", "towards", "answer",
	       "host reads", "guest reads", "page frame");
	for (size_t i = 0; i < nr; i++) {
		const struct cell *cell = &cells[i];

		printf("%-10s %-9s %-12s %-13s %-13s %s%s\n",
		       gmem_policy_name(cell->policy),
		       cell->to_private ? "private" : "shared",
		       errno_word(cell->answer), seen_names[cell->host],
		       seen_names[cell->guest], frame_names[cell->frame],
		       cell->as_announced ? "" : "   <-- not as announced");
		departs |= !cell->as_announced;
		if (cell->frame == FRAME_NONE)
			again |= cell->again == SEEN_ZEROS;
	}
	if (again)
		puts("\nAfter DESTROY, pages that were converted again read zeros.");
	puts(departs ? "\nSome answers depart from the capabilities."
		     : "\nEvery answer is what the capabilities announce.");
}

static void print_json(const struct cell *cells, size_t nr, uint32_t platform)
{
	json_object *root = json_object_new_object();
	json_object *array = json_object_new_array();

	json_object_object_add(root, "platform",
		json_object_new_string(gmem_platform_name(platform)));
	for (size_t i = 0; i < nr; i++) {
		const struct cell *cell = &cells[i];
		json_object *object = json_object_new_object();

		json_object_object_add(object, "policy",
			json_object_new_string(gmem_policy_name(cell->policy)));
		json_object_object_add(object, "towards",
			json_object_new_string(cell->to_private ? "private" : "shared"));
		json_object_object_add(object, "answer",
			json_object_new_string(errno_word(cell->answer)));
		json_object_object_add(object, "converted",
			json_object_new_int64((int64_t)cell->converted));
		json_object_object_add(object, "host_reads",
			json_object_new_string(seen_names[cell->host]));
		json_object_object_add(object, "guest_reads",
			json_object_new_string(seen_names[cell->guest]));
		json_object_object_add(object, "page_frame",
			cell->frame == FRAME_NONE ? NULL :
			json_object_new_string(frame_names[cell->frame]));
		json_object_object_add(object, "converted_again_reads",
			cell->frame != FRAME_NONE ? NULL :
			json_object_new_string(seen_names[cell->again]));
		json_object_object_add(object, "as_announced",
				       json_object_new_boolean(cell->as_announced));
		json_object_array_add(array, object);
	}
	json_object_object_add(root, "cells", array);
	puts(json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY |
					    JSON_C_TO_STRING_SPACED));
	json_object_put(root);
}

static int run_matrix(struct machine *machine, bool json)
{
	struct cell cells[2 * NR_POLICIES] = { 0 };
	int status = STATUS_OK;

	sigaction(SIGBUS, &(struct sigaction){ .sa_handler = on_sigbus }, NULL);
	for (uint32_t i = 0; i < 2 * NR_POLICIES; i++) {
		int ret;

		cells[i].policy = i / 2;
		cells[i].to_private = i % 2;
		ret = observe(machine, &cells[i]);
		if (ret) {
			fprintf(stderr, "gmemctl: %s towards %s cannot be shown: %s\n",
				gmem_policy_name(i / 2), i % 2 ? "private" : "shared",
				strerror(-ret));
			return STATUS_FAILED;
		}
		if (!cells[i].as_announced)
			status = STATUS_FAILED;
	}

	if (json)
		print_json(cells, 2 * NR_POLICIES, machine->caps.platform);
	else
		print_table(cells, 2 * NR_POLICIES);
	return status;
}

static void usage(FILE *to)
{
	fputs("Usage: gmemctl matrix [--json]\n"
	      "Convert memory of a running VM under every content policy in both\n"
	      "directions, and tell what each side reads afterwards.\n\n"
	      "  -j, --json   machine-readable\n"
	      "  -h, --help   this text\n\n"
	      "Page frames are seen by root only.\n"
	      "Exit status: 0 all is as announced; 1 something departs; 2 not available.\n",
	      to);
}

int cmd_matrix(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct machine machine;
	bool json = false;
	int opt, status;

	while ((opt = getopt_long(argc, argv, "jh", options, NULL)) != -1) {
		switch (opt) {
		case 'j':
			json = true;
			break;
		case 'h':
			usage(stdout);
			return STATUS_OK;
		default:
			usage(stderr);
			return STATUS_UNAVAILABLE;
		}
	}
	if (optind != argc) {
		usage(stderr);
		return STATUS_UNAVAILABLE;
	}

	status = open_machine(&machine, GMEM_VM_SW, NR_PAGES * GMEM_PAGE);
	if (!status)
		status = run_matrix(&machine, json);
	close_machine(&machine);
	return status;
}
