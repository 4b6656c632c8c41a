/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the conversion engine in virt/kvm/gmem/ needs from the kernel, and all
 * that it includes besides its own headers.
 */
#ifndef __KVM_GMEM_PLATFORM_H
#define __KVM_GMEM_PLATFORM_H

#include <linux/align.h>
#include <linux/atomic.h>
#include <linux/bug.h>
#include <linux/compiler.h>
#include <linux/container_of.h>
#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/kvm.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/types.h>
#include <linux/workqueue.h>

/* Leaves are all of the map in its worst case: waste nothing on rounding. */
extern struct kmem_cache *gmem_leaf_cache;

void *gmem_leaf_alloc(void);

static inline void gmem_leaf_free(void *leaf)
{
	kmem_cache_free(gmem_leaf_cache, leaf);
}

void *gmem_table_alloc(size_t bytes);

static inline void gmem_table_free(void *table)
{
	kvfree(table);
}

static inline void gmem_read_lock(void)
{
	rcu_read_lock();
}

static inline void gmem_read_unlock(void)
{
	rcu_read_unlock();
}

/* A whole map may hang off one of these: too much to free in softirq context. */
struct gmem_deferred {
	struct rcu_work work;
	void (*fn)(struct gmem_deferred *d);
};

void gmem_defer(struct gmem_deferred *d, void (*fn)(struct gmem_deferred *d));

static inline void gmem_relax(void)
{
	cond_resched();
}

static inline void gmem_wait(void)
{
	usleep_range(10, 50);
}

#endif /* __KVM_GMEM_PLATFORM_H */
