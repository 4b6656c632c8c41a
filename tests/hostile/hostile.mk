# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
# A VMM and a host that mean harm.  Linked statically, so that they run in a test VM
# that holds nothing else.

HOSTILE := $(BUILD)/bin/hostile
HOSTILE_OBJS := $(patsubst %,$(BUILD)/tests/hostile/%.o,hostile world acts leaks \
	allocations honest guest_$(GUEST_ARCH) $(if $(filter aarch64,$(GUEST_ARCH)), \
	honest_aarch64))
LIE := $(BUILD)/bin/lie

$(BUILD)/tests/hostile/%.o: tests/hostile/%.c tests/hostile/hostile.mk
	@mkdir -p $(@D)
	$(CC) $(GMEM_CPPFLAGS) $(GMEM_CFLAGS) -Wno-unused-result -pthread $(CFLAGS) -c -o $@ $<

$(BUILD)/tests/hostile/%.o: tests/hostile/%.S tests/hostile/honest.h tests/hostile/hostile.mk
	@mkdir -p $(@D)
	$(CC) -c -o $@ $<

$(HOSTILE): $(HOSTILE_OBJS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -static -pthread -o $@ $^

$(LIE): $(BUILD)/tests/hostile/lie.o $(BUILD)/tests/hostile/leaks.o \
	$(BUILD)/tests/hostile/allocations.o $(TEST_WITH_ENV) $(LIB_A)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -static -pthread -o $@ $^ $(GMEM_LIBS)

.PHONY: hostile
hostile: $(HOSTILE) $(LIE)

-include $(HOSTILE_OBJS:.o=.d) $(LIE:$(BUILD)/bin/%=$(BUILD)/tests/hostile/%.d)
