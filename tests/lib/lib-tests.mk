# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
# Tests of libgmem itself: misuse of every function under ASan, UBSan and LSan, and
# what 'make install' leaves.  Needs neither /dev/kvm nor privileges.
#
#   make lib-tests	all of them
#   make lib-tests-build	only build them

LIB_TEST_OUT := build/lib-tests
LIB_TESTS := misuse order release runs adopt
LIB_TEST_BINARIES := $(addprefix $(LIB_TEST_OUT)/,$(LIB_TESTS))
LIB_TEST_CFLAGS := -std=gnu11 -g -O1 -fno-omit-frame-pointer -Wall -Wextra -Werror \
	-Wmissing-prototypes -Wstrict-prototypes -fsanitize=address,undefined \
	-fno-sanitize-recover=all -pthread
LIB_TEST_DEPS := $(wildcard tests/lib/*.h include/gmem/*.h lib/*.h) \
	tests/lib/lib-tests.mk

$(LIB_TEST_OUT)/fake_kvm.o: tests/lib/fake_kvm.c $(LIB_TEST_DEPS)
	@mkdir -p $(@D)
	$(CC) $(GMEM_CPPFLAGS) $(LIB_TEST_CFLAGS) -c -o $@ $<

# The objects are those of the emu tests: the library under the same sanitizers.
$(LIB_TEST_OUT)/%: tests/lib/%_test.c $(LIB_TEST_OUT)/fake_kvm.o $(LIB_TEST_DEPS) $(EMU_asan_OBJS)
	$(CC) $(GMEM_CPPFLAGS) $(LIB_TEST_CFLAGS) -o $@ $< $(LIB_TEST_OUT)/fake_kvm.o \
		$(EMU_asan_OBJS) -lcmocka $(GMEM_LIBS)

.PHONY: lib-tests lib-tests-build
lib-tests-build: $(LIB_TEST_BINARIES) install-build

lib-tests: lib-tests-build
	ASAN_OPTIONS=detect_leaks=1 tests/unit/run-tap $(LIB_TEST_OUT)/tap \
		$(LIB_TEST_BINARIES)
	MAKE='$(MAKE)' tests/lib/installed >$(LIB_TEST_OUT)/tap/installed.tap; \
		status=$$?; grep -v '^ok' $(LIB_TEST_OUT)/tap/installed.tap; exit $$status
