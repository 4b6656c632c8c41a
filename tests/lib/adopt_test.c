// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The kernel engine on a KVM that only answers: objects that a VMM lends to the
 * library, and the choice between the engines.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake_kvm.h"
#include "lib_test.h"

struct lent {
	struct gmem_engine *engine;
	struct gmem_vm *vm;
	struct gmem_file *file;
	struct gmem_vcpu *vcpu;
	int vm_fd;
	int file_fd;
	int vcpu_fd;
	struct kvm_run *run;
};

static struct gmem_engine *open_kernel(void)
{
	struct gmem_engine_options options = {
		.size = sizeof(options), .kind = GMEM_ENGINE_KERNEL,
		.device = FAKE_DEVICE, .log = hear, .log_opaque = &said,
	};
	struct gmem_engine *engine;

	fake_reset();
	gmem_set_log(hear, &said);
	WORKS(gmem_engine_open(&options, &engine));
	return engine;
}

static void lend(struct lent *lent)
{
	struct gmem_vm_options vm_options = {
		.size = sizeof(vm_options), .platform = GMEM_VM_SW,
	};
	struct gmem_file_options file_options = {
		.size = sizeof(file_options), .flags = IN_PLACE,
	};

	lent->engine = open_kernel();
	lent->vm_fd = fake_fd(FAKE_VM);
	lent->file_fd = fake_fd(FAKE_FILE);
	lent->vcpu_fd = fake_fd(FAKE_VCPU);
	lent->run = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, lent->vcpu_fd, 0);
	assert_ptr_not_equal(lent->run, MAP_FAILED);
	WORKS(gmem_vm_adopt(lent->engine, &vm_options, lent->vm_fd, &lent->vm));
	WORKS(gmem_file_adopt(lent->vm, &file_options, lent->file_fd, &lent->file));
	WORKS(gmem_vcpu_adopt(lent->vm, 0, lent->vcpu_fd, lent->run, &lent->vcpu));
}

static void give_back(struct lent *lent)
{
	gmem_vcpu_destroy(lent->vcpu);
	gmem_file_close(lent->file);
	gmem_vm_destroy(lent->vm);
	gmem_engine_close(lent->engine);
	assert_true(fake_is_open(lent->vm_fd));
	assert_true(fake_is_open(lent->file_fd));
	assert_true(fake_is_open(lent->vcpu_fd));
	lent->run->exit_reason = 0;
	munmap(lent->run, PAGE);
	fake_close(lent->vcpu_fd);
	fake_close(lent->file_fd);
	fake_close(lent->vm_fd);
}

static void slot_is_known(struct lent *lent)
{
	struct gmem_slot_options slot = {
		.size = sizeof(slot), .id = 7000, .gpa = MEMORY_GPA,
		.bytes = 8 * PAGE, .file = lent->file, .offset = 4 * PAGE,
	};

	WORKS(gmem_slot_adopt(lent->vm, &slot));
	REFUSED(gmem_slot_adopt(lent->vm, &slot), -EEXIST);
}

static void what_is_lent_works_and_stays_open(void **state)
{
	struct kvm_memory_attributes2_run piece = { 0 };
	struct gmem_caps caps = { .size = sizeof(caps) };
	struct gmem_run runs[2];
	struct gmem_exit exit;
	size_t nr_runs = 2;
	struct lent lent;
	uint64_t bytes;

	(void)state;
	lend(&lent);
	assert_int_equal(fake_kvm.enabled, 0);
	assert_int_equal(gmem_vm_fd(lent.vm), lent.vm_fd);
	assert_int_equal(gmem_file_fd(lent.file), lent.file_fd);
	assert_int_equal(gmem_vcpu_fd(lent.vcpu), lent.vcpu_fd);
	WORKS(gmem_vm_caps(lent.vm, &caps));
	assert_true(caps.convert);

	WORKS(gmem_file_convert(lent.file, PAGE, 2 * PAGE, PRIVATE, READABLE, &bytes));
	assert_int_equal(bytes, 2 * PAGE);
	assert_int_equal(fake_kvm.last.offset, PAGE);
	assert_int_equal(fake_kvm.last.content_policy, READABLE);
	WORKS(gmem_get_memory_attributes2(lent.file, &piece));
	/* Its length was looked up. */
	WORKS(gmem_get_attributes(lent.file, 0, MEMORY_PAGES * PAGE, runs, &nr_runs));
	assert_int_equal(nr_runs, 1);
	assert_int_equal(runs[0].bytes, MEMORY_PAGES * PAGE);
	WORKS(gmem_vcpu_run(lent.vcpu, &exit));
	assert_int_equal(exit.reason, KVM_EXIT_HLT);
	give_back(&lent);
}

static void set_hypercall(struct kvm_run *run, uint64_t gpa, uint64_t pages)
{
	memset(&run->hypercall, 0, sizeof(run->hypercall));
	run->exit_reason = KVM_EXIT_HYPERCALL;
	run->hypercall.nr = KVM_HC_MAP_GPA_RANGE;
	run->hypercall.args[0] = gpa;
	run->hypercall.args[1] = pages;
	run->hypercall.args[2] = 1 << 4;
	run->hypercall.ret = 99;
}

/* The VMM runs the vCPU by itself, and the library learns of it by kvm_run alone. */
static void serves_the_hypercall_in_kvm_run(void **state)
{
	struct lent lent;

	(void)state;
	lend(&lent);
	slot_is_known(&lent);
	set_hypercall(lent.run, MEMORY_GPA + PAGE, 3);
	WORKS(gmem_vcpu_serve_hypercall(lent.vcpu, NULL, READABLE));
	assert_int_equal(lent.run->hypercall.ret, 0);
	assert_int_equal(fake_kvm.last.offset, 5 * PAGE);
	assert_int_equal(fake_kvm.last.size, 3 * PAGE);
	assert_int_equal(fake_kvm.last.attributes, PRIVATE);

	fake_kvm.convert_error = EPERM;
	set_hypercall(lent.run, MEMORY_GPA, 1);
	assert_int_equal(gmem_vcpu_serve_hypercall(lent.vcpu, NULL, READABLE), -EPERM);
	assert_int_equal((int64_t)lent.run->hypercall.ret, -EPERM);

	lent.run->exit_reason = KVM_EXIT_HLT;
	REFUSED(gmem_vcpu_serve_hypercall(lent.vcpu, NULL, READABLE), -EINVAL);
	REFUSED(gmem_vcpu_complete_hypercall(lent.vcpu, 0), -EINVAL);
	give_back(&lent);
}

static void adopted_slot_stays_and_own_slot_goes(void **state)
{
	static unsigned char memory[PAGE] __attribute__((aligned(4096)));
	struct gmem_slot_options own = {
		.size = sizeof(own), .id = 1, .gpa = 2 * MEMORY_GPA, .bytes = PAGE,
		.userspace_addr = memory,
	};
	struct lent lent;

	(void)state;
	lend(&lent);
	slot_is_known(&lent);
	assert_int_equal(fake_kvm.slots, 0);
	WORKS(gmem_slot_delete(lent.vm, 7000));
	REFUSED(gmem_slot_delete(lent.vm, 7000), -ENOENT);
	slot_is_known(&lent);
	WORKS(gmem_slot_set(lent.vm, &own));
	REFUSED(gmem_guest_setup(lent.vm), -EBUSY);
	assert_int_equal(fake_kvm.slots, 1);
	give_back(&lent);
	assert_int_equal(fake_kvm.slots, 0);
}

/* Conversions on the bare KVM are retried just the same. */
static void busy_page_is_retried(void **state)
{
	struct gmem_release_options options = {
		.size = sizeof(options), .retries = 4, .delay_us = 1,
	};
	struct lent lent;

	(void)state;
	lend(&lent);
	WORKS(gmem_vm_set_release(lent.vm, &options));
	fake_kvm.busy = 4;
	WORKS(gmem_file_convert(lent.file, 0, PAGE, PRIVATE, ZERO, NULL));
	assert_int_equal(fake_kvm.conversions, 5);
	fake_kvm.busy = 5;
	assert_int_equal(gmem_file_convert(lent.file, 0, PAGE, PRIVATE, ZERO, NULL),
			 -EAGAIN);
	give_back(&lent);
}

static void descriptors_are_looked_at(void **state)
{
	struct gmem_file_options in_place = {
		.size = sizeof(in_place), .flags = IN_PLACE,
	};
	struct gmem_file_options wrong_length = {
		.size = sizeof(wrong_length), .bytes = 5 * PAGE,
	};
	struct gmem_file *file;
	struct gmem_vcpu *vcpu;
	struct gmem_vm *vm;
	struct lent lent;
	int device;

	(void)state;
	lend(&lent);
	device = open(FAKE_DEVICE, O_RDWR | O_CLOEXEC);
	REFUSED(gmem_vm_adopt(lent.engine, NULL, -1, &vm), -EBADF);
	REFUSED(gmem_vm_adopt(lent.engine, NULL, device, &vm), -EINVAL);
	REFUSED(gmem_vm_adopt(lent.engine, NULL, lent.vcpu_fd, &vm), -EINVAL);
	REFUSED(gmem_vm_adopt(lent.engine, NULL, lent.vm_fd, NULL), -EINVAL);
	REFUSED(gmem_vm_adopt(NULL, NULL, lent.vm_fd, &vm), -EINVAL);
	REFUSED(gmem_file_adopt(lent.vm, &in_place, -1, &file), -EBADF);
	REFUSED(gmem_file_adopt(lent.vm, &in_place, lent.vm_fd, &file), -EINVAL);
	REFUSED(gmem_file_adopt(lent.vm, &in_place, device, &file), -EINVAL);
	REFUSED(gmem_file_adopt(lent.vm, &wrong_length, lent.file_fd, &file), -EINVAL);
	REFUSED(gmem_file_adopt(NULL, &in_place, lent.file_fd, &file), -EINVAL);
	REFUSED(gmem_vcpu_adopt(lent.vm, 1, -1, lent.run, &vcpu), -EBADF);
	REFUSED(gmem_vcpu_adopt(lent.vm, 1, lent.vm_fd, lent.run, &vcpu), -EINVAL);
	REFUSED(gmem_vcpu_adopt(lent.vm, 1, lent.vcpu_fd, NULL, &vcpu), -EINVAL);
	REFUSED(gmem_vcpu_adopt(NULL, 1, lent.vcpu_fd, lent.run, &vcpu), -EINVAL);
	REFUSED(gmem_slot_adopt(lent.vm, NULL), -EINVAL);
	close(device);
	give_back(&lent);
}

/* What the library made it closes, of a lent VM's, too. */
static void closes_what_is_its_own(void **state)
{
	struct gmem_file_options options = {
		.size = sizeof(options), .bytes = MEMORY_PAGES * PAGE, .flags = IN_PLACE,
	};
	struct gmem_file *file;
	struct gmem_vcpu *vcpu;
	struct lent lent;
	int vm_fd, file_fd, vcpu_fd;
	struct gmem_vm *vm;

	(void)state;
	lend(&lent);
	vm = new_vm(lent.engine);
	vm_fd = gmem_vm_fd(vm);
	assert_int_equal(fake_kvm.enabled, 1);
	WORKS(gmem_file_create(lent.vm, &options, &file));
	file_fd = gmem_file_fd(file);
	WORKS(gmem_vcpu_create(lent.vm, 1, &vcpu));
	vcpu_fd = gmem_vcpu_fd(vcpu);
	gmem_vcpu_destroy(vcpu);
	gmem_file_close(file);
	gmem_vm_destroy(vm);
	assert_false(fake_is_open(vm_fd));
	assert_false(fake_is_open(file_fd));
	assert_false(fake_is_open(vcpu_fd));
	give_back(&lent);
}

static void failures_leak_nothing(void **state)
{
	struct gmem_file_options options = {
		.size = sizeof(options), .bytes = MEMORY_PAGES * PAGE, .flags = IN_PLACE,
	};
	struct gmem_file *file;
	struct gmem_vcpu *vcpu;
	struct gmem_vm *vm;
	struct lent lent;

	(void)state;
	lend(&lent);
	fake_kvm.create_error = ENOMEM;
	REFUSED(gmem_vm_create(lent.engine, NULL, &vm), -ENOMEM);
	REFUSED(gmem_file_create(lent.vm, &options, &file), -ENOMEM);
	REFUSED(gmem_vcpu_create(lent.vm, 1, &vcpu), -ENOMEM);
	give_back(&lent);
}

static void emu_refuses_with_a_clear_line(void **state)
{
	struct gmem_slot_options slot = { .size = sizeof(slot) };
	struct gmem_file *file;
	struct gmem_vcpu *vcpu;
	struct kvm_run run;
	struct world world;
	struct gmem_vm *vm;

	(void)state;
	open_world(&world);
	REFUSED(gmem_vm_adopt(world.engine, NULL, 0, &vm), -EOPNOTSUPP);
	assert_non_null(strstr(said.last, "gmem_vm_adopt: the emu engine has no file "
			       "descriptors to adopt"));
	REFUSED(gmem_file_adopt(world.vm, NULL, 0, &file), -EOPNOTSUPP);
	REFUSED(gmem_slot_adopt(world.vm, &slot), -EOPNOTSUPP);
	REFUSED(gmem_vcpu_adopt(world.vm, 1, 0, &run, &vcpu), -EOPNOTSUPP);
	close_world(&world);
}

static void emu_functions_want_emu(void **state)
{
	struct lent lent;

	(void)state;
	lend(&lent);
	REFUSED(gmem_emu_pin(lent.file, 0, PAGE), -EINVAL);
	REFUSED(gmem_emu_unpin(lent.file, 0, PAGE), -EINVAL);
	REFUSED(gmem_emu_poison(lent.file, 0, PAGE), -EINVAL);
	REFUSED(gmem_emu_force_attributes(lent.file, 0, PAGE, 0), -EINVAL);
	REFUSED(gmem_emu_set_property(lent.vm, 0, 0), -EINVAL);
	REFUSED(gmem_emu_set_limit(lent.engine, 0, 0, NULL), -EINVAL);
	assert_null(gmem_emu_guard(lent.engine));
	give_back(&lent);
}

static const char *best(void)
{
	struct gmem_engine_options options = {
		.size = sizeof(options), .device = FAKE_DEVICE, .log = hear,
		.log_opaque = &said,
	};
	struct gmem_engine *engine;
	const char *name;

	WORKS(gmem_engine_open(&options, &engine));
	name = gmem_engine_name(engine);
	gmem_engine_close(engine);
	return name;
}

static void best_engine_is_the_one_that_converts(void **state)
{
	(void)state;
	fake_reset();
	assert_string_equal(best(), "kernel");
	fake_kvm.converts = false;
	assert_string_equal(best(), "emu");
	fake_kvm.present = false;
	assert_string_equal(best(), "emu");
	assert_non_null(strstr(said.last, "the kernel does not convert"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_lent_works_and_stays_open),
		cmocka_unit_test(serves_the_hypercall_in_kvm_run),
		cmocka_unit_test(adopted_slot_stays_and_own_slot_goes),
		cmocka_unit_test(busy_page_is_retried),
		cmocka_unit_test(descriptors_are_looked_at),
		cmocka_unit_test(closes_what_is_its_own),
		cmocka_unit_test(failures_leak_nothing),
		cmocka_unit_test(emu_refuses_with_a_clear_line),
		cmocka_unit_test(emu_functions_want_emu),
		cmocka_unit_test(best_engine_is_the_one_that_converts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
