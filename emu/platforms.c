// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The platforms that are modelled: a row for each.
 */
#include <gmem/gmem.h>

#include "platform_ops.h"

static const struct emu_platform_ops *const platforms[GMEM_VM_NR_PLATFORMS] = {
	[GMEM_VM_DEFAULT] = &emu_platform_default,
	[GMEM_VM_SW] = &emu_platform_sw,
	[GMEM_VM_PKVM] = &emu_platform_pkvm,
	[GMEM_VM_SNP] = &emu_platform_snp,
	[GMEM_VM_TDX] = &emu_platform_tdx,
};

const struct emu_platform_ops *emu_platform(u32 platform)
{
	return platform < GMEM_VM_NR_PLATFORMS ? platforms[platform] : NULL;
}
