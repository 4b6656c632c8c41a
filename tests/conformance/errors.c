// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Requests that must be refused, and that a refused request changes nothing:
 * neither attributes nor contents nor owed zeros.
 */
#define _GNU_SOURCE
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "env.h"

#define FILE_PAGES	16

static void open_canvas(struct env *env, const struct variant *variant)
{
	env_open(env, variant, FILE_PAGES, IN_PLACE);
	canvas_paint(env);
}

static struct kvm_memory_attributes2 request(uint64_t offset, uint64_t size)
{
	struct kvm_memory_attributes2 args;

	memset(&args, 0, sizeof(args));
	args.offset = offset;
	args.size = size;
	return args;
}

/* Both directions, every policy that would change something. */
static void refuse(struct env *env, struct kvm_memory_attributes2 args, int want,
		   const char *file, int line)
{
	static const uint32_t policies[] = { ZERO, READABLE, DESTROY };
	struct kvm_memory_attributes2 copy;
	int ret;

	for (int i = 0; i < 6; i++) {
		copy = args;
		copy.attributes |= i & 1 ? PRIVATE : SHARED;
		copy.content_policy |= policies[i / 2];
		ret = gmem_set_memory_attributes2(env->file, &copy);
		if (ret != want)
			test_fail(file, line, "%s towards %s returned %s, not %s",
				  gmem_policy_name(policies[i / 2]),
				  i & 1 ? "private" : "shared", ret_name(ret),
				  ret_name(want));
		if (copy.converted != args.converted)
			test_fail(file, line, "converted was written");
		check_state(env, CANVAS_STATE, file, line);
	}
}

#define REFUSE(env, args, want)	refuse(env, args, want, __FILE__, __LINE__)

TEST(refuses_bad_ranges)
{
	static const struct {
		uint64_t offset, size;
	} bad[] = {
		{ 0, 0 }, { PAGE, 0 }, { FILE_PAGES * PAGE, 0 },
		{ 1, PAGE }, { 0, 1 }, { 0, PAGE + 1 }, { 0, PAGE - 1 },
		{ 2048, PAGE }, { 512, 512 }, { PAGE - 1, PAGE },
		{ 0, (FILE_PAGES + 1) * PAGE }, { FILE_PAGES * PAGE, PAGE },
		{ (FILE_PAGES - 1) * PAGE, 2 * PAGE }, { 1ull << 40, PAGE },
		{ 0, 1ull << 40 }, { 0, -PAGE }, { -PAGE, PAGE }, { -PAGE, 2 * PAGE },
		{ PAGE, -PAGE }, { 2 * PAGE, -PAGE }, { 1ull << 63, 1ull << 63 },
		{ 1ull << 63, PAGE }, { 0, 1ull << 63 }, { PAGE, 1ull << 63 },
	};
	struct env env;

	open_canvas(&env, variant);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		REFUSE(&env, request(bad[i].offset, bad[i].size), -EINVAL);
	ASSERT_CANVAS(&env);
}

TEST(refuses_unknown_attributes)
{
	struct kvm_memory_attributes2 args;
	struct env env;

	open_canvas(&env, variant);
	for (int bit = 0; bit < 64; bit++) {
		if (1ull << bit == KVM_MEMORY_ATTRIBUTE_PRIVATE)
			continue;
		args = request(0, CANVAS_PAGES * PAGE);
		args.attributes = 1ull << bit;
		REFUSE(&env, args, -EINVAL);
	}
	ASSERT_CANVAS(&env);
}

TEST(refuses_unknown_policies)
{
	struct kvm_memory_attributes2 args;
	struct env env;

	open_canvas(&env, variant);
	for (int bit = 2; bit < 32; bit++) {
		args = request(0, CANVAS_PAGES * PAGE);
		args.content_policy = 1u << bit;
		REFUSE(&env, args, -EINVAL);
	}
	ASSERT_CANVAS(&env);
}

TEST(refuses_flags)
{
	struct kvm_memory_attributes2 args;
	struct env env;

	open_canvas(&env, variant);
	for (int bit = 0; bit < 64; bit++) {
		args = request(0, CANVAS_PAGES * PAGE);
		args.flags = 1ull << bit;
		REFUSE(&env, args, -EINVAL);
	}
	ASSERT_CANVAS(&env);
}

TEST(refuses_reserved_fields)
{
	struct kvm_memory_attributes2 args;
	struct env env;

	open_canvas(&env, variant);
	args = request(0, CANVAS_PAGES * PAGE);
	args.reserved32 = 1;
	REFUSE(&env, args, -EINVAL);
	args.reserved32 = 1u << 31;
	REFUSE(&env, args, -EINVAL);
	args = request(0, CANVAS_PAGES * PAGE);
	args.converted = 1;
	REFUSE(&env, args, -EINVAL);
	for (int i = 0; i < 9; i++) {
		args = request(0, CANVAS_PAGES * PAGE);
		args.reserved[i] = 1;
		REFUSE(&env, args, -EINVAL);
		args.reserved[i] = 1ull << 63;
		REFUSE(&env, args, -EINVAL);
	}
	ASSERT_CANVAS(&env);
}

/* It is an output: what it holds does not matter. */
TEST(accepts_any_error_offset)
{
	struct kvm_memory_attributes2 args;
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	args = request(0, 2 * PAGE);
	args.error_offset = ~0ull;
	ASSERT_OK(gmem_set_memory_attributes2(env.file, &args));
	ASSERT_EQ(args.converted, 2 * PAGE);
	ASSERT_STATE(&env, "ss");
}

TEST(refuses_policy_that_the_platform_lacks)
{
	struct kvm_memory_attributes2 args;
	struct env env;

	open_canvas(&env, variant);
	for (int i = 0; i < 8; i++) {
		uint32_t policy = i / 2;
		uint32_t offered = i & 1 ? variant->to_private : variant->to_shared;

		if (offered >> policy & 1)
			continue;
		args = request(0, CANVAS_PAGES * PAGE);
		args.attributes = i & 1 ? PRIVATE : SHARED;
		args.content_policy = policy;
		ASSERT_RET(gmem_set_memory_attributes2(env.file, &args),
			   -EOPNOTSUPP);
		ASSERT_EQ(args.converted, 0);
	}
	ASSERT_CANVAS(&env);
}

/* Bad arguments are bad arguments, whatever the platform offers. */
TEST(bad_range_comes_before_policy)
{
	struct kvm_memory_attributes2 args;
	struct env env;

	open_canvas(&env, variant);
	args = request(1, PAGE);
	args.content_policy = ENCRYPTED;
	ASSERT_RET(gmem_set_memory_attributes2(env.file, &args), -EINVAL);
	ASSERT_CANVAS(&env);
}

KERNEL_TEST(refuses_bad_pointers)
{
	struct env env;
	int fd;

	open_canvas(&env, variant);
	fd = gmem_file_fd(env.file);
	ASSERT(ioctl(fd, KVM_SET_MEMORY_ATTRIBUTES2, NULL) == -1 && errno == EFAULT);
	ASSERT(ioctl(fd, KVM_SET_MEMORY_ATTRIBUTES2, (void *)8) == -1 &&
	       errno == EFAULT);
	ASSERT(ioctl(fd, KVM_SET_MEMORY_ATTRIBUTES2, (void *)-4096ul) == -1 &&
	       errno == EFAULT);
	ASSERT(ioctl(fd, KVM_GET_MEMORY_ATTRIBUTES2, NULL) == -1 && errno == EFAULT);
	ASSERT_CANVAS(&env);
}

/*
 * The answer cannot be written.  Either that is noticed before anything changes,
 * or the conversion is not reported as failed.
 */
KERNEL_TEST(request_that_cannot_be_answered_changes_nothing)
{
	struct kvm_memory_attributes2 *args;
	struct env env;
	int ret;

	open_canvas(&env, variant);
	args = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	ASSERT(args != MAP_FAILED);
	*args = request(0, CANVAS_PAGES * PAGE);
	ASSERT(!mprotect(args, PAGE, PROT_READ));
	ret = ioctl(gmem_file_fd(env.file), KVM_SET_MEMORY_ATTRIBUTES2, args);
	if (ret) {
		ASSERT_EQ(errno, EFAULT);
		ASSERT_CANVAS(&env);
	} else {
		ASSERT_STATE(&env, "ssssssss");
	}
}

/* The request lies in the very memory that it converts. */
KERNEL_TEST(request_inside_the_range_it_converts)
{
	struct kvm_memory_attributes2 *args;
	struct env env;
	int ret;

	env_open(&env, variant, 2, IN_PLACE_SHARED);
	args = (void *)addr_of(&env, 1);
	*args = request(0, 2 * PAGE);
	args->attributes = PRIVATE;
	ret = ioctl(gmem_file_fd(env.file), KVM_SET_MEMORY_ATTRIBUTES2, args);
	/* Its answer cannot be written: refused, or done without an answer. */
	if (ret) {
		ASSERT_EQ(errno, EFAULT);
		ASSERT_STATE(&env, "ss");
	} else {
		ASSERT_STATE(&env, "pp");
	}
}

TEST(read_back_refuses_bad_arguments)
{
	struct kvm_memory_attributes2_run run;
	struct env env;

	open_canvas(&env, variant);
#define BAD(member, value)							\
	do {									\
		memset(&run, 0, sizeof(run));					\
		run.member = value;						\
		ASSERT_RET(gmem_get_memory_attributes2(env.file, &run), -EINVAL); \
	} while (0)
	BAD(offset, 1);
	BAD(offset, PAGE / 2);
	BAD(offset, FILE_PAGES * PAGE);
	BAD(offset, 1ull << 63);
	BAD(offset, -PAGE);
	BAD(size, PAGE);
	BAD(attributes, PRIVATE);
	BAD(state, KVM_GMEM_STATE_DESTROYED);
	for (int i = 0; i < 4; i++)
		BAD(reserved[i], 1);
#undef BAD
	ASSERT_CANVAS(&env);
}

TEST(read_back_tells_runs)
{
	struct kvm_memory_attributes2_run run = { .offset = PAGE };
	struct gmem_run runs[3];
	size_t nr_runs = 3;
	struct env env;

	env_open(&env, variant, 600, IN_PLACE);
	ASSERT_OK(convert(&env, 2, 500, SHARED, ZERO));
	ASSERT_OK(convert(&env, 599, 1, SHARED, DESTROY));
	ASSERT_OK(gmem_get_memory_attributes2(env.file, &run));
	ASSERT_EQ(run.size, PAGE);
	ASSERT_EQ(run.attributes, PRIVATE);
	ASSERT_EQ(run.state, 0);

	ASSERT_RET(gmem_get_attributes(env.file, 0, 600 * PAGE, runs, &nr_runs),
		   -ENOSPC);
	ASSERT_EQ(nr_runs, 4);
	ASSERT_EQ(runs[1].offset, 2 * PAGE);
	ASSERT_EQ(runs[1].bytes, 500 * PAGE);
	ASSERT_EQ(runs[1].attributes, SHARED);
	ASSERT_EQ(runs[2].offset, 502 * PAGE);
	ASSERT_EQ(runs[2].bytes, 97 * PAGE);
	run = (struct kvm_memory_attributes2_run){ .offset = 599 * PAGE };
	ASSERT_OK(gmem_get_memory_attributes2(env.file, &run));
	/* Not past the end of the file. */
	ASSERT_EQ(run.size, PAGE);
	ASSERT_EQ(run.state, KVM_GMEM_STATE_DESTROYED);
}

TEST(refuses_range_without_slot)
{
	struct env env;

	env_open(&env, variant, CANVAS_PAGES, IN_PLACE);
	canvas_paint(&env);
	ASSERT_OK(gmem_slot_delete(env.vm, TEST_SLOT));
	ASSERT_RET(convert(&env, 0, 8, SHARED, ZERO), -EPERM);
	ASSERT_RET(convert(&env, 0, 8, PRIVATE, READABLE), -EPERM);
	ASSERT_RET(convert(&env, 0, 8, PRIVATE, DESTROY), -EPERM);
	/* A range of which only a part is bound. */
	ASSERT_OK(bind_slot(&env, TEST_SLOT, TEST_GPA, 4, env.file, 0));
	ASSERT_RET(convert(&env, 0, 8, SHARED, ZERO), -EPERM);
	ASSERT_RET(convert(&env, 0, 5, PRIVATE, ZERO), -EPERM);
	ASSERT_RET(convert(&env, 4, 1, PRIVATE, ZERO), -EPERM);
	ASSERT_OK(gmem_slot_delete(env.vm, TEST_SLOT));
	ASSERT_OK(bind_slot(&env, TEST_SLOT, TEST_GPA, 8, env.file, 0));
	ASSERT_CANVAS(&env);
}

/* A range over two slots with a hole between them. */
TEST(refuses_range_with_a_hole)
{
	struct env env;

	env_open(&env, variant, CANVAS_PAGES, IN_PLACE);
	ASSERT_OK(gmem_slot_delete(env.vm, TEST_SLOT));
	ASSERT_OK(bind_slot(&env, 1, TEST_GPA, 3, env.file, 0));
	ASSERT_OK(bind_slot(&env, 2, TEST_GPA + 4 * PAGE, 4, env.file, 4));
	ASSERT_RET(convert(&env, 0, 8, SHARED, ZERO), -EPERM);
	ASSERT_STATE(&env, "pppppppp");
	ASSERT_OK(convert(&env, 0, 3, SHARED, ZERO));
	ASSERT_OK(convert(&env, 4, 4, SHARED, ZERO));
	ASSERT_STATE(&env, "ssspssss");
}
