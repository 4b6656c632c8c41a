/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * One way to hold the state of each page, as the bench drives it.  No header
 * of core/ or of the kernel in here: each contender lives in a world of its own.
 */
#ifndef BENCH_CONTENDER_H
#define BENCH_CONTENDER_H

typedef unsigned long long bench_u64;

/* The state that is set beside 0; the value of GMEM_ATTR_PRIVATE. */
#define BENCH_PRIVATE	1u

/**
 * struct contender - a map under test
 * @name: for the table
 * @create: a map of @nr_pages pages, all private
 * @destroy: free it
 * @get: state of a page; beside a writer if @concurrent
 * @set: state of [start, end); one writer at a time
 * @bytes: memory that it holds
 * @flush: wait until what was freed with a delay is free
 * @thread_begin: called by a thread before it calls @get or @set
 * @thread_end: called by it afterwards
 */
struct contender {
	const char *name;
	void *(*create)(bench_u64 nr_pages);
	void (*destroy)(void *map);
	unsigned int (*get)(void *map, bench_u64 index);
	void (*set)(void *map, bench_u64 start, bench_u64 end, unsigned int attrs);
	bench_u64 (*bytes)(void *map);
	void (*flush)(void);
	void (*thread_begin)(void);
	void (*thread_end)(void);
};

extern const struct contender contender_map;
extern const struct contender contender_flat;
/* Only if built against a kernel source. */
extern const struct contender contender_maple;

#endif /* BENCH_CONTENDER_H */
