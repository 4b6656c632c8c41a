// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The VM that matrix and run use, and what to say where there can be none.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include "gmemctl.h"

#define REMEDY	", or run 'make demo', which brings a kernel that can and boots it in QEMU"

const char *errno_word(int ret)
{
	const char *name;

	if (!ret)
		return "ok";
	name = strerrorname_np(-ret);
	return name ? name : "?";
}

static int failed(const char *what, int ret)
{
	fprintf(stderr, "gmemctl: %s: %s\n", what, strerror(-ret));
	return STATUS_FAILED;
}

/* Why an engine does not open is said in a sentence of our own, with a remedy. */
static bool engine_opened;

static void print_log(void *opaque, int level, const char *message)
{
	(void)opaque;
	if (level == GMEM_LOG_ERROR && engine_opened)
		fprintf(stderr, "gmemctl: %s\n", message);
}

int open_engine(struct gmem_engine **enginep)
{
	struct gmem_engine_options options = {
		.size = sizeof(options), .kind = GMEM_ENGINE_KERNEL,
		.log = print_log,
	};
	int ret;

	ret = gmem_engine_open(&options, enginep);
	switch (ret) {
	case 0:
		engine_opened = true;
		return STATUS_OK;
	case -ENOENT:
	case -ENODEV:
		fputs("gmemctl: this machine has no KVM (/dev/kvm): load kvm_amd or "
		      "kvm_intel" REMEDY ".\n", stderr);
		return STATUS_UNAVAILABLE;
	case -EACCES:
	case -EPERM:
		fputs("gmemctl: /dev/kvm is not yours to open: run as root or join "
		      "the group 'kvm'.\n", stderr);
		return STATUS_UNAVAILABLE;
	default:
		return failed("/dev/kvm", ret);
	}
}

int report_unavailable(const struct gmem_caps *caps)
{
	const char *platform = gmem_platform_name(caps->platform);

	if (!caps->vm_available)
		fprintf(stderr, "gmemctl: KVM cannot create a VM of type '%s' here: boot "
			"a kernel with CONFIG_KVM_SW_PROTECTED_VM" REMEDY ".\n", platform);
	else
		fprintf(stderr, "gmemctl: this kernel does not convert memory of a VM of "
			"type '%s' in place: boot one from 'make kernel'" REMEDY ".\n",
			platform);
	return STATUS_UNAVAILABLE;
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

int open_machine(struct machine *machine, uint32_t platform, uint64_t bytes)
{
	struct gmem_vm_options vm_options = {
		.size = sizeof(vm_options), .platform = platform,
	};
	int ret;

	memset(machine, 0, sizeof(*machine));
	machine->bytes = bytes;
	machine->caps.size = sizeof(machine->caps);
	ret = open_engine(&machine->engine);
	if (ret)
		return ret;
	ret = gmem_engine_caps(machine->engine, platform, &machine->caps);
	if (ret)
		return failed("capabilities", ret);
	if (!machine->caps.convert)
		return report_unavailable(&machine->caps);

	ret = gmem_vm_create(machine->engine, &vm_options, &machine->vm);
	if (ret)
		return failed("VM", ret);
	ret = gmem_guest_setup(machine->vm);
	if (ret)
		return failed("guest program", ret);
	ret = add_memory(machine);
	if (ret)
		return ret;
	ret = gmem_vcpu_create(machine->vm, 0, &machine->vcpu);
	if (ret)
		return failed("vCPU", ret);
	return STATUS_OK;
}

void close_machine(struct machine *machine)
{
	gmem_vcpu_destroy(machine->vcpu);
	if (machine->memory)
		gmem_file_unmap(machine->file, machine->memory, machine->bytes);
	gmem_file_close(machine->file);
	gmem_vm_destroy(machine->vm);
	gmem_engine_close(machine->engine);
}
