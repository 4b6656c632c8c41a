/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * A guest that does what it is told, with its MMU off.  Its code is copied into the
 * VM's memory, and is independent of where it lies there.
 */
#include "guest.h"

	.section .rodata.guest, "a"
	.balign	2048
	.globl	guest_code, guest_start, guest_hvc, guest_code_end
guest_code:

	/* Where vCPUs start, with x0 as their context. */
guest_start:
	b	1f
	/* Nobody comes here who starts at the entry. */
	mov	x1, #-1
	b	2f
1:
	.irp	n, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21
	orr	x1, x1, x\n
	.endr
	.irp	n, 22, 23, 24, 25, 26, 27, 28, 29, 30
	orr	x1, x1, x\n
	.endr
	mrs	x2, vbar_el1
	orr	x1, x1, x2
	mov	x2, #3 << 20		/* CPACR_EL1.FPEN */
	msr	cpacr_el1, x2
	isb
	mov	x2, v0.d[0]
	orr	x1, x1, x2
	mov	x2, v31.d[1]
	orr	x1, x1, x2
2:	mov	x28, #MMIO_GPA
	adr	x2, guest_vectors
	msr	vbar_el1, x2
	isb
	str	x1, [x28, #MMIO_REGISTERS]
	str	x0, [x28, #MMIO_STARTED]

next:
	ldr	x9, [x28, #MMIO_COMMAND]
	ldr	x0, [x28, #MMIO_ARGUMENTS]
	ldr	x1, [x28, #MMIO_ARGUMENTS + 8]
	ldr	x2, [x28, #MMIO_ARGUMENTS + 16]
	ldr	x3, [x28, #MMIO_ARGUMENTS + 24]
	cmp	x9, #GUEST_FILL
	b.eq	fill
	cmp	x9, #GUEST_COUNT
	b.eq	count

	/* How it calls whoever is above it; Linux: __arm_smccc_hvc. */
guest_hvc:
	hvc	#0

answer:
	mov	x28, #MMIO_GPA
	str	x0, [x28, #MMIO_X0]
	str	x1, [x28, #MMIO_X1]
	b	next

fill:
	cbz	x1, answer
	str	x2, [x0]
	add	x0, x0, #4096
	add	x2, x2, #1
	sub	x1, x1, #1
	b	fill

count:
	mov	x10, xzr
1:	cbz	x1, 2f
	ldr	x11, [x0]
	cmp	x11, x2
	cinc	x10, x10, eq
	add	x0, x0, #4096
	add	x2, x2, #1
	sub	x1, x1, #1
	b	1b
2:	mov	x0, x10
	b	answer

fault:
	mov	x28, #MMIO_GPA
	mrs	x0, esr_el1
	str	x0, [x28, #MMIO_FAULT]
	b	next

	.balign	2048
guest_vectors:
	.rept	16
	.balign	128
	b	fault
	.endr
	.balign	128
guest_code_end:

	.section .note.GNU-stack, "", %progbits
