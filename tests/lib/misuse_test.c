// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Every public function given what it must not be given: an error and a message, and
 * the VM works as before.  Wrong order is order_test.c's, the wrong engine adopt_test.c's.
 */
#include "lib_test.h"

static struct world world;

/* Whatever was refused: memory is as it was, and converts. */
static int setup(void **state)
{
	(void)state;
	open_world(&world);
	memset(world.memory, 0x5a, PAGE);
	return 0;
}

static int teardown(void **state)
{
	struct gmem_run runs[1];
	size_t nr_runs = 1;

	(void)state;
	assert_int_equal(world.memory[PAGE - 1], 0x5a);
	WORKS(gmem_get_attributes(world.file, 0, MEMORY_PAGES * PAGE, runs, &nr_runs));
	assert_int_equal(runs[0].attributes, 0);
	WORKS(gmem_guest_unshare(world.vcpu, MEMORY_GPA, PAGE, READABLE));
	WORKS(gmem_guest_check(world.vcpu, MEMORY_GPA, PAGE, 0x5a5a5a5a5a5a5a5a, 0));
	close_world(&world);
	return 0;
}

static void engines(void **state)
{
	struct gmem_engine_options options = {
		.size = sizeof(options), .kind = 99, .log = hear, .log_opaque = &said,
	};
	struct { struct gmem_engine_options known; uint64_t newer; } newer = {
		.known = { .size = sizeof(newer), .kind = GMEM_ENGINE_EMU }, .newer = 1,
	};
	struct gmem_caps caps = { .size = sizeof(caps) };
	struct gmem_engine *engine;

	(void)state;
	REFUSED(gmem_engine_open(NULL, NULL), -EINVAL);
	REFUSED(gmem_engine_open(&options, &engine), -EINVAL);
	options.kind = GMEM_ENGINE_EMU;
	options.reserved = 1;
	REFUSED(gmem_engine_open(&options, &engine), -EINVAL);
	options.reserved = 0;
	options.size = 3;
	REFUSED(gmem_engine_open(&options, &engine), -EINVAL);
	REFUSED(gmem_engine_open(&newer.known, &engine), -EINVAL);
	newer.newer = 0;
	WORKS(gmem_engine_open(&newer.known, &engine));
	gmem_engine_close(engine);

	options.size = sizeof(options);
	options.kind = GMEM_ENGINE_KERNEL;
	options.device = "/nowhere";
	REFUSED(gmem_engine_open(&options, &engine), -ENOENT);
	options.device = "/dev/null";
	REFUSED(gmem_engine_open(&options, &engine), -ENODEV);

	REFUSED(gmem_engine_caps(NULL, GMEM_VM_SW, &caps), -EINVAL);
	REFUSED(gmem_engine_caps(world.engine, 1000, &caps), -EINVAL);
	REFUSED(gmem_engine_caps(world.engine, GMEM_VM_SW, NULL), -EINVAL);
	caps.size = 1;
	REFUSED(gmem_engine_caps(world.engine, GMEM_VM_SW, &caps), -EINVAL);
	assert_null(gmem_engine_name(NULL));
	assert_null(gmem_platform_name(1000));
	assert_null(gmem_policy_name(1000));
}

/* Without a log of its own an engine speaks to the process's, or to nobody. */
static void logs(void **state)
{
	struct gmem_engine_options options = {
		.size = sizeof(options), .kind = GMEM_ENGINE_EMU,
	};
	struct gmem_engine *engine;

	(void)state;
	WORKS(gmem_engine_open(&options, &engine));
	REFUSED(gmem_vm_create(engine, NULL, NULL), -EINVAL);
	gmem_set_log(NULL, NULL);
	assert_int_equal(gmem_vm_create(engine, NULL, NULL), -EINVAL);
	assert_int_equal(said.errors, 1);
	gmem_engine_close(engine);
	gmem_set_log(hear, &said);
}

static void vms(void **state)
{
	struct gmem_vm_options options = { .size = sizeof(options), .platform = 1000 };
	struct gmem_caps caps = { .size = 1 };
	struct gmem_vm *vm;

	(void)state;
	REFUSED(gmem_vm_create(NULL, NULL, &vm), -EINVAL);
	REFUSED(gmem_vm_create(world.engine, NULL, NULL), -EINVAL);
	REFUSED(gmem_vm_create(world.engine, &options, &vm), -EINVAL);
	options.platform = GMEM_VM_SW;
	options.reserved = 1;
	REFUSED(gmem_vm_create(world.engine, &options, &vm), -EINVAL);
	options.size = 0;
	REFUSED(gmem_vm_create(world.engine, &options, &vm), -EINVAL);
	REFUSED(gmem_vm_adopt(world.engine, &options, 0, &vm), -EINVAL);
	REFUSED(gmem_vm_caps(NULL, &caps), -EINVAL);
	REFUSED(gmem_vm_caps(world.vm, NULL), -EINVAL);
	REFUSED(gmem_vm_caps(world.vm, &caps), -EINVAL);
	REFUSED(gmem_vm_fd(NULL), -EINVAL);
	assert_int_equal(gmem_vm_fd(world.vm), -EOPNOTSUPP);

	REFUSED(gmem_vm_set_memory_attributes(NULL, 0, PAGE, 0), -EINVAL);
	REFUSED(gmem_vm_set_memory_attributes(world.vm, MEMORY_GPA, PAGE, PRIVATE), -EINVAL);
	REFUSED(gmem_vm_set_memory_attributes(world.vm, 1, PAGE, PRIVATE), -EINVAL);
	REFUSED(gmem_vm_set_memory_attributes(world.vm, 0, 0, PRIVATE), -EINVAL);
	REFUSED(gmem_vm_set_memory_attributes(world.vm, 0, PAGE, 1), -EINVAL);
}

static void files(void **state)
{
	struct gmem_file_options options = {
		.size = sizeof(options), .bytes = PAGE, .flags = 1ull << 40,
	};
	struct gmem_file *file;
	void *addr;

	(void)state;
	REFUSED(gmem_file_create(NULL, &options, &file), -EINVAL);
	REFUSED(gmem_file_create(world.vm, &options, NULL), -EINVAL);
	REFUSED(gmem_file_create(world.vm, NULL, &file), -EINVAL);
	REFUSED(gmem_file_create(world.vm, &options, &file), -EINVAL);
	options.flags = GUEST_MEMFD_FLAG_IN_PLACE;
	REFUSED(gmem_file_create(world.vm, &options, &file), -EINVAL);
	options.flags = IN_PLACE;
	options.bytes = PAGE + 1;
	REFUSED(gmem_file_create(world.vm, &options, &file), -EINVAL);
	options.bytes = 1ull << 62;
	REFUSED(gmem_file_create(world.vm, &options, &file), -EINVAL);
	options.size = 1;
	REFUSED(gmem_file_create(world.vm, &options, &file), -EINVAL);
	REFUSED(gmem_file_fd(NULL), -EINVAL);
	assert_int_equal(gmem_file_fd(world.file), -EOPNOTSUPP);

	REFUSED(gmem_file_map(NULL, 0, PAGE, &addr), -EINVAL);
	REFUSED(gmem_file_map(world.file, 0, PAGE, NULL), -EINVAL);
	REFUSED(gmem_file_map(world.file, 0, 0, &addr), -EINVAL);
	REFUSED(gmem_file_map(world.file, 1, PAGE, &addr), -EINVAL);
	REFUSED(gmem_file_map(world.file, 0, (MEMORY_PAGES + 1) * PAGE, &addr), -EINVAL);
	REFUSED(gmem_file_map(world.file, -PAGE, 2 * PAGE, &addr), -EINVAL);
	REFUSED(gmem_file_unmap(NULL, world.memory, PAGE), -EINVAL);
	REFUSED(gmem_file_unmap(world.file, NULL, PAGE), -EINVAL);
	REFUSED(gmem_file_unmap(world.file, world.memory, PAGE), -EINVAL);
	REFUSED(gmem_file_unmap(world.file, world.memory + PAGE, PAGE), -EINVAL);
	REFUSED(gmem_file_punch_hole(NULL, 0, PAGE), -EINVAL);
	REFUSED(gmem_file_punch_hole(world.file, 1, PAGE), -EINVAL);
	REFUSED(gmem_file_punch_hole(world.file, 0, 0), -EINVAL);
}

/* More than this machine has: memory is a promise, and the file works. */
static void size_beyond_ram(void **state)
{
	struct gmem_file_options options = {
		.size = sizeof(options), .bytes = 1ull << 40, .flags = IN_PLACE,
	};
	struct gmem_slot_options slot = {
		.size = sizeof(slot), .id = 1, .gpa = 1ull << 41, .bytes = 1ull << 40,
	};
	struct gmem_file *file;

	(void)state;
	WORKS(gmem_file_create(world.vm, &options, &file));
	slot.file = file;
	slot.bytes *= 2;
	REFUSED(gmem_slot_set(world.vm, &slot), -EINVAL);
	gmem_file_close(file);
}

static void conversions(void **state)
{
	struct kvm_memory_attributes2 good = { .size = PAGE, .attributes = PRIVATE };
	struct kvm_memory_attributes2 args;
	struct kvm_memory_attributes2_run run = { .offset = 1 };
	struct gmem_file_options plain = { .size = sizeof(plain), .bytes = PAGE };
	struct gmem_run runs[2];
	struct gmem_file *file;
	size_t nr_runs = 2;
	uint64_t done;

	(void)state;
#define BAD(field, value) do {							\
	args = good;								\
	args.field = value;							\
	REFUSED(gmem_set_memory_attributes2(world.file, &args), -EINVAL);	\
} while (0)
	BAD(offset, 1);
	BAD(offset, -PAGE);
	BAD(size, 0);
	BAD(size, 1ull << 40);
	BAD(attributes, 1);
	BAD(flags, 1);
	BAD(content_policy, 4);
	BAD(reserved32, 1);
	BAD(converted, 1);
	BAD(reserved[8], 1);
	REFUSED(gmem_set_memory_attributes2(NULL, &good), -EINVAL);
	REFUSED(gmem_set_memory_attributes2(world.file, NULL), -EFAULT);
	REFUSED(gmem_file_convert(NULL, 0, PAGE, PRIVATE, ZERO, NULL), -EINVAL);
	REFUSED(gmem_vm_convert(NULL, 0, PAGE, PRIVATE, ZERO, NULL), -EINVAL);
	REFUSED(gmem_vm_convert(world.vm, 1, PAGE, PRIVATE, ZERO, NULL), -EINVAL);
	REFUSED(gmem_vm_convert(world.vm, 0, 0, PRIVATE, ZERO, &done), -EINVAL);
	REFUSED(gmem_vm_convert(world.vm, -PAGE, 2 * PAGE, PRIVATE, ZERO, &done), -EINVAL);
	REFUSED(gmem_vm_convert(world.vm, 1ull << 45, PAGE, PRIVATE, ZERO, &done), -ENXIO);
	assert_int_equal(done, 0);

	REFUSED(gmem_get_memory_attributes2(NULL, &run), -EINVAL);
	REFUSED(gmem_get_memory_attributes2(world.file, NULL), -EFAULT);
	REFUSED(gmem_get_memory_attributes2(world.file, &run), -EINVAL);
	REFUSED(gmem_get_attributes(NULL, 0, PAGE, runs, &nr_runs), -EINVAL);
	REFUSED(gmem_get_attributes(world.file, 0, PAGE, runs, NULL), -EINVAL);
	REFUSED(gmem_get_attributes(world.file, 0, PAGE, NULL, &nr_runs), -EINVAL);
	REFUSED(gmem_get_attributes(world.file, 0, 1ull << 40, runs, &nr_runs), -EINVAL);
	REFUSED(gmem_get_attributes(world.file, 1, PAGE, runs, &nr_runs), -EINVAL);

	WORKS(gmem_file_create(world.vm, &plain, &file));
	REFUSED(gmem_file_convert(file, 0, PAGE, 0, ZERO, NULL), -ENOTTY);
	REFUSED(gmem_get_attributes(file, 0, PAGE, runs, &nr_runs), -ENOTTY);
	REFUSED(gmem_emu_force_attributes(file, 0, PAGE, 0), -ENOTTY);
	gmem_file_close(file);
}

static void release_options(void **state)
{
	struct gmem_release_options options = {
		.size = sizeof(options), .retries = GMEM_RELEASE_MAX_RETRIES + 1,
	};

	(void)state;
	REFUSED(gmem_vm_set_release(NULL, &options), -EINVAL);
	REFUSED(gmem_vm_set_release(world.vm, &options), -EINVAL);
	options.retries = 1;
	options.delay_us = GMEM_RELEASE_MAX_DELAY_US + 1;
	REFUSED(gmem_vm_set_release(world.vm, &options), -EINVAL);
	options.size = 2;
	REFUSED(gmem_vm_set_release(world.vm, &options), -EINVAL);
}

static void payload(void **state)
{
	static const char data[] = "payload";
	const uint64_t gpa = MEMORY_GPA + PAGE;

	(void)state;
	REFUSED(gmem_vm_load(NULL, gpa, data, sizeof(data)), -EINVAL);
	REFUSED(gmem_vm_load(world.vm, gpa, NULL, sizeof(data)), -EINVAL);
	REFUSED(gmem_vm_load(world.vm, gpa + 1, data, sizeof(data)), -EINVAL);
	REFUSED(gmem_vm_load(world.vm, 1ull << 45, data, sizeof(data)), -ENXIO);
	REFUSED(gmem_vm_load(world.vm, -PAGE, data, 2 * PAGE), -EINVAL);
	WORKS(gmem_file_convert(world.file, PAGE, PAGE, 0,
				SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY, NULL));
	REFUSED(gmem_vm_load(world.vm, gpa, data, sizeof(data)), -EINVAL);
	WORKS(gmem_file_convert(world.file, PAGE, PAGE, 0, ZERO, NULL));
	WORKS(gmem_vm_load(world.vm, gpa, data, sizeof(data)));
	assert_memory_equal(world.memory + PAGE, data, sizeof(data));
}

static void slots(void **state)
{
	struct gmem_slot_options good = {
		.size = sizeof(good), .id = 1, .gpa = 1ull << 40, .bytes = PAGE,
		.file = world.file,
	};
	struct gmem_vm *other = new_vm(world.engine);
	struct gmem_slot_options slot;

	(void)state;
#define BAD_SLOT(field, value, error) do {			\
	slot = good;						\
	slot.field = value;					\
	REFUSED(gmem_slot_set(world.vm, &slot), error);		\
} while (0)
	BAD_SLOT(size, 1, -EINVAL);
	BAD_SLOT(id, 0, -EEXIST);
	BAD_SLOT(id, GMEM_SLOT_RESERVED, -EINVAL);
	BAD_SLOT(reserved, 1, -EINVAL);
	BAD_SLOT(gpa, 1, -EINVAL);
	BAD_SLOT(gpa, -PAGE, -EINVAL);
	BAD_SLOT(gpa, MEMORY_GPA, -EEXIST);
	BAD_SLOT(bytes, 0, -EINVAL);
	BAD_SLOT(bytes, (MEMORY_PAGES + 1) * PAGE, -EINVAL);
	BAD_SLOT(offset, -PAGE, -EINVAL);
	BAD_SLOT(file, NULL, -EINVAL);
	REFUSED(gmem_slot_set(world.vm, &good), -EEXIST);
	REFUSED(gmem_slot_set(other, &good), -EINVAL);
	REFUSED(gmem_slot_set(NULL, &good), -EINVAL);
	REFUSED(gmem_slot_set(world.vm, NULL), -EINVAL);
	REFUSED(gmem_slot_adopt(NULL, &good), -EINVAL);
	REFUSED(gmem_slot_delete(NULL, 0), -EINVAL);
	REFUSED(gmem_slot_delete(world.vm, 77), -ENOENT);
	REFUSED(gmem_slot_delete(world.vm, GMEM_SLOT_RESERVED), -EINVAL);
	gmem_vm_destroy(other);
}

static void vcpus(void **state)
{
	struct gmem_exit exit = { .reason = KVM_EXIT_HYPERCALL };
	struct gmem_vcpu *vcpu;

	(void)state;
	REFUSED(gmem_vcpu_create(NULL, 1, &vcpu), -EINVAL);
	REFUSED(gmem_vcpu_create(world.vm, 1, NULL), -EINVAL);
	REFUSED(gmem_vcpu_create(world.vm, 0, &vcpu), -EEXIST);
	REFUSED(gmem_vcpu_create(world.vm, 1u << 20, &vcpu), -EINVAL);
	REFUSED(gmem_vcpu_fd(NULL), -EINVAL);
	assert_int_equal(gmem_vcpu_fd(world.vcpu), -EOPNOTSUPP);
	REFUSED(gmem_vcpu_run(NULL, &exit), -EINVAL);
	REFUSED(gmem_vcpu_run(world.vcpu, NULL), -EINVAL);
	REFUSED(gmem_vcpu_complete_hypercall(NULL, 0), -EINVAL);
	REFUSED(gmem_vcpu_complete_hypercall(world.vcpu, 0), -EINVAL);
	REFUSED(gmem_vcpu_serve_hypercall(NULL, &exit, ZERO), -EINVAL);
	REFUSED(gmem_vcpu_serve_hypercall(world.vcpu, NULL, ZERO), -EINVAL);
	REFUSED(gmem_vcpu_serve_hypercall(world.vcpu, &exit, ZERO), -EINVAL);
	/* A hypercall that this vCPU never made. */
	exit.hypercall.nr = KVM_HC_MAP_GPA_RANGE;
	exit.hypercall.args[0] = 1;
	exit.hypercall.args[1] = UINT64_MAX;
	REFUSED(gmem_vcpu_serve_hypercall(world.vcpu, &exit, ZERO), -EINVAL);
}

static void guest_program(void **state)
{
	struct gmem_guest_cmd cmds[GMEM_GUEST_MAX_CMDS + 1] = { 0 };
	struct gmem_guest_cmd *cmd = &cmds[0];
	uint64_t value;

	(void)state;
	REFUSED(gmem_guest_setup(NULL), -EINVAL);
	REFUSED(gmem_guest_setup(world.vm), -EEXIST);
	REFUSED(gmem_guest_start(NULL, cmds, 1, 1), -EINVAL);
	REFUSED(gmem_guest_start(world.vcpu, NULL, 1, 1), -EINVAL);
	REFUSED(gmem_guest_start(world.vcpu, cmds, 0, 1), -EINVAL);
	REFUSED(gmem_guest_start(world.vcpu, cmds, GMEM_GUEST_MAX_CMDS + 1, 1), -EINVAL);
	gmem_guest_stop(NULL);
	REFUSED(gmem_guest_finish(NULL, cmds, 1, NULL), -EINVAL);
	REFUSED(gmem_guest_finish(world.vcpu, cmds, GMEM_GUEST_MAX_CMDS + 1, NULL), -EINVAL);
	REFUSED(gmem_guest_abort(NULL), -EINVAL);
	REFUSED(gmem_guest_exec(NULL, cmds, 1, ZERO, NULL), -EINVAL);
	REFUSED(gmem_guest_exec(world.vcpu, NULL, 1, ZERO, NULL), -EINVAL);
	REFUSED(gmem_guest_load(NULL, MEMORY_GPA, &value), -EINVAL);
	REFUSED(gmem_guest_store(NULL, MEMORY_GPA, 1), -EINVAL);
	REFUSED(gmem_guest_fill(NULL, MEMORY_GPA, PAGE, 1, 1), -EINVAL);
	REFUSED(gmem_guest_check(NULL, MEMORY_GPA, PAGE, 1, 1), -EINVAL);
	REFUSED(gmem_guest_share(NULL, MEMORY_GPA, PAGE, ZERO), -EINVAL);
	REFUSED(gmem_guest_unshare(NULL, MEMORY_GPA, PAGE, ZERO), -EINVAL);

	/* What the guest itself gets wrong is its command's status. */
	cmd->op = GMEM_GUEST_NR_OPS;
	assert_true(gmem_guest_exec(world.vcpu, cmd, 1, ZERO, NULL) < 0);
	cmd->op = GMEM_GUEST_LOAD;
	cmd->addr = MEMORY_GPA;
	cmd->size = 3;
	assert_true(gmem_guest_exec(world.vcpu, cmd, 1, ZERO, NULL) < 0);
	assert_true(gmem_guest_unshare(world.vcpu, MEMORY_GPA + 1, PAGE, ZERO) < 0);
	assert_true(gmem_guest_unshare(world.vcpu, 1ull << 38, PAGE, ZERO) < 0);
	assert_true(gmem_guest_unshare(world.vcpu, MEMORY_GPA, PAGE, 1000) < 0);
}

static void emu(void **state)
{
	unsigned char buffer[PAGE];
	uint64_t used;

	(void)state;
	REFUSED(gmem_emu_pin(NULL, 0, PAGE), -EINVAL);
	REFUSED(gmem_emu_pin(world.file, 1, PAGE), -EINVAL);
	REFUSED(gmem_emu_pin(world.file, 0, 0), -EINVAL);
	REFUSED(gmem_emu_pin(world.file, 0, (MEMORY_PAGES + 1) * PAGE), -EINVAL);
	REFUSED(gmem_emu_pin(world.file, -PAGE, 2 * PAGE), -EINVAL);
	REFUSED(gmem_emu_unpin(NULL, 0, PAGE), -EINVAL);
	REFUSED(gmem_emu_unpin(world.file, 0, PAGE), -EINVAL);
	REFUSED(gmem_emu_poison(NULL, 0, PAGE), -EINVAL);
	REFUSED(gmem_emu_poison(world.file, 0, 1), -EINVAL);
	REFUSED(gmem_emu_force_attributes(NULL, 0, PAGE, 0), -EINVAL);
	REFUSED(gmem_emu_force_attributes(world.file, 0, PAGE, 1), -EINVAL);
	REFUSED(gmem_emu_read_memory(NULL, 0, PAGE, buffer), -EINVAL);
	REFUSED(gmem_emu_read_memory(world.file, 0, PAGE, NULL), -EINVAL);
	REFUSED(gmem_emu_write_memory(NULL, 0, PAGE, buffer), -EINVAL);
	REFUSED(gmem_emu_write_memory(world.file, 0, PAGE, NULL), -EINVAL);
	REFUSED(gmem_emu_set_property(NULL, 0, 0), -EINVAL);
	assert_int_equal(gmem_emu_set_property(world.vm, 77, 1), -EOPNOTSUPP);
	REFUSED(gmem_emu_power_off(NULL), -EINVAL);
	REFUSED(gmem_emu_plan_share(NULL, 0, PAGE), -EINVAL);
	REFUSED(gmem_emu_set_limit(NULL, GMEM_EMU_LIMIT_AHEAD, 0, &used), -EINVAL);
	REFUSED(gmem_emu_set_limit(world.engine, 77, 0, &used), -EINVAL);
	assert_null(gmem_emu_guard(NULL));
	assert_int_equal(gmem_emu_handle_sigbus(NULL), -EFAULT);
	assert_int_equal(gmem_emu_handle_sigbus(buffer), -EFAULT);
	assert_true(gmem_emu_fail_after(-1) < 0);
}

/* Every step that can fail, fails: what was built so far goes again. */
static void nothing_leaks_where_memory_ends(void **state)
{
	struct world other;
	unsigned int failures = 0;
	long steps;

	(void)state;
	for (steps = 0; steps < 100; steps++) {
		struct gmem_vm_options vm_options = {
			.size = sizeof(vm_options), .platform = GMEM_VM_SW,
		};
		struct gmem_file_options file_options = {
			.size = sizeof(file_options), .bytes = MEMORY_PAGES * PAGE,
			.flags = IN_PLACE,
		};
		struct gmem_slot_options slot = {
			.size = sizeof(slot), .gpa = MEMORY_GPA,
			.bytes = MEMORY_PAGES * PAGE,
		};
		int ret;

		memset(&other, 0, sizeof(other));
		gmem_emu_fail_after(steps);
		ret = gmem_vm_create(world.engine, &vm_options, &other.vm);
		if (!ret)
			ret = gmem_file_create(other.vm, &file_options, &other.file);
		if (!ret) {
			slot.file = other.file;
			ret = gmem_slot_set(other.vm, &slot);
		}
		if (!ret)
			ret = gmem_guest_setup(other.vm);
		if (!ret)
			ret = gmem_vcpu_create(other.vm, 0, &other.vcpu);
		gmem_emu_fail_after(-1);
		gmem_vcpu_destroy(other.vcpu);
		gmem_file_close(other.file);
		gmem_vm_destroy(other.vm);
		if (!ret)
			break;
		failures++;
	}
	assert_true(failures > 4);
	assert_true(steps < 100);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(engines),
		TEST(logs),
		TEST(vms),
		TEST(files),
		TEST(size_beyond_ram),
		TEST(conversions),
		TEST(release_options),
		TEST(payload),
		TEST(slots),
		TEST(vcpus),
		TEST(guest_program),
		TEST(emu),
		TEST(nothing_leaks_where_memory_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
