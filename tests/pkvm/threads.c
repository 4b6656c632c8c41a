// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * A VMM that starts its vCPUs as kvmtool does: a thread for each, which writes its own
 * vCPU's registers directly before its own first KVM_RUN, and waits for nobody.
 *
 * The first run of one vCPU sealed the registers of all.  Threads that were late had
 * their KVM_SET_ONE_REG refused, in VMs that convert nothing, too: one start in two of a
 * VMM that meant no harm.
 */
#include <errno.h>

#include "pkvm.h"

#define VCPUS	4
#define PAGES	4

struct start {
	struct machine machine;
	bool all_on;
	struct vcpu *vcpus[VCPUS];
	long write_errors[VCPUS];
	long events[VCPUS];
	int written;		/* how many threads have written their registers */
};

struct vcpu_thread {
	struct start *start;
	unsigned int id;
	pthread_t thread;
};

/* As kvmtool's kvm_cpu__reset_vcpu(). */
static long write_registers(struct vcpu *vcpu, bool is_on, uint64_t context)
{
	const struct { uint64_t id, value; } registers[] = {
		{ CORE(regs.pstate), 0x3c5 },
		{ X(1), 0 }, { X(2), 0 }, { X(3), 0 },
		/* Those that PSCI will set it leaves alone. */
		{ X(0), context }, { PC, GPA_OF(guest_start) },
	};
	const size_t count = is_on ? 6 : 4;
	long error = 0;

	for (size_t i = 0; i < count; i++) {
		long ret = set_register(vcpu, registers[i].id, registers[i].value);

		error = error ?: ret;
	}
	return error;
}

/*
 * The first guest's boot.  A real one takes its time until it wakes other CPUs: until
 * then all threads have begun.
 */
static long power_on_others(struct start *start)
{
	struct vcpu *vcpu = start->vcpus[0];

	while (__atomic_load_n(&start->written, __ATOMIC_ACQUIRE) < VCPUS)
		sleep_ms(1);
	for (unsigned int id = 1; id < VCPUS; id++) {
		long event = vcpu_call(vcpu, CPU_ON, id, GPA_OF(guest_start), id);

		if (event != DID || vcpu->x0)
			return event;
	}
	return STARTED;
}

static void *vcpu_thread(void *opaque)
{
	struct vcpu_thread *self = opaque;
	struct start *start = self->start;
	struct vcpu *vcpu = start->vcpus[self->id];

	start->write_errors[self->id] =
		write_registers(vcpu, !self->id || start->all_on, self->id);
	__atomic_fetch_add(&start->written, 1, __ATOMIC_RELEASE);
	start->events[self->id] = vcpu_run(vcpu);
	if (!self->id && !start->all_on)
		start->events[0] = power_on_others(start);
	return NULL;
}

static void start_once(bool has_file, bool all_on)
{
	struct start start = { .all_on = all_on };
	struct vcpu_thread threads[VCPUS];
	struct memory memory;

	machine_open(&start.machine);
	if (has_file)
		machine_add_file(&start.machine, &memory, FILE_GPA, PAGES);
	for (unsigned int id = 0; id < VCPUS; id++)
		start.vcpus[id] = machine_add_vcpu(&start.machine, id, id && !all_on);
	for (unsigned int id = 0; id < VCPUS; id++) {
		threads[id] = (struct vcpu_thread){ .start = &start, .id = id };
		ASSERT(!pthread_create(&threads[id].thread, NULL, vcpu_thread,
				       &threads[id]));
	}
	for (unsigned int id = 0; id < VCPUS; id++)
		pthread_join(threads[id].thread, NULL);
	for (unsigned int id = 0; id < VCPUS; id++) {
		ASSERT_RET(start.write_errors[id], 0);
		ASSERT_EQ(start.events[id], STARTED);
		ASSERT_EQ(start.vcpus[id]->context, id);
	}
	machine_close(&start.machine);
	if (has_file)
		memory_close(&memory);
}

#define STARTS(name, number, has_file, all_on)					\
	TEST_WITH(name, 0, 200)							\
	{									\
		(void)variant;							\
		for (int i = 0; i < (number); i++)				\
			start_once(has_file, all_on);				\
	}

STARTS(each_thread_writes_its_own_registers, 70, false, false)
STARTS(each_thread_writes_its_own_registers_beside_a_file, 70, true, false)
STARTS(each_thread_writes_its_own_registers_and_all_are_on, 60, false, true)
