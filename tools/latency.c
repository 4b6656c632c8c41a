// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Buckets grow by powers of two, each divided into 16.
 */
#include "latency.h"

#define SUB	(1ull << LATENCY_SUB_BITS)

static unsigned int bucket_of(uint64_t ns)
{
	unsigned int shift;

	if (ns < SUB)
		return (unsigned int)ns;
	shift = 63 - (unsigned int)__builtin_clzll(ns) - LATENCY_SUB_BITS;
	return ((shift + 1) << LATENCY_SUB_BITS) +
	       (unsigned int)((ns >> shift) & (SUB - 1));
}

/* The largest duration that falls into a bucket. */
static uint64_t bucket_limit(unsigned int bucket)
{
	unsigned int shift;

	if (bucket < SUB)
		return bucket;
	shift = (bucket >> LATENCY_SUB_BITS) - 1;
	return ((SUB + (bucket & (SUB - 1)) + 1) << shift) - 1;
}

void latency_add(struct latency *latency, uint64_t ns)
{
	latency->count++;
	latency->buckets[bucket_of(ns)]++;
	if (ns > latency->max)
		latency->max = ns;
}

uint64_t latency_percentile(const struct latency *latency, unsigned int permille)
{
	uint64_t rank = (latency->count * permille + 999) / 1000;
	uint64_t limit, seen = 0;

	if (!latency->count)
		return 0;
	for (unsigned int i = 0; i < LATENCY_BUCKETS; i++) {
		seen += latency->buckets[i];
		if (seen < rank || !seen)
			continue;
		limit = bucket_limit(i);
		return limit < latency->max ? limit : latency->max;
	}
	return latency->max;
}
