// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Attributes dumped as runs: each as long as it is, none left out.
 */
#include "lib_test.h"

#define DESTROY		SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY
#define NR_RUNS		5

static struct world world;

/* ssppppDDssppp... : from page 0, 2, 6, 8 and 10 on. */
static const struct gmem_run expected[NR_RUNS] = {
	{ 0, 2 * PAGE, 0, 0 },
	{ 2 * PAGE, 4 * PAGE, PRIVATE, 0 },
	{ 6 * PAGE, 2 * PAGE, PRIVATE, KVM_GMEM_STATE_DESTROYED },
	{ 8 * PAGE, 2 * PAGE, 0, 0 },
	{ 10 * PAGE, (MEMORY_PAGES - 10) * PAGE, PRIVATE, 0 },
};

static int setup(void **state)
{
	(void)state;
	open_world(&world);
	/* In pieces, which are one run. */
	WORKS(gmem_file_convert(world.file, 2 * PAGE, PAGE, PRIVATE, ZERO, NULL));
	WORKS(gmem_file_convert(world.file, 3 * PAGE, 3 * PAGE, PRIVATE, READABLE, NULL));
	WORKS(gmem_file_convert(world.file, 6 * PAGE, 2 * PAGE, PRIVATE, DESTROY, NULL));
	WORKS(gmem_file_convert(world.file, 10 * PAGE, (MEMORY_PAGES - 10) * PAGE, PRIVATE,
				ZERO, NULL));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close_world(&world);
	return 0;
}

static void tells_every_run(void **state)
{
	struct gmem_run runs[NR_RUNS + 1];
	size_t nr_runs = NR_RUNS + 1;

	(void)state;
	WORKS(gmem_get_attributes(world.file, 0, MEMORY_PAGES * PAGE, runs, &nr_runs));
	assert_int_equal(nr_runs, NR_RUNS);
	assert_memory_equal(runs, expected, sizeof(expected));
}

static void tells_how_many_where_there_is_no_room(void **state)
{
	struct gmem_run runs[2];
	size_t nr_runs = 2;

	(void)state;
	assert_int_equal(gmem_get_attributes(world.file, 0, MEMORY_PAGES * PAGE, runs,
					     &nr_runs), -ENOSPC);
	assert_int_equal(nr_runs, NR_RUNS);
	assert_memory_equal(runs, expected, sizeof(runs));
	nr_runs = 0;
	assert_int_equal(gmem_get_attributes(world.file, 0, MEMORY_PAGES * PAGE, NULL,
					     &nr_runs), -ENOSPC);
	assert_int_equal(nr_runs, NR_RUNS);
}

static void clips_to_the_range(void **state)
{
	struct gmem_run runs[2];
	size_t nr_runs = 2;

	(void)state;
	WORKS(gmem_get_attributes(world.file, 3 * PAGE, 4 * PAGE, runs, &nr_runs));
	assert_int_equal(nr_runs, 2);
	assert_int_equal(runs[0].offset, 3 * PAGE);
	assert_int_equal(runs[0].bytes, 3 * PAGE);
	assert_int_equal(runs[1].offset, 6 * PAGE);
	assert_int_equal(runs[1].bytes, PAGE);
	assert_int_equal(runs[1].state, KVM_GMEM_STATE_DESTROYED);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(tells_every_run),
		TEST(tells_how_many_where_there_is_no_room),
		TEST(clips_to_the_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
