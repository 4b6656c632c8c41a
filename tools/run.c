// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * gmemctl run: a guest that shares and unshares its buffers in a loop, by
 * KVM_HC_MAP_GPA_RANGE, while the VMM serves it.
 *
 * For each buffer the guest fills it, shares it, unshares it and checks what came
 * back.  Between the two the VMM checks what the guest gave it and writes its own,
 * a word in each page, so that every round moves data both ways, or shows zeros
 * where the policy says so.
 */
#include <ctype.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <json-c/json.h>

#include "gmemctl.h"
#include "latency.h"

#define NR_BUFFERS	8
#define CMDS_A_BUFFER	4
#define NR_CMDS		(NR_BUFFERS * CMDS_A_BUFFER)
#define GUEST_VALUE	0x6775657374000000ull
#define HOST_VALUE	0x686f737400000000ull
#define MAX_ATTEMPTS	100
#define MAX_BUFFER	(1ull << 30)
#define LIVE_LINE_NS	200000000ull

struct run {
	struct machine machine;
	struct target target;
	bool explain;
	bool tuned;		/* an option that --explain has no use for */
	uint64_t buffer_bytes;
	uint64_t seconds;
	uint32_t policy;
	bool json;
	bool live;

	uint64_t started;
	uint64_t next_line;
	uint64_t ended;
	uint64_t conversions[2];	/* by direction: to shared, to private */
	uint64_t pages;
	uint64_t retries;
	uint64_t errors;
	uint64_t rounds;
	struct latency latency[2];
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
	(void)signal;
	interrupted = 1;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static bool keeps_bytes(const struct run *run)
{
	return run->policy == SET_MEMORY_ATTRIBUTES_CONTENT_READABLE;
}

/* Whether the guest knows what it reads in a page that came back. */
static bool comes_back(const struct run *run)
{
	return keeps_bytes(run) || !run->machine.caps.scrubs_to_private;
}

static void make_commands(const struct run *run, struct gmem_guest_cmd *cmds)
{
	for (uint64_t i = 0; i < NR_BUFFERS; i++) {
		struct gmem_guest_cmd *cmd = &cmds[i * CMDS_A_BUFFER];

		for (int c = 0; c < CMDS_A_BUFFER; c++) {
			memset(&cmd[c], 0, sizeof(cmd[c]));
			cmd[c].addr = TEST_GPA + i * run->buffer_bytes;
			cmd[c].size = run->buffer_bytes;
			cmd[c].stride = GMEM_PAGE;
		}
		cmd[0].op = GMEM_GUEST_FILL;
		cmd[0].value = GUEST_VALUE;
		cmd[0].step = 1;
		cmd[1].op = GMEM_GUEST_SHARE;
		cmd[2].op = GMEM_GUEST_UNSHARE;
		/* Where ZERO only scrubs there is nothing to expect. */
		cmd[3].op = comes_back(run) ? GMEM_GUEST_CHECK : GMEM_GUEST_NOP;
		cmd[3].value = keeps_bytes(run) ? HOST_VALUE : 0;
		cmd[3].step = keeps_bytes(run);
	}
}

static void problem(struct run *run, const char *what, uint64_t value)
{
	/* The first few tell enough. */
	if (run->errors++ < 5)
		fprintf(stderr, "%sgmemctl: %s (%#llx)\n", run->live ? "\n" : "", what,
			(unsigned long long)value);
}

/* The VMM's turn with a shared buffer. */
static void use_buffer(struct run *run, uint64_t gpa)
{
	unsigned char *buffer = run->machine.memory + (gpa - TEST_GPA);
	uint64_t pages = run->buffer_bytes / GMEM_PAGE;

	for (uint64_t i = 0; i < pages; i++) {
		volatile uint64_t *word = (uint64_t *)(buffer + i * GMEM_PAGE);
		uint64_t want = keeps_bytes(run) ? GUEST_VALUE + i : 0;

		if (*word != want)
			problem(run, "a shared buffer does not hold what it should",
				*word);
		*word = HOST_VALUE + i;
	}
}

static void serve(struct run *run, const struct gmem_exit *exit)
{
	bool to_private = exit->hypercall.args[2] & 1ull << 4;
	uint64_t gpa = exit->hypercall.args[0];
	uint64_t pages = exit->hypercall.args[1];
	uint64_t begin, end;
	int ret, attempt;

	begin = now_ns();
	for (attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
		ret = gmem_vcpu_serve_hypercall(run->machine.vcpus[0], exit, run->policy);
		if (ret != -EAGAIN && ret != -EINTR)
			break;
		run->retries++;
	}
	end = now_ns();
	if (ret) {
		problem(run, strerror(-ret), gpa);
		return;
	}

	latency_add(&run->latency[to_private], end - begin);
	run->conversions[to_private]++;
	run->pages += pages;
	if (!to_private)
		use_buffer(run, gpa);
}

static void live_line(struct run *run, uint64_t now)
{
	if (!run->live || now < run->next_line)
		return;
	run->next_line = now + LIVE_LINE_NS;
	printf("\r%5.1f s   %llu conversions   %llu pages   %llu errors ",
	       (double)(now - run->started) / 1e9,
	       (unsigned long long)(run->conversions[0] + run->conversions[1]),
	       (unsigned long long)run->pages, (unsigned long long)run->errors);
	fflush(stdout);
}

static int run_guest(struct run *run)
{
	struct gmem_vcpu *vcpu = run->machine.vcpus[0];
	struct gmem_guest_cmd cmds[NR_CMDS];
	struct gmem_exit exit;
	uint64_t now;
	int ret;

	make_commands(run, cmds);
	ret = gmem_guest_start(vcpu, cmds, NR_CMDS, 0);
	if (ret)
		return ret;

	for (;;) {
		ret = gmem_vcpu_run(vcpu, &exit);
		if (ret)
			return ret;
		now = now_ns();
		live_line(run, now);
		if (interrupted || now - run->started >= run->seconds * 1000000000u)
			gmem_guest_stop(vcpu);

		if (exit.reason == KVM_EXIT_HYPERCALL) {
			serve(run, &exit);
		} else if (exit.reason == GMEM_EXIT_GUEST_DONE) {
			ret = gmem_guest_finish(vcpu, cmds, NR_CMDS, &run->rounds);
			if (ret != -EBUSY)
				break;
		} else if (exit.reason != KVM_EXIT_INTR) {
			problem(run, "unexpected exit of the guest", exit.reason);
			return -EIO;
		}
	}
	if (ret == -EILSEQ)
		problem(run, "a buffer does not hold what it should for the guest",
			GUEST_VALUE);
	return ret == -EILSEQ ? 0 : ret;
}

static void print_latency(const struct run *run, bool to_private)
{
	const struct latency *latency = &run->latency[to_private];

	printf("  %-11s %9.1f %9.1f %9.1f %9.1f us   (50%%, 90%%, 99%%, longest)\n",
	       to_private ? "to private" : "to shared",
	       (double)latency_percentile(latency, 500) / 1e3,
	       (double)latency_percentile(latency, 900) / 1e3,
	       (double)latency_percentile(latency, 990) / 1e3,
	       (double)latency->max / 1e3);
}

static void print_summary(const struct run *run)
{
	double seconds = (double)(run->ended - run->started) / 1e9;
	uint64_t conversions = run->conversions[0] + run->conversions[1];

	if (run->live)
		printf("\r%70s\r", "");
	printf("%llu conversions (%llu to shared, %llu to private) of %llu KiB under "
	       "%s in %.1f s: %.0f a second\n",
	       (unsigned long long)conversions,
	       (unsigned long long)run->conversions[0],
	       (unsigned long long)run->conversions[1],
	       (unsigned long long)(run->buffer_bytes / 1024),
	       gmem_policy_name(run->policy), seconds,
	       (double)conversions / (seconds > 0 ? seconds : 1));
	printf("%llu pages, %llu rounds of the guest, %llu retries, %llu errors\n",
	       (unsigned long long)run->pages, (unsigned long long)run->rounds,
	       (unsigned long long)run->retries, (unsigned long long)run->errors);
	puts("time of a conversion:");
	print_latency(run, false);
	print_latency(run, true);
}

static void add_number(json_object *object, const char *key, uint64_t value)
{
	json_object_object_add(object, key, json_object_new_int64((int64_t)value));
}

static json_object *latency_object(const struct latency *latency)
{
	json_object *object = json_object_new_object();

	add_number(object, "p50", latency_percentile(latency, 500));
	add_number(object, "p90", latency_percentile(latency, 900));
	add_number(object, "p99", latency_percentile(latency, 990));
	add_number(object, "max", latency->max);
	return object;
}

static void print_json(const struct run *run)
{
	json_object *root = json_object_new_object();
	json_object *latency = json_object_new_object();

	json_object_object_add(root, "platform",
		json_object_new_string(gmem_platform_name(run->machine.caps.platform)));
	json_object_object_add(root, "policy",
		json_object_new_string(gmem_policy_name(run->policy)));
	add_number(root, "buffer_bytes", run->buffer_bytes);
	json_object_object_add(root, "seconds",
		json_object_new_double((double)(run->ended - run->started) / 1e9));
	add_number(root, "to_shared", run->conversions[0]);
	add_number(root, "to_private", run->conversions[1]);
	add_number(root, "pages", run->pages);
	add_number(root, "rounds", run->rounds);
	add_number(root, "retries", run->retries);
	add_number(root, "errors", run->errors);
	json_object_object_add(latency, "to_shared", latency_object(&run->latency[0]));
	json_object_object_add(latency, "to_private", latency_object(&run->latency[1]));
	json_object_object_add(root, "latency_ns", latency);
	puts(json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY |
					    JSON_C_TO_STRING_SPACED));
	json_object_put(root);
}

/* "64K", "2M", "1G" or bytes; 0 if it is none of them. */
static uint64_t parse_size(const char *text)
{
	unsigned long long value;
	unsigned int shift = 0;
	char *end;

	if (!isdigit((unsigned char)*text))
		return 0;
	errno = 0;
	value = strtoull(text, &end, 10);
	switch (toupper((unsigned char)*end)) {
	case 'K':
		shift = 10;
		break;
	case 'M':
		shift = 20;
		break;
	case 'G':
		shift = 30;
		break;
	case 0:
		break;
	default:
		return 0;
	}
	if (errno || (shift && end[1]) || value > MAX_BUFFER)
		return 0;
	value <<= shift;
	return value <= MAX_BUFFER && !(value % GMEM_PAGE) ? value : 0;
}

static bool parse_policy(const char *text, uint32_t *policy)
{
	static const uint32_t usable[] = {
		SET_MEMORY_ATTRIBUTES_CONTENT_ZERO,
		SET_MEMORY_ATTRIBUTES_CONTENT_READABLE,
	};

	for (size_t i = 0; i < 2; i++) {
		const char *name = gmem_policy_name(usable[i]);
		size_t at = 0;

		while (name[at] && toupper((unsigned char)text[at]) == name[at])
			at++;
		if (!name[at] && !text[at]) {
			*policy = usable[i];
			return true;
		}
	}
	return false;
}

static void usage(FILE *to)
{
	fputs("Usage: gmemctl run [OPTION]...\n"
	      "Run a guest that shares and unshares its buffers in a loop, and serve it.\n\n"
	      TARGET_USAGE
	      "  -s, --seconds=N       how long (5)\n"
	      "  -b, --size=BYTES      of each of its 8 buffers, such as 64K, 2M (64K)\n"
	      "  -p, --policy=NAME     zero or readable (zero)\n"
	      "  -x, --explain         instead: one share and one unshare, step by step\n"
	      "  -j, --json            machine-readable\n"
	      "  -h, --help            this text\n\n"
	      "Exit status: 0 no error; 1 a conversion failed or data was wrong; 2 not\n"
	      "available, or wrong usage.\n", to);
}

/* STATUS_OK to go on; -1 if all is said. */
static int parse_options(struct run *run, int argc, char **argv)
{
	static const struct option options[] = {
		TARGET_OPTIONS,
		{ "explain", no_argument, NULL, 'x' },
		{ "seconds", required_argument, NULL, 's' },
		{ "size", required_argument, NULL, 'b' },
		{ "policy", required_argument, NULL, 'p' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	const char *wrong = NULL;
	int opt;

	while ((opt = getopt_long(argc, argv, TARGET_SHORT "s:b:p:xjh", options,
				  NULL)) != -1) {
		switch (opt) {
		case OPT_ENGINE:
		case OPT_PLATFORM:
			if (!target_option(&run->target, opt, optarg))
				return STATUS_UNAVAILABLE;
			break;
		case 'x':
			run->explain = true;
			break;
		case 's':
			run->tuned = true;
			if (!parse_number(optarg, 1000000, &run->seconds) ||
			    !run->seconds)
				wrong = optarg;
			break;
		case 'b':
			run->tuned = true;
			run->buffer_bytes = parse_size(optarg);
			if (!run->buffer_bytes)
				wrong = optarg;
			break;
		case 'p':
			run->tuned = true;
			if (!parse_policy(optarg, &run->policy))
				wrong = optarg;
			break;
		case 'j':
			run->json = true;
			run->tuned = true;
			break;
		case 'h':
			usage(stdout);
			return -1;
		default:
			usage(stderr);
			return STATUS_UNAVAILABLE;
		}
	}
	if (optind < argc)
		wrong = argv[optind];
	if (run->explain && run->tuned) {
		fprintf(stderr, "gmemctl: run --explain takes only --engine and "
			"--platform\n");
		return STATUS_UNAVAILABLE;
	}
	if (wrong) {
		fprintf(stderr, "gmemctl: run cannot use '%s'; see 'gmemctl run "
			"--help'\n", wrong);
		return STATUS_UNAVAILABLE;
	}
	return STATUS_OK;
}

static int run_and_tell(struct run *run)
{
	int ret;

	sigaction(SIGINT, &(struct sigaction){ .sa_handler = on_interrupt }, NULL);
	sigaction(SIGTERM, &(struct sigaction){ .sa_handler = on_interrupt }, NULL);
	run->started = now_ns();
	ret = run_guest(run);
	run->ended = now_ns();
	if (ret) {
		problem(run, strerror(-ret), 0);
		return STATUS_FAILED;
	}
	if (run->json)
		print_json(run);
	else
		print_summary(run);
	return run->errors || !run->conversions[1] ? STATUS_FAILED : STATUS_OK;
}

/* Counts of one platform are not the next one's. */
static void reset_counts(struct run *run)
{
	memset(run->conversions, 0, sizeof(run->conversions));
	memset(run->latency, 0, sizeof(run->latency));
	run->pages = run->retries = run->errors = run->rounds = 0;
	run->next_line = 0;
}

static int run_on(const struct target *target, void *opaque)
{
	struct run *run = opaque;
	int status;

	reset_counts(run);
	if (run->target.all && !run->json)
		printf("%s:\n", gmem_platform_name(target->platform));
	status = open_machine(&run->machine, target, run->buffer_bytes * NR_BUFFERS, -1);
	if (!status && !(run->machine.caps.to_shared & run->machine.caps.to_private &
			 1u << run->policy)) {
		fprintf(stderr, "gmemctl: VMs of type '%s' do not offer %s both ways\n",
			gmem_platform_name(target->platform),
			gmem_policy_name(run->policy));
		status = STATUS_UNAVAILABLE;
	}
	if (!status)
		status = run_and_tell(run);
	close_machine(&run->machine);
	return status;
}

int cmd_run(int argc, char **argv)
{
	static struct run run = {
		.target = TARGET_DEFAULT,
		.buffer_bytes = 64 * 1024,
		.seconds = 5,
		.policy = SET_MEMORY_ATTRIBUTES_CONTENT_ZERO,
	};
	int status;

	status = parse_options(&run, argc, argv);
	if (status)
		return status < 0 ? STATUS_OK : status;

	run.live = !run.json && isatty(STDOUT_FILENO);
	return for_each_target(&run.target, run.explain ? explain_flow : run_on, &run);
}
