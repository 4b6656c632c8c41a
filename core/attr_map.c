// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The attribute map; attr_map.h says what it promises.
 *
 * An entry of the root or of a mid table is a state, which has bit 0 set, or a
 * pointer one level down.  Whatever a reader may reach is complete before a
 * release store makes it reachable, and is freed by gmem_defer() after another
 * store made it unreachable.  In between only two things change: entries, one
 * store each, and the words of a leaf, one store each.
 *
 * What becomes unreachable cannot be chained through itself, since readers
 * still look at it, and commit must not allocate.  So prepare counts what
 * commit will unlink and reserves a list with that many places.  A mid table
 * that is covered as a whole takes one place and keeps its leaves.
 *
 * Pages between the last of the map and the end of its leaf exist only here.
 * They always have the last page's state, so that they never keep a chunk
 * from being uniform.
 *
 * No locks; the caller serialises the writers.
 */
#include "attr_map.h"

/* Tests make them small, to meet boundaries early. */
#ifndef GMEM_ATTR_LEAF_SHIFT
#define GMEM_ATTR_LEAF_SHIFT	9	/* pages in a leaf */
#define GMEM_ATTR_MID_SHIFT	9	/* leaves in a mid table */
#endif

#define LEAF_PAGES	(1ull << GMEM_ATTR_LEAF_SHIFT)
#define MID_ENTRIES	(1ull << GMEM_ATTR_MID_SHIFT)
#define ROOT_SHIFT	(GMEM_ATTR_LEAF_SHIFT + GMEM_ATTR_MID_SHIFT)
#define ROOT_PAGES	(1ull << ROOT_SHIFT)

#define WORD_PAGES	(64u / GMEM_ATTR_BITS)
#define LEAF_WORDS	(LEAF_PAGES / WORD_PAGES)

static_assert(WORD_PAGES * GMEM_ATTR_BITS == 64, "no page spans two words");
static_assert(LEAF_WORDS * sizeof(u64) <= GMEM_LEAF_BYTES, "a leaf fits");
static_assert(LEAF_WORDS >= 1, "a leaf has whole words");

/*
 * At most two chunks of each level are covered in part, so this many leaves
 * and tables may become uniform without being counted one by one.
 */
#define NR_EDGES	2
#define RETIRED_SPARE	(2 * NR_EDGES)

struct retired {
	struct gmem_deferred deferred;
	u64 max;
	u64 nr;
	/* Mid tables have bit 0 set, leaves do not. */
	void *object[];
};

struct gmem_attr_map {
	u64 nr_pages;
	/* @nr_pages, rounded up to whole leaves. */
	u64 nr_padded;
	u64 nr_root;

	/* Reservations, the writer's.  One small list stays for the next set. */
	struct retired *retired;
	void **mids[NR_EDGES];
	u64 *leaves[NR_EDGES];
	unsigned int nr_mids;
	unsigned int nr_leaves;

	/* Readers look at it at any time. */
	void *root[];
};

/* What setting a range takes. */
struct need {
	/* A page of each chunk that gets a mid table. */
	u64 mid_at[NR_EDGES];
	unsigned int mids;
	unsigned int leaves;
	u64 retired;
};

static void *state_entry(unsigned int attrs)
{
	return (void *)((unsigned long)attrs << 1 | 1);
}

static bool entry_is_state(const void *entry)
{
	return (unsigned long)entry & 1;
}

static unsigned int entry_state(const void *entry)
{
	return (unsigned long)entry >> 1;
}

/* A word all of whose pages have one state. */
static u64 state_word(unsigned int attrs)
{
	return ~0ull / GMEM_ATTR_MASK * attrs;
}

static unsigned int word_shift(u64 index)
{
	return index % WORD_PAGES * GMEM_ATTR_BITS;
}

/* The bits of a word's pages from @start to before @end; at least one page. */
static u64 word_mask(u64 start, u64 end)
{
	unsigned int last = word_shift(end - 1) + GMEM_ATTR_BITS - 1;

	return ~0ull << word_shift(start) & ~0ull >> (63 - last);
}

static u64 mid_index(u64 index)
{
	return index >> GMEM_ATTR_LEAF_SHIFT & (MID_ENTRIES - 1);
}

/* The end of the root entry's chunk in which @index lies. */
static u64 root_chunk_end(const struct gmem_attr_map *map, u64 index)
{
	return min((index | (ROOT_PAGES - 1)) + 1, map->nr_padded);
}

static u64 leaf_chunk_end(u64 index)
{
	return (index | (LEAF_PAGES - 1)) + 1;
}

static bool covers_root_chunk(const struct gmem_attr_map *map, u64 start,
			      u64 end)
{
	return !(start & (ROOT_PAGES - 1)) && end == root_chunk_end(map, start);
}

static bool covers_leaf(u64 start, u64 end)
{
	return end - start == LEAF_PAGES;
}

/*
 * Entries of the mid table in which @index lies.  The map's last table may be
 * short; then a NULL follows, which no entry ever is.
 */
static u64 mid_entries(const struct gmem_attr_map *map, u64 index)
{
	u64 start = index & ~(ROOT_PAGES - 1);

	return (root_chunk_end(map, index) - start) >> GMEM_ATTR_LEAF_SHIFT;
}

static size_t mid_bytes(const struct gmem_attr_map *map, u64 index)
{
	return min(mid_entries(map, index) + 1, MID_ENTRIES) * sizeof(void *);
}

/* The pages behind the last one follow it. */
static u64 padded_end(const struct gmem_attr_map *map, u64 end)
{
	return end == map->nr_pages ? map->nr_padded : end;
}

static void free_mid(void **mid)
{
	for (u64 i = 0; i < MID_ENTRIES && mid[i]; i++) {
		if (!entry_is_state(mid[i]))
			gmem_leaf_free(mid[i]);
	}
	gmem_table_free(mid);
}

static size_t retired_bytes(u64 max)
{
	return sizeof(struct retired) + max * sizeof(void *);
}

static void free_retired(struct gmem_deferred *deferred)
{
	struct retired *retired = container_of(deferred, struct retired, deferred);

	for (u64 i = 0; i < retired->nr; i++) {
		unsigned long object = (unsigned long)retired->object[i];

		if (object & 1) {
			free_mid((void **)(object & ~1ul));
			gmem_relax();
		} else {
			gmem_leaf_free((void *)object);
		}
	}
	gmem_table_free(retired);
}

/* Frees @leaf once no reader can see it; it is unreachable already. */
static void retire_leaf(struct gmem_attr_map *map, u64 *leaf)
{
	map->retired->object[map->retired->nr++] = leaf;
}

/* The same for @mid and all leaves that it still has. */
static void retire_mid(struct gmem_attr_map *map, void **mid)
{
	map->retired->object[map->retired->nr++] =
		(void *)((unsigned long)mid | 1);
}

int gmem_attr_map_create(struct gmem_attr_map **mapp, u64 nr_pages,
			 unsigned int attrs)
{
	struct gmem_attr_map *map;
	u64 nr_root;

	if (!nr_pages || nr_pages > GMEM_ATTR_MAP_MAX_PAGES ||
	    attrs & ~GMEM_ATTR_MASK)
		return -EINVAL;

	nr_root = ((nr_pages - 1) >> ROOT_SHIFT) + 1;
	map = gmem_table_alloc(sizeof(*map) + nr_root * sizeof(map->root[0]));
	if (!map)
		return -ENOMEM;

	map->nr_pages = nr_pages;
	map->nr_padded = leaf_chunk_end(nr_pages - 1);
	map->nr_root = nr_root;
	for (u64 i = 0; i < nr_root; i++)
		map->root[i] = state_entry(attrs);

	*mapp = map;
	return 0;
}

void gmem_attr_map_destroy(struct gmem_attr_map *map)
{
	if (!map)
		return;

	gmem_attr_map_cancel(map);
	gmem_table_free(map->retired);
	for (u64 i = 0; i < map->nr_root; i++) {
		if (!entry_is_state(map->root[i])) {
			free_mid(map->root[i]);
			gmem_relax();
		}
	}
	gmem_table_free(map);
}

u64 gmem_attr_map_nr_pages(const struct gmem_attr_map *map)
{
	return map->nr_pages;
}

/*
 * Walk down to the page, as far as the map goes there.
 *
 * Return: the lowest entry, and in @end the end of the chunk that it describes.
 */
static void *lookup(const struct gmem_attr_map *map, u64 index, u64 *end)
{
	void *entry = smp_load_acquire(&map->root[index >> ROOT_SHIFT]);
	void **mid = entry;

	if (entry_is_state(entry)) {
		*end = root_chunk_end(map, index);
		return entry;
	}

	*end = leaf_chunk_end(index);
	return smp_load_acquire(&mid[mid_index(index)]);
}

static u64 leaf_word(const u64 *leaf, u64 index)
{
	return READ_ONCE(leaf[(index & (LEAF_PAGES - 1)) / WORD_PAGES]);
}

static unsigned int word_state(u64 word, u64 index)
{
	return word >> word_shift(index) & GMEM_ATTR_MASK;
}

/* The state of a page, from what lookup() found. */
static unsigned int page_state(const void *entry, u64 index)
{
	if (entry_is_state(entry))
		return entry_state(entry);
	return word_state(leaf_word(entry, index), index);
}

unsigned int gmem_attr_map_get(const struct gmem_attr_map *map, u64 index)
{
	unsigned int attrs;
	u64 end;

	if (unlikely(index >= map->nr_pages))
		return GMEM_ATTR_PRIVATE;

	gmem_read_lock();
	attrs = page_state(lookup(map, index, &end), index);
	gmem_read_unlock();

	return attrs;
}

/* The first page from @index to before @end whose state is not @attrs. */
static u64 leaf_run(const u64 *leaf, u64 index, u64 end, unsigned int attrs)
{
	while (index < end) {
		u64 next = (index | (WORD_PAGES - 1)) + 1;
		u64 differs = leaf_word(leaf, index) ^ state_word(attrs);

		differs &= word_mask(index, next);
		if (differs) {
			next = index & ~(u64)(WORD_PAGES - 1);
			return min(next + __builtin_ctzll(differs) / GMEM_ATTR_BITS,
				   end);
		}
		index = next;
	}
	return end;
}

u64 gmem_attr_map_run(const struct gmem_attr_map *map, u64 start, u64 end,
		      unsigned int *attrs)
{
	u64 limit = min(end, map->nr_pages);
	u64 index, chunk_end;
	void *entry;

	*attrs = GMEM_ATTR_PRIVATE;
	if (unlikely(start >= limit))
		return end;

	gmem_read_lock();
	entry = lookup(map, start, &chunk_end);
	*attrs = page_state(entry, start);
	for (index = start;; entry = lookup(map, index, &chunk_end)) {
		if (!entry_is_state(entry))
			index = leaf_run(entry, index, chunk_end, *attrs);
		else if (entry_state(entry) == *attrs)
			index = chunk_end;
		if (index < chunk_end || index >= limit)
			break;
	}
	gmem_read_unlock();

	/* What lies past the last page is private. */
	if (index >= limit)
		return *attrs == GMEM_ATTR_PRIVATE ? end : limit;
	/* A writer may have changed @start by now, but no run is empty. */
	return max(index, start + 1);
}

/* What setting a part of a root entry's chunk takes. */
static void count_part(const struct gmem_attr_map *map, u64 start, u64 end,
		       unsigned int attrs, struct need *need)
{
	void *root = map->root[start >> ROOT_SHIFT];
	void **mid = root;

	if (root == state_entry(attrs))
		return;
	if (entry_is_state(root))
		need->mid_at[need->mids++] = start;

	for (u64 next; start < end; start = next) {
		void *entry;

		next = min(leaf_chunk_end(start), end);
		entry = entry_is_state(root) ? root : mid[mid_index(start)];
		if (covers_leaf(start, next))
			need->retired += !entry_is_state(entry);
		else if (entry_is_state(entry) && entry != state_entry(attrs))
			need->leaves++;
	}
}

static int reserve(struct gmem_attr_map *map, const struct need *need)
{
	u64 max = need->retired + RETIRED_SPARE;

	if (!map->retired || map->retired->max < max) {
		gmem_table_free(map->retired);
		map->retired = gmem_table_alloc(retired_bytes(max));
		if (!map->retired)
			return -ENOMEM;
		map->retired->max = max;
	}

	while (map->nr_leaves < need->leaves) {
		u64 *leaf = gmem_leaf_alloc();

		if (!leaf)
			return -ENOMEM;
		map->leaves[map->nr_leaves++] = leaf;
	}

	while (map->nr_mids < need->mids) {
		u64 index = need->mid_at[map->nr_mids];
		void **mid = gmem_table_alloc(mid_bytes(map, index));

		if (!mid)
			return -ENOMEM;
		map->mids[map->nr_mids++] = mid;
	}
	return 0;
}

static void drop_reservations(struct gmem_attr_map *map)
{
	while (map->nr_leaves)
		gmem_leaf_free(map->leaves[--map->nr_leaves]);
	while (map->nr_mids)
		gmem_table_free(map->mids[--map->nr_mids]);

	if (map->retired && map->retired->max > RETIRED_SPARE) {
		gmem_table_free(map->retired);
		map->retired = NULL;
	}
}

/* Does the range cover a part of one leaf that exists: the common case. */
static bool lies_in_leaf(const struct gmem_attr_map *map, u64 start, u64 end)
{
	void **mid = map->root[start >> ROOT_SHIFT];

	return end <= leaf_chunk_end(start) && !covers_leaf(start, end) &&
	       !entry_is_state(mid) && !entry_is_state(mid[mid_index(start)]);
}

int gmem_attr_map_prepare(struct gmem_attr_map *map, u64 start, u64 end,
			  unsigned int attrs)
{
	struct need need = {};
	int ret;

	drop_reservations(map);
	if (start >= end || end > map->nr_pages || attrs & ~GMEM_ATTR_MASK)
		return -EINVAL;

	end = padded_end(map, end);
	if (lies_in_leaf(map, start, end) && map->retired)
		return 0;

	for (u64 next; start < end; start = next) {
		next = min(root_chunk_end(map, start), end);
		if (covers_root_chunk(map, start, next))
			need.retired += !entry_is_state(map->root[start >> ROOT_SHIFT]);
		else
			count_part(map, start, next, attrs, &need);
	}

	ret = reserve(map, &need);
	if (ret)
		drop_reservations(map);
	return ret;
}

static bool words_are(const u64 *leaf, unsigned int attrs)
{
	for (u64 i = 0; i < LEAF_WORDS; i++) {
		if (leaf[i] != state_word(attrs))
			return false;
	}
	return true;
}

static bool entries_are(void **mid, u64 nr_entries, unsigned int attrs)
{
	for (u64 i = 0; i < nr_entries; i++) {
		if (mid[i] != state_entry(attrs))
			return false;
	}
	return true;
}

/* Set pages of a leaf.  Return: true if the whole leaf may have @attrs now. */
static bool set_words(u64 *leaf, u64 start, u64 end, unsigned int attrs)
{
	bool uniform = true;

	for (u64 next; start < end; start = next) {
		u64 *word = &leaf[(start & (LEAF_PAGES - 1)) / WORD_PAGES];
		u64 mask, new;

		next = min((start | (WORD_PAGES - 1)) + 1, end);
		mask = word_mask(start, next);
		new = (*word & ~mask) | (state_word(attrs) & mask);
		WRITE_ONCE(*word, new);
		uniform &= new == state_word(attrs);
	}
	return uniform;
}

/* Set some pages of a leaf's chunk, not all. */
static void set_leaf_part(struct gmem_attr_map *map, void **entry, u64 start,
			  u64 end, unsigned int attrs)
{
	u64 *leaf = *entry;

	if (*entry == state_entry(attrs))
		return;

	if (entry_is_state(*entry)) {
		leaf = map->leaves[--map->nr_leaves];
		for (u64 i = 0; i < LEAF_WORDS; i++)
			leaf[i] = state_word(entry_state(*entry));
		set_words(leaf, start, end, attrs);
		smp_store_release(entry, (void *)leaf);
	} else if (set_words(leaf, start, end, attrs) &&
		   words_are(leaf, attrs)) {
		smp_store_release(entry, state_entry(attrs));
		retire_leaf(map, leaf);
	}
}

static void set_leaf(struct gmem_attr_map *map, void **entry,
		     unsigned int attrs)
{
	void *old = *entry;

	if (old == state_entry(attrs))
		return;

	smp_store_release(entry, state_entry(attrs));
	if (!entry_is_state(old))
		retire_leaf(map, old);
}

static void **take_mid(struct gmem_attr_map *map, u64 nr_entries, void *entry)
{
	void **mid = map->mids[0];

	map->mids[0] = map->mids[1];
	map->nr_mids--;
	for (u64 i = 0; i < nr_entries; i++)
		mid[i] = entry;
	return mid;
}

/* Set some pages of a root entry's chunk, not all. */
static void set_root_part(struct gmem_attr_map *map, u64 start, u64 end,
			  unsigned int attrs)
{
	void **root = &map->root[start >> ROOT_SHIFT];
	u64 first = start;
	void **mid = *root;

	if (*root == state_entry(attrs))
		return;
	if (entry_is_state(*root))
		mid = take_mid(map, mid_entries(map, start), *root);

	for (u64 next; start < end; start = next) {
		void **entry = &mid[mid_index(start)];

		next = min(leaf_chunk_end(start), end);
		if (covers_leaf(start, next))
			set_leaf(map, entry, attrs);
		else
			set_leaf_part(map, entry, start, next, attrs);
	}

	if (entry_is_state(*root)) {
		smp_store_release(root, (void *)mid);
	} else if (mid[mid_index(first)] == state_entry(attrs) &&
		   entries_are(mid, mid_entries(map, first), attrs)) {
		smp_store_release(root, state_entry(attrs));
		retire_mid(map, mid);
	}
}

static void set_root(struct gmem_attr_map *map, void **root, unsigned int attrs)
{
	void *old = *root;

	if (old == state_entry(attrs))
		return;

	smp_store_release(root, state_entry(attrs));
	if (!entry_is_state(old))
		retire_mid(map, old);
}

void gmem_attr_map_commit(struct gmem_attr_map *map, u64 start, u64 end,
			  unsigned int attrs)
{
	end = padded_end(map, end);
	for (u64 next; start < end; start = next) {
		next = min(root_chunk_end(map, start), end);
		if (covers_root_chunk(map, start, next))
			set_root(map, &map->root[start >> ROOT_SHIFT], attrs);
		else
			set_root_part(map, start, next, attrs);
	}

	if (map->retired->nr) {
		gmem_defer(&map->retired->deferred, free_retired);
		map->retired = NULL;
	}
	drop_reservations(map);
}

void gmem_attr_map_cancel(struct gmem_attr_map *map)
{
	drop_reservations(map);
}

static u64 mid_tree_bytes(const struct gmem_attr_map *map, u64 index)
{
	void **mid = map->root[index >> ROOT_SHIFT];
	u64 bytes = mid_bytes(map, index);

	for (u64 i = 0; i < mid_entries(map, index); i++) {
		if (!entry_is_state(mid[i]))
			bytes += GMEM_LEAF_BYTES;
	}
	return bytes;
}

u64 gmem_attr_map_bytes(const struct gmem_attr_map *map)
{
	u64 bytes = sizeof(*map) + map->nr_root * sizeof(map->root[0]);

	bytes += map->nr_leaves * GMEM_LEAF_BYTES;
	/* Tables that are reserved count as full ones. */
	bytes += map->nr_mids * MID_ENTRIES * sizeof(void *);
	if (map->retired)
		bytes += retired_bytes(map->retired->max);

	for (u64 i = 0; i < map->nr_root; i++) {
		if (!entry_is_state(map->root[i]))
			bytes += mid_tree_bytes(map, i << ROOT_SHIFT);
	}
	return bytes;
}
