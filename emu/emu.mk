# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
# The emu engine and core/, as part of libgmem.  lib/lib.mk includes the objects;
# programs that link libgmem.a statically need $(GMEM_LIBS), too.

EMU_OUT := $(BUILD)/emu
EMU_SRCS := $(addprefix emu/,access.c conversion.c device.c el2.c engine.c file.c \
	guard_mprotect.c guard_uffd.c guest_view.c inject.c marks.c memory_crypt.c \
	page_entry.c platform.c platforms.c sigbus.c slot.c vcpu.c view.c) \
	$(sort $(wildcard emu/platform_*.c))
EMU_CORE_SRCS := $(addprefix core/,attr_map.c convert.c policy.c request.c)
EMU_OBJS := $(patsubst %.c,$(EMU_OUT)/%.o,$(EMU_SRCS) $(EMU_CORE_SRCS)) \
	$(EMU_OUT)/guest.o
GMEM_LIBS := -lurcu-bp -lurcu-common -lcrypto

EMU_CPPFLAGS := -Iemu -Iemu/include -Icore -Iinclude -Iguest \
	-Ilinux/include/uapi
EMU_CFLAGS := -std=gnu11 -O2 -g -Wall -Wextra -Werror -Wmissing-prototypes \
	-Wstrict-prototypes -Wshadow -MMD -MP -fPIC -fvisibility=hidden -pthread

# core's callbacks leave parameters unused, and its shim's macros nest.
$(EMU_OUT)/%.o: %.c emu/emu.mk
	@mkdir -p $(@D)
	$(CC) $(EMU_CPPFLAGS) $(EMU_CFLAGS) -Wno-shadow $(CFLAGS) -c -o $@ $<

# The guest is not part of the process under test: no sanitizer looks at it.
$(EMU_OUT)/guest.o: guest/guest.c emu/emu.mk
	@mkdir -p $(@D)
	$(CC) $(EMU_CFLAGS) -Dguest_main=emu_guest_main -Iinclude -Iguest -Iemu/guest \
		-c -o $@ $<

-include $(EMU_OBJS:.o=.d)
