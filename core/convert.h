/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * The conversion transaction: all or nothing.
 *
 *   platform support -> authorise -> reserve map memory -> begin
 *     -> [to private or destroyed: unmap what is shared]
 *     -> check pages (references, poison) -> signals -> claim the request
 *   ---- point of no return ----
 *     -> [to shared or destroyed: unmap what is private]
 *     -> content step -> platform's own conversion -> set the map -> end
 *
 * Every step before the point of no return may fail; the transaction then
 * undoes what it did and the attributes, the contents, the owed zeros and the
 * guest's request are as before.  No step after it fails but for a dead VM.
 *
 * The caller holds the lock that makes it the map's only writer and keeps both
 * fault paths out (the file's invalidate lock, exclusively).
 */
#ifndef GMEM_CONVERT_H
#define GMEM_CONVERT_H

#include "gmem_platform.h"
#include "attr_map.h"
#include "policy.h"
#include "request.h"

struct gmem_conversion;

/**
 * struct gmem_convert_ops - what a conversion needs from its surroundings
 *
 * Ranges are pages of the file, [@start, @end), inside the request, and at
 * least one page.  Within one callback kind they come in ascending order and
 * do not overlap.  @attrs is the state of every page in the range before the
 * conversion.  NULL means there is nothing to do, where a callback is marked
 * optional.
 *
 * @supported: does the platform honour the policy for the whole request.
 *	Changes nothing.  Returns 0 or -errno (-EOPNOTSUPP, -EPERM).
 * @authorise: optional.  Did the guest ask for exactly this.  Offers the guest's
 *	requests by gmem_conversion_offer(); one that is taken is claimed later.
 *	Changes nothing.  Returns 0 or -errno (-EPERM).
 * @begin: from here to @end no new mapping of the range may appear on either
 *	side, and the lookups of readers that race are repeated.  Cannot fail.
 * @unmap_shared: remove, by @flush at the latest, every mapping by which host
 *	or guest reaches pages that are shared now.  Losing them loses nothing:
 *	they fault back in if the request is refused afterwards.
 * @flush: no processor uses what unmap_* removed any more.  Called once after
 *	each of the two, if it ran at all.
 * @check: can each populated page of the range be converted: no reference that
 *	the file does not own if @exclusive, no poison if @content needs to read
 *	or clear it.  May wait, for a bounded time, for references that go away
 *	by themselves.  Changes nothing.  Returns 0, or -EAGAIN, -EHWPOISON or
 *	-EINTR with the first page that stood in the way in @error_index.
 * @interrupted: optional.  Returns -EINTR if a signal is pending, else 0.
 * @unmap_private: remove every guest mapping of pages that are private now.
 *	Past the point of no return.
 * @content: make the pages hold what @content (a policy) promises.
 *	Past the point of no return.
 * @platform: optional.  The platform's own conversion of pages from @attrs to
 *	gmem_policy_target().  Past the point of no return.  Returns 0, or -EIO
 *	if the VM is dead now.
 * @end: the opposite of @begin; called whenever @begin was.
 */
struct gmem_convert_ops {
	int (*supported)(struct gmem_conversion *conv);
	int (*authorise)(struct gmem_conversion *conv);
	void (*begin)(struct gmem_conversion *conv);
	void (*unmap_shared)(struct gmem_conversion *conv, u64 start, u64 end);
	void (*flush)(struct gmem_conversion *conv);
	int (*check)(struct gmem_conversion *conv, u64 start, u64 end,
		     bool exclusive, u32 content, u64 *error_index);
	int (*interrupted)(struct gmem_conversion *conv);
	void (*unmap_private)(struct gmem_conversion *conv, u64 start, u64 end);
	void (*content)(struct gmem_conversion *conv, u64 start, u64 end,
			unsigned int attrs, u32 content);
	int (*platform)(struct gmem_conversion *conv, u64 start, u64 end,
			unsigned int attrs);
	void (*end)(struct gmem_conversion *conv);
};

/**
 * struct gmem_conversion - one request on its way; embed it to reach your own
 * @ops: the surroundings
 * @map: the file's map
 * @start: first page
 * @nr_pages: length; the range lies inside the map
 * @policy: a known policy
 * @to_private: direction
 * @request: the guest's request, of those offered; NULL if none matched
 * @request_snapshot: its word, for gmem_request_claim()
 * @converted: out: pages that the request converted; 0 on failure
 * @error_index: out: on failure the first page that stood in the way, @start
 *	where the refusal names no page
 */
struct gmem_conversion {
	const struct gmem_convert_ops *ops;
	struct gmem_attr_map *map;
	u64 start;
	u64 nr_pages;
	u32 policy;
	bool to_private;
	struct gmem_request *request;
	u64 request_snapshot;
	u64 converted;
	u64 error_index;
};

/* gmem_conversion_offer() of a word that was not empty a moment ago. */
void __gmem_conversion_offer(struct gmem_conversion *conv, struct gmem_request *req,
			     u64 gfn);

/**
 * gmem_conversion_offer() - offer a request for the conversion to use
 * @conv: the conversion
 * @req: a vCPU's word
 * @gfn: the guest's number of the conversion's first page, the same for each offer
 *
 * Of the requests that match, offered in whatever order, the conversion takes the
 * shortest, and of equal ones the first: a longer one would lose its front, and
 * nobody could serve it as a whole.
 *
 * Context: @authorise, for each vCPU; most have asked for nothing.
 */
static inline void gmem_conversion_offer(struct gmem_conversion *conv,
					 struct gmem_request *req, u64 gfn)
{
	if (READ_ONCE(req->word))
		__gmem_conversion_offer(conv, req, gfn);
}

/**
 * gmem_convert() - convert a range, or refuse and change nothing
 * @conv: the request; arguments already checked by gmem_args_check()
 *
 * Context: may sleep; the caller is the map's only writer.
 * Return: 0; -errno of the step that refused; -EIO if the VM died past the
 *	   point of no return.
 */
int gmem_convert(struct gmem_conversion *conv);

#endif /* GMEM_CONVERT_H */
