// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Conversions that need the guest's request: what stands behind one, and what the
 * VMM gets for everything else.
 */
#include "asking.h"

/* ---- nobody asked ---- */

ASKING_TEST(refuses_unsolicited_conversion)
{
	struct kvm_memory_attributes2 args = { .size = PAGE, .error_offset = 77 };
	struct env env;

	env_open(&env, variant, CANVAS_PAGES, IN_PLACE);
	canvas_paint(&env);
	run_guest_once(&env);
	refuse_all(&env, 0, CANVAS_PAGES);
	/* Also where nothing would change: the map is not looked at. */
	for (uint64_t page = 0; page < CANVAS_PAGES; page++)
		refuse_all(&env, page, 1);
	ASSERT_RET(vmm(&env, 0, 1, SHARED, ENCRYPTED), -EOPNOTSUPP);
	ASSERT_RET(gmem_set_memory_attributes2(env.file, &args), -EPERM);
	ASSERT_EQ(args.error_offset, 0);
	ASSERT_EQ(args.converted, 0);
	ASSERT_CANVAS(&env);
}

ASKING_TEST(vmm_converts_freely_until_the_first_run)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	ASSERT_OK(vmm(&env, 0, 4, SHARED, ZERO));
	host_fill(&env, 0, 4, 0x100);
	ASSERT_OK(vmm(&env, 0, 3, PRIVATE, READABLE));
	ASSERT_OK(vmm(&env, 0, 1, PRIVATE, DESTROY));
	ASSERT_OK(vmm(&env, 0, 1, PRIVATE, ZERO));
	ASSERT_GUEST_ZEROS(&env, 0, 1);
	ASSERT_GUEST_READS(&env, 1, 2, 0x100 + WORDS);
	refuse_all(&env, 0, 4);
	ASSERT_STATE(&env, "ppps");
}

/* What the VMM left shared is not the guest's until the guest says so. */
ASKING_TEST(guest_reaches_shared_memory_once_it_shared_it)
{
	struct gmem_guest_cmd cmd = {
		.op = GMEM_GUEST_LOAD, .addr = gpa_of(1), .size = 8,
	};
	struct gmem_vcpu *vcpu;
	struct gmem_exit exit;
	struct env env;

	env_open(&env, variant, 2, IN_PLACE_SHARED);
	host_fill(&env, 0, 2, 0x100);
	vcpu = env_vcpu(&env, 0);
	ASSERT_RET(gmem_guest_exec(vcpu, &cmd, 1, 0, &exit), -EFAULT);
	ASSERT_EQ(exit.reason, KVM_EXIT_MEMORY_FAULT);
	ASSERT_EQ(exit.memory_fault.gpa, gpa_of(1));
	ASSERT_EQ(exit.memory_fault.flags, KVM_MEMORY_EXIT_FLAG_PRIVATE);
	ASSERT_OK(gmem_guest_share(env_vcpu(&env, 1), gpa_of(0), 2 * PAGE, ZERO));
	run_list(vcpu, &exit);
	ASSERT_EQ(exit.reason, GMEM_EXIT_GUEST_DONE);
	ASSERT_OK(gmem_guest_finish(vcpu, &cmd, 1, NULL));
	ASSERT_EQ(cmd.result, 0x100 + WORDS);
	ASSERT_HOST_READS(&env, 0, 2, 0x100);
}

/* ---- somebody asked for something else ---- */

ASKING_TEST(refuses_what_the_guest_did_not_ask_for)
{
	static const struct {
		uint64_t page, nr;
		uint64_t attributes;
	} wrong[] = {
		{ 1, 4, SHARED }, { 0, 2, SHARED }, { 8, 4, SHARED },	/* address */
		{ 2, 5, SHARED }, { 2, 10, SHARED },			/* size */
		{ 3, 1, SHARED }, { 4, 2, SHARED }, { 3, 3, SHARED },	/* the middle */
		{ 2, 4, PRIVATE }, { 2, 1, PRIVATE }, { 0, 12, PRIVATE },	/* direction */
	};
	static const uint32_t policies[] = { ZERO, READABLE, DESTROY };
	struct env env;

	env_open(&env, variant, 12, IN_PLACE);
	guest_fill(&env, 0, 12, 0x100);
	ask_share(&env, 0, 2, 4);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		for (int p = 0; p < 3; p++)
			ASSERT_RET(vmm(&env, wrong[i].page, wrong[i].nr,
				       wrong[i].attributes, policies[p]), -EPERM);
	}
	ASSERT_STATE(&env, "pppppppppppp");
	ASSERT_HOST_REFUSED(&env, 2);
	/* The request stands. */
	ASSERT_OK(vmm(&env, 2, 4, SHARED, READABLE));
	ASSERT_ANSWER(&env, 0, 0, 0, 4);
	ASSERT_STATE(&env, "ppsssspppppp");
	ASSERT_HOST_READS(&env, 2, 4, 0x100 + 2 * WORDS);
	ASSERT_GUEST_READS(&env, 0, 12, 0x100);
}

/* The exit only informs: nothing that the VMM writes there is looked at. */
ASKING_TEST(forged_exit_makes_no_difference)
{
	struct gmem_exit exit, forged;
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	guest_fill(&env, 0, 4, 0x100);
	exit = ask_part(&env, 0, 1, 1, SHARED, 1);
	forged = exit;
	forged.hypercall.args[0] = gpa_of(0);
	ASSERT_RET(gmem_vcpu_serve_hypercall(env_vcpu(&env, 0), &forged, READABLE),
		   -EPERM);
	forged = exit;
	forged.hypercall.args[1] = 2;
	ASSERT_RET(gmem_vcpu_serve_hypercall(env_vcpu(&env, 0), &forged, READABLE),
		   -EPERM);
	forged = exit;
	forged.hypercall.args[2] = 1u << 4;
	ASSERT_RET(gmem_vcpu_serve_hypercall(env_vcpu(&env, 0), &forged, READABLE),
		   -EPERM);
	ASSERT_STATE(&env, "pppp");
	ASSERT_OK(gmem_vcpu_serve_hypercall(env_vcpu(&env, 0), &exit, READABLE));
	/* Nor is its word taken for what became of it. */
	ASSERT_ANSWER(&env, 0, -EIO, 0, 1);
	ASSERT_STATE(&env, "pspp");
	ASSERT_HOST_READS(&env, 1, 1, 0x100 + WORDS);
}

/* Consecutive in the file, and two places for the guest. */
ASKING_TEST(refuses_range_that_the_guest_has_in_two_places)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	ASSERT_OK(gmem_slot_delete(env.vm, TEST_SLOT));
	ASSERT_OK(bind_slot(&env, 1, gpa_of(0), 2, env.file, 0));
	ASSERT_OK(bind_slot(&env, 2, gpa_of(8), 2, env.file, 2));
	ask_part(&env, 0, 0, 4, SHARED, 2);
	ASSERT_RET(vmm(&env, 0, 4, SHARED, ZERO), -EPERM);
	ASSERT_RET(vmm(&env, 1, 2, SHARED, ZERO), -EPERM);
	ASSERT_STATE(&env, "pppp");
	ASSERT_OK(vmm(&env, 0, 2, SHARED, ZERO));
	/* Nothing is behind the slot. */
	ASSERT_ANSWER(&env, 0, 0, -EINVAL, 2);
	ASSERT_STATE(&env, "sspp");
}

/* ---- a request serves once ---- */

ASKING_TEST(request_serves_once)
{
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	guest_fill(&env, 0, 2, 0x100);
	ask_share(&env, 0, 0, 2);
	ASSERT_OK(vmm(&env, 0, 2, SHARED, READABLE));
	refuse_all(&env, 0, 2);
	ASSERT_ANSWER(&env, 0, 0, 0, 2);
	refuse_all(&env, 0, 2);

	ask_unshare(&env, 0, 0, 2);
	ASSERT_OK(vmm(&env, 0, 2, PRIVATE, READABLE));
	refuse_all(&env, 0, 2);
	ASSERT_ANSWER(&env, 0, 0, 0, 2);
	refuse_all(&env, 0, 2);
	ASSERT_STATE(&env, "pp");
	ASSERT_GUEST_READS(&env, 0, 2, 0x100);
}

/* Asked for what is so already: served, and used up, all the same. */
ASKING_TEST(request_for_what_is_so_serves_once)
{
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	guest_fill(&env, 0, 2, 0x100);
	ask_unshare(&env, 0, 0, 2);
	ASSERT_OK(vmm(&env, 0, 2, PRIVATE, ZERO));
	refuse_all(&env, 0, 2);
	ASSERT_ANSWER(&env, 0, 0, 0, 2);
	ASSERT_GUEST_READS(&env, 0, 2, 0x100);
}

ASKING_TEST(request_is_served_from_its_front)
{
	struct env env;

	env_open(&env, variant, 8, IN_PLACE);
	guest_fill(&env, 0, 8, 0x100);
	ask_share(&env, 0, 1, 6);
	ASSERT_OK(vmm(&env, 1, 2, SHARED, READABLE));
	ASSERT_RET(vmm(&env, 1, 2, SHARED, READABLE), -EPERM);
	ASSERT_RET(vmm(&env, 2, 2, SHARED, READABLE), -EPERM);
	ASSERT_RET(vmm(&env, 4, 1, SHARED, READABLE), -EPERM);
	ASSERT_RET(vmm(&env, 3, 5, SHARED, READABLE), -EPERM);
	ASSERT_STATE(&env, "pssppppp");
	ASSERT_OK(vmm(&env, 3, 3, SHARED, READABLE));
	ASSERT_OK(vmm(&env, 6, 1, SHARED, READABLE));
	refuse_all(&env, 6, 1);
	ASSERT_ANSWER(&env, 0, 0, 0, 6);
	ASSERT_STATE(&env, "pssssssp");
	ASSERT_HOST_READS(&env, 1, 6, 0x100 + WORDS);
}

/* A conversion that fails leaves the request as it was. */
ASKING_TEST(failed_conversion_keeps_the_request)
{
	struct env env;
	struct pin pin;

	env_open(&env, variant, 4, IN_PLACE_SHARED);
	host_fill(&env, 0, 4, 0x100);
	pin_pages(&pin, addr_of(&env, 2), PAGE);
	ask_unshare(&env, 0, 0, 4);
	for (int i = 0; i < 3; i++)
		ASSERT_RET(vmm(&env, 0, 4, PRIVATE, READABLE), -EAGAIN);
	ASSERT_RET(vmm(&env, 0, 4, PRIVATE, ENCRYPTED), -EOPNOTSUPP);
	ASSERT_STATE(&env, "ssss");
	unpin_pages(&pin);
	ASSERT_OK(vmm(&env, 0, 4, PRIVATE, READABLE));
	ASSERT_ANSWER(&env, 0, 0, 0, 4);
	ASSERT_GUEST_READS(&env, 0, 4, 0x100);
}
