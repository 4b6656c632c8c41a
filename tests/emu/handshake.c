// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The handshake between vCPUs and whoever takes memory away.  The moments in which
 * it matters last nanoseconds, so a platform stretches them: its accesses and its
 * conversions take their time, and tell what they met.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "../conformance/env.h"
#include "emu.h"

#define ROUNDS		200

static u32 accesses, conversions, slots_gone;
static u32 met_conversion, met_access, met_no_slot;

static bool set_in(u32 *what)
{
	return __atomic_load_n(what, __ATOMIC_SEQ_CST) != 0;
}

static void add(u32 *what, int by)
{
	__atomic_fetch_add(what, (u32)by, __ATOMIC_SEQ_CST);
}

static enum emu_access_result slow_access(struct emu_vcpu *vcpu,
					  struct emu_access *access)
{
	(void)vcpu;
	add(&accesses, 1);
	if (set_in(&conversions))
		add(&met_conversion, 1);
	usleep(50);
	if (set_in(&conversions))
		add(&met_conversion, 1);
	if (set_in(&slots_gone))
		add(&met_no_slot, 1);
	emu_access_plain(access);
	add(&accesses, -1);
	return EMU_ACCESS_DONE;
}

static bool slow_content(struct emu_conversion *ec, u64 start, u64 end,
			 unsigned int attrs, u32 content)
{
	(void)ec;
	(void)start;
	(void)end;
	(void)attrs;
	(void)content;
	add(&conversions, 1);
	if (set_in(&accesses))
		add(&met_access, 1);
	usleep(50);
	return false;
}

static int slow_convert(struct emu_conversion *ec, u64 start, u64 end,
			unsigned int attrs)
{
	(void)ec;
	(void)start;
	(void)end;
	(void)attrs;
	if (set_in(&accesses))
		add(&met_access, 1);
	add(&conversions, -1);
	return 0;
}

static void slot_is_gone(struct emu_vm *vm, const struct emu_slot *slot)
{
	(void)vm;
	if (slot->id != TEST_SLOT)
		return;
	add(&slots_gone, 1);
	usleep(200);
	add(&slots_gone, -1);
}

static struct emu_platform_ops slow_platform;

static void open_slow(struct env *env, const struct variant *variant)
{
	struct emu_vm *vm;

	env_open(env, variant, 4, IN_PLACE);
	vm = to_emu_vm(env->vm);
	slow_platform = *vm->ops;
	slow_platform.guest_access = slow_access;
	slow_platform.content = slow_content;
	slow_platform.convert = slow_convert;
	slow_platform.slot_delete = slot_is_gone;
	vm->ops = &slow_platform;
}

struct runner {
	struct env *env;
	pthread_t thread;
	unsigned int id;
	bool stop;
};

/* Stores to one page for ever; faults and MMIO are taken and repeated. */
static void *run_guest(void *opaque)
{
	struct runner *runner = opaque;
	struct gmem_vcpu *vcpu = runner->env->vcpus[runner->id];
	struct gmem_guest_cmd cmd = {
		.op = GMEM_GUEST_FILL, .addr = gpa_of(1), .size = PAGE, .value = 1,
		.stride = 64,
	};
	struct gmem_exit exit = { 0 };

	ASSERT_OK(gmem_guest_start(vcpu, &cmd, 1, 0));
	while (exit.reason != GMEM_EXIT_GUEST_DONE) {
		if (__atomic_load_n(&runner->stop, __ATOMIC_RELAXED))
			gmem_guest_stop(vcpu);
		ASSERT_OK(gmem_vcpu_run(vcpu, &exit));
	}
	return NULL;
}

static void start_guests(struct env *env, struct runner runners[2])
{
	for (unsigned int i = 0; i < 2; i++) {
		runners[i] = (struct runner){ .env = env, .id = i };
		env_vcpu(env, i);
	}
	for (unsigned int i = 0; i < 2; i++)
		ASSERT(!pthread_create(&runners[i].thread, NULL, run_guest,
				       &runners[i]));
}

static void stop_guests(struct runner runners[2])
{
	for (unsigned int i = 0; i < 2; i++)
		__atomic_store_n(&runners[i].stop, true, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < 2; i++) {
		gmem_guest_stop(runners[i].env->vcpus[i]);
		pthread_join(runners[i].thread, NULL);
	}
}

TEST(no_access_while_a_conversion_changes_the_page)
{
	struct runner runners[2];
	struct env env;

	open_slow(&env, variant);
	start_guests(&env, runners);
	for (int i = 0; i < ROUNDS; i++)
		ASSERT_OK(convert(&env, 1, 1, i & 1 ? PRIVATE : SHARED,
				  i & 2 ? ZERO : KEEP));
	stop_guests(runners);
	ASSERT_EQ(met_conversion, 0);
	ASSERT_EQ(met_access, 0);
}

/* What is destroyed stays empty: no store that began before comes late. */
TEST(no_store_reaches_a_destroyed_page)
{
	struct runner runners[2];
	struct emu_file *file;
	struct env env;

	open_slow(&env, variant);
	file = to_emu_file(env.file);
	start_guests(&env, runners);
	for (int i = 0; i < ROUNDS / 4; i++) {
		ASSERT_OK(convert(&env, 1, 1, PRIVATE, DESTROY));
		usleep(200);
		for (uint64_t at = 0; at < PAGE; at += 64)
			ASSERT_EQ(READ_ONCE(*(u64 *)(file->memory + PAGE + at)), 0);
		ASSERT_OK(convert(&env, 1, 1, PRIVATE, ZERO));
		usleep(200);
	}
	stop_guests(runners);
	ASSERT_EQ(met_access, 0);
}

static int set_slot(struct env *env, uint32_t id, struct gmem_file *file)
{
	const struct gmem_slot_options options = {
		.size = sizeof(options), .id = id, .gpa = gpa_of(64 * id),
		.bytes = 4 * PAGE, .file = file,
	};

	return gmem_slot_set(env->vm, &options);
}

static void *set_slots(void *opaque)
{
	struct env *env = opaque;
	struct gmem_file *file = new_file(env, 4, IN_PLACE);

	for (int i = 0; i < ROUNDS; i++) {
		ASSERT_OK(set_slot(env, TEST_SLOT + 1, file));
		ASSERT_OK(gmem_slot_delete(env->vm, TEST_SLOT + 1));
	}
	gmem_file_close(file);
	return NULL;
}

TEST(files_close_while_other_slots_come_and_go)
{
	struct gmem_file *file;
	pthread_t thread;
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	ASSERT(!pthread_create(&thread, NULL, set_slots, &env));
	for (int i = 0; i < ROUNDS; i++) {
		file = new_file(&env, 4, IN_PLACE);
		ASSERT_OK(set_slot(&env, TEST_SLOT + 2, file));
		gmem_file_close(file);
		ASSERT_OK(gmem_slot_delete(env.vm, TEST_SLOT + 2));
	}
	pthread_join(thread, NULL);
}

TEST(no_access_through_a_slot_that_is_gone)
{
	struct runner runners[2];
	struct env env;

	open_slow(&env, variant);
	start_guests(&env, runners);
	for (int i = 0; i < ROUNDS / 4; i++) {
		ASSERT_OK(gmem_slot_delete(env.vm, TEST_SLOT));
		usleep(200);
		ASSERT_OK(bind_slot(&env, TEST_SLOT, TEST_GPA, 4, env.file, 0));
		usleep(200);
	}
	stop_guests(runners);
	ASSERT_EQ(met_no_slot, 0);
}

/* ---- conversions that a guest meets half-way, on the platforms themselves ---- */

static const struct emu_platform_ops *real_ops;
static struct emu_platform_ops held_platform;

static struct emu_platform_ops *hold(struct env *env)
{
	struct emu_vm *vm = to_emu_vm(env->vm);

	real_ops = vm->ops;
	held_platform = *real_ops;
	vm->ops = &held_platform;
	return &held_platform;
}

/* Until somebody sets it, or has had time enough to do so. */
static bool await(u32 *what, int ms)
{
	for (int i = 0; i < ms && !set_in(what); i++)
		usleep(1000);
	return set_in(what);
}

static u32 entering, entered;

static int noted_enter(struct emu_vcpu *vcpu)
{
	int ret;

	add(&entering, 1);
	ret = real_ops->vcpu_enter(vcpu);
	add(&entered, 1);
	return ret;
}

/* A vCPU that does not wait is entered within microseconds. */
static int check_until_the_guest_runs(struct emu_conversion *ec, u64 start, u64 end,
				      unsigned int attrs, u64 *error_index)
{
	add(&conversions, 1);
	while (!set_in(&entering))
		usleep(100);
	if (await(&entered, 10))
		add(&met_access, 1);
	return real_ops->check ? real_ops->check(ec, start, end, attrs, error_index) : 0;
}

static void *convert_before_the_first_run(void *opaque)
{
	ASSERT_OK(gmem_file_convert(opaque, PAGE, PAGE, SHARED, ZERO, NULL));
	return NULL;
}

/*
 * A conversion that began when the VMM could convert freely went on while the guest
 * ran, and took the guest's request for missing: a forced one, on pkvm.
 */
static void first_run_waits_for_conversions(const struct variant *variant)
{
	pthread_t thread;
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	hold(&env)->check = check_until_the_guest_runs;
	held_platform.vcpu_enter = noted_enter;
	ASSERT(!pthread_create(&thread, NULL, convert_before_the_first_run, env.file));
	while (!set_in(&conversions))
		usleep(100);
	/* Another page: the conversion itself is no obstacle to this. */
	ASSERT_OK(gmem_guest_store(env_vcpu(&env, 0), gpa_of(3), 1));
	pthread_join(thread, NULL);
	ASSERT_EQ(met_access, 0);
	ASSERT(set_in(&entered));
}

ASKING_TEST(pkvm_first_run_waits_for_conversions)
{
	first_run_waits_for_conversions(variant);
}

TEST_WITH(snp_first_run_waits_for_conversions, NEEDS_SNP, 0)
{
	first_run_waits_for_conversions(variant);
}

TEST_WITH(tdx_first_run_waits_for_conversions, NEEDS_TDX, 0)
{
	first_run_waits_for_conversions(variant);
}

static u32 blocked;

static void unmap_and_tell(struct emu_conversion *ec, u64 start, u64 end)
{
	real_ops->unmap_private(ec, start, end);
	add(&blocked, 1);
}

/* An access that began before its page is blocked, and gets on afterwards. */
static enum emu_access_result access_late(struct emu_vcpu *vcpu,
					  struct emu_access *access)
{
	add(&accesses, 1);
	if (!await(&blocked, 100))
		add(&met_conversion, 1);
	return real_ops->guest_access(vcpu, access);
}

static void *load_from_page_1(void *opaque)
{
	uint64_t value = ~0ull;

	ASSERT_OK(gmem_guest_load(opaque, gpa_of(1), &value));
	ASSERT_EQ(value, 0);
	return NULL;
}

/* It found a blocked entry, and the guest a fault on memory that nobody had taken. */
TEST_WITH(tdx_access_waits_out_a_blocked_entry, NEEDS_TDX, 0)
{
	pthread_t thread;
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	guest_fill(&env, 1, 1, 0x100);
	hold(&env)->unmap_private = unmap_and_tell;
	held_platform.guest_access = access_late;
	ASSERT(!pthread_create(&thread, NULL, load_from_page_1, env_vcpu(&env, 0)));
	while (!set_in(&accesses))
		usleep(100);
	ASSERT_OK(convert(&env, 1, 1, SHARED, ZERO));
	pthread_join(thread, NULL);
	ASSERT_EQ(met_conversion, 0);
}

static void *touched;
static int touched_ret;

/* As a signal handler of the VMM may, in the middle of its thread's conversion. */
static bool touch_what_converts(struct emu_conversion *ec, u64 start, u64 end,
				unsigned int attrs, u32 content)
{
	(void)start;
	(void)end;
	(void)attrs;
	(void)content;
	emu_lazy_enable(ec->file->vm->engine, "a test wants it");
	touched_ret = try_read(touched, NULL, NULL);
	return false;
}

/* Nobody else would end the conversion for which it would wait. */
TEST(page_in_its_own_threads_way_is_out_of_reach)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	touched = addr_of(&env, 1);
	ASSERT_HOST_REFUSED(&env, 1);
	hold(&env)->content = touch_what_converts;
	ASSERT_OK(convert(&env, 1, 1, SHARED, ZERO));
	ASSERT_EQ(touched_ret, SIGBUS);
	ASSERT_HOST_ZEROS(&env, 1, 1);
}
