// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The guest's view; guest_view.h says what it is.  core's attribute map holds it,
 * with one of its bits under another name.
 */
#include "emu.h"
#include "guest_view.h"
#include "page_entry.h"

#define VIEW_PRIVATE	GMEM_ATTR_PRIVATE
#define VIEW_ASKED	GMEM_ATTR_DESTROYED

void emu_guest_view_init(struct emu_guest_view *view)
{
	pthread_mutex_init(&view->lock, NULL);
	view->map = NULL;
}

void emu_guest_view_destroy(struct emu_guest_view *view)
{
	pthread_mutex_destroy(&view->lock);
	gmem_attr_map_destroy(view->map);
}

static int set_locked(struct emu_guest_view *view, u64 start, u64 end,
		      unsigned int attrs)
{
	struct gmem_attr_map *map = view->map;
	int ret;

	if (!map) {
		ret = gmem_attr_map_create(&map, GMEM_ATTR_MAP_MAX_PAGES, 0);
		if (ret)
			return ret;
		smp_store_release(&view->map, map);
	}
	ret = gmem_attr_map_prepare(map, start, end, attrs);
	if (!ret)
		gmem_attr_map_commit(map, start, end, attrs);
	return ret;
}

int emu_guest_view_set(struct emu_guest_view *view, u64 gfn, u64 nr_pages,
		       bool to_private)
{
	unsigned int attrs = VIEW_ASKED | (to_private ? VIEW_PRIVATE : 0);
	int ret;

	if (nr_pages > GMEM_ATTR_MAP_MAX_PAGES ||
	    gfn > GMEM_ATTR_MAP_MAX_PAGES - nr_pages)
		return -EINVAL;
	pthread_mutex_lock(&view->lock);
	ret = set_locked(view, gfn, gfn + nr_pages, attrs);
	pthread_mutex_unlock(&view->lock);
	return ret;
}

bool emu_guest_view_get(const struct emu_guest_view *view, u64 gfn,
			bool *private_kind)
{
	const struct gmem_attr_map *map = smp_load_acquire(&view->map);
	unsigned int attrs;

	attrs = map && gfn < GMEM_ATTR_MAP_MAX_PAGES ?
		gmem_attr_map_get(map, gfn) : 0;
	*private_kind = attrs & VIEW_PRIVATE;
	return attrs & VIEW_ASKED;
}

enum emu_access_result
emu_guest_view_access(const struct emu_guest_view *view, struct emu_vcpu *vcpu,
		      struct emu_access *access,
		      enum emu_access_result (*access_private)(struct emu_vcpu *vcpu,
							       struct emu_access *access,
							       bool asked))
{
	bool actual = access->attrs & GMEM_ATTR_PRIVATE, meant, asked;

	asked = emu_guest_view_get(view, access->gpa >> EMU_PAGE_SHIFT, &meant);
	if (!asked)
		meant = actual;
	access->fault_private = meant;
	if (meant != actual)
		return EMU_ACCESS_FAULT;
	if (meant)
		return access_private(vcpu, access, asked);
	if (emu_page_entry(access->file, access->index))
		return EMU_ACCESS_FAULT;
	return emu_access_plain(access);
}

s64 emu_guest_view_take(const struct emu_guest_view *view, struct emu_vcpu *vcpu,
			u64 gfn, u64 nr_pages,
			unsigned int (*take)(struct emu_vcpu *vcpu, u64 gfn),
			unsigned int no_change)
{
	bool was_private, asked;
	unsigned int answer;
	s64 ret = 0;

	for (u64 i = 0; i < nr_pages; i++) {
		answer = take(vcpu, gfn + i);
		asked = emu_guest_view_get(view, gfn + i, &was_private);
		if (answer == no_change && asked && !was_private)
			ret = -EEXIST;
	}
	return ret;
}
