/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * The attribute map: for each page of a guest_memfd, whether it is private and
 * whether it is destroyed.
 *
 * Three levels.  The root has one entry for each 1 GiB, a mid table one for
 * each 2 MiB, a leaf GMEM_ATTR_BITS for each 4 KiB page.  An entry of root or
 * mid is either a state that the whole chunk shares or a pointer one level
 * down, so a uniform VM costs its root, and no pattern costs more than 1.15
 * times a flat array of the same bits.
 *
 * Readers take no lock: gmem_attr_map_get() may run at any time between
 * gmem_read_lock() and gmem_read_unlock(), which it does itself.  Writers
 * (prepare, commit, cancel) are serialised by the caller.
 */
#ifndef GMEM_ATTR_MAP_H
#define GMEM_ATTR_MAP_H

#include "gmem_platform.h"

/* Bits of state for each page: a power of two, so that none spans two words. */
#define GMEM_ATTR_BITS		2

#define GMEM_ATTR_PRIVATE	1u
#define GMEM_ATTR_DESTROYED	2u
#define GMEM_ATTR_MASK		((1u << GMEM_ATTR_BITS) - 1)

/* What gmem_leaf_alloc() allocates: the bits of 512 pages. */
#define GMEM_LEAF_BYTES		(512 * GMEM_ATTR_BITS / 8)

/* 64 TiB of 4 KiB pages. */
#define GMEM_ATTR_MAP_MAX_PAGES	(1ull << 34)

struct gmem_attr_map;

/**
 * gmem_attr_map_create() - make a map in which all pages share one state
 * @mapp: where to store the map
 * @nr_pages: pages that it covers, 1 to GMEM_ATTR_MAP_MAX_PAGES
 * @attrs: GMEM_ATTR_* of every page
 *
 * Context: may sleep.
 * Return: 0, -EINVAL for a bad size or state, -ENOMEM.
 */
int gmem_attr_map_create(struct gmem_attr_map **mapp, u64 nr_pages,
			 unsigned int attrs);

/**
 * gmem_attr_map_destroy() - free a map
 * @map: the map, or NULL
 *
 * Context: may sleep; no reader or writer is left.
 */
void gmem_attr_map_destroy(struct gmem_attr_map *map);

/**
 * gmem_attr_map_nr_pages() - pages that the map covers
 * @map: the map
 *
 * Context: any.
 */
u64 gmem_attr_map_nr_pages(const struct gmem_attr_map *map);

/**
 * gmem_attr_map_get() - the state of one page
 * @map: the map
 * @index: the page, below gmem_attr_map_nr_pages()
 *
 * All bits of the answer belong to one moment.  A reader that acts on it must
 * exclude the writer, or check afterwards that no conversion ran meanwhile.
 *
 * Context: any; waits for nobody.
 * Return: GMEM_ATTR_*; GMEM_ATTR_PRIVATE past the end, the safe answer.
 */
unsigned int gmem_attr_map_get(const struct gmem_attr_map *map, u64 index);

/**
 * gmem_attr_map_run() - how far one state runs
 * @map: the map
 * @start: first page
 * @end: page after the last that interests the caller
 * @attrs: out: the state at @start
 *
 * Runs are maximal if no writer runs meanwhile: the page at the returned index,
 * if below @end, has another state.
 *
 * Context: any; time grows with chunks, not with pages.
 * Return: the first page after @start, at most @end, whose state differs.
 */
u64 gmem_attr_map_run(const struct gmem_attr_map *map, u64 start, u64 end,
		      unsigned int *attrs);

/**
 * gmem_attr_map_prepare() - reserve all memory for setting a range
 * @map: the map
 * @start: first page
 * @end: page after the last
 * @attrs: the state to be set
 *
 * After it, gmem_attr_map_commit() with the same arguments cannot fail.  It
 * must be followed by commit or gmem_attr_map_cancel(); readers see nothing.
 *
 * Context: writer; may sleep.
 * Return: 0, -EINVAL for an empty range or one past the end, -ENOMEM.
 */
int gmem_attr_map_prepare(struct gmem_attr_map *map, u64 start, u64 end,
			  unsigned int attrs);

/**
 * gmem_attr_map_commit() - set the state of a prepared range
 * @map: the map
 * @start: first page
 * @end: page after the last
 * @attrs: GMEM_ATTR_* that every page of the range has afterwards
 *
 * A page outside the range never changes, not even for a moment.  Chunks that
 * become uniform give their memory back once no reader can see it.
 *
 * Context: writer; does not sleep, allocate or fail.
 */
void gmem_attr_map_commit(struct gmem_attr_map *map, u64 start, u64 end,
			  unsigned int attrs);

/**
 * gmem_attr_map_cancel() - give back what prepare reserved
 * @map: the map
 *
 * Context: writer.
 */
void gmem_attr_map_cancel(struct gmem_attr_map *map);

/**
 * gmem_attr_map_bytes() - memory that the map holds now, reservations included
 * @map: the map
 *
 * What only waits for its last readers to be freed is not counted.  Looks at
 * every mid table: for tests and measurements.
 *
 * Context: writer.
 */
u64 gmem_attr_map_bytes(const struct gmem_attr_map *map);

#endif /* GMEM_ATTR_MAP_H */
