// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * KVM_CREATE_VCPU beside the first run.
 *
 * The first run gives EL2 memory for the VM, with room for a pointer to each vCPU.  KVM
 * and EL2 read the number of vCPUs one after the other, and KVM_CREATE_VCPU counts without
 * waiting for anybody.  Where the pointers end exactly with a page, and one more vCPU was
 * counted in between, EL2 took a page that nobody had given it, and cleared it.
 *
 * At which numbers that is depends on the build.  The kernel tells by what it allocates
 * for the first run; PKVM_VCPUS in the environment names others, PKVM_ATTEMPTS how often
 * to try each.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "pkvm.h"

#define MOST		511	/* of 512, so that there can be one more */
#define ATTEMPTS	60
#define TRACEFS		"/sys/kernel/tracing"

struct crowd {
	int vm, file, vcpus[MOST];
	struct kvm_run *run;	/* of the first */
};

static int kvm;

/* A file makes the VM convert: there one more vCPU may come too late. */
static void add_file(struct crowd *crowd)
{
	struct kvm_create_guest_memfd args = { .size = PAGE, .flags = IN_PLACE };
	struct kvm_userspace_memory_region2 region = {
		.flags = KVM_MEM_GUEST_MEMFD, .guest_phys_addr = FILE_GPA,
		.memory_size = PAGE,
	};

	crowd->file = ioctl(crowd->vm, KVM_CREATE_GUEST_MEMFD, &args);
	if (crowd->file < 0)
		SKIP("no file converts in place: %s", ret_name(-errno));
	region.guest_memfd = (uint32_t)crowd->file;
	ASSERT_OK(control(crowd->vm, KVM_SET_USER_MEMORY_REGION2, &region));
}

static void open_crowd(struct crowd *crowd, int number, bool has_file)
{
	struct kvm_vcpu_init init;

	crowd->vm = ioctl(kvm, KVM_CREATE_VM, KVM_VM_TYPE_ARM_PROTECTED | IPA_BITS);
	ASSERT(crowd->vm >= 0);
	crowd->file = -1;
	if (has_file)
		add_file(crowd);
	ASSERT_OK(control(crowd->vm, KVM_ARM_PREFERRED_TARGET, &init));
	init.features[0] |= 1u << KVM_ARM_VCPU_PSCI_0_2;
	for (int id = 0; id < number; id++) {
		crowd->vcpus[id] = ioctl(crowd->vm, KVM_CREATE_VCPU, (unsigned long)id);
		ASSERT(crowd->vcpus[id] >= 0);
	}
	ASSERT_OK(control(crowd->vcpus[0], KVM_ARM_VCPU_INIT, &init));
	crowd->run = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, crowd->vcpus[0], 0);
	ASSERT(crowd->run != MAP_FAILED);
	/* The guest need not run for the VM to be created. */
	crowd->run->immediate_exit = 1;
}

static void close_crowd(struct crowd *crowd, int number)
{
	munmap(crowd->run, PAGE);
	for (int id = 0; id < number; id++)
		close(crowd->vcpus[id]);
	if (crowd->file >= 0)
		close(crowd->file);
	close(crowd->vm);
}

/* ---- at which numbers the pointers end with a page ---- */

static void write_file(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		FAIL("%s to %s: %s", text, name, ret_name(-errno));
	close(fd);
}

#define EVENT	TRACEFS "/events/kmem/mm_page_alloc/"

/* How many pages the first run allocates as they are, in blocks of more than one. */
static unsigned long pages_for_first_run(int number)
{
	unsigned long pages = 0;
	struct crowd crowd;
	char line[512];
	FILE *trace;

	open_crowd(&crowd, number, false);
	write_file(TRACEFS "/trace", "");
	write_file(EVENT "enable", "1");
	ASSERT_RET(control(crowd.vcpus[0], KVM_RUN, NULL), -EINTR);
	write_file(EVENT "enable", "0");
	close_crowd(&crowd, number);

	trace = fopen(TRACEFS "/trace", "re");
	ASSERT(trace);
	while (fgets(line, sizeof(line), trace)) {
		const char *order = strstr(line, " order=");

		/* Slabs and stacks say more than that. */
		if (order && strstr(line, " gfp_flags=GFP_KERNEL_ACCOUNT\n"))
			pages += 1ul << atoi(order + strlen(" order="));
	}
	fclose(trace);
	return pages;
}

/*
 * The number that fills a page and after which another is needed; 0 if there is none.
 * Blocks are powers of two, so what grows from three pages to four is not seen.
 */
static int find_number(void)
{
	char filter[64];
	unsigned long least;
	int low = 1, high = MOST;

	if (mount("tracefs", TRACEFS, "tracefs", 0, NULL) && errno != EBUSY)
		SKIP("tracefs: %s; PKVM_VCPUS in the environment helps", ret_name(-errno));
	snprintf(filter, sizeof(filter), "order > 0 && common_pid == %d", getpid());
	write_file(EVENT "filter", filter);
	/* The first VM of all may allocate what others find. */
	pages_for_first_run(low);
	least = pages_for_first_run(low);
	if (pages_for_first_run(high) == least)
		return 0;
	while (high - low > 1) {
		int middle = (low + high) / 2;

		if (pages_for_first_run(middle) == least)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* ---- the race ---- */

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

static void stay_on_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* Creates one more vCPU, some time after the start. */
struct creator {
	pthread_t thread;
	int vm, id, ready;
	int64_t start_ns;	/* 0: not yet */
	long ret;
};

static void *create_one_more(void *opaque)
{
	struct creator *self = opaque;
	int64_t start;

	stay_on_cpu(1);
	__atomic_store_n(&self->ready, 1, __ATOMIC_RELEASE);
	while (!(start = __atomic_load_n(&self->start_ns, __ATOMIC_ACQUIRE)))
		;
	while (now_ns() < start)
		;
	self->ret = ioctl(self->vm, KVM_CREATE_VCPU, (unsigned long)self->id);
	if (self->ret < 0)
		self->ret = -errno;
	return NULL;
}

/*
 * When the one more comes, from the first run on.  Attempts in VMs that convert find out
 * when it begins to be too late, each by what became of the one before; EL2 has read the
 * number some time before that, and there the others aim.
 */
struct aim {
	int64_t edge_ns, step_ns;
	unsigned int seed;
	int created, late;
};

#define LEAD_NS		1000000		/* until both are where they wait */
#define AHEAD_NS	500000

static void race(int number, bool measures, struct aim *aim)
{
	int64_t ahead = measures ? 0 : rand_r(&aim->seed) % AHEAD_NS;
	struct creator creator = { .id = number };
	struct crowd crowd;
	int64_t start;
	long first_run;

	open_crowd(&crowd, number, measures || rand_r(&aim->seed) % 2);
	creator.vm = crowd.vm;
	ASSERT(!pthread_create(&creator.thread, NULL, create_one_more, &creator));
	while (!__atomic_load_n(&creator.ready, __ATOMIC_ACQUIRE))
		sched_yield();
	start = now_ns() + LEAD_NS;
	__atomic_store_n(&creator.start_ns, start + aim->edge_ns - ahead, __ATOMIC_RELEASE);
	while (now_ns() < start)
		;
	first_run = control(crowd.vcpus[0], KVM_RUN, NULL);
	pthread_join(creator.thread, NULL);
	ASSERT_RET(first_run, -EINTR);

	if (creator.ret >= 0) {
		aim->created++;
		close((int)creator.ret);
	} else {
		ASSERT_RET(creator.ret, -EBUSY);
		aim->late++;
	}
	if (measures) {
		aim->edge_ns += creator.ret >= 0 ? aim->step_ns : -aim->step_ns;
		if (aim->step_ns > 10000)
			aim->step_ns = aim->step_ns * 8 / 10;
	}
	close_crowd(&crowd, number);
}

static void race_often(int number, int attempts)
{
	struct aim aim = { .step_ns = 300000, .seed = 1 };

	for (int i = 0; i < attempts; i++)
		race(number, i < 8 || i % 4 == 0, &aim);
	printf("# %d vCPUs, %d attempts: one more was created in %d, and is late after %d us\n",
	       number, attempts, aim.created, (int)(aim.edge_ns / 1000));
	fflush(stdout);
}

TEST_WITH(vcpu_is_created_beside_the_first_run, 0, 400)
{
	const char *numbers = getenv("PKVM_VCPUS"), *attempts = getenv("PKVM_ATTEMPTS");
	struct rlimit files = { 4096, 4096 };
	const int often = attempts ? atoi(attempts) : ATTEMPTS;
	int number;

	(void)variant;
	setrlimit(RLIMIT_NOFILE, &files);
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	ASSERT(kvm >= 0);
	stay_on_cpu(0);
	if (!numbers) {
		number = find_number();
		ASSERT(number > 1);
		/* The neighbours are a control: nothing may happen there, either. */
		race_often(number, often);
		race_often(number - 1, often / 4);
		race_often(number + 1, often / 4);
		return;
	}
	for (char *end; (number = (int)strtol(numbers, &end, 10)) > 0; numbers = end) {
		ASSERT(number <= MOST);
		race_often(number, often);
	}
}
