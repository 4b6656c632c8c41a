// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The two platforms without hardware or firmware behind guest_memfd.
 *
 * sw: KVM_X86_SW_PROTECTED_VM, Documentation/virt/kvm/api.rst, KVM_CREATE_VM.
 * Whether an access by the guest is private follows the attribute, so there is no
 * wrong kind; the bytes are the same for both sides; a conversion takes nothing
 * but guest_memfd's own work.  It is what the hooks that are NULL do.
 *
 * default: an ordinary VM.  No private memory, no conversions.
 */
#include <gmem/gmem.h>

#include "platform_ops.h"

const struct emu_platform_ops emu_platform_sw = {
	.name = "sw",
	.platform = GMEM_VM_SW,
	.policies = GMEM_PLATFORM_SW,
	.private_memory = true,
};

const struct emu_platform_ops emu_platform_default = {
	.name = "default",
	.platform = GMEM_VM_DEFAULT,
};
