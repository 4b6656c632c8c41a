// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The uAPI's layout is the same for every caller.  The static assertions have
 * done the work by the time this runs.
 */
#include "uapi_layout.h"
#include "unit.h"

static void layout_is_pinned_for_64_bits(void **state)
{
	assert_int_equal(sizeof(void *), 8);
}

/* UNIT_LAYOUT_32 is what the compiler said to -m32; no libraries are needed. */
static void layout_is_pinned_for_32_bits(void **state)
{
	assert_int_equal(UNIT_LAYOUT_32, 0);
}

/* The same for arm64's cross compiler. */
static void layout_is_pinned_for_arm64(void **state)
{
	assert_int_equal(UNIT_LAYOUT_ARM64, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layout_is_pinned_for_64_bits),
		cmocka_unit_test(layout_is_pinned_for_32_bits),
		cmocka_unit_test(layout_is_pinned_for_arm64),
	};

	return cmocka_run_group_tests_name("uapi", tests, NULL, NULL);
}
