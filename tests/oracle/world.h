/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * The oracle's own: a VM under test, its threads, and what they know of it.
 */
#ifndef ORACLE_WORLD_H
#define ORACLE_WORLD_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "oracle.h"

#define PAGE		4096ull
#define WORLD_GPA	(1ull << 32)
#define MAX_SHARD	640u
#define NR_VIEWS	2
#define MAX_VCPUS	16	/* of the guest program */
#define NR_COMMONS	16u	/* pages that belong to nobody */
#define MAX_PINS	8
#define MAX_READ	16u	/* pages that one guest list reads */
#define MAX_CALL	512u	/* pages of one hypercall of pKVM's */

#define ZERO		SET_MEMORY_ATTRIBUTES_CONTENT_ZERO
#define READABLE	SET_MEMORY_ATTRIBUTES_CONTENT_READABLE
#define ENCRYPTED	SET_MEMORY_ATTRIBUTES_CONTENT_ENCRYPTED
#define DESTROY		SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY
#define NR_POLICIES	4

/* ---- words ---- */

/*
 * Whoever writes fills WORDS words of a page, each of which says where it belongs,
 * which write it is of, and whether it was the guest's secret.
 */
#define WORDS		8u
#define WORD_STRIDE	512u
#define MAX_GENERATION	((1u << 24) - 1)

static inline uint64_t make_word(uint64_t page, unsigned int i, uint32_t generation,
				 bool secret)
{
	return 0x6d65ull << 49 | (uint64_t)secret << 48 |
	       (uint64_t)generation << 24 | (page * WORDS + i);
}

static inline bool word_fits(uint64_t word, uint64_t page, unsigned int i)
{
	return word >> 49 == 0x6d65 && (word & 0xffffff) == page * WORDS + i;
}

static inline uint32_t word_generation(uint64_t word)
{
	return (uint32_t)(word >> 24) & MAX_GENERATION;
}

static inline bool word_secret(uint64_t word)
{
	return word >> 48 & 1;
}

/* ---- operations ---- */

enum op_kind {
	OP_CONVERT,		/* by the VMM, unsolicited */
	OP_ASK,			/* by the guest */
	OP_HOST_READ,
	OP_HOST_WRITE,
	OP_GUEST_READ,
	OP_GUEST_WRITE,
	OP_PUNCH,
	OP_PIN,
	OP_UNPIN,
	OP_POISON,
	OP_LIE,			/* guest_memfd believes what is not */
	OP_ATTRIBUTES,
	OP_BAD_ARGS,
	OP_FAIL,		/* a conversion one of whose steps fails */
	OP_FOREIGN_HOST,	/* in another thread's shard */
	OP_FOREIGN_GUEST,
	OP_FORGE,		/* a range that nobody can have asked for */
	OP_COMMONS,
	NR_OPS,
};

/* Pages are those of the file. */
struct op {
	enum op_kind kind;
	uint64_t first;
	uint64_t nr;
	bool to_private;
	uint32_t policy;
	unsigned int view;
	uint32_t extra;		/* the kind's own */
};

struct source {
	uint64_t state;
	const uint8_t *data;
	size_t left;
};

struct actor;

/* False at the end of the data. */
bool op_next(struct source *source, struct op *op, const struct actor *actor);
void op_describe(const struct op *op, char *text, size_t size);
uint64_t source_draw(struct source *source);

/* ---- the model: model.c, model_guest.c ---- */

enum page_state {
	SHARED,
	PRIVATE,
	DESTROYED_SHARED,
	DESTROYED_PRIVATE,
};

enum page_content {
	CONTENT_ZEROS,
	CONTENT_FILLED,		/* words of @generation */
	CONTENT_NOISE,		/* anything but words */
};

/* snp, tdx: what the guest takes the page for. */
enum page_view {
	VIEW_NONE,
	VIEW_SHARED,
	VIEW_PRIVATE,
};

/* pkvm: what the guest has of it at EL2. */
enum page_owner {
	OWNER_NEVER,
	OWNER_GUEST,
	OWNER_GUEST_SHARED,
	OWNER_POISON,
};

struct page {
	enum page_state state;
	enum page_content content;
	uint32_t generation;
	bool secret;
	bool poisoned;
	unsigned int pins;
	enum page_view view;
	bool assigned;		/* snp, tdx: has an RMP or S-EPT entry */
	bool accepted;		/* ... that the guest validated or accepted */
	enum page_owner owner;
};

struct request {
	uint64_t first;
	uint64_t nr;		/* 0: there is none */
	bool to_private;
};

/* The outcome of a conversion. */
struct verdict {
	int answer;
	uint64_t error_page;
	uint64_t converted;
};

enum access {
	ACCESS_DONE,
	ACCESS_FAULT,
	ACCESS_POISONED,
	ACCESS_TERMINATE,
};

struct verdict model_convert(const struct actor *actor, uint64_t first, uint64_t nr,
			     bool to_private, uint32_t policy);
void model_converted(struct actor *actor, uint64_t first, uint64_t nr, bool to_private,
		     uint32_t policy);
bool model_host_reaches(const struct actor *actor, const struct page *page);
void model_freed(struct actor *actor, struct page *page);

/* Also what the access does to the page, save its contents. */
enum access model_guest_access(struct actor *actor, struct page *page);
/* Whether the access would take place. */
bool model_guest_reaches(const struct actor *actor, const struct page *page);
/*
 * The guest asks, by one hypercall.  Before the exit: 0, or what the guest gets without
 * one; @nr becomes how many pages the exit is about.  After it: what the guest gets,
 * and how many pages it is told of: if they are fewer, it asks on.
 */
int model_ask(struct actor *actor, uint64_t first, uint64_t *nr, bool to_private);
int model_asked(struct actor *actor, uint64_t first, uint64_t nr, bool to_private,
		int answer, uint64_t *done);

/* ---- the world ---- */

/* What others may rely on, for each page. */
struct published {
	uint32_t floor;		/* words up to this generation are gone */
	uint32_t disclosed;	/* secrets up to it are not secret any more */
	uint32_t top;		/* no word is of a later one */
	uint32_t touched;	/* pkvm: the guest had it */
};

struct pin {
	uint64_t first;
	uint64_t nr;
};

#define NR_REMEMBERED	12

struct actor {
	struct world *world;
	unsigned int id;
	pthread_t thread;
	struct source source;
	struct page *pages;
	uint64_t first;		/* of the shard */
	uint64_t nr;
	struct gmem_vcpu *vcpus[MAX_VCPUS];
	unsigned int nr_vcpus;	/* those that are left */
	uint32_t generation;
	struct request request;
	struct pin pins[MAX_PINS];
	unsigned int nr_pins;
	int64_t balance;	/* commons: pages to shared less pages to private */
	uint64_t nr_ops;
	struct oracle_result counts;
	char remembered[NR_REMEMBERED][120];
};

struct world {
	struct gmem_engine *engine;
	struct gmem_vm *vm;
	struct gmem_file *file;
	uint32_t platform;
	bool emu;
	bool mute;		/* the guest has no hypercall to ask by */
	bool encrypted;		/* snp: ENCRYPTED was opted in */
	bool init_shared;
	bool running;		/* a vCPU has run */
	uint64_t nr_pages;
	uint64_t max_ops;
	unsigned char *views[NR_VIEWS];
	unsigned int nr_actors;
	struct actor actors[ORACLE_MAX_THREADS];
	struct published *published;
	pthread_mutex_t lock;	/* guards @report */
	bool failed;
	char *report;
};

static inline struct page *page_of(const struct actor *actor, uint64_t page)
{
	return &actor->pages[page - actor->first];
}

static inline uint64_t gpa_of(uint64_t page)
{
	return WORLD_GPA + page * PAGE;
}

static inline bool world_failed(const struct world *world)
{
	return __atomic_load_n(&world->failed, __ATOMIC_RELAXED);
}

static inline bool encrypts(const struct world *world)
{
	return world->platform == GMEM_VM_SNP || world->platform == GMEM_VM_TDX;
}

/* Something diverged.  Only the first is told. */
void diverged(struct actor *actor, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* "EPERM", "0" */
const char *answer_name(int answer);
const char *state_name(enum page_state state);

/* ---- host accesses: host.c ---- */

/* 0, or -EFAULT for SIGBUS. */
int host_load(const volatile void *addr, uint64_t *value);
int host_store(volatile void *addr, uint64_t value);

static inline unsigned char *word_at(const struct world *world, unsigned int view,
				     uint64_t page, unsigned int i)
{
	return world->views[view] + page * PAGE + i * WORD_STRIDE;
}

/* ---- what threads do: act.c, act_guest.c, act_host.c, foreign.c ---- */

void act(struct actor *actor, const struct op *op);
/* A conversion of the own shard, checked against the model. */
int act_convert(struct actor *actor, uint64_t first, uint64_t nr, bool to_private,
		uint32_t policy);
int raw_convert(struct actor *actor, uint64_t first, uint64_t nr, bool to_private,
		uint32_t policy, struct verdict *verdict);
void check_verdict(struct actor *actor, uint64_t first, uint64_t nr, bool to_private,
		   uint32_t policy, const struct verdict *got,
		   const struct verdict *want);
uint32_t next_generation(struct actor *actor);
void fill_pages(struct actor *actor, uint64_t first, uint64_t nr, uint32_t generation,
		bool secret);
/* Whether @word is what the page has to show at word @i. */
bool expected_word(const struct actor *actor, uint64_t page, bool by_guest,
		   unsigned int i, uint64_t word);

void act_host_read(struct actor *actor, const struct op *op);
void act_host_write(struct actor *actor, const struct op *op);
void act_punch(struct actor *actor, const struct op *op);
void act_pin(struct actor *actor, const struct op *op);
void act_unpin(struct actor *actor, const struct op *op);
void act_poison(struct actor *actor, const struct op *op);
void act_lie(struct actor *actor, const struct op *op);
void act_attributes(struct actor *actor, const struct op *op);
void act_bad_args(struct actor *actor, const struct op *op);
void act_fail(struct actor *actor, const struct op *op);

void act_guest_read(struct actor *actor, const struct op *op);
void act_guest_write(struct actor *actor, const struct op *op);
void act_ask(struct actor *actor, const struct op *op);
/* The vCPU to use, or NULL: none is left. */
struct gmem_vcpu *actor_vcpu(struct actor *actor);
/* It stands at an access that cannot be: another, where it cannot be reset. */
void vcpu_stuck(struct actor *actor);

void act_foreign_host(struct actor *actor, const struct op *op);
void act_foreign_guest(struct actor *actor, const struct op *op);
void act_forge(struct actor *actor, const struct op *op);
void act_commons(struct actor *actor, const struct op *op);
/* After the threads have ended. */
void check_commons(struct world *world);

#endif /* ORACLE_WORLD_H */
