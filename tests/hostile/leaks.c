// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Whether the kernel has got back what it gave.
 *
 * Counters of what only VMs, files and pins use have to return exactly to where they
 * were.  A page that nobody can name any more shows only in what is left when all that
 * the system can name is taken from all its memory: that is compared over many rounds,
 * for it is not exact.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "hostile.h"

#define SETTLE_S	20

/* CPUs hand in what they have counted by themselves once a second. */
#define HAND_IN_MS	2500

/* In pages: slabs may be half full, CPUs keep stacks and the like. */
#define SLAB_TOLERANCE	256
#define TOLERANCE	128

enum { UNEVICTABLE, MLOCKED, PINS, GUEST_TABLES, DEBUGFS_VMS, NR_COUNTERS };

static const char *const names[NR_COUNTERS] = {
	"unevictable pages", "locked pages", "pins", "pages of guests' page tables",
	"VMs in debugfs",
};

struct counters {
	int64_t value[NR_COUNTERS];
};

struct unnamed {
	int64_t slabs;		/* pages */
	int64_t others;
};

static struct counters start;
static struct unnamed marked;

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		fprintf(stderr, "hostile: cannot write %s\n", path);
	close(fd);
}

/* Numbers in lines of "name number", wherever in the line. Return: the sum of all. */
static int64_t sum_of(const char *text, const char *name)
{
	const size_t length = strlen(name);
	int64_t sum = 0;

	for (const char *p = text; (p = strstr(p, name)); p += length) {
		bool starts = p == text || p[-1] == '\n' || p[-1] == ' ';

		if (starts && (p[length] == ' ' || p[length] == ':'))
			sum += atoll(p + length + 1);
	}
	return sum;
}

static const char *read_text(const char *path)
{
	static char text[1 << 18];
	FILE *file = fopen(path, "re");
	size_t bytes = 0;

	if (file) {
		bytes = fread(text, 1, sizeof(text) - 1, file);
		fclose(file);
	}
	if (!bytes) {
		fprintf(stderr, "hostile: cannot read %s\n", path);
		exit(3);
	}
	text[bytes] = 0;
	return text;
}

static int64_t count_directories(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	int64_t count = 0;

	if (!directory) {
		fprintf(stderr, "hostile: cannot read %s\n", path);
		exit(3);
	}
	while ((entry = readdir(directory)))
		count += entry->d_type == DT_DIR && entry->d_name[0] != '.';
	closedir(directory);
	return count;
}

static struct unnamed unnamed_pages(void)
{
	static const char *const named[] = {
		"nr_inactive_anon", "nr_active_anon", "nr_inactive_file", "nr_active_file",
		"nr_unevictable", "nr_slab_reclaimable", "nr_slab_unreclaimable",
		"nr_page_table_pages", "nr_sec_page_table_pages", "nr_vmalloc",
	};
	struct unnamed pages;
	const char *text;

	/* "count" is what each CPU keeps for itself. */
	text = read_text("/proc/zoneinfo");
	pages.others = sum_of(text, "managed") - sum_of(text, "nr_free_pages") -
		       sum_of(text, "count");
	text = read_text("/proc/vmstat");
	for (unsigned int i = 0; i < sizeof(named) / sizeof(named[0]); i++)
		pages.others -= sum_of(text, named[i]);
	pages.others -= sum_of(text, "nr_kernel_stack") * 1024 / (int64_t)PAGE;
	pages.slabs = sum_of(text, "nr_slab_unreclaimable");
	/* Grows in chunks, of which it keeps some for good. */
	pages.others -= sum_of(read_text("/proc/meminfo"), "Percpu") * 1024 / (int64_t)PAGE;
	return pages;
}

static void read_counters(struct counters *counters)
{
	const char *text;

	text = read_text("/proc/vmstat");
	counters->value[UNEVICTABLE] = sum_of(text, "nr_unevictable");
	counters->value[MLOCKED] = sum_of(text, "nr_mlock");
	counters->value[PINS] = sum_of(text, "nr_foll_pin_acquired") -
				sum_of(text, "nr_foll_pin_released");
	counters->value[GUEST_TABLES] = sum_of(text, "nr_sec_page_table_pages");
	counters->value[DEBUGFS_VMS] = count_directories("/sys/kernel/debug/kvm");
}

void leaks_begin(void)
{
	usleep(HAND_IN_MS * 1000);
	read_counters(&start);
}

/*
 * Pages that were locked last may lie in batches of their CPUs, by which they have a
 * reference and count as locked.  Whoever locks memory empties the batch of the CPU.
 */
static void drain_batches(void)
{
	static char page[PAGE] __attribute__((aligned(PAGE)));
	cpu_set_t all, one;

	if (sched_getaffinity(0, sizeof(all), &all))
		return;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		if (sched_setaffinity(0, sizeof(one), &one))
			continue;
		mlock(page, sizeof(page));
		munlock(page, sizeof(page));
	}
	sched_setaffinity(0, sizeof(all), &all);
}

bool leaks_settled(void)
{
	const time_t end = time(NULL) + SETTLE_S;
	struct counters now;
	bool settled;

	do {
		/* Each time, for workers may let go of locked pages meanwhile. */
		drain_batches();
		settled = true;
		read_counters(&now);
		for (unsigned int i = 0; i < NR_COUNTERS; i++)
			settled = settled && now.value[i] <= start.value[i];
		if (settled)
			return true;
		usleep(300000);
	} while (time(NULL) < end);

	for (unsigned int i = 0; i < NR_COUNTERS; i++)
		if (now.value[i] > start.value[i])
			printf("# leaked: %lld %s (%lld, %lld at first)\n",
			       (long long)(now.value[i] - start.value[i]), names[i],
			       (long long)now.value[i], (long long)start.value[i]);
	return false;
}

/* Slabs that only hold freed objects are emptied first. */
static struct unnamed settled_unnamed_pages(void)
{
	struct unnamed fewest = { INT64_MAX, INT64_MAX }, pages;
	glob_t found;

	if (!glob("/sys/kernel/slab/*/shrink", 0, NULL, &found)) {
		for (size_t i = 0; i < found.gl_pathc; i++)
			write_file(found.gl_pathv[i], "1");
		globfree(&found);
	}
	usleep(HAND_IN_MS * 1000);
	for (unsigned int i = 0; i < 10; i++) {
		usleep(50000);
		pages = unnamed_pages();
		if (pages.slabs < fewest.slabs)
			fewest.slabs = pages.slabs;
		if (pages.others < fewest.others)
			fewest.others = pages.others;
	}
	return fewest;
}

void leaks_mark(void)
{
	marked = settled_unnamed_pages();
}

bool leaks_since_mark(void)
{
	const time_t end = time(NULL) + SETTLE_S;
	int64_t slabs, others;
	bool settled;

	/* What workers free later (io_uring's, say) is no leak. */
	do {
		struct unnamed now = settled_unnamed_pages();

		slabs = now.slabs - marked.slabs;
		others = now.others - marked.others;
		settled = slabs <= SLAB_TOLERANCE && others <= TOLERANCE;
	} while (!settled && time(NULL) < end);

	printf("# %lld more pages in slabs (%d are tolerated), %lld in nobody's name (%d)\n",
	       (long long)slabs, SLAB_TOLERANCE, (long long)others, TOLERANCE);
	return settled;
}
