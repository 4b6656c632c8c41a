/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Intel TDX as modelled: states and instructions, for its tests.
 */
#ifndef EMU_PLATFORM_TDX_H
#define EMU_PLATFORM_TDX_H

#include "gmem_platform.h"

struct emu_vcpu;
struct emu_file;

/* A secure EPT entry in one word: state, and the guest address in its place. */
#define TDX_SEPT_STATE		7ull
#define TDX_SEPT_GPA		(((1ull << 40) - 1) << 12)

enum tdx_sept_state {
	TDX_SEPT_FREE,
	TDX_SEPT_PENDING,	/* the guest has not accepted it */
	TDX_SEPT_ACCEPTING,	/* the module initializes it, and holds the entry */
	TDX_SEPT_MAPPED,
	TDX_SEPT_BLOCKED,	/* on the way out; PENDING or MAPPED before */
};

/* Completion statuses, the upper half. */
#define TDX_SUCCESS			0u
#define TDX_PAGE_ALREADY_ACCEPTED	0x00000b0au

/* On the vCPU's thread, or while it does not run: TDG.MEM.PAGE.ACCEPT. */
unsigned int emu_tdx_accept(struct emu_vcpu *vcpu, u64 gfn);
u64 emu_tdx_sept_read(struct emu_file *file, u64 index);
/* TDH.MEM.TRACK, and how often it ran. */
u64 emu_tdx_epoch(struct emu_file *file);

#endif /* EMU_PLATFORM_TDX_H */
