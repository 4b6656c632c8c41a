# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
# The generator and the oracle, for gmemctl, the behaviour tests and the fuzzer.

ORACLE_OUT := $(BUILD)/oracle
ORACLE_SRCS := $(addprefix tests/oracle/,act.c act_guest.c act_host.c episode.c \
	foreign.c host.c model.c model_guest.c op.c)
ORACLE_OBJS := $(patsubst tests/oracle/%.c,$(ORACLE_OUT)/%.o,$(ORACLE_SRCS))

$(ORACLE_OUT)/%.o: tests/oracle/%.c tests/oracle/oracle.mk
	@mkdir -p $(@D)
	$(CC) $(GMEM_CPPFLAGS) $(GMEM_CFLAGS) -pthread $(CFLAGS) -c -o $@ $<

-include $(ORACLE_OBJS:.o=.d)
