// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Conversions against accesses from two vCPUs and a host thread.  All counts are
 * bounded; what ends a test is work done, not time.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "env.h"

#define RACE_PAGES	16
#define ROUNDS		300
/* A racing fault may hold a page for a moment, not for so many attempts. */
#define ATTEMPTS	200

struct vcpu_thread {
	pthread_t thread;
	struct gmem_vcpu *vcpu;
	struct gmem_guest_cmd cmds[4];
	size_t nr_cmds;
	uint64_t rounds;
	int ret;
	bool give_up;		/* at the next fault */
};

static void *run_vcpu(void *opaque)
{
	struct vcpu_thread *self = opaque;
	struct gmem_exit exit;

	for (;;) {
		self->ret = gmem_vcpu_run(self->vcpu, &exit);
		if (self->ret)
			return NULL;
		if (exit.reason == KVM_EXIT_INTR)
			continue;
		/* Between two kinds a guest access may be told to come again. */
		if (exit.reason == KVM_EXIT_MEMORY_FAULT) {
			if (__atomic_load_n(&self->give_up, __ATOMIC_RELAXED))
				return NULL;
			continue;
		}
		if (exit.reason != GMEM_EXIT_GUEST_DONE) {
			self->ret = -EIO;
			return NULL;
		}
		self->ret = gmem_guest_finish(self->vcpu, self->cmds, self->nr_cmds,
					      &self->rounds);
		if (self->ret != -EBUSY)
			return NULL;
	}
}

/* Where contents do not survive, a command that checks them only touches them. */
static void touch_only(struct vcpu_thread *self)
{
	for (size_t i = 0; i < self->nr_cmds; i++) {
		if (self->cmds[i].op == GMEM_GUEST_CHECK)
			self->cmds[i] = (struct gmem_guest_cmd){
				.op = GMEM_GUEST_LOAD, .size = 8,
				.addr = self->cmds[i].addr,
			};
	}
}

static void start_vcpu(struct vcpu_thread *self, struct gmem_vcpu *vcpu)
{
	self->vcpu = vcpu;
	ASSERT_OK(gmem_guest_start(vcpu, self->cmds, self->nr_cmds, 0));
	ASSERT(!pthread_create(&self->thread, NULL, run_vcpu, self));
}

static void stop_vcpu(struct vcpu_thread *self)
{
	gmem_guest_stop(self->vcpu);
	pthread_join(self->thread, NULL);
	if (self->ret == -EILSEQ) {
		for (size_t i = 0; i < self->nr_cmds; i++) {
			if (self->cmds[i].status)
				FAIL("command %zu: guest read %#llx at gpa %#llx", i,
				     (unsigned long long)self->cmds[i].bad_value,
				     (unsigned long long)self->cmds[i].bad_addr);
		}
	}
	ASSERT_OK(self->ret);
}

/* What it faults on will not come back. */
static void give_up_vcpu(struct vcpu_thread *self)
{
	__atomic_store_n(&self->give_up, true, __ATOMIC_RELAXED);
	stop_vcpu(self);
}

struct host_thread {
	pthread_t thread;
	struct env *env;
	uint64_t first;
	uint64_t nr;
	uint64_t value;		/* word 0 of page @first; words count up */
	bool zeros_too;
	bool stop;
	uint64_t good;
	uint64_t refused;
	uint64_t bad_page;
	uint64_t bad_value;
	bool bad;
};

static void *read_pages(void *opaque)
{
	struct host_thread *self = opaque;
	unsigned int seed = 1;

	while (!__atomic_load_n(&self->stop, __ATOMIC_RELAXED)) {
		uint64_t word = (uint64_t)rand_r(&seed) % (self->nr * WORDS);
		uint64_t *addr = (uint64_t *)addr_of(self->env, self->first) + word;
		uint64_t got;

		if (try_read(addr, &got, NULL)) {
			self->refused++;
			continue;
		}
		if (got != self->value + word && !(self->zeros_too && !got)) {
			self->bad = true;
			self->bad_page = self->first + word / WORDS;
			self->bad_value = got;
			return NULL;
		}
		self->good++;
	}
	return NULL;
}

static void start_host(struct host_thread *self)
{
	ASSERT(!pthread_create(&self->thread, NULL, read_pages, self));
}

static void stop_host(struct host_thread *self)
{
	__atomic_store_n(&self->stop, true, __ATOMIC_RELAXED);
	pthread_join(self->thread, NULL);
	if (self->bad)
		FAIL("host read %#llx in page %llu",
		     (unsigned long long)self->bad_value,
		     (unsigned long long)self->bad_page);
}

static void convert_patiently(struct env *env, uint64_t page, uint64_t nr,
			      uint64_t attributes, uint32_t policy)
{
	int ret = -EAGAIN;

	for (int i = 0; i < ATTEMPTS && ret == -EAGAIN; i++)
		ret = convert(env, page, nr, attributes, policy);
	ASSERT_OK(ret);
}

/* Two readers in the guest, one on the host; the data never changes. */
TEST_WITH(readers_race_with_readable_conversions, 0, 300)
{
	struct vcpu_thread vcpus[2] = { 0 };
	struct host_thread host = { .nr = RACE_PAGES, .value = 0x1000 };
	unsigned int seed = 7;
	struct env env;

	env_open(&env, variant, RACE_PAGES, IN_PLACE_SHARED);
	host_fill(&env, 0, RACE_PAGES, 0x1000);
	host.env = &env;
	host.zeros_too = keep_policy(&env) == ZERO;
	for (unsigned int i = 0; i < 2; i++) {
		vcpus[i].nr_cmds = 1;
		vcpus[i].cmds[0] = (struct gmem_guest_cmd){
			.op = GMEM_GUEST_CHECK, .addr = gpa_of(0),
			.size = RACE_PAGES * PAGE, .value = 0x1000, .step = 1,
		};
		if (keep_policy(&env) == ZERO)
			touch_only(&vcpus[i]);
		start_vcpu(&vcpus[i], env_vcpu(&env, i));
	}
	start_host(&host);
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t page = (uint64_t)rand_r(&seed) % RACE_PAGES;
		uint64_t nr = 1 + (uint64_t)rand_r(&seed) % (RACE_PAGES - page);

		convert_patiently(&env, page, nr, i & 1 ? SHARED : PRIVATE, KEEP);
	}
	convert_patiently(&env, 0, RACE_PAGES, SHARED, KEEP);
	stop_vcpu(&vcpus[0]);
	stop_vcpu(&vcpus[1]);
	stop_host(&host);
	ASSERT_UNIFORM(&env, 0, RACE_PAGES, 's');
	ASSERT_HOST_READS(&env, 0, RACE_PAGES, 0x1000);
}

/* Each vCPU writes its own half and reads it again: nothing may get lost. */
TEST_WITH(writers_race_with_readable_conversions, 0, 300)
{
	struct vcpu_thread vcpus[2] = { 0 };
	unsigned int seed = 11;
	struct env env;

	env_open(&env, variant, RACE_PAGES, IN_PLACE);
	for (unsigned int i = 0; i < 2; i++) {
		static const uint32_t ops[] = { GMEM_GUEST_FILL, GMEM_GUEST_CHECK };

		vcpus[i].nr_cmds = 4;
		for (int c = 0; c < 4; c++)
			vcpus[i].cmds[c] = (struct gmem_guest_cmd){
				.op = ops[c & 1],
				.addr = gpa_of(i * RACE_PAGES / 2),
				.size = RACE_PAGES / 2 * PAGE,
				.value = ((uint64_t)(c / 2 + 1) << 40) + i,
				.step = 3,
			};
		if (keep_policy(&env) == ZERO)
			touch_only(&vcpus[i]);
		start_vcpu(&vcpus[i], env_vcpu(&env, i));
	}
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t page = (uint64_t)rand_r(&seed) % RACE_PAGES;
		uint64_t nr = 1 + (uint64_t)rand_r(&seed) % (RACE_PAGES - page);

		convert_patiently(&env, page, nr, i & 1 ? PRIVATE : SHARED, KEEP);
	}
	stop_vcpu(&vcpus[0]);
	stop_vcpu(&vcpus[1]);
}

/*
 * ZERO under readers: what they read is the pattern or zeros, and after each
 * conversion nothing of the pattern is left.
 */
TEST_WITH(readers_race_with_zero_conversions, 0, 300)
{
	struct host_thread host = { .nr = RACE_PAGES, .value = 0x1000, .zeros_too = true };
	struct vcpu_thread vcpu = { .nr_cmds = 1 };
	struct env env;

	env_open(&env, variant, RACE_PAGES, IN_PLACE_SHARED);
	host.env = &env;
	/* It touches pages only: loads one word of each. */
	vcpu.cmds[0] = (struct gmem_guest_cmd){
		.op = GMEM_GUEST_LOAD, .addr = gpa_of(RACE_PAGES / 2), .size = 8,
	};
	start_vcpu(&vcpu, env_vcpu(&env, 1));
	start_host(&host);
	for (int i = 0; i < ROUNDS / 3; i++) {
		host_fill(&env, 0, RACE_PAGES, 0x1000);
		convert_patiently(&env, 0, RACE_PAGES, PRIVATE, ZERO);
		if (i & 1)
			ASSERT_GUEST_ZEROS(&env, 0, RACE_PAGES);
		convert_patiently(&env, 0, RACE_PAGES, SHARED, i & 2 ? ZERO : KEEP);
		ASSERT_HOST_ZEROS(&env, 0, RACE_PAGES);
	}
	stop_vcpu(&vcpu);
	stop_host(&host);
}

/* A guest at a destroyed page, again and again, until it is converted. */
TEST_WITH(guest_races_with_destroy, 0, 300)
{
	struct vcpu_thread vcpus[2] = { 0 };
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	for (unsigned int i = 0; i < 2; i++) {
		vcpus[i].nr_cmds = 1;
		vcpus[i].cmds[0] = (struct gmem_guest_cmd){
			.op = GMEM_GUEST_CHECK, .addr = gpa_of(0),
			.size = 4 * PAGE, .stride = 256,
		};
		if (variant->scrubs_to_private)
			touch_only(&vcpus[i]);
		start_vcpu(&vcpus[i], env_vcpu(&env, i));
	}
	if (lost_for_good(&env)) {
		for (uint64_t i = 0; i < 4; i++)
			convert_patiently(&env, i, 1, i & 1 ? PRIVATE : SHARED, DESTROY);
		ASSERT_STATE(&env, "dDdD");
		give_up_vcpu(&vcpus[0]);
		give_up_vcpu(&vcpus[1]);
		return;
	}
	for (int i = 0; i < ROUNDS; i++) {
		convert_patiently(&env, 0, 4, i & 1 ? PRIVATE : SHARED, DESTROY);
		convert_patiently(&env, 0, 4, i & 2 ? PRIVATE : SHARED,
				  i & 4 ? ZERO : KEEP);
	}
	stop_vcpu(&vcpus[0]);
	stop_vcpu(&vcpus[1]);
}

struct writer_thread {
	pthread_t thread;
	struct env *env;
	bool stop;
	bool count;		/* store the number of the store, else ~0 */
	uint64_t stores;	/* that did not fault */
	uint64_t refused;
};

static void *write_pages(void *opaque)
{
	struct writer_thread *self = opaque;
	unsigned char *word = addr_of(self->env, 0) + 0x400;

	while (!__atomic_load_n(&self->stop, __ATOMIC_RELAXED)) {
		uint64_t value = self->count ? self->stores + 1 : ~0ull;

		if (try_write(word, value, NULL))
			self->refused++;
		else
			__atomic_store_n(&self->stores, self->stores + 1,
					 __ATOMIC_RELAXED);
	}
	return NULL;
}

static void start_writer(struct writer_thread *self, struct env *env, bool count)
{
	self->env = env;
	self->count = count;
	ASSERT(!pthread_create(&self->thread, NULL, write_pages, self));
}

static void stop_writer(struct writer_thread *self)
{
	__atomic_store_n(&self->stop, true, __ATOMIC_RELAXED);
	pthread_join(self->thread, NULL);
}

/* A stale translation would let a late store through. */
TEST_WITH(no_host_store_reaches_private_memory, 0, 300)
{
	struct writer_thread writer = { 0 };
	struct env env;

	env_open(&env, variant, 1, IN_PLACE_SHARED);
	start_writer(&writer, &env, false);
	for (int i = 0; i < ROUNDS; i++) {
		convert_patiently(&env, 0, 1, PRIVATE, ZERO);
		ASSERT_GUEST_ZEROS(&env, 0, 1);
		ASSERT_GUEST_ZEROS(&env, 0, 1);
		convert_patiently(&env, 0, 1, SHARED, i & 1 ? ZERO : KEEP);
	}
	stop_writer(&writer);
	ASSERT(writer.refused);
}

/* Nor does a store come back that a conversion was to clear. */
static void check_lost_store(const struct variant *variant, uint64_t seen,
			     uint64_t stores)
{
	if (variant->scrubs_to_private ? seen <= stores : seen != 0)
		FAIL("the guest reads %llu, which the host stored",
		     (unsigned long long)seen);
}

/* A store that did not fault is there, whatever was converted meanwhile. */
TEST_WITH(host_stores_survive_readable_conversions, 0, 300)
{
	struct writer_thread writer = { 0 };
	uint64_t seen = 0, last = 0;
	struct env env;

	env_open(&env, variant, 1, IN_PLACE_SHARED);
	start_writer(&writer, &env, true);
	for (int i = 0; i < ROUNDS; i++) {
		convert_patiently(&env, 0, 1, PRIVATE, KEEP);
		ASSERT_OK(gmem_guest_load(env_vcpu(&env, 0), gpa_of(0) + 0x400, &seen));
		if (keep_policy(&env) == ZERO) {
			check_lost_store(variant, seen,
					 __atomic_load_n(&writer.stores, __ATOMIC_RELAXED));
			seen = 0;
		}
		if (seen < last)
			FAIL("a store was lost: %llu after %llu",
			     (unsigned long long)seen, (unsigned long long)last);
		last = seen;
		convert_patiently(&env, 0, 1, SHARED, KEEP);
	}
	stop_writer(&writer);
	ASSERT_OK(gmem_guest_load(env_vcpu(&env, 0), gpa_of(0) + 0x400, &seen));
	/* The last one may have come before the last conversion. */
	if (seen || keep_policy(&env) != ZERO)
		ASSERT_EQ(seen, writer.stores);
}

struct pin_thread {
	pthread_t thread;
	struct env *env;
	bool stop;
	uint64_t generation;	/* odd while the page is pinned for sure */
};

static void *pin_and_unpin(void *opaque)
{
	struct pin_thread *self = opaque;

	while (!__atomic_load_n(&self->stop, __ATOMIC_RELAXED)) {
		struct pin pin;

		/* A private page cannot be pinned: try again. */
		if (!try_pin_pages(&pin, addr_of(self->env, 0), PAGE))
			continue;
		__atomic_fetch_add(&self->generation, 1, __ATOMIC_SEQ_CST);
		usleep(500);
		__atomic_fetch_add(&self->generation, 1, __ATOMIC_SEQ_CST);
		unpin_pages(&pin);
		/* A refusal may take no time at all: let go for as long as held. */
		usleep(500);
	}
	return NULL;
}

/* No moment in which a page is private and somebody outside holds it. */
TEST_WITH(pins_race_with_conversions, 0, 300)
{
	struct pin_thread pinner = { 0 };
	unsigned int refused = 0, done = 0;
	struct env env;

	env_open(&env, variant, 1, IN_PLACE_SHARED);
	pinner.env = &env;
	ASSERT(!pthread_create(&pinner.thread, NULL, pin_and_unpin, &pinner));
	for (int i = 0; i < 20 * ROUNDS && (refused < 20 || done < 20); i++) {
		uint64_t before, after;
		int ret;

		before = __atomic_load_n(&pinner.generation, __ATOMIC_SEQ_CST);
		ret = convert(&env, 0, 1, PRIVATE, KEEP);
		after = __atomic_load_n(&pinner.generation, __ATOMIC_SEQ_CST);
		if (ret == -EAGAIN) {
			refused++;
			usleep(100);
			continue;
		}
		ASSERT_OK(ret);
		done++;
		if (before == after && before % 2)
			FAIL("a pinned page went private");
		/* Now nobody gets at it. */
		usleep(200);
		if (__atomic_load_n(&pinner.generation, __ATOMIC_SEQ_CST) != after &&
		    after % 2 == 0)
			FAIL("a private page was pinned");
		ASSERT_OK(convert(&env, 0, 1, SHARED, KEEP));
		usleep(100);
	}
	__atomic_store_n(&pinner.stop, true, __ATOMIC_RELAXED);
	pthread_join(pinner.thread, NULL);
	ASSERT(refused && done);
}

struct convert_thread {
	pthread_t thread;
	struct env *env;
	unsigned int seed;
	int64_t balance;	/* pages to shared minus pages to private */
	int ret;
};

static void *convert_at_random(void *opaque)
{
	struct convert_thread *self = opaque;

	for (int i = 0; i < ROUNDS && !self->ret; i++) {
		uint64_t page = (uint64_t)rand_r(&self->seed) % RACE_PAGES;
		uint64_t nr = 1 + (uint64_t)rand_r(&self->seed) % (RACE_PAGES - page);
		bool to_private = rand_r(&self->seed) & 1;
		uint64_t pages = 0;

		self->ret = convert_count(self->env, page, nr,
					  to_private ? PRIVATE : SHARED,
					  keep_policy(self->env), &pages);
		self->balance += to_private ? -(int64_t)pages : (int64_t)pages;
		/* Or the guest's two requests for one page contradict each other. */
		if (self->ret == -EAGAIN ||
		    ((self->ret == -EPERM || self->ret == -EINVAL) &&
		     self->env->variant->guest_asks))
			self->ret = 0;
	}
	return NULL;
}

/* Every page that changes sides is counted by one request, and by one only. */
TEST_WITH(two_converters_count_every_page_once, 0, 300)
{
	struct convert_thread threads[2] = { 0 };
	struct gmem_run runs[RACE_PAGES];
	size_t nr_runs = RACE_PAGES;
	int64_t shared = 0;
	struct env env;

	env_open(&env, variant, RACE_PAGES, IN_PLACE);
	guest_fill(&env, 0, RACE_PAGES, 0x1000);
	for (unsigned int i = 0; i < 2; i++) {
		threads[i].env = &env;
		threads[i].seed = 100 + i;
		ASSERT(!pthread_create(&threads[i].thread, NULL, convert_at_random,
				       &threads[i]));
	}
	for (unsigned int i = 0; i < 2; i++) {
		pthread_join(threads[i].thread, NULL);
		ASSERT_OK(threads[i].ret);
	}
	ASSERT_OK(gmem_get_attributes(env.file, 0, RACE_PAGES * PAGE, runs, &nr_runs));
	for (size_t i = 0; i < nr_runs; i++)
		shared += runs[i].attributes ? 0 : (int64_t)(runs[i].bytes / PAGE);
	ASSERT_EQ(threads[0].balance + threads[1].balance, shared);
	env_converted(&env, 0, RACE_PAGES);
	ASSERT_GUEST_READS(&env, 0, RACE_PAGES, 0x1000);
}

struct punch_thread {
	pthread_t thread;
	struct env *env;
	int ret;
};

static void *punch(void *opaque)
{
	struct punch_thread *self = opaque;

	for (int i = 0; i < ROUNDS && !self->ret; i++)
		self->ret = gmem_file_punch_hole(self->env->file,
						 (uint64_t)(i % 4) * PAGE, PAGE);
	return NULL;
}

/* Nobody writes, so every reader reads zeros whatever happens. */
TEST_WITH(holes_race_with_conversions_and_readers, 0, 300)
{
	struct host_thread host = { .nr = 4, .value = ~0ull << 32, .zeros_too = true };
	struct vcpu_thread vcpu = { .nr_cmds = 1 };
	struct punch_thread puncher = { 0 };
	struct env env;

	env_open(&env, variant, 4, IN_PLACE_SHARED);
	host.env = &env;
	puncher.env = &env;
	vcpu.cmds[0] = (struct gmem_guest_cmd){
		.op = GMEM_GUEST_CHECK, .addr = gpa_of(0), .size = 4 * PAGE,
		.stride = 512,
	};
	if (variant->scrubs_to_private)
		touch_only(&vcpu);
	start_vcpu(&vcpu, env_vcpu(&env, 0));
	start_host(&host);
	ASSERT(!pthread_create(&puncher.thread, NULL, punch, &puncher));
	for (int i = 0; i < ROUNDS; i++) {
		int ret = convert(&env, 0, 4, i & 1 ? SHARED : PRIVATE,
				  i & 2 ? ZERO : KEEP);

		/* By a hole under the guest, as EL2 tells the VMM or the guest. */
		if ((ret == -EHWPOISON || ret == -EINVAL) && lost_for_good(&env))
			continue;
		if (ret != -EAGAIN)
			ASSERT_OK(ret);
	}
	pthread_join(puncher.thread, NULL);
	ASSERT_OK(puncher.ret);
	if (lost_for_good(&env))
		give_up_vcpu(&vcpu);
	else
		stop_vcpu(&vcpu);
	stop_host(&host);
}

/* Slots come and go under a vCPU while the file is converted. */
TEST_WITH(slots_race_with_conversions, 0, 300)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	if (variant->guest_asks) {
		/* Only before the guest runs: under no vCPU at all. */
		ASSERT_OK(convert(&env, 0, 4, SHARED, ZERO));
		host_fill(&env, 0, 4, 0x100);
		ASSERT_OK(convert(&env, 0, 4, PRIVATE, KEEP));
	} else {
		guest_fill(&env, 0, 4, 0x100);
	}
	for (int i = 0; i < 50; i++) {
		ASSERT_OK(convert(&env, 0, 4, i & 1 ? PRIVATE : SHARED, KEEP));
		ASSERT_OK(gmem_slot_delete(env.vm, TEST_SLOT));
		ASSERT_RET(convert(&env, 0, 4, i & 1 ? SHARED : PRIVATE, KEEP),
			   -EPERM);
		ASSERT_OK(bind_slot(&env, TEST_SLOT, TEST_GPA, 4, env.file, 0));
		if (!variant->guest_asks)
			ASSERT_GUEST_READS(&env, 0, 4, 0x100);
	}
	ASSERT_GUEST_READS(&env, 0, 4, 0x100);
}
