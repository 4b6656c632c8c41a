// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The kernel's own maple tree, compiled from a kernel source tree's userspace
 * shims; nothing of it is kept here.  It stores what KVM's xarray of attributes
 * does: a value for private, nothing for shared.
 *
 * The shims' allocator poisons and takes a mutex for each node, which would
 * make the tree look slower than it is.  The one below hands out nodes from a
 * list, as a slab's fast path does.
 *
 * MT_FLAGS_ALLOC_RANGE is set because a tree that has MT_FLAGS_USE_RCU alone
 * frees a bogus pointer after some hundred random page sets (Linux 7.3).
 */
#include "maple-shared.h"
#undef CONFIG_DEBUG_MAPLE_TREE
#include <linux/slab.h>
#include "maple_tree.c"

#include <stdlib.h>

#include "contender.h"

#define NODE_BYTES	256
#define BLOCK_NODES	4096

struct free_node {
	struct free_node *next;
};

static pthread_spinlock_t nodes_lock;
static struct free_node *free_nodes;
static long nr_nodes;

static void __nodes_free(void *node)
{
	struct free_node *free_node = node;

	free_node->next = free_nodes;
	free_nodes = free_node;
	nr_nodes--;
}

static void *__nodes_alloc(void)
{
	struct free_node *node;

	if (!free_nodes) {
		char *block = aligned_alloc(NODE_BYTES, NODE_BYTES * BLOCK_NODES);

		if (!block)
			abort();
		nr_nodes += BLOCK_NODES;
		for (int i = 0; i < BLOCK_NODES; i++)
			__nodes_free(block + i * NODE_BYTES);
	}
	node = free_nodes;
	free_nodes = node->next;
	nr_nodes++;
	return node;
}

struct kmem_cache *__kmem_cache_create_args(const char *name, unsigned int size,
					    struct kmem_cache_args *args,
					    unsigned int flags)
{
	struct kmem_cache *cache = calloc(1, sizeof(*cache));

	if (!cache || size != NODE_BYTES)
		abort();
	pthread_spin_init(&nodes_lock, PTHREAD_PROCESS_PRIVATE);
	return cache;
}

void *kmem_cache_alloc_lru(struct kmem_cache *cache, struct list_lru *lru, int gfp)
{
	void *node;

	pthread_spin_lock(&nodes_lock);
	node = __nodes_alloc();
	pthread_spin_unlock(&nodes_lock);
	return gfp & __GFP_ZERO ? memset(node, 0, NODE_BYTES) : node;
}

void kmem_cache_free(struct kmem_cache *cache, void *node)
{
	pthread_spin_lock(&nodes_lock);
	__nodes_free(node);
	pthread_spin_unlock(&nodes_lock);
}

/* The tree frees nothing else. */
void kfree(void *node)
{
	if (node)
		kmem_cache_free(NULL, node);
}

void kmem_cache_free_bulk(struct kmem_cache *cache, size_t nr, void **nodes)
{
	pthread_spin_lock(&nodes_lock);
	while (nr)
		__nodes_free(nodes[--nr]);
	pthread_spin_unlock(&nodes_lock);
}

/* The tree zeroes the nodes that it takes from here itself. */
static void fill_sheaf(struct slab_sheaf *sheaf, unsigned int nr)
{
	pthread_spin_lock(&nodes_lock);
	while (sheaf->size < nr)
		sheaf->objects[sheaf->size++] = __nodes_alloc();
	pthread_spin_unlock(&nodes_lock);
}

/* One is enough for one writer; the kernel keeps them for each processor. */
static struct slab_sheaf *spare_sheaf;

struct slab_sheaf *kmem_cache_prefill_sheaf(struct kmem_cache *cache, gfp_t gfp,
					    unsigned int nr)
{
	struct slab_sheaf *sheaf = spare_sheaf;

	spare_sheaf = NULL;
	if (!sheaf || sheaf->capacity < nr) {
		unsigned int capacity = nr > 64 ? nr : 64;

		free(sheaf);
		sheaf = calloc(1, sizeof(*sheaf) + capacity * sizeof(void *));
		if (!sheaf)
			abort();
		sheaf->capacity = capacity;
	}
	fill_sheaf(sheaf, nr);
	return sheaf;
}

void kmem_cache_return_sheaf(struct kmem_cache *cache, gfp_t gfp,
			     struct slab_sheaf *sheaf)
{
	kmem_cache_free_bulk(cache, sheaf->size, sheaf->objects);
	sheaf->size = 0;
	free(spare_sheaf);
	spare_sheaf = sheaf;
}

int kmem_cache_refill_sheaf(struct kmem_cache *cache, gfp_t gfp,
			    struct slab_sheaf **sheafp, unsigned int nr)
{
	kmem_cache_return_sheaf(cache, gfp, *sheafp);
	*sheafp = kmem_cache_prefill_sheaf(cache, gfp, nr);
	return 0;
}

void *kmem_cache_alloc_from_sheaf(struct kmem_cache *cache, gfp_t gfp,
				  struct slab_sheaf *sheaf)
{
	return sheaf->size ? sheaf->objects[--sheaf->size] : NULL;
}

void maple_rcu_cb(struct rcu_head *head)
{
	kmem_cache_free(NULL, container_of(head, struct maple_node, rcu));
}

struct maple {
	struct maple_tree tree;
	unsigned long last;
};

static void maple_set(void *map, bench_u64 start, bench_u64 end, unsigned int attrs)
{
	struct maple *maple = map;

	if (mtree_store_range(&maple->tree, start, end - 1,
			      attrs ? xa_mk_value(attrs) : NULL, GFP_KERNEL))
		abort();
}

static void *maple_create(bench_u64 nr_pages)
{
	struct maple *maple = calloc(1, sizeof(*maple));

	if (!maple)
		abort();
	if (!maple_node_cache)
		maple_tree_init();
	mt_init_flags(&maple->tree, MT_FLAGS_USE_RCU | MT_FLAGS_ALLOC_RANGE);
	maple_set(maple, 0, nr_pages, BENCH_PRIVATE);
	return maple;
}

static void maple_flush(void)
{
	rcu_barrier();
}

static void maple_destroy(void *map)
{
	struct maple *maple = map;

	mtree_destroy(&maple->tree);
	maple_flush();
	free(maple);
}

static unsigned int maple_get(void *map, bench_u64 index)
{
	struct maple *maple = map;
	void *value = mtree_load(&maple->tree, index);

	return value ? xa_to_value(value) : 0;
}

static bench_u64 maple_bytes(void *map)
{
	return sizeof(struct maple_tree) + nr_nodes * NODE_BYTES;
}

static void maple_thread_begin(void)
{
	rcu_register_thread();
}

static void maple_thread_end(void)
{
	rcu_unregister_thread();
}

const struct contender contender_maple = {
	.name = "maple",
	.create = maple_create,
	.destroy = maple_destroy,
	.get = maple_get,
	.set = maple_set,
	.bytes = maple_bytes,
	.flush = maple_flush,
	.thread_begin = maple_thread_begin,
	.thread_end = maple_thread_end,
};
