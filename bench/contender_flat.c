// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/* A flat array of the same bits: the floor for memory and simplicity. */
#include <stdlib.h>

#include "attr_map.h"
#include "contender.h"

#define WORD_PAGES	(64 / GMEM_ATTR_BITS)

struct flat {
	u64 nr_words;
	u64 words[];
};

static u64 state_word(unsigned int attrs)
{
	return ~0ull / GMEM_ATTR_MASK * attrs;
}

static void *flat_create(bench_u64 nr_pages)
{
	u64 nr_words = (nr_pages + WORD_PAGES - 1) / WORD_PAGES;
	struct flat *flat = malloc(sizeof(*flat) + nr_words * sizeof(u64));

	if (!flat)
		abort();
	flat->nr_words = nr_words;
	for (u64 i = 0; i < nr_words; i++)
		flat->words[i] = state_word(GMEM_ATTR_PRIVATE);
	return flat;
}

static unsigned int flat_get(void *map, bench_u64 index)
{
	struct flat *flat = map;
	u64 word = READ_ONCE(flat->words[index / WORD_PAGES]);

	return word >> index % WORD_PAGES * GMEM_ATTR_BITS & GMEM_ATTR_MASK;
}

static void flat_set(void *map, bench_u64 start, bench_u64 end, unsigned int attrs)
{
	struct flat *flat = map;

	for (u64 next; start < end; start = next) {
		u64 *word = &flat->words[start / WORD_PAGES];
		u64 mask = ~0ull << start % WORD_PAGES * GMEM_ATTR_BITS;

		next = min((start | (WORD_PAGES - 1)) + 1, end);
		mask &= ~0ull >> (63 - ((next - 1) % WORD_PAGES * GMEM_ATTR_BITS +
					GMEM_ATTR_BITS - 1));
		WRITE_ONCE(*word, (*word & ~mask) | (state_word(attrs) & mask));
	}
}

static bench_u64 flat_bytes(void *map)
{
	struct flat *flat = map;

	return sizeof(*flat) + flat->nr_words * sizeof(u64);
}

static void nothing(void)
{
}

const struct contender contender_flat = {
	.name = "flat",
	.create = flat_create,
	.destroy = free,
	.get = flat_get,
	.set = flat_set,
	.bytes = flat_bytes,
	.flush = nothing,
	.thread_begin = nothing,
	.thread_end = nothing,
};
