# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
#
#   make bench ARCH=arm64	what it costs that pKVM's guests are asked, in QEMU
#   make bench ARCH=arm64 BENCH_ARGS=…	with arguments, see bench/pkvm --help

BENCH_PKVM := $(BUILD)/bench/pkvm

$(BENCH_PKVM): bench/pkvm.c bench/pkvm.mk $(LIB_A)
	@mkdir -p $(@D)
	$(CC) $(GMEM_CPPFLAGS) $(GMEM_CFLAGS) $(CFLAGS) -static -pthread -o $@ $< $(LIB_A) \
		$(GMEM_LIBS)

bench: $(BENCH_PKVM) kernel
	bench/pkvm --json $(BUILD)/bench/pkvm.json $(BENCH_ARGS)

-include $(BENCH_PKVM).d
