// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Random operations against the oracle of tests/oracle/, from fixed seeds.  gmemctl
 * stress does this for as long as one likes.
 */
#include "../oracle/oracle.h"
#include "env.h"

#define EPISODES	6

static void run_episodes(const struct variant *variant, unsigned int threads)
{
	struct gmem_engine_options engine_options = {
		.size = sizeof(engine_options), .kind = variant->engine,
	};
	struct oracle_options options = {
		.platform = variant->platform, .threads = threads, .seed = 1,
	};
	static struct oracle_result result;

	oracle_setup();
	ASSERT_OK(gmem_engine_open(&engine_options, &options.engine));
	for (int i = 0; i < EPISODES; i++) {
		int ret = oracle_episode(&options, &result);

		if (ret > 0)
			FAIL("seed %llu: %s", (unsigned long long)options.seed,
			     result.report);
		ASSERT_OK(ret);
		options.seed = oracle_next_seed(options.seed);
	}
	gmem_engine_close(options.engine);
	ASSERT(result.conversions && result.refusals && result.faults);
}

TEST_WITH(random_operations_agree_with_the_oracle, 0, 600)
{
	run_episodes(variant, 1);
}

TEST_WITH(random_operations_of_three_threads_agree_with_the_oracle, 0, 600)
{
	run_episodes(variant, 3);
}
