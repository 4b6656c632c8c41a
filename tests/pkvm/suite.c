// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Tests of protected VMs on the real EL2, by hand-written guest code and KVM's own
 * ioctls: who decides what is shared, and what each call answers.
 */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "pkvm.h"

static const struct variant variants[] = {
	{ .name = "kernel/pkvm", .kernel = true, .guest_asks = true },
};

static const char *begin(const struct variant *variant)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int vm;

	(void)variant;
	if (kvm < 0)
		return "/dev/kvm cannot be opened";
	vm = ioctl(kvm, KVM_CREATE_VM, KVM_VM_TYPE_ARM_PROTECTED | IPA_BITS);
	close(kvm);
	if (vm < 0)
		return "KVM cannot create protected VMs";
	close(vm);
	return NULL;
}

const struct suite suite = {
	.variants = variants,
	.nr_variants = sizeof(variants) / sizeof(variants[0]),
	.begin = begin,
};
