// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Processes, mappings and system calls around a file.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "env.h"

/* Run @body in a child; its ASSERTs end it, and then this test. */
static void in_child(struct env *env, void (*body)(struct env *env))
{
	int status;
	pid_t pid;

	pid = fork();
	if (pid < 0)
		FAIL("fork: %s", ret_name(-errno));
	if (!pid) {
		body(env);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid)
		FAIL("waitpid: %s", ret_name(-errno));
	if (WIFSIGNALED(status))
		FAIL("the child died of signal %d", WTERMSIG(status));
	if (WEXITSTATUS(status))
		_exit(WEXITSTATUS(status));
}

static void child_sees_both(struct env *env)
{
	ASSERT_HOST_READS(env, 0, 2, 0x100);
	ASSERT_HOST_REFUSED(env, 2);
}

static void child_writes(struct env *env)
{
	host_fill(env, 0, 2, 0x900);
}

KERNEL_TEST(forked_child_sees_conversions)
{
	int go[2], done[2];
	struct env env;
	char byte = 0;
	int status;
	pid_t pid;

	env_open(&env, variant, 4, IN_PLACE_SHARED);
	host_fill(&env, 0, 4, 0x100);
	ASSERT_OK(convert(&env, 2, 2, PRIVATE, ZERO));
	in_child(&env, child_sees_both);
	in_child(&env, child_writes);
	ASSERT_HOST_READS(&env, 0, 2, 0x900);

	/* A child that has the pages mapped while its parent converts. */
	ASSERT(!pipe(go) && !pipe(done));
	pid = fork();
	ASSERT(pid >= 0);
	if (!pid) {
		ASSERT_HOST_READS(&env, 0, 2, 0x900);
		ASSERT_EQ(write(done[1], &byte, 1), 1);
		ASSERT_EQ(read(go[0], &byte, 1), 1);
		ASSERT_HOST_REFUSED(&env, 0);
		ASSERT_HOST_REFUSED(&env, 1);
		_exit(0);
	}
	ASSERT_EQ(read(done[0], &byte, 1), 1);
	ASSERT_OK(convert(&env, 0, 2, PRIVATE, KEEP));
	ASSERT_EQ(write(go[1], &byte, 1), 1);
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		FAIL("the child still reaches private pages");
	ASSERT_GUEST_READS(&env, 0, 2, 0x900);
}

static void child_may_not_convert(struct env *env)
{
	static const uint32_t policies[] = { ZERO, READABLE, DESTROY };

	for (int i = 0; i < 6; i++)
		ASSERT_RET(convert(env, 0, CANVAS_PAGES, i & 1 ? PRIVATE : SHARED,
				   policies[i / 2]), -EIO);
}

/* A process that was handed the file, as a device backend is. */
KERNEL_TEST(foreign_process_may_not_convert)
{
	struct env env;

	env_open(&env, variant, CANVAS_PAGES, IN_PLACE);
	canvas_paint(&env);
	in_child(&env, child_may_not_convert);
	ASSERT_CANVAS(&env);
}

static void child_may_not_punch(struct env *env)
{
	int fd = gmem_file_fd(env->file);

	ASSERT_RET(gmem_file_punch_hole(env->file, 0, CANVAS_PAGES * PAGE), -EIO);
	ASSERT(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, CANVAS_PAGES * PAGE) == -1);
	ASSERT_EQ(errno, EIO);
}

/* Handed a file to map it, a process must not be able to discard its memory. */
KERNEL_TEST(foreign_process_may_not_punch_holes)
{
	struct env env;

	env_open(&env, variant, CANVAS_PAGES, IN_PLACE);
	canvas_paint(&env);
	in_child(&env, child_may_not_punch);
	ASSERT_CANVAS(&env);
}

static void child_maps_again(struct env *env)
{
	void *again;

	ASSERT_OK(gmem_file_map(env->file, 0, 2 * PAGE, &again));
	env->memory = again;
	ASSERT_HOST_READS(env, 0, 1, 0x100);
	ASSERT_HOST_REFUSED(env, 1);
}

KERNEL_TEST(foreign_process_may_map)
{
	struct env env;

	env_open(&env, variant, 2, IN_PLACE_SHARED);
	host_fill(&env, 0, 2, 0x100);
	ASSERT_OK(convert(&env, 1, 1, PRIVATE, KEEP));
	in_child(&env, child_maps_again);
}

TEST(every_mapping_follows)
{
	struct env env, other;
	void *second;

	env_open(&env, variant, 4, IN_PLACE_SHARED);
	ASSERT_OK(gmem_file_map(env.file, 0, 4 * PAGE, &second));
	other = env;
	other.memory = second;
	host_fill(&env, 0, 4, 0x200);
	ASSERT_HOST_READS(&other, 0, 4, 0x200);
	ASSERT_OK(convert(&env, 1, 2, PRIVATE, KEEP));
	ASSERT_HOST_REFUSED(&env, 1);
	ASSERT_HOST_REFUSED(&other, 1);
	ASSERT_HOST_REFUSED(&other, 2);
	ASSERT_HOST_READS(&other, 3, 1, 0x200 + 3 * WORDS);
	ASSERT_OK(convert(&env, 1, 2, SHARED, KEEP));
	ASSERT_HOST_READS(&other, 0, 4, 0x200);
	/* A mapping made while pages are private. */
	ASSERT_OK(convert(&env, 0, 1, PRIVATE, KEEP));
	ASSERT_OK(gmem_file_unmap(env.file, second, 4 * PAGE));
	ASSERT_OK(gmem_file_map(env.file, 0, 4 * PAGE, &second));
	other.memory = second;
	ASSERT_HOST_REFUSED(&other, 0);
	ASSERT_HOST_READS(&other, 1, 3, 0x200 + WORDS);
}

TEST(fault_names_the_right_address)
{
	struct env env;
	void *fault;

	env_open(&env, variant, 3, IN_PLACE);
	ASSERT_OK(convert(&env, 0, 1, SHARED, ZERO));
	ASSERT_OK(convert(&env, 2, 1, SHARED, ZERO));
	for (uint64_t offset = 0; offset < PAGE; offset += 8) {
		unsigned char *addr = addr_of(&env, 1) + offset;

		ASSERT_EQ(try_read(addr, NULL, &fault), SIGBUS);
		ASSERT_EQ((uintptr_t)fault, (uintptr_t)addr);
	}
	ASSERT_OK(try_read(addr_of(&env, 1) - 8, NULL, NULL));
	ASSERT_OK(try_read(addr_of(&env, 2), NULL, NULL));
}

/* What system calls do with a page: from it and into it. */
static void check_system_calls(struct env *env, uint64_t page, int want)
{
	unsigned char *addr = addr_of(env, page);
	int pipe_fds[2], null_fd;
	uint64_t word = 0x77;
	ssize_t ret;

	ASSERT(!pipe(pipe_fds));
	null_fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
	ASSERT(null_fd >= 0);

	ret = write(pipe_fds[1], addr, 8);
	ASSERT_RET(ret < 0 ? -errno : 0, want);
	if (!want)
		ASSERT_EQ(read(pipe_fds[0], &word, 8), 8);
	ASSERT_EQ(write(pipe_fds[1], &word, 8), 8);
	ret = read(pipe_fds[0], addr, 8);
	ASSERT_RET(ret < 0 ? -errno : 0, want);
	ret = read(null_fd, addr + 16, 8);
	ASSERT_RET(ret < 0 ? -errno : 0, want);
	close(null_fd);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

TEST(system_calls_on_private_memory_fail)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	guest_fill(&env, 0, 2, 0x300);
	ASSERT_OK(convert(&env, 2, 1, SHARED, ZERO));
	ASSERT_OK(convert(&env, 3, 1, SHARED, DESTROY));
	check_system_calls(&env, 0, -EFAULT);
	/* Never touched before. */
	check_system_calls(&env, 2, 0);
	check_system_calls(&env, 3, -EFAULT);
	ASSERT_GUEST_READS(&env, 0, 2, 0x300);
	ASSERT_STATE(&env, "ppsd");
}

/* The way of debuggers. */
KERNEL_TEST(proc_mem_does_not_reach_private_memory)
{
	uint64_t word = 0;
	struct env env;
	int fd;

	env_open(&env, variant, 2, IN_PLACE);
	guest_fill(&env, 0, 2, 0x300);
	ASSERT_OK(convert(&env, 1, 1, SHARED, KEEP));
	fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	ASSERT(fd >= 0);
	ASSERT_EQ(pread(fd, &word, 8, (off_t)(uintptr_t)addr_of(&env, 1)), 8);
	ASSERT_EQ(word, 0x300 + WORDS);
	ASSERT(pread(fd, &word, 8, (off_t)(uintptr_t)addr_of(&env, 0)) == -1);
	ASSERT(pwrite(fd, &word, 8, (off_t)(uintptr_t)addr_of(&env, 0)) == -1);
	ASSERT_GUEST_READS(&env, 0, 2, 0x300);
}

KERNEL_TEST(moved_mapping_follows)
{
	struct env env;
	void *moved;

	env_open(&env, variant, 4, IN_PLACE_SHARED);
	host_fill(&env, 0, 4, 0x100);
	moved = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT(moved != MAP_FAILED);
	moved = mremap(env.memory, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		       moved);
	ASSERT(moved != MAP_FAILED);
	env.memory = moved;
	ASSERT_OK(convert(&env, 1, 1, PRIVATE, KEEP));
	ASSERT_HOST_READS(&env, 0, 1, 0x100);
	ASSERT_HOST_REFUSED(&env, 1);
	/* Gone from the page tables, not from the file. */
	ASSERT(!madvise(env.memory, PAGE, MADV_DONTNEED));
	ASSERT_HOST_READS(&env, 0, 1, 0x100);
}

KERNEL_TEST(file_itself_has_no_read_and_write)
{
	char byte = 0;
	struct env env;
	int fd;

	env_open(&env, variant, 1, IN_PLACE_SHARED);
	fd = gmem_file_fd(env.file);
	ASSERT(pread(fd, &byte, 1, 0) == -1);
	ASSERT(pwrite(fd, &byte, 1, 0) == -1);
	ASSERT(ftruncate(fd, 0) == -1);
	ASSERT(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0) ==
	       MAP_FAILED);
	ASSERT_HOST_ZEROS(&env, 0, 1);
}

TEST(punched_hole_keeps_attributes_and_reads_zeros)
{
	struct env env;

	env_open(&env, variant, 6, IN_PLACE_SHARED);
	host_fill(&env, 0, 6, 0x400);
	ASSERT_OK(convert(&env, 2, 2, PRIVATE, KEEP));
	/* Where holes in what it used are for good, it has used the rest. */
	if (!variant->guest_asks)
		ASSERT_GUEST_READS(&env, 1, 2, 0x400 + WORDS);
	ASSERT_GUEST_READS(&env, 0, 1, 0x400);
	ASSERT_GUEST_READS(&env, 3, 3, 0x400 + 3 * WORDS);
	ASSERT_OK(gmem_file_punch_hole(env.file, PAGE, 2 * PAGE));
	ASSERT_STATE(&env, "ssppss");
	ASSERT_HOST_READS(&env, 0, 1, 0x400);
	ASSERT_HOST_ZEROS(&env, 1, 1);
	ASSERT_HOST_REFUSED(&env, 2);
	ASSERT_GUEST_ZEROS(&env, 1, 2);
	ASSERT_GUEST_READS(&env, 3, 3, 0x400 + 3 * WORDS);
	/* No mapping of the old frame is left on either side. */
	host_fill(&env, 1, 1, 0x500);
	ASSERT_GUEST_READS(&env, 1, 1, 0x500);
	guest_fill(&env, 2, 1, 0x600);
	ASSERT_OK(convert(&env, 2, 1, SHARED, KEEP));
	ASSERT_HOST_READS(&env, 2, 1, 0x600);
}

TEST(punched_hole_ends_the_debt_of_zeros)
{
	struct env env;

	env_open(&env, variant, 2, IN_PLACE_SHARED);
	host_fill(&env, 0, 2, 0x700);
	ASSERT_OK(convert(&env, 0, 2, PRIVATE, ZERO));
	ASSERT_OK(gmem_file_punch_hole(env.file, 0, PAGE));
	guest_fill(&env, 0, 1, 0x800);
	ASSERT_OK(convert(&env, 0, 2, SHARED, KEEP));
	ASSERT_HOST_READS(&env, 0, 1, 0x800);
	ASSERT_HOST_ZEROS(&env, 1, 1);
}

/* fallocate() populates, and must not show what lay in the frames before. */
KERNEL_TEST(allocated_pages_read_zeros)
{
	struct env env;

	env_open(&env, variant, 32, IN_PLACE);
	ASSERT(!fallocate(gmem_file_fd(env.file), FALLOC_FL_KEEP_SIZE, 0, 32 * PAGE));
	ASSERT_OK(convert(&env, 0, 16, SHARED, KEEP));
	ASSERT_HOST_ZEROS(&env, 0, 16);
	ASSERT_GUEST_ZEROS(&env, 16, 16);
	ASSERT_OK(convert(&env, 0, 16, PRIVATE, DESTROY));
	ASSERT(!fallocate(gmem_file_fd(env.file), FALLOC_FL_KEEP_SIZE, 0, 16 * PAGE));
	ASSERT_HOST_REFUSED(&env, 0);
	ASSERT_GUEST_REFUSED(&env, 15);
}

/* The mapping holds the file, and the file its binding. */
KERNEL_TEST(closed_file_lives_on_in_its_mapping)
{
	struct gmem_file_options options = {
		.size = sizeof(options), .flags = IN_PLACE_SHARED,
	};
	struct gmem_exit exit = { 0 };
	struct gmem_guest_cmd cmd = {
		.op = GMEM_GUEST_LOAD, .addr = gpa_of(1), .size = 8,
	};
	struct env env;
	uint64_t pages;
	int fd;

	env_open(&env, variant, 4, IN_PLACE_SHARED);
	host_fill(&env, 0, 4, 0x100);
	ASSERT_GUEST_READS(&env, 0, 4, 0x100);
	fd = dup(gmem_file_fd(env.file));
	ASSERT(fd >= 0);
	gmem_file_close(env.file);

	/* By another descriptor of it. */
	ASSERT_OK(gmem_file_adopt(env.vm, &options, fd, &env.file));
	env.slots[0].file = env.file;
	ASSERT_OK(convert_count(&env, 0, 4, PRIVATE, READABLE, &pages));
	ASSERT_EQ(pages, 4);
	ASSERT_GUEST_READS(&env, 0, 4, 0x100);
	ASSERT_HOST_REFUSED(&env, 2);
	ASSERT_OK(convert(&env, 0, 2, SHARED, READABLE));
	gmem_file_close(env.file);
	close(fd);
	ASSERT_HOST_READS(&env, 0, 2, 0x100);
	ASSERT_GUEST_READS(&env, 0, 4, 0x100);

	/* With the last mapping the file goes, and nothing backs the slot. */
	ASSERT(!munmap(env.memory, 4 * PAGE));
	ASSERT_RET(gmem_guest_exec(env_vcpu(&env, 0), &cmd, 1, 0, &exit), -EFAULT);
	ASSERT_EQ(exit.reason, KVM_EXIT_MEMORY_FAULT);
	ASSERT_EQ(exit.memory_fault.gpa, gpa_of(1));
	/* It was shared; what is gone reads as private, to VMs that know of it. */
	ASSERT_EQ(exit.memory_fault.flags, variant->lacks & NEEDS_PRIVATE_FAULTS ?
		  0 : KVM_MEMORY_EXIT_FLAG_PRIVATE);
}

KERNEL_TEST(vm_may_go_before_its_file)
{
	unsigned char *addr;
	struct env env;
	int fd;

	env_open(&env, variant, 2, IN_PLACE_SHARED);
	host_fill(&env, 0, 2, 0x100);
	fd = dup(gmem_file_fd(env.file));
	ASSERT(fd >= 0);
	gmem_file_close(env.file);
	gmem_vm_destroy(env.vm);
	ASSERT_HOST_READS(&env, 0, 2, 0x100);
	addr = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT(addr != MAP_FAILED);
	ASSERT_EQ(*(volatile uint64_t *)addr, 0x100);
}

/* ---- signals ---- */

static void on_signal(int signal)
{
	(void)signal;
}

/* Traced: the parent makes a signal pending between the call and its work. */
static void convert_under_trace(const struct variant *variant)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct kvm_memory_attributes2 args = {
		.size = CANVAS_PAGES * PAGE, .attributes = PRIVATE,
	};
	struct env env;
	long ret;

	sigaction(SIGUSR1, &action, NULL);
	env_open(&env, variant, CANVAS_PAGES, IN_PLACE);
	canvas_paint(&env);
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(99);
	raise(SIGSTOP);
	ret = syscall(SYS_ioctl, gmem_file_fd(env.file), KVM_SET_MEMORY_ATTRIBUTES2,
		      &args);
	ASSERT_RET(ret < 0 ? -errno : ret, -EINTR);
	ASSERT_CANVAS(&env);
	ASSERT_OK(convert(&env, 0, CANVAS_PAGES, PRIVATE, ZERO));
}

KERNEL_TEST(pending_signal_interrupts_and_changes_nothing)
{
	int status, signal;
	pid_t pid;

	pid = fork();
	ASSERT(pid >= 0);
	if (!pid) {
		convert_under_trace(variant);
		_exit(0);
	}
	/* Stopped by itself; then at the entry of raise()'s remains and ioctl. */
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	if (!WIFSTOPPED(status))
		_exit(WEXITSTATUS(status));
	ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)PTRACE_O_TRACESYSGOOD);
	for (;;) {
		struct __ptrace_syscall_info info = { 0 };

		ASSERT(!ptrace(PTRACE_SYSCALL, pid, NULL, NULL));
		ASSERT_EQ(waitpid(pid, &status, 0), pid);
		ASSERT(WIFSTOPPED(status));
		ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof(info), &info);
		if (info.op == PTRACE_SYSCALL_INFO_ENTRY &&
		    info.entry.nr == SYS_ioctl &&
		    info.entry.args[1] == KVM_SET_MEMORY_ATTRIBUTES2)
			break;
	}
	ASSERT(!syscall(SYS_tgkill, pid, pid, SIGUSR1));
	for (signal = 0; !ptrace(PTRACE_CONT, pid, NULL, (void *)(long)signal);) {
		ASSERT_EQ(waitpid(pid, &status, 0), pid);
		if (!WIFSTOPPED(status))
			break;
		signal = WSTOPSIG(status);
	}
	if (WIFSIGNALED(status))
		FAIL("died of signal %d", WTERMSIG(status));
	if (WEXITSTATUS(status))
		_exit(WEXITSTATUS(status));
}

/* ---- 32-bit callers ---- */

#ifdef __x86_64__
/* ioctl() by the 32-bit entry: the kernel treats it as a 32-bit program's. */
static int ioctl32(int fd, unsigned int request, void *arg)
{
	const unsigned int nr_ioctl = 54;
	long ret;

	__asm__ volatile("int $0x80" : "=a"(ret)
			 : "a"(nr_ioctl), "b"(fd), "c"(request),
			   "d"((uint32_t)(uintptr_t)arg)
			 : "memory", "r8", "r9", "r10", "r11");
	return (int)ret;
}

KERNEL_TEST(program_of_32_bits_converts)
{
	struct kvm_memory_attributes2_run *run;
	struct kvm_memory_attributes2 *args;
	struct env env;
	void *low;
	int fd;

	env_open(&env, variant, 4, IN_PLACE_SHARED);
	fd = gmem_file_fd(env.file);
	host_fill(&env, 0, 4, 0x100);
	low = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	ASSERT(low != MAP_FAILED);
	run = low;
	args = (void *)(run + 1);
	if (ioctl32(fd, KVM_GET_MEMORY_ATTRIBUTES2, run) == -ENOSYS)
		SKIP("the kernel has no 32-bit system calls");
	ASSERT_EQ(run->size, 4 * PAGE);

	args->size = 2 * PAGE;
	args->offset = PAGE;
	args->attributes = PRIVATE;
	args->content_policy = READABLE;
	ASSERT_RET(ioctl32(fd, KVM_SET_MEMORY_ATTRIBUTES2, args), 0);
	ASSERT_EQ(args->converted, 2 * PAGE);
	ASSERT_STATE(&env, "spps");
	ASSERT_GUEST_READS(&env, 0, 4, 0x100);
	args->converted = 0;
	args->reserved[8] = 1;
	ASSERT_RET(ioctl32(fd, KVM_SET_MEMORY_ATTRIBUTES2, args), -EINVAL);
	ASSERT_RET(ioctl32(fd, KVM_SET_MEMORY_ATTRIBUTES2, NULL), -EFAULT);
	ASSERT_STATE(&env, "spps");
}
#endif

/* ---- poison ---- */

/*
 * As if the hardware had reported the page.  The caller is told by SIGBUS, since
 * the page is mapped; what the call answers depends on who else has it mapped.
 */
static void poison(struct env *env, uint64_t page)
{
	int ret = try_madvise(addr_of(env, page), PAGE, MADV_HWPOISON);

	if (ret == -EINVAL || ret == -EPERM || ret == -ENOSYS)
		SKIP("MADV_HWPOISON: %s", ret_name(ret));
	if (try_read(addr_of(env, page), NULL, NULL) != SIGBUS)
		FAIL("the page is not poisoned: %s", ret_name(ret));
}

KERNEL_TEST(refuses_poisoned_page)
{
	struct kvm_memory_attributes2 args;
	struct env env;

	env_open(&env, variant, 8, IN_PLACE_SHARED);
	host_fill(&env, 0, 8, 0x100);
	poison(&env, 5);
	args = (struct kvm_memory_attributes2){
		.size = 8 * PAGE, .attributes = PRIVATE,
	};
	ASSERT_RET(gmem_set_memory_attributes2(env.file, &args), -EHWPOISON);
	ASSERT_EQ(args.error_offset, 5 * PAGE);
	ASSERT_STATE(&env, "ssssssss");
	ASSERT_HOST_READS(&env, 0, 5, 0x100);
	ASSERT_HOST_READS(&env, 6, 2, 0x100 + 6 * WORDS);
	/* All but the poisoned page convert. */
	ASSERT_OK(convert(&env, 0, 5, PRIVATE, KEEP));
	ASSERT_OK(convert(&env, 6, 2, PRIVATE, ZERO));
	ASSERT_STATE(&env, "pppppspp");
	ASSERT_GUEST_READS(&env, 0, 5, 0x100);
}

KERNEL_TEST(poisoned_page_kills_nobody_but_its_reader)
{
	struct gmem_guest_cmd cmd = {
		.op = GMEM_GUEST_LOAD, .addr = gpa_of(0), .size = 8,
	};
	struct gmem_exit exit = { 0 };
	struct env env;
	void *fault;

	env_open(&env, variant, 2, IN_PLACE_SHARED);
	host_fill(&env, 0, 2, 0x100);
	poison(&env, 0);
	ASSERT_EQ(try_read(addr_of(&env, 0), NULL, &fault), SIGBUS);
	/* Before the guest shared it, it is no memory of its own either way. */
	ASSERT_RET(gmem_guest_exec(env_vcpu(&env, 0), &cmd, 1, 0, &exit),
		   variant->guest_asks ? -EFAULT : -EHWPOISON);
	ASSERT_RET(gmem_guest_abort(env_vcpu(&env, 0)),
		   variant->guest_asks ? -EPERM : 0);
	ASSERT_HOST_READS(&env, 1, 1, 0x100 + WORDS);
}

/* Somebody writes to it: cured it would be another page. */
KERNEL_TEST(destroy_refuses_poisoned_page_that_is_pinned)
{
	struct kvm_memory_attributes2 args = {
		.size = 4 * PAGE, .attributes = PRIVATE, .content_policy = DESTROY,
	};
	struct env env;
	struct pin pin;

	env_open(&env, variant, 4, IN_PLACE_SHARED);
	host_fill(&env, 0, 4, 0x100);
	pin_pages(&pin, addr_of(&env, 1), PAGE);
	poison(&env, 1);
	ASSERT_RET(gmem_set_memory_attributes2(env.file, &args), -EAGAIN);
	ASSERT_EQ(args.error_offset, PAGE);
	ASSERT_STATE(&env, "ssss");
	unpin_pages(&pin);
	args.error_offset = 0;
	ASSERT_OK(gmem_set_memory_attributes2(env.file, &args));
	ASSERT_STATE(&env, "DDDD");
}

KERNEL_TEST(destroy_cures_poison)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE_SHARED);
	host_fill(&env, 0, 4, 0x100);
	poison(&env, 1);
	ASSERT_OK(convert(&env, 0, 4, PRIVATE, DESTROY));
	ASSERT_STATE(&env, "DDDD");
	ASSERT_OK(convert(&env, 0, 4, SHARED, ZERO));
	ASSERT_HOST_ZEROS(&env, 0, 4);
	host_fill(&env, 0, 4, 0x200);
	ASSERT_GUEST_READS(&env, 0, 4, 0x200);
}
