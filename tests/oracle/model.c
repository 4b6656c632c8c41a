// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The model of conversions, written from the design: nothing here is the engine's.
 */
#include "world.h"

static bool offered(const struct world *world, uint32_t policy, bool to_private)
{
	switch (policy) {
	case ZERO:
	case DESTROY:
		return true;
	case READABLE:
		return !encrypts(world);
	default:
		return world->encrypted && !to_private;
	}
}

static enum page_state target_state(uint32_t policy, bool to_private)
{
	if (policy == DESTROY)
		return to_private ? DESTROYED_PRIVATE : DESTROYED_SHARED;
	return to_private ? PRIVATE : SHARED;
}

static bool converts(const struct page *page, uint32_t policy, bool to_private)
{
	return policy == DESTROY || page->state != target_state(policy, to_private);
}

static bool is_requested(const struct actor *actor, uint64_t first, uint64_t nr,
			 bool to_private)
{
	const struct request *request = &actor->request;

	return request->nr >= nr && request->first == first &&
	       request->to_private == to_private;
}

/* pKVM: why EL2 does not let the page be converted, or 0. */
static int owner_refuses(const struct page *page, bool to_private)
{
	if (page->owner == OWNER_POISON)
		return -EHWPOISON;
	return page->owner == OWNER_GUEST && !to_private ? -EPERM : 0;
}

struct verdict model_convert(const struct actor *actor, uint64_t first, uint64_t nr,
			     bool to_private, uint32_t policy)
{
	const struct world *world = actor->world;
	bool pkvm = world->platform == GMEM_VM_PKVM && world->running;
	struct verdict verdict = { .error_page = first };
	struct verdict refused = { 0 };

	if (!offered(world, policy, to_private)) {
		verdict.answer = -EOPNOTSUPP;
		return verdict;
	}
	if (pkvm && !is_requested(actor, first, nr, to_private)) {
		verdict.answer = -EPERM;
		return verdict;
	}
	/* What devices and failed memory refuse comes before what EL2 does. */
	for (uint64_t i = first; i < first + nr; i++) {
		const struct page *page = page_of(actor, i);

		if (!converts(page, policy, to_private))
			continue;
		verdict.converted++;
		if (policy != DESTROY && page->poisoned && !verdict.answer) {
			verdict.answer = -EHWPOISON;
			verdict.error_page = i;
		} else if (page->pins && !verdict.answer) {
			verdict.answer = -EAGAIN;
			verdict.error_page = i;
		}
		if (pkvm && policy != DESTROY && !refused.answer) {
			refused.answer = owner_refuses(page, to_private);
			refused.error_page = i;
		}
	}
	return verdict.answer || !refused.answer ? verdict : refused;
}

/* Its memory is given back: to zeros, and away from the guest. */
void model_freed(struct actor *actor, struct page *page)
{
	page->content = CONTENT_ZEROS;
	page->poisoned = false;
	page->assigned = false;
	page->accepted = false;
	if (actor->world->platform == GMEM_VM_PKVM && page->owner != OWNER_NEVER)
		page->owner = OWNER_POISON;
}

static void convert_page(struct actor *actor, struct page *page, bool to_private,
			 uint32_t policy)
{
	bool pkvm = actor->world->platform == GMEM_VM_PKVM;
	bool destroyed = page->state == DESTROYED_SHARED ||
			 page->state == DESTROYED_PRIVATE;

	if (destroyed && policy != DESTROY)
		policy = ZERO;
	if (policy == DESTROY || (policy == ZERO && !pkvm))
		model_freed(actor, page);
	else if (policy == ZERO)
		page->content = CONTENT_ZEROS;
	else if (policy == ENCRYPTED && page->content == CONTENT_FILLED)
		page->content = CONTENT_NOISE;

	/* Private no more: the entry goes. */
	if (!to_private) {
		page->assigned = false;
		page->accepted = false;
	}
	if (to_private && policy != DESTROY && page->owner == OWNER_GUEST_SHARED)
		page->owner = OWNER_GUEST;
	page->state = target_state(policy, to_private);
}

void model_converted(struct actor *actor, uint64_t first, uint64_t nr, bool to_private,
		     uint32_t policy)
{
	struct world *world = actor->world;

	for (uint64_t i = first; i < first + nr; i++) {
		struct page *page = page_of(actor, i);

		if (!converts(page, policy, to_private))
			continue;
		convert_page(actor, page, to_private, policy);
		if (page->content != CONTENT_FILLED)
			__atomic_store_n(&world->published[i].floor, page->generation,
					 __ATOMIC_RELEASE);
	}
	if (world->platform == GMEM_VM_PKVM && world->running) {
		actor->request.first += nr;
		actor->request.nr -= nr;
	}
}

bool model_host_reaches(const struct actor *actor, const struct page *page)
{
	(void)actor;
	return page->state == SHARED && !page->poisoned && page->owner != OWNER_GUEST;
}
