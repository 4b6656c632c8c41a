# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
# libgmem, static and shared.

LIB_ARCH ?= $(GUEST_ARCH)
LIB_OUT := $(BUILD)/lib
LIB_MAJOR := 0
LIB_MINOR := 1.0
LIB_VERSION := $(LIB_MAJOR).$(LIB_MINOR)
LIB_SONAME := libgmem.so.$(LIB_MAJOR)
LIB_A := $(LIB_OUT)/libgmem.a
LIB_SO := $(LIB_OUT)/$(LIB_SONAME)

LIB_SRCS := lib/log.c lib/engine.c lib/adopt.c lib/slot.c lib/attributes.c \
	lib/load.c lib/guest.c \
	lib/kernel_engine.c lib/kernel_memory.c lib/kernel_vcpu.c lib/kernel_adopt.c \
	lib/kernel_$(LIB_ARCH).c
LIB_OBJS := $(patsubst lib/%.c,$(LIB_OUT)/%.o,$(LIB_SRCS)) $(LIB_OUT)/guest_image.o

# Without it libgmem needs no liburcu: for machines that only have a compiler.
LIB_EMU ?= 1
ifeq ($(LIB_EMU),1)
include emu/emu.mk
LIB_OBJS += $(EMU_OBJS)
endif

# For everything that uses the public headers.
GMEM_CPPFLAGS := -Iinclude -Ilinux/include/uapi
GMEM_CFLAGS := -std=gnu11 -O2 -g -Wall -Wextra -Werror -Wmissing-prototypes \
	-Wstrict-prototypes -Wshadow -MMD -MP
LIB_CFLAGS := $(GMEM_CFLAGS) -fPIC -fvisibility=hidden -pthread \
	$(if $(filter 1,$(LIB_EMU)),,-DGMEM_NO_EMU)

$(LIB_OUT)/%.o: lib/%.c lib/lib.mk
	@mkdir -p $(@D)
	$(CC) $(GMEM_CPPFLAGS) $(LIB_CFLAGS) $(CFLAGS) -c -o $@ $<

$(LIB_OUT)/guest_image.o: lib/guest_image.S $(GUEST_IMAGE)
	@mkdir -p $(@D)
	$(CC) -DGUEST_IMAGE='"$(GUEST_IMAGE)"' -c -o $@ $<

$(LIB_A): $(LIB_OBJS)
	rm -f $@
	$(AR) rcs $@ $(LIB_OBJS)

$(LIB_SO): $(LIB_OBJS) lib/libgmem.map
	$(CC) $(CFLAGS) -shared -pthread -Wl,-soname,$(LIB_SONAME) \
		-Wl,--version-script=lib/libgmem.map -Wl,-z,defs -o $@ $(LIB_OBJS) $(GMEM_LIBS)
	ln -sf $(LIB_SONAME) $(LIB_OUT)/libgmem.so

.PHONY: lib
lib: $(LIB_A) $(LIB_SO)

-include man/man.mk
include lib/install.mk

-include $(LIB_OBJS:.o=.d)
