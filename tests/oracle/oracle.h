/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Random operations on a VM, and an oracle that knows every answer: for gmemctl
 * stress, for the behaviour tests and for the fuzzer.
 *
 * An episode is one VM.  Its file is divided: each thread owns a shard, on which
 * nobody else acts, so that a model of the shard (model.c) tells exactly what
 * each call answers and what each reader reads, while the others keep the same
 * file, map and vCPUs busy.  What threads do to each other follows rules that hold
 * in whatever order it happens: see foreign.c.
 */
#ifndef ORACLE_ORACLE_H
#define ORACLE_ORACLE_H

#include <gmem/gmem.h>

#define ORACLE_MAX_THREADS	8
/* Bytes that one operation is made from. */
#define ORACLE_RECORD		8
#define ORACLE_REPORT		8192

/**
 * struct oracle_options - an episode
 * @engine: where
 * @platform: enum gmem_vm_platform
 * @seed: what happens follows from it, with one thread exactly
 * @threads: 1 to ORACLE_MAX_THREADS
 * @data: operations, ORACLE_RECORD bytes each, instead of what @seed gives; one
 *	thread
 * @bytes: length of @data
 */
struct oracle_options {
	struct gmem_engine *engine;
	uint32_t platform;
	uint64_t seed;
	unsigned int threads;
	const uint8_t *data;
	size_t bytes;
};

/**
 * struct oracle_result - what an episode did
 * @operations: how many
 * @conversions: requests that were granted
 * @refusals: requests that were refused, as they had to be
 * @faults: accesses that were refused, as they had to be
 * @report: what diverged, with the operations that led to it; lines
 */
struct oracle_result {
	uint64_t operations;
	uint64_t conversions;
	uint64_t refusals;
	uint64_t faults;
	char report[ORACLE_REPORT];
};

/**
 * oracle_setup() - handle SIGBUS; before an engine opens
 */
void oracle_setup(void);

/**
 * oracle_episode() - run one
 * @options: what
 * @result: out, added to
 *
 * Return: 0 if all was as it had to be; 1 if something diverged: see the report;
 *	   -errno if there is no VM to try it in.
 */
int oracle_episode(const struct oracle_options *options, struct oracle_result *result);

/* The seed of the episode after this one's. */
uint64_t oracle_next_seed(uint64_t seed);

#endif /* ORACLE_ORACLE_H */
