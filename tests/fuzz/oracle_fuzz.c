// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * libFuzzer's target: operations on a VM in emu, compared with the oracle of
 * tests/oracle/.  The first byte is the platform, the second what the VM is like,
 * then eight make an operation.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../oracle/oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct gmem_engine *open_engine(void)
{
	struct gmem_engine_options options = {
		.size = sizeof(options), .kind = GMEM_ENGINE_EMU,
	};
	struct gmem_engine *engine;

	if (gmem_engine_open(&options, &engine)) {
		fputs("the emu engine does not open\n", stderr);
		exit(1);
	}
	return engine;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t platforms[] = {
		GMEM_VM_SW, GMEM_VM_PKVM, GMEM_VM_SNP, GMEM_VM_TDX,
	};
	static struct oracle_result result;
	static struct gmem_engine *engine;
	struct oracle_options options = { .threads = 1 };
	int ret;

	if (size < 2)
		return 0;
	/* Not once: libFuzzer's own handler comes later than its first chance. */
	oracle_setup();
	if (!engine)
		engine = open_engine();
	options.engine = engine;
	options.platform = platforms[data[0] % 4];
	options.data = data + 1;
	options.bytes = size - 1;
	ret = oracle_episode(&options, &result);
	if (!ret)
		return 0;
	fprintf(stderr, "%s: %s\n", gmem_platform_name(options.platform),
		ret > 0 ? result.report : "there is no VM to try it in");
	abort();
}
