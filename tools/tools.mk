# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
# gmemctl.  Linked statically, so that it runs in a test VM that holds nothing else.

TOOLS_OUT := $(BUILD)/tools
GMEMCTL_SRCS := $(addprefix tools/,gmemctl.c target.c machine.c probe.c \
	matrix.c matrix_design.c matrix_show.c run.c flow.c latency.c \
	stress.c)
GMEMCTL_OBJS := $(patsubst tools/%.c,$(TOOLS_OUT)/%.o,$(GMEMCTL_SRCS))

$(TOOLS_OUT)/%.o: tools/%.c tools/tools.mk
	@mkdir -p $(@D)
	$(CC) $(GMEM_CPPFLAGS) $(GMEM_CFLAGS) $(CFLAGS) -c -o $@ $<

$(BUILD)/bin/gmemctl: $(GMEMCTL_OBJS) $(ORACLE_OBJS) $(LIB_A)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -static -pthread -o $@ $^ $(GMEM_LIBS) -ljson-c

.PHONY: tools
tools: $(BUILD)/bin/gmemctl

-include $(GMEMCTL_OBJS:.o=.d)
