// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The attribute map beside a flat array of the same bits and the kernel's maple
 * tree: time and memory, for guests whose pages lie in three patterns.
 *
 *   uniform	every page is private
 *   swiotlb	all private but a bounce buffer of 64 MiB, each of whose pages is
 *		shared or not at random, and 1024 single shared pages anywhere
 *   checker	every other 4 KiB page is shared: what a hostile guest would do
 *
 * Every number is the median of several rounds; times are those that the
 * calling thread spent on a processor, but for what waits.  A bench decides nothing: the
 * targets are reported as met or not met and the exit status says only whether
 * it ran.
 */
#include <getopt.h>
#include <json-c/json.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "contender.h"

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

#define PAGES_2M	512ull
#define PAGES_1G	(512 * PAGES_2M)
#define BUFFER_PAGES	(64 * 256ull)
#define BUFFER_START	(3 * PAGES_1G)
#define NR_SCATTERED	1024

#define MAX_ROUNDS	15
#define NR_LOOKUPS	(1u << 19)
#define NR_SETS		(1u << 16)
#define NR_LARGE_SETS	256
#define NR_PASSES	8

static int rounds = 5;
static bool full;
static bench_u64 random_state = 1;

static bench_u64 next_random(void)
{
	bench_u64 z = random_state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static double clock_seconds(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return time.tv_sec + time.tv_nsec * 1e-9;
}

static double now(void)
{
	return clock_seconds(CLOCK_MONOTONIC);
}

/* What this thread has used: a busy machine disturbs it less. */
static double used(void)
{
	return clock_seconds(CLOCK_THREAD_CPUTIME_ID);
}

struct samples {
	double value[MAX_ROUNDS];
	int nr;
};

static void sample(struct samples *samples, double value)
{
	samples->value[samples->nr++] = value;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(struct samples *samples)
{
	qsort(samples->value, samples->nr, sizeof(double), compare_doubles);
	return samples->value[samples->nr / 2];
}

enum pattern { UNIFORM, SWIOTLB, CHECKER, NR_PATTERNS };

static const char *const pattern_names[] = { "uniform", "swiotlb", "checker" };

struct guest {
	const char *name;
	bench_u64 nr_pages;
};

static const struct guest guests[] = {
	{ "64 GiB", 64 * PAGES_1G },
	{ "1 TiB", 1024 * PAGES_1G },
};

#define NR_GUESTS	ARRAY_SIZE(guests)

static const struct contender *const contenders[] = {
	&contender_map,
	&contender_flat,
#ifdef BENCH_MAPLE
	&contender_maple,
#endif
};

#define NR_CONTENDERS	ARRAY_SIZE(contenders)
#define MAP		0
#define FLAT		1
#define MAPLE		2

struct result {
	bool measured;
	bool extrapolated;
	double get_ns;
	double set_ns;
	double large_ns;
	double whole_ms;
	double free_ms;
	double bytes;
};

static struct result results[NR_GUESTS][NR_PATTERNS][NR_CONTENDERS];

/* One case: a contender, a guest, a pattern. */
struct run {
	const struct contender *with;
	void *map;
	bench_u64 nr_pages;
	enum pattern pattern;
	struct samples get, set, large, whole, free, bytes;
};

static unsigned int other_state(unsigned int attrs)
{
	return attrs ? 0 : BENCH_PRIVATE;
}

/* From a map that is all private. */
static void make_pattern(struct run *run)
{
	random_state = 1;
	if (run->pattern == SWIOTLB) {
		for (bench_u64 i = 0; i < BUFFER_PAGES; i++) {
			if (next_random() & 1)
				run->with->set(run->map, BUFFER_START + i,
					       BUFFER_START + i + 1, 0);
		}
		for (int i = 0; i < NR_SCATTERED; i++) {
			bench_u64 index = next_random() % run->nr_pages;

			run->with->set(run->map, index, index + 1, 0);
		}
	} else if (run->pattern == CHECKER) {
		for (bench_u64 i = 0; i < run->nr_pages; i += 2)
			run->with->set(run->map, i, i + 1, 0);
	}
	run->with->flush();
}

/* Random pages of the whole guest; what they are is used, so not optimised away. */
static void measure_get(struct run *run)
{
	static bench_u64 index[NR_LOOKUPS];
	unsigned int sum = 0;
	double start;

	for (unsigned int i = 0; i < NR_LOOKUPS; i++)
		index[i] = next_random() % run->nr_pages;

	start = used();
	for (unsigned int i = 0; i < NR_LOOKUPS; i++)
		sum += run->with->get(run->map, index[i]);
	sample(&run->get, (used() - start) / NR_LOOKUPS * 1e9);
	__asm__ volatile("" : : "r"(sum));
}

/*
 * A random page, in the bounce buffer if there is one, goes over and back.  In
 * the uniform guest this is what costs the map most: each time a leaf and a
 * table come, go, and wait for the readers.
 */
static void measure_set(struct run *run)
{
	static bench_u64 index[NR_SETS / 2];
	static unsigned int attrs[NR_SETS / 2];
	double start;

	for (unsigned int i = 0; i < NR_SETS / 2; i++) {
		index[i] = run->pattern == SWIOTLB ?
			   BUFFER_START + next_random() % BUFFER_PAGES :
			   next_random() % run->nr_pages;
		attrs[i] = run->with->get(run->map, index[i]);
	}

	start = used();
	for (unsigned int i = 0; i < NR_SETS / 2; i++) {
		run->with->set(run->map, index[i], index[i] + 1, other_state(attrs[i]));
		run->with->set(run->map, index[i], index[i] + 1, attrs[i]);
	}
	sample(&run->set, (used() - start) / NR_SETS * 1e9);
	run->with->flush();
}

static unsigned int saved[NR_LARGE_SETS][PAGES_2M];

static void save_chunk(struct run *run, unsigned int *attrs, bench_u64 start)
{
	for (bench_u64 page = 0; page < PAGES_2M; page++)
		attrs[page] = run->with->get(run->map, start + page);
}

static void restore_chunk(struct run *run, const unsigned int *attrs, bench_u64 start)
{
	for (bench_u64 page = 0, next; page < PAGES_2M; page = next) {
		for (next = page + 1; next < PAGES_2M && attrs[next] == attrs[page]; )
			next++;
		run->with->set(run->map, start + page, start + next, attrs[page]);
	}
}

/*
 * Different chunks of 2 MiB go shared, of the bounce buffer if there is one.
 * What they were is put back outside the measured time.
 */
static void measure_large(struct run *run)
{
	bench_u64 area = run->pattern == SWIOTLB ? BUFFER_PAGES : run->nr_pages;
	bench_u64 from = run->pattern == SWIOTLB ? BUFFER_START : 0;
	unsigned int chunks = area / PAGES_2M;
	unsigned int nr = chunks < NR_LARGE_SETS ? chunks : NR_LARGE_SETS;
	bench_u64 stride = chunks / nr * PAGES_2M;
	double seconds = 0, start;

	for (int pass = 0; pass < NR_PASSES; pass++) {
		bench_u64 first = from + next_random() % (stride / PAGES_2M) * PAGES_2M;

		for (unsigned int i = 0; i < nr; i++)
			save_chunk(run, saved[i], first + i * stride);

		start = used();
		for (unsigned int i = 0; i < nr; i++)
			run->with->set(run->map, first + i * stride,
				       first + i * stride + PAGES_2M, 0);
		seconds += used() - start;

		for (unsigned int i = 0; i < nr; i++)
			restore_chunk(run, saved[i], first + i * stride);
	}
	run->with->flush();
	sample(&run->large, seconds / nr / NR_PASSES * 1e9);
}

/* The whole guest goes private, whatever it was; then what that freed. */
static void measure_whole(struct run *run)
{
	double start = used();

	run->with->set(run->map, 0, run->nr_pages,
		       run->pattern == UNIFORM ? 0 : BENCH_PRIVATE);
	sample(&run->whole, (used() - start) * 1e3);

	/* Another thread frees: that takes time, not ours. */
	start = now();
	run->with->flush();
	sample(&run->free, (now() - start) * 1e3);
	if (run->pattern == UNIFORM)
		run->with->set(run->map, 0, run->nr_pages, BENCH_PRIVATE);
	run->with->flush();
}

static void measure(struct result *result, const struct contender *with,
		    const struct guest *guest, enum pattern pattern)
{
	struct run run = { .with = with, .nr_pages = guest->nr_pages, .pattern = pattern };
	/* Making the checker again takes longest. */
	int nr = pattern == CHECKER && rounds > 3 ? 3 : rounds;

	fprintf(stderr, "%s, %s, %s ...\n", guest->name, pattern_names[pattern], with->name);
	run.map = with->create(guest->nr_pages);
	for (int i = 0; i < nr; i++) {
		make_pattern(&run);
		sample(&run.bytes, with->bytes(run.map));
		measure_get(&run);
		measure_set(&run);
		measure_large(&run);
		measure_whole(&run);
	}
	with->destroy(run.map);
	with->flush();

	*result = (struct result){
		.measured = true,
		.get_ns = median(&run.get),
		.set_ns = median(&run.set),
		.large_ns = median(&run.large),
		.whole_ms = median(&run.whole),
		.free_ms = median(&run.free),
		.bytes = median(&run.bytes),
	};
}

/*
 * A maple tree of 2^28 pages takes 4.6 GB and minutes to fill.  Its memory and
 * the time to set it whole grow with its nodes, so unless asked, take the
 * smaller guest's; what one operation takes does not follow and is left out.
 */
static void extrapolate(struct result *to, const struct result *from, double factor)
{
	to->measured = from->measured;
	to->extrapolated = true;
	to->whole_ms = from->whole_ms * factor;
	to->free_ms = from->free_ms * factor;
	to->bytes = from->bytes * factor;
}

static void measure_all(void)
{
	for (size_t g = 0; g < NR_GUESTS; g++) {
		for (int p = 0; p < NR_PATTERNS; p++) {
			for (size_t c = 0; c < NR_CONTENDERS; c++) {
				if (c == MAPLE && p == CHECKER && g > 0 && !full)
					extrapolate(&results[g][p][c], &results[0][p][c],
						    guests[g].nr_pages / guests[0].nr_pages);
				else
					measure(&results[g][p][c], contenders[c],
						&guests[g], p);
			}
		}
	}
}

/* Lookups beside a writer. */

struct beside {
	const struct contender *with;
	void *map;
	bool stop;
	bool write;
	bench_u64 lookups;
	bench_u64 sets;
};

static void *reader_thread(void *arg)
{
	struct beside *beside = arg;
	bench_u64 state = 7, lookups = 0;
	unsigned int sum = 0;

	beside->with->thread_begin();
	while (!__atomic_load_n(&beside->stop, __ATOMIC_RELAXED)) {
		for (int i = 0; i < 256; i++) {
			state = state * 6364136223846793005ull + 1442695040888963407ull;
			sum += beside->with->get(beside->map,
						 (state >> 32) % guests[0].nr_pages);
		}
		lookups += 256;
	}
	beside->with->thread_end();
	__asm__ volatile("" : : "r"(sum));
	beside->lookups = lookups;
	return NULL;
}

static void *writer_thread(void *arg)
{
	struct beside *beside = arg;
	bench_u64 state = 8, sets = 0;

	beside->with->thread_begin();
	while (!__atomic_load_n(&beside->stop, __ATOMIC_RELAXED)) {
		state = state * 6364136223846793005ull + 1442695040888963407ull;
		bench_u64 index = BUFFER_START + (state >> 32) % BUFFER_PAGES;

		beside->with->set(beside->map, index, index + 1, state >> 40 & 1);
		/* Some 100 000 conversions a second. */
		if (++sets % 100 == 0)
			nanosleep(&(struct timespec){ .tv_nsec = 900000 }, NULL);
	}
	beside->with->thread_end();
	beside->sets = sets;
	return NULL;
}

struct beside_result {
	double alone;
	double with_writer;
	double sets;
};

static struct beside_result beside_results[NR_CONTENDERS];

static void run_beside(struct beside *beside, bool write, struct samples *rate,
		       struct samples *sets)
{
	pthread_t reader, writer;
	double start, seconds;

	beside->stop = false;
	start = now();
	pthread_create(&reader, NULL, reader_thread, beside);
	if (write)
		pthread_create(&writer, NULL, writer_thread, beside);
	nanosleep(&(struct timespec){ .tv_nsec = 200000000 }, NULL);
	__atomic_store_n(&beside->stop, true, __ATOMIC_RELAXED);
	pthread_join(reader, NULL);
	if (write)
		pthread_join(writer, NULL);
	seconds = now() - start;
	sample(rate, beside->lookups / seconds / 1e6);
	if (write)
		sample(sets, beside->sets / seconds);
}

static void measure_beside(size_t c)
{
	struct run run = {
		.with = contenders[c], .nr_pages = guests[0].nr_pages, .pattern = SWIOTLB,
	};
	struct beside beside = { .with = contenders[c] };
	struct samples alone = {}, with_writer = {}, sets = {};

	fprintf(stderr, "lookups beside a writer, %s ...\n", run.with->name);
	run.map = run.with->create(run.nr_pages);
	make_pattern(&run);
	beside.map = run.map;
	for (int i = 0; i < rounds; i++) {
		run_beside(&beside, false, &alone, NULL);
		run_beside(&beside, true, &with_writer, &sets);
	}
	run.with->destroy(run.map);
	run.with->flush();
	beside_results[c] = (struct beside_result){
		median(&alone), median(&with_writer), median(&sets),
	};
}

/* Targets. */

struct target {
	const char *what;
	bool known;
	bool met;
	char measured[96];
};

static struct target targets[8];
static size_t nr_targets;

__attribute__((format(printf, 4, 5)))
static void target(const char *what, bool known, bool met, const char *format, ...)
{
	struct target *target = &targets[nr_targets++];
	va_list args;

	target->what = what;
	target->known = known;
	target->met = met;
	if (!known) {
		snprintf(target->measured, sizeof(target->measured), "needs the maple tree");
		return;
	}
	va_start(args, format);
	vsnprintf(target->measured, sizeof(target->measured), format, args);
	va_end(args);
}

/* How much of what maple takes does the map take, where it does worst. */
static double worst_lookup(void)
{
	double worst = 0;

	for (size_t g = 0; g < NR_GUESTS; g++) {
		for (int p = 0; p < NR_PATTERNS; p++) {
			struct result *result = results[g][p];
			double ratio;

			if (result[MAPLE].extrapolated)
				continue;
			ratio = result[MAP].get_ns / result[MAPLE].get_ns;
			worst = ratio > worst ? ratio : worst;
		}
	}
	return worst;
}

static void judge(void)
{
	bool maple = NR_CONTENDERS > MAPLE;
	struct result *checker = results[1][CHECKER], *small = results[0][CHECKER];
	struct result *swiotlb = results[0][SWIOTLB], *uniform = results[0][UNIFORM];
	double ratio;

	ratio = checker[MAP].bytes / checker[FLAT].bytes;
	target("worst-case bytes at most 1.15 x flat", true, ratio <= 1.15,
	       "%.3f x (64 GiB: %.3f x)", ratio, small[MAP].bytes / small[FLAT].bytes);

	ratio = results[1][UNIFORM][MAP].bytes;
	target("uniform 1 TiB at most 64 KiB", true, ratio <= 65536, "%.1f KiB", ratio / 1024);

	target("1 TiB in the worst pattern set within 5 ms", true, checker[MAP].whole_ms <= 5,
	       "%.3f ms, then %.0f ms of freeing elsewhere", checker[MAP].whole_ms,
	       checker[MAP].free_ms);

	ratio = maple ? swiotlb[MAPLE].set_ns / swiotlb[MAP].set_ns : 0;
	target("single-page set at least 20 x faster than maple (swiotlb)", maple, ratio >= 20,
	       "%.0f x (checker: %.0f x, uniform: %.1f x)", ratio,
	       maple ? small[MAPLE].set_ns / small[MAP].set_ns : 0,
	       maple ? uniform[MAPLE].set_ns / uniform[MAP].set_ns : 0);

	ratio = maple ? small[MAPLE].large_ns / small[MAP].large_ns : 0;
	target("2 MiB set at least 10 x faster than maple (checker)", maple, ratio >= 10,
	       "%.0f x (swiotlb: %.0f x, uniform: %.0f x)", ratio,
	       maple ? swiotlb[MAPLE].large_ns / swiotlb[MAP].large_ns : 0,
	       maple ? uniform[MAPLE].large_ns / uniform[MAP].large_ns : 0);

	ratio = maple ? worst_lookup() : 0;
	target("random lookup slower than maple in no state", maple, ratio <= 1,
	       "at worst %.2f x maple's time", ratio);

	ratio = beside_results[MAP].with_writer / beside_results[MAP].alone;
	target("reads wait for no writer (keep half their rate at least)", true, ratio >= 0.5,
	       "%.0f of %.0f M lookups/s beside %.0f conversions/s",
	       beside_results[MAP].with_writer, beside_results[MAP].alone,
	       beside_results[MAP].sets);
}

static void print_bytes(double bytes)
{
	if (bytes < 10e3)
		printf(" %8.0f B", bytes);
	else if (bytes < 10e6)
		printf(" %7.1f kB", bytes / 1e3);
	else
		printf(" %7.1f MB", bytes / 1e6);
}

static void print_table(void)
{
	printf("%-7s %-8s %-6s %10s %12s %11s %13s %11s %10s\n", "guest", "pattern", "",
	       "lookup ns", "page set ns", "2M set ns", "whole set ms", "free ms", "bytes");
	for (size_t g = 0; g < NR_GUESTS; g++) {
		for (int p = 0; p < NR_PATTERNS; p++) {
			for (size_t c = 0; c < NR_CONTENDERS; c++) {
				struct result *r = &results[g][p][c];

				printf("%-7s %-8s %-6s", guests[g].name, pattern_names[p],
				       contenders[c]->name);
				if (r->extrapolated)
					printf(" %10s %12s %11s", "-", "-", "-");
				else
					printf(" %10.1f %12.1f %11.1f", r->get_ns, r->set_ns,
					       r->large_ns);
				printf(" %13.4f %11.3f", r->whole_ms, r->free_ms);
				print_bytes(r->bytes);
				printf("%s\n", r->extrapolated ? " (from 64 GiB x 16)" : "");
			}
		}
	}

	printf("\nM lookups/s, swiotlb, 64 GiB: alone, beside a writer\n");
	for (size_t c = 0; c < NR_CONTENDERS; c++)
		printf("  %-6s %6.1f %6.1f  (%.0f conversions/s)\n", contenders[c]->name,
		       beside_results[c].alone, beside_results[c].with_writer,
		       beside_results[c].sets);

	if (NR_CONTENDERS <= MAPLE)
		printf("\nBuilt without a kernel source: the maple tree is left out.\n");

	printf("\n");
	for (size_t i = 0; i < nr_targets; i++)
		printf("%-8s %s: %s\n", !targets[i].known ? "unknown" :
		       targets[i].met ? "met" : "not met", targets[i].what, targets[i].measured);
}

static void add_number(struct json_object *object, const char *name, double value)
{
	json_object_object_add(object, name, json_object_new_double(value));
}

static struct json_object *result_json(size_t g, int p, size_t c)
{
	struct json_object *object = json_object_new_object();
	struct result *r = &results[g][p][c];

	json_object_object_add(object, "guest", json_object_new_string(guests[g].name));
	json_object_object_add(object, "pattern", json_object_new_string(pattern_names[p]));
	json_object_object_add(object, "contender", json_object_new_string(contenders[c]->name));
	json_object_object_add(object, "extrapolated", json_object_new_boolean(r->extrapolated));
	if (!r->extrapolated) {
		add_number(object, "lookup_ns", r->get_ns);
		add_number(object, "page_set_ns", r->set_ns);
		add_number(object, "large_set_ns", r->large_ns);
	}
	add_number(object, "whole_set_ms", r->whole_ms);
	add_number(object, "free_ms", r->free_ms);
	add_number(object, "bytes", r->bytes);
	return object;
}

static int write_json(const char *path)
{
	struct json_object *root = json_object_new_object();
	struct json_object *array = json_object_new_array();
	int ret;

	for (size_t g = 0; g < NR_GUESTS; g++) {
		for (int p = 0; p < NR_PATTERNS; p++) {
			for (size_t c = 0; c < NR_CONTENDERS; c++)
				json_object_array_add(array, result_json(g, p, c));
		}
	}
	json_object_object_add(root, "results", array);

	array = json_object_new_array();
	for (size_t c = 0; c < NR_CONTENDERS; c++) {
		struct json_object *object = json_object_new_object();

		json_object_object_add(object, "contender",
				       json_object_new_string(contenders[c]->name));
		add_number(object, "alone", beside_results[c].alone);
		add_number(object, "beside_writer", beside_results[c].with_writer);
		add_number(object, "conversions_per_second", beside_results[c].sets);
		json_object_array_add(array, object);
	}
	json_object_object_add(root, "million_lookups_per_second", array);

	array = json_object_new_array();
	for (size_t i = 0; i < nr_targets; i++) {
		struct json_object *object = json_object_new_object();

		json_object_object_add(object, "target", json_object_new_string(targets[i].what));
		json_object_object_add(object, "verdict", json_object_new_string(
			!targets[i].known ? "unknown" : targets[i].met ? "met" : "not met"));
		json_object_object_add(object, "measured",
				       json_object_new_string(targets[i].measured));
		json_object_array_add(array, object);
	}
	json_object_object_add(root, "targets", array);

	ret = json_object_to_file_ext(path, root, JSON_C_TO_STRING_PRETTY);
	json_object_put(root);
	return ret;
}

static void usage(FILE *to)
{
	fprintf(to, "usage: attr_map [--full] [--rounds N] [--json FILE]\n"
		"  --full      fill the maple tree of the 1 TiB guest too: 5 GB, minutes\n"
		"  --rounds N  medians of N rounds, 1 to %d (5)\n"
		"  --json FILE write the numbers to FILE as well\n", MAX_ROUNDS);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "full", no_argument, NULL, 'f' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "json", required_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	const char *json = NULL;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'f':
			full = true;
			break;
		case 'r':
			rounds = atoi(optarg);
			break;
		case 'j':
			json = optarg;
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (optind < argc || rounds < 1 || rounds > MAX_ROUNDS) {
		usage(stderr);
		return 2;
	}

	for (size_t c = 0; c < NR_CONTENDERS; c++)
		contenders[c]->thread_begin();
	measure_all();
	for (size_t c = 0; c < NR_CONTENDERS; c++)
		measure_beside(c);
	judge();
	print_table();
	for (size_t c = 0; c < NR_CONTENDERS; c++)
		contenders[c]->thread_end();

	if (json && write_json(json)) {
		fprintf(stderr, "attr_map: cannot write %s\n", json);
		return 1;
	}
	return 0;
}
