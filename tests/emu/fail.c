// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Every step that may fail, fails in turn; nothing changes until none does.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gmem/emu.h>
#include "../conformance/env.h"
#include "emu.h"

#define FILE_PAGES	2048
#define CHUNK		512ull

/* Behind the canvas: private, and the guest's own bytes in them. */
#define GUEST_PAGES	2
#define GUEST_PATTERN	0x5000
#define PAINTED		(CANVAS_PAGES + GUEST_PAGES)
#define MAX_STATE	8	/* bytes that a platform keeps for each page */

struct request {
	uint64_t page;
	uint64_t nr;
	uint64_t attributes;
	uint32_t policy;
};

/* What no test reads by the front door: attributes, bytes at rest, RMP, S-EPT, EL2. */
struct below {
	unsigned int attrs[FILE_PAGES];
	unsigned char state[FILE_PAGES * MAX_STATE];
	unsigned char at_rest[PAINTED * PAGE];
};

static void look_below(struct env *env, struct below *below)
{
	struct emu_file *file = to_emu_file(env->file);
	size_t bytes = file->vm->ops->page_bytes;

	memset(below, 0, sizeof(*below));
	for (uint64_t page = 0; page < FILE_PAGES; page++)
		below->attrs[page] = gmem_attr_map_get(file->map, page);
	ASSERT(bytes <= MAX_STATE);
	if (bytes)
		memcpy(below->state, emu_page_state(file, 0), FILE_PAGES * bytes);
	/* Not by a mapping: owed zeros have no memory, and get none. */
	ASSERT_EQ(pread(file->fd, below->at_rest, sizeof(below->at_rest), 0),
		  sizeof(below->at_rest));
}

static bool offered(const struct variant *variant, const struct request *request)
{
	return (request->attributes ? variant->to_private : variant->to_shared) >>
	       request->policy & 1;
}

static void paint(struct env *env)
{
	/* Another VM, where this one cannot be painted again, or has to be asked. */
	if (lost_for_good(env))
		env_reopen(env, IN_PLACE);
	ASSERT_OK(convert(env, CANVAS_PAGES, FILE_PAGES - CANVAS_PAGES, SHARED,
			  keep_policy(env)));
	canvas_paint(env);
	if (keep_policy(env) == READABLE) {
		host_fill(env, CANVAS_PAGES, GUEST_PAGES, GUEST_PATTERN);
		ASSERT_OK(convert(env, CANVAS_PAGES, GUEST_PAGES, PRIVATE, READABLE));
	} else {
		ASSERT_OK(convert(env, CANVAS_PAGES, GUEST_PAGES, PRIVATE, ZERO));
		guest_fill(env, CANVAS_PAGES, GUEST_PAGES, GUEST_PATTERN);
	}
}

static void check_nothing_changed(struct env *env, const struct below *before)
{
	static struct below after;

	look_below(env, &after);
	ASSERT(!memcmp(before->attrs, after.attrs, sizeof(after.attrs)));
	ASSERT(!memcmp(before->state, after.state, sizeof(after.state)));
	ASSERT(!memcmp(before->at_rest, after.at_rest, sizeof(after.at_rest)));

	ASSERT_CANVAS(env);
	ASSERT_UNIFORM(env, CANVAS_PAGES, GUEST_PAGES, 'p');
	ASSERT_GUEST_READS(env, CANVAS_PAGES, GUEST_PAGES, GUEST_PATTERN);
	ASSERT_HOST_REFUSED(env, CANVAS_PAGES);
	ASSERT_UNIFORM(env, PAINTED, FILE_PAGES - PAINTED, 's');
	ASSERT_HOST_ZEROS(env, CHUNK, 1);
	ASSERT_HOST_ZEROS(env, FILE_PAGES - 1, 1);
}

/* How many steps can fail. */
static long fail_request(struct env *env, const struct request *request)
{
	static struct below before;
	bool failed = true;
	long step;
	int ret;

	for (step = 0; failed; step++) {
		ASSERT(step < 1000);
		paint(env);
		look_below(env, &before);
		gmem_emu_fail_after(step);
		ret = convert(env, request->page, request->nr, request->attributes,
			      request->policy);
		failed = gmem_emu_fail_after(-1) < 0;
		if (!ret)
			continue;
		ASSERT(failed);
		check_nothing_changed(env, &before);
	}
	return step - 1;
}

static void fail_every_step(const struct variant *variant, const char *guard)
{
	static const struct request requests[] = {
		{ 0, PAINTED, SHARED, ZERO },
		{ 0, PAINTED, PRIVATE, ZERO },
		{ 0, PAINTED, SHARED, READABLE },
		{ 0, PAINTED, PRIVATE, READABLE },
		{ 0, PAINTED, SHARED, DESTROY },
		{ 0, PAINTED, PRIVATE, DESTROY },
		{ CANVAS_PAGES, 1, SHARED, ZERO },
		{ 0, FILE_PAGES, PRIVATE, ZERO },
		{ 3, FILE_PAGES - 4, SHARED, ZERO },
		{ 3, FILE_PAGES - 4, SHARED, READABLE },
	};
	struct env env;

	if (guard)
		setenv("GMEM_EMU_GUARD", guard, 1);
	env_open(&env, variant, FILE_PAGES, IN_PLACE);
	/* The handler of the tests comes first, the library's chains to it. */
	ASSERT_HOST_REFUSED(&env, 0);
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		/* Supported, authorised, checked, interrupted, and memory. */
		if (offered(variant, &requests[i]))
			ASSERT(fail_request(&env, &requests[i]) >= 4);
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
