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
};

void acts_open(enum platform platform, unsigned int lifetime_ms, struct tally *tally);
void act_once(void);
/* VM, file, slots and vCPUs that would work if nobody interfered, and a run. */
void act_create_machine(void);

/* ---- guest_<machine>.c ---- */

/* KVM_CREATE_VM's argument; -1 if this machine has no such platform. */
long machine_type(int kvm, enum platform platform);
/* Fill a page with random requests and accesses, in an endless loop. */
void write_code(unsigned char *page);
/* What a vCPU needs before it runs at @pc. */
void prepare_vcpu(int vm, int vcpu, uint64_t pc);
/* Registers, resets: whatever a VMM can do to a vCPU that does not run. */
void meddle_with_vcpu(int vm, int vcpu);

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
