// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * What a hostile VMM does.  Each act picks its victims at random, expects nothing of
 * them, and ignores what it is answered.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../../lib/kvm_compat.h"
#include "hostile.h"
#include "honest.h"

#define PRIVATE		KVM_MEMORY_ATTRIBUTE_PRIVATE
#define ENCRYPTED_GPA	(1ull << 4)	/* KVM_MAP_GPA_RANGE_ENCRYPTED */

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define NR_SLOTS	6
#define FORKS		4

static int kvm;
static enum platform own_platform;
static unsigned int lifetime_ms;
static size_t run_bytes;
static atomic_int forks;
/* The place of the file that a vCPU's VM was made with, by the vCPU's. */
static atomic_uint file_of[NR_FDS];
static struct tally *tally;

static void count(atomic_ulong *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

void acts_open(enum platform platform, unsigned int ms, struct tally *counters)
{
	int bytes;

	tally = counters;
	own_platform = platform;
	lifetime_ms = ms;
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	bytes = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	run_bytes = bytes > 0 && (size_t)bytes <= 4 * PAGE ? (size_t)bytes : PAGE;
}

/* ---- memory, touched by this thread ---- */

struct bytes {
	unsigned char *address;
	void *data;
	size_t size;
};

static void read_bytes(void *opaque)
{
	const struct bytes *bytes = opaque;

	memcpy(bytes->data, bytes->address, bytes->size);
}

static void write_bytes(void *opaque)
{
	const struct bytes *bytes = opaque;

	memcpy(bytes->address, bytes->data, bytes->size);
}

bool peek(void *address, void *data, size_t size)
{
	struct bytes bytes = { address, data, size };

	if (guarded(read_bytes, &bytes))
		return true;
	count(&tally->faults);
	return false;
}

static bool poke(void *address, const void *data, size_t size)
{
	struct bytes bytes = { address, (void *)data, size };

	return guarded(write_bytes, &bytes);
}

static void write_code_at(void *opaque)
{
	write_code(opaque);
}

static void act_touch(void)
{
	uint64_t value = random_u64();

	if (one_in(2))
		peek(any_address(), &value, sizeof(value));
	else
		poke(any_address(), &value, one_in(2) ? 1 : sizeof(value));
}

/* ---- arguments ---- */

static uint64_t any_offset(void)
{
	if (one_in(32))
		return random_u64();
	return below(DATA_PAGES + 1) * PAGE + one_in(64);
}

static uint64_t any_size(void)
{
	static const uint64_t large[] = { 0, DATA_PAGES * PAGE, 1ull << 40, ~0ull, PAGE + 1 };

	if (one_in(8))
		return large[below(5)];
	return (1 + below(one_in(4) ? DATA_PAGES : 4)) * PAGE;
}

static uint64_t any_gpa(void)
{
	return (one_in(8) ? CODE_GPA : DATA_GPA) + any_offset();
}

/* An ioctl whose argument may lie in memory that others convert. */
static int ioctl_with(int fd, unsigned long request, void *argument, size_t size)
{
	if (one_in(8)) {
		unsigned char *place = any_window() + below(DATA_PAGES) * PAGE;

		if (poke(place, argument, size))
			argument = place;
	}
	return ioctl(fd, request, argument);
}

/* ---- VMs, files, slots, vCPUs ---- */

int create_vm(enum platform platform)
{
	struct kvm_enable_cap exits = {
		.cap = KVM_CAP_EXIT_HYPERCALL, .args = { 1 << 12 },
	};
	int vm;

	vm = ioctl(kvm, KVM_CREATE_VM, machine_type(kvm, platform));
	if (vm >= 0)
		ioctl(vm, KVM_ENABLE_CAP, &exits);
	return vm;
}

int create_file(int vm, uint64_t pages, uint64_t flags)
{
	struct kvm_create_guest_memfd args = { .size = pages * PAGE, .flags = flags };

	return ioctl(vm, KVM_CREATE_GUEST_MEMFD, &args);
}

unsigned int keep_vcpu(int vcpu)
{
	unsigned int place = keep_fd(VCPUS, vcpu);

	map_window(run_window(place), run_bytes, vcpu, 0);
	return place;
}

/* Return: the new vCPU's place, or -1. */
static int create_vcpu(int vm, unsigned long id, uint64_t pc)
{
	int vcpu;

	vcpu = ioctl(vm, KVM_CREATE_VCPU, id);
	if (vcpu < 0)
		return -1;
	prepare_vcpu(vm, vcpu, pc);
	return (int)keep_vcpu(vcpu);
}

static void act_create_vm(void)
{
	keep_fd(VMS, one_in(4) ? ioctl(kvm, KVM_CREATE_VM, random_u64()) :
		create_vm(one_in(2) ? own_platform : PLATFORM_PLAIN));
}

static void act_create_file(void)
{
	keep_fd(FILES, create_file(any_fd(VMS), one_in(16) ? below(1u << 20) :
				   1 + below(DATA_PAGES),
				   one_in(8) ? below(8) :
				   IN_PLACE | (one_in(2) ? GUEST_MEMFD_FLAG_INIT_SHARED : 0)));
}

static void set_slot(int vm, uint32_t id, uint64_t gpa, uint64_t bytes, int file,
		     uint64_t offset, void *memory)
{
	struct kvm_userspace_memory_region2 region = {
		.slot = id, .flags = file >= 0 ? KVM_MEM_GUEST_MEMFD : 0,
		.guest_phys_addr = gpa, .memory_size = bytes,
		.userspace_addr = (uintptr_t)memory, .guest_memfd_offset = offset,
		.guest_memfd = (uint32_t)file,
	};

	if (one_in(8))
		region.flags ^= 1u << below(3);
	ioctl(vm, KVM_SET_USER_MEMORY_REGION2, &region);
}

static void act_set_slot(void)
{
	int file = one_in(4) ? -1 : any_fd(FILES);

	set_slot(any_fd(VMS), (uint32_t)below(NR_SLOTS), any_gpa() & ~(PAGE - 1),
		 one_in(4) ? 0 : any_size(), file, any_offset() & ~(PAGE - 1),
		 any_window());
}

static void act_create_vcpu(void)
{
	create_vcpu(any_fd(VMS), below(8), one_in(8) ? random_u64() : CODE_GPA);
}

static void act_meddle(void)
{
	meddle_with_vcpu(any_fd(VMS), any_fd(VCPUS));
}

static void act_enable_cap(void)
{
	struct kvm_enable_cap cap = {
		.cap = one_in(8) ? (uint32_t)below(256) : KVM_CAP_GUEST_MEMFD_CONTENT_POLICIES,
		.flags = one_in(16), .args = { one_in(4) ? random_u64() : below(2) },
	};

	ioctl_with(any_fd(VMS), KVM_ENABLE_CAP, &cap, sizeof(cap));
}

/* ---- conversions ---- */

static void convert(int file, uint64_t offset, uint64_t size, uint64_t attributes)
{
	static const uint32_t policies[] = {
		SET_MEMORY_ATTRIBUTES_CONTENT_ZERO, SET_MEMORY_ATTRIBUTES_CONTENT_READABLE,
		SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY,
	};
	struct kvm_memory_attributes2 args = {
		.offset = offset, .size = size, .attributes = attributes,
		.content_policy = one_in(16) ? (uint32_t)below(6) : policies[below(3)],
	};

	if (one_in(64))
		args.flags = random_u64();
	if (one_in(64))
		args.reserved[below(9)] = 1;
	if (one_in(64))
		args.attributes = random_u64();
	if (ioctl_with(file, KVM_SET_MEMORY_ATTRIBUTES2, &args, sizeof(args))) {
		count(&tally->refusals);
		return;
	}
	count(&tally->conversions);
	if (look_into_file(file, offset, size))
		count(&tally->secrets);
}

static void act_convert(void)
{
	convert(any_fd(FILES), any_offset(), any_size(), one_in(2) ? PRIVATE : 0);
}

static void act_get_attributes(void)
{
	struct kvm_memory_attributes2_run run = { .offset = any_offset(), .size = one_in(32) };

	ioctl_with(any_fd(FILES), KVM_GET_MEMORY_ATTRIBUTES2, &run, sizeof(run));
}

/* 7.3 stores them page by page and hears no signal meanwhile: not for a terabyte. */
static void act_set_vm_attributes(void)
{
	struct kvm_memory_attributes args = {
		.address = any_gpa(), .size = any_size() & ((1 << 24) - 1),
		.attributes = one_in(2) ? PRIVATE : 0,
	};

	ioctl_with(any_fd(VMS), KVM_SET_MEMORY_ATTRIBUTES, &args, sizeof(args));
}

/* ---- running ---- */

/* Convert what the guest asked for, mostly. */
static void serve(struct kvm_run *run, unsigned int file)
{
	uint64_t args[3], ret = 0;

	count(&tally->requests);
	if (!peek(run->hypercall.args, args, sizeof(args)) || one_in(4))
		return;
	if (one_in(8))
		args[0] += PAGE;
	if (one_in(8))
		args[1]++;
	convert(one_in(8) ? any_fd(FILES) : fd_at(FILES, file), args[0] - DATA_GPA,
		(one_in(8) ? 1 : args[1]) * PAGE, args[2] & ENCRYPTED_GPA ? PRIVATE : 0);
	if (one_in(4))
		ret = random_u64();
	poke(&run->hypercall.ret, &ret, sizeof(ret));
}

static void run_vcpu(unsigned int place)
{
	struct kvm_run *run = (struct kvm_run *)run_window(place);
	const uint64_t nothing = 0;
	uint32_t reason = 0;

	for (unsigned int i = 0; i < 16; i++) {
		/* What others have scribbled there is mostly taken back. */
		if (!one_in(8)) {
			poke(run, &nothing, sizeof(nothing));
			poke(&run->kvm_valid_regs, &nothing, sizeof(nothing));
			poke(&run->kvm_dirty_regs, &nothing, sizeof(nothing));
		}
		count(&tally->runs);
		run_vcpu_fd(fd_at(VCPUS, place));
		if (!peek(&run->exit_reason, &reason, sizeof(reason)))
			return;
		if (reason == KVM_EXIT_HYPERCALL)
			serve(run, file_of[place]);
		else if (reason != KVM_EXIT_MMIO)
			return;
	}
}

static void act_run(void)
{
	run_vcpu((unsigned int)below(NR_FDS));
}

/* Ordinary memory is in front of what converts, if any. */
static void add_data(int vm, int file, uint64_t ordinary)
{
	unsigned char *data = any_window();

	set_slot(vm, 1, DATA_GPA + ordinary, DATA_PAGES * PAGE - ordinary, file, ordinary,
		 data + ordinary);
	if (file >= 0)
		map_window(data, DATA_PAGES * PAGE, file, 0);
}

static void add_ordinary(int vm, uint64_t bytes)
{
	unsigned char *memory = any_window();

	map_window(memory, bytes, -1, 0);
	set_slot(vm, 2, DATA_GPA, bytes, -1, 0, memory);
}

void act_create_machine(void)
{
	const uint64_t ordinary = one_in(4) ? DATA_PAGES / 2 * PAGE : 0;
	unsigned char *code = any_window();
	unsigned int file_place;
	int vm, file, place = -1;

	vm = create_vm(own_platform);
	if (vm < 0)
		return;
	map_window(code, CODE_PAGES * PAGE, -1, 0);
	for (unsigned int i = 0; i < CODE_PAGES; i++)
		guarded(write_code_at, code + i * PAGE);
	set_slot(vm, 0, CODE_GPA, CODE_PAGES * PAGE, -1, 0, code);

	file = create_file(vm, DATA_PAGES, IN_PLACE |
			   (one_in(2) ? GUEST_MEMFD_FLAG_INIT_SHARED : 0));
	if (ordinary)
		add_ordinary(vm, ordinary);
	else
		add_data(vm, file, 0);
	file_place = keep_fd(FILES, file);
	for (unsigned long id = 0; id < 1 + below(3); id++) {
		place = create_vcpu(vm, id, CODE_GPA + below(CODE_PAGES) * PAGE);
		if (place >= 0)
			file_of[place] = file_place;
	}
	if (ordinary && place >= 0) {
		/* It shares memory before there is any that converts. */
		run_vcpu((unsigned int)place);
		add_data(vm, fd_at(FILES, file_place), ordinary);
	}
	keep_fd(VMS, vm);
	if (place >= 0)
		run_vcpu((unsigned int)place);
}

void act_create_honest_machine(void)
{
	unsigned int vcpus[HONEST_VCPUS], file_place;

	/* Others have no secrets from their VMM. */
	if (own_platform != PLATFORM_PKVM) {
		act_create_machine();
		return;
	}
	if (!honest_create(own_platform, vcpus, &file_place))
		return;
	count(&tally->honest);
	for (unsigned int i = 0; i < HONEST_VCPUS; i++)
		file_of[vcpus[i]] = file_place;
	/* Others run them, too, and kicks interrupt all. */
	for (unsigned int i = 0; i < 32; i++)
		run_vcpu(vcpus[i % HONEST_VCPUS]);
}

static void act_scribble_over_run(void)
{
	uint64_t value = one_in(2) ? below(64) : random_u64();

	poke(run_window(below(NR_FDS)) + below(256), &value, 1 + below(8));
}

static void act_prefault(void)
{
	struct kvm_pre_fault_memory args = { .gpa = any_gpa(), .size = any_size() };

	ioctl_with(any_fd(VCPUS), KVM_PRE_FAULT_MEMORY, &args, sizeof(args));
}

/* ---- mappings ---- */

static void act_map(void)
{
	unsigned char *address = any_window();
	int file = any_fd(FILES);

	if (one_in(8))
		map_window(run_window(below(NR_FDS)), PAGE * (1 + below(3)),
			   any_fd(VCPUS), 0);
	else if (one_in(4))
		map_window(address, DATA_PAGES * PAGE, -1, 0);
	else
		map_window(address, any_size() % (DATA_PAGES * PAGE + 1), file,
			   one_in(2) ? 0 : any_offset() & ~(PAGE - 1));
}

static void act_unmap(void)
{
	unsigned char *address = one_in(4) ? run_window(below(NR_FDS)) : any_window();

	/* The place stays taken. */
	mmap(address, (1 + below(4)) * PAGE, PROT_NONE,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void act_madvise(void)
{
	static const int advices[] = {
		MADV_DONTNEED, MADV_REMOVE, MADV_WILLNEED, MADV_POPULATE_READ,
		MADV_POPULATE_WRITE, MADV_PAGEOUT, MADV_COLD, MADV_FREE, MADV_HUGEPAGE,
		MADV_MERGEABLE, MADV_DONTFORK, MADV_DOFORK, MADV_COLLAPSE,
	};
	unsigned char *address = any_window() + below(DATA_PAGES) * PAGE;

	madvise(address, below(8) * PAGE, advices[below(sizeof(advices) / sizeof(int))]);
}

static void act_protect(void)
{
	unsigned char *address = any_window() + below(DATA_PAGES / 2) * PAGE;
	size_t bytes = below(DATA_PAGES / 2) * PAGE;

	switch (below(4)) {
	case 0:
		mlock(address, bytes);
		break;
	case 1:
		munlock(address, bytes);
		break;
	default:
		mprotect(address, bytes, one_in(4) ? PROT_NONE : one_in(2) ? PROT_READ :
			 PROT_READ | PROT_WRITE);
	}
}

static void act_punch(void)
{
	fallocate(any_fd(FILES), one_in(4) ? (int)below(8) :
		  FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)any_offset(),
		  (off_t)any_size());
}

static void act_write_code(void)
{
	guarded(write_code_at, any_window() + below(DATA_PAGES) * PAGE);
}

/* ---- system calls on memory ---- */

static void act_system_call(void)
{
	unsigned char *address = any_address();
	struct iovec remote = { address, 1 + below(2 * PAGE) };
	unsigned char buffer[256];
	struct iovec local = { buffer, sizeof(buffer) };

	switch (below(6)) {
	case 0:
		write(any_fd(OTHERS), address, below(PAGE));
		break;
	case 1:
		read(any_fd(OTHERS), address, below(PAGE));
		break;
	case 2:
		process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
		break;
	case 3:
		process_vm_writev(getpid(), &local, 1, &remote, 1, 0);
		break;
	case 4:
		/* The pipe keeps the pages until somebody reads or closes it. */
		vmsplice(any_fd(OTHERS), &remote, 1, SPLICE_F_NONBLOCK);
		break;
	default:
		syscall(SYS_getrandom, address, below(PAGE), 0);
	}
}

static void act_pipe(void)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
		return;
	keep_fd(OTHERS, ends[0]);
	keep_fd(OTHERS, ends[1]);
}

/* Pinned until the ring is closed. */
static void act_pin(void)
{
	struct io_uring_params params = { 0 };
	struct iovec iovec = {
		any_window() + below(DATA_PAGES) * PAGE, (1 + below(4)) * PAGE,
	};
	int ring;

	ring = (int)syscall(SYS_io_uring_setup, 2, &params);
	if (ring < 0)
		return;
	syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &iovec, 1);
	keep_fd(OTHERS, ring);
}

/* ---- descriptors, processes ---- */

static void act_close(void)
{
	drop_fd(below(NR_KINDS), (unsigned int)below(NR_FDS));
}

static void act_dup(void)
{
	enum kind kind = below(NR_KINDS);

	keep_fd(kind, fcntl(any_fd(kind), F_DUPFD_CLOEXEC, 0));
}

/*
 * A process that has everything and does little with it.  Half of them end when all
 * other users of it are gone.
 */
static void act_fork(void)
{
	if (atomic_fetch_add(&forks, 1) >= FORKS || fork())
		return;
	for (unsigned int i = 0; i < 50; i++) {
		act_touch();
		act_convert();
		act_system_call();
	}
	usleep(1000 * (one_in(2) ? (unsigned int)below(lifetime_ms) :
		       lifetime_ms + 500 + (unsigned int)below(500)));
	_exit(0);
}

static const struct {
	void (*act)(void);
	unsigned int weight;
} acts[] = {
	{ act_create_vm, 1 },
	{ act_create_machine, 2 },
	{ act_create_honest_machine, 2 },
	{ act_create_file, 4 },
	{ act_create_vcpu, 3 },
	{ act_set_slot, 6 },
	{ act_meddle, 6 },
	{ act_enable_cap, 3 },
	{ act_convert, 40 },
	{ act_get_attributes, 6 },
	{ act_set_vm_attributes, 3 },
	{ act_run, 60 },
	{ act_scribble_over_run, 10 },
	{ act_prefault, 4 },
	{ act_map, 12 },
	{ act_unmap, 4 },
	{ act_madvise, 8 },
	{ act_protect, 6 },
	{ act_punch, 8 },
	{ act_write_code, 2 },
	{ act_touch, 40 },
	{ act_system_call, 16 },
	{ act_pipe, 3 },
	{ act_pin, 3 },
	{ act_close, 5 },
	{ act_dup, 4 },
	{ act_fork, 1 },
};

void act_once(void)
{
	unsigned int i = 0, pick = 0;

	for (unsigned int j = 0; j < sizeof(acts) / sizeof(acts[0]); j++)
		pick += acts[j].weight;
	for (pick = (unsigned int)below(pick); pick >= acts[i].weight; i++)
		pick -= acts[i].weight;
	acts[i].act();
	if (look_for_secrets())
		count(&tally->secrets);
}
