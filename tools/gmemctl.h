/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * gmemctl: its commands and what they share.
 */
#ifndef TOOLS_GMEMCTL_H
#define TOOLS_GMEMCTL_H

#include <errno.h>
#include <stdio.h>
#include <gmem/gmem.h>

enum {
	STATUS_OK,		/* what was asked for is done */
	STATUS_FAILED,		/* it was tried, and failed */
	STATUS_UNAVAILABLE,	/* this machine cannot, or wrong usage */
};

#define GMEM_PAGE	4096ull
#define TEST_GPA	(1ull << 32)

/* Each parses its own options and returns a STATUS_*. */
int cmd_probe(int argc, char **argv);
int cmd_matrix(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_stress(int argc, char **argv);

/* tools/gmemctl.c: false unless all of @text is a number, at most @most. */
bool parse_number(const char *text, uint64_t most, uint64_t *value);

/* ---- tools/target.c: --engine and --platform ---- */

/**
 * struct target - where a command works
 * @kind: enum gmem_engine_kind; GMEM_ENGINE_ANY: the kernel if it offers @platform
 * @platform: enum gmem_vm_platform
 * @all: every platform that the engine has, instead
 */
struct target {
	uint32_t kind;
	uint32_t platform;
	bool all;
};

/* The VM type that a kernel here converts without special hardware. */
#ifdef __aarch64__
#define OWN_PLATFORM		GMEM_VM_PKVM
#define OWN_PLATFORM_NAME	"pkvm"
#define OWN_PLATFORM_NEEDS	"with kvm-arm.mode=protected"
#define KVM_NEEDS		"the kernel has to start at EL2"
#else
#define OWN_PLATFORM		GMEM_VM_SW
#define OWN_PLATFORM_NAME	"sw"
#define OWN_PLATFORM_NEEDS	"with CONFIG_KVM_SW_PROTECTED_VM"
#define KVM_NEEDS		"load kvm_amd or kvm_intel"
#endif

#define TARGET_DEFAULT	{ .kind = GMEM_ENGINE_ANY, .platform = OWN_PLATFORM }

/* For struct option tables; what getopt_long() returns for them. */
#define OPT_ENGINE	'E'
#define OPT_PLATFORM	'P'
#define TARGET_OPTIONS							\
	{ "engine", required_argument, NULL, OPT_ENGINE },		\
	{ "platform", required_argument, NULL, OPT_PLATFORM }
#define TARGET_SHORT	"E:P:"
#define TARGET_USAGE							\
	"  -E, --engine=NAME     emu or kernel (kernel if /dev/kvm converts in place,\n" \
	"                        else emu)\n"				\
	"  -P, --platform=NAME   sw, pkvm, snp, tdx or all (" \
	OWN_PLATFORM_NAME ")\n"

/* False, and a message: @text is none of the names. */
bool target_option(struct target *target, int opt, const char *text);

/*
 * All arguments of a command that takes only a target and --json.  STATUS_OK to
 * go on; -1 if all is said; else a STATUS_*.
 */
int target_arguments(int argc, char **argv, struct target *target, bool *json,
		     void (*usage)(FILE *to));

/* All print why on stderr and return a STATUS_*. */
int open_engine(const struct target *target, struct gmem_engine **enginep);
/* From now on nothing that the library refuses is told. */
void quiet_log(void);
/*
 * Call @run for the platform, or for all that the engine offers.  The worst status.
 */
int for_each_target(const struct target *target,
		    int (*run)(const struct target *one, void *opaque), void *opaque);

/* ---- tools/machine.c ---- */

#define MACHINE_VCPUS	2

/* A VM with one in-place file, mapped and bound at TEST_GPA, and vCPUs. */
struct machine {
	struct gmem_engine *engine;
	struct gmem_vm *vm;
	struct gmem_file *file;
	struct gmem_vcpu *vcpus[MACHINE_VCPUS];
	struct gmem_caps caps;
	uint64_t bytes;
	unsigned char *memory;
};

/* @property: enum gmem_emu_property that is switched on, or -1. */
int open_machine(struct machine *machine, const struct target *target, uint64_t bytes,
		 int property);
void close_machine(struct machine *machine);

/* For host_read(). Before an engine opens: it may want to handle SIGBUS first. */
void expect_sigbus(void);
/* Read words of the mapping; -EFAULT if that raises SIGBUS. */
int host_read(const struct machine *machine, uint64_t offset, uint64_t *words, size_t nr);
/* One sentence about a platform that does not convert. */
int report_unavailable(const struct gmem_engine *engine, const struct gmem_caps *caps);

/* "EINVAL" for -EINVAL, "ok" for 0. */
const char *errno_word(int ret);

/* ---- tools/flow.c ---- */

/* One share and one unshare, each step told. */
int explain_flow(const struct target *target, void *opaque);

#endif /* TOOLS_GMEMCTL_H */
