# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
# The fuzzer, and the stress of all platforms.
#
#   make fuzz		replay the seeds, fuzz and stress for some seconds
#   make fuzz-long	for minutes, keeping what is new in build/fuzz/corpus
#   make fuzz-seeds	put the smallest inputs that reach what the corpus reaches
#			into tests/fuzz/seeds
#
# libFuzzer comes with clang; the rest of the project is built by gcc.

FUZZ_CC := clang
FUZZ_OUT := build/fuzz
FUZZ_SECONDS := 300
# liburcu keeps its readers at addresses that its own header does not promise.
FUZZ_FLAGS := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize=alignment \
	-fno-sanitize-recover=all
FUZZ_CFLAGS := -std=gnu11 -O1 -g -fno-omit-frame-pointer -pthread -Wall -Wextra -Werror
FUZZ_SRCS := tests/fuzz/oracle_fuzz.c $(ORACLE_SRCS) $(filter lib/%.c,$(LIB_SRCS)) \
	$(EMU_SRCS) $(EMU_CORE_SRCS)
FUZZ_OBJS := $(patsubst %.c,$(FUZZ_OUT)/%.o,$(FUZZ_SRCS))

$(FUZZ_OUT)/%.o: %.c tests/fuzz/fuzz.mk
	@mkdir -p $(@D)
	$(FUZZ_CC) $(EMU_CPPFLAGS) $(FUZZ_CFLAGS) $(FUZZ_FLAGS) -MMD -MP -c -o $@ $<

$(FUZZ_OUT)/oracle_fuzz: $(FUZZ_OBJS) $(EMU_OUT)/guest.o $(LIB_OUT)/guest_image.o
	$(FUZZ_CC) -fsanitize=fuzzer,address,undefined -pthread -o $@ $^ $(GMEM_LIBS)

.PHONY: fuzz-build fuzz fuzz-long fuzz-seeds
fuzz-build: $(FUZZ_OUT)/oracle_fuzz build/bin/gmemctl

fuzz: fuzz-build
	tests/fuzz/run $(FUZZ_OUT) 8 5

fuzz-long: fuzz-build
	tests/fuzz/run $(FUZZ_OUT) $(FUZZ_SECONDS) $(FUZZ_SECONDS)

fuzz-seeds: $(FUZZ_OUT)/oracle_fuzz
	rm -rf $(FUZZ_OUT)/seeds
	mkdir -p $(FUZZ_OUT)/seeds $(FUZZ_OUT)/corpus
	$(FUZZ_OUT)/oracle_fuzz -merge=1 -use_counters=0 $(FUZZ_OUT)/seeds tests/fuzz/seeds $(FUZZ_OUT)/corpus
	rm -f tests/fuzz/seeds/*
	cp $(FUZZ_OUT)/seeds/* tests/fuzz/seeds/

-include $(FUZZ_OBJS:.o=.d)
