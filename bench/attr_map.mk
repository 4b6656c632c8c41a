# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
#
# Builds bench/attr_map; bench.mk calls it once it knows the kernel source,
# which may have to be fetched first.

MAPLE := $(wildcard $(BENCH_KSRC)/lib/maple_tree.c)
BENCH_DEPS := $(wildcard bench/*.h core/*.[ch] emu/include/*.h) emu/platform.c
BENCH_SOURCES := bench/attr_map.c bench/contender_map.c bench/contender_flat.c \
	core/attr_map.c emu/platform.c

ifneq ($(MAPLE),)
OBJECT := $(BENCH_OUT)/contender_maple.o
DEFINE := -DBENCH_MAPLE
$(info bench: maple tree from $(BENCH_KSRC))
else
$(info bench: no kernel source, so no maple tree; give one by KSRC=dir)
endif

# Linked anew each time: with or without the tree is not in the dependencies.
.PHONY: all
all: $(OBJECT) $(BENCH_SOURCES)
	@mkdir -p $(BENCH_OUT)
	$(CC) $(BENCH_CFLAGS) $(DEFINE) $(BENCH_SOURCES) $(OBJECT) \
		-o $(BENCH_OUT)/attr_map $(BENCH_LIBS)

# The shims want a configuration, which their own Makefile would write beside
# them.  Included first: found later, as in their own build, it comes too late
# for the tree's header, whose nodes then are those of a 32-bit kernel.
$(BENCH_OUT)/contender_maple.o: bench/contender_maple.c bench/contender.h $(MAPLE)
	@mkdir -p $(BENCH_OUT)/generated
	@cp $(BENCH_KSRC)/tools/testing/shared/autoconf.h $(BENCH_OUT)/generated/
	@echo '#define XA_CHUNK_SHIFT 6' >$(BENCH_OUT)/generated/map-shift.h
	@printf '#define CONFIG_64BIT 1\n#define CONFIG_PHYS_ADDR_T_64BIT 1\n' \
		>$(BENCH_OUT)/generated/bit-length.h
	$(CC) -std=gnu11 -g -O2 -w -D_LGPL_SOURCE \
		-include $(BENCH_OUT)/generated/autoconf.h -Ibench -I$(BENCH_OUT) \
		-I$(BENCH_KSRC)/tools/testing/shared -I$(BENCH_KSRC)/tools/include \
		-I$(BENCH_KSRC)/tools/arch/x86/include -I$(BENCH_KSRC)/lib -c $< -o $@
