/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Entry, at the first byte of the image.  The host has set up EL1 with the MMU off,
 * this vCPU's mailbox in x0, the top of its stack in x1, and a table of 1 GiB blocks
 * by which guest virtual is guest physical.
 *
 * In a protected VM the vCPU that enters here powers on all others.  They begin at
 * guest_secondary, with their number in x0 and nothing else that the host has set.
 *
 * The MMU is on for the program's sake: without it all memory is Device memory, and
 * what the host reads through its cache need not be what the guest wrote.
 */
#include "layout.h"

/* ARM_SMCCC_VENDOR_HYP_KVM_MEM_SHARE_FUNC_ID */
#define MEM_SHARE	0xc6000003
/* PSCI_0_2_FN64_CPU_ON */
#define CPU_ON		0xc4000003

/* Attribute 0: normal memory, write-back, for inner and outer caches. */
#define MAIR		0xff

/* 39-bit addresses by TTBR0 alone, 40-bit physical ones, tables like MAIR. */
#define TCR_T0SZ	(64 - 39)
#define TCR_CACHED	(1 << 8 | 1 << 10 | 3 << 12)
#define TCR_EPD1	(1 << 23)
#define TCR_IPS_40	(2 << 32)
#define TCR		(TCR_T0SZ | TCR_CACHED | TCR_EPD1 | TCR_IPS_40)

/* The bits that are reserved as 1; MMU, data cache, instruction cache. */
#define SCTLR		(0x30d00800 | 1 << 0 | 1 << 2 | 1 << 12)

	.section .text.start, "ax"
	.globl	guest_start
guest_start:
	mov	x21, xzr
enter:
	/* x19: the mailbox; x21: whether another vCPU powered this one on. */
	mov	sp, x1
	mov	x19, x0
	adr	x2, vectors
	msr	vbar_el1, x2

	ldr	x2, =MAIR
	msr	mair_el1, x2
	ldr	x2, =TCR
	msr	tcr_el1, x2
	ldr	x2, =GMEM_GUEST_TABLES_GPA
	msr	ttbr0_el1, x2
	isb
	tlbi	vmalle1
	dsb	nsh
	ldr	x2, =SCTLR
	msr	sctlr_el1, x2
	isb

	/*
	 * In a protected VM the host may not look into the mailbox before it is
	 * shared.  Elsewhere nobody knows this hypercall, and nobody has to.
	 */
	ldr	x0, =MEM_SHARE
	mov	x1, x19
	mov	x2, xzr
	mov	x3, xzr
	hvc	#0
	mov	w20, w0
	cbnz	w20, 2f
	cbnz	x21, 2f

	/* The vCPUs' affinities are their numbers.  Not every one is there. */
	mov	x22, xzr
1:	ldr	x0, =CPU_ON
	mov	x1, x22
	adr	x2, guest_secondary
	mov	x3, x22
	hvc	#0
	add	x22, x22, #1
	cmp	x22, #GMEM_GUEST_MAX_VCPUS
	b.lo	1b

2:	ldr	x1, =GMEM_GUEST_EXIT_GPA
	str	w20, [x1]

	mov	x0, x19
	mov	x29, xzr
	mov	x30, xzr
	bl	guest_main
3:	wfi
	b	3b

	.globl	guest_secondary
guest_secondary:
	ldr	x1, =GMEM_GUEST_STACK_GPA + GMEM_GUEST_PAGE_SIZE
	add	x1, x1, x0, lsl #GMEM_GUEST_PAGE_SHIFT
	ldr	x2, =GMEM_GUEST_MAILBOX_GPA
	add	x0, x2, x0, lsl #GMEM_GUEST_PAGE_SHIFT
	mov	x21, #1
	b	enter

	/* No exception is expected: tell the host which it was. */
fault:
	mrs	x0, esr_el1
	ldr	x1, =GMEM_GUEST_FAULT_GPA
	str	x0, [x1]
	b	fault

	.ltorg

	.balign	2048
vectors:
	.rept	16
	.balign	128
	b	fault
	.endr

	.section .note.GNU-stack, "", %progbits
