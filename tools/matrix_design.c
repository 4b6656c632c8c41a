// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * What each platform has to do with each policy, written down once more: from the
 * design, and not from what the engines announce.
 */
#include "matrix.h"

/* What becomes of a page that is converted. */
enum promise {
	REFUSED,	/* -EOPNOTSUPP, and nothing changed */
	ZEROS,		/* the next reader reads zeros */
	SCRUBBED,	/* the next reader reads undefined bytes */
	KEPT,
	CIPHERTEXT,
	GONE,		/* unreadable; converted again it reads zeros */
	GONE_FOR_GOOD,	/* unreadable; EL2 refuses the guest that asks for it again */
};

static const struct {
	enum promise to_shared;
	enum promise to_private;
} design[GMEM_VM_NR_PLATFORMS][NR_POLICIES] = {
	[GMEM_VM_SW] = {
		[SET_MEMORY_ATTRIBUTES_CONTENT_ZERO]		= { ZEROS, ZEROS },
		[SET_MEMORY_ATTRIBUTES_CONTENT_READABLE]	= { KEPT, KEPT },
		[SET_MEMORY_ATTRIBUTES_CONTENT_ENCRYPTED]	= { REFUSED, REFUSED },
		[SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY]		= { GONE, GONE },
	},
	[GMEM_VM_PKVM] = {
		[SET_MEMORY_ATTRIBUTES_CONTENT_ZERO]		= { ZEROS, ZEROS },
		[SET_MEMORY_ATTRIBUTES_CONTENT_READABLE]	= { KEPT, KEPT },
		[SET_MEMORY_ATTRIBUTES_CONTENT_ENCRYPTED]	= { REFUSED, REFUSED },
		[SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY]		= { GONE_FOR_GOOD,
								    GONE_FOR_GOOD },
	},
	[GMEM_VM_SNP] = {
		[SET_MEMORY_ATTRIBUTES_CONTENT_ZERO]		= { ZEROS, SCRUBBED },
		[SET_MEMORY_ATTRIBUTES_CONTENT_READABLE]	= { REFUSED, REFUSED },
		[SET_MEMORY_ATTRIBUTES_CONTENT_ENCRYPTED]	= { REFUSED, REFUSED },
		[SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY]		= { GONE, GONE },
	},
	[GMEM_VM_TDX] = {
		[SET_MEMORY_ATTRIBUTES_CONTENT_ZERO]		= { ZEROS, ZEROS },
		[SET_MEMORY_ATTRIBUTES_CONTENT_READABLE]	= { REFUSED, REFUSED },
		[SET_MEMORY_ATTRIBUTES_CONTENT_ENCRYPTED]	= { REFUSED, REFUSED },
		[SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY]		= { GONE, GONE },
	},
};

static bool reads(const struct cell *cell, enum seen content)
{
	enum seen host = cell->to_private ? SEEN_SIGBUS : content;

	return !cell->answer && cell->host == host && cell->guest == content &&
	       cell->frame != FRAME_OTHER;
}

static bool unchanged(const struct cell *cell)
{
	return cell->answer == -EOPNOTSUPP && !cell->converted &&
	       cell->host == (cell->to_private ? SEEN_PATTERN : SEEN_SIGBUS) &&
	       cell->guest == SEEN_PATTERN && cell->frame != FRAME_OTHER;
}

static bool unreadable(const struct cell *cell)
{
	return !cell->answer && cell->host == SEEN_SIGBUS && cell->guest == SEEN_FAULT;
}

bool cell_as_designed(uint32_t platform, const struct cell *cell)
{
	enum promise promise = cell->to_private ?
			       design[platform][cell->policy].to_private :
			       design[platform][cell->policy].to_shared;

	if (cell->opted_in)
		promise = CIPHERTEXT;
	switch (promise) {
	case REFUSED:
		return unchanged(cell);
	case ZEROS:
		return reads(cell, SEEN_ZEROS);
	case KEPT:
		return reads(cell, SEEN_PATTERN);
	case SCRUBBED:
	case CIPHERTEXT:
		return reads(cell, SEEN_OTHER);
	case GONE:
		return unreadable(cell) && cell->again == SEEN_ZEROS;
	case GONE_FOR_GOOD:
		return unreadable(cell) && cell->again == SEEN_REFUSED &&
		       cell->again_answer == -EINVAL;
	}
	return false;
}
