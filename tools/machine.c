// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The VM that matrix and run use.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <gmem/emu.h>
#include "gmemctl.h"

static int failed(const char *what, int ret)
{
	fprintf(stderr, "gmemctl: %s: %s\n", what, strerror(-ret));
	return STATUS_FAILED;
}

static int add_memory(struct machine *machine)
{
	struct gmem_file_options file_options = {
		.size = sizeof(file_options), .bytes = machine->bytes,
		.flags = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_IN_PLACE,
	};
	struct gmem_slot_options slot = {
		.size = sizeof(slot), .gpa = TEST_GPA, .bytes = machine->bytes,
	};
	void *memory;
	int ret;

	ret = gmem_file_create(machine->vm, &file_options, &machine->file);
	if (ret)
		return failed("guest_memfd", ret);
	ret = gmem_file_map(machine->file, 0, machine->bytes, &memory);
	if (ret)
		return failed("mapping guest memory", ret);
	machine->memory = memory;
	slot.file = machine->file;
	ret = gmem_slot_set(machine->vm, &slot);
	if (ret)
		return failed("memory slot", ret);
	return STATUS_OK;
}

static int add_vcpus(struct machine *machine)
{
	int ret;

	for (uint32_t i = 0; i < MACHINE_VCPUS; i++) {
		ret = gmem_vcpu_create(machine->vm, i, &machine->vcpus[i]);
		if (ret)
			return failed("vCPU", ret);
	}
	return STATUS_OK;
}

static int create_vm(struct machine *machine, uint32_t platform, int property)
{
	struct gmem_vm_options options = {
		.size = sizeof(options), .platform = platform,
	};
	int ret;

	ret = gmem_vm_create(machine->engine, &options, &machine->vm);
	if (ret)
		return failed("VM", ret);
	if (property >= 0) {
		ret = gmem_emu_set_property(machine->vm, (uint32_t)property, 1);
		if (ret)
			return failed("opt-in property", ret);
	}
	ret = gmem_vm_caps(machine->vm, &machine->caps);
	if (ret)
		return failed("capabilities", ret);
	ret = gmem_guest_setup(machine->vm);
	if (ret)
		return failed("guest program", ret);
	return STATUS_OK;
}

int open_machine(struct machine *machine, const struct target *target, uint64_t bytes,
		 int property)
{
	int ret;

	memset(machine, 0, sizeof(*machine));
	machine->bytes = bytes;
	machine->caps.size = sizeof(machine->caps);
	ret = open_engine(target, &machine->engine);
	if (ret)
		return ret;
	ret = gmem_engine_caps(machine->engine, target->platform, &machine->caps);
	if (ret)
		return failed("capabilities", ret);
	if (!machine->caps.convert)
		return report_unavailable(machine->engine, &machine->caps);

	ret = create_vm(machine, target->platform, property);
	if (!ret)
		ret = add_memory(machine);
	if (!ret)
		ret = add_vcpus(machine);
	return ret;
}

void close_machine(struct machine *machine)
{
	for (uint32_t i = 0; i < MACHINE_VCPUS; i++)
		gmem_vcpu_destroy(machine->vcpus[i]);
	if (machine->memory)
		gmem_file_unmap(machine->file, machine->memory, machine->bytes);
	gmem_file_close(machine->file);
	gmem_vm_destroy(machine->vm);
	gmem_engine_close(machine->engine);
}

static sigjmp_buf fault_jump;
static volatile sig_atomic_t fault_expected;

static void on_sigbus(int signal)
{
	if (fault_expected)
		siglongjmp(fault_jump, 1);
	/* Not ours: it happens again, and ends the program. */
	sigaction(signal, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
}

void expect_sigbus(void)
{
	sigaction(SIGBUS, &(struct sigaction){ .sa_handler = on_sigbus }, NULL);
}

int host_read(const struct machine *machine, uint64_t offset, uint64_t *words, size_t nr)
{
	const volatile uint64_t *from = (uint64_t *)(machine->memory + offset);
	volatile int ret = -EFAULT;

	if (!sigsetjmp(fault_jump, 1)) {
		fault_expected = 1;
		for (size_t i = 0; i < nr; i++)
			words[i] = from[i];
		ret = 0;
	}
	fault_expected = 0;
	return ret;
}
