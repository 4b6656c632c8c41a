// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Guest requests under ThreadSanitizer: a vCPU that posts and ends, and two
 * conversions that claim, release and shrink.
 */
#include "unit.h"
#include <pthread.h>
#include "request.c"

#define NR_CLAIMERS	2

struct race {
	struct gmem_request req;
	bool stop;
	/*
	 * Guarded by the claim alone: ThreadSanitizer reports it if two threads
	 * ever own the word at a time, or if end does not wait.
	 */
	u64 converted;
	u64 next_gfn;
	/* Statistics. */
	u64 lost;
	u64 won;
};

struct claimer {
	struct race *race;
	u64 seed;
};

/* Let the others run in the middle, on a busy machine too. */
static void maybe_yield(u64 *seed)
{
	if (unit_random(seed) % 8 == 0)
		sched_yield();
}

static void *claimer_thread(void *arg)
{
	struct claimer *claimer = arg;
	struct race *race = claimer->race;

	while (!READ_ONCE(race->stop)) {
		/* Peek at the word, as authorise does with the ioctl's range. */
		u64 word = smp_load_acquire(&race->req.word);
		u64 left = word & GMEM_REQUEST_MAX_PAGES, gfn, nr, snapshot;

		if (!left) {
			gmem_relax();
			continue;
		}
		gfn = word >> 22 & GMEM_REQUEST_MAX_GFN;
		nr = 1 + unit_random(&claimer->seed) % left;
		if (!gmem_request_match(&race->req, gfn, nr, word >> 62 & 1, &snapshot))
			continue;
		maybe_yield(&claimer->seed);
		if (gmem_request_claim(&race->req, snapshot)) {
			__atomic_fetch_add(&race->lost, 1, __ATOMIC_RELAXED);
			continue;
		}
		__atomic_fetch_add(&race->won, 1, __ATOMIC_RELAXED);
		maybe_yield(&claimer->seed);
		if (unit_random(&claimer->seed) % 4 == 0) {
			gmem_request_release(&race->req);
			continue;
		}
		/* Nobody converts a page twice or leaves one out. */
		if (race->next_gfn != gfn)
			abort();
		race->next_gfn += nr;
		race->converted += nr;
		gmem_request_shrink(&race->req, nr);
	}
	return NULL;
}

static void vcpu_and_two_claimers_agree_on_every_page(void **state)
{
	struct race race = {};
	struct claimer claimers[NR_CLAIMERS];
	pthread_t threads[NR_CLAIMERS];
	u64 seed = unit_seed(), partial = 0;

	for (int i = 0; i < NR_CLAIMERS; i++) {
		claimers[i] = (struct claimer){ &race, seed + 1 + i };
		assert_int_equal(pthread_create(&threads[i], NULL, claimer_thread,
						&claimers[i]), 0);
	}

	for (u64 round = 0; round < 100000 * unit_scale(); round++) {
		u64 gfn = unit_random(&seed) & 0xffffffff;
		u64 nr = 1 + unit_random(&seed) % 64, left;

		/* Nobody else touches these while there is no request. */
		race.converted = 0;
		race.next_gfn = gfn;
		assert_int_equal(gmem_request_post(&race.req, gfn, nr, round & 1), 0);
		for (u64 spin = unit_random(&seed) % 8; spin; spin--)
			maybe_yield(&seed);
		left = gmem_request_end(&race.req);
		assert_true(race.converted + left == nr);
		partial += left && race.converted;
	}

	WRITE_ONCE(race.stop, true);
	for (int i = 0; i < NR_CLAIMERS; i++)
		pthread_join(threads[i], NULL);
	fprintf(stderr, "claims won %llu, lost %llu; partial requests %llu\n",
		race.won, race.lost, partial);
	assert_true(race.won);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vcpu_and_two_claimers_agree_on_every_page),
	};

	return cmocka_run_group_tests_name("request_race", tests, NULL, NULL);
}
