// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Devices that are asked to let go before memory is converted.
 */
#include "lib_test.h"

/* A device that holds a page, and how it answers. */
struct device {
	struct world *world;
	uint64_t page;
	bool holds;
	unsigned int asked;
	unsigned int lets_go_at;	/* attempt */
	int answer;
	uint64_t error_offset;		/* of the last time that it was asked */
};

static int let_go(void *opaque, const struct gmem_release *release)
{
	struct device *device = opaque;

	assert_true(release->size >= sizeof(*release));
	assert_ptr_equal(release->file, device->world->file);
	assert_int_equal(release->offset, PAGE);
	assert_int_equal(release->bytes, 4 * PAGE);
	assert_int_equal(release->attributes, PRIVATE);
	assert_int_equal(release->content_policy, ZERO);
	assert_int_equal(release->attempt, device->asked);
	device->asked++;
	device->error_offset = release->error_offset;
	if (device->holds && release->attempt >= device->lets_go_at) {
		WORKS(gmem_emu_unpin(release->file, device->page * PAGE, PAGE));
		device->holds = false;
	}
	return device->answer;
}

static void plug(struct device *device, struct world *world, uint32_t retries)
{
	struct gmem_release_options options = {
		.size = sizeof(options), .release = let_go, .opaque = device,
		.retries = retries, .delay_us = 1,
	};

	memset(device, 0, sizeof(*device));
	device->world = world;
	device->page = 3;
	device->holds = true;
	WORKS(gmem_emu_pin(world->file, device->page * PAGE, PAGE));
	WORKS(gmem_vm_set_release(world->vm, &options));
}

static int convert(struct world *world, struct kvm_memory_attributes2 *args)
{
	*args = (struct kvm_memory_attributes2){
		.offset = PAGE, .size = 4 * PAGE, .attributes = PRIVATE,
		.error_offset = 77,
	};
	return gmem_set_memory_attributes2(world->file, args);
}

static void is_asked_once_where_it_lets_go(void **state)
{
	struct kvm_memory_attributes2 args;
	struct device device;
	struct world world;

	(void)state;
	open_world(&world);
	plug(&device, &world, 5);
	WORKS(convert(&world, &args));
	assert_int_equal(device.asked, 1);
	assert_int_equal(args.converted, 4 * PAGE);
	assert_int_equal(args.error_offset, 77);
	close_world(&world);
}

static void is_asked_again_about_the_page(void **state)
{
	struct kvm_memory_attributes2 args;
	struct device device;
	struct world world;

	(void)state;
	open_world(&world);
	plug(&device, &world, 5);
	device.lets_go_at = 3;
	WORKS(convert(&world, &args));
	assert_int_equal(device.asked, 4);
	assert_int_equal(device.error_offset, 3 * PAGE);
	assert_int_equal(args.converted, 4 * PAGE);
	assert_int_equal(args.error_offset, 77);
	close_world(&world);
}

static void attempts_have_a_bound(void **state)
{
	struct kvm_memory_attributes2 args;
	struct device device;
	struct world world;

	(void)state;
	open_world(&world);
	plug(&device, &world, 5);
	device.lets_go_at = 100;
	assert_int_equal(convert(&world, &args), -EAGAIN);
	assert_int_equal(device.asked, 6);
	assert_int_equal(args.error_offset, 3 * PAGE);

	/* The default has one, too, and every function that converts keeps it. */
	WORKS(gmem_vm_set_release(world.vm, NULL));
	plug(&device, &world, 0);
	device.lets_go_at = 100;
	assert_int_equal(gmem_vm_convert(world.vm, MEMORY_GPA + PAGE, 4 * PAGE,
					 PRIVATE, ZERO, NULL), -EAGAIN);
	assert_int_equal(device.asked, 1 + GMEM_RELEASE_RETRIES);
	WORKS(gmem_emu_unpin(world.file, 3 * PAGE, PAGE));
	WORKS(gmem_emu_unpin(world.file, 3 * PAGE, PAGE));
	close_world(&world);
}

static void veto_ends_it(void **state)
{
	struct kvm_memory_attributes2 args;
	struct device device;
	struct world world;

	(void)state;
	open_world(&world);
	plug(&device, &world, 5);
	device.answer = -EBUSY;
	REFUSED(convert(&world, &args), -EBUSY);
	assert_int_equal(device.asked, 1);
	assert_int_equal(args.converted, 0);
	close_world(&world);
}

static void retries_without_a_function(void **state)
{
	struct gmem_release_options options = {
		.size = sizeof(options), .retries = 3, .delay_us = 1,
	};
	struct kvm_memory_attributes2 args;
	struct world world;

	(void)state;
	open_world(&world);
	WORKS(gmem_vm_set_release(world.vm, &options));
	WORKS(gmem_emu_pin(world.file, 2 * PAGE, PAGE));
	assert_int_equal(convert(&world, &args), -EAGAIN);
	assert_int_equal(args.error_offset, 2 * PAGE);
	WORKS(gmem_emu_unpin(world.file, 2 * PAGE, PAGE));
	WORKS(convert(&world, &args));
	close_world(&world);
}

static void nobody_is_asked_about_nonsense(void **state)
{
	struct device device;
	struct world world;

	(void)state;
	open_world(&world);
	plug(&device, &world, 5);
	REFUSED(gmem_file_convert(world.file, 1, PAGE, PRIVATE, ZERO, NULL), -EINVAL);
	REFUSED(gmem_file_convert(world.file, 0, 0, PRIVATE, ZERO, NULL), -EINVAL);
	REFUSED(gmem_file_convert(world.file, -PAGE, 2 * PAGE, PRIVATE, ZERO, NULL),
		-EINVAL);
	REFUSED(gmem_file_convert(world.file, 0, 1 << 30, PRIVATE, ZERO, NULL), -EINVAL);
	REFUSED(gmem_set_memory_attributes2(world.file, NULL), -EFAULT);
	assert_int_equal(device.asked, 0);
	close_world(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_asked_once_where_it_lets_go),
		cmocka_unit_test(is_asked_again_about_the_page),
		cmocka_unit_test(attempts_have_a_bound),
		cmocka_unit_test(veto_ends_it),
		cmocka_unit_test(retries_without_a_function),
		cmocka_unit_test(nobody_is_asked_about_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
