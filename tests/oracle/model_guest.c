// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The model of the guest's side: what hardware and firmware make of its accesses,
 * and its own sequence to share and unshare.
 */
#include "world.h"

static enum access access_pkvm(struct page *page)
{
	if (page->owner == OWNER_POISON)
		return ACCESS_FAULT;
	if (page->owner == OWNER_NEVER) {
		if (page->state != PRIVATE)
			return ACCESS_FAULT;
		page->owner = OWNER_GUEST;
	}
	return ACCESS_DONE;
}

static enum access access_encrypted(struct page *page)
{
	bool private = page->state == PRIVATE;

	if (page->view != VIEW_NONE && (page->view == VIEW_PRIVATE) != private)
		return ACCESS_FAULT;
	if (!private)
		return ACCESS_DONE;
	page->assigned = true;
	if (!page->accepted && page->view == VIEW_PRIVATE)
		return ACCESS_TERMINATE;
	page->accepted = true;
	return ACCESS_DONE;
}

enum access model_guest_access(struct actor *actor, struct page *page)
{
	const struct world *world = actor->world;

	if (page->state == DESTROYED_SHARED || page->state == DESTROYED_PRIVATE)
		return ACCESS_FAULT;
	if (page->poisoned)
		return ACCESS_POISONED;
	if (world->platform == GMEM_VM_PKVM)
		return access_pkvm(page);
	return encrypts(world) ? access_encrypted(page) : ACCESS_DONE;
}

bool model_guest_reaches(const struct actor *actor, const struct page *page)
{
	struct actor nobody = { .world = actor->world };
	struct page copy = *page;

	return model_guest_access(&nobody, &copy) == ACCESS_DONE;
}

static bool is_destroyed(const struct page *page)
{
	return page->state == DESTROYED_SHARED || page->state == DESTROYED_PRIVATE;
}

/* The guest gets what it never had, shared, of one kind.  Returns how many pages. */
static uint64_t give_pkvm(struct actor *actor, uint64_t first, uint64_t end)
{
	uint64_t nr;

	for (nr = 0; nr < end; nr++) {
		struct page *page = page_of(actor, first + nr);

		if (page->owner != OWNER_NEVER || page->poisoned || is_destroyed(page) ||
		    page->state != page_of(actor, first)->state)
			break;
		page->owner = OWNER_GUEST_SHARED;
	}
	return nr;
}

/*
 * MEM_SHARE is about pages that are alike: that the guest has for itself, has shared
 * before, or never had; or that were destroyed before the guest had them.
 */
static int share_pkvm(struct actor *actor, uint64_t first, uint64_t *nr)
{
	const enum page_owner owner = page_of(actor, first)->owner;
	uint64_t i = 0;

	if (owner == OWNER_POISON)
		return -EINVAL;
	if (owner == OWNER_NEVER) {
		i = give_pkvm(actor, first, *nr);
		if (!i)
			while (i < *nr && is_destroyed(page_of(actor, first + i)))
				i++;
	} else {
		while (i < *nr && page_of(actor, first + i)->owner == owner)
			page_of(actor, first + i++)->owner = OWNER_GUEST_SHARED;
	}
	*nr = i;
	return i ? 0 : -EINVAL;
}

int model_ask(struct actor *actor, uint64_t first, uint64_t *nr, bool to_private)
{
	struct world *world = actor->world;
	int ret = 0;

	if (world->mute)
		return -EPERM;
	if (world->platform == GMEM_VM_PKVM) {
		if (*nr > MAX_CALL)
			*nr = MAX_CALL;
		if (!to_private)
			ret = share_pkvm(actor, first, nr);
		if (!ret)
			actor->request = (struct request){ first, *nr, to_private };
	} else if (world->platform == GMEM_VM_SNP && !to_private) {
		for (uint64_t i = first; i < first + *nr; i++)
			page_of(actor, i)->accepted = false;
	}
	return ret;
}

/* Whether the page is as the guest asked, at EL2. */
static bool agrees(const struct page *page, bool to_private)
{
	if (!to_private)
		return page->owner == OWNER_GUEST_SHARED;
	return page->owner == OWNER_GUEST || page->owner == OWNER_NEVER;
}

/*
 * EL2 takes back what the map does not say.  What EL1 then says was done, by the map,
 * EL2 checks.
 */
static int settle_pkvm(struct actor *actor, uint64_t first, uint64_t nr,
		       bool to_private, int answer, uint64_t *done)
{
	uint64_t good = nr, sure = 0;

	actor->request.nr = 0;
	if (!to_private)
		give_pkvm(actor, first, nr);
	for (uint64_t i = 0; i < nr; i++) {
		struct page *page = page_of(actor, first + i);

		if ((page->state == PRIVATE || page->state == DESTROYED_PRIVATE) &&
		    page->owner == OWNER_GUEST_SHARED)
			page->owner = OWNER_GUEST;
		if (page->owner != OWNER_NEVER)
			__atomic_store_n(&actor->world->published[first + i].touched, 1,
					 __ATOMIC_RELEASE);
		if (page->state != (to_private ? PRIVATE : SHARED) && i < good)
			good = i;
	}
	while (sure < good && agrees(page_of(actor, first + sure), to_private))
		sure++;

	*done = sure;
	return sure && !(answer < 0 && good < nr) ? 0 : -EINVAL;
}

/* PVALIDATE, TDG.MEM.PAGE.ACCEPT of what went private. */
static int accept_encrypted(struct actor *actor, uint64_t first, uint64_t nr)
{
	int ret = 0;

	for (uint64_t i = first; i < first + nr; i++) {
		struct page *page = page_of(actor, i);

		if (page->accepted && page->view == VIEW_SHARED)
			ret = -EEXIST;
		page->assigned = true;
		page->accepted = true;
	}
	return ret;
}

static int asked_encrypted(struct actor *actor, uint64_t first, uint64_t nr,
			   bool to_private, int answer)
{
	bool snp = actor->world->platform == GMEM_VM_SNP;

	if (!answer && to_private)
		answer = accept_encrypted(actor, first, nr);
	for (uint64_t i = first; i < first + nr; i++) {
		struct page *page = page_of(actor, i);

		if (!answer)
			page->view = to_private ? VIEW_PRIVATE : VIEW_SHARED;
		else if (snp && !to_private && page->state == PRIVATE && page->assigned)
			page->accepted = true;
	}
	return answer;
}

int model_asked(struct actor *actor, uint64_t first, uint64_t nr, bool to_private,
		int answer, uint64_t *done)
{
	struct world *world = actor->world;

	if (world->platform == GMEM_VM_PKVM)
		return settle_pkvm(actor, first, nr, to_private, answer, done);
	if (encrypts(world))
		answer = asked_encrypted(actor, first, nr, to_private, answer);
	*done = answer ? 0 : nr;
	return answer;
}
