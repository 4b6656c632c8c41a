/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * An honest guest, in one page, with its MMU off.  It shares what it chooses, and trusts
 * nobody but EL2: no register that the VMM set but the first vCPU's x0, no memory that it
 * did not write, no answer but that of a call.
 */
#include "honest.h"

#define DATA_GPA	0x50000000	/* as in hostile.h */
#define PAGE_SHIFT	12

#define MEM_SHARE	0xc6000003
#define MEM_UNSHARE	0xc6000004
#define CPU_ON		0xc4000003

	.macro	constant reg, value
	movz	\reg, #((\value) & 0xffff)
	movk	\reg, #((\value) >> 16 & 0xffff), lsl #16
	.endm

	.section .rodata.honest, "a"
	.balign	2048
	.globl	honest_code, honest_hvc, honest_extra, honest_code_end

	/*
	 * x0: the vCPU's number.  Then x19: the first of its pages; x20: random numbers;
	 * x21: the secret; x22: how many pages more it shares than it means to.
	 */
honest_code:
	adr	x1, vectors
	msr	vbar_el1, x1
	isb
	mov	x24, x0
	constant x19, DATA_GPA
	mov	x1, #(HONEST_PAGES << PAGE_SHIFT)
	madd	x19, x0, x1, x19
	movz	x20, #0x9e37, lsl #32
	movk	x20, #0x79b9
	add	x20, x20, x0
	movz	x21, #(HONEST_COMPLEMENT & 0xffff)
	movk	x21, #(HONEST_COMPLEMENT >> 16 & 0xffff), lsl #16
	movk	x21, #(HONEST_COMPLEMENT >> 32 & 0xffff), lsl #32
	movk	x21, #(HONEST_COMPLEMENT >> 48), lsl #48
	mvn	x21, x21
	ldr	x22, honest_extra

	mov	x0, x19
	mov	x1, #HONEST_PAGES
	mov	x2, x21
	bl	write
	cbnz	x24, loop

	/* The first vCPU: nobody else may start the other. */
	constant x0, CPU_ON
	mov	x1, #1
	adr	x2, honest_code
	mov	x3, #1
	bl	honest_hvc
	mov	x1, #HONEST_READY_GPA
	str	xzr, [x1]

	/* x23: some pages, x25: their number */
loop:
	eor	x20, x20, x20, lsl #13
	eor	x20, x20, x20, lsr #7
	eor	x20, x20, x20, lsl #17
	ubfx	x1, x20, #20, #HONEST_PAGES_SHIFT
	ubfx	x25, x20, #40, #2
	add	x25, x25, #1
	mov	x2, #(HONEST_PAGES - 1)
	sub	x2, x2, x1		/* so many are behind the first */
	cmp	x25, x2
	csel	x25, x25, x2, lo
	cbz	x25, loop
	add	x23, x19, x1, lsl #PAGE_SHIFT

	mov	x0, x23
	mov	x1, x25
	mov	x2, xzr
	bl	write
	constant x0, MEM_SHARE
	mov	x1, x23
	add	x2, x25, x22
	/* Now and then the call that 7.3 knows. */
	cmp	x2, #1
	ccmp	x20, #0, #0, eq
	csel	x2, xzr, x2, lt
	mov	x3, xzr
	bl	honest_hvc
	str	x20, [x23, #8]

	/* From the front on, as far as it is told; what is left it tries once more. */
	mov	x26, #3
1:	constant x0, MEM_UNSHARE
	mov	x1, x23
	mov	x2, x25
	mov	x3, xzr
	bl	honest_hvc
	cbnz	x0, 2f
	mov	x27, x1
	mov	x0, x23
	mov	x2, x21
	bl	write
	add	x23, x23, x27, lsl #PAGE_SHIFT
	subs	x25, x25, x27
	b.ls	loop
2:	subs	x26, x26, #1
	b.ne	1b
	b	loop

	/* x2 to both places in x1 pages from x0 on */
write:
	cbz	x1, 3f
	str	x2, [x0]
	str	x2, [x0, #HONEST_SECOND_PLACE]
	add	x0, x0, #(1 << PAGE_SHIFT)
	sub	x1, x1, #1
	b	write
3:	dsb	sy
	ret

honest_hvc:
	hvc	#0
	ret

	.balign	8
honest_extra:
	.quad	0

	/* It has no business with exceptions. */
	.balign	2048
vectors:
	.rept	16
	.balign	128
	b	.
	.endr
	.balign	2048
honest_code_end:

	.section .note.GNU-stack, "", %progbits
