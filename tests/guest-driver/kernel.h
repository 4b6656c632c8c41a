/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * What the driver needs of the kernel: its words, for a program on the machine that
 * builds.  Addresses are numbers here, nothing is behind them.  The functions are the
 * test's.
 */
#ifndef GUEST_DRIVER_KERNEL_H
#define GUEST_DRIVER_KERNEL_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint32_t u32;
typedef uint64_t u64;
typedef u64 phys_addr_t;
typedef u64 pteval_t;
typedef struct { pteval_t pgprot; } pgprot_t;

#define BIT(nr)			(1ul << (nr))
#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))
#define is_power_of_2(n)	((n) && !((n) & ((n) - 1)))

/* arm64 has pages of 4, 16 and 64 KiB; a test says which. */
extern unsigned long page_size;
#define PAGE_SIZE		page_size
#define PAGE_ALIGN_DOWN(x)	((x) & ~(phys_addr_t)(PAGE_SIZE - 1))
#define PAGE_ALIGN(x)		PAGE_ALIGN_DOWN((x) + PAGE_SIZE - 1)

#define PROT_DEVICE_nGnRE	1
#define PROT_DEVICE_nGnRnE	2
#define pgprot_val(prot)	((prot).pgprot)

#define DEFINE_STATIC_KEY_FALSE_RO(name)	static bool name
#define static_branch_enable(key)		((void)(*(key) = true))

/* The numbers of functions, from the kernel's own header. */
#define _AC(x, y)		x##y
#define __ASSEMBLY__
#include SMCCC_H
#undef __ASSEMBLY__

struct arm_smccc_res {
	unsigned long a0, a1, a2, a3;
};

struct arm64_mem_crypt_ops {
	int (*encrypt)(unsigned long addr, int numpages);
	int (*decrypt)(unsigned long addr, int numpages);
};

typedef int (*ioremap_prot_hook_t)(phys_addr_t phys, size_t size, pgprot_t *prot);

int arm64_mem_crypt_ops_register(const struct arm64_mem_crypt_ops *ops);
int arm64_ioremap_prot_hook_register(ioremap_prot_hook_t hook);
bool kvm_arm_hyp_service_available(u32 func);
void arm_smccc_1_1_invoke(u32 func, u64 arg1, u64 arg2, u64 arg3, struct arm_smccc_res *res);
phys_addr_t virt_to_phys(const void *addr);
void pkvm_init_hyp_services(void);

extern unsigned int nr_warnings;
#define WARN_ON_ONCE(condition)	((condition) ? (void)nr_warnings++ : (void)0)

#endif /* GUEST_DRIVER_KERNEL_H */
