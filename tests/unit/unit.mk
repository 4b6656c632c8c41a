# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
#
# Unit tests of core/.  The top Makefile includes this; paths are from the top.
#
#   make unit           all of them, under ASan and UBSan or TSan
#   make unit-long      the random and the racing ones for much longer
#   make unit-mutants   break core/ on purpose, see that a test notices
#   make unit-coverage  lines of core/ that no test reaches
#
# GMEM_SEED=n repeats a random test; GMEM_SCALE=n makes it n times as long.

UNIT_OUT := build/unit
UNIT_TAP := build/tap
UNIT_CC ?= $(CC)
# For unit-mutants: another core/ to test.
UNIT_CORE ?= core
UNIT_WERROR ?= -Werror

UNIT_CFLAGS := -std=gnu11 -g -O1 -fno-omit-frame-pointer -Wall -Wextra \
	-Wno-unused-parameter -Wmissing-prototypes $(UNIT_WERROR) \
	-Itests/unit -Iemu/include -I$(UNIT_CORE) -Ilinux/include/uapi
UNIT_LIBS := -lcmocka -lurcu-bp -lurcu-common -lpthread
UNIT_ASAN := -fsanitize=address,undefined -fno-sanitize-recover=all
UNIT_TSAN := -fsanitize=thread
UNIT_TINY := -DGMEM_ATTR_LEAF_SHIFT=5 -DGMEM_ATTR_MID_SHIFT=1
UNIT_SMALL := -DGMEM_ATTR_LEAF_SHIFT=6 -DGMEM_ATTR_MID_SHIFT=2
UNIT_DEPS := $(wildcard tests/unit/*.h $(UNIT_CORE)/*.[ch] emu/include/*.h \
	linux/include/uapi/linux/*.h) emu/platform.c tests/unit/unit.mk

UNIT_TESTS := policy request attr_map attr_map_model attr_map_model_tiny \
	attr_map_model_small convert uapi request_race attr_map_race
UNIT_LONG := attr_map_model attr_map_model_tiny attr_map_model_small convert \
	request_race attr_map_race

# Headers of the machine's own architecture serve -m32 as well.
UNIT_LAYOUT := -Ilinux/include/uapi -fsyntax-only -x c tests/unit/uapi_layout.h
UNIT_M32 = -m32 -idirafter /usr/include/$(shell $(CC) -print-multiarch)
UNIT_ARM64_CC := aarch64-linux-gnu-gcc

# $(call unit_binary,NAME,SOURCE,FLAGS,OTHER SOURCES)
define unit_binary
$(UNIT_OUT)/$(1): tests/unit/$(2) $(UNIT_DEPS)
	@mkdir -p $$(@D)
	$$(UNIT_CC) $(UNIT_CFLAGS) $(3) $$< $(4) emu/platform.c -o $$@ $(UNIT_LIBS)
endef

$(eval $(call unit_binary,policy,policy_test.c,$(UNIT_ASAN)))
$(eval $(call unit_binary,request,request_test.c,$(UNIT_ASAN)))
$(eval $(call unit_binary,attr_map,attr_map_test.c,$(UNIT_ASAN)))
$(eval $(call unit_binary,attr_map_model,attr_map_model_test.c,$(UNIT_ASAN)))
$(eval $(call unit_binary,attr_map_model_tiny,attr_map_model_test.c,$(UNIT_ASAN) $(UNIT_TINY)))
$(eval $(call unit_binary,attr_map_model_small,attr_map_model_test.c,$(UNIT_ASAN) $(UNIT_SMALL)))
$(eval $(call unit_binary,convert,convert_test.c,$(UNIT_ASAN) $(UNIT_SMALL),\
	$(addprefix $(UNIT_CORE)/,attr_map.c policy.c request.c)))
$(eval $(call unit_binary,request_race,request_race_test.c,$(UNIT_TSAN)))
$(eval $(call unit_binary,attr_map_race,attr_map_race_test.c,$(UNIT_TSAN) $(UNIT_SMALL)))
$(eval $(call unit_binary,uapi,uapi_test.c,$(UNIT_ASAN) -include $(UNIT_OUT)/layouts.h))

$(UNIT_OUT)/uapi: $(UNIT_OUT)/layouts.h
$(UNIT_OUT)/layouts.h: $(UNIT_DEPS)
	@mkdir -p $(@D)
	@$(CC) $(UNIT_M32) $(UNIT_LAYOUT); echo "#define UNIT_LAYOUT_32 $$?" >$@
	@$(UNIT_ARM64_CC) $(UNIT_LAYOUT); echo "#define UNIT_LAYOUT_ARM64 $$?" >>$@

UNIT_BINARIES := $(addprefix $(UNIT_OUT)/,$(UNIT_TESTS))

.PHONY: unit unit-build unit-long unit-mutants unit-coverage
unit-build: $(UNIT_BINARIES)

unit: unit-build
	tests/unit/run-tap $(UNIT_TAP) $(UNIT_BINARIES)

unit-long: unit-build
	GMEM_SCALE=$(or $(GMEM_SCALE),50) tests/unit/run-tap $(UNIT_TAP)/long \
		$(addprefix $(UNIT_OUT)/,$(UNIT_LONG))

unit-mutants:
	tests/unit/mutants

# The racing tests are built for TSan and left out.
unit-coverage:
	rm -rf build/unit-coverage
	$(MAKE) -f $(firstword $(MAKEFILE_LIST)) UNIT_OUT=build/unit-coverage UNIT_TAP=build/unit-coverage \
		UNIT_ASAN='--coverage -fprofile-update=atomic' \
		UNIT_TESTS='$(filter-out %_race,$(UNIT_TESTS))' unit
	cd build/unit-coverage && gcov -m *.gcda >gcov.txt 2>/dev/null; \
		grep -A1 "^File '.*core/" gcov.txt
