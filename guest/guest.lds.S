/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* The image is flat: what is in the file is what lies in guest memory. */
#include "layout.h"

ENTRY(guest_start)

SECTIONS
{
	. = GMEM_GUEST_BASE_GPA;
	.text : { *(.text.start) *(.text .text.*) }
	.rodata : { *(.rodata .rodata.*) }
	.data : { *(.data .data.* .bss .bss.* COMMON) BYTE(0) }
	ASSERT(. - GMEM_GUEST_BASE_GPA <= GMEM_GUEST_IMAGE_SIZE, "image too large")
	/DISCARD/ : { *(.comment) *(.note .note.*) *(.eh_frame*) }
}
