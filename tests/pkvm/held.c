// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * vCPU ioctls whose arguments come late.
 *
 * KVM looked whether a vCPU was still the VMM's to write, and read what to write from
 * the VMM's memory, one after the other.  Where userfaultfd holds the memory back, the
 * guest runs, or powers the vCPU on, between the two.  So each ioctl that carries a
 * vCPU's state is begun, its argument is held back, and comes when it is too late.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pkvm.h"

#define PAGES	4

/* An ioctl in a thread of its own, which reads a page that is not there yet. */
struct held {
	int vcpu, uffd;
	unsigned long request;
	void *argument;		/* in the page, or leads there */
	void *page;
	uint64_t content[PAGE / 8];
	pthread_t thread;
	long ret;
};

static void open_held(struct held *held)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range.len = PAGE, .mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	memset(held, 0, sizeof(*held));
	held->uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (held->uffd < 0)
		SKIP("userfaultfd: %s", ret_name(-errno));
	held->page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	ASSERT(held->page != MAP_FAILED);
	reg.range.start = (uintptr_t)held->page;
	ASSERT_OK(control(held->uffd, UFFDIO_API, &api));
	ASSERT_OK(control(held->uffd, UFFDIO_REGISTER, &reg));
}

static void *call_ioctl(void *opaque)
{
	struct held *held = opaque;

	held->ret = control(held->vcpu, held->request, held->argument);
	return NULL;
}

/* Until the ioctl waits for the page.  Else it was refused before, or needs none. */
static bool begin(struct held *held, struct vcpu *vcpu)
{
	struct pollfd pollfd = { .fd = held->uffd, .events = POLLIN };

	held->vcpu = vcpu->fd;
	ASSERT(!pthread_create(&held->thread, NULL, call_ioctl, held));
	return poll(&pollfd, 1, 1000) == 1;
}

static void end(struct held *held)
{
	struct uffdio_copy copy = {
		.dst = (uintptr_t)held->page, .src = (uintptr_t)held->content, .len = PAGE,
	};

	ASSERT_OK(control(held->uffd, UFFDIO_COPY, &copy));
	pthread_join(held->thread, NULL);
}

/* ---- which ioctls ---- */

static struct kvm_one_reg pc_register = { .id = PC };
static struct kvm_device_attr steal_time = {
	.group = KVM_ARM_VCPU_PVTIME_CTRL, .attr = KVM_ARM_VCPU_PVTIME_IPA,
};

/* What is in the page, and where the ioctl's argument is. */
static void set_one_reg(struct held *held)
{
	static uint64_t value;
	struct kvm_one_reg reg = { .id = PC, .addr = (uintptr_t)&value };

	value = GPA_OF(guest_hvc);
	held->request = KVM_SET_ONE_REG;
	held->argument = held->page;
	memcpy(held->content, &reg, sizeof(reg));
}

static void set_one_reg_value(struct held *held)
{
	pc_register.addr = (uintptr_t)held->page;
	held->request = KVM_SET_ONE_REG;
	held->argument = &pc_register;
	held->content[0] = GPA_OF(guest_hvc);
}

static void vcpu_init_argument(struct held *held, uint32_t features)
{
	struct kvm_vcpu_init init = { .target = KVM_ARM_TARGET_GENERIC_V8 };

	init.features[0] = 1u << KVM_ARM_VCPU_PSCI_0_2 | features;
	held->request = KVM_ARM_VCPU_INIT;
	held->argument = held->page;
	memcpy(held->content, &init, sizeof(init));
}

static void arm_vcpu_init(struct held *held)
{
	vcpu_init_argument(held, 0);
}

static void arm_vcpu_init_off(struct held *held)
{
	vcpu_init_argument(held, 1u << KVM_ARM_VCPU_POWER_OFF);
}

static void mp_state_argument(struct held *held, uint32_t state)
{
	struct kvm_mp_state argument = { .mp_state = state };

	held->request = KVM_SET_MP_STATE;
	held->argument = held->page;
	memcpy(held->content, &argument, sizeof(argument));
}

static void set_mp_state_runnable(struct held *held)
{
	mp_state_argument(held, KVM_MP_STATE_RUNNABLE);
}

static void set_mp_state_suspended(struct held *held)
{
	mp_state_argument(held, KVM_MP_STATE_SUSPENDED);
}

static void set_vcpu_events(struct held *held)
{
	struct kvm_vcpu_events events = { .exception.ext_dabt_pending = 1 };

	held->request = KVM_SET_VCPU_EVENTS;
	held->argument = held->page;
	memcpy(held->content, &events, sizeof(events));
}

static void set_guest_debug(struct held *held)
{
	struct kvm_guest_debug debug = { .control = KVM_GUESTDBG_ENABLE };

	held->request = KVM_SET_GUEST_DEBUG;
	held->argument = held->page;
	memcpy(held->content, &debug, sizeof(debug));
}

static void set_device_attr(struct held *held)
{
	static uint64_t ipa = RAM_GPA;

	steal_time.addr = (uintptr_t)&ipa;
	held->request = KVM_SET_DEVICE_ATTR;
	held->argument = held->page;
	memcpy(held->content, &steal_time, sizeof(steal_time));
}

static void set_device_attr_value(struct held *held)
{
	steal_time.addr = (uintptr_t)held->page;
	held->request = KVM_SET_DEVICE_ATTR;
	held->argument = &steal_time;
	held->content[0] = RAM_GPA;
}

static void arm_vcpu_finalize(struct held *held)
{
	held->request = KVM_ARM_VCPU_FINALIZE;
	held->argument = held->page;
	held->content[0] = KVM_ARM_VCPU_SVE;
}

/* ---- over what ---- */

struct scene {
	struct machine machine;
	struct memory memory, ram;
	struct vcpu *honest, *planned;
};

/* All but the program counter is as for MEM_SHARE of all memory. */
static void open_scene(struct scene *scene, bool off)
{
	machine_open(&scene->machine);
	machine_add_file(&scene->machine, &scene->memory, FILE_GPA, PAGES);
	machine_add_ram(&scene->machine, &scene->ram, RAM_GPA, 1);
	scene->honest = machine_add_vcpu(&scene->machine, 0, false);
	scene->planned = machine_add_vcpu(&scene->machine, 1, off);
	ASSERT_OK(set_register(scene->planned, X(0), MEM_SHARE));
	ASSERT_OK(set_register(scene->planned, X(1), FILE_GPA));
	ASSERT_OK(set_register(scene->planned, X(2), PAGES));
	ASSERT_OK(set_register(scene->planned, X(3), 0));
}

static long fill_all(struct vcpu *vcpu)
{
	long event;

	do {
		event = vcpu_do(vcpu, GUEST_FILL, FILE_GPA, PAGES, SECRET, 0);
	} while (event == -EINTR);
	return event;
}

/* The guest begins to run, and writes its secrets, while the ioctl waits. */
static void over_the_seal(void (*prepare)(struct held *held), bool off)
{
	struct scene scene;
	struct runner guest;
	struct held held;
	bool waits;

	open_held(&held);
	open_scene(&scene, off);
	prepare(&held);
	waits = begin(&held, scene.planned);
	runner_start(&guest, scene.honest, fill_all);
	/* The guest may have to wait for the ioctl. */
	if (runner_ended(&guest, A_WHILE_MS) && waits)
		nothing_is_shared(&scene.memory);
	end(&held);
	ASSERT(runner_ended(&guest, LONG_MS));
	ASSERT_EQ(runner_stop(&guest), DID);

	ASSERT_EQ(mp_state(scene.planned), KVM_MP_STATE_STOPPED);
	ASSERT_RET(vcpu_run_for(scene.planned, A_WHILE_MS), -EINTR);
	nothing_is_shared(&scene.memory);
	ASSERT_EQ(guest_powers_on(scene.honest, 1), SUCCESS);
	starts_as_asked(scene.planned);
	nothing_is_shared(&scene.memory);
	guest_has(scene.honest, &scene.memory, 0, PAGES);
}

/* The guest powers the vCPU on while the ioctl waits; the VMM may look before it runs. */
static void over_cpu_on(void (*prepare)(struct held *held), bool looks)
{
	struct scene scene;
	struct held held;

	open_held(&held);
	open_scene(&scene, true);
	prepare(&held);
	guest_fill(scene.honest, &scene.memory, 0, PAGES);
	begin(&held, scene.planned);
	ASSERT_EQ(guest_powers_on(scene.honest, 1), SUCCESS);
	end(&held);
	if (looks)
		get_register(scene.planned, PC);
	starts_as_asked(scene.planned);
	nothing_is_shared(&scene.memory);
	guest_has(scene.honest, &scene.memory, 0, PAGES);
}

#define HELD(prepare)								\
	PKVM_TEST(prepare##_held_over_the_first_run)				\
	{									\
		(void)variant;							\
		over_the_seal(prepare, false);					\
	}									\
	PKVM_TEST(prepare##_held_over_the_first_run_of_one_that_is_off)		\
	{									\
		(void)variant;							\
		over_the_seal(prepare, true);					\
	}									\
	PKVM_TEST(prepare##_held_over_cpu_on)					\
	{									\
		(void)variant;							\
		over_cpu_on(prepare, false);					\
	}									\
	PKVM_TEST(prepare##_held_over_cpu_on_and_a_look)			\
	{									\
		(void)variant;							\
		over_cpu_on(prepare, true);					\
	}

HELD(set_one_reg)
HELD(set_one_reg_value)
HELD(arm_vcpu_init)
HELD(arm_vcpu_init_off)
HELD(set_mp_state_runnable)
HELD(set_mp_state_suspended)
HELD(set_vcpu_events)
HELD(set_guest_debug)
HELD(set_device_attr)
HELD(set_device_attr_value)
HELD(arm_vcpu_finalize)
