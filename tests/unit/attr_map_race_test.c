// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The attribute map under ThreadSanitizer: one writer, readers beside it.
 * Chunks are small, so that tables and leaves come and go all the time.
 */
#include "unit.h"
#include <pthread.h>
#include "attr_map.c"

#define NR_READERS	2
#define NR_PAGES	(5 * ROOT_PAGES + 3 * LEAF_PAGES + 7)
/* Every so many pages one that the writer never names. */
#define FIXED_STRIDE	(ROOT_PAGES + LEAF_PAGES + 5)
#define FIXED_ATTRS	GMEM_ATTR_DESTROYED

struct race {
	struct gmem_attr_map *map;
	bool stop;
	u64 lookups;
};

struct reader {
	struct race *race;
	u64 seed;
};

static bool is_fixed(u64 index)
{
	return index % FIXED_STRIDE == FIXED_STRIDE - 1;
}

/*
 * The writer sets both bits or none, so a page with one bit is a mix of two
 * moments, unless it is a fixed one, which never changes.
 */
static bool state_is_possible(u64 index, unsigned int attrs)
{
	return is_fixed(index) ? attrs == FIXED_ATTRS :
				 attrs == 0 || attrs == GMEM_ATTR_MASK;
}

static void *reader_thread(void *arg)
{
	struct reader *reader = arg;
	struct race *race = reader->race;
	u64 lookups = 0;

	while (!READ_ONCE(race->stop)) {
		u64 index = unit_random(&reader->seed) % NR_PAGES, end;
		unsigned int attrs;

		if (!state_is_possible(index, gmem_attr_map_get(race->map, index)))
			abort();
		index = index / FIXED_STRIDE * FIXED_STRIDE + FIXED_STRIDE - 1;
		if (index < NR_PAGES && gmem_attr_map_get(race->map, index) != FIXED_ATTRS)
			abort();

		index = unit_random(&reader->seed) % NR_PAGES;
		end = gmem_attr_map_run(race->map, index, NR_PAGES, &attrs);
		if (end <= index || end > NR_PAGES || !state_is_possible(index, attrs))
			abort();
		/* No run crosses a page that always differs. */
		index = index / FIXED_STRIDE * FIXED_STRIDE + FIXED_STRIDE - 1;
		if (index < NR_PAGES && attrs != FIXED_ATTRS && end > index)
			abort();
		lookups += 3;
	}
	__atomic_fetch_add(&race->lookups, lookups, __ATOMIC_RELAXED);
	return NULL;
}

static void set(struct gmem_attr_map *map, u64 start, u64 end, unsigned int attrs)
{
	assert_int_equal(gmem_attr_map_prepare(map, start, end, attrs), 0);
	gmem_attr_map_commit(map, start, end, attrs);
}

/* A range between two fixed pages. */
static void random_range(u64 *seed, u64 *start, u64 *end)
{
	u64 stretch = unit_random(seed) % (NR_PAGES / FIXED_STRIDE + 1) * FIXED_STRIDE;
	u64 limit = min(stretch + FIXED_STRIDE - 1, NR_PAGES);

	*start = stretch;
	*end = limit;
	if (unit_random(seed) % 4 == 0)
		return;
	*start += unit_random(seed) % (limit - stretch);
	if (unit_random(seed) % 4 == 0)
		*start = *start & ~(LEAF_PAGES - 1) ?: *start;
	*start = max(*start, stretch);
	*end = *start + 1 + unit_random(seed) % (limit - *start);
}

static void readers_never_see_a_state_that_never_was(void **state)
{
	struct race race = {};
	struct reader readers[NR_READERS];
	pthread_t threads[NR_READERS];
	u64 seed = unit_seed();

	assert_int_equal(gmem_attr_map_create(&race.map, NR_PAGES, 0), 0);
	for (u64 i = FIXED_STRIDE - 1; i < NR_PAGES; i += FIXED_STRIDE)
		set(race.map, i, i + 1, FIXED_ATTRS);

	for (int i = 0; i < NR_READERS; i++) {
		readers[i] = (struct reader){ &race, seed + 1 + i };
		assert_int_equal(pthread_create(&threads[i], NULL, reader_thread,
						&readers[i]), 0);
	}

	for (u64 i = 0; i < 40000 * unit_scale(); i++) {
		u64 start, end;

		random_range(&seed, &start, &end);
		set(race.map, start, end, unit_random(&seed) % 2 ? GMEM_ATTR_MASK : 0);
		/* The deferred calls are one thread, which must keep up. */
		if (i % 4096 == 0)
			gmem_defer_flush();
	}

	WRITE_ONCE(race.stop, true);
	for (int i = 0; i < NR_READERS; i++)
		pthread_join(threads[i], NULL);
	fprintf(stderr, "lookups: %llu\n", race.lookups);
	gmem_attr_map_destroy(race.map);
	gmem_defer_flush();
	assert_int_equal(gmem_memory.leaves, 0);
	assert_int_equal(gmem_memory.tables, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(readers_never_see_a_state_that_never_was),
	};

	return cmocka_run_group_tests_name("attr_map_race", tests, NULL, NULL);
}
