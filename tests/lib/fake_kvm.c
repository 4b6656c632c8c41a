// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * See fake_kvm.h.  What a descriptor is, is known by its number; a device that the
 * library opens is one by the file behind it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../lib/kvm_compat.h"
#include "fake_kvm.h"

#define MAX_FDS		1024
#define FILE_BYTES	(16 * 4096)
#define RUN_BYTES	4096

struct fake_kvm fake_kvm;
static enum fake_kind kinds[MAX_FDS];

void fake_reset(void)
{
	memset(&fake_kvm, 0, sizeof(fake_kvm));
	fake_kvm.present = true;
	fake_kvm.converts = true;
}

static int new_fd(enum fake_kind kind)
{
	int fd = memfd_create("fake", MFD_CLOEXEC);

	if (fd < 0 || fd >= MAX_FDS || ftruncate(fd, FILE_BYTES))
		abort();
	kinds[fd] = kind;
	return fd;
}

int fake_fd(enum fake_kind kind)
{
	return new_fd(kind);
}

bool fake_is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

void fake_close(int fd)
{
	kinds[fd] = FAKE_NOTHING;
	close(fd);
}

static enum fake_kind kind_of(int fd)
{
	struct stat device, st;

	if (fd < 0 || fd >= MAX_FDS || fstat(fd, &st))
		return FAKE_NOTHING;
	if (S_ISCHR(st.st_mode))
		return fake_kvm.present && !stat(FAKE_DEVICE, &device) &&
		       st.st_rdev == device.st_rdev ? FAKE_KVM : FAKE_NOTHING;
	return S_ISREG(st.st_mode) ? kinds[fd] : FAKE_NOTHING;
}

static long create(enum fake_kind kind)
{
	return fake_kvm.create_error ? -fake_kvm.create_error : new_fd(kind);
}

static long check_extension(unsigned long extension)
{
	switch (extension) {
	case KVM_CAP_USER_MEMORY:
	case KVM_CAP_GUEST_MEMFD:
		return 1;
	case KVM_CAP_VM_TYPES:
		return 1 << KVM_X86_DEFAULT_VM | 1 << KVM_X86_SW_PROTECTED_VM;
	case KVM_CAP_EXIT_HYPERCALL:
		return 1 << KVM_HC_MAP_GPA_RANGE;
	case KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES:
		return fake_kvm.converts ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0;
	default:
		return 0;
	}
}

static long device_ioctl(unsigned long request, void *arg)
{
	switch (request) {
	case KVM_GET_API_VERSION:
		return 12;
	case KVM_GET_VCPU_MMAP_SIZE:
		return RUN_BYTES;
	case KVM_CHECK_EXTENSION:
		return check_extension((unsigned long)arg);
	case KVM_CREATE_VM:
		return create(FAKE_VM);
	case KVM_GET_SUPPORTED_CPUID:
		((struct kvm_cpuid2 *)arg)->nent = 0;
		return 0;
	default:
		return -ENOTTY;
	}
}

static long vm_ioctl(unsigned long request, void *arg)
{
	const struct kvm_userspace_memory_region *region = arg;

	switch (request) {
	case KVM_CHECK_EXTENSION:
		return check_extension((unsigned long)arg);
	case KVM_CREATE_VCPU:
		return create(FAKE_VCPU);
	case KVM_CREATE_GUEST_MEMFD:
		return create(FAKE_FILE);
	case KVM_ENABLE_CAP:
		fake_kvm.enabled++;
		return 0;
	case KVM_SET_USER_MEMORY_REGION:
	case KVM_SET_USER_MEMORY_REGION2:
		if (region->memory_size)
			fake_kvm.slots++;
		else
			fake_kvm.slots--;
		return 0;
	case KVM_SET_MEMORY_ATTRIBUTES:
		return 0;
	default:
		return -ENOTTY;
	}
}

static long file_ioctl(unsigned long request, void *arg)
{
	struct kvm_memory_attributes2_run *run = arg;
	struct kvm_memory_attributes2 *args = arg;

	switch (request) {
	case KVM_GET_MEMORY_ATTRIBUTES2:
		if (!run)
			return -EFAULT;
		run->size = FILE_BYTES - run->offset;
		return 0;
	case KVM_SET_MEMORY_ATTRIBUTES2:
		if (!args)
			return -EFAULT;
		fake_kvm.conversions++;
		fake_kvm.last = *args;
		if (fake_kvm.busy) {
			fake_kvm.busy--;
			args->error_offset = args->offset;
			return -EAGAIN;
		}
		if (fake_kvm.convert_error)
			return -fake_kvm.convert_error;
		args->converted = args->size;
		return 0;
	default:
		return -ENOTTY;
	}
}

static long vcpu_ioctl(int fd, unsigned long request, void *arg)
{
	struct kvm_run *run;

	switch (request) {
	case KVM_GET_MP_STATE:
	case KVM_SET_CPUID2:
	case KVM_SET_SREGS:
	case KVM_SET_REGS:
		return 0;
	case KVM_GET_SREGS:
		memset(arg, 0, sizeof(struct kvm_sregs));
		return 0;
	case KVM_RUN:
		run = mmap(NULL, RUN_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		run->exit_reason = KVM_EXIT_HLT;
		munmap(run, RUN_BYTES);
		return 0;
	default:
		return -ENOTTY;
	}
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	long ret;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);

	switch (kind_of(fd)) {
	case FAKE_KVM:
		ret = device_ioctl(request, arg);
		break;
	case FAKE_VM:
		ret = vm_ioctl(request, arg);
		break;
	case FAKE_FILE:
		ret = file_ioctl(request, arg);
		break;
	case FAKE_VCPU:
		ret = vcpu_ioctl(fd, request, arg);
		break;
	default:
		/* A real one: emu's userfaultfd, among others. */
		return (int)syscall(SYS_ioctl, fd, request, arg);
	}
	if (ret >= 0)
		return (int)ret;
	errno = (int)-ret;
	return -1;
}
