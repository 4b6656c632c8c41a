// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The conversion transaction; convert.h says what each step must do.
 *
 * What it walks are runs: maximal stretches of pages of one state that the
 * request converts.  Nothing changes the map before commit, so every walk
 * meets the same runs.
 */
#include "convert.h"

struct run {
	u64 start;
	u64 end;
	unsigned int attrs;
};

/* Step to the next run that the request converts; start from a zeroed one. */
static bool next_run(const struct gmem_conversion *conv, struct run *run)
{
	u64 end = conv->start + conv->nr_pages;

	run->start = max(run->end, conv->start);
	while (run->start < end) {
		run->end = gmem_attr_map_run(conv->map, run->start, end,
					     &run->attrs);
		if (gmem_policy_converts(conv->policy, conv->to_private,
					 run->attrs))
			return true;
		run->start = run->end;
	}
	return false;
}

/* Destroyed pages are neither: nobody reaches them. */
static bool run_is_shared(const struct run *run)
{
	return !(run->attrs & (GMEM_ATTR_PRIVATE | GMEM_ATTR_DESTROYED));
}

static bool run_is_private(const struct run *run)
{
	return run->attrs & GMEM_ATTR_PRIVATE &&
	       !(run->attrs & GMEM_ATTR_DESTROYED);
}

static bool converts_anything(const struct gmem_conversion *conv)
{
	struct run run = {};

	return next_run(conv, &run);
}

static int interrupted(struct gmem_conversion *conv)
{
	return conv->ops->interrupted ? conv->ops->interrupted(conv) : 0;
}

/* A run that converts and is shared goes private or is destroyed. */
static int unmap_shared(struct gmem_conversion *conv)
{
	struct run run = {};
	bool flush = false;
	int ret = 0;

	while (!ret && next_run(conv, &run)) {
		if (!run_is_shared(&run))
			continue;
		conv->ops->unmap_shared(conv, run.start, run.end);
		flush = true;
		/* Between runs, since there may be many. */
		ret = interrupted(conv);
	}
	if (flush)
		conv->ops->flush(conv);
	return ret;
}

static void unmap_private(struct gmem_conversion *conv)
{
	struct run run = {};
	bool flush = false;

	while (next_run(conv, &run)) {
		if (!run_is_private(&run))
			continue;
		conv->ops->unmap_private(conv, run.start, run.end);
		flush = true;
	}
	if (flush)
		conv->ops->flush(conv);
}

static int check(struct gmem_conversion *conv)
{
	struct run run = {};
	int ret;

	while (next_run(conv, &run)) {
		u32 content = gmem_policy_content(conv->policy, run.attrs);
		u64 index = conv->start;

		ret = conv->ops->check(conv, run.start, run.end,
				       run_is_shared(&run), content, &index);
		if (ret) {
			conv->error_index = index;
			return ret;
		}
		ret = interrupted(conv);
		if (ret)
			return ret;
	}
	return 0;
}

void __gmem_conversion_offer(struct gmem_conversion *conv, struct gmem_request *req,
			     u64 gfn)
{
	u64 word;

	if (!gmem_request_match(req, gfn, conv->nr_pages, conv->to_private, &word))
		return;
	/* Words that match differ in the pages that remain, the lowest bits. */
	if (conv->request && word >= conv->request_snapshot)
		return;

	conv->request = req;
	conv->request_snapshot = word;
}

static int claim(struct gmem_conversion *conv)
{
	if (!conv->request)
		return 0;
	return gmem_request_claim(conv->request, conv->request_snapshot);
}

/* The request's claim ends here: these pages are done. */
static void serve(struct gmem_conversion *conv)
{
	if (conv->request)
		gmem_request_shrink(conv->request, conv->nr_pages);
}

/*
 * Past the point of no return.  If the VM dies on the way, go on: the pages
 * behind must not keep what their new owner was promised not to see.
 */
static int change(struct gmem_conversion *conv)
{
	struct run run = {};
	u64 converted = 0;
	int ret = 0;

	unmap_private(conv);

	while (next_run(conv, &run)) {
		int err = 0;

		conv->ops->content(conv, run.start, run.end, run.attrs,
				   gmem_policy_content(conv->policy, run.attrs));
		if (conv->ops->platform)
			err = conv->ops->platform(conv, run.start, run.end,
						  run.attrs);
		if (err)
			ret = -EIO;
		converted += run.end - run.start;
	}

	gmem_attr_map_commit(conv->map, conv->start,
			     conv->start + conv->nr_pages,
			     gmem_policy_target(conv->policy, conv->to_private));
	if (!ret)
		conv->converted = converted;
	return ret;
}

int gmem_convert(struct gmem_conversion *conv)
{
	unsigned int target = gmem_policy_target(conv->policy, conv->to_private);
	u64 end = conv->start + conv->nr_pages;
	int ret;

	conv->request = NULL;
	conv->request_snapshot = 0;
	conv->converted = 0;
	conv->error_index = conv->start;

	ret = conv->ops->supported(conv);
	if (ret)
		return ret;

	if (conv->ops->authorise) {
		ret = conv->ops->authorise(conv);
		if (ret)
			return ret;
	}

	/* The guest's request is served even if it asked for what is there. */
	if (!converts_anything(conv)) {
		ret = claim(conv);
		if (!ret)
			serve(conv);
		return ret;
	}

	/* What the request leaves alone has the target state already. */
	ret = gmem_attr_map_prepare(conv->map, conv->start, end, target);
	if (ret)
		return ret;

	conv->ops->begin(conv);
	ret = unmap_shared(conv);
	if (!ret)
		ret = check(conv);
	if (!ret)
		ret = claim(conv);
	if (ret) {
		gmem_attr_map_cancel(conv->map);
	} else {
		ret = change(conv);
		serve(conv);
	}

	conv->ops->end(conv);
	return ret;
}
