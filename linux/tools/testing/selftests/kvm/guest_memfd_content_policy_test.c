// SPDX-License-Identifier: GPL-2.0-only
/*
 * Conversion in place of guest_memfd memory between private and shared: what
 * KVM_SET_MEMORY_ATTRIBUTES2 refuses, and what host and guest find in memory that was
 * converted under each content policy.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/sizes.h>

#include "kvm_syscalls.h"
#include "kvm_test_harness.h"
#include "kvm_util.h"
#include "test_util.h"
#include "ucall_common.h"

#ifdef __x86_64__
#define VM_TYPE			KVM_X86_SW_PROTECTED_VM
#else
#define VM_TYPE			VM_TYPE_DEFAULT
#endif

#define NR_PAGES		16
/* Above slot 0 and the holes that MMIO needs. */
#define BASE_GPA		((gpa_t)SZ_4G)
#define BASE_SLOT		10

#define SHARED			0
#define PRIVATE			KVM_MEMORY_ATTRIBUTE_PRIVATE

#define ZERO			SET_MEMORY_ATTRIBUTES_CONTENT_ZERO
#define READABLE		SET_MEMORY_ATTRIBUTES_CONTENT_READABLE
#define ENCRYPTED		SET_MEMORY_ATTRIBUTES_CONTENT_ENCRYPTED
#define DESTROY			SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY

#define IN_PLACE		(GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_IN_PLACE)

/* A VM with a file of NR_PAGES pages, and where the file is mapped. */
struct test_vm {
	struct kvm_vm *vm;
	struct kvm_vcpu *vcpu;
	int fd;
	u8 *mem;
};

#define TEST_ASSERT_FAILS(call, want)					\
do {									\
	int __r = (call);						\
									\
	TEST_ASSERT(__r == -1 && errno == (want),			\
		    "%s: wanted errno %d, got %d (errno %d)", #call,	\
		    (want), __r, errno);				\
} while (0)

static size_t page_size;

/* ---- the guest ---- */

enum guest_op {
	GUEST_FILL,
	GUEST_CHECK,
	GUEST_COUNT,
};

/* What the guest does next; synced to it before it runs. */
static struct guest_request {
	enum guest_op op;
	u64 gpa;
	u64 size;
	u64 value;
	u64 stop_gpa;
} guest_request;

static void guest_do_request(const struct guest_request *req)
{
	u64 *word = (u64 *)req->gpa, *end = (u64 *)(req->gpa + req->size);

	switch (req->op) {
	case GUEST_FILL:
		for (; word < end; word++)
			WRITE_ONCE(*word, req->value);
		break;
	case GUEST_CHECK:
		for (; word < end; word++)
			__GUEST_ASSERT(READ_ONCE(*word) == req->value,
				       "gpa 0x%lx: wanted 0x%lx, got 0x%lx",
				       (u64)word, req->value, READ_ONCE(*word));
		break;
	case GUEST_COUNT:
		while (!READ_ONCE(*(u64 *)req->stop_gpa))
			WRITE_ONCE(*word, READ_ONCE(*word) + 1);
		break;
	}
}

static void guest_code(void)
{
	for (;;) {
		guest_do_request(&guest_request);
		GUEST_SYNC(0);
	}
}

/* The guest stopped. */
static void guest_finish(struct test_vm *t)
{
	struct ucall uc;

	switch (get_ucall(t->vcpu, &uc)) {
	case UCALL_SYNC:
		break;
	case UCALL_ABORT:
		REPORT_GUEST_ASSERT(uc);
	default:
		TEST_FAIL("Unexpected exit %u (%s)", t->vcpu->run->exit_reason,
			  exit_reason_str(t->vcpu->run->exit_reason));
	}
}

static void guest_resume(struct test_vm *t)
{
	vcpu_run(t->vcpu);
	guest_finish(t);
}

static void guest_set_request(struct test_vm *t, enum guest_op op, gpa_t gpa,
			      u64 nr_pages, u64 value)
{
	guest_request = (struct guest_request) {
		.op = op,
		.gpa = gpa,
		.size = nr_pages * page_size,
		.value = value,
		.stop_gpa = BASE_GPA + (NR_PAGES - 1) * page_size,
	};
	sync_global_to_guest(t->vm, guest_request);
}

static void guest_do(struct test_vm *t, enum guest_op op, gpa_t gpa, u64 nr_pages,
		     u64 value)
{
	guest_set_request(t, op, gpa, nr_pages, value);
	guest_resume(t);
}

static void guest_fill(struct test_vm *t, u64 page, u64 nr_pages, u64 value)
{
	guest_do(t, GUEST_FILL, BASE_GPA + page * page_size, nr_pages, value);
}

static void guest_check(struct test_vm *t, u64 page, u64 nr_pages, u64 value)
{
	guest_do(t, GUEST_CHECK, BASE_GPA + page * page_size, nr_pages, value);
}

/* The guest has no access, until the page is converted and it tries again. */
static void guest_check_faults(struct test_vm *t, u64 page, u64 value)
{
	gpa_t gpa = BASE_GPA + page * page_size;
	struct kvm_run *run = t->vcpu->run;

	guest_set_request(t, GUEST_CHECK, gpa, 1, value);
	TEST_ASSERT_FAILS(_vcpu_run(t->vcpu), EFAULT);
	TEST_ASSERT_KVM_EXIT_REASON(t->vcpu, KVM_EXIT_MEMORY_FAULT);
	TEST_ASSERT_EQ(run->memory_fault.gpa, gpa);
	TEST_ASSERT_EQ(run->memory_fault.size, page_size);
}

/* ---- the host ---- */

static u64 *host_word(struct test_vm *t, u64 page)
{
	return (u64 *)(t->mem + page * page_size);
}

static void host_fill(struct test_vm *t, u64 page, u64 nr_pages, u64 value)
{
	u64 *word;

	for (word = host_word(t, page); word < host_word(t, page + nr_pages); word++)
		WRITE_ONCE(*word, value);
}

static void host_check(struct test_vm *t, u64 page, u64 nr_pages, u64 value)
{
	u64 *word;

	for (word = host_word(t, page); word < host_word(t, page + nr_pages); word++)
		TEST_ASSERT(READ_ONCE(*word) == value,
			    "offset 0x%lx: wanted 0x%lx, got 0x%lx",
			    (u8 *)word - t->mem, value, READ_ONCE(*word));
}

static void host_check_sigbus(struct test_vm *t, u64 page, u64 nr_pages)
{
	u64 i;

	for (i = page; i < page + nr_pages; i++) {
		TEST_EXPECT_SIGBUS((void)READ_ONCE(*host_word(t, i)));
		TEST_EXPECT_SIGBUS(WRITE_ONCE(*host_word(t, i), 1));
	}
}

/* ---- the ioctls ---- */

static struct kvm_memory_attributes2 request(u64 page, u64 nr_pages, u64 attributes,
					     u32 policy)
{
	return (struct kvm_memory_attributes2) {
		.offset = page * page_size,
		.size = nr_pages * page_size,
		.attributes = attributes,
		.content_policy = policy,
	};
}

/* Return the pages that were converted. */
static u64 convert(struct test_vm *t, u64 page, u64 nr_pages, u64 attributes,
		   u32 policy)
{
	struct kvm_memory_attributes2 attrs = request(page, nr_pages, attributes, policy);

	kvm_ioctl(t->fd, KVM_SET_MEMORY_ATTRIBUTES2, &attrs);
	TEST_ASSERT_EQ(attrs.converted % page_size, 0);

	return attrs.converted / page_size;
}

static int set_attributes(struct test_vm *t, struct kvm_memory_attributes2 *attrs)
{
	return __kvm_ioctl(t->fd, KVM_SET_MEMORY_ATTRIBUTES2, attrs);
}

/* A good request, but for @changes. */
#define CHECK_REFUSED(t, want, changes...)					\
do {										\
	struct kvm_memory_attributes2 attrs = request(0, 2, SHARED, ZERO);	\
										\
	changes;								\
	TEST_ASSERT_FAILS(set_attributes(t, &attrs), want);			\
} while (0)

/* All of the range is in this state. */
static void check_state(struct test_vm *t, u64 page, u64 nr_pages, u64 attributes,
			u64 state)
{
	struct kvm_memory_attributes2_run run;
	u64 end = (page + nr_pages) * page_size, offset;

	for (offset = page * page_size; offset < end; offset += run.size) {
		run = (struct kvm_memory_attributes2_run) { .offset = offset };
		kvm_ioctl(t->fd, KVM_GET_MEMORY_ATTRIBUTES2, &run);
		TEST_ASSERT_EQ(run.attributes, attributes);
		TEST_ASSERT_EQ(run.state, state);
		TEST_ASSERT(run.size && run.size <= end - offset,
			    "The run at 0x%lx has 0x%llx bytes", offset, run.size);
	}
}

/* ---- a VM for each test ---- */

static void add_slot(struct test_vm *t, u32 slot, gpa_t gpa, u64 page, u64 nr_pages)
{
	vm_set_user_memory_region2(t->vm, slot, KVM_MEM_GUEST_MEMFD, gpa,
				   nr_pages * page_size, t->mem + page * page_size,
				   t->fd, page * page_size);
}

/* The file and a VM without it: private memory that no slot is bound to. */
static void create_unbound(struct test_vm *t)
{
	const struct vm_shape shape = {
		.mode = VM_MODE_DEFAULT,
		.type = VM_TYPE,
	};
	size_t size = NR_PAGES * page_size;

	t->vm = __vm_create_shape_with_one_vcpu(shape, &t->vcpu, 1, guest_code);
	t->fd = vm_create_guest_memfd(t->vm, size, IN_PLACE);
	t->mem = kvm_mmap(size, PROT_READ | PROT_WRITE, MAP_SHARED, t->fd);
	virt_map(t->vm, BASE_GPA, BASE_GPA, size / t->vm->page_size);
}

static void create(struct test_vm *t)
{
	create_unbound(t);
	add_slot(t, BASE_SLOT, BASE_GPA, 0, NR_PAGES);
}

static void destroy(struct test_vm *t)
{
	kvm_munmap(t->mem, NR_PAGES * page_size);
	close(t->fd);
	kvm_vm_free(t->vm);
}

FIXTURE(in_place)
{
	struct test_vm t;
};

FIXTURE_SETUP(in_place)
{
	create(&self->t);
}

FIXTURE_TEARDOWN(in_place)
{
	destroy(&self->t);
}

TEST_F(in_place, announces_what_the_vm_can_do)
{
	struct kvm_vm *vm = self->t.vm;
	u32 policies = BIT(ZERO) | BIT(READABLE) | BIT(DESTROY);

	TEST_ASSERT_EQ(vm_check_cap(vm, KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES),
		       (int)KVM_MEMORY_ATTRIBUTE_PRIVATE);
	TEST_ASSERT_EQ((u32)vm_check_cap(vm, KVM_CAP_GUEST_MEMFD_CONTENT_POLICIES),
		       policies << KVM_GMEM_POLICY_TO_SHARED_SHIFT |
		       policies << KVM_GMEM_POLICY_TO_PRIVATE_SHIFT);
	TEST_ASSERT_EQ(kvm_check_cap(KVM_CAP_GUEST_MEMFD_CONTENT_POLICIES), 0);
	TEST_ASSERT_EQ(vm_check_cap(vm, KVM_CAP_GUEST_MEMFD_FLAGS) &
		       (int)GUEST_MEMFD_FLAG_IN_PLACE, 0);
}

TEST_F(in_place, needs_a_file_that_can_be_mapped)
{
	struct kvm_vm *vm = self->t.vm;

	TEST_ASSERT_FAILS(__vm_create_guest_memfd(vm, page_size, GUEST_MEMFD_FLAG_IN_PLACE),
			  EINVAL);
}

TEST_F(in_place, files_without_the_flag_do_not_convert)
{
	u64 flags[] = { 0, GUEST_MEMFD_FLAG_MMAP };
	struct kvm_memory_attributes2_run run;
	int i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		struct test_vm t = {
			.fd = vm_create_guest_memfd(self->t.vm, 2 * page_size, flags[i]),
		};

		CHECK_REFUSED(&t, ENOTTY);
		CHECK_REFUSED(&t, ENOTTY, attrs.size = 1);

		run = (struct kvm_memory_attributes2_run) {};
		TEST_ASSERT_FAILS(__kvm_ioctl(t.fd, KVM_GET_MEMORY_ATTRIBUTES2, &run),
				  ENOTTY);
		close(t.fd);
	}
}

TEST_F(in_place, refuses_bad_ranges)
{
	const u64 end = NR_PAGES * page_size;
	const struct {
		u64 offset;
		u64 size;
	} ranges[] = {
		{ 0, 0 }, { end, 0 }, { end, page_size }, { 0, end + page_size },
		{ end - page_size, 2 * page_size }, { 1, page_size },
		{ page_size / 2, page_size }, { 0, 1 }, { 0, page_size - 1 },
		{ 0, page_size + 1 }, { 0, -page_size }, { page_size, -page_size },
		{ -page_size, page_size }, { -page_size, 2 * page_size },
		{ BIT_ULL(63), BIT_ULL(63) },
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(ranges); i++)
		CHECK_REFUSED(&self->t, EINVAL,
			      attrs.offset = ranges[i].offset; attrs.size = ranges[i].size);

	check_state(&self->t, 0, NR_PAGES, PRIVATE, 0);
}

TEST_F(in_place, refuses_unknown_arguments)
{
	struct test_vm *t = &self->t;
	int i;

	for (i = 0; i < 64; i++) {
		CHECK_REFUSED(t, EINVAL, attrs.flags = BIT_ULL(i));
		if (BIT_ULL(i) != KVM_MEMORY_ATTRIBUTE_PRIVATE)
			CHECK_REFUSED(t, EINVAL, attrs.attributes = BIT_ULL(i));
	}
	for (i = 2; i < 32; i++)
		CHECK_REFUSED(t, EINVAL, attrs.content_policy = BIT(i));
	for (i = 0; i < ARRAY_SIZE(request(0, 0, 0, 0).reserved); i++)
		CHECK_REFUSED(t, EINVAL, attrs.reserved[i] = 1);
	CHECK_REFUSED(t, EINVAL, attrs.reserved32 = 1);
	CHECK_REFUSED(t, EINVAL, attrs.converted = 1);

	check_state(t, 0, NR_PAGES, PRIVATE, 0);
}

TEST_F(in_place, refuses_bad_pointers)
{
	struct kvm_memory_attributes2 *attrs;

	TEST_ASSERT_FAILS(ioctl(self->t.fd, KVM_SET_MEMORY_ATTRIBUTES2, NULL), EFAULT);
	TEST_ASSERT_FAILS(ioctl(self->t.fd, KVM_GET_MEMORY_ATTRIBUTES2, NULL), EFAULT);

	/* Its answer could not be written. */
	attrs = kvm_mmap(page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	*attrs = request(0, NR_PAGES, SHARED, ZERO);
	TEST_ASSERT(!mprotect(attrs, page_size, PROT_READ), "mprotect() failed");
	TEST_ASSERT_FAILS(set_attributes(&self->t, attrs), EFAULT);
	kvm_munmap(attrs, page_size);

	check_state(&self->t, 0, NR_PAGES, PRIVATE, 0);
}

TEST_F(in_place, reads_attributes_back)
{
	const struct kvm_memory_attributes2_run bad[] = {
		{ .offset = 1 }, { .offset = NR_PAGES * page_size }, { .size = page_size },
		{ .attributes = PRIVATE }, { .state = KVM_GMEM_STATE_DESTROYED },
		{ .reserved = { 1 } }, { .reserved = { 0, 0, 0, 1 } },
	};
	struct kvm_memory_attributes2_run run;
	struct test_vm *t = &self->t;
	int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		run = bad[i];
		TEST_ASSERT_FAILS(__kvm_ioctl(t->fd, KVM_GET_MEMORY_ATTRIBUTES2, &run),
				  EINVAL);
	}

	convert(t, 3, 5, SHARED, ZERO);
	convert(t, 8, 1, SHARED, DESTROY);
	convert(t, 9, 1, PRIVATE, DESTROY);
	check_state(t, 0, 3, PRIVATE, 0);
	check_state(t, 3, 5, SHARED, 0);
	check_state(t, 8, 1, SHARED, KVM_GMEM_STATE_DESTROYED);
	check_state(t, 9, 1, PRIVATE, KVM_GMEM_STATE_DESTROYED);
	check_state(t, 10, NR_PAGES - 10, PRIVATE, 0);
}

TEST_F(in_place, private_memory_raises_sigbus)
{
	struct test_vm *t = &self->t;
	int pipe_fds[2];

	guest_fill(t, 0, 4, 0x11);
	host_check_sigbus(t, 0, 4);

	convert(t, 1, 2, SHARED, READABLE);
	host_check_sigbus(t, 0, 1);
	host_check(t, 1, 2, 0x11);
	host_check_sigbus(t, 3, 1);

	/* What had been mapped is unmapped; a system call gets EFAULT. */
	convert(t, 1, 1, PRIVATE, READABLE);
	host_check_sigbus(t, 1, 1);
	TEST_ASSERT(!pipe(pipe_fds), "pipe() failed");
	TEST_ASSERT_FAILS(write(pipe_fds[1], host_word(t, 1), 8), EFAULT);
	close(pipe_fds[0]);
	close(pipe_fds[1]);

	host_check(t, 2, 1, 0x11);
	guest_check(t, 0, 4, 0x11);
}

TEST_F(in_place, leaves_alone_what_needs_no_conversion)
{
	struct test_vm *t = &self->t;

	guest_fill(t, 0, 8, 0x11);
	TEST_ASSERT_EQ(convert(t, 2, 2, SHARED, READABLE), 2);
	host_fill(t, 2, 2, 0x22);

	/* Only the two pages that go private lose their contents. */
	TEST_ASSERT_EQ(convert(t, 0, 8, PRIVATE, ZERO), 2);
	guest_check(t, 0, 2, 0x11);
	guest_check(t, 2, 2, 0);
	guest_check(t, 4, 4, 0x11);

	TEST_ASSERT_EQ(convert(t, 0, 8, PRIVATE, ZERO), 0);
	guest_check(t, 0, 2, 0x11);
}

/* Zeros that nobody has read yet are owed through conversions that keep contents. */
TEST_F(in_place, owes_zeros)
{
	struct test_vm *t = &self->t;

	convert(t, 0, 2, SHARED, ZERO);
	host_fill(t, 0, 2, 0x11);
	convert(t, 0, 2, PRIVATE, ZERO);
	convert(t, 0, 2, SHARED, READABLE);
	convert(t, 0, 1, PRIVATE, READABLE);
	guest_check(t, 0, 1, 0);
	host_check(t, 1, 1, 0);
}

TEST_F(in_place, destroyed_memory_is_nobodys)
{
	struct test_vm *t = &self->t;

	convert(t, 0, 2, SHARED, ZERO);
	host_fill(t, 0, 2, 0x11);
	guest_fill(t, 2, 2, 0x11);
	TEST_ASSERT_EQ(convert(t, 0, 4, SHARED, DESTROY), 4);
	check_state(t, 0, 4, SHARED, KVM_GMEM_STATE_DESTROYED);
	host_check_sigbus(t, 0, 4);

	/* The access that faulted is done when the guest runs again. */
	guest_check_faults(t, 1, 0);
	TEST_ASSERT_EQ(convert(t, 1, 1, SHARED, READABLE), 1);
	guest_resume(t);
	host_check(t, 1, 1, 0);

	guest_check_faults(t, 2, 0);
	TEST_ASSERT_EQ(convert(t, 2, 1, PRIVATE, READABLE), 1);
	guest_resume(t);
	host_check_sigbus(t, 2, 1);
}

TEST_F(in_place, refuses_referenced_memory)
{
	const u32 policies[] = { ZERO, READABLE, DESTROY };
	struct test_vm *t = &self->t;
	struct iovec iovec;
	int pipe_fds[2], i;

	convert(t, 0, 8, SHARED, ZERO);
	host_fill(t, 0, 8, 0x11);

	iovec.iov_base = host_word(t, 5);
	iovec.iov_len = page_size;
	TEST_ASSERT(!pipe(pipe_fds), "pipe() failed");
	TEST_ASSERT_EQ(vmsplice(pipe_fds[1], &iovec, 1, 0), (ssize_t)page_size);

	for (i = 0; i < ARRAY_SIZE(policies); i++) {
		struct kvm_memory_attributes2 attrs = request(0, 8, PRIVATE, policies[i]);

		TEST_ASSERT_FAILS(set_attributes(t, &attrs), EAGAIN);
		TEST_ASSERT_EQ(attrs.error_offset, 5 * page_size);
		TEST_ASSERT_EQ(attrs.converted, 0);
		check_state(t, 0, 8, SHARED, 0);
		host_check(t, 0, 8, 0x11);
		guest_check(t, 0, 8, 0x11);
	}
	/* It was waited for: a reference may go away, if it is not a pin. */
	TEST_ASSERT_EQ(vm_get_stat(t->vm, gmem_reference_waits),
		       (u64)ARRAY_SIZE(policies));

	/* Beside the page nothing stands in the way. */
	TEST_ASSERT_EQ(convert(t, 0, 5, PRIVATE, READABLE), 5);
	TEST_ASSERT_EQ(convert(t, 6, 2, PRIVATE, READABLE), 2);

	close(pipe_fds[0]);
	close(pipe_fds[1]);
	TEST_ASSERT_EQ(convert(t, 0, 8, PRIVATE, READABLE), 1);
	guest_check(t, 0, 8, 0x11);
}

TEST_F(in_place, refuses_another_process)
{
	struct kvm_memory_attributes2 attrs = request(0, NR_PAGES, SHARED, ZERO);
	int status, r;
	pid_t pid;

	pid = fork();
	TEST_ASSERT(pid >= 0, "fork() failed");
	if (!pid) {
		r = ioctl(self->t.fd, KVM_SET_MEMORY_ATTRIBUTES2, &attrs);
		_exit(!(r == -1 && errno == EIO));
	}
	TEST_ASSERT_EQ(waitpid(pid, &status, 0), pid);
	TEST_ASSERT(WIFEXITED(status) && !WEXITSTATUS(status),
		    "Another process should get EIO");
	check_state(&self->t, 0, NR_PAGES, PRIVATE, 0);
}

TEST_F(in_place, refuses_attributes_of_the_vm)
{
	struct kvm_vm *vm = self->t.vm;
	struct kvm_memory_attributes attrs = {
		.address = BASE_GPA,
		.size = page_size,
		.attributes = KVM_MEMORY_ATTRIBUTE_PRIVATE,
	};

	if (!(vm_check_cap(vm, KVM_CAP_MEMORY_ATTRIBUTES) & KVM_MEMORY_ATTRIBUTE_PRIVATE))
		SKIP(return, "the VM has no attributes of its own");

	TEST_ASSERT_FAILS(__vm_ioctl(vm, KVM_SET_MEMORY_ATTRIBUTES, &attrs), EINVAL);
}

TEST_F(in_place, counts_conversions)
{
	struct test_vm *t = &self->t;

	convert(t, 0, 8, SHARED, ZERO);
	convert(t, 0, 2, PRIVATE, DESTROY);
	convert(t, 4, 8, SHARED, READABLE);
	convert(t, 4, 8, SHARED, READABLE);
	CHECK_REFUSED(t, EINVAL, attrs.size = 1);
	CHECK_REFUSED(t, EOPNOTSUPP, attrs.content_policy = ENCRYPTED);

	TEST_ASSERT_EQ(vm_get_stat(t->vm, gmem_conversions), 4ul);
	TEST_ASSERT_EQ(vm_get_stat(t->vm, gmem_conversions_failed), 2ul);
	TEST_ASSERT_EQ(vm_get_stat(t->vm, gmem_pages_to_shared), 12ul);
	TEST_ASSERT_EQ(vm_get_stat(t->vm, gmem_pages_to_private), 2ul);
	TEST_ASSERT_EQ(vm_get_stat(t->vm, gmem_reference_waits), 0ul);
}

static void *count_in_guest(void *arg)
{
	struct test_vm *t = arg;

	/* It may hit upon a page between two kinds. */
	while (_vcpu_run(t->vcpu)) {
		TEST_ASSERT(errno == EFAULT || errno == EINTR, "KVM_RUN: errno %d", errno);
		if (errno == EFAULT)
			TEST_ASSERT_KVM_EXIT_REASON(t->vcpu, KVM_EXIT_MEMORY_FAULT);
	}
	guest_finish(t);
	return NULL;
}

/* The guest counts in a page, and loses nothing, while the page changes kind. */
TEST_F(in_place, converts_under_a_running_guest)
{
	struct kvm_memory_attributes2 attrs;
	struct test_vm *t = &self->t;
	u64 last = 0, count;
	pthread_t thread;
	int i;

	convert(t, NR_PAGES - 1, 1, SHARED, ZERO);
	guest_set_request(t, GUEST_COUNT, BASE_GPA, 1, 0);
	kvm_pthread_create(&thread, NULL, count_in_guest, t);

	for (i = 0; i < 200; i++) {
		convert(t, 0, 1, SHARED, READABLE);
		count = READ_ONCE(*host_word(t, 0));
		TEST_ASSERT(count >= last, "The count fell from %lu to %lu", last, count);
		last = count;

		do {
			attrs = request(0, 1, PRIVATE, READABLE);
		} while (set_attributes(t, &attrs) && errno == EAGAIN);
		TEST_ASSERT_EQ(attrs.converted, page_size);
	}

	/* It did run. */
	do {
		convert(t, 0, 1, SHARED, READABLE);
	} while (READ_ONCE(*host_word(t, 0)) <= last);

	WRITE_ONCE(*host_word(t, NR_PAGES - 1), 1);
	kvm_pthread_join(thread, NULL);
}

/* ---- a file in no slot, or in several ---- */

FIXTURE(slots)
{
	struct test_vm t;
};

FIXTURE_SETUP(slots)
{
	create_unbound(&self->t);
}

FIXTURE_TEARDOWN(slots)
{
	destroy(&self->t);
}

/* The platform is asked by gfn, and here there is none. */
TEST_F(slots, refuses_what_is_not_bound)
{
	struct kvm_memory_attributes2 attrs = request(2, 4, SHARED, ZERO);
	struct test_vm *t = &self->t;

	TEST_ASSERT_FAILS(set_attributes(t, &attrs), EPERM);
	TEST_ASSERT_EQ(attrs.error_offset, 2 * page_size);

	add_slot(t, BASE_SLOT, BASE_GPA, 0, 4);
	attrs = request(2, 4, SHARED, ZERO);
	TEST_ASSERT_FAILS(set_attributes(t, &attrs), EPERM);
	TEST_ASSERT_EQ(attrs.error_offset, 4 * page_size);
	check_state(t, 0, NR_PAGES, PRIVATE, 0);

	TEST_ASSERT_EQ(convert(t, 2, 2, SHARED, ZERO), 2);
}

/* The file's halves lie crosswise, so that no page's gpa follows its offset. */
TEST_F(slots, converts_over_several)
{
	const u64 half = NR_PAGES / 2;
	struct test_vm *t = &self->t;

	add_slot(t, BASE_SLOT, BASE_GPA + half * page_size, 0, half);
	add_slot(t, BASE_SLOT + 1, BASE_GPA, half, half);

	/* By guest page: 0 is the file's page 8. */
	guest_fill(t, 0, half, 0x88);
	guest_fill(t, half, half, 0x11);

	TEST_ASSERT_EQ(convert(t, half - 2, 4, SHARED, READABLE), 4);
	host_check(t, half - 2, 2, 0x11);
	host_check(t, half, 2, 0x88);
	host_check_sigbus(t, half - 3, 1);
	host_check_sigbus(t, half + 2, 1);

	host_fill(t, half - 2, 4, 0x33);
	guest_check(t, 0, 2, 0x33);
	guest_check(t, NR_PAGES - 2, 2, 0x33);
	guest_check(t, 2, half - 2, 0x88);

	TEST_ASSERT_EQ(convert(t, 0, NR_PAGES, PRIVATE, ZERO), 4);
	guest_check(t, 0, 2, 0);
	guest_check(t, 2, half - 2, 0x88);
	guest_check(t, half, half - 2, 0x11);
	guest_check(t, NR_PAGES - 2, 2, 0);
}

/* ---- each policy in each direction ---- */

FIXTURE(policy)
{
	struct test_vm t;
};

#define WRITTEN			0x77

FIXTURE_VARIANT(policy)
{
	u32 policy;
	u64 attributes;
	/* What is read afterwards of what was WRITTEN. */
	u64 read;
	bool refused;
	bool destroyed;
};

FIXTURE_VARIANT_ADD(policy, zero_to_shared)
{
	.policy = ZERO,
	.attributes = SHARED,
};

FIXTURE_VARIANT_ADD(policy, zero_to_private)
{
	.policy = ZERO,
	.attributes = PRIVATE,
};

FIXTURE_VARIANT_ADD(policy, readable_to_shared)
{
	.policy = READABLE,
	.attributes = SHARED,
	.read = WRITTEN,
};

FIXTURE_VARIANT_ADD(policy, readable_to_private)
{
	.policy = READABLE,
	.attributes = PRIVATE,
	.read = WRITTEN,
};

FIXTURE_VARIANT_ADD(policy, encrypted_to_shared)
{
	.policy = ENCRYPTED,
	.attributes = SHARED,
	.refused = true,
};

FIXTURE_VARIANT_ADD(policy, encrypted_to_private)
{
	.policy = ENCRYPTED,
	.attributes = PRIVATE,
	.refused = true,
};

FIXTURE_VARIANT_ADD(policy, destroy_to_shared)
{
	.policy = DESTROY,
	.attributes = SHARED,
	.destroyed = true,
};

FIXTURE_VARIANT_ADD(policy, destroy_to_private)
{
	.policy = DESTROY,
	.attributes = PRIVATE,
	.destroyed = true,
};

/* Memory of the other kind, written by who owns it. */
FIXTURE_SETUP(policy)
{
	struct test_vm *t = &self->t;

	create(t);
	if (variant->attributes) {
		convert(t, 0, NR_PAGES, SHARED, ZERO);
		host_fill(t, 0, 8, WRITTEN);
	} else {
		guest_fill(t, 0, 8, WRITTEN);
	}
}

FIXTURE_TEARDOWN(policy)
{
	destroy(&self->t);
}

static void check_readable(struct test_vm *t, u64 attributes, u64 page, u64 nr_pages,
			   u64 value)
{
	guest_check(t, page, nr_pages, value);
	if (attributes)
		host_check_sigbus(t, page, nr_pages);
	else
		host_check(t, page, nr_pages, value);
}

TEST_F(policy, keeps_its_promise)
{
	u64 other = variant->attributes ^ PRIVATE;
	struct test_vm *t = &self->t;

	if (variant->refused) {
		struct kvm_memory_attributes2 attrs =
			request(0, 8, variant->attributes, variant->policy);

		TEST_ASSERT_FAILS(set_attributes(t, &attrs), EOPNOTSUPP);
		TEST_ASSERT_EQ(attrs.converted, 0);
		check_state(t, 0, NR_PAGES, other, 0);
		check_readable(t, other, 0, 8, WRITTEN);
		return;
	}

	TEST_ASSERT_EQ(convert(t, 0, 4, variant->attributes, variant->policy), 4);
	check_state(t, 0, 4, variant->attributes,
		    variant->destroyed ? KVM_GMEM_STATE_DESTROYED : 0);
	check_state(t, 4, NR_PAGES - 4, other, 0);

	if (variant->destroyed) {
		host_check_sigbus(t, 0, 4);
		guest_check_faults(t, 0, 0);
		convert(t, 0, 4, variant->attributes, READABLE);
		guest_resume(t);
	}
	check_readable(t, variant->attributes, 0, 4, variant->read);
	guest_fill(t, 0, 4, 0x99);
	check_readable(t, variant->attributes, 0, 4, 0x99);

	/* The pages beside it, and pages that were never there. */
	check_readable(t, other, 4, 4, WRITTEN);
	TEST_ASSERT_EQ(convert(t, 8, 4, variant->attributes, variant->policy), 4);
	if (!variant->destroyed)
		check_readable(t, variant->attributes, 8, 4, 0);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_check_cap(KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES));
#ifdef __x86_64__
	TEST_REQUIRE(kvm_check_cap(KVM_CAP_VM_TYPES) & BIT(VM_TYPE));
#endif

	page_size = getpagesize();

	return test_harness_run(argc, argv);
}
