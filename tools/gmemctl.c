// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * gmemctl: look at, show and exercise in-place conversion of guest memory.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gmemctl.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
} commands[] = {
	{ "probe", cmd_probe, "what the engine offers for each VM type" },
	{ "matrix", cmd_matrix, "every content policy in both directions, run for real" },
	{ "run", cmd_run, "a guest that shares and unshares buffers, and is served" },
	{ "stress", cmd_stress, "random operations against an oracle" },
};

#define NR_COMMANDS	(sizeof(commands) / sizeof(commands[0]))

static void usage(FILE *to)
{
	fputs("Usage: gmemctl COMMAND [OPTION]...\n"
	      "Look at, show and exercise in-place conversion of guest memory.\n\n", to);
	for (size_t i = 0; i < NR_COMMANDS; i++)
		fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].summary);
	fputs("\n'gmemctl COMMAND --help' tells a command's options.\n"
	      "Exit status: 0 done; 1 it failed; 2 not available here, or wrong usage.\n",
	      to);
}

bool parse_number(const char *text, uint64_t most, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 0);
	return *text >= '0' && *text <= '9' && !*end && !errno && *value <= most;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		usage(stderr);
		return STATUS_UNAVAILABLE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		usage(stdout);
		return STATUS_OK;
	}
	for (size_t i = 0; i < NR_COMMANDS; i++) {
		if (strcmp(argv[1], commands[i].name))
			continue;
		return commands[i].run(argc - 1, argv + 1);
	}
	fprintf(stderr, "gmemctl: '%s' is not a command; see 'gmemctl --help'\n",
		argv[1]);
	return STATUS_UNAVAILABLE;
}
