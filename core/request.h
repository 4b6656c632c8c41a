/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * A guest's pending request to convert, one for each vCPU: a 64-bit word that
 * only atomic operations touch, so that no lock orders the vCPU that posts and
 * ends it against the ioctls that claim it, and nothing userspace can write
 * takes part.
 *
 *   bit  63      claimed: a conversion past its last refusal owns the word
 *   bit  62      direction: 1 to private
 *   bits 61..22  first gfn
 *   bits 21..0   pages that remain; 0: no request
 *
 * Owner of the transitions:
 *   vCPU        none -> posted (post), posted -> none (end, drop)
 *   conversion  posted -> claimed (claim), claimed -> posted (release: failed;
 *               shrink: some pages remain), claimed -> none (shrink: all done)
 */
#ifndef GMEM_REQUEST_H
#define GMEM_REQUEST_H

#include "gmem_platform.h"

#define GMEM_REQUEST_MAX_PAGES	((1ull << 22) - 1)
#define GMEM_REQUEST_MAX_GFN	((1ull << 40) - 1)

/* Kernel-private; zero-initialised means no request. */
struct gmem_request {
	u64 word;
};

/**
 * gmem_request_post() - publish what the guest asked for
 * @req: the vCPU's word; holds no request
 * @gfn: first page
 * @nr_pages: 1 to GMEM_REQUEST_MAX_PAGES
 * @to_private: direction
 *
 * Context: the vCPU's own thread.
 * Return: 0; -EINVAL for a range that the word cannot hold; -EBUSY if a request
 *	   is pending.
 */
int gmem_request_post(struct gmem_request *req, u64 gfn, u64 nr_pages,
		      bool to_private);

/**
 * gmem_request_match() - may this request stand behind a conversion
 * @req: a vCPU's word
 * @gfn: first page of the conversion
 * @nr_pages: its length
 * @to_private: its direction
 * @snapshot: out: the word as read, for gmem_request_claim()
 *
 * A request is converted from its front on, in one piece or in several.
 *
 * Context: any.
 * Return: true if the request is posted, has this direction, starts at @gfn
 *	   and has at least @nr_pages left.
 */
bool gmem_request_match(const struct gmem_request *req, u64 gfn, u64 nr_pages,
			bool to_private, u64 *snapshot);

/**
 * gmem_request_claim() - take a matched request; the last step that can fail
 * @req: the word
 * @snapshot: what gmem_request_match() read
 *
 * Context: any.
 * Return: 0; -EAGAIN if the word changed since.
 */
int gmem_request_claim(struct gmem_request *req, u64 snapshot);

/**
 * gmem_request_release() - give a claimed request back unused
 * @req: the word, claimed by the caller
 *
 * Context: any.
 */
void gmem_request_release(struct gmem_request *req);

/**
 * gmem_request_shrink() - take converted pages off the front
 * @req: the word, claimed by the caller
 * @nr_pages: pages converted, as matched
 *
 * Context: any.
 */
void gmem_request_shrink(struct gmem_request *req, u64 nr_pages);

/**
 * gmem_request_end() - end the vCPU's request, if it has one
 * @req: the word
 *
 * Waits while a conversion owns the word.
 *
 * Context: the vCPU's own thread; may sleep.
 * Return: pages that were not converted; 0 if all were, or nothing was asked.
 */
u64 gmem_request_end(struct gmem_request *req);

#endif /* GMEM_REQUEST_H */
