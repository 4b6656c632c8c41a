// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Conversions that need the guest's request: what the VMM may do with it, and what
 * it gets for everything else.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

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
	ask(&env, 0, 1, 1, SHARED, &exit);
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
	struct gmem_guest_cmd cmd;
	struct gmem_exit exit;
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	ASSERT_OK(gmem_slot_delete(env.vm, TEST_SLOT));
	ASSERT_OK(bind_slot(&env, 1, gpa_of(0), 2, env.file, 0));
	ASSERT_OK(bind_slot(&env, 2, gpa_of(8), 2, env.file, 2));
	cmd = convert_cmd(0, 4, SHARED);
	ASSERT_OK(gmem_guest_start(env_vcpu(&env, 0), &cmd, 1, 1));
	run_list(env_vcpu(&env, 0), &exit);
	ASSERT_EQ(exit.reason, KVM_EXIT_HYPERCALL);
	ASSERT_RET(vmm(&env, 0, 4, SHARED, ZERO), -EPERM);
	ASSERT_RET(vmm(&env, 1, 2, SHARED, ZERO), -EPERM);
	ASSERT_STATE(&env, "pppp");
	ASSERT_OK(vmm(&env, 0, 2, SHARED, ZERO));
	/* Nothing is behind the slot. */
	ASSERT_ANSWER(&env, 0, 0, -EPERM, 2);
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

/* ---- the VMM does less than it was asked ---- */

ASKING_TEST(guest_learns_how_much_was_done)
{
	struct env env;

	env_open(&env, variant, 8, IN_PLACE);
	guest_fill(&env, 0, 8, 0x100);
	ask_share(&env, 0, 0, 6);
	ASSERT_OK(vmm(&env, 0, 4, SHARED, READABLE));
	ASSERT_ANSWER(&env, 0, 0, -EPERM, 4);
	ASSERT_STATE(&env, "sssspppp");
	ASSERT_HOST_READS(&env, 0, 4, 0x100);
	/* The rest was taken back, from EL2 and from the VMM. */
	refuse_all(&env, 4, 2);
	ASSERT_GUEST_READS(&env, 0, 8, 0x100);

	ask_unshare(&env, 0, 0, 6);
	ASSERT_OK(vmm(&env, 0, 1, PRIVATE, READABLE));
	ASSERT_ANSWER(&env, 0, -EIO, -EIO, 1);
	ASSERT_STATE(&env, "pssspppp");
	refuse_all(&env, 1, 3);
	ASSERT_HOST_READS(&env, 1, 3, 0x100 + WORDS);
	ASSERT_GUEST_READS(&env, 0, 8, 0x100);
}

ASKING_TEST(vmm_declines)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	guest_fill(&env, 0, 4, 0x100);
	ask_share(&env, 0, 0, 2);
	ASSERT_ANSWER(&env, 0, -EACCES, -EACCES, 0);
	ASSERT_STATE(&env, "pppp");
	refuse_all(&env, 0, 2);
	ASSERT_HOST_REFUSED(&env, 0);

	ASSERT_OK(gmem_guest_share(env_vcpu(&env, 0), gpa_of(2), 2 * PAGE, READABLE));
	ask_unshare(&env, 0, 2, 2);
	ASSERT_ANSWER(&env, 0, -EACCES, -EACCES, 0);
	ASSERT_STATE(&env, "ppss");
	refuse_all(&env, 2, 2);
	ASSERT_HOST_READS(&env, 2, 2, 0x100 + 2 * WORDS);
	ASSERT_GUEST_READS(&env, 0, 4, 0x100);
}

/* "Done", it says, and did nothing. */
ASKING_TEST(reentry_without_conversion_ends_the_request)
{
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	guest_fill(&env, 0, 2, 0x100);
	for (int i = 0; i < 3; i++) {
		ask_share(&env, 0, 0, 2);
		ASSERT_ANSWER(&env, 0, 0, -EPERM, 0);
		refuse_all(&env, 0, 2);
	}
	ASSERT_STATE(&env, "pp");
	ASSERT_GUEST_READS(&env, 0, 2, 0x100);
	ASSERT_OK(gmem_guest_share(env_vcpu(&env, 0), gpa_of(0), 2 * PAGE, READABLE));
	ask_unshare(&env, 0, 0, 2);
	ASSERT_ANSWER(&env, 0, 0, -EPERM, 0);
	ASSERT_STATE(&env, "ss");
	ASSERT_HOST_READS(&env, 0, 2, 0x100);
}

static void on_tick(int signal)
{
	(void)signal;
}

/* Interrupt whatever this thread does, every @us microseconds; 0: no more. */
static void tick(long us)
{
	struct itimerval every = { .it_interval.tv_usec = us, .it_value.tv_usec = us };
	struct sigaction action = { .sa_handler = on_tick };

	ASSERT_OK(sigaction(SIGALRM, &action, NULL));
	ASSERT_OK(setitimer(ITIMER_REAL, &every, NULL));
}

/* Each interruption costs the rest of its turn, and not what was done before. */
ASKING_TEST(request_gets_ahead_under_signals)
{
	const uint64_t nr = 4096;
	struct gmem_guest_cmd cmd = convert_cmd(0, nr, SHARED);
	unsigned int interruptions;
	struct gmem_vcpu *vcpu;
	struct gmem_exit exit;
	struct env env;

	env_open(&env, variant, nr, IN_PLACE);
	run_guest_once(&env);
	vcpu = env_vcpu(&env, 0);
	ASSERT_OK(gmem_guest_start(vcpu, &cmd, 1, 1));
	tick(1000);
	interruptions = run_list(vcpu, &exit);
	tick(0);
	ASSERT_EQ(exit.reason, KVM_EXIT_HYPERCALL);
	ASSERT_OK(vmm(&env, 0, nr, SHARED, ZERO));
	ASSERT_OK(gmem_vcpu_complete_hypercall(vcpu, 0));
	tick(1000);
	interruptions += run_list(vcpu, &exit);
	tick(0);
	ASSERT_EQ(exit.reason, GMEM_EXIT_GUEST_DONE);
	ASSERT_OK(gmem_guest_finish(vcpu, &cmd, 1, NULL));
	ASSERT_EQ(cmd.result, nr);
	/* emu is done before the first tick. */
	ASSERT(interruptions || variant->engine == GMEM_ENGINE_EMU);
	ASSERT_HOST_ZEROS(&env, 0, 1);
	ASSERT_HOST_ZEROS(&env, nr - 1, 1);
}

/* Converted, and the vCPU left where it is for now. */
ASKING_TEST(conversion_takes_effect_before_reentry)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	guest_fill(&env, 0, 4, 0x100);
	ask_share(&env, 1, 0, 4);
	ASSERT_OK(vmm(&env, 0, 4, SHARED, READABLE));
	ASSERT_HOST_READS(&env, 0, 4, 0x100);
	host_fill(&env, 0, 4, 0x200);
	ASSERT_GUEST_READS(&env, 0, 4, 0x200);
	/* The other vCPU takes half of it back meanwhile. */
	ASSERT_OK(gmem_guest_unshare(env_vcpu(&env, 0), gpa_of(2), 2 * PAGE, READABLE));
	ASSERT_STATE(&env, "sspp");
	ASSERT_ANSWER(&env, 1, 0, -EPERM, 2);
	ASSERT_GUEST_READS(&env, 0, 4, 0x200);
}

ASKING_TEST(guest_shares_memory_it_never_touched)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	ask_share(&env, 0, 0, 4);
	ASSERT_OK(vmm(&env, 0, 2, SHARED, READABLE));
	ASSERT_OK(vmm(&env, 2, 2, SHARED, ZERO));
	ASSERT_ANSWER(&env, 0, 0, 0, 4);
	ASSERT_HOST_ZEROS(&env, 0, 4);
	host_fill(&env, 0, 4, 0x300);
	ASSERT_GUEST_READS(&env, 0, 4, 0x300);
}

/* The VMM's to refuse; no answer of its makes the guest believe that it is shared. */
ASKING_TEST(guest_shares_memory_it_does_not_have)
{
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	guest_fill(&env, 0, 2, 0x100);
	ask_share(&env, 0, 100, 2);
	refuse_all(&env, 0, 2);
	ASSERT_ANSWER(&env, 0, -ENXIO, -ENXIO, 0);
	ask_share(&env, 0, 100, 2);
	ASSERT_ANSWER(&env, 0, 0, -EPERM, 0);
	ask_unshare(&env, 0, 100, 2);
	ASSERT_ANSWER(&env, 0, 0, -EPERM, 0);
	/* It has the first page only. */
	ask_share(&env, 0, 1, 2);
	ASSERT_OK(vmm(&env, 1, 1, SHARED, READABLE));
	ASSERT_ANSWER(&env, 0, 0, -EPERM, 1);
	ASSERT_STATE(&env, "ps");
	ASSERT_HOST_READS(&env, 1, 1, 0x100 + WORDS);
	ASSERT_GUEST_READS(&env, 0, 2, 0x100);
}

/* EL2 can share it only once it is converted; nobody asks the guest again. */
ASKING_TEST(guest_shares_memory_destroyed_before_it_ran)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	ASSERT_OK(vmm(&env, 1, 2, PRIVATE, DESTROY));
	guest_fill(&env, 0, 1, 0x100);
	ask_share(&env, 0, 0, 4);
	ASSERT_OK(vmm(&env, 0, 4, SHARED, READABLE));
	ASSERT_ANSWER(&env, 0, 0, 0, 4);
	ASSERT_STATE(&env, "ssss");
	ASSERT_HOST_READS(&env, 0, 1, 0x100);
	ASSERT_HOST_ZEROS(&env, 1, 3);
	host_fill(&env, 0, 4, 0x200);
	ASSERT_OK(gmem_guest_check(env_vcpu(&env, 0), gpa_of(0), 4 * PAGE, 0x200, 1));
}

/* ---- vCPUs ---- */

ASKING_TEST(two_vcpus_ask_at_once)
{
	struct env env;

	env_open(&env, variant, 8, IN_PLACE);
	guest_fill(&env, 0, 8, 0x100);
	ASSERT_OK(gmem_guest_share(env_vcpu(&env, 0), gpa_of(4), 4 * PAGE, READABLE));
	ask_share(&env, 0, 0, 2);
	ask_unshare(&env, 1, 4, 2);
	/* Neither lends its direction to the other. */
	ASSERT_RET(vmm(&env, 0, 2, PRIVATE, READABLE), -EPERM);
	ASSERT_RET(vmm(&env, 4, 2, SHARED, READABLE), -EPERM);
	ASSERT_OK(vmm(&env, 4, 2, PRIVATE, READABLE));
	ASSERT_OK(vmm(&env, 0, 2, SHARED, READABLE));
	ASSERT_ANSWER(&env, 0, 0, 0, 2);
	ASSERT_ANSWER(&env, 1, 0, 0, 2);
	ASSERT_STATE(&env, "ssppppss");
	ASSERT_GUEST_READS(&env, 0, 8, 0x100);
}

ASKING_TEST(two_vcpus_ask_for_overlapping_memory)
{
	struct env env;

	env_open(&env, variant, 6, IN_PLACE);
	guest_fill(&env, 0, 6, 0x100);
	ask_share(&env, 0, 0, 4);
	ask_share(&env, 1, 2, 4);
	/* Neither asked for both. */
	ASSERT_RET(vmm(&env, 0, 6, SHARED, READABLE), -EPERM);
	ASSERT_OK(vmm(&env, 2, 4, SHARED, READABLE));
	ASSERT_OK(vmm(&env, 0, 4, SHARED, READABLE));
	refuse_all(&env, 0, 4);
	refuse_all(&env, 2, 4);
	ASSERT_ANSWER(&env, 0, 0, 0, 4);
	ASSERT_ANSWER(&env, 1, 0, 0, 4);
	ASSERT_STATE(&env, "ssssss");
	ASSERT_HOST_READS(&env, 0, 6, 0x100);

	/* The same for both: two requests, each served once. */
	ask_unshare(&env, 0, 0, 6);
	ask_unshare(&env, 1, 0, 6);
	ASSERT_OK(vmm(&env, 0, 6, PRIVATE, READABLE));
	ASSERT_OK(vmm(&env, 0, 6, PRIVATE, READABLE));
	refuse_all(&env, 0, 6);
	ASSERT_ANSWER(&env, 0, 0, 0, 6);
	ASSERT_ANSWER(&env, 1, 0, 0, 6);
	ASSERT_GUEST_READS(&env, 0, 6, 0x100);
}

/* Else the longer one lost its front, and nobody could serve it as a whole. */
ASKING_TEST(shortest_of_two_requests_serves)
{
	struct env env;

	env_open(&env, variant, 6, IN_PLACE);
	guest_fill(&env, 0, 6, 0x100);
	for (unsigned int longer = 0; longer < 2; longer++) {
		ask_share(&env, longer, 0, 6);
		ask_share(&env, !longer, 0, 2);
		ASSERT_OK(vmm(&env, 0, 2, SHARED, READABLE));
		ASSERT_OK(vmm(&env, 0, 6, SHARED, READABLE));
		refuse_all(&env, 0, 6);
		ASSERT_ANSWER(&env, !longer, 0, 0, 2);
		ASSERT_ANSWER(&env, longer, 0, 0, 6);
		ASSERT_OK(gmem_guest_unshare(env_vcpu(&env, 0), gpa_of(0), 6 * PAGE,
					     READABLE));
	}
	ASSERT_GUEST_READS(&env, 0, 6, 0x100);
}

/*
 * One of two shares of the same page is over, and took it from the host again.  The
 * other request still stands in its vCPU, but EL2 would not let the host in.
 */
ASKING_TEST(refuses_share_that_another_vcpu_took_back)
{
	struct env env;

	env_open(&env, variant, 6, IN_PLACE);
	guest_fill(&env, 0, 6, 0x100);
	ask_share(&env, 0, 0, 4);
	ask_share(&env, 1, 2, 4);
	ASSERT_ANSWER(&env, 0, -EACCES, -EACCES, 0);
	ASSERT_RET(vmm(&env, 2, 4, SHARED, ZERO), -EPERM);
	ASSERT_RET(vmm(&env, 2, 4, SHARED, READABLE), -EPERM);
	ASSERT_STATE(&env, "pppppp");
	ASSERT_HOST_REFUSED(&env, 2);
	ASSERT_ANSWER(&env, 1, 0, -EPERM, 0);
	ASSERT_GUEST_READS(&env, 0, 6, 0x100);
	ASSERT_OK(gmem_guest_share(env_vcpu(&env, 1), gpa_of(2), 4 * PAGE, READABLE));
	ASSERT_HOST_READS(&env, 2, 4, 0x100 + 2 * WORDS);
}

/* vCPUs live as long as the VM, and what the guest asked for does, too. */
ASKING_TEST(request_outlives_the_vcpus_handle)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	guest_fill(&env, 0, 4, 0x100);
	ask_share(&env, 1, 0, 2);
	gmem_vcpu_destroy(env_vcpu(&env, 1));
	env.vcpus[1] = NULL;
	ASSERT_RET(vmm(&env, 1, 2, SHARED, READABLE), -EPERM);
	ASSERT_OK(vmm(&env, 0, 2, SHARED, READABLE));
	refuse_all(&env, 0, 2);
	ASSERT_STATE(&env, "sspp");
	ASSERT_HOST_READS(&env, 0, 2, 0x100);
	ASSERT_GUEST_READS(&env, 0, 4, 0x100);
}

/* Or it could set one up to ask for what the guest never wanted. */
ASKING_TEST(vmm_cannot_reset_vcpus)
{
	struct gmem_guest_cmd cmd = convert_cmd(0, 2, SHARED);
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	guest_fill(&env, 0, 2, 0x100);
	ASSERT_RET(gmem_guest_abort(env_vcpu(&env, 0)), -EPERM);
	/* Not even one that has not run. */
	ASSERT_RET(gmem_guest_abort(env_vcpu(&env, 1)), -EPERM);
	ASSERT_RET(vmm(&env, 0, 2, SHARED, READABLE), -EPERM);

	ask_share(&env, 0, 0, 2);
	ASSERT_RET(gmem_guest_abort(env_vcpu(&env, 0)), -EPERM);
	ASSERT_RET(gmem_guest_start(env_vcpu(&env, 0), &cmd, 1, 1), -EBUSY);
	ASSERT_OK(vmm(&env, 0, 2, SHARED, READABLE));
	ASSERT_ANSWER(&env, 0, 0, 0, 2);
	ASSERT_HOST_READS(&env, 0, 2, 0x100);
}

/* ---- what was taken does not come back ---- */

ASKING_TEST(destroyed_memory_is_lost_for_good)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	guest_fill(&env, 0, 4, 0x100);
	ask_share(&env, 0, 0, 3);
	ASSERT_OK(vmm(&env, 0, 1, SHARED, READABLE));
	ASSERT_OK(vmm(&env, 1, 2, SHARED, DESTROY));
	/* The first page is shared. */
	ASSERT_ANSWER(&env, 0, 0, -EHWPOISON, 1);
	ASSERT_STATE(&env, "sddp");
	ASSERT_HOST_READS(&env, 0, 1, 0x100);
	ASSERT_HOST_REFUSED(&env, 1);
	ASSERT_GUEST_REFUSED(&env, 1);
	refuse_all(&env, 1, 2);

	/* EL2 refuses to share it, the host to make it private. */
	ASSERT_RET(ask_in_vain(&env, 0, 0, 3, SHARED), -EHWPOISON);
	ASSERT_STATE(&env, "sddp");
	refuse_all(&env, 0, 3);
	ask_unshare(&env, 0, 1, 2);
	ASSERT_RET(vmm(&env, 1, 2, PRIVATE, ZERO), -EHWPOISON);
	ASSERT_RET(vmm(&env, 1, 2, PRIVATE, READABLE), -EHWPOISON);
	ASSERT_STATE(&env, "sddp");
	/* To destroy it once more is all that is left. */
	ASSERT_OK(vmm(&env, 1, 2, PRIVATE, DESTROY));
	ASSERT_ANSWER(&env, 0, 0, -EHWPOISON, 0);
	ASSERT_STATE(&env, "sDDp");
	ASSERT_GUEST_READS(&env, 0, 1, 0x100);
	ASSERT_GUEST_READS(&env, 3, 1, 0x100 + 3 * WORDS);
}

/* The VMM may free what it pays for; it does not get at what was there. */
ASKING_TEST(hole_under_the_guest_is_lost_for_good)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	guest_fill(&env, 0, 4, 0x100);
	ASSERT_OK(gmem_guest_share(env_vcpu(&env, 0), gpa_of(2), 2 * PAGE, READABLE));
	ASSERT_OK(gmem_file_punch_hole(env.file, PAGE, 2 * PAGE));
	ASSERT_STATE(&env, "ppss");
	ASSERT_GUEST_READS(&env, 0, 1, 0x100);
	ASSERT_GUEST_READS(&env, 3, 1, 0x100 + 3 * WORDS);
	ASSERT_GUEST_REFUSED(&env, 1);
	ASSERT_GUEST_REFUSED(&env, 2);
	ASSERT_HOST_REFUSED(&env, 1);
	ASSERT_HOST_ZEROS(&env, 2, 1);
	host_fill(&env, 2, 1, 0x200);
	ASSERT_RET(ask_in_vain(&env, 0, 1, 1, SHARED), -EHWPOISON);
	ask_unshare(&env, 0, 2, 2);
	ASSERT_RET(vmm(&env, 2, 2, PRIVATE, READABLE), -EHWPOISON);
	ASSERT_ANSWER(&env, 0, 0, -EHWPOISON, 0);
	ASSERT_STATE(&env, "ppss");
	ASSERT_HOST_READS(&env, 2, 1, 0x200);
}

/* ---- the end ---- */

ASKING_TEST(teardown_with_shared_memory_and_requests)
{
	struct env env;

	for (int i = 0; i < 8; i++) {
		env_open(&env, variant, 4, i & 1 ? IN_PLACE : IN_PLACE_SHARED);
		if (i & 1)
			guest_fill(&env, 0, 2, 0x100);
		ASSERT_OK(gmem_guest_share(env_vcpu(&env, 0), gpa_of(0), 2 * PAGE, ZERO));
		ask_share(&env, 0, 2, 2);
		ask_unshare(&env, 1, 0, 1);
		if (i & 2)
			ASSERT_OK(vmm(&env, 2, 1, SHARED, READABLE));
		if (i & 4) {
			gmem_file_unmap(env.file, env.memory, 4 * PAGE);
			gmem_file_close(env.file);
		}
		for (unsigned int id = 0; id < NR_ALL_VCPUS; id++)
			gmem_vcpu_destroy(env.vcpus[id]);
		if (!(i & 4)) {
			ASSERT_OK(vmm(&env, 0, 1, PRIVATE, ZERO));
			gmem_file_unmap(env.file, env.memory, 4 * PAGE);
			gmem_file_close(env.file);
		}
		gmem_vm_destroy(env.vm);
		gmem_engine_close(env.engine);
	}
}

/* The file goes while a request for it waits. */
ASKING_TEST(guest_is_told_that_its_file_is_gone)
{
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	guest_fill(&env, 0, 2, 0x100);
	ask_share(&env, 0, 0, 2);
	gmem_file_unmap(env.file, env.memory, 2 * PAGE);
	gmem_file_close(env.file);
	ASSERT_ANSWER(&env, 0, 0, -EPERM, 0);
}

ASKING_TEST(guest_shares_memory_of_a_file_that_is_gone)
{
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	run_guest_once(&env);
	gmem_file_unmap(env.file, env.memory, 2 * PAGE);
	gmem_file_close(env.file);
	ask_share(&env, 0, 0, 2);
	ASSERT_ANSWER(&env, 0, 0, -EPERM, 0);
}

/* ---- races ---- */

#define ROUNDS	300

struct answering {
	pthread_t thread;
	struct env *env;
	unsigned int id;
	int64_t ret;
	int status;
	uint64_t done;
};

static void *answer_soon(void *opaque)
{
	struct answering *self = opaque;

	self->status = answer(self->env, self->id, self->ret, &self->done);
	return NULL;
}

/* Either the conversion comes first, or the end of the request. */
ASKING_TEST(reentry_races_with_conversion)
{
	uint64_t at = PRIVATE;
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	guest_fill(&env, 0, 4, 0x100);
	for (int i = 0; i < ROUNDS; i++) {
		struct answering answering = { .env = &env };
		uint64_t to = at ^ PRIVATE;
		int ret;

		if (to)
			ask_unshare(&env, 0, 0, 4);
		else
			ask_share(&env, 0, 0, 4);
		ASSERT(!pthread_create(&answering.thread, NULL, answer_soon, &answering));
		ret = vmm(&env, 0, 4, to, READABLE);
		pthread_join(answering.thread, NULL);
		if (ret != -EAGAIN && ret != -EPERM)
			ASSERT_OK(ret);
		ASSERT_RET(answering.status, ret ? -EPERM : 0);
		ASSERT_EQ(answering.done, ret ? 0 : 4);
		if (!ret)
			at = to;
		ASSERT_UNIFORM(&env, 0, 4, at ? 'p' : 's');
		refuse_all(&env, 0, 4);
	}
	ASSERT_GUEST_READS(&env, 0, 4, 0x100);
}

/* Both take back the same share. */
ASKING_TEST(ends_of_overlapping_requests_race)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	guest_fill(&env, 0, 4, 0x100);
	for (int i = 0; i < ROUNDS / 3; i++) {
		struct answering ends[2];

		for (unsigned int id = 0; id < 2; id++) {
			ask_share(&env, id, 0, 4);
			ends[id] = (struct answering){
				.env = &env, .id = id, .ret = -EACCES,
			};
		}
		for (int id = 0; id < 2; id++)
			ASSERT(!pthread_create(&ends[id].thread, NULL, answer_soon,
					       &ends[id]));
		for (int id = 0; id < 2; id++) {
			pthread_join(ends[id].thread, NULL);
			ASSERT_RET(ends[id].status, -EACCES);
			ASSERT_EQ(ends[id].done, 0);
		}
		refuse_all(&env, 0, 4);
	}
	ASSERT_STATE(&env, "pppp");
	ASSERT_HOST_REFUSED(&env, 0);
	ASSERT_GUEST_READS(&env, 0, 4, 0x100);
}

struct converting {
	pthread_t thread;
	struct env *env;
	int ret;
};

static void *convert_once(void *opaque)
{
	struct converting *self = opaque;

	self->ret = vmm(self->env, 0, 4, SHARED, READABLE);
	return NULL;
}

/* One request, several threads of a VMM: one of them gets it. */
ASKING_TEST(one_of_many_conversions_gets_the_request)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	guest_fill(&env, 0, 4, 0x100);
	for (int i = 0; i < ROUNDS / 3; i++) {
		struct converting threads[3];
		unsigned int won = 0;

		ask_share(&env, 0, 0, 4);
		for (int t = 0; t < 3; t++) {
			threads[t].env = &env;
			ASSERT(!pthread_create(&threads[t].thread, NULL, convert_once,
					       &threads[t]));
		}
		for (int t = 0; t < 3; t++) {
			pthread_join(threads[t].thread, NULL);
			won += !threads[t].ret;
			if (threads[t].ret && threads[t].ret != -EPERM)
				ASSERT_RET(threads[t].ret, -EAGAIN);
		}
		ASSERT_EQ(won, 1);
		ASSERT_ANSWER(&env, 0, 0, 0, 4);
		ASSERT_OK(gmem_guest_unshare(env_vcpu(&env, 0), gpa_of(0), 4 * PAGE,
					     READABLE));
	}
	ASSERT_GUEST_READS(&env, 0, 4, 0x100);
}
