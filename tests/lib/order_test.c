// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Objects that are released in the wrong order: told of, and nothing leaks or is used
 * afterwards.  The sanitizers judge that.
 */
#include "lib_test.h"

static void releases_null(void **state)
{
	(void)state;
	gmem_vcpu_destroy(NULL);
	gmem_file_close(NULL);
	gmem_vm_destroy(NULL);
	gmem_engine_close(NULL);
}

static void engine_outlives_its_close(void **state)
{
	struct gmem_engine *engine = open_emu();
	struct gmem_vm *vm = new_vm(engine);

	(void)state;
	said = (struct said){ 0 };
	gmem_engine_close(engine);
	assert_int_equal(said.errors, 1);
	/* Nobody listens any more, and the VM works. */
	gmem_file_close(new_file(vm));
	gmem_vm_destroy(vm);
	assert_int_equal(said.errors, 1);
}

static void vm_ends_with_its_last_object(void **state)
{
	struct world world;

	(void)state;
	open_world(&world);
	said = (struct said){ 0 };
	gmem_vm_destroy(world.vm);
	assert_int_equal(said.errors, 1);
	gmem_engine_close(world.engine);
	assert_int_equal(said.errors, 2);

	WORKS(gmem_guest_store(world.vcpu, MEMORY_GPA, 7));
	assert_int_equal(world.memory[0], 7);
	gmem_vcpu_destroy(world.vcpu);
	WORKS(gmem_file_convert(world.file, 0, PAGE, PRIVATE, ZERO, NULL));
	WORKS(gmem_file_unmap(world.file, world.memory, MEMORY_PAGES * PAGE));
	gmem_file_close(world.file);
}

static void file_goes_before_its_mapping_and_slot(void **state)
{
	struct world world;
	uint64_t value;

	(void)state;
	open_world(&world);
	gmem_file_close(world.file);
	assert_int_equal(gmem_guest_load(world.vcpu, MEMORY_GPA, &value), -EFAULT);
	REFUSED(gmem_vm_convert(world.vm, MEMORY_GPA, PAGE, 0, ZERO, NULL), -ENXIO);
	WORKS(gmem_slot_delete(world.vm, 0));
	gmem_vcpu_destroy(world.vcpu);
	gmem_vm_destroy(world.vm);
	gmem_engine_close(world.engine);
}

static void guest_program_comes_before_vcpus(void **state)
{
	struct gmem_engine *engine = open_emu();
	struct gmem_vm *vm = new_vm(engine);
	struct gmem_guest_cmd cmd = { 0 };
	struct gmem_vcpu *vcpu;
	struct gmem_exit exit;

	(void)state;
	WORKS(gmem_vcpu_create(vm, 0, &vcpu));
	REFUSED(gmem_guest_setup(vm), -EBUSY);
	REFUSED(gmem_vcpu_run(vcpu, &exit), -ENOEXEC);
	REFUSED(gmem_guest_start(vcpu, &cmd, 1, 1), -ENXIO);
	REFUSED(gmem_guest_finish(vcpu, &cmd, 1, NULL), -ENXIO);
	REFUSED(gmem_guest_abort(vcpu), -ENXIO);
	gmem_guest_stop(vcpu);
	gmem_vcpu_destroy(vcpu);
	gmem_vm_destroy(vm);
	gmem_engine_close(engine);
}

static void list_of_commands_is_one_at_a_time(void **state)
{
	struct gmem_guest_cmd cmd = { .op = GMEM_GUEST_NOP };
	struct world world;

	(void)state;
	open_world(&world);
	REFUSED(gmem_vcpu_complete_hypercall(world.vcpu, 0), -EINVAL);
	WORKS(gmem_guest_start(world.vcpu, &cmd, 1, 1));
	REFUSED(gmem_guest_start(world.vcpu, &cmd, 1, 1), -EBUSY);
	assert_int_equal(gmem_guest_finish(world.vcpu, &cmd, 1, NULL), -EBUSY);
	WORKS(gmem_guest_abort(world.vcpu));
	WORKS(gmem_guest_exec(world.vcpu, &cmd, 1, ZERO, NULL));
	close_world(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(releases_null),
		cmocka_unit_test(engine_outlives_its_close),
		cmocka_unit_test(vm_ends_with_its_last_object),
		cmocka_unit_test(file_goes_before_its_mapping_and_slot),
		cmocka_unit_test(guest_program_comes_before_vcpus),
		cmocka_unit_test(list_of_commands_is_one_at_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
