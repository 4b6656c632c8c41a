# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
#
# Benches.  The top Makefile includes this; paths are from the top.
#
#   make bench               run them, print the tables
#   make bench BENCH_ARGS=…  with arguments, see bench/attr_map --help
#
# The maple tree comes from a kernel source: KSRC=, GMEM_KSRC=, or the one that
# scripts/kernel-source has ready.  Without one it is left out.

BENCH_OUT := build/bench
BENCH_CFLAGS := -std=gnu11 -g -O2 -Wall -Wextra -Wno-unused-parameter \
	-Ibench -Iemu/include -Icore -Ilinux/include/uapi
BENCH_LIBS := -lurcu-bp -lurcu -lurcu-common -ljson-c -lpthread
BENCH_JSON ?= $(BENCH_OUT)/attr_map.json
BENCH_KSRC = $(or $(KSRC),$(GMEM_KSRC),$(shell scripts/kernel-source))

# One after the other, and never beside a build: they measure time.
.PHONY: bench bench-build
bench: bench-build
	$(BENCH_OUT)/attr_map --json $(BENCH_JSON) $(BENCH_ARGS)

bench-build:
	@$(MAKE) -f bench/attr_map.mk --no-print-directory \
		BENCH_OUT='$(BENCH_OUT)' BENCH_CFLAGS='$(BENCH_CFLAGS)' \
		BENCH_LIBS='$(BENCH_LIBS)' BENCH_KSRC='$(BENCH_KSRC)'
