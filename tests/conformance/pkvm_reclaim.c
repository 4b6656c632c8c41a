// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Opt-in for VMs whose guest has to ask: an unsolicited ZERO or DESTROY takes pages
 * from the guest by force.
 */
#include <sys/ioctl.h>

#include <gmem/emu.h>
#include "../../lib/kvm_compat.h"
#include "asking.h"

static int allow_reclaim(struct env *env, uint64_t value)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_GUEST_MEMFD_CONTENT_POLICIES, .args = { value },
	};

	if (!env->variant->kernel)
		return gmem_emu_set_property(env->vm, GMEM_EMU_DESTRUCTIVE_RECLAIM,
					     value);
	return ioctl(gmem_vm_fd(env->vm), KVM_ENABLE_CAP, &cap) ? -errno : 0;
}

/* What nothing is said of has to be 0. */
TEST_WITH(reclaim_takes_no_other_arguments, NEEDS_KERNEL | NEEDS_ASKING, 0)
{
	struct kvm_enable_cap cap;
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	for (int i = 0; i < 4; i++) {
		cap = (struct kvm_enable_cap){
			.cap = KVM_CAP_GUEST_MEMFD_CONTENT_POLICIES, .args = { 1 },
		};
		if (i)
			cap.args[i] = 1;
		else
			cap.flags = 1;
		ASSERT(ioctl(gmem_vm_fd(env.vm), KVM_ENABLE_CAP, &cap) && errno == EINVAL);
	}
	guest_fill(&env, 0, 2, 0x100);
	ASSERT_RET(vmm(&env, 0, 2, SHARED, ZERO), -EPERM);
}

KERNEL_TEST(reclaim_is_found_by_asking_for_nothing)
{
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	ASSERT_RET(allow_reclaim(&env, 0), variant->guest_asks ? 0 : -EINVAL);
	ASSERT_RET(allow_reclaim(&env, 1), variant->guest_asks ? 0 : -EINVAL);
}

ASKING_TEST(reclaim_is_allowed_before_the_first_run)
{
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	ASSERT_RET(allow_reclaim(&env, 2), -EINVAL);
	ASSERT_OK(allow_reclaim(&env, 1));
	ASSERT_OK(allow_reclaim(&env, 0));
	guest_fill(&env, 0, 2, 0x100);
	ASSERT_RET(allow_reclaim(&env, 1), -EBUSY);
	/* And is off. */
	ASSERT_RET(vmm(&env, 0, 2, SHARED, ZERO), -EPERM);
	ASSERT_RET(vmm(&env, 0, 2, PRIVATE, DESTROY), -EPERM);
	ASSERT_GUEST_READS(&env, 0, 2, 0x100);
}

ASKING_TEST(reclaims_by_force_where_allowed)
{
	struct env env;

	env_open(&env, variant, 8, IN_PLACE);
	ASSERT_OK(allow_reclaim(&env, 1));
	guest_fill(&env, 0, 7, 0x100);
	ASSERT_OK(gmem_guest_share(env_vcpu(&env, 0), gpa_of(4), 2 * PAGE, READABLE));
	ASSERT_HOST_READS(&env, 4, 2, 0x100 + 4 * WORDS);

	/* Contents are never to be had that way. */
	ASSERT_RET(vmm(&env, 0, 8, SHARED, READABLE), -EPERM);
	ASSERT_RET(vmm(&env, 4, 2, PRIVATE, READABLE), -EPERM);
	ASSERT_OK(vmm(&env, 0, 2, SHARED, ZERO));
	ASSERT_OK(vmm(&env, 2, 1, SHARED, DESTROY));
	ASSERT_OK(vmm(&env, 4, 1, PRIVATE, ZERO));
	ASSERT_OK(vmm(&env, 5, 1, PRIVATE, DESTROY));
	ASSERT_STATE(&env, "ssdppDpp");
	ASSERT_HOST_ZEROS(&env, 0, 2);
	ASSERT_HOST_REFUSED(&env, 2);
	ASSERT_HOST_REFUSED(&env, 4);
	ASSERT_GUEST_REFUSED(&env, 0);
	ASSERT_GUEST_REFUSED(&env, 2);
	ASSERT_GUEST_REFUSED(&env, 4);
	ASSERT_GUEST_READS(&env, 3, 1, 0x100 + 3 * WORDS);
	ASSERT_GUEST_READS(&env, 6, 1, 0x100 + 6 * WORDS);

	/* For good. */
	host_fill(&env, 0, 1, 0x200);
	ASSERT_RET(vmm(&env, 0, 1, PRIVATE, ZERO), -EHWPOISON);
	ASSERT_RET(vmm(&env, 2, 1, SHARED, ZERO), -EHWPOISON);
	ASSERT_RET(vmm(&env, 4, 1, SHARED, ZERO), -EHWPOISON);
	ASSERT_OK(vmm(&env, 0, 1, SHARED, DESTROY));
	ASSERT_STATE(&env, "dsdppDpp");

	/* What the guest never used it does not lose. */
	ASSERT_OK(vmm(&env, 7, 1, SHARED, ZERO));
	ASSERT_HOST_ZEROS(&env, 7, 1);
	ASSERT_OK(vmm(&env, 7, 1, PRIVATE, ZERO));
	ASSERT_GUEST_ZEROS(&env, 7, 1);
}

/* The guest's own requests keep their meaning. */
ASKING_TEST(reclaim_leaves_requests_alone)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	ASSERT_OK(allow_reclaim(&env, 1));
	guest_fill(&env, 0, 4, 0x100);
	ASSERT_OK(convert(&env, 0, 4, SHARED, ZERO));
	ASSERT_HOST_ZEROS(&env, 0, 4);
	host_fill(&env, 0, 4, 0x200);
	ASSERT_GUEST_READS(&env, 0, 4, 0x200);
	ASSERT_OK(convert(&env, 0, 4, PRIVATE, ZERO));
	ASSERT_GUEST_ZEROS(&env, 0, 4);
}
