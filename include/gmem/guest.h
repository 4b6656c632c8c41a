/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Commands for gmem's guest program, a small interpreter that runs in a vCPU.
 * The same on every architecture and in every engine; see gmem_guest_start().
 *
 * Freestanding: the guest program itself includes it.
 */
#ifndef GMEM_GUEST_H
#define GMEM_GUEST_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Commands that one list may hold. */
#define GMEM_GUEST_MAX_CMDS	32

/**
 * enum gmem_guest_op - what a command does
 * @GMEM_GUEST_NOP: nothing
 * @GMEM_GUEST_LOAD: result = the @size (1, 2, 4 or 8) bytes at @addr
 * @GMEM_GUEST_STORE: store the low @size (1, 2, 4 or 8) bytes of @value at @addr
 * @GMEM_GUEST_FILL: store 64-bit words into [@addr, @addr + @size), one every
 *	@stride bytes; word number i is @value + i * @step
 * @GMEM_GUEST_CHECK: load the same words and compare.  result = words that
 *	differ; bad_addr and bad_value name the first of them; status -EILSEQ
 *	(-84) if any differs
 * @GMEM_GUEST_SHARE: ask the host to make [@addr, @addr + @size) shared, by as many
 *	hypercalls as it takes: one may do less than it is asked for (pKVM).  status =
 *	what the last one returned.  result = pages from the front on that are as
 *	asked now; of a hypercall that failed they count where it tells (pKVM)
 * @GMEM_GUEST_UNSHARE: ask the host to make it private
 * @GMEM_GUEST_SPIN: count to @value without touching memory
 * @GMEM_GUEST_POWER_ON: power on vCPU number @value, which starts the guest program
 *	anew.  status = 0; -EEXIST if it is on; -EINVAL if there is none; -EOPNOTSUPP
 *	or -EPERM where the guest has no say in that
 * @GMEM_GUEST_NR_OPS: not a command
 */
enum gmem_guest_op {
	GMEM_GUEST_NOP,
	GMEM_GUEST_LOAD,
	GMEM_GUEST_STORE,
	GMEM_GUEST_FILL,
	GMEM_GUEST_CHECK,
	GMEM_GUEST_SHARE,
	GMEM_GUEST_UNSHARE,
	GMEM_GUEST_SPIN,
	GMEM_GUEST_POWER_ON,
	GMEM_GUEST_NR_OPS,
};

/*
 * Flag of GMEM_GUEST_SHARE and GMEM_GUEST_UNSHARE: page by page, on pKVM by the
 * hypercall for one page, as guests do that know no other.
 */
#define GMEM_GUEST_SINGLE	(1u << 0)

/**
 * struct gmem_guest_cmd - one command and its outcome
 * @op: enum gmem_guest_op
 * @flags: GMEM_GUEST_*; else 0
 * @addr: guest physical address
 * @size: bytes
 * @value: see enum gmem_guest_op
 * @step: see enum gmem_guest_op
 * @stride: bytes between two words, a multiple of 8; 0 is 8
 * @status: out: 0 or a negative errno value
 * @result: out: see enum gmem_guest_op
 * @bad_addr: out: address of the first word that differs
 * @bad_value: out: what was there
 */
struct gmem_guest_cmd {
	uint32_t op;
	uint32_t flags;
	uint64_t addr;
	uint64_t size;
	uint64_t value;
	uint64_t step;
	uint64_t stride;
	int64_t status;
	uint64_t result;
	uint64_t bad_addr;
	uint64_t bad_value;
};

#ifdef __cplusplus
}
#endif

#endif /* GMEM_GUEST_H */
