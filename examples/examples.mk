# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
# The examples, as their users build them but for where the library lies.

EXAMPLES := $(patsubst examples/%.c,build/examples/%,$(wildcard examples/*.c))

build/examples/%: examples/%.c $(LIB_A)
	@mkdir -p $(@D)
	$(CC) $(GMEM_CPPFLAGS) $(GMEM_CFLAGS) $(CFLAGS) -pthread -o $@ $< $(LIB_A) $(GMEM_LIBS)

.PHONY: examples
examples: $(EXAMPLES)

-include $(EXAMPLES:=.d)
