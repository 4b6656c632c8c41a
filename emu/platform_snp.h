/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * AMD SEV-SNP as modelled: instructions and entries, for its tests.
 */
#ifndef EMU_PLATFORM_SNP_H
#define EMU_PLATFORM_SNP_H

#include "gmem_platform.h"

struct emu_vcpu;
struct emu_file;

/* An RMP entry in one word; the guest physical address lies in place. */
#define SNP_RMP_ASSIGNED	(1ull << 0)
#define SNP_RMP_VALIDATED	(1ull << 1)
#define SNP_RMP_GPA		(((1ull << 40) - 1) << 12)
#define SNP_RMP_ASID_SHIFT	52
#define SNP_MAX_ASID		((1u << 12) - 1)

/* What PVALIDATE answers: carry set, the bit was that already. */
#define SNP_PVALIDATE_DONE	0u
#define SNP_PVALIDATE_NO_CHANGE	255u

/* On the vCPU's thread, or while it does not run. */
unsigned int emu_snp_pvalidate(struct emu_vcpu *vcpu, u64 gfn, bool validate);
u64 emu_snp_rmp_read(struct emu_file *file, u64 index);

#endif /* EMU_PLATFORM_SNP_H */
