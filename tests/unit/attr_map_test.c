// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/* The attribute map at its real size: edges, memory, failures. */
#include "unit.h"
#include "attr_map.c"

#define PRIVATE		GMEM_ATTR_PRIVATE
#define DESTROYED	GMEM_ATTR_DESTROYED

#define PAGES_2M	512ull
#define PAGES_1G	(512 * PAGES_2M)
#define PAGES_1T	(1024 * PAGES_1G)

static struct gmem_attr_map *make(u64 nr_pages, unsigned int attrs)
{
	struct gmem_attr_map *map;

	assert_int_equal(gmem_attr_map_create(&map, nr_pages, attrs), 0);
	return map;
}

static void set(struct gmem_attr_map *map, u64 start, u64 end, unsigned int attrs)
{
	assert_int_equal(gmem_attr_map_prepare(map, start, end, attrs), 0);
	gmem_attr_map_commit(map, start, end, attrs);
}

static void assert_run(const struct gmem_attr_map *map, u64 start, u64 end,
		       unsigned int attrs)
{
	unsigned int found;

	assert_int_equal(gmem_attr_map_run(map, start, map->nr_pages, &found), end);
	assert_int_equal(found, attrs);
	assert_int_equal(gmem_attr_map_get(map, start), attrs);
	assert_int_equal(gmem_attr_map_get(map, end - 1), attrs);
}

/* After each test: nothing is left. */
static int no_memory_is_left(void **state)
{
	gmem_defer_flush();
	gmem_memory.until_failure = -1;
	return gmem_memory.leaves || gmem_memory.tables;
}

static void refuses_bad_sizes_and_states(void **state)
{
	struct gmem_attr_map *map = NULL;

	assert_int_equal(gmem_attr_map_create(&map, 0, 0), -EINVAL);
	assert_int_equal(gmem_attr_map_create(&map, GMEM_ATTR_MAP_MAX_PAGES + 1, 0),
			 -EINVAL);
	assert_int_equal(gmem_attr_map_create(&map, ~0ull, 0), -EINVAL);
	assert_int_equal(gmem_attr_map_create(&map, 1, GMEM_ATTR_MASK + 1), -EINVAL);
	assert_null(map);
}

static void creation_fails_without_memory(void **state)
{
	struct gmem_attr_map *map = NULL;

	gmem_memory.until_failure = 0;
	assert_int_equal(gmem_attr_map_create(&map, PAGES_1T, 0), -ENOMEM);
	assert_null(map);
}

static void destroying_nothing_is_allowed(void **state)
{
	gmem_attr_map_destroy(NULL);
}

static void starts_uniform_in_every_state(void **state)
{
	for (unsigned int attrs = 0; attrs <= GMEM_ATTR_MASK; attrs++) {
		struct gmem_attr_map *map = make(PAGES_1G + 7, attrs);

		assert_int_equal(gmem_attr_map_nr_pages(map), PAGES_1G + 7);
		assert_run(map, 0, PAGES_1G + 7, attrs);
		assert_run(map, PAGES_1G + 6, PAGES_1G + 7, attrs);
		gmem_attr_map_destroy(map);
	}
}

static void one_page_map_stays_tiny(void **state)
{
	struct gmem_attr_map *map = make(1, 0);

	for (unsigned int attrs = 0; attrs <= GMEM_ATTR_MASK; attrs++) {
		set(map, 0, 1, attrs);
		assert_run(map, 0, 1, attrs);
	}
	assert_true(gmem_attr_map_bytes(map) <= 256);
	gmem_attr_map_destroy(map);
}

static void past_the_end_is_private(void **state)
{
	struct gmem_attr_map *map = make(10, 0);
	unsigned int attrs;

	assert_int_equal(gmem_attr_map_get(map, 9), 0);
	assert_int_equal(gmem_attr_map_get(map, 10), PRIVATE);
	assert_int_equal(gmem_attr_map_get(map, ~0ull), PRIVATE);

	assert_int_equal(gmem_attr_map_run(map, 5, 100, &attrs), 10);
	assert_int_equal(attrs, 0);
	assert_int_equal(gmem_attr_map_run(map, 10, 100, &attrs), 100);
	assert_int_equal(attrs, PRIVATE);

	/* Private pages run on into it, as single lookups say. */
	set(map, 8, 10, PRIVATE);
	assert_int_equal(gmem_attr_map_run(map, 8, 100, &attrs), 100);
	assert_int_equal(attrs, PRIVATE);
	gmem_attr_map_destroy(map);
}

static void run_stops_at_the_callers_end(void **state)
{
	struct gmem_attr_map *map = make(PAGES_1G * 3, 0);
	unsigned int attrs;

	assert_int_equal(gmem_attr_map_run(map, 3, 4, &attrs), 4);
	assert_int_equal(gmem_attr_map_run(map, 3, PAGES_1G + 1, &attrs), PAGES_1G + 1);
	set(map, 0, 1, PRIVATE);
	assert_int_equal(gmem_attr_map_run(map, 3, 4, &attrs), 4);
	assert_int_equal(gmem_attr_map_run(map, 3, 40, &attrs), 40);
	assert_int_equal(gmem_attr_map_run(map, 3, 513, &attrs), 513);
	gmem_attr_map_destroy(map);
}

static void refuses_ranges_outside(void **state)
{
	struct gmem_attr_map *map = make(1000, 0);
	static const u64 bad[][2] = {
		{ 0, 0 }, { 5, 5 }, { 6, 5 }, { 0, 1001 }, { 1000, 1000 },
		{ 1000, 1001 }, { 999, ~0ull }, { ~0ull, 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(gmem_attr_map_prepare(map, bad[i][0], bad[i][1], 0),
				 -EINVAL);
	assert_int_equal(gmem_attr_map_prepare(map, 0, 1, GMEM_ATTR_MASK + 1), -EINVAL);
	assert_run(map, 0, 1000, 0);
	gmem_attr_map_destroy(map);
}

/* Ranges that begin and end on, before and behind each kind of boundary. */
static void sets_ranges_across_every_boundary(void **state)
{
	static const u64 at[] = {
		0, 1, 31, 32, 33, 511, 512, 513, 1024,
		PAGES_1G - 513, PAGES_1G - 512, PAGES_1G - 1, PAGES_1G,
		PAGES_1G + 1, PAGES_1G + 512, 2 * PAGES_1G - 1, 2 * PAGES_1G,
		2 * PAGES_1G + 1, 2 * PAGES_1G + 700, 2 * PAGES_1G + 777,
	};
	u64 nr_pages = 2 * PAGES_1G + 777;

	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		for (size_t j = i + 1; j < ARRAY_SIZE(at); j++) {
			struct gmem_attr_map *map = make(nr_pages, DESTROYED);

			set(map, at[i], at[j], PRIVATE);
			if (at[i])
				assert_run(map, 0, at[i], DESTROYED);
			assert_run(map, at[i], at[j], PRIVATE);
			if (at[j] < nr_pages)
				assert_run(map, at[j], nr_pages, DESTROYED);

			set(map, at[i], at[j], DESTROYED);
			assert_run(map, 0, nr_pages, DESTROYED);
			gmem_attr_map_destroy(map);
		}
	}
}

static void setting_what_is_there_takes_no_memory(void **state)
{
	struct gmem_attr_map *map = make(PAGES_1G * 2, PRIVATE);
	long leaves, tables;

	set(map, 5, 6, 0);
	gmem_defer_flush();
	leaves = gmem_memory.leaves;
	tables = gmem_memory.tables;
	gmem_memory.until_failure = 0;
	set(map, 5, 6, 0);
	set(map, 6, 2 * PAGES_1G, PRIVATE);
	gmem_memory.until_failure = -1;
	assert_int_equal(gmem_memory.leaves, leaves);
	assert_int_equal(gmem_memory.tables, tables);
	gmem_attr_map_destroy(map);
}

static void uniform_chunks_give_their_memory_back(void **state)
{
	struct gmem_attr_map *map = make(PAGES_1G * 2, 0);

	/* Page by page, so that the words, the leaf and the table fill up. */
	for (u64 i = 0; i < 2 * PAGES_2M; i++)
		set(map, PAGES_1G + i, PAGES_1G + i + 1, PRIVATE);
	gmem_defer_flush();
	assert_int_equal(gmem_memory.leaves, 0);
	assert_false(entry_is_state(map->root[1]));

	set(map, PAGES_1G + 2 * PAGES_2M, PAGES_1G * 2, PRIVATE);
	gmem_defer_flush();
	assert_int_equal(gmem_memory.leaves, 0);
	assert_true(map->root[1] == state_entry(PRIVATE));

	for (u64 i = PAGES_1G * 2; i > PAGES_1G; i--)
		set(map, i - 1, i, 0);
	gmem_defer_flush();
	assert_true(map->root[1] == state_entry(0));
	assert_int_equal(gmem_memory.leaves, 0);
	gmem_attr_map_destroy(map);
}

/* The pages that fill up the last leaf must not keep it from being uniform. */
static void tail_pages_do_not_prevent_coalescing(void **state)
{
	static const u64 sizes[] = { 2, 33, 511, 513, 1000, PAGES_1G + 1, PAGES_1G + 600 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct gmem_attr_map *map = make(sizes[i], 0);

		set(map, sizes[i] - 2, sizes[i] - 1, PRIVATE);
		set(map, sizes[i] - 1, sizes[i], PRIVATE);
		set(map, 0, sizes[i] - 1, PRIVATE);
		for (u64 r = 0; r < map->nr_root; r++)
			assert_true(map->root[r] == state_entry(PRIVATE));
		gmem_attr_map_destroy(map);
	}
}

static void leaf_that_readers_see_outlives_them(void **state)
{
	struct gmem_attr_map *map = make(PAGES_1G, 0);

	set(map, 1, 2, PRIVATE);
	gmem_read_lock();
	set(map, 0, PAGES_1G, PRIVATE);
	assert_int_equal(gmem_memory.leaves, 1);
	gmem_read_unlock();
	gmem_defer_flush();
	assert_int_equal(gmem_memory.leaves, 0);
	gmem_attr_map_destroy(map);
}

static void cancelled_set_changes_nothing(void **state)
{
	struct gmem_attr_map *map = make(3 * PAGES_1G, 0);
	u64 bytes;

	set(map, 7, 8, PRIVATE);
	gmem_defer_flush();
	bytes = gmem_attr_map_bytes(map);

	assert_int_equal(gmem_attr_map_prepare(map, 5, 2 * PAGES_1G + 5, PRIVATE), 0);
	assert_true(gmem_attr_map_bytes(map) > bytes);
	gmem_attr_map_cancel(map);
	assert_int_equal(gmem_attr_map_bytes(map), bytes);
	assert_run(map, 0, 7, 0);
	assert_run(map, 7, 8, PRIVATE);
	assert_run(map, 8, 3 * PAGES_1G, 0);
	gmem_attr_map_destroy(map);
}

static void second_prepare_replaces_the_first(void **state)
{
	struct gmem_attr_map *map = make(3 * PAGES_1G - 5, 0);

	/* Reserves a short table first, then needs a full one. */
	assert_int_equal(gmem_attr_map_prepare(map, 3 * PAGES_1G - 20,
					       3 * PAGES_1G - 10, PRIVATE), 0);
	set(map, 10, 20, PRIVATE);
	assert_run(map, 0, 10, 0);
	assert_run(map, 10, 20, PRIVATE);
	assert_run(map, 20, 3 * PAGES_1G - 5, 0);

	assert_int_equal(gmem_attr_map_prepare(map, 600, 700, PRIVATE), 0);
	gmem_attr_map_destroy(map);
}

/*
 * Each allocation of each set fails in turn: -ENOMEM, nothing changed, nothing
 * leaked; and the same set succeeds afterwards.
 */
static void failed_allocation_changes_nothing(void **state)
{
	static const u64 ranges[][2] = {
		{ 3, 4 }, { 3, 700 }, { 100, 2 * PAGES_1G + 100 },
		{ 0, 3 * PAGES_1G }, { PAGES_1G + 1, PAGES_1G + 2 },
		{ PAGES_2M, 300 * PAGES_2M }, { 1, 3 * PAGES_1G - 1 },
	};
	int failures = 0;

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		struct gmem_attr_map *map = make(3 * PAGES_1G, PRIVATE);
		u64 start = ranges[i][0], end = ranges[i][1];
		long nth, leaves, tables;

		/* A GiB with many leaves, so that a long list is needed too. */
		for (u64 l = 0; l < 200; l++)
			set(map, l * PAGES_2M + 9, l * PAGES_2M + 10, DESTROYED);
		gmem_attr_map_cancel(map);
		gmem_defer_flush();
		leaves = gmem_memory.leaves;
		tables = gmem_memory.tables;

		for (nth = 0;; nth++) {
			int ret;

			gmem_memory.until_failure = nth;
			ret = gmem_attr_map_prepare(map, start, end, 0);
			gmem_memory.until_failure = -1;
			if (!ret)
				break;
			failures++;
			assert_int_equal(ret, -ENOMEM);
			assert_int_equal(gmem_memory.leaves, leaves);
			/* The spare list may have come or gone. */
			assert_in_range(gmem_memory.tables, tables - 1, tables + 1);
			assert_run(map, 0, 9, PRIVATE);
			assert_run(map, 9, 10, DESTROYED);
			assert_run(map, 199 * PAGES_2M + 10, 3 * PAGES_1G, PRIVATE);
		}
		/* Commit allocates nothing. */
		gmem_memory.until_failure = 0;
		gmem_attr_map_commit(map, start, end, 0);
		gmem_memory.until_failure = -1;
		assert_run(map, start, end, 0);
		gmem_attr_map_destroy(map);
	}
	assert_true(failures >= 8);
}

/* Two bits a page, in whatever pattern: at most 1.15 times a flat array. */
static void worst_pattern_is_bounded(void **state)
{
	u64 nr_pages = 64 * PAGES_1G;
	struct gmem_attr_map *map = make(nr_pages, 0);
	u64 flat = nr_pages * GMEM_ATTR_BITS / 8;

	/* One page in each 2 MiB costs as much as any pattern can. */
	for (u64 i = 0; i < nr_pages; i += PAGES_2M)
		set(map, i + i / PAGES_2M % PAGES_2M, i + i / PAGES_2M % PAGES_2M + 1,
		    PRIVATE);
	gmem_defer_flush();
	assert_int_equal(gmem_memory.leaves, nr_pages / PAGES_2M);
	assert_true(gmem_attr_map_bytes(map) * 100 <= flat * 115);

	set(map, 0, nr_pages, PRIVATE);
	gmem_defer_flush();
	assert_int_equal(gmem_memory.leaves, 0);
	gmem_attr_map_destroy(map);
}

static void uniform_terabyte_is_small(void **state)
{
	struct gmem_attr_map *map = make(PAGES_1T, 0);

	assert_true(gmem_attr_map_bytes(map) <= 64 << 10);
	set(map, 0, PAGES_1T, PRIVATE);
	set(map, 5 * PAGES_1G + 3, 900 * PAGES_1G + 3, 0);
	set(map, 0, PAGES_1T, 0);
	assert_true(gmem_attr_map_bytes(map) <= 64 << 10);
	assert_run(map, 0, PAGES_1T, 0);
	gmem_attr_map_destroy(map);
}

static void spans_sixty_four_terabytes(void **state)
{
	u64 nr_pages = GMEM_ATTR_MAP_MAX_PAGES;
	struct gmem_attr_map *map = make(nr_pages, 0);
	unsigned int attrs;

	set(map, nr_pages - 1, nr_pages, PRIVATE);
	set(map, nr_pages / 2 - 1, nr_pages / 2 + 1, DESTROYED);
	assert_run(map, 0, nr_pages / 2 - 1, 0);
	assert_run(map, nr_pages / 2 - 1, nr_pages / 2 + 1, DESTROYED);
	assert_run(map, nr_pages / 2 + 1, nr_pages - 1, 0);
	assert_int_equal(gmem_attr_map_run(map, nr_pages - 1, nr_pages, &attrs), nr_pages);
	assert_int_equal(attrs, PRIVATE);

	set(map, 1, nr_pages - 1, PRIVATE);
	assert_run(map, 1, nr_pages, PRIVATE);
	set(map, 0, nr_pages, DESTROYED);
	assert_run(map, 0, nr_pages, DESTROYED);
	gmem_attr_map_destroy(map);
}

static void four_states_lie_side_by_side(void **state)
{
	struct gmem_attr_map *map = make(4096, 0);

	for (u64 i = 0; i < 4096; i++)
		set(map, i, i + 1, (i * 7 + i / 5) & GMEM_ATTR_MASK);
	for (u64 i = 0; i < 4096; i++)
		assert_int_equal(gmem_attr_map_get(map, i), (i * 7 + i / 5) & GMEM_ATTR_MASK);
	gmem_attr_map_destroy(map);
}

#define map_test(f)	cmocka_unit_test_teardown(f, no_memory_is_left)

int main(void)
{
	const struct CMUnitTest tests[] = {
		map_test(refuses_bad_sizes_and_states),
		map_test(creation_fails_without_memory),
		map_test(destroying_nothing_is_allowed),
		map_test(starts_uniform_in_every_state),
		map_test(one_page_map_stays_tiny),
		map_test(past_the_end_is_private),
		map_test(run_stops_at_the_callers_end),
		map_test(refuses_ranges_outside),
		map_test(sets_ranges_across_every_boundary),
		map_test(setting_what_is_there_takes_no_memory),
		map_test(uniform_chunks_give_their_memory_back),
		map_test(tail_pages_do_not_prevent_coalescing),
		map_test(leaf_that_readers_see_outlives_them),
		map_test(cancelled_set_changes_nothing),
		map_test(second_prepare_replaces_the_first),
		map_test(failed_allocation_changes_nothing),
		map_test(worst_pattern_is_bounded),
		map_test(uniform_terabyte_is_small),
		map_test(spans_sixty_four_terabytes),
		map_test(four_states_lie_side_by_side),
	};

	return cmocka_run_group_tests_name("attr_map", tests, NULL, NULL);
}
