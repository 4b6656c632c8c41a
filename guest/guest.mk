# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
# The guest program: a flat image, embedded into libgmem by lib/lib.mk.
# GUEST_ARCH is the compiler's name of the machine.

GUEST_ARCH ?= $(shell uname -m)
GUEST_OUT := $(BUILD)/guest/$(GUEST_ARCH)
GUEST_IMAGE := $(GUEST_OUT)/guest.bin

# Nothing of the build's own CFLAGS (sanitizers, coverage) may reach the guest.
GUEST_CFLAGS := -std=gnu11 -O2 -g -Wall -Wextra -Werror -MMD -MP -ffreestanding \
	-fno-stack-protector -fno-pic -fno-pie -fno-asynchronous-unwind-tables \
	-fno-tree-loop-distribute-patterns -mgeneral-regs-only \
	-Iinclude -Iguest -Iguest/$(GUEST_ARCH)
ifeq ($(GUEST_ARCH),x86_64)
GUEST_CFLAGS += -mno-red-zone -fcf-protection=none
endif

$(GUEST_OUT)/guest.o: guest/guest.c guest/guest.mk
	@mkdir -p $(@D)
	$(CC) $(GUEST_CFLAGS) -c -o $@ $<

$(GUEST_OUT)/start.o: guest/$(GUEST_ARCH)/start.S guest/guest.mk
	@mkdir -p $(@D)
	$(CC) $(GUEST_CFLAGS) -c -o $@ $<

$(GUEST_OUT)/guest.lds: guest/guest.lds.S guest/layout.h guest/guest.mk
	@mkdir -p $(@D)
	$(CC) -E -P -undef -x assembler-with-cpp -Iguest -o $@ $<

$(GUEST_OUT)/guest.elf: $(GUEST_OUT)/start.o $(GUEST_OUT)/guest.o $(GUEST_OUT)/guest.lds
	$(CC) -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,noexecstack \
		-Wl,-z,max-page-size=4096 -Wl,--no-warn-rwx-segments \
		-T $(GUEST_OUT)/guest.lds -o $@ $(filter %.o,$^)

$(GUEST_IMAGE): $(GUEST_OUT)/guest.elf
	$(CROSS_COMPILE)objcopy -O binary $< $@

.PHONY: guest
guest: $(GUEST_IMAGE)

-include $(GUEST_OUT)/guest.d $(GUEST_OUT)/start.d
