# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
#
# gmem: 'make help' lists what can be made. Everything is made in build/, but for
# the kernel, which is made in the cache (scripts/kernel-build --help).

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:

# The kernel's names: x86_64, or arm64, for which what runs in a VM is cross-built.
ARCH ?= x86_64
CONFIG := $(if $(filter-out 0,$(DEBUG)),debug,release)

ifeq ($(ARCH),arm64)
BUILD := build/arm64
GUEST_ARCH := aarch64
CROSS_COMPILE := aarch64-linux-gnu-
# Libraries are looked for when something is first compiled.
SYSROOT = $(eval SYSROOT := $(shell scripts/sysroot --arch $(ARCH)))$(or \
	$(SYSROOT),$(error no libraries for $(ARCH), see above))
CC = $(CROSS_COMPILE)gcc -isystem $(SYSROOT)/usr/include \
	-isystem $(SYSROOT)/usr/include/aarch64-linux-gnu \
	-L$(SYSROOT)/usr/lib/aarch64-linux-gnu
AR := $(CROSS_COMPILE)ar
else ifeq ($(ARCH),x86_64)
BUILD := build
CROSS_COMPILE :=
CC := gcc
else
$(error ARCH is x86_64 or arm64, not '$(ARCH)')
endif

# Order matters: the library embeds the guest, the programs link the library.
include guest/guest.mk
include lib/lib.mk
include tests/oracle/oracle.mk
include tools/tools.mk
include tests/conformance/conformance.mk
include tests/guest/guest-test.mk
include tests/hostile/hostile.mk

.PHONY: help all lib tools conformance

ifeq ($(ARCH),arm64)
include bench/pkvm.mk
include tests/pkvm/pkvm-tests.mk

all: lib tools conformance guest-test hostile pkvm-test
else
include tests/emu/emu-tests.mk
include tests/fuzz/fuzz.mk
include tests/lib/lib-tests.mk
include tests/guest-driver/guest-driver.mk
include examples/examples.mk
include tests/unit/unit.mk
include bench/bench.mk
include bench/emu.mk

all: lib tools conformance guest-test hostile examples unit-build
endif

.PHONY: unit unit-build unit-long bench
.PHONY: kernel series series-build sparse selftests docs test test-long demo clean distclean

help:
	@echo 'make              build the library, the tools and the test programs'
	@echo 'make kernel       build the kernel with in-place conversion'
	@echo 'make kernel DEBUG=1   the same with KASAN and lockdep'
	@echo 'make ARCH=arm64 [kernel]  the same for arm64, where pKVM is'
	@echo 'make series       the kernel part as mails for git am, in build/series/'
	@echo 'make series-build build the kernel after each mail of the series'
	@echo 'make sparse       what sparse says about the kernel part (also ARCH=arm64)'
	@echo 'make docs         the pages of the kernel that linux/ changes, as HTML'
	@echo 'make demo         show what conversions do on every platform, in emu'
	@echo 'make demo ENGINE=kernel   the same in the kernel, booted in QEMU'
	@echo 'make demo ENGINE=kernel ARCH=arm64   the same under pKVM: real EL2'
	@echo 'make unit         unit tests of core/'
	@echo 'make guest-driver Linux as pKVM'\''s guest: its driver against a host that is played'
	@echo 'make emu-tests    tests of the emu engine, plain and under sanitizers'
	@echo 'make fuzz         compare random operations with the oracle for some seconds'
	@echo 'make lib-tests    tests of the library: misuse, what is installed'
	@echo 'make install      the library and gmemctl, to DESTDIR and PREFIX'
	@echo 'make examples     examples/'
	@echo 'make test         every test, the fast ones first'
	@echo 'make test-long    soaks: the random and racing tests for much longer'
	@echo 'make bench        benchmarks'
	@echo 'make bench ARCH=arm64   what pKVM asking its guests costs, in QEMU'
	@echo 'make clean        remove build/'
	@echo 'make distclean    remove build/ and the cache with the kernel in it'
	@echo
	@echo 'KSRC=dir          build your own Linux 7.3 tree (copied, never modified)'
	@echo 'GMEM_OFFLINE=1    never use the network'

# Given on make's command line it reaches the scripts, too.
export KSRC GMEM_OFFLINE GMEM_REQUIRE_KERNEL

kernel:
	scripts/kernel-build --arch $(ARCH) $(CONFIG)

series:
	scripts/series

series-build:
	scripts/series-build

sparse:
	scripts/sparse --arch $(ARCH)

selftests:
	scripts/kernel-selftests

docs:
	scripts/docs

# emu runs on this machine only.
ENGINE := $(if $(filter arm64,$(ARCH)),kernel,emu)

demo: tools
	scripts/demo --engine $(ENGINE) --arch $(ARCH)

test:
	scripts/test

test-long: conformance unit-long fuzz-long
	scripts/test-long

clean:
	rm -rf build

distclean: clean
	scripts/cache-clean
