# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
#
# The driver by which Linux as pKVM's guest shares memory, against a hypervisor that
# is played: drivers/virt/coco/pkvm-guest/ as linux/patches has it ("new") and as
# Linux 7.3 has it ("old"), each with hosts that know ranges and hosts that do not.
#
#   make guest-driver		run the tests; needs the Linux source, no kernel
#   make guest-driver-build	only build them

GUEST_DRIVER_OUT := build/guest-driver
GUEST_DRIVER_SOURCE := drivers/virt/coco/pkvm-guest/arm-pkvm-guest.c
GUEST_DRIVER_FILES := $(GUEST_DRIVER_SOURCE) include/linux/arm-smccc.h
GUEST_DRIVER_PATCHES = $(shell grep -l '^+++ b/$(GUEST_DRIVER_SOURCE)' linux/patches/*.patch)
GUEST_DRIVER_BINARIES := $(GUEST_DRIVER_OUT)/old-driver $(GUEST_DRIVER_OUT)/new-driver
# The driver, as the kernel does, compares int with unsigned.
GUEST_DRIVER_CFLAGS := -std=gnu11 -g -O1 -fno-omit-frame-pointer -Wall -Wextra -Werror \
	-Wno-unused-parameter -Wno-sign-compare -fsanitize=address,undefined \
	-fno-sanitize-recover=all -Itests/guest-driver

# Two files of the kernel, and an empty one for each that they include: what they need
# of those, tests/guest-driver/kernel.h has.
$(GUEST_DRIVER_OUT)/%/tree: $(wildcard linux/patches/*.patch) scripts/kernel-source \
		tests/guest-driver/guest-driver.mk
	@source=$${KSRC:-$$(scripts/kernel-source)} || exit; \
	rm -rf $(@D); \
	for file in $(GUEST_DRIVER_FILES); do \
		mkdir -p $(@D)/$$(dirname $$file) && cp $$source/$$file $(@D)/$$file || exit; \
	done; \
	if [ $* = new ]; then \
		for patch in $(GUEST_DRIVER_PATCHES); do \
			patch -d $(@D) -s -p1 -F0 --no-backup-if-mismatch <$$patch || exit; \
		done; \
	fi; \
	cd $(@D); \
	sed -n 's/^#include <\(.*\)>$$/\1/p' $(GUEST_DRIVER_FILES) | while read -r header; do \
		mkdir -p empty/$$(dirname $$header) && : >empty/$$header || exit; \
	done; \
	touch tree

$(GUEST_DRIVER_OUT)/%-driver: tests/guest-driver/driver_test.c tests/guest-driver/kernel.h \
		$(GUEST_DRIVER_OUT)/%/tree
	$(CC) $(GUEST_DRIVER_CFLAGS) $(if $(filter new,$*),-DNEW_DRIVER) \
		-I$(GUEST_DRIVER_OUT)/$*/empty \
		-DSMCCC_H='"$(GUEST_DRIVER_OUT)/$*/include/linux/arm-smccc.h"' \
		-DDRIVER_C='"$(GUEST_DRIVER_OUT)/$*/$(GUEST_DRIVER_SOURCE)"' \
		-iquote. -o $@ $< -lcmocka

.PRECIOUS: $(GUEST_DRIVER_OUT)/%/tree
.PHONY: guest-driver guest-driver-build
guest-driver-build: $(GUEST_DRIVER_BINARIES)

guest-driver: guest-driver-build
	tests/unit/run-tap $(GUEST_DRIVER_OUT)/tap $(GUEST_DRIVER_BINARIES)
