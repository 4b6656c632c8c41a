// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The guest's driver against a host that is played, EL2 and VMM in one.  Compiled
 * twice: with the driver of Linux 7.3, and with the one that knows ranges.
 *
 * The host keeps which granules are shared, so that each test can look at all of
 * memory, and what it was asked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel.h"
#include DRIVER_C
#include <cmocka.h>

#ifdef NEW_DRIVER
#define KNOWS_RANGES	true
_Static_assert(KVM_FUNC_HAS_RANGE == 1, "what hosts announce");
#else
#define KNOWS_RANGES	false
#endif

#define GRANULE		4096ul
#define NR_GRANULES	4096u
#define MEMORY		0x80000000ul		/* physical */
#define LINEAR_MAP	0xffff000000000000ul	/* where the kernel has address 0 */
#define MAX_GRANULES	512			/* in a call */
#define NEVER		NR_GRANULES

enum answer {
	HONEST,
	DECLINES_THE_REST,	/* an error, and how much was done nevertheless */
	DOES_NOTHING,		/* and calls it success */
	TELLS_ONE_MORE,		/* than was asked for */
	TELLS_ALL_ONES,
};

struct call {
	u32 func;
	u64 arg1, arg2, arg3;
};

/* What a host is, what it has, and what it was asked. */
struct host {
	bool has_range;
	unsigned long granule;
	unsigned long other_bits;	/* of HYP_MEMINFO's R1 */
	u64 missing;			/* functions */
	enum answer answer;		/* from @answer_at on */
	unsigned int answer_at;
	unsigned int refused;		/* a granule */
	bool stops[NR_GRANULES];	/* calls end before these */

	bool shared[NR_GRANULES];
	struct call last;
	unsigned int nr_calls;		/* but for HYP_MEMINFO */
	unsigned int nr_after_lie;	/* of them, after a wrong answer */
	bool lied;
};

unsigned long page_size;
unsigned int nr_warnings;
static struct host host;
static const struct arm64_mem_crypt_ops *ops;
static ioremap_prot_hook_t ioremap_hook;

/* ---- what the driver calls ---- */

int arm64_mem_crypt_ops_register(const struct arm64_mem_crypt_ops *registered)
{
	assert_null(ops);
	ops = registered;
	return 0;
}

int arm64_ioremap_prot_hook_register(ioremap_prot_hook_t hook)
{
	assert_null(ioremap_hook);
	ioremap_hook = hook;
	return 0;
}

bool kvm_arm_hyp_service_available(u32 func)
{
	return !(host.missing & BIT(func));
}

phys_addr_t virt_to_phys(const void *addr)
{
	return (phys_addr_t)addr - LINEAR_MAP;
}

static bool lies_at(unsigned int first)
{
	return host.answer != HONEST && first >= host.answer_at;
}

/* How many granules from @first on are done, of those that were asked for. */
static u64 granules_to_do(u64 first, u64 nr)
{
	u64 done;

	for (done = 0; done < nr && done < MAX_GRANULES; done++) {
		u64 at = first + done;

		assert_in_range(at, 0, NR_GRANULES - 1);
		if (at == host.refused || (done && host.stops[at]) ||
		    (lies_at(at) && !lies_at(first)))
			break;
	}
	return done;
}

static void share_or_unshare(bool share, u64 phys, u64 nr, struct arm_smccc_res *res)
{
	u64 first = (phys - MEMORY) / host.granule, done;

	res->a0 = SMCCC_RET_INVALID_PARAMETER;
	assert_int_equal(phys % host.granule, 0);
	assert_true(phys >= MEMORY && first < NR_GRANULES);
	if (nr && !host.has_range)
		return;
	if (!nr && host.shared[first] == share)
		return;
	host.nr_after_lie += host.lied;

	done = granules_to_do(first, nr ? nr : 1);
	if (nr && lies_at(first)) {
		host.lied = true;
		if (host.answer == DECLINES_THE_REST) {
			done = done > 1 ? done / 2 : done;
			res->a1 = done;
		} else {
			res->a0 = SMCCC_RET_SUCCESS;
			res->a1 = host.answer == DOES_NOTHING ? 0 :
				  host.answer == TELLS_ONE_MORE ? nr + 1 : ~0ul;
			done = 0;
		}
	} else if (done) {
		res->a0 = SMCCC_RET_SUCCESS;
		res->a1 = nr ? done : 0;
	}
	for (u64 i = first; i < first + done; i++)
		host.shared[i] = share;
}

void arm_smccc_1_1_invoke(u32 func, u64 arg1, u64 arg2, u64 arg3, struct arm_smccc_res *res)
{
	/* What is not a result is whatever the register had. */
	memset(res, 0xa5, sizeof(*res));
	res->a1 = 0;
	if (func == ARM_SMCCC_VENDOR_HYP_KVM_HYP_MEMINFO_FUNC_ID) {
		assert_true(!arg1 && !arg2 && !arg3);
		res->a0 = host.granule;
		res->a1 = host.other_bits | (host.has_range ? 1 : 0);
		return;
	}

	host.last = (struct call){ func, arg1, arg2, arg3 };
	host.nr_calls++;
	assert_int_equal(arg3, 0);
	/* Nothing here takes as many: a driver that does not end is a failure, not a hang. */
	assert_true(host.nr_calls < 4 * NR_GRANULES);
	switch (func) {
	case ARM_SMCCC_VENDOR_HYP_KVM_MEM_SHARE_FUNC_ID:
		share_or_unshare(true, arg1, arg2, res);
		break;
	case ARM_SMCCC_VENDOR_HYP_KVM_MEM_UNSHARE_FUNC_ID:
		share_or_unshare(false, arg1, arg2, res);
		break;
	case ARM_SMCCC_VENDOR_HYP_KVM_MMIO_GUARD_FUNC_ID:
		assert_int_equal(arg2, 0);
		res->a0 = arg1 / host.granule == host.refused ?
			  SMCCC_RET_INVALID_PARAMETER : SMCCC_RET_SUCCESS;
		break;
	default:
		fail_msg("function %#x", func);
	}
}

/* ---- helpers ---- */

/* A guest that boots on a host. */
static void boot(bool has_range, unsigned long page)
{
	memset(&host, 0, sizeof(host));
	host.has_range = has_range;
	host.granule = GRANULE;
	host.refused = NEVER;
	page_size = page;
}

static void init(void)
{
	ops = NULL;
	ioremap_hook = NULL;
	pkvm_granule = 0;
	pkvm_guest = false;
	nr_warnings = 0;
	pkvm_init_hyp_services();
}

static unsigned long address_of(unsigned int granule)
{
	return LINEAR_MAP + MEMORY + granule * GRANULE;
}

/* Pages from a granule on. */
static int decrypt(unsigned int granule, int nr_pages)
{
	return ops->decrypt(address_of(granule), nr_pages);
}

static int encrypt(unsigned int granule, int nr_pages)
{
	return ops->encrypt(address_of(granule), nr_pages);
}

/* These granules are shared, and no others. */
static void assert_shared(unsigned int first, unsigned int nr)
{
	for (unsigned int i = 0; i < NR_GRANULES; i++)
		if (host.shared[i] != (i >= first && i < first + nr))
			fail_msg("granule %u is %sshared, not just %u from %u on", i,
				 host.shared[i] ? "" : "not ", nr, first);
}

static void assert_asked(unsigned int calls)
{
	assert_int_equal(host.nr_calls, calls);
	host.nr_calls = 0;
}

static unsigned int calls_for(unsigned int nr_granules)
{
	if (!KNOWS_RANGES || !host.has_range)
		return nr_granules;
	return (nr_granules + MAX_GRANULES - 1) / MAX_GRANULES;
}

/* ---- tests ---- */

/* Each with old hosts, and with new ones. */
static void shares_and_unshares_just_the_range(void **state)
{
	static const int sizes[] = { 1, 2, 3, 511, 512, 513, 1024, 3000 };

	for (int has_range = 0; has_range < 2; has_range++) {
		boot(has_range, GRANULE);
		init();
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			assert_int_equal(decrypt(7, sizes[i]), 0);
			assert_shared(7, sizes[i]);
			assert_asked(calls_for(sizes[i]));
			assert_int_equal(encrypt(7, sizes[i]), 0);
			assert_shared(0, 0);
			assert_asked(calls_for(sizes[i]));
		}
	}
}

static void shares_up_to_the_last_granule_of_memory(void **state)
{
	for (int has_range = 0; has_range < 2; has_range++) {
		boot(has_range, GRANULE);
		init();
		assert_int_equal(decrypt(0, NR_GRANULES), 0);
		assert_shared(0, NR_GRANULES);
	}
}

static void asks_for_a_number_only_where_it_is_announced(void **state)
{
	boot(false, GRANULE);
	host.other_bits = ~1ul;
	init();
	assert_int_equal(decrypt(0, 1), 0);
	assert_int_equal(host.last.arg2, 0);

	boot(true, GRANULE);
	init();
	assert_int_equal(decrypt(0, 8), 0);
	assert_int_equal(host.last.arg2, KNOWS_RANGES ? 8 : 0);
	assert_int_equal(decrypt(8, 1), 0);
	assert_int_equal(host.last.arg2, KNOWS_RANGES ? 1 : 0);
}

static void no_pages_are_not_asked_for(void **state)
{
	for (int has_range = 0; has_range < 2; has_range++) {
		boot(has_range, GRANULE);
		init();
		assert_int_equal(decrypt(5, 0), 0);
		assert_int_equal(encrypt(5, 0), 0);
		assert_asked(0);
		assert_shared(0, 0);
	}
}

static void goes_on_where_a_call_stopped(void **state)
{
	bool ranges = KNOWS_RANGES;

	boot(true, GRANULE);
	host.stops[10] = host.stops[11] = host.stops[600] = true;
	init();
	assert_int_equal(decrypt(0, 700), 0);
	assert_shared(0, 700);
	/* 10, 1, 512, 77 and 100 granules */
	assert_asked(ranges ? 5 : 700);
	assert_int_equal(encrypt(0, 700), 0);
	assert_shared(0, 0);
	assert_asked(ranges ? 5 : 700);
}

static void ends_even_if_each_call_does_one_granule(void **state)
{
	boot(true, GRANULE);
	memset(host.stops, true, sizeof(host.stops));
	init();
	assert_int_equal(decrypt(0, 1000), 0);
	assert_shared(0, 1000);
	assert_asked(1000);
}

static void refusal_is_told_and_nothing_is_asked_after_it(void **state)
{
	static const unsigned int places[] = { 0, 1, 511, 512, 513, 698, 699 };

	for (int has_range = 0; has_range < 2; has_range++) {
		for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
			unsigned int done = places[i];

			boot(has_range, GRANULE);
			host.refused = 100 + done;
			init();
			assert_int_equal(decrypt(100, 700), -EPERM);
			assert_shared(100, done);
			assert_asked(calls_for(done) + 1);

			host.refused = NEVER;
			assert_int_equal(encrypt(100, done), 0);
			host.refused = 100 + done;
			assert_int_equal(decrypt(100 + done + 1, 3), 0);
			assert_shared(100 + done + 1, 3);
		}
	}
}

static void refusal_to_unshare_is_told(void **state)
{
	for (int has_range = 0; has_range < 2; has_range++) {
		boot(has_range, GRANULE);
		init();
		assert_int_equal(decrypt(0, 40), 0);
		host.refused = 30;
		assert_int_equal(encrypt(0, 40), -EPERM);
		assert_shared(30, 10);
	}
}

/* The caller leaks the pages, so nothing has to be taken back. */
static void partial_success_beside_an_error_is_an_error(void **state)
{
	boot(true, GRANULE);
	host.answer = DECLINES_THE_REST;
	init();
	assert_int_equal(decrypt(0, 100), KNOWS_RANGES ? -EPERM : 0);
	assert_shared(0, KNOWS_RANGES ? 50 : 100);
	assert_int_equal(host.nr_after_lie, 0);
}

/* Answers that a host never gives, at once or after some that are right. */
static void assert_is_an_error(enum answer answer)
{
	static const unsigned int places[] = { 0, 1, 300 };

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		boot(true, GRANULE);
		host.answer = answer;
		host.answer_at = places[i];
		init();
		assert_int_equal(decrypt(0, 400), KNOWS_RANGES ? -EPERM : 0);
		assert_shared(0, KNOWS_RANGES ? places[i] : 400);
		assert_int_equal(host.nr_after_lie, 0);

		/* One page, too. */
		boot(true, GRANULE);
		host.answer = answer;
		init();
		assert_int_equal(decrypt(0, 1), KNOWS_RANGES ? -EPERM : 0);
		assert_int_equal(host.nr_after_lie, 0);
	}
}

static void success_without_progress_is_an_error(void **state)
{
	assert_is_an_error(DOES_NOTHING);
}

static void more_than_was_asked_for_is_an_error(void **state)
{
	assert_is_an_error(TELLS_ONE_MORE);
	assert_is_an_error(TELLS_ALL_ONES);
}

/* A call may stop within a page of the guest. */
static void page_of_several_granules(void **state)
{
	static const unsigned long pages[] = { 4 * GRANULE, 16 * GRANULE };

	for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
		unsigned int per_page = pages[i] / GRANULE;

		for (int has_range = 0; has_range < 2; has_range++) {
			boot(has_range, pages[i]);
			init();
			assert_int_equal(decrypt(per_page, 50), 0);
			assert_shared(per_page, 50 * per_page);
			assert_asked(calls_for(50 * per_page));

			host.stops[per_page + 1] = host.stops[2 * per_page + 3] = true;
			assert_int_equal(encrypt(per_page, 2), 0);
			assert_shared(3 * per_page, 48 * per_page);
			assert_asked(KNOWS_RANGES && has_range ? 3 : 2 * per_page);

			host.refused = per_page + 2;
			assert_int_equal(decrypt(per_page, 1), -EPERM);
			assert_true(host.shared[per_page + 1]);
			assert_false(host.shared[per_page + 2]);
		}
	}
}

static void host_without_a_function_is_left_alone(void **state)
{
	static const unsigned int needed[] = {
		ARM_SMCCC_KVM_FUNC_HYP_MEMINFO, ARM_SMCCC_KVM_FUNC_MEM_SHARE,
		ARM_SMCCC_KVM_FUNC_MEM_UNSHARE,
	};

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		boot(true, GRANULE);
		host.missing = BIT(needed[i]);
		init();
		assert_null(ops);
		assert_null(ioremap_hook);
		assert_false(pkvm_guest);
	}
}

static void impossible_granule_is_refused(void **state)
{
	static const long granules[] = {
		SMCCC_RET_NOT_SUPPORTED, SMCCC_RET_INVALID_PARAMETER, 2 * GRANULE,
		/* Only the new driver knows that these are none, too. */
		0, 3000, GRANULE - 1,
	};

	for (size_t i = 0; i < (KNOWS_RANGES ? ARRAY_SIZE(granules) : 3); i++) {
		boot(true, GRANULE);
		host.granule = granules[i];
		init();
		assert_null(ops);
		assert_false(pkvm_guest);
	}
	boot(true, GRANULE);
	init();
	assert_non_null(ops);
	assert_true(pkvm_guest);
}

static void mmio_is_guarded_page_by_page(void **state)
{
	pgprot_t device = { PROT_DEVICE_nGnRE }, normal = { 0 };

	for (int has_range = 0; has_range < 2; has_range++) {
		boot(has_range, GRANULE);
		init();
		assert_int_equal(ioremap_hook(0x9000800, 0x3000, &device), 0);
		assert_asked(4);
		assert_int_equal(host.last.arg1, 0x900c000 - 0x9000);
		assert_int_equal(ioremap_hook(0x9000000, 0x3000, &normal), 0);
		assert_asked(0);
		assert_int_equal(nr_warnings, 0);

		/* It fails nobody. */
		host.refused = 0x9001000 / GRANULE;
		assert_int_equal(ioremap_hook(0x9000000, 0x3000, &device), 0);
		assert_asked(3);
		assert_int_equal(nr_warnings, 1);
		assert_shared(0, 0);
	}
}

static u64 next_random(u64 *seed)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return *seed >> 33;
}

/* Ranges, stops and refusals of all kinds, against what has to come of them. */
static void random_hosts_and_ranges(void **state)
{
	const char *env = getenv("GMEM_SEED");
	u64 seed = env ? strtoull(env, NULL, 0) : (u64)time(NULL);

	fprintf(stderr, "seed: GMEM_SEED=%llu\n", (unsigned long long)seed);
	for (int round = 0; round < 3000; round++) {
		unsigned int per_page = 1u << 2 * (next_random(&seed) % 3);
		unsigned int first = next_random(&seed) % 64 * per_page;
		unsigned int nr_pages = 1 + next_random(&seed) % (2048 / per_page - 64);
		unsigned int nr = nr_pages * per_page, done = nr;
		bool refuses = next_random(&seed) % 2;

		boot(next_random(&seed) % 2, per_page * GRANULE);
		for (unsigned int i = next_random(&seed) % 40; i; i--)
			host.stops[next_random(&seed) % NR_GRANULES] = true;
		if (refuses) {
			host.refused = next_random(&seed) % 4000;
			if (host.refused >= first && host.refused < first + nr)
				done = host.refused - first;
		}
		init();
		assert_int_equal(decrypt(first, nr_pages), done < nr ? -EPERM : 0);
		assert_shared(first, done);
		if (done < nr)
			continue;
		assert_int_equal(encrypt(first, nr_pages), 0);
		assert_shared(0, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shares_and_unshares_just_the_range),
		cmocka_unit_test(shares_up_to_the_last_granule_of_memory),
		cmocka_unit_test(asks_for_a_number_only_where_it_is_announced),
		cmocka_unit_test(no_pages_are_not_asked_for),
		cmocka_unit_test(goes_on_where_a_call_stopped),
		cmocka_unit_test(ends_even_if_each_call_does_one_granule),
		cmocka_unit_test(refusal_is_told_and_nothing_is_asked_after_it),
		cmocka_unit_test(refusal_to_unshare_is_told),
		cmocka_unit_test(partial_success_beside_an_error_is_an_error),
		cmocka_unit_test(success_without_progress_is_an_error),
		cmocka_unit_test(more_than_was_asked_for_is_an_error),
		cmocka_unit_test(page_of_several_granules),
		cmocka_unit_test(host_without_a_function_is_left_alone),
		cmocka_unit_test(impossible_granule_is_refused),
		cmocka_unit_test(mmio_is_guarded_page_by_page),
		cmocka_unit_test(random_hosts_and_ranges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
