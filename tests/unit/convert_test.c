// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/* The conversion transaction: order, effects, and nothing at all on failure. */
#include "convert_world.h"
#include "convert.c"

/* A bit of everything, with boundaries inside and between the map's chunks. */
static struct world *mixed_world(void)
{
	struct world *world = world_create();

	world_set(world, 0, WORLD_PAGES, SHARED);
	world_set(world, 10, 70, PRIVATE);
	world_set(world, 70, 75, DESTROYED);
	world_set(world, 75, 80, DESTROYED | PRIVATE);
	world_set(world, 128, 300, PRIVATE);
	world_set(world, 290, 291, SHARED);
	return world;
}

static void convert_and_compare(const char *expected, u64 start, u64 end,
				u32 policy, bool to_private)
{
	struct world *world = mixed_world();

	world_post(world, start, end - start, to_private);
	assert_int_equal(world_convert(world, &world_ops, start, end, policy,
				       to_private), 0);
	assert_string_equal(world->log, expected);
	assert_converted(world);
	world_destroy(world);
}

static void goes_private_in_order(void **state)
{
	convert_and_compare("supported authorise begin "
			    "unmap_shared[0,10) unmap_shared[80,100) flush "
			    "check[0,10)x check[70,75) check[75,80) check[80,100)x "
			    "content[0,10)R platform[0,10) "
			    "content[70,75)Z platform[70,75) "
			    "content[75,80)Z platform[75,80) "
			    "content[80,100)R platform[80,100) end ",
			    0, 100, READABLE, true);
}

static void goes_shared_in_order(void **state)
{
	convert_and_compare("supported authorise begin "
			    "check[10,70) check[70,75) check[75,80) "
			    "unmap_private[10,70) flush "
			    "content[10,70)Z platform[10,70) "
			    "content[70,75)Z platform[70,75) "
			    "content[75,80)Z platform[75,80) end ",
			    0, 100, ZERO, false);
}

static void destroys_in_order(void **state)
{
	convert_and_compare("supported authorise begin "
			    "unmap_shared[5,10) unmap_shared[80,90) flush "
			    "check[5,10)x check[10,70) check[70,75) check[75,80) check[80,90)x "
			    "unmap_private[10,70) flush "
			    "content[5,10)D platform[5,10) "
			    "content[10,70)D platform[10,70) "
			    "content[70,75)D platform[70,75) "
			    "content[75,80)D platform[75,80) "
			    "content[80,90)D platform[80,90) end ",
			    5, 90, DESTROY, true);
}

static void serves_a_request_that_changes_nothing(void **state)
{
	/* Neither begin nor end: nobody has to wait for it. */
	convert_and_compare("supported authorise ", 20, 60, ZERO, true);
	convert_and_compare("supported authorise ", 80, 120, ZERO, false);
}

static void optional_callbacks_may_be_missing(void **state)
{
	struct world *world = mixed_world();

	assert_int_equal(world_convert(world, &world_least_ops, 0, 15, ZERO, true), 0);
	assert_string_equal(world->log, "supported begin unmap_shared[0,10) flush "
			    "check[0,10)x content[0,10)Z end ");
	assert_int_equal(world->conv.converted, 10);
	assert_null(world->conv.request);
	world_destroy(world);
}

static void ignores_a_stale_request_pointer(void **state)
{
	struct world *world = mixed_world();
	struct gmem_request other = {};

	world->conv = (struct gmem_conversion){
		.ops = &world_least_ops, .map = world->map,
		.start = 20, .nr_pages = 10, .policy = ZERO, .to_private = true,
		.request = &other, .request_snapshot = 1,
	};
	memcpy(world->before, world->pages, sizeof(world->before));
	assert_int_equal(gmem_convert(&world->conv), 0);
	assert_true(other.word == 0);
	world_destroy(world);
}

/* Every policy, both directions, over ranges of every composition. */
static void converts_as_the_table_says(void **state)
{
	static const u32 policies[] = { ZERO, READABLE, DESTROY };
	static const u64 ranges[][2] = {
		{ 0, 1 }, { 0, 10 }, { 5, 15 }, { 10, 70 }, { 69, 71 },
		{ 70, 80 }, { 0, WORLD_PAGES }, { 127, 301 }, { 290, 291 },
		{ WORLD_PAGES - 1, WORLD_PAGES },
	};

	for (size_t p = 0; p < ARRAY_SIZE(policies); p++) {
		for (size_t r = 0; r < ARRAY_SIZE(ranges); r++) {
			for (int dir = 0; dir < 2; dir++) {
				struct world *world = mixed_world();
				u64 start = ranges[r][0], end = ranges[r][1];

				world_post(world, start, end - start, dir);
				assert_int_equal(world_convert(world, &world_ops, start, end,
							       policies[p], dir), 0);
				assert_converted(world);
				world_destroy(world);
			}
		}
	}
}

static void kept_contents_still_owe_their_zeros(void **state)
{
	struct world *world = mixed_world();

	assert_int_equal(world_convert(world, &world_ops, 0, 10, ZERO, true), 0);
	assert_true(world->pages[0].owes_zeros);
	assert_int_equal(world_convert(world, &world_ops, 0, 10, READABLE, false), 0);
	assert_true(world->pages[0].owes_zeros);
	/* Never touched: nothing to clear, nothing populated. */
	assert_false(world->pages[4].owes_zeros);
	assert_int_equal(world->pages[4].content, 0);
	world_destroy(world);
}

/*
 * Fail one step of one conversion, compare everything, then let the same
 * conversion succeed.  Return: false if the step was never reached.
 */
static bool fail_once(u64 start, u64 end, u32 policy, bool to_private,
		      enum step step, int nth, int error)
{
	struct world *world = mixed_world();
	bool reached;
	int ret;

	world_post(world, start, end - start, to_private);
	world->fail_step = step;
	world->fail_nth = nth;
	world->fail_error = error;
	ret = world_convert(world, &world_ops, start, end, policy, to_private);
	reached = world->calls[step] > nth;
	if (reached) {
		u64 index = start;

		assert_int_equal(ret, error);
		/* The world's check names the last page of its nth run. */
		if (step == STEP_CHECK)
			index = world->conv.error_index;
		assert_in_range(index, start, end - 1);
		assert_refused(world, index);
		assert_null(strstr(world->log, "content"));
		assert_null(strstr(world->log, "platform"));
		assert_null(strstr(world->log, "unmap_private"));

		world->fail_step = STEP_NONE;
		ret = world_convert(world, &world_ops, start, end, policy, to_private);
	}
	assert_int_equal(ret, 0);
	assert_converted(world);
	world_destroy(world);
	return reached;
}

static void each_step_that_fails_changes_nothing(void **state)
{
	static const struct {
		enum step step;
		int error;
	} steps[] = {
		{ STEP_SUPPORTED, -EOPNOTSUPP },
		{ STEP_AUTHORISE, -EPERM },
		{ STEP_CHECK, -EAGAIN },
		{ STEP_CHECK, -EHWPOISON },
		{ STEP_INTERRUPTED, -EINTR },
	};
	static const u32 policies[] = { ZERO, READABLE, DESTROY };
	static const u64 ranges[][2] = { { 0, 100 }, { 60, 500 }, { 10, 70 }, { 3, 4 } };

	for (size_t s = 0; s < ARRAY_SIZE(steps); s++) {
		int reached = 0;

		for (size_t r = 0; r < ARRAY_SIZE(ranges); r++) {
			for (size_t p = 0; p < ARRAY_SIZE(policies); p++) {
				for (int dir = 0; dir < 2; dir++) {
					int nth = 0;

					while (fail_once(ranges[r][0], ranges[r][1],
							 policies[p], dir,
							 steps[s].step, nth,
							 steps[s].error))
						nth++;
					reached += nth;
				}
			}
		}
		assert_true(reached > 10);
	}
}

static void each_allocation_that_fails_changes_nothing(void **state)
{
	static const u32 policies[] = { ZERO, READABLE, DESTROY };
	int failures = 0;

	for (size_t p = 0; p < ARRAY_SIZE(policies); p++) {
		for (int dir = 0; dir < 2; dir++) {
			struct world *world = mixed_world();
			long nth, leaves = gmem_memory.leaves;
			int ret;

			gmem_attr_map_cancel(world->map);
			world_post(world, 3, 500, dir);
			for (nth = 0;; nth++) {
				gmem_memory.until_failure = nth;
				ret = world_convert(world, &world_ops, 3, 503,
						    policies[p], dir);
				if (!ret)
					break;
				failures++;
				assert_int_equal(ret, -ENOMEM);
				assert_refused(world, 3);
				assert_int_equal(gmem_memory.leaves, leaves);
				assert_string_equal(world->log, "supported authorise ");
			}
			assert_converted(world);
			world_destroy(world);
		}
	}
	assert_true(failures >= 6);
}

static void check_names_the_page_in_the_way(void **state)
{
	struct world *world = mixed_world();

	world_post(world, 0, 100, true);
	world->pinned[85] = true;
	world->pinned[90] = true;
	/* Private already: nobody asks about its references. */
	world->pinned[20] = true;
	assert_int_equal(world_convert(world, &world_ops, 0, 100, ZERO, true), -EAGAIN);
	assert_refused(world, 85);

	world->pinned[85] = false;
	world->pinned[90] = false;
	world->poisoned[3] = true;
	assert_int_equal(world_convert(world, &world_ops, 0, 100, READABLE, true), -EHWPOISON);
	assert_refused(world, 3);

	/* What is destroyed is neither read nor cleared. */
	assert_int_equal(world_convert(world, &world_ops, 0, 100, DESTROY, true), 0);
	assert_converted(world);
	world_destroy(world);
}

static void signal_ends_it_between_runs(void **state)
{
	static const char *const expected[] = {
		"supported authorise begin unmap_shared[0,10) flush end ",
		"supported authorise begin unmap_shared[0,10) unmap_shared[80,100) flush end ",
		"supported authorise begin unmap_shared[0,10) unmap_shared[80,100) flush "
		"check[0,10)x end ",
	};

	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		struct world *world = mixed_world();

		world_post(world, 0, 100, true);
		world->fail_step = STEP_INTERRUPTED;
		world->fail_nth = i;
		world->fail_error = -EINTR;
		assert_int_equal(world_convert(world, &world_ops, 0, 100, ZERO, true), -EINTR);
		assert_string_equal(world->log, expected[i]);
		assert_refused(world, 0);
		world_destroy(world);
	}
}

static void refused_request_keeps_private_mappings(void **state)
{
	struct world *world = mixed_world();
	bool mapped[WORLD_PAGES];

	memcpy(mapped, world->mapped_private, sizeof(mapped));
	world_post(world, 0, 100, false);
	world->fail_step = STEP_CHECK;
	world->fail_error = -EAGAIN;
	world->fail_nth = 1;
	assert_int_equal(world_convert(world, &world_ops, 0, 100, DESTROY, false), -EAGAIN);
	assert_memory_equal(mapped, world->mapped_private, sizeof(mapped));
	world_destroy(world);
}

static void leaves_mappings_of_unconverted_pages_alone(void **state)
{
	struct world *world = mixed_world();

	world_post(world, 0, 100, true);
	assert_true(world->mapped_private[11]);
	assert_int_equal(world_convert(world, &world_ops, 0, 100, ZERO, true), 0);
	assert_true(world->mapped_private[11]);
	assert_true(world->mapped_shared[101]);
	world_destroy(world);
}

static void refuses_what_the_guest_did_not_ask_for(void **state)
{
	struct world *world = mixed_world();

	world_post(world, 20, 10, false);
	assert_int_equal(world_convert(world, &world_ops, 20, 31, ZERO, false), -EPERM);
	assert_refused(world, 20);
	assert_int_equal(world_convert(world, &world_ops, 21, 30, ZERO, false), -EPERM);
	assert_refused(world, 21);
	assert_int_equal(world_convert(world, &world_ops, 20, 30, ZERO, true), -EPERM);
	assert_refused(world, 20);

	assert_int_equal(world_convert(world, &world_ops, 20, 30, ZERO, false), 0);
	assert_converted(world);
	/* Asked once, used once. */
	assert_int_equal(world_convert(world, &world_ops, 20, 30, ZERO, false), -EPERM);
	world_destroy(world);
}

static void serves_a_request_piece_by_piece(void **state)
{
	struct world *world = mixed_world();

	world_post(world, 20, 10, false);
	assert_int_equal(world_convert(world, &world_ops, 20, 24, ZERO, false), 0);
	assert_int_equal(world->conv.converted, 4);
	assert_int_equal(world_convert(world, &world_ops, 20, 24, ZERO, false), -EPERM);
	assert_int_equal(world_convert(world, &world_ops, 24, 30, READABLE, false), 0);
	assert_int_equal(world->conv.converted, 6);
	assert_int_equal(gmem_request_end(&world->request), 0);
	world_destroy(world);
}

#define OFFERS	3

/* A conversion of 2 pages from gfn 100 on towards shared, and what vCPUs asked for. */
struct offers {
	struct gmem_conversion conv;
	struct gmem_request requests[OFFERS];
};

static struct offers offers_of(u64 first, u64 second, u64 third)
{
	const u64 nr_pages[OFFERS] = { first, second, third };
	struct offers offers = { .conv = { .nr_pages = 2 } };

	for (int i = 0; i < OFFERS; i++) {
		if (nr_pages[i])
			assert_int_equal(gmem_request_post(&offers.requests[i], 100,
							   nr_pages[i], false), 0);
	}
	return offers;
}

static void offer_all(struct offers *offers)
{
	for (int i = 0; i < OFFERS; i++)
		gmem_conversion_offer(&offers->conv, &offers->requests[i], 100);
}

static void assert_takes(u64 first, u64 second, u64 third, int which)
{
	struct offers offers = offers_of(first, second, third);

	offer_all(&offers);
	assert_ptr_equal(offers.conv.request, &offers.requests[which]);
	assert_true(offers.conv.request_snapshot == offers.requests[which].word);
}

static void takes_the_shortest_request_in_any_order(void **state)
{
	assert_takes(6, 4, 2, 2);
	assert_takes(2, 4, 6, 0);
	assert_takes(4, 2, 6, 1);
	assert_takes(GMEM_REQUEST_MAX_PAGES, 0, 3, 2);
	assert_takes(0, GMEM_REQUEST_MAX_PAGES, 0, 1);
}

static void takes_the_first_of_equal_requests(void **state)
{
	assert_takes(4, 4, 4, 0);
	assert_takes(6, 2, 2, 1);
}

static void request_that_does_not_match_changes_no_offer(void **state)
{
	struct offers offers = offers_of(4, 0, 0);
	struct gmem_request others[4] = {};

	/* Too short, elsewhere, the other direction, somebody else's already. */
	assert_int_equal(gmem_request_post(&others[0], 100, 1, false), 0);
	assert_int_equal(gmem_request_post(&others[1], 99, 3, false), 0);
	assert_int_equal(gmem_request_post(&others[2], 100, 2, true), 0);
	assert_int_equal(gmem_request_post(&others[3], 100, 2, false), 0);
	assert_int_equal(gmem_request_claim(&others[3], others[3].word), 0);

	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		gmem_conversion_offer(&offers.conv, &others[i], 100);
	assert_null(offers.conv.request);

	offer_all(&offers);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		gmem_conversion_offer(&offers.conv, &others[i], 100);
	assert_ptr_equal(offers.conv.request, &offers.requests[0]);
	assert_true(offers.conv.request_snapshot == offers.requests[0].word);
}

/* The vCPU went on and asked for something else: what it asked before is over. */
static void replaced_request_is_not_claimed(void **state)
{
	struct offers offers = offers_of(4, 0, 0);
	u64 word;

	offer_all(&offers);
	assert_int_equal(gmem_request_end(&offers.requests[0]), 4);
	assert_int_equal(gmem_request_post(&offers.requests[0], 100, 6, false), 0);
	word = offers.requests[0].word;
	assert_int_equal(claim(&offers.conv), -EAGAIN);
	assert_true(offers.requests[0].word == word);
}

static void lost_claim_changes_nothing(void **state)
{
	static const u32 policies[] = { ZERO, READABLE, DESTROY };

	for (size_t p = 0; p < ARRAY_SIZE(policies); p++) {
		for (int dir = 0; dir < 2; dir++) {
			struct world *world = mixed_world();

			world_post(world, 0, 100, dir);
			world->lose_claim = true;
			assert_int_equal(world_convert(world, &world_ops, 0, 100,
						       policies[p], dir), -EAGAIN);
			assert_refused(world, 0);
			assert_true(world->request.word == 0);
			assert_null(strstr(world->log, "unmap_private"));
			assert_null(strstr(world->log, "content"));
			world_destroy(world);
		}
	}
}

/* The snapshot is stale as soon as the vCPU ends its request. */
static int authorise_and_lose(struct gmem_conversion *conv)
{
	struct world *world = world_of(conv);
	int ret = world_authorise(conv);

	gmem_request_end(&world->request);
	return ret;
}

static void lost_claim_is_noticed_without_work_too(void **state)
{
	struct gmem_convert_ops ops = world_ops;
	struct world *world = mixed_world();

	ops.authorise = authorise_and_lose;
	world_post(world, 20, 10, true);
	world->lose_claim = true;
	assert_int_equal(world_convert(world, &ops, 20, 30, ZERO, true), -EAGAIN);
	assert_refused(world, 20);
	world_destroy(world);
}

/*
 * Past the point of no return only a dying VM fails.  The rest of the range
 * goes on, so that no content outlives the promise made about it.
 */
static void dead_vm_finishes_what_it_began(void **state)
{
	for (int nth = 0; nth < 4; nth++) {
		struct world *world = mixed_world();

		world_post(world, 0, 100, true);
		world->fail_step = STEP_PLATFORM;
		world->fail_nth = nth;
		world->fail_error = -EIO;
		assert_int_equal(world_convert(world, &world_ops, 0, 100, ZERO, true), -EIO);
		assert_int_equal(world->calls[STEP_PLATFORM], 4);
		assert_int_equal(world->conv.converted, 0);
		for (u64 i = 0; i < 100; i++) {
			struct page page = expected_page(world->before[i], ZERO, true);

			page.platform_private = world->pages[i].platform_private;
			assert_memory_equal(&world->pages[i], &page, sizeof(page));
		}
		/* No vCPU may wait for a claim that nobody gives back. */
		assert_true(world->request.word == 0);
		world_destroy(world);
	}
}

static void random_state(struct world *world, u64 *seed)
{
	for (int i = 0; i < 8; i++) {
		u64 start = unit_random(seed) % WORLD_PAGES;
		u64 end = start + 1 + unit_random(seed) % (WORLD_PAGES - start);

		world_set(world, start, end, unit_random(seed) % 4);
	}
}

static void agrees_with_the_model_at_random(void **state)
{
	static const u32 policies[] = { ZERO, READABLE, DESTROY };
	u64 seed = unit_seed();
	struct world *world = mixed_world();

	for (u64 i = 0; i < 3000 * unit_scale(); i++) {
		u64 start = unit_random(&seed) % WORLD_PAGES;
		u64 end = start + 1 + unit_random(&seed) % (WORLD_PAGES - start);
		bool to_private = unit_random(&seed) % 2;
		int ret;

		if (i % 16 == 0)
			random_state(world, &seed);
		world_post(world, start, end - start, to_private);
		world->fail_step = unit_random(&seed) % 8;
		world->fail_nth = unit_random(&seed) % 4;
		world->fail_error = -EINTR;
		if (world->fail_step == STEP_PLATFORM)
			world->fail_step = STEP_NONE;
		ret = world_convert(world, &world_ops, start, end,
				    policies[unit_random(&seed) % 3], to_private);
		if (ret)
			assert_refused(world, world->conv.error_index);
		else
			assert_converted(world);
	}
	world_destroy(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goes_private_in_order),
		cmocka_unit_test(goes_shared_in_order),
		cmocka_unit_test(destroys_in_order),
		cmocka_unit_test(serves_a_request_that_changes_nothing),
		cmocka_unit_test(optional_callbacks_may_be_missing),
		cmocka_unit_test(ignores_a_stale_request_pointer),
		cmocka_unit_test(converts_as_the_table_says),
		cmocka_unit_test(kept_contents_still_owe_their_zeros),
		cmocka_unit_test(each_step_that_fails_changes_nothing),
		cmocka_unit_test(each_allocation_that_fails_changes_nothing),
		cmocka_unit_test(check_names_the_page_in_the_way),
		cmocka_unit_test(signal_ends_it_between_runs),
		cmocka_unit_test(refused_request_keeps_private_mappings),
		cmocka_unit_test(leaves_mappings_of_unconverted_pages_alone),
		cmocka_unit_test(refuses_what_the_guest_did_not_ask_for),
		cmocka_unit_test(serves_a_request_piece_by_piece),
		cmocka_unit_test(takes_the_shortest_request_in_any_order),
		cmocka_unit_test(takes_the_first_of_equal_requests),
		cmocka_unit_test(request_that_does_not_match_changes_no_offer),
		cmocka_unit_test(replaced_request_is_not_claimed),
		cmocka_unit_test(lost_claim_changes_nothing),
		cmocka_unit_test(lost_claim_is_noticed_without_work_too),
		cmocka_unit_test(dead_vm_finishes_what_it_began),
		cmocka_unit_test(agrees_with_the_model_at_random),
	};

	return cmocka_run_group_tests_name("convert", tests, NULL, NULL);
}
