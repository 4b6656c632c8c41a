/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * What every unit test needs: cmocka, a random sequence that can be repeated
 * (GMEM_SEED) and a factor for how long to try (GMEM_SCALE).
 */
#ifndef GMEM_UNIT_H
#define GMEM_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "gmem_platform.h"

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

static inline u64 unit_seed(void)
{
	const char *env = getenv("GMEM_SEED");
	u64 seed = env ? strtoull(env, NULL, 0) : (u64)time(NULL);

	fprintf(stderr, "seed: GMEM_SEED=%llu\n", seed);
	return seed;
}

static inline u64 unit_scale(void)
{
	const char *env = getenv("GMEM_SCALE");

	return env ? strtoull(env, NULL, 0) : 1;
}

/* splitmix64 */
static inline u64 unit_random(u64 *state)
{
	u64 z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

#endif /* GMEM_UNIT_H */
