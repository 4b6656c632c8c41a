/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * A VMM that does anything at any moment: what its parts share.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE		4096ull

/* Guest physical memory: code from anonymous memory, data from a guest_memfd. */
#define CODE_GPA	0x40000000ull
#define CODE_PAGES	8
#define DATA_GPA	0x50000000ull
#define DATA_PAGES	64

enum platform { PLATFORM_SW, PLATFORM_PKVM, PLATFORM_PLAIN };

/* ---- world.c: descriptors and address space that all threads share ---- */

enum kind { VMS, FILES, VCPUS, OTHERS, NR_KINDS };

#define NR_FDS		12
#define NR_VMS		3
#define WINDOW_BYTES	(DATA_PAGES * PAGE)
#define NR_WINDOWS	16

/* Numbers from a seed; each thread has its own. */
void random_seed(uint64_t seed);
uint64_t random_u64(void);
uint64_t below(uint64_t end);
static inline bool one_in(uint64_t n)
{
	return !below(n);
}

void world_open(void);

/* A descriptor that may be closed at any moment; now and then of another kind. */
int any_fd(enum kind kind);
/* Keep @fd in a random place; what was there is closed.  Return: the place. */
unsigned int keep_fd(enum kind kind, int fd);
int fd_at(enum kind kind, unsigned int place);
void drop_fd(enum kind kind, unsigned int place);

/*
 * Everything is mapped at fixed places, so that what another thread unmaps is
 * never the process's own.  The window of vCPU i's kvm_run is run_window(i).
 */
unsigned char *window(unsigned int number);
unsigned char *any_window(void);
/* Somewhere in a window, kvm_run's included. */
unsigned char *any_address(void);
unsigned char *run_window(unsigned int place);
void map_window(void *address, size_t bytes, int fd, uint64_t offset);

/*
 * Code between these may fault on memory; it is left then, with false.  Only
 * system calls and memory accesses belong there.
 */
bool guarded(void (*code)(void *opaque), void *opaque);
/* Leave the thread's loop by KILL_SIGNAL while it is in KVM_RUN. */
int run_vcpu_fd(int fd);

#define KICK_SIGNAL	SIGUSR1
#define KILL_SIGNAL	SIGUSR2

/* Call @first, then @then until told to stop; false if killed in KVM_RUN. */
bool act_until(const bool *stop, void (*first)(void), void (*then)(void));

/* ---- acts.c ---- */

/* What happened, over all rounds: none of it may be nothing. */
struct tally {
	atomic_ulong runs;
	atomic_ulong requests;		/* of guests */
	atomic_ulong conversions;
	atomic_ulong refusals;
	atomic_ulong faults;
	atomic_ulong honest;		/* guests that had their secrets */
	atomic_ulong secrets;		/* seen; has to be nothing */
};

void acts_open(enum platform platform, unsigned int lifetime_ms, struct tally *tally);
void act_once(void);
/* Read memory that may not be there.  False: it is not. */
bool peek(void *address, void *data, size_t size);

#define IN_PLACE	(GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_IN_PLACE)

/* A descriptor, or -1. */
int create_vm(enum platform platform);
int create_file(int vm, uint64_t pages, uint64_t flags);
/* Return: the vCPU's place; its kvm_run is mapped there. */
unsigned int keep_vcpu(int vcpu);
/* VM, file, slots and vCPUs that would work if nobody interfered, and a run. */
void act_create_machine(void);
/* The same, of a guest that is honest. */
void act_create_honest_machine(void);

/* ---- honest.c: guests whose secrets nobody may see ---- */

/* From now on they share a page too many, which has to be noticed. */
void honest_betray(void);
/* Whether a thread begins with one. */
bool honest_first(void);
/*
 * Start one that has its secrets before others know of it, and keep its descriptors.
 * Return: whether there is one; then where its vCPUs (HONEST_VCPUS) and its file are.
 */
bool honest_create(enum platform platform, unsigned int *vcpu_places,
		   unsigned int *file_place);
/* Does any mapping show a secret?  Here and there, and now and then everywhere. */
bool look_for_secrets(void);
/* Does what has just been shared, whether it is mapped or not? */
bool look_into_file(int file, uint64_t offset, uint64_t size);

/* ---- guest_<machine>.c ---- */

/* KVM_CREATE_VM's argument; -1 if this machine has no such platform. */
long machine_type(int kvm, enum platform platform);
/* Fill a page with random requests and accesses, in an endless loop. */
void write_code(unsigned char *page);
/* What a vCPU needs before it runs at @pc. */
void prepare_vcpu(int vm, int vcpu, uint64_t pc);
/* Registers, resets: whatever a VMM can do to a vCPU that does not run. */
void meddle_with_vcpu(int vm, int vcpu);
/* The honest guest's code, into a page; false: there is none for this machine. */
bool write_honest_code(unsigned char *page, bool betrays);
/* Set a vCPU of it to a call of the guest's own, for what it never wanted to share. */
void plan_vcpu(int vcpu);

/* ---- leaks.c ---- */

/* Counters are where they were at the first call: false, with words, if not. */
void leaks_begin(void);
bool leaks_settled(void);
/* Nobody has much more memory than at the mark: false, with words, if not. */
void leaks_mark(void);
bool leaks_since_mark(void);
/* The whole of a file that is not empty, as a string. */
void read_text(const char *path, char *text, size_t size);

/* ---- allocations.c: which code has how much of the kernel's memory ---- */

/* A table that is valid until the next call. */
const char *allocations_read(void);
/* How many more objects, pages among them, lines of KVM's have that have more. */
int64_t allocations_kvm_grew(const char *before, const char *now);
/* How many more bytes all others have, but for what allocators keep. */
int64_t allocations_others_grew(const char *before, const char *now);
/* Which lines of code have more now than before. */
void allocations_print_growth(const char *before, const char *now);

#endif /* HOSTILE_H */
