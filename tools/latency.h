/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * A histogram of durations with a relative error below 1/16.
 */
#ifndef TOOLS_LATENCY_H
#define TOOLS_LATENCY_H

#include <stdint.h>

#define LATENCY_SUB_BITS	4
#define LATENCY_BUCKETS		((64 - LATENCY_SUB_BITS + 1) << LATENCY_SUB_BITS)

struct latency {
	uint64_t count;
	uint64_t max;
	uint64_t buckets[LATENCY_BUCKETS];
};

void latency_add(struct latency *latency, uint64_t ns);
/* The duration that @permille of all do not exceed; 0 without any. */
uint64_t latency_percentile(const struct latency *latency, unsigned int permille);

#endif /* TOOLS_LATENCY_H */
