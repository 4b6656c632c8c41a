# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
# The guest program and the library's kernel engine without conversions.  Linked
# statically, so that the program runs in a test VM that holds nothing else.

GUEST_TEST := $(BUILD)/bin/guest-test
GUEST_TEST_OBJ := $(BUILD)/tests/guest/guest_test.o

$(GUEST_TEST_OBJ): tests/guest/guest_test.c tests/guest/guest-test.mk
	@mkdir -p $(@D)
	$(CC) $(GMEM_CPPFLAGS) $(GMEM_CFLAGS) -pthread $(CFLAGS) -c -o $@ $<

$(GUEST_TEST): $(GUEST_TEST_OBJ) $(TEST_WITH_ENV) $(LIB_A)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -static -pthread -o $@ $^ $(GMEM_LIBS)

.PHONY: guest-test
guest-test: $(GUEST_TEST)

-include $(GUEST_TEST_OBJ:.o=.d)
