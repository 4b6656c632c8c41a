// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Requests of several vCPUs at once, and races between who asks, who answers and who
 * converts.
 */
#include <pthread.h>

#include "asking.h"

/* ---- vCPUs ---- */

ASKING_TEST(two_vcpus_ask_at_once)
{
	struct env env;

	env_open(&env, variant, 8, IN_PLACE);
	guest_fill(&env, 0, 8, 0x100);
	ASSERT_OK(gmem_guest_share(env_vcpu(&env, 0), gpa_of(4), 4 * PAGE, READABLE));
	ask_share(&env, 0, 0, 2);
	ask_unshare(&env, 1, 4, 2);
	/* Neither lends its direction to the other. */
	ASSERT_RET(vmm(&env, 0, 2, PRIVATE, READABLE), -EPERM);
	ASSERT_RET(vmm(&env, 4, 2, SHARED, READABLE), -EPERM);
	ASSERT_OK(vmm(&env, 4, 2, PRIVATE, READABLE));
	ASSERT_OK(vmm(&env, 0, 2, SHARED, READABLE));
	ASSERT_ANSWER(&env, 0, 0, 0, 2);
	ASSERT_ANSWER(&env, 1, 0, 0, 2);
	ASSERT_STATE(&env, "ssppppss");
	ASSERT_GUEST_READS(&env, 0, 8, 0x100);
}

ASKING_TEST(two_vcpus_ask_for_overlapping_memory)
{
	struct env env;

	env_open(&env, variant, 6, IN_PLACE);
	guest_fill(&env, 0, 6, 0x100);
	ask_share(&env, 0, 0, 4);
	/* Of these EL2 shares two already, and the call is about them first. */
	ask_part(&env, 1, 2, 4, SHARED, 2);
	/* Neither asked for both. */
	ASSERT_RET(vmm(&env, 0, 6, SHARED, READABLE), -EPERM);
	ASSERT_OK(vmm(&env, 2, 2, SHARED, READABLE));
	ASSERT_OK(vmm(&env, 0, 4, SHARED, READABLE));
	refuse_all(&env, 0, 4);
	refuse_all(&env, 2, 2);
	ASSERT_ANSWER(&env, 0, 0, 0, 4);
	ask_next(&env, 1, 4, 2, SHARED);
	ASSERT_OK(vmm(&env, 4, 2, SHARED, READABLE));
	ASSERT_ANSWER(&env, 1, 0, 0, 4);
	ASSERT_STATE(&env, "ssssss");
	ASSERT_HOST_READS(&env, 0, 6, 0x100);

	/* The same for both: two requests, each served once. */
	ask_unshare(&env, 0, 0, 6);
	ask_unshare(&env, 1, 0, 6);
	ASSERT_OK(vmm(&env, 0, 6, PRIVATE, READABLE));
	ASSERT_OK(vmm(&env, 0, 6, PRIVATE, READABLE));
	refuse_all(&env, 0, 6);
	ASSERT_ANSWER(&env, 0, 0, 0, 6);
	ASSERT_ANSWER(&env, 1, 0, 0, 6);
	ASSERT_GUEST_READS(&env, 0, 6, 0x100);
}

/* Else the longer one lost its front, and nobody could serve it as a whole. */
ASKING_TEST(shortest_of_two_requests_serves)
{
	struct env env;

	env_open(&env, variant, 6, IN_PLACE);
	guest_fill(&env, 0, 6, 0x100);
	for (unsigned int longer = 0; longer < 2; longer++) {
		ask_share(&env, longer, 0, 6);
		ask_share(&env, !longer, 0, 2);
		ASSERT_OK(vmm(&env, 0, 2, SHARED, READABLE));
		ASSERT_OK(vmm(&env, 0, 6, SHARED, READABLE));
		refuse_all(&env, 0, 6);
		ASSERT_ANSWER(&env, !longer, 0, 0, 2);
		ASSERT_ANSWER(&env, longer, 0, 0, 6);
		ASSERT_OK(gmem_guest_unshare(env_vcpu(&env, 0), gpa_of(0), 6 * PAGE,
					     READABLE));
	}
	ASSERT_GUEST_READS(&env, 0, 6, 0x100);
}

/*
 * One of two shares of the same page is over, and took it from the host again.  The
 * other request still stands in its vCPU, but EL2 would not let the host in.
 */
ASKING_TEST(refuses_share_that_another_vcpu_took_back)
{
	struct env env;

	env_open(&env, variant, 6, IN_PLACE);
	guest_fill(&env, 0, 6, 0x100);
	ask_share(&env, 0, 0, 4);
	ask_part(&env, 1, 2, 4, SHARED, 2);
	ASSERT_ANSWER(&env, 0, -EACCES, -EINVAL, 0);
	ASSERT_RET(vmm(&env, 2, 2, SHARED, ZERO), -EPERM);
	ASSERT_RET(vmm(&env, 2, 2, SHARED, READABLE), -EPERM);
	ASSERT_STATE(&env, "pppppp");
	ASSERT_HOST_REFUSED(&env, 2);
	ASSERT_ANSWER(&env, 1, 0, -EINVAL, 0);
	ASSERT_GUEST_READS(&env, 0, 6, 0x100);
	ASSERT_OK(gmem_guest_share(env_vcpu(&env, 1), gpa_of(2), 4 * PAGE, READABLE));
	ASSERT_HOST_READS(&env, 2, 4, 0x100 + 2 * WORDS);
}

/* vCPUs live as long as the VM, and what the guest asked for does, too. */
ASKING_TEST(request_outlives_the_vcpus_handle)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	guest_fill(&env, 0, 4, 0x100);
	ask_share(&env, 1, 0, 2);
	gmem_vcpu_destroy(env_vcpu(&env, 1));
	env.vcpus[1] = NULL;
	ASSERT_RET(vmm(&env, 1, 2, SHARED, READABLE), -EPERM);
	ASSERT_OK(vmm(&env, 0, 2, SHARED, READABLE));
	refuse_all(&env, 0, 2);
	ASSERT_STATE(&env, "sspp");
	ASSERT_HOST_READS(&env, 0, 2, 0x100);
	ASSERT_GUEST_READS(&env, 0, 4, 0x100);
}

/* Or it could set one up to ask for what the guest never wanted. */
ASKING_TEST(vmm_cannot_reset_vcpus)
{
	struct gmem_guest_cmd cmd = convert_cmd(0, 2, SHARED);
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	guest_fill(&env, 0, 2, 0x100);
	ASSERT_RET(gmem_guest_abort(env_vcpu(&env, 0)), -EPERM);
	/* Not even one that has not run. */
	ASSERT_RET(gmem_guest_abort(env_vcpu(&env, 1)), -EPERM);
	ASSERT_RET(vmm(&env, 0, 2, SHARED, READABLE), -EPERM);

	ask_share(&env, 0, 0, 2);
	ASSERT_RET(gmem_guest_abort(env_vcpu(&env, 0)), -EPERM);
	ASSERT_RET(gmem_guest_start(env_vcpu(&env, 0), &cmd, 1, 1), -EBUSY);
	ASSERT_OK(vmm(&env, 0, 2, SHARED, READABLE));
	ASSERT_ANSWER(&env, 0, 0, 0, 2);
	ASSERT_HOST_READS(&env, 0, 2, 0x100);
}

/* ---- races ---- */

#define ROUNDS	300

struct answering {
	pthread_t thread;
	struct env *env;
	unsigned int id;
	int64_t ret;
	int status;
	uint64_t done;
};

static void *answer_soon(void *opaque)
{
	struct answering *self = opaque;

	self->status = answer(self->env, self->id, self->ret, &self->done);
	return NULL;
}

/* Either the conversion comes first, or the end of the request. */
ASKING_TEST(reentry_races_with_conversion)
{
	uint64_t at = PRIVATE;
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	guest_fill(&env, 0, 4, 0x100);
	for (int i = 0; i < ROUNDS; i++) {
		struct answering answering = { .env = &env };
		uint64_t to = at ^ PRIVATE;
		int ret;

		if (to)
			ask_unshare(&env, 0, 0, 4);
		else
			ask_share(&env, 0, 0, 4);
		ASSERT(!pthread_create(&answering.thread, NULL, answer_soon, &answering));
		ret = vmm(&env, 0, 4, to, READABLE);
		pthread_join(answering.thread, NULL);
		if (ret != -EAGAIN && ret != -EPERM)
			ASSERT_OK(ret);
		ASSERT_RET(answering.status, ret ? -EINVAL : 0);
		ASSERT_EQ(answering.done, ret ? 0 : 4);
		if (!ret)
			at = to;
		ASSERT_UNIFORM(&env, 0, 4, at ? 'p' : 's');
		refuse_all(&env, 0, 4);
	}
	ASSERT_GUEST_READS(&env, 0, 4, 0x100);
}

/* Both take back the same share. */
ASKING_TEST(ends_of_overlapping_requests_race)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	guest_fill(&env, 0, 4, 0x100);
	for (int i = 0; i < ROUNDS / 3; i++) {
		struct answering ends[2];

		for (unsigned int id = 0; id < 2; id++) {
			ask_share(&env, id, 0, 4);
			ends[id] = (struct answering){
				.env = &env, .id = id, .ret = -EACCES,
			};
		}
		for (int id = 0; id < 2; id++)
			ASSERT(!pthread_create(&ends[id].thread, NULL, answer_soon,
					       &ends[id]));
		for (int id = 0; id < 2; id++) {
			pthread_join(ends[id].thread, NULL);
			ASSERT_RET(ends[id].status, -EINVAL);
			ASSERT_EQ(ends[id].done, 0);
		}
		refuse_all(&env, 0, 4);
	}
	ASSERT_STATE(&env, "pppp");
	ASSERT_HOST_REFUSED(&env, 0);
	ASSERT_GUEST_READS(&env, 0, 4, 0x100);
}

struct converting {
	pthread_t thread;
	struct env *env;
	int ret;
};

static void *convert_once(void *opaque)
{
	struct converting *self = opaque;

	self->ret = vmm(self->env, 0, 4, SHARED, READABLE);
	return NULL;
}

/* One request, several threads of a VMM: one of them gets it. */
ASKING_TEST(one_of_many_conversions_gets_the_request)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	guest_fill(&env, 0, 4, 0x100);
	for (int i = 0; i < ROUNDS / 3; i++) {
		struct converting threads[3];
		unsigned int won = 0;

		ask_share(&env, 0, 0, 4);
		for (int t = 0; t < 3; t++) {
			threads[t].env = &env;
			ASSERT(!pthread_create(&threads[t].thread, NULL, convert_once,
					       &threads[t]));
		}
		for (int t = 0; t < 3; t++) {
			pthread_join(threads[t].thread, NULL);
			won += !threads[t].ret;
			if (threads[t].ret && threads[t].ret != -EPERM)
				ASSERT_RET(threads[t].ret, -EAGAIN);
		}
		ASSERT_EQ(won, 1);
		ASSERT_ANSWER(&env, 0, 0, 0, 4);
		ASSERT_OK(gmem_guest_unshare(env_vcpu(&env, 0), gpa_of(0), 4 * PAGE,
					     READABLE));
	}
	ASSERT_GUEST_READS(&env, 0, 4, 0x100);
}
