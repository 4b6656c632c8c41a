// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The attribute map against a plain array, by random operations.  Built once
 * with the real chunk sizes and again with small ones, where a few hundred
 * pages have every kind of boundary.
 */
#include "unit.h"
#include "attr_map.c"

/* Chunks of the real size take longer to look through. */
#define NR_OPERATIONS	(ROOT_PAGES > 4096 ? 60000ull : 2000000ull)

struct model {
	struct gmem_attr_map *map;
	u64 nr_pages;
	u8 *attrs;
	u64 seed;
};

static u64 random_below(struct model *model, u64 bound)
{
	return unit_random(&model->seed) % bound;
}

/* Mostly short ranges, often on a boundary, sometimes everything. */
static void random_range(struct model *model, u64 *start, u64 *end)
{
	u64 nr = model->nr_pages, len;

	*start = random_below(model, nr);
	if (random_below(model, 4) == 0)
		*start &= ~(LEAF_PAGES - 1);
	if (random_below(model, 8) == 0)
		*start &= ~(ROOT_PAGES - 1);

	switch (random_below(model, 8)) {
	case 0:
		len = nr;
		break;
	case 1:
		len = ROOT_PAGES;
		break;
	case 2:
		len = LEAF_PAGES;
		break;
	case 3:
		len = 1 + random_below(model, nr);
		break;
	case 4:
		len = 1 + random_below(model, 2 * LEAF_PAGES);
		break;
	default:
		len = 1 + random_below(model, 3);
	}
	*end = min(*start + len, nr);
}

static void assert_page(struct model *model, u64 index)
{
	assert_int_equal(gmem_attr_map_get(model->map, index), model->attrs[index]);
}

/* The run at @start, with the map's answer. */
static u64 assert_run(struct model *model, u64 start, u64 limit)
{
	unsigned int attrs;
	u64 end = start;

	while (end < limit && model->attrs[end] == model->attrs[start])
		end++;
	assert_int_equal(gmem_attr_map_run(model->map, start, limit, &attrs), end);
	assert_int_equal(attrs, model->attrs[start]);
	return end;
}

/* Bytes as the pattern demands: a table or leaf exactly where one is needed. */
static u64 model_bytes(struct model *model)
{
	u64 bytes = sizeof(struct gmem_attr_map) + model->map->nr_root * sizeof(void *);

	if (model->map->retired)
		bytes += retired_bytes(RETIRED_SPARE);
	for (u64 start = 0; start < model->nr_pages; start += ROOT_PAGES) {
		u64 end = min(start + ROOT_PAGES, model->nr_pages);
		bool mixed = false;

		for (u64 leaf = start; leaf < end; leaf += LEAF_PAGES) {
			u64 leaf_end = min(leaf + LEAF_PAGES, end);
			u64 i = leaf;

			while (i < leaf_end && model->attrs[i] == model->attrs[leaf])
				i++;
			if (i < leaf_end)
				bytes += GMEM_LEAF_BYTES;
			mixed |= i < leaf_end || model->attrs[leaf] != model->attrs[start];
		}
		if (mixed)
			bytes += mid_bytes(model->map, start);
	}
	return bytes;
}

static void assert_everything(struct model *model)
{
	for (u64 i = 0; i < model->nr_pages; )
		i = assert_run(model, i, model->nr_pages);
	for (u64 i = 0; i < model->nr_pages; i++)
		assert_page(model, i);
	assert_int_equal(gmem_attr_map_bytes(model->map), model_bytes(model));
}

static void operate(struct model *model)
{
	unsigned int attrs = random_below(model, GMEM_ATTR_MASK + 1);
	u64 start, end, probe;
	int ret;

	random_range(model, &start, &end);

	if (random_below(model, 16) == 0)
		gmem_memory.until_failure = random_below(model, 5);
	ret = gmem_attr_map_prepare(model->map, start, end, attrs);
	gmem_memory.until_failure = -1;

	if (ret) {
		assert_int_equal(ret, -ENOMEM);
	} else if (random_below(model, 8) == 0) {
		gmem_attr_map_cancel(model->map);
	} else {
		gmem_attr_map_commit(model->map, start, end, attrs);
		memset(model->attrs + start, attrs, end - start);
		assert_page(model, start);
		assert_page(model, end - 1);
	}

	if (start)
		assert_page(model, start - 1);
	if (end < model->nr_pages)
		assert_page(model, end);
	probe = random_below(model, model->nr_pages);
	assert_run(model, probe, probe + 1 + random_below(model, model->nr_pages - probe));
}

static void run_model(u64 nr_pages, u64 operations, u64 seed)
{
	struct model model = { .nr_pages = nr_pages, .seed = seed };
	unsigned int attrs = random_below(&model, GMEM_ATTR_MASK + 1);

	model.attrs = malloc(nr_pages);
	assert_non_null(model.attrs);
	memset(model.attrs, attrs, nr_pages);
	assert_int_equal(gmem_attr_map_create(&model.map, nr_pages, attrs), 0);

	for (u64 i = 0; i < operations; i++) {
		operate(&model);
		if (i % 4096 == 0)
			assert_everything(&model);
	}
	assert_everything(&model);

	gmem_attr_map_destroy(model.map);
	gmem_defer_flush();
	assert_int_equal(gmem_memory.leaves, 0);
	assert_int_equal(gmem_memory.tables, 0);
	free(model.attrs);
}

static void agrees_with_a_plain_array(void **state)
{
	static const u64 sizes[] = {
		1, 2, WORD_PAGES + 1, LEAF_PAGES - 1, LEAF_PAGES, 2 * LEAF_PAGES + 1,
		ROOT_PAGES - 1, ROOT_PAGES, ROOT_PAGES + 1,
		2 * ROOT_PAGES + LEAF_PAGES + WORD_PAGES / 2,
	};
	u64 seed = unit_seed();

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		run_model(sizes[i], NR_OPERATIONS * unit_scale() / ARRAY_SIZE(sizes),
			  seed + i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_a_plain_array),
	};

	return cmocka_run_group_tests_name("attr_map_model", tests, NULL, NULL);
}
