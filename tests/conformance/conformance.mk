# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
# Behaviour tests against libgmem.  Linked statically, so that the program runs in
# a test VM that holds nothing else.

CONFORMANCE_OUT := $(BUILD)/tests/conformance
CONFORMANCE_SRCS := $(addprefix tests/conformance/,harness.c variants.c env.c host.c \
	pin.c stock.c policy.c destroy.c errors.c pins.c asking.c pkvm_answer.c pkvm_forge.c \
	pkvm_power.c pkvm_range.c pkvm_reclaim.c pkvm_request.c pkvm_vcpus.c process.c \
	bindings.c hypercall.c load.c race.c random.c adopt.c trace.c)
CONFORMANCE_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(CONFORMANCE_SRCS))
# For other programs that use the runner; each has its own struct suite.
TEST_WITH_ENV := $(addprefix $(CONFORMANCE_OUT)/,harness.o env.o host.o pin.o)

$(CONFORMANCE_OUT)/%.o: tests/conformance/%.c tests/conformance/conformance.mk
	@mkdir -p $(@D)
	$(CC) $(GMEM_CPPFLAGS) $(GMEM_CFLAGS) -pthread $(CFLAGS) -c -o $@ $<

$(BUILD)/bin/conformance: $(CONFORMANCE_OBJS) $(ORACLE_OBJS) $(LIB_A)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -static -pthread -o $@ $^ $(GMEM_LIBS)

.PHONY: conformance
conformance: $(BUILD)/bin/conformance

-include $(CONFORMANCE_OBJS:.o=.d)
