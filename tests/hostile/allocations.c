// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * What the kernel has allocated and not freed, by the line of code that did: a table of
 * "bytes objects file:line ..." (Documentation/mm/allocation-profiling.rst).
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hostile.h"

/*
 * Who keeps memory for others or for as long as it pays: slabs, whose objects are
 * counted where they are used; call traces; vmalloc() and KASAN's shadow of it, of which
 * there is more the more threads there have been; workers that wait for more work.
 */
static const char *const keepers[] = {
	" mm/slub.c:", " lib/stackdepot.c:", " mm/vmalloc.c:", " mm/kasan/", " mm/percpu",
	" func:alloc_task_struct_node", " func:alloc_thread_stack_node",
};

struct site {
	int64_t bytes, objects;
	const char *name;	/* not terminated */
	size_t length;
};

/* Return: the text after it, or NULL if there is no further one. */
static const char *next_site(const char *table, struct site *site)
{
	const char *function;
	char *end;

	/* Each ends with its function; a note may follow that, some time. */
	function = strstr(table, " func:");
	if (!function)
		return NULL;
	while (memchr(table, '\n', (size_t)(function - table)))
		table += strcspn(table, "\n") + 1;
	site->bytes = strtoll(table, &end, 10);
	site->objects = strtoll(end, &end, 10);
	site->name = end;
	site->length = (size_t)(function - end) + 1 + strcspn(function + 1, " \n");
	return end + site->length;
}

static bool is_in(const struct site *site, const char *path)
{
	return memmem(site->name, site->length, path, strlen(path));
}

/* The file or the function says so. */
static bool is_kvms(const struct site *site)
{
	return is_in(site, "/kvm/") || is_in(site, "kvm_");
}

static bool keeps(const struct site *site)
{
	for (size_t i = 0; i < sizeof(keepers) / sizeof(keepers[0]); i++)
		if (is_in(site, keepers[i]))
			return true;
	return false;
}

const char *allocations_read(void)
{
	static char table[1 << 20];
	struct site site;

	read_text("/proc/allocinfo", table, sizeof(table));
	for (const char *next = table; (next = next_site(next, &site));)
		if (site.objects)
			return table;
	fprintf(stderr, "hostile: /proc/allocinfo has only zeros: boot with "
		"sysctl.vm.mem_profiling=1\n");
	exit(3);
}

/*
 * How much more the next site has in @now than in @before, whose lines are the same.
 * Return: false if there is no further one.
 */
static bool next_growth(const char **before, const char **now, struct site *site)
{
	struct site old = { 0 };

	*now = next_site(*now, site);
	if (!*now)
		return false;
	*before = next_site(*before, &old);
	if (!*before || old.length != site->length ||
	    memcmp(old.name, site->name, old.length)) {
		fprintf(stderr, "hostile: /proc/allocinfo has other lines than before\n");
		exit(3);
	}
	site->bytes -= old.bytes;
	site->objects -= old.objects;
	return true;
}

int64_t allocations_kvm_grew(const char *before, const char *now)
{
	struct site site;
	int64_t objects = 0;

	while (next_growth(&before, &now, &site))
		if (is_kvms(&site) && site.objects > 0)
			objects += site.objects;
	return objects;
}

int64_t allocations_others_grew(const char *before, const char *now)
{
	struct site site;
	int64_t bytes = 0;

	while (next_growth(&before, &now, &site))
		if (!is_kvms(&site) && !keeps(&site))
			bytes += site.bytes;
	return bytes;
}

void allocations_print_growth(const char *before, const char *now)
{
	struct site site;

	while (next_growth(&before, &now, &site)) {
		if (site.objects > 0 && !keeps(&site))
			printf("# %" PRId64 " more objects, %" PRId64 " bytes:%.*s\n",
			       site.objects, site.bytes, (int)site.length, site.name);
	}
}
