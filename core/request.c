// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Guest requests; request.h says who may do what to the word.
 *
 * The word is 0 if and only if there is no request.  While it is claimed only
 * the claimer stores to it, so giving it back needs no compare-and-exchange.
 */
#include "request.h"

#define CLAIMED		(1ull << 63)
#define TO_PRIVATE	(1ull << 62)
#define GFN_SHIFT	22

static u64 word_gfn(u64 word)
{
	return word >> GFN_SHIFT & GMEM_REQUEST_MAX_GFN;
}

static u64 word_pages(u64 word)
{
	return word & GMEM_REQUEST_MAX_PAGES;
}

static u64 make_word(u64 gfn, u64 nr_pages, bool to_private)
{
	return (to_private ? TO_PRIVATE : 0) | gfn << GFN_SHIFT | nr_pages;
}

int gmem_request_post(struct gmem_request *req, u64 gfn, u64 nr_pages,
		      bool to_private)
{
	if (!nr_pages || nr_pages > GMEM_REQUEST_MAX_PAGES ||
	    gfn > GMEM_REQUEST_MAX_GFN ||
	    nr_pages - 1 > GMEM_REQUEST_MAX_GFN - gfn)
		return -EINVAL;
	/* Nobody else stores to a word that holds no request. */
	if (READ_ONCE(req->word))
		return -EBUSY;

	smp_store_release(&req->word, make_word(gfn, nr_pages, to_private));
	return 0;
}

bool gmem_request_match(const struct gmem_request *req, u64 gfn, u64 nr_pages,
			bool to_private, u64 *snapshot)
{
	u64 word = smp_load_acquire(&req->word);

	if (word & CLAIMED || !nr_pages)
		return false;
	if (!!(word & TO_PRIVATE) != to_private || word_gfn(word) != gfn ||
	    word_pages(word) < nr_pages)
		return false;

	*snapshot = word;
	return true;
}

int gmem_request_claim(struct gmem_request *req, u64 snapshot)
{
	if (!snapshot || snapshot & CLAIMED)
		return -EAGAIN;
	if (cmpxchg(&req->word, snapshot, snapshot | CLAIMED) != snapshot)
		return -EAGAIN;
	return 0;
}

void gmem_request_release(struct gmem_request *req)
{
	u64 word = READ_ONCE(req->word);

	if (WARN_ON_ONCE(!(word & CLAIMED)))
		return;
	smp_store_release(&req->word, word & ~CLAIMED);
}

void gmem_request_shrink(struct gmem_request *req, u64 nr_pages)
{
	u64 word = READ_ONCE(req->word);
	u64 left = word_pages(word);

	if (WARN_ON_ONCE(!(word & CLAIMED)))
		return;
	if (nr_pages < left)
		word = make_word(word_gfn(word) + nr_pages, left - nr_pages,
				 word & TO_PRIVATE);
	else
		word = 0;
	smp_store_release(&req->word, word);
}

u64 gmem_request_end(struct gmem_request *req)
{
	for (;;) {
		/* Whoever gave the word back has done what it stands for. */
		u64 word = smp_load_acquire(&req->word);

		if (!word)
			return 0;
		if (word & CLAIMED)
			gmem_wait();
		else if (cmpxchg(&req->word, word, 0) == word)
			return word_pages(word);
	}
}
