// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/* Guest requests: every transition of the word, with one thread. */
#include "unit.h"
#include <pthread.h>
#include "request.c"

static bool matches(const struct gmem_request *req, u64 gfn, u64 nr_pages,
		    bool to_private)
{
	u64 snapshot;

	return gmem_request_match(req, gfn, nr_pages, to_private, &snapshot);
}

static struct gmem_request posted(u64 gfn, u64 nr_pages, bool to_private)
{
	struct gmem_request req = {};

	assert_int_equal(gmem_request_post(&req, gfn, nr_pages, to_private), 0);
	return req;
}

static struct gmem_request claimed(u64 gfn, u64 nr_pages, bool to_private)
{
	struct gmem_request req = posted(gfn, nr_pages, to_private);
	u64 snapshot;

	assert_true(gmem_request_match(&req, gfn, nr_pages, to_private, &snapshot));
	assert_int_equal(gmem_request_claim(&req, snapshot), 0);
	return req;
}

static void zeroed_word_holds_no_request(void **state)
{
	struct gmem_request req = {};

	assert_false(matches(&req, 0, 1, false));
	assert_false(matches(&req, 0, 0, false));
	assert_int_equal(gmem_request_end(&req), 0);
}

static void word_has_the_documented_layout(void **state)
{
	struct gmem_request req = posted(0x123456789a, 0x2bcdef, true);

	assert_true(req.word == (1ull << 62 | 0x123456789aull << 22 | 0x2bcdef));
	req = claimed(5, 7, false);
	assert_true(req.word == (1ull << 63 | 5ull << 22 | 7));
}

static void matches_what_was_posted_and_nothing_else(void **state)
{
	struct gmem_request req = posted(100, 8, true);
	u64 word = req.word;

	assert_true(matches(&req, 100, 8, true));
	assert_true(matches(&req, 100, 1, true));
	assert_false(matches(&req, 100, 8, false));
	assert_false(matches(&req, 100, 9, true));
	assert_false(matches(&req, 100, 0, true));
	assert_false(matches(&req, 100, 1ull << 22 | 1, true));
	assert_false(matches(&req, 100, ~0ull, true));
	assert_false(matches(&req, 99, 8, true));
	assert_false(matches(&req, 101, 7, true));
	assert_false(matches(&req, 100 | 1ull << 40, 8, true));
	assert_true(req.word == word);
}

static void holds_the_extreme_values(void **state)
{
	struct gmem_request req;

	req = posted(GMEM_REQUEST_MAX_GFN, 1, false);
	assert_true(matches(&req, GMEM_REQUEST_MAX_GFN, 1, false));
	req = posted(0, GMEM_REQUEST_MAX_PAGES, true);
	assert_true(matches(&req, 0, GMEM_REQUEST_MAX_PAGES, true));
	req = posted(GMEM_REQUEST_MAX_GFN - GMEM_REQUEST_MAX_PAGES + 1,
		     GMEM_REQUEST_MAX_PAGES, true);
	assert_int_equal(gmem_request_end(&req), GMEM_REQUEST_MAX_PAGES);
}

static void refuses_what_the_word_cannot_hold(void **state)
{
	static const struct {
		u64 gfn, nr_pages;
	} bad[] = {
		{ 0, 0 },
		{ 0, GMEM_REQUEST_MAX_PAGES + 1 },
		{ 0, ~0ull },
		{ GMEM_REQUEST_MAX_GFN + 1, 1 },
		{ ~0ull, 1 },
		{ GMEM_REQUEST_MAX_GFN, 2 },
		{ GMEM_REQUEST_MAX_GFN - GMEM_REQUEST_MAX_PAGES + 2,
		  GMEM_REQUEST_MAX_PAGES },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct gmem_request req = {};

		assert_int_equal(gmem_request_post(&req, bad[i].gfn,
						   bad[i].nr_pages, false), -EINVAL);
		assert_true(req.word == 0);
	}
}

static void refuses_a_second_post(void **state)
{
	struct gmem_request req = posted(1, 2, true);
	u64 word = req.word;

	assert_int_equal(gmem_request_post(&req, 3, 4, false), -EBUSY);
	assert_true(req.word == word);

	req = claimed(1, 2, true);
	word = req.word;
	assert_int_equal(gmem_request_post(&req, 3, 4, false), -EBUSY);
	assert_true(req.word == word);
}

static void claimed_request_matches_nobody(void **state)
{
	struct gmem_request req = claimed(1, 2, true);

	assert_false(matches(&req, 1, 2, true));
}

static void claims_once(void **state)
{
	struct gmem_request req = posted(1, 2, true);
	u64 snapshot;

	assert_true(gmem_request_match(&req, 1, 2, true, &snapshot));
	assert_int_equal(gmem_request_claim(&req, snapshot), 0);
	assert_int_equal(gmem_request_claim(&req, snapshot), -EAGAIN);
}

static void claim_is_lost_when_the_word_changed(void **state)
{
	struct gmem_request req = posted(1, 2, true);
	u64 snapshot, word;

	assert_true(gmem_request_match(&req, 1, 2, true, &snapshot));
	assert_int_equal(gmem_request_end(&req), 2);
	assert_int_equal(gmem_request_claim(&req, snapshot), -EAGAIN);
	assert_true(req.word == 0);

	req = posted(1, 3, true);
	word = req.word;
	assert_int_equal(gmem_request_claim(&req, snapshot), -EAGAIN);
	assert_true(req.word == word);
}

/* A snapshot that no match handed out must not claim what is not there. */
static void refuses_snapshots_that_match_never_returns(void **state)
{
	struct gmem_request req = {};

	assert_int_equal(gmem_request_claim(&req, 0), -EAGAIN);
	assert_true(req.word == 0);
	req = claimed(1, 2, true);
	assert_int_equal(gmem_request_claim(&req, req.word), -EAGAIN);
}

static void released_request_is_as_before(void **state)
{
	struct gmem_request req = posted(1, 2, true);
	u64 word = req.word, snapshot;

	assert_true(gmem_request_match(&req, 1, 1, true, &snapshot));
	assert_int_equal(gmem_request_claim(&req, snapshot), 0);
	gmem_request_release(&req);
	assert_true(req.word == word);
}

static void shrinks_from_the_front(void **state)
{
	struct gmem_request req = claimed(100, 8, true);
	u64 snapshot;

	gmem_request_shrink(&req, 3);
	assert_false(matches(&req, 100, 1, true));
	assert_false(matches(&req, 103, 6, true));
	assert_false(matches(&req, 103, 5, false));
	assert_true(gmem_request_match(&req, 103, 5, true, &snapshot));
	assert_int_equal(gmem_request_claim(&req, snapshot), 0);
	gmem_request_shrink(&req, 4);
	assert_int_equal(gmem_request_end(&req), 1);
}

static void used_up_request_is_gone(void **state)
{
	struct gmem_request req = claimed(100, 8, false);

	gmem_request_shrink(&req, 8);
	assert_true(req.word == 0);
	assert_int_equal(gmem_request_end(&req), 0);

	/* The last page there is: the gfn behind it must not leak out. */
	req = claimed(GMEM_REQUEST_MAX_GFN, 1, false);
	gmem_request_shrink(&req, 1);
	assert_true(req.word == 0);
}

static void shrinking_by_more_than_is_left_ends_it(void **state)
{
	struct gmem_request req = claimed(100, 8, false);

	gmem_request_shrink(&req, ~0ull);
	assert_true(req.word == 0);
}

static void unclaimed_word_cannot_be_given_back(void **state)
{
	struct gmem_request req = posted(100, 8, false);
	u64 word = req.word;

	gmem_request_release(&req);
	assert_true(req.word == word);
	gmem_request_shrink(&req, 1);
	assert_true(req.word == word);
}

static void end_says_what_was_not_converted(void **state)
{
	struct gmem_request req = posted(100, 8, true);

	assert_int_equal(gmem_request_end(&req), 8);
	assert_true(req.word == 0);
	assert_int_equal(gmem_request_end(&req), 0);
}

static void *end_thread(void *arg)
{
	return (void *)(uintptr_t)gmem_request_end(arg);
}

static void end_waits_for_the_claimer(void **state)
{
	struct gmem_request req = claimed(100, 8, true);
	pthread_t thread;
	void *left;

	assert_int_equal(pthread_create(&thread, NULL, end_thread, &req), 0);
	for (int i = 0; i < 1000; i++) {
		assert_true(smp_load_acquire(&req.word) >> 63);
		sched_yield();
	}
	gmem_request_shrink(&req, 3);
	pthread_join(thread, &left);
	assert_int_equal((uintptr_t)left, 5);
	assert_true(req.word == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zeroed_word_holds_no_request),
		cmocka_unit_test(word_has_the_documented_layout),
		cmocka_unit_test(matches_what_was_posted_and_nothing_else),
		cmocka_unit_test(holds_the_extreme_values),
		cmocka_unit_test(refuses_what_the_word_cannot_hold),
		cmocka_unit_test(refuses_a_second_post),
		cmocka_unit_test(claimed_request_matches_nobody),
		cmocka_unit_test(claims_once),
		cmocka_unit_test(claim_is_lost_when_the_word_changed),
		cmocka_unit_test(refuses_snapshots_that_match_never_returns),
		cmocka_unit_test(released_request_is_as_before),
		cmocka_unit_test(shrinks_from_the_front),
		cmocka_unit_test(used_up_request_is_gone),
		cmocka_unit_test(shrinking_by_more_than_is_left_ends_it),
		cmocka_unit_test(unclaimed_word_cannot_be_given_back),
		cmocka_unit_test(end_says_what_was_not_converted),
		cmocka_unit_test(end_waits_for_the_claimer),
	};

	return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
