/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Entry, at the first byte of the image.  The host has set up 64-bit mode, a
 * stack that belongs to this vCPU in %rsp and its mailbox in %rdi.
 */
	.section .text.start, "ax"
	.globl	guest_start
guest_start:
	cld
	xorl	%ebp, %ebp
	call	guest_main
1:	hlt
	jmp	1b

	.section .note.GNU-stack, "", @progbits
