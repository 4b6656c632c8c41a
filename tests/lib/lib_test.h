/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * What the tests of libgmem share: cmocka, the log of what the library said, and a
 * VM on the emu engine.
 */
#ifndef LIB_TEST_H
#define LIB_TEST_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <gmem/emu.h>

#define PAGE		4096ull
#define MEMORY_PAGES	16
#define MEMORY_GPA	(1ull << 32)
#define PRIVATE		KVM_MEMORY_ATTRIBUTE_PRIVATE
#define ZERO		SET_MEMORY_ATTRIBUTES_CONTENT_ZERO
#define READABLE	SET_MEMORY_ATTRIBUTES_CONTENT_READABLE
#define IN_PLACE	(GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_IN_PLACE)

/* Messages since the last look, and the last of them. */
struct said {
	unsigned int errors;
	unsigned int all;
	char last[512];
};

static struct said said;

static inline void hear(void *opaque, int level, const char *message)
{
	assert_ptr_equal(opaque, &said);
	assert_int_equal(strchr(message, '\n'), 0);
	said.all++;
	said.errors += level == GMEM_LOG_ERROR;
	snprintf(said.last, sizeof(said.last), "%s", message);
}

/* The call is answered with an error, and with a message that says more. */
#define REFUSED(call, error) do {					\
	said = (struct said){ 0 };					\
	assert_int_equal(call, error);					\
	if (!said.errors)						\
		fail_msg("no message: %s", #call);			\
} while (0)

#define WORKS(call)	assert_int_equal(call, 0)

struct world {
	struct gmem_engine *engine;
	struct gmem_vm *vm;
	struct gmem_file *file;
	struct gmem_vcpu *vcpu;
	unsigned char *memory;
};

static inline struct gmem_engine *open_emu(void)
{
	struct gmem_engine_options options = {
		.size = sizeof(options), .kind = GMEM_ENGINE_EMU, .log = hear,
		.log_opaque = &said,
	};
	struct gmem_engine *engine;

	WORKS(gmem_engine_open(&options, &engine));
	return engine;
}

static inline struct gmem_vm *new_vm(struct gmem_engine *engine)
{
	struct gmem_vm_options options = {
		.size = sizeof(options), .platform = GMEM_VM_SW,
	};
	struct gmem_vm *vm;

	WORKS(gmem_vm_create(engine, &options, &vm));
	return vm;
}

static inline struct gmem_file *new_file(struct gmem_vm *vm)
{
	struct gmem_file_options options = {
		.size = sizeof(options), .bytes = MEMORY_PAGES * PAGE,
		.flags = IN_PLACE | GUEST_MEMFD_FLAG_INIT_SHARED,
	};
	struct gmem_file *file;

	WORKS(gmem_file_create(vm, &options, &file));
	return file;
}

static inline void open_world(struct world *world)
{
	struct gmem_slot_options slot = {
		.size = sizeof(slot), .gpa = MEMORY_GPA,
		.bytes = MEMORY_PAGES * PAGE,
	};
	void *memory;

	gmem_set_log(hear, &said);
	world->engine = open_emu();
	world->vm = new_vm(world->engine);
	world->file = slot.file = new_file(world->vm);
	WORKS(gmem_file_map(world->file, 0, MEMORY_PAGES * PAGE, &memory));
	world->memory = memory;
	WORKS(gmem_slot_set(world->vm, &slot));
	WORKS(gmem_guest_setup(world->vm));
	WORKS(gmem_vcpu_create(world->vm, 0, &world->vcpu));
}

static inline void close_world(struct world *world)
{
	said = (struct said){ 0 };
	gmem_vcpu_destroy(world->vcpu);
	WORKS(gmem_file_unmap(world->file, world->memory, MEMORY_PAGES * PAGE));
	gmem_file_close(world->file);
	gmem_vm_destroy(world->vm);
	gmem_engine_close(world->engine);
	assert_int_equal(said.errors, 0);
	gmem_set_log(NULL, NULL);
}

#endif /* LIB_TEST_H */
