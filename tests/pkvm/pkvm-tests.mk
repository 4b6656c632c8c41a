# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
# Protected VMs by KVM's own ioctls, on arm64 only.  Linked statically, so that the
# program runs in a test VM that holds nothing else; the library is the runner's.

PKVM_TEST := $(BUILD)/bin/pkvm-test
PKVM_TEST_OBJS := $(patsubst %,$(BUILD)/tests/pkvm/%.o,suite machine run guest kinds \
	planned start held threads vcpu_number reset calls ranges answers seal decided \
	killed)

$(BUILD)/tests/pkvm/%.o: tests/pkvm/%.c tests/pkvm/pkvm-tests.mk
	@mkdir -p $(@D)
	$(CC) $(GMEM_CPPFLAGS) $(GMEM_CFLAGS) -pthread $(CFLAGS) -c -o $@ $<

$(BUILD)/tests/pkvm/%.o: tests/pkvm/%.S tests/pkvm/guest.h tests/pkvm/pkvm-tests.mk
	@mkdir -p $(@D)
	$(CC) -c -o $@ $<

$(PKVM_TEST): $(PKVM_TEST_OBJS) $(CONFORMANCE_OUT)/harness.o $(LIB_A)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -static -pthread -o $@ $^ $(GMEM_LIBS)

.PHONY: pkvm-test
pkvm-test: $(PKVM_TEST)

-include $(PKVM_TEST_OBJS:.o=.d)
