// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/* core/'s attribute map. */
#include <stdlib.h>

#include "attr_map.h"
#include "contender.h"

static void *map_create(bench_u64 nr_pages)
{
	struct gmem_attr_map *map;

	if (gmem_attr_map_create(&map, nr_pages, GMEM_ATTR_PRIVATE))
		abort();
	return map;
}

static void map_destroy(void *map)
{
	gmem_attr_map_destroy(map);
}

static unsigned int map_get(void *map, bench_u64 index)
{
	return gmem_attr_map_get(map, index);
}

static void map_set(void *map, bench_u64 start, bench_u64 end, unsigned int attrs)
{
	if (gmem_attr_map_prepare(map, start, end, attrs))
		abort();
	gmem_attr_map_commit(map, start, end, attrs);
}

static bench_u64 map_bytes(void *map)
{
	return gmem_attr_map_bytes(map);
}

static void nothing(void)
{
}

const struct contender contender_map = {
	.name = "map",
	.create = map_create,
	.destroy = map_destroy,
	.get = map_get,
	.set = map_set,
	.bytes = map_bytes,
	.flush = gmem_defer_flush,
	.thread_begin = nothing,
	.thread_end = nothing,
};
