// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Every step that may fail, fails in turn; nothing changes until none does.
 */
#include <stdlib.h>

#include <gmem/emu.h>
#include "../conformance/env.h"

#define FILE_PAGES	2048
#define CHUNK		512ull

struct request {
	uint64_t page;
	uint64_t nr;
	uint64_t attributes;
	uint32_t policy;
};

static void fail_every_step(const struct variant *variant, const char *guard)
{
	static const struct request requests[] = {
		{ 0, CANVAS_PAGES, SHARED, ZERO },
		{ 0, CANVAS_PAGES, PRIVATE, ZERO },
		{ 0, CANVAS_PAGES, SHARED, READABLE },
		{ 0, CANVAS_PAGES, PRIVATE, READABLE },
		{ 0, CANVAS_PAGES, SHARED, DESTROY },
		{ 0, CANVAS_PAGES, PRIVATE, DESTROY },
		{ 0, FILE_PAGES, PRIVATE, ZERO },
		{ 3, FILE_PAGES - 4, SHARED, READABLE },
	};
	struct env env;

	if (guard)
		setenv("GMEM_EMU_GUARD", guard, 1);
	env_open(&env, variant, FILE_PAGES, IN_PLACE);
	/* The handler of the tests comes first, the library's chains to it. */
	ASSERT_HOST_REFUSED(&env, 0);
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		const struct request *request = &requests[i];
		bool failed = true;

		for (long step = 0; failed; step++) {
			int ret;

			ASSERT(step < 1000);
			/* Another VM, where this one cannot be painted again. */
			if (lost_for_good(&env))
				env_reopen(&env, IN_PLACE);
			ASSERT_OK(convert(&env, CANVAS_PAGES,
					  FILE_PAGES - CANVAS_PAGES, SHARED,
					  READABLE));
			canvas_paint(&env);
			gmem_emu_fail_after(step);
			ret = convert(&env, request->page, request->nr,
				      request->attributes, request->policy);
			failed = gmem_emu_fail_after(-1) < 0;
			if (!ret)
				continue;
			ASSERT(failed);
			ASSERT_CANVAS(&env);
			ASSERT_UNIFORM(&env, CANVAS_PAGES,
				       FILE_PAGES - CANVAS_PAGES, 's');
			ASSERT_HOST_ZEROS(&env, CHUNK, 1);
			ASSERT_HOST_ZEROS(&env, FILE_PAGES - 1, 1);
		}
	}
}

TEST(failure_at_every_step_changes_nothing)
{
	fail_every_step(variant, NULL);
}

TEST(failure_at_every_step_changes_nothing_under_mprotect)
{
	fail_every_step(variant, "mprotect");
}

/* Building and taking down a VM, with each allocation failing in turn. */
TEST(failure_at_every_step_leaks_nothing)
{
	struct gmem_engine_options engine_options = {
		.size = sizeof(engine_options), .kind = variant->engine,
	};
	struct gmem_vm_options vm_options = {
		.size = sizeof(vm_options), .platform = variant->platform,
	};
	struct gmem_file_options file_options = {
		.size = sizeof(file_options), .bytes = 4 * PAGE, .flags = IN_PLACE,
	};
	struct gmem_slot_options slot = {
		.size = sizeof(slot), .gpa = TEST_GPA, .bytes = 4 * PAGE,
	};
	struct gmem_engine *engine;
	bool failed = true;

	ASSERT_OK(gmem_engine_open(&engine_options, &engine));
	for (long step = 0; failed; step++) {
		struct gmem_vcpu *vcpu = NULL;
		struct gmem_file *file = NULL;
		struct gmem_vm *vm = NULL;
		uint64_t value;
		int ret;

		ASSERT(step < 1000);
		gmem_emu_fail_after(step);
		ret = gmem_vm_create(engine, &vm_options, &vm);
		if (!ret)
			ret = gmem_guest_setup(vm);
		if (!ret)
			ret = gmem_file_create(vm, &file_options, &file);
		slot.file = file;
		if (!ret)
			ret = gmem_slot_set(vm, &slot);
		if (!ret)
			ret = gmem_vcpu_create(vm, 0, &vcpu);
		if (!ret)
			ret = gmem_guest_load(vcpu, TEST_GPA, &value);
		failed = gmem_emu_fail_after(-1) < 0;
		ASSERT(!ret || failed);
		gmem_vcpu_destroy(vcpu);
		gmem_file_close(file);
		gmem_vm_destroy(vm);
	}
	gmem_engine_close(engine);
}
