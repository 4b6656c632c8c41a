// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Machines: VMs, memory, vCPUs and their registers.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pkvm.h"

long control(int fd, unsigned long request, const void *argument)
{
	int ret = ioctl(fd, request, argument);

	return ret < 0 ? -errno : ret;
}

static void *map(size_t bytes, int flags, int fd)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (at == MAP_FAILED)
		FAIL("mmap: %s", ret_name(-errno));
	return at;
}

/* ---- VMs and their memory ---- */

long set_slot(struct machine *machine, uint32_t id, uint64_t gpa, uint64_t bytes,
	      int file, uint64_t offset, void *host)
{
	struct kvm_userspace_memory_region2 region = {
		.slot = id, .flags = file < 0 ? 0 : KVM_MEM_GUEST_MEMFD,
		.guest_phys_addr = gpa, .memory_size = bytes,
		.userspace_addr = (uintptr_t)host, .guest_memfd_offset = offset,
		.guest_memfd = file < 0 ? 0 : (uint32_t)file,
	};

	return control(machine->vm, KVM_SET_USER_MEMORY_REGION2, &region);
}

void machine_open(struct machine *machine)
{
	memset(machine, 0, sizeof(*machine));
	machine->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	ASSERT(machine->kvm >= 0);
	machine->vm = ioctl(machine->kvm, KVM_CREATE_VM,
			    KVM_VM_TYPE_ARM_PROTECTED | IPA_BITS);
	ASSERT(machine->vm >= 0);
	ASSERT_OK(control(machine->vm, KVM_ARM_PREFERRED_TARGET, &machine->init));
	machine->init.features[0] |= 1u << KVM_ARM_VCPU_PSCI_0_2;

	machine_add_ram(machine, &machine->code, CODE_GPA, CODE_PAGES);
	ASSERT((uintptr_t)guest_code_end - (uintptr_t)guest_code <= CODE_PAGES * PAGE);
	memcpy(machine->code.host, guest_code,
	       (uintptr_t)guest_code_end - (uintptr_t)guest_code);
}

void machine_add_ram(struct machine *machine, struct memory *memory, uint64_t gpa,
		     uint64_t pages)
{
	*memory = (struct memory){
		.gpa = gpa, .pages = pages, .file = -1,
		.host = map(pages * PAGE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1),
	};
	ASSERT_OK(set_slot(machine, machine->nr_slots++, gpa, pages * PAGE, -1, 0,
			   memory->host));
}

int create_file(struct machine *machine, uint64_t pages)
{
	struct kvm_create_guest_memfd args = { .size = pages * PAGE, .flags = IN_PLACE };

	if (ioctl(machine->vm, KVM_CHECK_EXTENSION,
		  KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES) <= 0)
		SKIP("this kernel does not convert guest memory in place");
	return (int)control(machine->vm, KVM_CREATE_GUEST_MEMFD, &args);
}

void machine_add_file(struct machine *machine, struct memory *memory, uint64_t gpa,
		      uint64_t pages)
{
	int file = create_file(machine, pages);

	if (file < 0)
		FAIL("KVM_CREATE_GUEST_MEMFD: %s", ret_name(file));
	*memory = (struct memory){
		.gpa = gpa, .pages = pages, .file = file,
		.host = map(pages * PAGE, MAP_SHARED | MAP_NORESERVE, file),
	};
	ASSERT_OK(set_slot(machine, machine->nr_slots++, gpa, pages * PAGE, file, 0,
			   memory->host));
}

/* ---- vCPUs ---- */

long vcpu_init(struct vcpu *vcpu, bool off)
{
	struct kvm_vcpu_init init = vcpu->machine->init;

	if (off)
		init.features[0] |= 1u << KVM_ARM_VCPU_POWER_OFF;
	return control(vcpu->fd, KVM_ARM_VCPU_INIT, &init);
}

struct vcpu *machine_add_vcpu(struct machine *machine, unsigned int id, bool off)
{
	struct vcpu *vcpu = &machine->vcpus[id];
	int bytes = ioctl(machine->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);

	vcpu->machine = machine;
	vcpu->fd = ioctl(machine->vm, KVM_CREATE_VCPU, (unsigned long)id);
	ASSERT(vcpu->fd >= 0 && bytes > 0);
	ASSERT_OK(vcpu_init(vcpu, off));
	vcpu->run = map((size_t)bytes, MAP_SHARED, vcpu->fd);
	ASSERT_OK(set_register(vcpu, PC, GPA_OF(guest_start)));
	return vcpu;
}

void memory_close(struct memory *memory)
{
	munmap(memory->host, memory->pages * PAGE);
	if (memory->file >= 0)
		close(memory->file);
}

void machine_close(struct machine *machine)
{
	for (unsigned int id = 0; id < MAX_VCPUS; id++) {
		struct vcpu *vcpu = &machine->vcpus[id];

		if (!vcpu->machine)
			continue;
		munmap(vcpu->run, (size_t)ioctl(machine->kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
		close(vcpu->fd);
	}
	close(machine->vm);
	close(machine->kvm);
	memory_close(&machine->code);
}

long set_register(struct vcpu *vcpu, uint64_t id, uint64_t value)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)&value };

	return control(vcpu->fd, KVM_SET_ONE_REG, &reg);
}

uint64_t get_register(struct vcpu *vcpu, uint64_t id)
{
	uint64_t value = 0;
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)&value };

	ASSERT_OK(control(vcpu->fd, KVM_GET_ONE_REG, &reg));
	return value;
}

long set_mp_state(struct vcpu *vcpu, uint32_t state)
{
	struct kvm_mp_state argument = { .mp_state = state };

	return control(vcpu->fd, KVM_SET_MP_STATE, &argument);
}

uint32_t mp_state(struct vcpu *vcpu)
{
	struct kvm_mp_state state = { 0 };

	ASSERT_OK(control(vcpu->fd, KVM_GET_MP_STATE, &state));
	return state.mp_state;
}

/* ---- memory, as the VMM converts and reads it ---- */

static long convert(struct memory *memory, uint64_t first, uint64_t pages,
		    uint64_t attributes)
{
	struct kvm_memory_attributes2 args = {
		.offset = first * PAGE, .size = pages * PAGE, .attributes = attributes,
		.content_policy = SET_MEMORY_ATTRIBUTES_CONTENT_READABLE,
	};

	return control(memory->file, KVM_SET_MEMORY_ATTRIBUTES2, &args);
}

long to_shared(struct memory *memory, uint64_t first, uint64_t pages)
{
	return convert(memory, first, pages, 0);
}

long to_private(struct memory *memory, uint64_t first, uint64_t pages)
{
	return convert(memory, first, pages, KVM_MEMORY_ATTRIBUTE_PRIVATE);
}

long convert_as_asked(struct memory *memory, uint64_t function, uint64_t first,
		      uint64_t pages)
{
	return function == MEM_SHARE ? to_shared(memory, first, pages) :
				       to_private(memory, first, pages);
}

static sigjmp_buf fault_jump;

static void on_fault(int signal)
{
	siglongjmp(fault_jump, signal);
}

int host_reads(struct memory *memory, uint64_t page, uint64_t *value)
{
	struct sigaction action = { .sa_handler = on_fault, .sa_flags = SA_NODEFER };
	int signal;

	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	signal = sigsetjmp(fault_jump, 0);
	if (!signal)
		*value = __atomic_load_n(&memory->host[page * PAGE / 8], __ATOMIC_RELAXED);
	action.sa_handler = SIG_DFL;
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	return signal;
}

uint64_t host_finds(struct memory *memory, uint64_t first, uint64_t pages)
{
	uint64_t value, found = 0;

	for (uint64_t page = first; page < first + pages; page++)
		found += !host_reads(memory, page, &value) && value == SECRET + page;
	return found;
}

void nothing_is_shared(struct memory *memory)
{
	ASSERT_RET(to_shared(memory, 0, memory->pages), -EPERM);
	ASSERT_RET(to_shared(memory, 0, 1), -EPERM);
	ASSERT_EQ(host_finds(memory, 0, memory->pages), 0);
}
