/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * A file with a guest and a host, small enough to compare byte for byte: the
 * surroundings of a conversion in its tests.
 *
 * Each callback checks what must be true when it runs, does its duty on the
 * pages, writes itself into a log, and may be told to fail.
 */
#ifndef GMEM_CONVERT_WORLD_H
#define GMEM_CONVERT_WORLD_H

#include "unit.h"
#include "convert.h"

#define WORLD_PAGES	600
#define WORLD_GFN	0x1000

#define ZERO		SET_MEMORY_ATTRIBUTES_CONTENT_ZERO
#define READABLE	SET_MEMORY_ATTRIBUTES_CONTENT_READABLE
#define DESTROY		SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY

#define SHARED		0
#define PRIVATE		GMEM_ATTR_PRIVATE
#define DESTROYED	GMEM_ATTR_DESTROYED

enum step {
	STEP_NONE,
	STEP_SUPPORTED,
	STEP_AUTHORISE,
	STEP_CHECK,
	STEP_INTERRUPTED,
	STEP_PLATFORM,
};

/* All that a refused conversion must leave as it was. */
struct page {
	u8 attrs;	/* the map's answer */
	u8 content;	/* 0: unpopulated */
	bool owes_zeros;
	bool platform_private;
};

struct world {
	struct gmem_conversion conv;
	struct gmem_attr_map *map;
	struct gmem_request request;
	bool guest_asks;	/* authorise needs a matching request */
	bool lose_claim;	/* the vCPU ends its request during check */

	struct page pages[WORLD_PAGES];
	bool mapped_shared[WORLD_PAGES];
	bool mapped_private[WORLD_PAGES];
	bool pinned[WORLD_PAGES];
	bool poisoned[WORLD_PAGES];

	/* The step that fails, the how manieth time, and with what. */
	enum step fail_step;
	int fail_nth;
	int fail_error;

	/* The state before, and where the transaction is. */
	struct page before[WORLD_PAGES];
	u64 word_before;
	u64 map_bytes_before;
	bool began;
	bool ended;
	bool unflushed;
	bool committed_to;	/* past the point of no return */
	int calls[STEP_PLATFORM + 1];
	char log[4096];
	size_t log_len;
};

static void world_log(struct world *world, const char *format, ...)
{
	size_t room = sizeof(world->log) - world->log_len;
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(world->log + world->log_len, room, format, args);
	va_end(args);
	world->log_len += min((size_t)len, room - 1);
}

static struct world *world_of(struct gmem_conversion *conv)
{
	return container_of(conv, struct world, conv);
}

static u64 conv_end(const struct gmem_conversion *conv)
{
	return conv->start + conv->nr_pages;
}

/* Nothing that lasts has changed, the guest's request aside. */
static void assert_untouched(struct world *world)
{
	for (u64 i = 0; i < WORLD_PAGES; i++) {
		assert_int_equal(gmem_attr_map_get(world->map, i), world->before[i].attrs);
		assert_memory_equal(&world->pages[i], &world->before[i],
				    sizeof(world->pages[i]));
	}
}

static void assert_map_as_before(struct world *world, u64 start, u64 end)
{
	for (u64 i = start; i < end; i++)
		assert_int_equal(gmem_attr_map_get(world->map, i), world->before[i].attrs);
}

/* A range that a callback gets: inside, one state, and it converts. */
static void assert_range(struct world *world, u64 start, u64 end, unsigned int attrs)
{
	assert_true(start < end);
	assert_true(start >= world->conv.start && end <= conv_end(&world->conv));
	for (u64 i = start; i < end; i++)
		assert_int_equal(world->before[i].attrs, attrs);
	assert_true(gmem_policy_converts(world->conv.policy, world->conv.to_private, attrs));
}

static void assert_before_no_return(struct world *world)
{
	assert_false(world->committed_to);
	assert_untouched(world);
	if (!world->lose_claim)
		assert_true(world->request.word == world->word_before);
}

/* The claim is the gate: whoever passes it owns the request. */
static void assert_past_no_return(struct world *world)
{
	world->committed_to = true;
	assert_true(world->began && !world->ended);
	if (world->guest_asks)
		assert_true(world->request.word == (world->word_before | 1ull << 63));
	assert_map_as_before(world, 0, WORLD_PAGES);
}

static int world_fail(struct world *world, enum step step)
{
	if (world->calls[step]++ == world->fail_nth && world->fail_step == step)
		return world->fail_error;
	return 0;
}

static int world_supported(struct gmem_conversion *conv)
{
	struct world *world = world_of(conv);

	assert_before_no_return(world);
	assert_false(world->began);
	world_log(world, "supported ");
	return world_fail(world, STEP_SUPPORTED);
}

static int world_authorise(struct gmem_conversion *conv)
{
	struct world *world = world_of(conv);

	assert_before_no_return(world);
	assert_false(world->began);
	world_log(world, "authorise ");
	if (world_fail(world, STEP_AUTHORISE))
		return world->fail_error;
	if (!world->guest_asks)
		return 0;
	gmem_conversion_offer(conv, &world->request, WORLD_GFN + conv->start);
	return conv->request ? 0 : -EPERM;
}

static void world_begin(struct gmem_conversion *conv)
{
	struct world *world = world_of(conv);

	assert_before_no_return(world);
	assert_false(world->began);
	world->began = true;
	/* What may fail for want of memory has not failed. */
	gmem_memory.until_failure = 0;
	world_log(world, "begin ");
}

static void world_unmap_shared(struct gmem_conversion *conv, u64 start, u64 end)
{
	struct world *world = world_of(conv);

	assert_before_no_return(world);
	assert_true(world->began);
	assert_range(world, start, end, SHARED);
	for (u64 i = start; i < end; i++)
		world->mapped_shared[i] = false;
	world->unflushed = true;
	world_log(world, "unmap_shared[%llu,%llu) ", start, end);
}

static void world_flush(struct gmem_conversion *conv)
{
	struct world *world = world_of(conv);

	assert_true(world->unflushed);
	world->unflushed = false;
	world_log(world, "flush ");
}

static int world_check(struct gmem_conversion *conv, u64 start, u64 end,
		       bool exclusive, u32 content, u64 *error_index)
{
	struct world *world = world_of(conv);
	unsigned int attrs = world->before[start].attrs;

	assert_before_no_return(world);
	assert_true(world->began);
	assert_false(world->unflushed);
	assert_range(world, start, end, attrs);
	assert_int_equal(exclusive, attrs == SHARED);
	assert_int_equal(content, gmem_policy_content(conv->policy, attrs));
	/* No mapping is left through which a new reference could appear. */
	for (u64 i = start; i < end; i++)
		assert_false(attrs == SHARED && world->mapped_shared[i]);
	world_log(world, "check[%llu,%llu)%s ", start, end, exclusive ? "x" : "");

	if (world->lose_claim)
		gmem_request_end(&world->request);
	if (world_fail(world, STEP_CHECK)) {
		*error_index = end - 1;
		return world->fail_error;
	}
	for (u64 i = start; i < end; i++) {
		bool touch = content == ZERO || content == READABLE;

		*error_index = i;
		if (exclusive && world->pinned[i])
			return -EAGAIN;
		if (touch && world->poisoned[i])
			return -EHWPOISON;
	}
	return 0;
}

static int world_interrupted(struct gmem_conversion *conv)
{
	struct world *world = world_of(conv);

	assert_before_no_return(world);
	return world_fail(world, STEP_INTERRUPTED);
}

static void world_unmap_private(struct gmem_conversion *conv, u64 start, u64 end)
{
	struct world *world = world_of(conv);

	assert_past_no_return(world);
	assert_range(world, start, end, PRIVATE);
	for (u64 i = start; i < end; i++)
		world->mapped_private[i] = false;
	world->unflushed = true;
	world_log(world, "unmap_private[%llu,%llu) ", start, end);
}

static void world_content(struct gmem_conversion *conv, u64 start, u64 end,
			  unsigned int attrs, u32 content)
{
	struct world *world = world_of(conv);

	assert_past_no_return(world);
	assert_false(world->unflushed);
	assert_range(world, start, end, attrs);
	assert_int_equal(content, gmem_policy_content(conv->policy, attrs));
	world_log(world, "content[%llu,%llu)%c ", start, end, "ZRED"[content]);
	for (u64 i = start; i < end; i++) {
		struct page *page = &world->pages[i];

		assert_false(world->mapped_shared[i] || world->mapped_private[i]);
		/* The platform has not turned the page over yet. */
		assert_int_equal(page->platform_private, world->before[i].platform_private);
		if (content == ZERO && page->content)
			page->owes_zeros = true;
		if (content == DESTROY) {
			page->content = 0;
			page->owes_zeros = false;
		}
	}
}

static int world_platform(struct gmem_conversion *conv, u64 start, u64 end,
			  unsigned int attrs)
{
	struct world *world = world_of(conv);

	assert_past_no_return(world);
	assert_range(world, start, end, attrs);
	world_log(world, "platform[%llu,%llu) ", start, end);
	/* A dead platform does not turn the pages over. */
	if (world_fail(world, STEP_PLATFORM))
		return world->fail_error;
	for (u64 i = start; i < end; i++)
		world->pages[i].platform_private = conv->to_private;
	return 0;
}

static void world_end(struct gmem_conversion *conv)
{
	struct world *world = world_of(conv);

	assert_true(world->began);
	assert_false(world->ended);
	assert_false(world->unflushed);
	world->ended = true;
	gmem_memory.until_failure = -1;
	if (world->committed_to) {
		unsigned int target = gmem_policy_target(conv->policy, conv->to_private);

		/* Set before the vCPU or a fault may look again. */
		for (u64 i = conv->start; i < conv_end(conv); i++)
			assert_int_equal(gmem_attr_map_get(world->map, i), target);
	} else {
		assert_map_as_before(world, 0, WORLD_PAGES);
	}
	world_log(world, "end ");
}

static const struct gmem_convert_ops world_ops = {
	.supported = world_supported,
	.authorise = world_authorise,
	.begin = world_begin,
	.unmap_shared = world_unmap_shared,
	.flush = world_flush,
	.check = world_check,
	.interrupted = world_interrupted,
	.unmap_private = world_unmap_private,
	.content = world_content,
	.platform = world_platform,
	.end = world_end,
};

/* Only what a platform without consent, signals or hardware needs. */
static const struct gmem_convert_ops world_least_ops = {
	.supported = world_supported,
	.begin = world_begin,
	.unmap_shared = world_unmap_shared,
	.flush = world_flush,
	.check = world_check,
	.unmap_private = world_unmap_private,
	.content = world_content,
	.end = world_end,
};

static struct world *world_create(void)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	assert_int_equal(gmem_attr_map_create(&world->map, WORLD_PAGES, SHARED), 0);
	return world;
}

static void world_destroy(struct world *world)
{
	gmem_attr_map_destroy(world->map);
	gmem_defer_flush();
	assert_int_equal(gmem_memory.leaves, 0);
	assert_int_equal(gmem_memory.tables, 0);
	free(world);
}

/* Give pages a state, with contents and mappings as they would have them. */
static void world_set(struct world *world, u64 start, u64 end, unsigned int attrs)
{
	assert_int_equal(gmem_attr_map_prepare(world->map, start, end, attrs), 0);
	gmem_attr_map_commit(world->map, start, end, attrs);
	for (u64 i = start; i < end; i++) {
		bool destroyed = attrs & DESTROYED;

		world->pages[i].attrs = attrs;
		/* Every fifth page was never touched. */
		world->pages[i].content = destroyed || i % 5 == 4 ? 0 : 1 + i % 200;
		world->pages[i].owes_zeros = !destroyed && i % 5 != 4 && i % 7 == 3;
		world->pages[i].platform_private = attrs & PRIVATE;
		world->mapped_shared[i] = attrs == SHARED && i % 2;
		world->mapped_private[i] = attrs == PRIVATE && i % 3;
	}
}

/* The guest asks for exactly what the request below will convert. */
static void world_post(struct world *world, u64 start, u64 nr_pages, bool to_private)
{
	gmem_request_end(&world->request);
	assert_int_equal(gmem_request_post(&world->request, WORLD_GFN + start,
					   nr_pages, to_private), 0);
	world->guest_asks = true;
}

static int world_convert(struct world *world, const struct gmem_convert_ops *ops,
			 u64 start, u64 end, u32 policy, bool to_private)
{
	int ret;

	for (u64 i = 0; i < WORLD_PAGES; i++)
		world->pages[i].attrs = gmem_attr_map_get(world->map, i);
	memcpy(world->before, world->pages, sizeof(world->before));
	world->word_before = world->request.word;
	world->map_bytes_before = gmem_attr_map_bytes(world->map);
	world->began = false;
	world->ended = false;
	world->unflushed = false;
	world->committed_to = false;
	memset(world->calls, 0, sizeof(world->calls));
	world->log_len = 0;
	world->log[0] = 0;

	world->conv = (struct gmem_conversion){
		.ops = ops,
		.map = world->map,
		.start = start,
		.nr_pages = end - start,
		.policy = policy,
		.to_private = to_private,
		/* Left over from somewhere else. */
		.converted = 77,
		.error_index = 78,
	};
	ret = gmem_convert(&world->conv);
	gmem_memory.until_failure = -1;

	assert_int_equal(world->began, world->ended);
	for (u64 i = 0; i < WORLD_PAGES; i++)
		world->pages[i].attrs = gmem_attr_map_get(world->map, i);
	return ret;
}

/* What the policy table says about one page, written a second time. */
static struct page expected_page(struct page page, u32 policy, bool to_private)
{
	unsigned int attribute = to_private ? PRIVATE : SHARED;

	if (policy != DESTROY && page.attrs == attribute)
		return page;

	if (policy == DESTROY) {
		page.content = 0;
		page.owes_zeros = false;
		attribute |= DESTROYED;
	} else if (policy == ZERO || page.attrs & DESTROYED) {
		page.owes_zeros = page.content;
	}
	page.attrs = attribute;
	page.platform_private = to_private;
	return page;
}

static void assert_converted(struct world *world)
{
	struct gmem_conversion *conv = &world->conv;
	u64 converted = 0;

	for (u64 i = 0; i < WORLD_PAGES; i++) {
		bool inside = i >= conv->start && i < conv_end(conv);
		struct page page = world->before[i];

		if (inside) {
			page = expected_page(page, conv->policy, conv->to_private);
			converted += conv->policy == DESTROY ||
				     page.attrs != world->before[i].attrs;
		}
		assert_memory_equal(&world->pages[i], &page, sizeof(page));
	}
	assert_int_equal(conv->converted, converted);
	if (world->guest_asks)
		assert_true(world->request.word == 0);
}

static void assert_refused(struct world *world, u64 error_index)
{
	assert_untouched(world);
	/* No reservation stays but a spare list, smaller than any leaf. */
	assert_true(gmem_attr_map_bytes(world->map) <
		    world->map_bytes_before + GMEM_LEAF_BYTES);
	assert_int_equal(world->conv.converted, 0);
	assert_int_equal(world->conv.error_index, error_index);
	if (!world->lose_claim)
		assert_true(world->request.word == world->word_before);
}

#endif /* GMEM_CONVERT_WORLD_H */
