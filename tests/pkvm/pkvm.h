/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * A small VMM of protected VMs, by KVM's own ioctls, for tests of what the real EL2 and
 * KVM let a VMM do and what they tell a guest.
 *
 * A machine has the guest's code in ordinary memory, and whatever a test adds.  A vCPU
 * runs until something happens, an "event": a negative errno of KVM_RUN, the reason of
 * an exit, or what guest.S has to say.  The MMIO exits behind the latter nobody sees.
 */
#ifndef PKVM_TEST_H
#define PKVM_TEST_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../lib/kvm_compat.h"
#include "../conformance/harness.h"
#include "guest.h"

#define PAGE		4096ull
#define IPA_BITS	40
#define CODE_PAGES	2

/* Where tests put memory. */
#define FILE_GPA	0x40000000ull
#define RAM_GPA		0x80000000ull
#define NOWHERE_GPA	0x4000000000ull

#define SECRET		0x5ec2e75ec2e70000ull
#define CONTEXT		0x1122334455667788ull

/* SMCCC functions, and what they answer. */
#define FEATURES	0x86000000ull
#define HYP_MEMINFO	0xc6000002ull
#define MEM_SHARE	0xc6000003ull
#define MEM_UNSHARE	0xc6000004ull
#define CPU_ON		0xc4000003ull
#define CPU_OFF		0x84000002ull
#define HAS_RANGE	1ull			/* HYP_MEMINFO's R1 */
#define SUCCESS		0
#define INVALID		((uint64_t)-3)		/* SMCCC_RET_INVALID_PARAMETER */
#define ALREADY_ON	((uint64_t)-4)	/* of PSCI */
#define NO_SUCH_VCPU	((uint64_t)-2)
#define CALL_MAX_PAGES	512

#define IN_PLACE	(GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_IN_PLACE)

/* 64-bit registers of a vCPU. */
#define CORE(member)	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | \
			 KVM_REG_ARM_CORE_REG(member))
#define PC		CORE(regs.pc)
#define X(n)		(CORE(regs.regs[0]) + 2 * (n))
#define VBAR_EL1	ARM64_SYS_REG(3, 0, 12, 0, 0)

/* Events beside the reasons of exits. */
enum {
	DID = 0x1000,		/* the command; x0 and x1 are in the vCPU */
	STARTED,		/* at guest_start */
	WAITS,			/* for a command */
	FAULTED,		/* an exception in the guest, its syndrome in x0 */
};

#define MAX_VCPUS	8

struct vcpu {
	struct machine *machine;
	int fd;
	struct kvm_run *run;
	uint64_t command[5];
	bool has_command;
	uint64_t x0, x1;
	uint64_t context, registers;	/* of STARTED */
};

/* A slot, and its memory as the VMM maps it. */
struct memory {
	uint64_t gpa, pages;
	uint64_t *host;
	int file;		/* -1: ordinary memory */
};

struct machine {
	int kvm, vm;
	struct kvm_vcpu_init init;
	uint32_t nr_slots;
	struct memory code;
	struct vcpu vcpus[MAX_VCPUS];
};

/* The guest's addresses of labels in guest.S. */
extern const char guest_code[], guest_start[], guest_hvc[], guest_code_end[];
#define GPA_OF(label)	(CODE_GPA + (uint64_t)((uintptr_t)(label) - (uintptr_t)guest_code))

/* ---- machine.c; what fails there ends the test, but for what returns an error ---- */

void machine_open(struct machine *machine);
/* vCPU @id will start at guest_start, by PSCI if it is @off. */
struct vcpu *machine_add_vcpu(struct machine *machine, unsigned int id, bool off);
void machine_add_ram(struct machine *machine, struct memory *memory, uint64_t gpa,
		     uint64_t pages);
/* Ends the test as skipped where no file converts in place. */
void machine_add_file(struct machine *machine, struct memory *memory, uint64_t gpa,
		      uint64_t pages);
int create_file(struct machine *machine, uint64_t pages);
long set_slot(struct machine *machine, uint32_t id, uint64_t gpa, uint64_t bytes,
	      int file, uint64_t offset, void *host);
/* For tests that open many; others leave it to the end of their process. */
void machine_close(struct machine *machine);
void memory_close(struct memory *memory);

/* An ioctl: what it returns, or -errno. */
long control(int fd, unsigned long request, const void *argument);

long vcpu_init(struct vcpu *vcpu, bool off);
long set_register(struct vcpu *vcpu, uint64_t id, uint64_t value);
uint64_t get_register(struct vcpu *vcpu, uint64_t id);
long set_mp_state(struct vcpu *vcpu, uint32_t state);
uint32_t mp_state(struct vcpu *vcpu);

long to_shared(struct memory *memory, uint64_t first, uint64_t pages);
long to_private(struct memory *memory, uint64_t first, uint64_t pages);
/* As the guest asks for by @function, MEM_SHARE or MEM_UNSHARE. */
long convert_as_asked(struct memory *memory, uint64_t function, uint64_t first,
		      uint64_t pages);
/* 0, or the signal that the host gets. */
int host_reads(struct memory *memory, uint64_t page, uint64_t *value);
/* In how many pages the host reads what guest_fill() wrote there. */
uint64_t host_finds(struct memory *memory, uint64_t first, uint64_t pages);
/* The guest has all of a file for itself, and nobody has a request of its. */
void nothing_is_shared(struct memory *memory);

/* ---- run.c ---- */

/* Until something happens; what the last exit was for has its answer in kvm_run. */
long vcpu_run(struct vcpu *vcpu);
/* The same, but -EINTR if nothing happens for so long. */
long vcpu_run_for(struct vcpu *vcpu, unsigned int ms);
/* Let the guest do something, whether or not it has started yet. */
long vcpu_do(struct vcpu *vcpu, uint64_t command, uint64_t x0, uint64_t x1, uint64_t x2,
	     uint64_t x3);
/* The same for calls of a hypervisor. */
long vcpu_call(struct vcpu *vcpu, uint64_t function, uint64_t x1, uint64_t x2,
	       uint64_t x3);
/* After KVM_EXIT_HYPERCALL: go on, with what the VMM answers. */
long vcpu_answer(struct vcpu *vcpu, uint64_t ret);

/* What guests do without asking anybody; else the test fails. */
void guest_fill(struct vcpu *vcpu, struct memory *memory, uint64_t first, uint64_t pages);
void guest_has(struct vcpu *vcpu, struct memory *memory, uint64_t first, uint64_t pages);
/* vCPU @id starts at guest_start, with CONTEXT. Return: what PSCI answers. */
uint64_t guest_powers_on(struct vcpu *vcpu, uint64_t id);
/* The vCPU starts as its guest asked for, with nothing left of what it was before. */
void starts_as_asked(struct vcpu *vcpu);

/* A thread in KVM_RUN, until the first event. */
struct runner {
	struct vcpu *vcpu;
	long (*run)(struct vcpu *vcpu);
	pthread_t thread;
	long event;
	bool ended;
};

void runner_start(struct runner *runner, struct vcpu *vcpu,
		  long (*run)(struct vcpu *vcpu));
/* False: nothing happened for so long. */
bool runner_ended(struct runner *runner, unsigned int ms);
/* Interrupt it if need be.  Return: the event. */
long runner_stop(struct runner *runner);

/* Threads that interrupt nobody but whom they mean. */
#define KICK_SIGNAL	SIGUSR1

void sleep_ms(unsigned int ms);

/* What does not happen for a while will not; what has to happen may take long. */
#define A_WHILE_MS	300
#define LONG_MS		10000

#define PKVM_TEST(name)		TEST_WITH(name, 0, 60)

#endif /* PKVM_TEST_H */
