// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The engines and platforms that convert in place, and what each promises.
 */
#include "harness.h"

#ifdef __aarch64__
#define KERNEL_LACKS	(NEEDS_VM_ATTRIBUTES | NEEDS_PRE_FAULT | NEEDS_VM_TYPES)
#define KERNEL_SW_LACKS	(KERNEL_LACKS | NEEDS_HYPERCALL | NEEDS_PRIVATE_FAULTS)
#else
#define KERNEL_LACKS	NEEDS_ANY_VM
#define KERNEL_SW_LACKS	KERNEL_LACKS
#endif
#define EMU_LACKS	NEEDS_ANY_VM

static const struct variant variants[] = {
	{
		.name = "kernel/sw",
		.lacks = KERNEL_SW_LACKS,
		.engine = GMEM_ENGINE_KERNEL,
		.platform = GMEM_VM_SW,
		.to_shared = POLICY(ZERO) | POLICY(READABLE) | POLICY(DESTROY),
		.to_private = POLICY(ZERO) | POLICY(READABLE) | POLICY(DESTROY),
		.kernel = true,
	},
#ifdef __aarch64__
	{
		.name = "kernel/pkvm",
		.lacks = KERNEL_LACKS,
		.engine = GMEM_ENGINE_KERNEL,
		.platform = GMEM_VM_PKVM,
		.to_shared = POLICY(ZERO) | POLICY(READABLE) | POLICY(DESTROY),
		.to_private = POLICY(ZERO) | POLICY(READABLE) | POLICY(DESTROY),
		.kernel = true,
		.guest_asks = true,
	},
#endif
	{
		.name = "emu/sw",
		.lacks = EMU_LACKS,
		.engine = GMEM_ENGINE_EMU,
		.platform = GMEM_VM_SW,
		.to_shared = POLICY(ZERO) | POLICY(READABLE) | POLICY(DESTROY),
		.to_private = POLICY(ZERO) | POLICY(READABLE) | POLICY(DESTROY),
	},
	{
		.name = "emu/pkvm",
		.lacks = EMU_LACKS,
		.engine = GMEM_ENGINE_EMU,
		.platform = GMEM_VM_PKVM,
		.to_shared = POLICY(ZERO) | POLICY(READABLE) | POLICY(DESTROY),
		.to_private = POLICY(ZERO) | POLICY(READABLE) | POLICY(DESTROY),
		.guest_asks = true,
	},
	{
		.name = "emu/snp",
		.lacks = EMU_LACKS,
		.engine = GMEM_ENGINE_EMU,
		.platform = GMEM_VM_SNP,
		.to_shared = POLICY(ZERO) | POLICY(DESTROY),
		.to_private = POLICY(ZERO) | POLICY(DESTROY),
		.scrubs_to_private = true,
	},
	{
		.name = "emu/tdx",
		.lacks = EMU_LACKS,
		.engine = GMEM_ENGINE_EMU,
		.platform = GMEM_VM_TDX,
		.to_shared = POLICY(ZERO) | POLICY(DESTROY),
		.to_private = POLICY(ZERO) | POLICY(DESTROY),
	},
};

static const char *begin(const struct variant *variant)
{
	return why_no_vm(variant, true);
}

const struct suite suite = {
	.variants = variants,
	.nr_variants = sizeof(variants) / sizeof(variants[0]),
	.begin = begin,
};
