/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * What the guest believes about its memory, on platforms where its own page tables
 * say whether an access is private: AMD's C-bit, TDX's shared bit.
 *
 * A guest names the kind of memory for which it asked, and holds to it until it
 * asks for the other.  About the rest it has no opinion: it takes what its VMM
 * gives it, as at boot, and the kind of its accesses follows guest_memfd.
 */
#ifndef EMU_GUEST_VIEW_H
#define EMU_GUEST_VIEW_H

#include <pthread.h>
#include "gmem_platform.h"
#include "platform_ops.h"

struct gmem_attr_map;

struct emu_guest_view {
	pthread_mutex_t lock;		/* writers of @map */
	struct gmem_attr_map *map;	/* by gfn; NULL: nothing was asked for */
};

void emu_guest_view_init(struct emu_guest_view *view);
void emu_guest_view_destroy(struct emu_guest_view *view);
/* The guest asked for this, and got it.  0, -EINVAL or -ENOMEM. */
int emu_guest_view_set(struct emu_guest_view *view, u64 gfn, u64 nr_pages,
		       bool to_private);
/* Does it hold to a kind, and to which.  Takes no lock. */
bool emu_guest_view_get(const struct emu_guest_view *view, u64 gfn,
			bool *private_kind);
/*
 * An access as the guest means it.  @access_private does the private ones; @asked
 * tells it whether the guest takes the page for its own.  Shared ones do not reach
 * a page that has an entry.
 */
enum emu_access_result
emu_guest_view_access(const struct emu_guest_view *view, struct emu_vcpu *vcpu,
		      struct emu_access *access,
		      enum emu_access_result (*access_private)(struct emu_vcpu *vcpu,
							       struct emu_access *access,
							       bool asked));
/*
 * The guest takes pages for its own, by @take, whose answer is @no_change if a page
 * was validated, or accepted, already.  -EEXIST if the guest had given such a page
 * away: then by whom.
 */
s64 emu_guest_view_take(const struct emu_guest_view *view, struct emu_vcpu *vcpu,
			u64 gfn, u64 nr_pages,
			unsigned int (*take)(struct emu_vcpu *vcpu, u64 gfn),
			unsigned int no_change);

#endif /* EMU_GUEST_VIEW_H */
