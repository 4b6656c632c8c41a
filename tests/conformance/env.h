/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * What almost every test needs: a VM with one in-place file, its mapping, a slot
 * and vCPUs; ways to look at memory from both sides.
 *
 * Pages are counted from the start of the file.  The slot lies at TEST_GPA, so a
 * page's offset is never its guest physical address.
 *
 * On a platform where the guest has to ask (struct variant), convert() and its kin
 * let it ask: a vCPU that the test does not see makes the hypercall and the VMM
 * answers it with the conversion.  Until the test has used a vCPU nobody is asked.
 * Likewise a guest access to memory that guest_memfd calls shared makes the guest
 * share it first.  What such a platform takes from its guest, by DESTROY or by a
 * hole, after the guest used it, does not come back: see lost_for_good().
 */
#ifndef CONFORMANCE_ENV_H
#define CONFORMANCE_ENV_H

#include <errno.h>
#include <stddef.h>
#include "harness.h"

#define PAGE		4096ull
#define WORDS		(PAGE / 8)
#define TEST_GPA	(1ull << 32)
#define TEST_SLOT	0

#define SHARED		0ull
#define PRIVATE		KVM_MEMORY_ATTRIBUTE_PRIVATE

#define ZERO		SET_MEMORY_ATTRIBUTES_CONTENT_ZERO
#define READABLE	SET_MEMORY_ATTRIBUTES_CONTENT_READABLE
#define ENCRYPTED	SET_MEMORY_ATTRIBUTES_CONTENT_ENCRYPTED
#define DESTROY		SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY

/*
 * For tests that want contents kept: READABLE.  Where the platform does not offer
 * that, the refusal is checked, and ZERO does the conversion; the helpers below
 * then expect what ZERO leaves behind until the pages are filled again.
 */
#define KEEP		0x100u

#define IN_PLACE	(GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_IN_PLACE)
#define IN_PLACE_SHARED	(IN_PLACE | GUEST_MEMFD_FLAG_INIT_SHARED)

#define NR_TEST_VCPUS	2

/* Where the guest asks: vCPUs that ask, one for each thread, and vCPUs to lose. */
#define NR_ASKING_VCPUS	4
#define NR_SPARE_VCPUS	10
#define NR_ALL_VCPUS	(NR_TEST_VCPUS + NR_ASKING_VCPUS + NR_SPARE_VCPUS)

#define NR_ENV_SLOTS	4

struct env_slot {
	struct gmem_file *file;
	uint64_t gpa;
	uint64_t first_page;
	uint64_t nr_pages;
};

struct env {
	const struct variant *variant;
	struct gmem_engine *engine;
	struct gmem_vm *vm;
	struct gmem_file *file;
	uint64_t nr_pages;
	unsigned char *memory;		/* the whole file */
	struct gmem_vcpu *vcpus[NR_ALL_VCPUS];
	unsigned int spare_vcpus_used;
	bool ran;			/* a vCPU may have run */
	struct env_slot slots[NR_ENV_SLOTS];	/* as bound last */
	unsigned int nr_slots;
	unsigned char *lost;		/* by page: what KEEP could not keep */
};

/* A VM with the guest program and no memory under test. */
void env_open_vm(struct env *env, const struct variant *variant);
/* The file under test and its mapping, for a VM without one. */
void env_open_file(struct env *env, uint64_t nr_pages, uint64_t flags);
/* All of it: a VM with a file of @nr_pages, mapped and bound to TEST_SLOT. */
void env_open(struct env *env, const struct variant *variant, uint64_t nr_pages,
	      uint64_t flags);
/* Created when first asked for. */
struct gmem_vcpu *env_vcpu(struct env *env, unsigned int id);
struct gmem_file *new_file(struct env *env, uint64_t nr_pages, uint64_t flags);
int bind_slot(struct env *env, uint32_t id, uint64_t gpa, uint64_t nr_pages,
	      struct gmem_file *file, uint64_t first_page);

/* The same in a VM of its own, the old one forgotten. */
static inline void env_reopen(struct env *env, uint64_t flags)
{
	env_open(env, env->variant, env->nr_pages, flags);
}

/* gmem_set_memory_attributes2(), by the guest's request if it has to ask. */
int convert_args(struct env *env, struct kvm_memory_attributes2 *args);
/* Conversions; the count of pages converted through @pages, if not NULL. */
int convert(struct env *env, uint64_t page, uint64_t nr, uint64_t attributes,
	    uint32_t policy);
int convert_count(struct env *env, uint64_t page, uint64_t nr,
		  uint64_t attributes, uint32_t policy, uint64_t *pages);
/* The policy that KEEP stands for. */
uint32_t keep_policy(const struct env *env);
/* Pages were converted under keep_policy() by other means. */
void env_converted(struct env *env, uint64_t page, uint64_t nr);
/* The guest asks, and is served. */
int guest_share(struct env *env, unsigned int vcpu, uint64_t page, uint64_t nr,
		uint32_t policy);
int guest_unshare(struct env *env, unsigned int vcpu, uint64_t page, uint64_t nr,
		  uint32_t policy);

/*
 * Whether what DESTROY or a hole takes from the guest now is gone for good: its
 * conversion answers -EHWPOISON, and the guest's accesses fault.
 */
bool lost_for_good(const struct env *env);

/*
 * The state of the pages from 0 on, a letter for each: s shared, p private, d
 * destroyed on the way to shared, D on the way to private.
 */
void check_state(struct env *env, const char *want, const char *file, int line);
#define ASSERT_STATE(env, want)	check_state(env, want, __FILE__, __LINE__)
void check_uniform(struct env *env, uint64_t page, uint64_t nr, char want,
		   const char *file, int line);
#define ASSERT_UNIFORM(env, page, nr, want) \
	check_uniform(env, page, nr, want, __FILE__, __LINE__)

/* ---- contents: word i of a range is value + i * step ---- */

static inline uint64_t gpa_of(uint64_t page)
{
	return TEST_GPA + page * PAGE;
}

static inline unsigned char *addr_of(struct env *env, uint64_t page)
{
	return env->memory + page * PAGE;
}

void host_fill(struct env *env, uint64_t page, uint64_t nr, uint64_t value);
void guest_fill(struct env *env, uint64_t page, uint64_t nr, uint64_t value);
void host_check(struct env *env, uint64_t page, uint64_t nr, uint64_t value,
		uint64_t step, const char *file, int line);
void guest_check(struct env *env, uint64_t page, uint64_t nr, uint64_t value,
		 uint64_t step, const char *file, int line);

#define ASSERT_HOST_READS(env, page, nr, value) \
	host_check(env, page, nr, value, 1, __FILE__, __LINE__)
#define ASSERT_HOST_ZEROS(env, page, nr) \
	host_check(env, page, nr, 0, 0, __FILE__, __LINE__)
#define ASSERT_GUEST_READS(env, page, nr, value) \
	guest_check(env, page, nr, value, 1, __FILE__, __LINE__)
/*
 * Private pages that only scrub read as anything but what tests write: those are
 * numbers below 2^28, ~0, and the canvas's.
 */
#define ASSERT_GUEST_ZEROS(env, page, nr) \
	guest_check(env, page, nr, 0, 0, __FILE__, __LINE__)

/* ---- accesses that may be refused ---- */

/* 0, or SIGBUS; the fault's address through @fault, if not NULL. */
int try_read(const volatile void *addr, uint64_t *value, void **fault);
int try_write(volatile void *addr, uint64_t value, void **fault);

/* They return SIGSEGV as well then.  The library may have a handler for that. */
void catch_sigsegv(void);

/* Interrupt what this process does, every @us microseconds; 0: no more. */
void tick(long us);

/* madvise(); 0, -errno, or SIGBUS if it came with one. */
int try_madvise(void *addr, size_t bytes, int advice);

void host_refused(struct env *env, uint64_t page, const char *file, int line);
void guest_refused(struct env *env, uint64_t page, const char *file, int line);
/*
 * A list of one command on @vcpu; where the guest asks, shared memory is shared by
 * the guest, too, before it is used.
 */
int guest_command(struct env *env, struct gmem_vcpu *vcpu,
		  struct gmem_guest_cmd *cmd, struct gmem_exit *exit);
/* The host gets SIGBUS for reading and writing, at the right address. */
#define ASSERT_HOST_REFUSED(env, page) host_refused(env, page, __FILE__, __LINE__)
/* The guest's read and write exit with KVM_EXIT_MEMORY_FAULT for that page. */
#define ASSERT_GUEST_REFUSED(env, page) guest_refused(env, page, __FILE__, __LINE__)

/* The page frame behind an address of this process that is mapped; else 0. */
uint64_t frame_of(const volatile void *addr);

/* ---- pins ---- */

struct pin {
	int fd;
	struct gmem_file *file;		/* pinned through the engine, in place of @fd */
	uint64_t offset;
	uint64_t bytes;
};

/* Where the engine cannot see real pins: pin this env's memory by its own call. */
void pin_through_engine(const struct env *env);

/* Hold pages as a device backend would.  False: the pages cannot be held. */
bool try_pin_pages(struct pin *pin, void *addr, size_t bytes);
void pin_pages(struct pin *pin, void *addr, size_t bytes);
void unpin_pages(struct pin *pin);

/* ---- a file with a page in each state, to show that nothing changed ---- */

#define CANVAS_PAGES	8
#define CANVAS_STATE	"spspspds"

/*
 * 0 shared, pattern     1 private, pattern     2 shared, owes zeros
 * 3 private, owes zeros 4 shared, untouched    5 private, untouched
 * 6 destroyed           7 shared, pattern
 *
 * The file has CANVAS_PAGES at least.  Checking spends the owed zeros.
 */
void canvas_paint(struct env *env);
void canvas_check(struct env *env, const char *file, int line);
#define ASSERT_CANVAS(env)	canvas_check(env, __FILE__, __LINE__)

/*
 * Bytes that files hold, by /proc/meminfo.  MemFree would not do: pages that were
 * freed a moment ago lie in per-CPU lists, which it does not count.
 */
uint64_t cached_memory(void);

#endif /* CONFORMANCE_ENV_H */
