/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* The guest program, as guest/guest.mk built it. */
	.section .rodata
	.globl	gmem_guest_image
	.hidden	gmem_guest_image
	.globl	gmem_guest_image_end
	.hidden	gmem_guest_image_end
	.balign	16
gmem_guest_image:
	.incbin	GUEST_IMAGE
gmem_guest_image_end:

	.section .note.GNU-stack, "", %progbits
