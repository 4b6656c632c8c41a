# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
# The guest program and the library's kernel engine without conversions.  Linked
# statically, so that the program runs in a test VM that holds nothing else.

GUEST_TEST := $(BUILD)/bin/guest-test

$(GUEST_TEST): tests/guest/guest_test.c tests/guest/guest-test.mk $(LIB_A)
	@mkdir -p $(@D)
	$(CC) $(GMEM_CPPFLAGS) $(GMEM_CFLAGS) $(CFLAGS) -static -pthread -o $@ $< $(LIB_A) \
		$(GMEM_LIBS)

.PHONY: guest-test
guest-test: $(GUEST_TEST)

-include $(GUEST_TEST).d
