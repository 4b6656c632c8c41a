// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * gmemctl stress: random operations against an oracle, for a given time.  VM after
 * VM, each from a seed of its own, on the platforms in turn.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gmemctl.h"
#include "../tests/oracle/oracle.h"

struct stress {
	struct target target;
	uint64_t seconds;
	uint64_t seed;
	unsigned int threads;

	struct gmem_engine *engine;
	uint32_t platforms[GMEM_VM_NR_PLATFORMS];
	unsigned int nr_platforms;
	uint64_t episodes[GMEM_VM_NR_PLATFORMS];
	struct oracle_result results[GMEM_VM_NR_PLATFORMS];
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void usage(FILE *to)
{
	fputs("Usage: gmemctl stress [OPTION]...\n"
	      "Convert, access, pin, forge and lie at random from several threads, and\n"
	      "compare everything with an oracle.\n\n"
	      TARGET_USAGE
	      "  -s, --seconds=N       how long (10)\n"
	      "  -S, --seed=N          what happens; with one thread, exactly (another each time)\n"
	      "  -t, --threads=N       1 to 8 (4)\n"
	      "  -h, --help            this text\n\n"
	      "Exit status: 0 nothing was found; 1 something diverged; 2 not available, or\n"
	      "wrong usage.\n", to);
}

/* STATUS_OK to go on; -1 if all is said. */
static int parse_options(struct stress *stress, int argc, char **argv)
{
	static const struct option options[] = {
		TARGET_OPTIONS,
		{ "seconds", required_argument, NULL, 's' },
		{ "seed", required_argument, NULL, 'S' },
		{ "threads", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	const char *wrong = NULL;
	uint64_t threads;
	int opt;

	while ((opt = getopt_long(argc, argv, TARGET_SHORT "s:S:t:h", options,
				  NULL)) != -1) {
		switch (opt) {
		case OPT_ENGINE:
		case OPT_PLATFORM:
			if (!target_option(&stress->target, opt, optarg))
				return STATUS_UNAVAILABLE;
			break;
		case 's':
			if (!parse_number(optarg, 1000000, &stress->seconds) ||
			    !stress->seconds)
				wrong = optarg;
			break;
		case 'S':
			if (!parse_number(optarg, UINT64_MAX, &stress->seed))
				wrong = optarg;
			break;
		case 't':
			if (!parse_number(optarg, ORACLE_MAX_THREADS, &threads) || !threads)
				wrong = optarg;
			stress->threads = (unsigned int)threads;
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
	if (wrong) {
		fprintf(stderr, "gmemctl: stress cannot use '%s'; see 'gmemctl stress "
			"--help'\n", wrong);
		return STATUS_UNAVAILABLE;
	}
	return STATUS_OK;
}

static int add_platform(const struct target *one, void *opaque)
{
	struct stress *stress = opaque;

	stress->platforms[stress->nr_platforms++] = one->platform;
	return STATUS_OK;
}

static void tell_find(const struct stress *stress, uint32_t platform, uint64_t seed,
		      double after)
{
	printf("FOUND on %s/%s after %.1f s, in the VM of seed %" PRIu64 ":\n%s"
	       "again: gmemctl stress --engine=%s --platform=%s --threads=%u "
	       "--seed=%" PRIu64 "\n", gmem_engine_name(stress->engine),
	       gmem_platform_name(platform), after, seed,
	       stress->results[platform].report, gmem_engine_name(stress->engine),
	       gmem_platform_name(platform), stress->threads, seed);
}

static void tell_nothing(const struct stress *stress, double seconds)
{
	for (unsigned int i = 0; i < stress->nr_platforms; i++) {
		uint32_t platform = stress->platforms[i];
		const struct oracle_result *result = &stress->results[platform];

		printf("%-5s %" PRIu64 " VMs, %" PRIu64 " operations, %" PRIu64
		       " conversions, %" PRIu64 " refused, %" PRIu64 " accesses refused\n",
		       gmem_platform_name(platform), stress->episodes[platform],
		       result->operations, result->conversions, result->refusals,
		       result->faults);
	}
	printf("nothing found in %.1f s\n", seconds);
}

static int run_stress(struct stress *stress)
{
	struct oracle_options options = {
		.engine = stress->engine, .threads = stress->threads,
	};
	double start = now();
	int ret;

	printf("engine %s, %u threads, seed %" PRIu64 "\n",
	       gmem_engine_name(stress->engine), stress->threads, stress->seed);
	fflush(stdout);
	options.seed = stress->seed;
	/* However slow this machine is, none of the platforms goes without. */
	for (unsigned int i = 0; i < stress->nr_platforms ||
	     now() - start < (double)stress->seconds; i++) {
		uint32_t platform = stress->platforms[i % stress->nr_platforms];

		options.platform = platform;
		stress->episodes[platform]++;
		ret = oracle_episode(&options, &stress->results[platform]);
		if (ret > 0) {
			tell_find(stress, platform, options.seed, now() - start);
			return STATUS_FAILED;
		}
		if (ret) {
			fprintf(stderr, "gmemctl: VM of seed %" PRIu64 ": %s\n",
				options.seed, strerror(-ret));
			return STATUS_FAILED;
		}
		options.seed = oracle_next_seed(options.seed);
	}
	tell_nothing(stress, now() - start);
	return STATUS_OK;
}

int cmd_stress(int argc, char **argv)
{
	static struct stress stress = {
		.target = TARGET_DEFAULT, .seconds = 10, .threads = 4,
	};
	struct gmem_caps caps = { .size = sizeof(caps) };
	int status;

	stress.seed = oracle_next_seed((uint64_t)time(NULL) ^ (uint64_t)getpid() << 32);
	status = parse_options(&stress, argc, argv);
	if (status)
		return status < 0 ? STATUS_OK : status;

	oracle_setup();
	status = for_each_target(&stress.target, add_platform, &stress);
	if (status)
		return status;
	status = open_engine(&stress.target, &stress.engine);
	if (status)
		return status;
	/* What the library tells of refusals is what is looked for. */
	quiet_log();
	if (gmem_engine_caps(stress.engine, stress.platforms[0], &caps) || !caps.convert)
		status = report_unavailable(stress.engine, &caps);
	else
		status = run_stress(&stress);
	gmem_engine_close(stress.engine);
	return status;
}
