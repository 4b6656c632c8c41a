// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Children, files that go away before their mappings, and the engine's end.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gmem/emu.h>
#include "../conformance/env.h"

/* Is anything mapped there? */
static bool mapped(void *addr)
{
	return !msync(addr, PAGE, MS_ASYNC);
}

static void be_a_child(struct env *env)
{
	struct gmem_file_options options = {
		.size = sizeof(options), .bytes = PAGE, .flags = IN_PLACE,
	};
	struct gmem_guest_cmd nop = { .op = GMEM_GUEST_NOP };
	struct gmem_file *file;
	struct gmem_exit exit;
	static unsigned char page[PAGE];
	struct gmem_vm *vm;
	void *addr;

	for (uint64_t i = 0; i < CANVAS_PAGES; i++)
		ASSERT(!mapped(addr_of(env, i)));
	/* The VMM's call alone: no guest can be asked here. */
	env->ran = false;
	for (int i = 0; i < 4; i++)
		ASSERT_RET(convert(env, 0, CANVAS_PAGES, i & 1 ? PRIVATE : SHARED,
				   i / 2 ? ZERO : DESTROY), -EIO);
	ASSERT_RET(gmem_file_map(env->file, 0, PAGE, &addr), -EIO);
	ASSERT_RET(gmem_file_unmap(env->file, env->memory, PAGE), -EIO);
	ASSERT_RET(gmem_file_punch_hole(env->file, 0, PAGE), -EIO);
	ASSERT_RET(gmem_emu_pin(env->file, 0, PAGE), -EIO);
	ASSERT_RET(gmem_emu_unpin(env->file, 0, PAGE), -EIO);
	ASSERT_RET(gmem_emu_poison(env->file, 0, PAGE), -EIO);
	ASSERT_RET(gmem_emu_force_attributes(env->file, 0, PAGE, SHARED), -EIO);
	ASSERT_RET(gmem_emu_read_memory(env->file, 0, sizeof(page), page), -EIO);
	ASSERT_RET(gmem_emu_write_memory(env->file, 0, sizeof(page), page), -EIO);
	ASSERT_RET(gmem_file_create(env->vm, &options, &file), -EIO);
	ASSERT_RET(gmem_vm_create(env->engine, NULL, &vm), -EIO);
	ASSERT_RET(gmem_vcpu_run(env->vcpus[0], &exit), -EIO);
	ASSERT_RET(gmem_guest_start(env->vcpus[0], &nop, 1, 1), -EIO);
	ASSERT_RET(gmem_guest_finish(env->vcpus[0], &nop, 1, NULL), -EIO);
	ASSERT_RET(gmem_guest_abort(env->vcpus[0]), -EIO);
	gmem_guest_stop(env->vcpus[0]);
	gmem_vcpu_destroy(env->vcpus[0]);
	_exit(0);
}

TEST(child_has_neither_memory_nor_vcpus)
{
	struct env env;
	uint64_t word;
	int status;
	pid_t pid;

	env_open(&env, variant, CANVAS_PAGES, IN_PLACE);
	canvas_paint(&env);
	ASSERT_OK(gmem_guest_load(env_vcpu(&env, 0), gpa_of(1) + 8, &word));
	ASSERT_OK(gmem_guest_store(env_vcpu(&env, 0), gpa_of(1) + 8, 0x123));
	ASSERT_OK(gmem_guest_store(env_vcpu(&env, 0), gpa_of(1) + 8, word));
	pid = fork();
	ASSERT(pid >= 0);
	if (!pid)
		be_a_child(&env);
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		FAIL("the child died of signal %d", WTERMSIG(status));
	if (WEXITSTATUS(status))
		_exit(WEXITSTATUS(status));
	ASSERT_CANVAS(&env);
}

/* Nobody can access what a slot covered whose file is gone. */
TEST(closed_file_leaves_an_empty_slot)
{
	struct gmem_guest_cmd cmd = {
		.op = GMEM_GUEST_LOAD, .addr = gpa_of(1) + 16, .size = 8,
	};
	struct gmem_exit exit = { 0 };
	struct env env;

	env_open(&env, variant, 4, IN_PLACE_SHARED);
	host_fill(&env, 0, 4, 0x100);
	ASSERT_GUEST_READS(&env, 0, 4, 0x100);
	ASSERT_OK(convert(&env, 2, 1, PRIVATE, KEEP));
	gmem_file_close(env.file);

	ASSERT_RET(gmem_guest_exec(env_vcpu(&env, 0), &cmd, 1, 0, &exit), -EFAULT);
	ASSERT_EQ(exit.reason, KVM_EXIT_MEMORY_FAULT);
	ASSERT_EQ(exit.memory_fault.gpa, gpa_of(1));
	ASSERT_EQ(exit.memory_fault.flags, KVM_MEMORY_EXIT_FLAG_PRIVATE);
	ASSERT_OK(gmem_guest_abort(env_vcpu(&env, 0)));
	/* The mapping keeps what was shared. */
	ASSERT_HOST_READS(&env, 0, 2, 0x100);
	ASSERT_HOST_REFUSED(&env, 2);

	/* And nothing private appears in it later. */
	gmem_vcpu_destroy(env.vcpus[0]);
	gmem_vm_destroy(env.vm);
	gmem_engine_close(env.engine);
	ASSERT_HOST_READS(&env, 0, 2, 0x100);
	ASSERT_HOST_REFUSED(&env, 2);
}

/* Several engines, VMs and files in one process, released in order. */
TEST(many_vms_live_side_by_side)
{
	struct env env[4];

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 4; i++) {
			env_open(&env[i], variant, 64, IN_PLACE);
			guest_fill(&env[i], 0, 64, (uint64_t)i << 32);
		}
		for (int i = 0; i < 4; i++)
			ASSERT_OK(convert(&env[i], (uint64_t)i, 8, SHARED, KEEP));
		for (int i = 0; i < 4; i++) {
			ASSERT_HOST_READS(&env[i], (uint64_t)i, 8,
					  ((uint64_t)i << 32) + (uint64_t)i * WORDS);
			ASSERT_HOST_REFUSED(&env[i], (uint64_t)i + 8);
			ASSERT_OK(gmem_slot_delete(env[i].vm, TEST_SLOT));
			ASSERT_OK(gmem_file_unmap(env[i].file, env[i].memory,
						  64 * PAGE));
			for (int id = 0; id < NR_ALL_VCPUS; id++)
				gmem_vcpu_destroy(env[i].vcpus[id]);
			gmem_file_close(env[i].file);
			gmem_vm_destroy(env[i].vm);
			gmem_engine_close(env[i].engine);
			free(env[i].lost);
		}
	}
}
