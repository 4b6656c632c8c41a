// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The guest's view; guest_view.h says what it is.  core's attribute map holds it,
 * with one of its bits under another name.
 */
#include "emu.h"
#include "guest_view.h"

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
