# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
#
#   make bench-emu	the emu engine beside bare system calls

build/bench/emu: bench/emu.c $(LIB_A)
	@mkdir -p $(@D)
	$(CC) $(GMEM_CPPFLAGS) $(GMEM_CFLAGS) -pthread -o $@ $< $(LIB_A) $(GMEM_LIBS)

bench: bench-emu

.PHONY: bench-emu
bench-emu: build/bench/emu
	build/bench/emu
