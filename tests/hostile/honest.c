// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Honest guests under a hostile VMM, and whether it ever sees what they did not share.
 *
 * The first vCPU is started as the guest wants to be, and has its secrets before anybody
 * else knows of the VM; then it is everybody's to attack.  The other vCPU the VMM may plan
 * before that: it is part of the attack.
 *
 * The oracle is simple, for nobody but the guest has the secret's bytes: see honest.h.
 * They must not be seen in any mapping, be it of the file, of memory that the kernel wrote
 * to for a system call, or of what was the guest's before.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../lib/kvm_compat.h"
#include "hostile.h"
#include "honest.h"

#define LOOK_AT_ALL_ONE_IN	512
#define RUNS			1000	/* of which kicks interrupt some */

static bool betrays;

void honest_betray(void)
{
	betrays = true;
}

bool honest_first(void)
{
	return betrays || one_in(2);
}

/* ---- the guest ---- */

struct honest {
	int vm, file, vcpus[HONEST_VCPUS];
	unsigned char *data;
};

static bool set_slot(int vm, uint32_t id, uint64_t gpa, uint64_t bytes, int file,
		     void *memory)
{
	struct kvm_userspace_memory_region2 region = {
		.slot = id, .flags = file < 0 ? 0 : KVM_MEM_GUEST_MEMFD,
		.guest_phys_addr = gpa, .memory_size = bytes,
		.userspace_addr = (uintptr_t)memory,
		.guest_memfd = file < 0 ? 0 : (uint32_t)file,
	};

	return !ioctl(vm, KVM_SET_USER_MEMORY_REGION2, &region);
}

static void write_code_at(void *opaque)
{
	write_code(opaque);
}

/* Where vCPUs' vectors are before the guest has set its own: code of the VMM's. */
static void add_code_at_zero(int vm)
{
	unsigned char *code = any_window();

	map_window(code, PAGE, -1, 0);
	if (guarded(write_code_at, code))
		set_slot(vm, 2, 0, PAGE, -1, code);
}

/* Whether it came to where the guest says that it has its secrets. */
static bool run_until_ready(int vcpu)
{
	struct kvm_run *run;
	bool ready = false;

	run = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (run == MAP_FAILED)
		return false;
	for (int i = 0; i < RUNS && !ready; i++) {
		if (ioctl(vcpu, KVM_RUN, 0))
			continue;
		if (run->exit_reason != KVM_EXIT_MMIO)
			break;
		ready = run->mmio.phys_addr == HONEST_READY_GPA;
	}
	munmap(run, PAGE);
	return ready;
}

static bool start(const struct honest *honest, unsigned char *code)
{
	if (!write_honest_code(code, betrays) ||
	    !set_slot(honest->vm, 0, CODE_GPA, PAGE, -1, code) ||
	    !set_slot(honest->vm, 1, DATA_GPA, DATA_PAGES * PAGE, honest->file,
		      honest->data))
		return false;
	if (one_in(2))
		add_code_at_zero(honest->vm);
	for (unsigned int i = 0; i < HONEST_VCPUS; i++)
		prepare_vcpu(honest->vm, honest->vcpus[i], CODE_GPA);
	if (one_in(2))
		plan_vcpu(honest->vcpus[1]);
	for (uint64_t i = below(4); i; i--)
		meddle_with_vcpu(honest->vm, honest->vcpus[1]);
	return run_until_ready(honest->vcpus[0]);
}

bool honest_create(enum platform platform, unsigned int *vcpu_places,
		   unsigned int *file_place)
{
	struct honest honest = { .vm = -1, .data = any_window() };
	unsigned char *code;
	bool started;

	/* Kicks interrupt that, too. */
	for (int i = 0; i < 20 && honest.vm < 0; i++)
		honest.vm = create_vm(platform);
	if (honest.vm < 0)
		return false;
	honest.file = create_file(honest.vm, DATA_PAGES, IN_PLACE);
	for (unsigned long id = 0; id < HONEST_VCPUS; id++)
		honest.vcpus[id] = ioctl(honest.vm, KVM_CREATE_VCPU, id);
	/*
	 * No window: nobody writes there before the guest has it.  And it stays mapped, or
	 * the slot would give the guest what is mapped there next: this process's own.
	 */
	code = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	started = code != MAP_FAILED && start(&honest, code);

	map_window(honest.data, DATA_PAGES * PAGE, honest.file, 0);
	*file_place = keep_fd(FILES, honest.file);
	for (unsigned int i = 0; i < HONEST_VCPUS; i++)
		vcpu_places[i] = keep_vcpu(honest.vcpus[i]);
	keep_fd(VMS, honest.vm);
	return started;
}

/* ---- the VMM's eyes ---- */

static bool shows_secret(unsigned char *page)
{
	uint64_t value = 0;

	for (unsigned int place = 0; place <= HONEST_SECOND_PLACE;
	     place += HONEST_SECOND_PLACE) {
		if (!peek(page + place, &value, sizeof(value)))
			return false;
		if (value == HONEST_SECRET)
			return true;
	}
	return false;
}

static bool tell(const char *where, unsigned int number, uint64_t page)
{
	printf("# what no guest has shared is seen in page %u of %s %u\n",
	       (unsigned int)page, where, number);
	fflush(stdout);
	return true;
}

/* Each look at what is not there costs a signal: so only here and there. */
bool look_for_secrets(void)
{
	const bool all = one_in(LOOK_AT_ALL_ONE_IN);
	const unsigned int any = (unsigned int)below(NR_WINDOWS);

	for (unsigned int i = all ? 0 : any; i < (all ? NR_WINDOWS : any + 1); i++) {
		const uint64_t page = below(DATA_PAGES);

		for (uint64_t j = all ? 0 : page; j < (all ? DATA_PAGES : page + 1); j++)
			if (shows_secret(window(i) + j * PAGE))
				return tell("window", i, j);
	}
	return false;
}

bool look_into_file(int file, uint64_t offset, uint64_t size)
{
	unsigned char *at;
	bool seen = false;

	if (offset % PAGE || offset >= DATA_PAGES * PAGE)
		return false;
	if (size > DATA_PAGES * PAGE - offset)
		size = DATA_PAGES * PAGE - offset;
	at = mmap(NULL, size, PROT_READ, MAP_SHARED, file, (off_t)offset);
	if (at == MAP_FAILED)
		return false;
	for (uint64_t i = 0; i < size && !seen; i += PAGE)
		seen = shows_secret(at + i) && tell("file", (unsigned int)file,
						    (offset + i) / PAGE);
	munmap(at, size);
	return seen;
}
