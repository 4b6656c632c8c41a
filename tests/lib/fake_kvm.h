/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * A KVM that answers ioctls and does nothing, in the place of the C library's ioctl():
 * its descriptors are ordinary ones.  For what the kernel engine does with them.
 */
#ifndef FAKE_KVM_H
#define FAKE_KVM_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <gmem/gmem.h>

enum fake_kind {
	FAKE_NOTHING,
	FAKE_KVM,
	FAKE_VM,
	FAKE_FILE,
	FAKE_VCPU,
};

struct fake_kvm {
	bool present;		/* FAKE_DEVICE can be opened */
	bool converts;		/* the capability says so */
	int create_error;	/* of VMs, files and vCPUs */
	int convert_error;
	unsigned int busy;	/* conversions that will answer -EAGAIN first */
	unsigned int conversions;
	struct kvm_memory_attributes2 last;
	unsigned int slots;	/* set and not deleted */
	unsigned int enabled;	/* KVM_ENABLE_CAP */
};

extern struct fake_kvm fake_kvm;

/* What to open as the device. */
#define FAKE_DEVICE	"/dev/zero"

void fake_reset(void);
/* A descriptor of that kind that the VMM itself made. */
int fake_fd(enum fake_kind kind);
/* Whether it is still open. */
bool fake_is_open(int fd);
void fake_close(int fd);

#endif /* FAKE_KVM_H */
