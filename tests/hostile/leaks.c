// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Whether the kernel has got back what it gave.
 *
 * Counters of what only VMs, files and pins use, and what KVM itself has allocated, have
 * to return exactly to where they were.  What others allocate, the memory of a process
 * for example, varies: that is compared over many rounds.
 */
#define _GNU_SOURCE
#include <dirent.h>
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

/* What has been read or opened for the first time, this process's memory and the like. */
#define TOLERANCE_KIB	512

enum { UNEVICTABLE, MLOCKED, PINS, GUEST_TABLES, KVM_OBJECTS, DEBUGFS_VMS, NR_COUNTERS };

static const char *const names[NR_COUNTERS] = {
	"unevictable pages", "locked pages", "pins", "pages of guests' page tables",
	"objects that KVM allocated", "VMs in debugfs",
};

struct counters {
	int64_t value[NR_COUNTERS];
};

static struct counters start;
static char *table_at_start, *table_at_mark;

/* The number in the line "name number". */
static int64_t number_of(const char *text, const char *name)
{
	const size_t length = strlen(name);

	for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
		if (!strncmp(line, name, length) && line[length] == ' ')
			return atoll(line + length);
	fprintf(stderr, "hostile: /proc/vmstat has no %s\n", name);
	exit(3);
}

void read_text(const char *path, char *text, size_t size)
{
	FILE *file = fopen(path, "re");
	size_t bytes = 0;

	if (file) {
		bytes = fread(text, 1, size, file);
		fclose(file);
	}
	if (!bytes || bytes == size) {
		fprintf(stderr, "hostile: cannot read %s\n", path);
		exit(3);
	}
	text[bytes] = 0;
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

static void read_counters(struct counters *counters)
{
	static char text[1 << 16];

	read_text("/proc/vmstat", text, sizeof(text));
	counters->value[UNEVICTABLE] = number_of(text, "nr_unevictable");
	counters->value[MLOCKED] = number_of(text, "nr_mlock");
	counters->value[PINS] = number_of(text, "nr_foll_pin_acquired") -
				number_of(text, "nr_foll_pin_released");
	counters->value[GUEST_TABLES] = number_of(text, "nr_sec_page_table_pages");
	counters->value[KVM_OBJECTS] = allocations_kvm_grew(table_at_start,
							   allocations_read());
	counters->value[DEBUGFS_VMS] = count_directories("/sys/kernel/debug/kvm");
}

void leaks_begin(void)
{
	usleep(HAND_IN_MS * 1000);
	table_at_start = strdup(allocations_read());
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
	if (now.value[KVM_OBJECTS] > start.value[KVM_OBJECTS])
		allocations_print_growth(table_at_start, allocations_read());
	return false;
}

void leaks_mark(void)
{
	table_at_mark = strdup(allocations_read());
}

bool leaks_since_mark(void)
{
	const time_t end = time(NULL) + SETTLE_S;
	const char *now;
	int64_t kib;

	/* What workers free later (io_uring's, say) is no leak. */
	do {
		usleep(300000);
		now = allocations_read();
		kib = allocations_others_grew(table_at_mark, now) / 1024;
	} while (kib > TOLERANCE_KIB && time(NULL) < end);

	printf("# others have %lld KiB more (%d are tolerated)\n", (long long)kib,
	       TOLERANCE_KIB);
	if (kib > TOLERANCE_KIB)
		allocations_print_growth(table_at_mark, now);
	return kib <= TOLERANCE_KIB;
}
