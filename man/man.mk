# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
# Manual pages, made from the public headers: see man/generate.

MAN_OUT := build/man
MAN_SECTIONS := 1 3 7

$(MAN_OUT)/.made: $(wildcard man/*) $(wildcard include/gmem/*.h) \
	linux/include/uapi/linux/kvm_gmem.h
	man/generate $(LIB_VERSION) $(MAN_OUT)
	touch $@

.PHONY: man
man: $(MAN_OUT)/.made
