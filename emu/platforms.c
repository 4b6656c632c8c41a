// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The platforms that are modelled: a row for each.
 */
#include "platform_ops.h"

#define PLATFORMS(row)	\
	row(default)	\
	row(sw)		\
	row(pkvm)	\
	row(snp)	\
	row(tdx)

#define DECLARE(name)	extern const struct emu_platform_ops emu_platform_##name;
#define LIST(name)	&emu_platform_##name,

PLATFORMS(DECLARE)

static const struct emu_platform_ops *const platforms[] = { PLATFORMS(LIST) };

const struct emu_platform_ops *emu_platform(u32 platform)
{
	for (size_t i = 0; i < sizeof(platforms) / sizeof(platforms[0]); i++) {
		if (platforms[i]->platform == platform)
			return platforms[i];
	}
	return NULL;
}
