/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * What core/ needs, in userspace: kernel names over compiler builtins, malloc
 * and liburcu.  core/README.md is the contract.
 *
 * The read side is liburcu's "bulletproof" flavour: threads need not register
 * themselves, and we cannot tell a VMM's threads to.
 */
#ifndef GMEM_PLATFORM_H
#define GMEM_PLATFORM_H

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>

/*
 * Inline the read side, as the licence of urcu's headers lets us; but not under
 * sanitizers: the library's readers are less aligned than its headers say.
 */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define _LGPL_SOURCE
#endif
#include <urcu/urcu-bp.h>

#include <linux/types.h>
#include <linux/kvm.h>

/* Headers older than Linux 6.8. */
#ifndef KVM_MEMORY_ATTRIBUTE_PRIVATE
#define KVM_MEMORY_ATTRIBUTE_PRIVATE	(1ULL << 3)
#endif
#include <linux/kvm_gmem.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s64 s64;

#ifndef PAGE_SIZE
#define PAGE_SIZE	4096ul
#endif

#undef likely
#undef unlikely
#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)

#define min(a, b) ({				\
	__auto_type __a = (a);			\
	__auto_type __b = (b);			\
	__a < __b ? __a : __b;			\
})
#define max(a, b) ({				\
	__auto_type __a = (a);			\
	__auto_type __b = (b);			\
	__a > __b ? __a : __b;			\
})

#ifndef container_of
#define container_of(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))
#endif

#define READ_ONCE(x)		__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v)	__atomic_store_n(&(x), (v), __ATOMIC_RELAXED)
#define smp_load_acquire(p)	__atomic_load_n((p), __ATOMIC_ACQUIRE)
#define smp_store_release(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELEASE)

#undef cmpxchg
#define cmpxchg(p, old, new) ({						\
	typeof(*(p)) __old = (old);					\
	__atomic_compare_exchange_n((p), &__old, (new), false,		\
				    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);\
	__old;								\
})

#define WARN_ON_ONCE(cond) ({						\
	static bool __warned;						\
	bool __cond = (cond);						\
	if (unlikely(__cond) &&						\
	    !__atomic_exchange_n(&__warned, true, __ATOMIC_RELAXED))	\
		fprintf(stderr, "gmem: %s:%d: %s\n", __FILE__, __LINE__, #cond); \
	__cond;								\
})

void *gmem_leaf_alloc(void);
void gmem_leaf_free(void *leaf);
void *gmem_table_alloc(size_t bytes);
void gmem_table_free(void *table);

static inline void gmem_read_lock(void)
{
	urcu_bp_read_lock();
}

#ifdef __SANITIZE_THREAD__
/*
 * ThreadSanitizer does not see into liburcu.  Tell it the one thing that a
 * grace period promises: what a reader did before it unlocked has happened
 * before the deferred call.
 */
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
extern char gmem_grace_period;
#endif

static inline void gmem_read_unlock(void)
{
#ifdef __SANITIZE_THREAD__
	__tsan_release(&gmem_grace_period);
#endif
	urcu_bp_read_unlock();
}

struct gmem_deferred {
	struct rcu_head head;
	void (*fn)(struct gmem_deferred *deferred);
};

void gmem_defer(struct gmem_deferred *deferred,
		void (*fn)(struct gmem_deferred *deferred));

static inline void gmem_relax(void)
{
	sched_yield();
}

static inline void gmem_wait(void)
{
	const struct timespec a_little = { .tv_nsec = 20000 };

	nanosleep(&a_little, NULL);
}

/*
 * For tests, and for nobody else: what is allocated now, and a way to make an
 * allocation fail.
 */
struct gmem_memory {
	long leaves;
	long tables;
	/* Allocations that still succeed before one fails; negative: all do. */
	long until_failure;
};

extern struct gmem_memory gmem_memory;

/* Waits until everything deferred so far has been called. */
void gmem_defer_flush(void);

#endif /* GMEM_PLATFORM_H */
