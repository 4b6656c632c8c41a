// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The parts of core's platform in userspace that are not inline: memory, and
 * calls deferred until all readers are gone.
 */
#include <stdlib.h>

#include "attr_map.h"

#ifdef __SANITIZE_THREAD__
char gmem_grace_period;
#endif

struct gmem_memory gmem_memory = { .until_failure = -1 };

static void *alloc(size_t bytes, long *counter)
{
	void *object;

	if (unlikely(gmem_memory.until_failure >= 0) &&
	    gmem_memory.until_failure-- == 0)
		return NULL;

	object = calloc(1, bytes);
	if (object)
		__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
	return object;
}

static void release(void *object, long *counter)
{
	if (object)
		__atomic_fetch_sub(counter, 1, __ATOMIC_RELAXED);
	free(object);
}

void *gmem_leaf_alloc(void)
{
	return alloc(GMEM_LEAF_BYTES, &gmem_memory.leaves);
}

void gmem_leaf_free(void *leaf)
{
	release(leaf, &gmem_memory.leaves);
}

void *gmem_table_alloc(size_t bytes)
{
	return alloc(bytes, &gmem_memory.tables);
}

void gmem_table_free(void *table)
{
	release(table, &gmem_memory.tables);
}

/* Calls deferred, and calls made, ever. */
static u64 nr_deferred;
static u64 nr_called;

static void call(struct rcu_head *head)
{
	struct gmem_deferred *deferred =
		container_of(head, struct gmem_deferred, head);

#ifdef __SANITIZE_THREAD__
	__tsan_acquire(&gmem_grace_period);
	__tsan_acquire(deferred);
#endif
	deferred->fn(deferred);
	__atomic_fetch_add(&nr_called, 1, __ATOMIC_RELEASE);
}

void gmem_defer(struct gmem_deferred *deferred,
		void (*fn)(struct gmem_deferred *deferred))
{
	deferred->fn = fn;
	__atomic_fetch_add(&nr_deferred, 1, __ATOMIC_RELAXED);
#ifdef __SANITIZE_THREAD__
	__tsan_release(deferred);
#endif
	urcu_bp_call_rcu(&deferred->head, call);
}

/* Not urcu's barrier: ThreadSanitizer takes what that does for a race. */
void gmem_defer_flush(void)
{
	u64 target = READ_ONCE(nr_deferred);

	while (smp_load_acquire(&nr_called) < target)
		gmem_relax();
}
