/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * gmemctl: its commands and what they share.
 */
#ifndef TOOLS_GMEMCTL_H
#define TOOLS_GMEMCTL_H

#include <errno.h>
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

/* ---- tools/machine.c ---- */

/* A VM with one in-place file, mapped and bound at TEST_GPA, and one vCPU. */
struct machine {
	struct gmem_engine *engine;
	struct gmem_vm *vm;
	struct gmem_file *file;
	struct gmem_vcpu *vcpu;
	struct gmem_caps caps;
	uint64_t bytes;
	unsigned char *memory;
};

/* All print why on stderr and return a STATUS_*. */
int open_engine(struct gmem_engine **enginep);
int open_machine(struct machine *machine, uint32_t platform, uint64_t bytes);
void close_machine(struct machine *machine);
/* One sentence about a platform that does not convert. */
int report_unavailable(const struct gmem_caps *caps);

/* "EINVAL" for -EINVAL, "ok" for 0. */
const char *errno_word(int ret);

#endif /* TOOLS_GMEMCTL_H */
