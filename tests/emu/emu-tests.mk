# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
# Tests of the emu engine: its own, and the behaviour tests of tests/conformance on
# it.  No /dev/kvm and no privileges needed.
#
#   make emu-tests		all of them, plain, under ASan and UBSan, under TSan, with
#			either guard
#   make emu-build	only build them
#   make emu-mutants	break the models of platforms and see that a test notices: part
#			of make test-long

EMU_TEST_OUT := build/emu-tests
EMU_TEST_SRCS := $(addprefix tests/emu/,device.c fail.c handshake.c limits.c mprotect.c \
	pkvm.c process.c snp.c tdx.c vcpu.c view.c)
EMU_TEST_HARNESS := $(addprefix tests/conformance/,harness.c variants.c env.c host.c pin.c)
EMU_TEST_DEPS := $(wildcard emu/*.h emu/*/*.h core/*.h include/gmem/*.h lib/*.h guest/*.h \
	tests/conformance/*.h tests/emu/*.h tests/oracle/*.h) emu/emu.mk tests/emu/emu-tests.mk
EMU_TEST_CFLAGS := $(filter-out -MMD -MP -O2 -Wshadow,$(EMU_CFLAGS)) -O1 \
	-fno-omit-frame-pointer

# $(call emu_flavour,NAME,FLAGS,EXTRA): conformance and emu-tests, with flags
define emu_flavour
EMU_$(1)_OBJS := $$(patsubst %.c,$$(EMU_TEST_OUT)/$(1)/%.o,\
	$$(filter lib/%.c,$$(LIB_SRCS)) $$(EMU_SRCS) $$(EMU_CORE_SRCS)) \
	$$(EMU_OUT)/guest.o $$(LIB_OUT)/guest_image.o

$$(EMU_TEST_OUT)/$(1)/%.o: %.c $$(EMU_TEST_DEPS)
	@mkdir -p $$(@D)
	$$(CC) $$(EMU_CPPFLAGS) $$(EMU_TEST_CFLAGS) $(2) -c -o $$@ $$<

$$(EMU_TEST_OUT)/$(1)/conformance: $$(patsubst %.c,$$(EMU_TEST_OUT)/$(1)/%.o,\
		$$(CONFORMANCE_SRCS) $$(ORACLE_SRCS)) $$(EMU_$(1)_OBJS)
	$$(CC) $(2) -pthread -o $$@ $$^ $$(GMEM_LIBS)

$$(EMU_TEST_OUT)/$(1)/emu-tests: $$(patsubst %.c,$$(EMU_TEST_OUT)/$(1)/%.o,\
		$$(EMU_TEST_HARNESS) $$(EMU_TEST_SRCS)) $$(EMU_$(1)_OBJS)
	$$(CC) $(2) -pthread -o $$@ $$^ $$(GMEM_LIBS)

EMU_TEST_BINARIES += $$(addprefix $$(EMU_TEST_OUT)/$(1)/,conformance emu-tests)
endef

$(eval $(call emu_flavour,plain,))
$(eval $(call emu_flavour,asan,-fsanitize=address -fsanitize=undefined -fno-sanitize-recover=all))
$(eval $(call emu_flavour,tsan,-fsanitize=thread))

.PHONY: emu-build emu-tests emu-mutants
emu-build: $(EMU_TEST_BINARIES)

# The longest first: make -j runs several, each of which keeps about one CPU busy.
# Where one fails, the others still have something to say.
EMU_TEST_RUNS := $(addprefix emu-tests-,tsan-engine tsan-conformance asan-engine \
	asan-conformance plain-engine plain-conformance nobody)
.PHONY: $(EMU_TEST_RUNS)
emu-tests:
	@$(MAKE) -k $(EMU_TEST_RUNS)

$(EMU_TEST_RUNS): emu-tests-%: emu-build
	tests/emu/run $(EMU_TEST_OUT) $(subst -, ,$*)

emu-mutants: $(addprefix $(EMU_TEST_OUT)/plain/,conformance emu-tests)
	tests/emu/mutants

test-long: emu-mutants
