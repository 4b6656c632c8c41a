// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Failing on purpose: one countdown for core's allocations and for every step of
 * the engine that may fail, so that a test lets each of them fail in turn.
 */
#include <gmem/emu.h>

#include "emu.h"

bool emu_fail_now(void)
{
	if (likely(gmem_memory.until_failure < 0))
		return false;
	return gmem_memory.until_failure-- == 0;
}

GMEM_API long gmem_emu_fail_after(long steps)
{
	long left = gmem_memory.until_failure;

	gmem_memory.until_failure = steps;
	return left;
}
