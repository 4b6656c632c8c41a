// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * How much of a request one hypercall is about: where it stops early, and the call
 * for a single page, which guests make that know no other.
 */
#include "asking.h"

#define ORDINARY_SLOT	1

/* ---- where a call stops early ---- */

ASKING_TEST(call_is_about_512_pages_at_most)
{
	const uint64_t nr = 1100;
	struct env env;

	env_open(&env, variant, nr, IN_PLACE);
	for (int round = 0; round < 2; round++) {
		/* First pages that the guest never touched, then its own. */
		ask_part(&env, 0, 0, nr, SHARED, 512);
		ASSERT_RET(vmm(&env, 0, 513, SHARED, READABLE), -EPERM);
		ASSERT_OK(vmm(&env, 0, 512, SHARED, READABLE));
		ask_next(&env, 0, 512, 512, SHARED);
		refuse_all(&env, 0, 512);
		refuse_all(&env, 1024, nr - 1024);
		ASSERT_OK(vmm(&env, 512, 512, SHARED, READABLE));
		ask_next(&env, 0, 1024, nr - 1024, SHARED);
		ASSERT_OK(vmm(&env, 1024, nr - 1024, SHARED, READABLE));
		ASSERT_ANSWER(&env, 0, 0, 0, nr);
		ASSERT_UNIFORM(&env, 0, nr, 's');
		host_fill(&env, 0, nr, 0x100);

		ask_part(&env, 0, 0, nr, PRIVATE, 512);
		ASSERT_OK(vmm(&env, 0, 512, PRIVATE, READABLE));
		ask_next(&env, 0, 512, 512, PRIVATE);
		ASSERT_OK(vmm(&env, 512, 512, PRIVATE, READABLE));
		ask_next(&env, 0, 1024, nr - 1024, PRIVATE);
		ASSERT_OK(vmm(&env, 1024, nr - 1024, PRIVATE, READABLE));
		ASSERT_ANSWER(&env, 0, 0, 0, nr);
		ASSERT_UNIFORM(&env, 0, nr, 'p');
		ASSERT_GUEST_READS(&env, 0, nr, 0x100);
	}
}

/* One behind the other in the file and for the guest, and two slots all the same. */
ASKING_TEST(call_stops_at_the_end_of_a_slot)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	ASSERT_OK(gmem_slot_delete(env.vm, TEST_SLOT));
	ASSERT_OK(bind_slot(&env, 1, gpa_of(0), 2, env.file, 0));
	ASSERT_OK(bind_slot(&env, 2, gpa_of(2), 2, env.file, 2));
	guest_fill(&env, 0, 4, 0x100);
	ask_part(&env, 0, 0, 4, SHARED, 2);
	/* What lies beyond nobody was asked for yet. */
	ASSERT_RET(vmm(&env, 0, 4, SHARED, READABLE), -EPERM);
	refuse_all(&env, 2, 2);
	ASSERT_OK(vmm(&env, 0, 2, SHARED, READABLE));
	ASSERT_HOST_REFUSED(&env, 2);
	ask_next(&env, 0, 2, 2, SHARED);
	ASSERT_OK(vmm(&env, 2, 2, SHARED, READABLE));
	ASSERT_ANSWER(&env, 0, 0, 0, 4);
	ASSERT_HOST_READS(&env, 0, 4, 0x100);
	ask_part(&env, 0, 0, 4, PRIVATE, 2);
	ASSERT_OK(vmm(&env, 0, 2, PRIVATE, READABLE));
	ask_next(&env, 0, 2, 2, PRIVATE);
	ASSERT_OK(vmm(&env, 2, 2, PRIVATE, READABLE));
	ASSERT_ANSWER(&env, 0, 0, 0, 4);
	ASSERT_GUEST_READS(&env, 0, 4, 0x100);
}

/* Of that nobody has to be asked. */
ASKING_TEST(call_stops_where_ordinary_memory_begins)
{
	uint64_t value;
	struct env env;
	void *ordinary;

	env_open(&env, variant, 2, IN_PLACE);
	ASSERT_OK(add_ordinary_memory(&env, ORDINARY_SLOT, gpa_of(2), 2, &ordinary));
	guest_fill(&env, 0, 2, 0x100);
	ASSERT_OK(gmem_guest_store(env_vcpu(&env, 0), gpa_of(2), 17));
	ask_part(&env, 0, 0, 4, SHARED, 2);
	ASSERT_OK(vmm(&env, 0, 2, SHARED, READABLE));
	ASSERT_ANSWER(&env, 0, 0, 0, 4);
	ASSERT_HOST_READS(&env, 0, 2, 0x100);
	ASSERT_OK(try_read(ordinary, &value, NULL));
	ASSERT_EQ(value, 17);
	ask_part(&env, 0, 0, 4, PRIVATE, 2);
	ASSERT_OK(vmm(&env, 0, 2, PRIVATE, READABLE));
	ASSERT_ANSWER(&env, 0, 0, 0, 4);
	ASSERT_GUEST_READS(&env, 0, 2, 0x100);
}

ASKING_TEST(call_stops_where_ordinary_memory_ends)
{
	struct gmem_guest_cmd cmd = {
		.op = GMEM_GUEST_SHARE, .addr = gpa_of(0) - PAGE, .size = 3 * PAGE,
	};
	struct gmem_exit exit;
	struct env env;
	void *ordinary;

	env_open(&env, variant, 2, IN_PLACE);
	ASSERT_OK(add_ordinary_memory(&env, ORDINARY_SLOT, gpa_of(-1ull), 1, &ordinary));
	guest_fill(&env, 0, 2, 0x100);
	ASSERT_OK(gmem_guest_start(env_vcpu(&env, 0), &cmd, 1, 1));
	run_list(env_vcpu(&env, 0), &exit);
	ASSERT_EQ(exit.reason, KVM_EXIT_HYPERCALL);
	ASSERT_EQ(exit.hypercall.args[0], gpa_of(0));
	ASSERT_EQ(exit.hypercall.args[1], 2);
	ASSERT_OK(vmm(&env, 0, 2, SHARED, READABLE));
	ASSERT_ANSWER(&env, 0, 0, 0, 3);
	ASSERT_HOST_READS(&env, 0, 2, 0x100);
}

/* What the guest has it shares itself; what it never had is given to it: each is a call. */
ASKING_TEST(call_stops_where_the_guest_has_pages_or_has_none)
{
	struct env env;

	env_open(&env, variant, 8, IN_PLACE);
	guest_fill(&env, 2, 2, 0x200);
	guest_fill(&env, 6, 1, 0x600);
	ask_part(&env, 0, 0, 8, SHARED, 2);
	for (uint64_t page = 0; page < 6; page += 2) {
		ASSERT_OK(vmm(&env, page, 2, SHARED, READABLE));
		ask_next(&env, 0, page + 2, page < 4 ? 2 : 1, SHARED);
	}
	ASSERT_OK(vmm(&env, 6, 1, SHARED, READABLE));
	ask_next(&env, 0, 7, 1, SHARED);
	ASSERT_OK(vmm(&env, 7, 1, SHARED, READABLE));
	ASSERT_ANSWER(&env, 0, 0, 0, 8);
	ASSERT_STATE(&env, "ssssssss");
	ASSERT_HOST_ZEROS(&env, 0, 2);
	ASSERT_HOST_READS(&env, 2, 2, 0x200);
	ASSERT_HOST_ZEROS(&env, 4, 2);
	ASSERT_HOST_READS(&env, 6, 1, 0x600);
	ask_unshare(&env, 0, 0, 8);
	ASSERT_OK(vmm(&env, 0, 8, PRIVATE, READABLE));
	ASSERT_ANSWER(&env, 0, 0, 0, 8);
	ASSERT_GUEST_READS(&env, 2, 2, 0x200);
}

/* The VMM declines the second half, and the guest has the first. */
ASKING_TEST(error_tells_how_much_was_done_before)
{
	struct env env;

	env_open(&env, variant, 6, IN_PLACE);
	guest_fill(&env, 0, 6, 0x100);
	ask_share(&env, 0, 0, 6);
	ASSERT_OK(vmm(&env, 0, 3, SHARED, READABLE));
	ASSERT_ANSWER(&env, 0, -ENOMEM, -EINVAL, 3);
	ASSERT_STATE(&env, "sssppp");
	refuse_all(&env, 3, 3);
	/* All is done, whatever the VMM says. */
	ask_unshare(&env, 0, 0, 6);
	ASSERT_OK(vmm(&env, 0, 6, PRIVATE, READABLE));
	ASSERT_ANSWER(&env, 0, -ENOMEM, 0, 6);
	ASSERT_GUEST_READS(&env, 0, 6, 0x100);
}

ASKING_TEST(range_may_be_shared_already)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	guest_fill(&env, 0, 4, 0x100);
	ASSERT_OK(gmem_guest_share(env_vcpu(&env, 0), gpa_of(1), 2 * PAGE, READABLE));
	ask_share(&env, 0, 1, 2);
	ASSERT_ANSWER(&env, 0, 0, 0, 2);
	ask_part(&env, 0, 0, 4, SHARED, 1);
	ASSERT_OK(vmm(&env, 0, 1, SHARED, READABLE));
	ask_next(&env, 0, 1, 2, SHARED);
	ask_next(&env, 0, 3, 1, SHARED);
	ASSERT_OK(vmm(&env, 3, 1, SHARED, READABLE));
	ASSERT_ANSWER(&env, 0, 0, 0, 4);
	ASSERT_HOST_READS(&env, 0, 4, 0x100);
}

/*
 * Asked for before the guest had the page: the VMM was told, another vCPU took the page
 * for the guest's own and wrote to it.  What was asked for before does not reveal that.
 */
ASKING_TEST(consent_is_older_than_what_the_guest_wrote)
{
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	run_guest_once(&env);
	ask_share(&env, 1, 0, 2);
	ASSERT_OK(gmem_guest_unshare(env_vcpu(&env, 0), gpa_of(0), 2 * PAGE, ZERO));
	guest_fill(&env, 0, 2, 0x100);
	ASSERT_RET(vmm(&env, 0, 2, SHARED, READABLE), -EPERM);
	ASSERT_RET(vmm(&env, 0, 1, SHARED, ZERO), -EPERM);
	ASSERT_STATE(&env, "pp");
	ASSERT_HOST_REFUSED(&env, 0);
	ASSERT_ANSWER(&env, 1, 0, -EINVAL, 0);
	refuse_all(&env, 0, 2);
	ASSERT_HOST_REFUSED(&env, 1);
	ASSERT_GUEST_READS(&env, 0, 2, 0x100);
}

/* ---- a guest that knows only the call for a single page ---- */

static void start_single(struct env *env, uint64_t page, uint64_t nr, uint64_t attributes,
			 struct gmem_exit *exit)
{
	struct gmem_guest_cmd cmd = convert_cmd(page, nr, attributes);

	cmd.flags = GMEM_GUEST_SINGLE;
	ASSERT_OK(gmem_guest_start(env_vcpu(env, 0), &cmd, 1, 1));
	run_list(env_vcpu(env, 0), exit);
}

/* Refused, and the VMM is not told. */
static void single_in_vain(struct env *env, uint64_t page, uint64_t attributes)
{
	struct gmem_guest_cmd cmd;
	struct gmem_exit exit;

	start_single(env, page, 1, attributes, &exit);
	ASSERT_EQ(exit.reason, GMEM_EXIT_GUEST_DONE);
	ASSERT_RET(gmem_guest_finish(env_vcpu(env, 0), &cmd, 1, NULL), -EINVAL);
	ASSERT_EQ(cmd.result, 0);
}

static void single_is_served(struct env *env, uint64_t page, uint64_t nr,
			     uint64_t attributes)
{
	struct gmem_exit exit;

	start_single(env, page, nr, attributes, &exit);
	for (uint64_t i = 0; i < nr; i++) {
		ASSERT_EQ(exit.reason, KVM_EXIT_HYPERCALL);
		ASSERT_EQ(exit.hypercall.args[0], gpa_of(page + i));
		ASSERT_EQ(exit.hypercall.args[1], 1);
		ASSERT_OK(vmm(env, page + i, 1, attributes, READABLE));
		if (i + 1 < nr) {
			ASSERT_OK(gmem_vcpu_complete_hypercall(env_vcpu(env, 0), 0));
			run_list(env_vcpu(env, 0), &exit);
		}
	}
	ASSERT_ANSWER(env, 0, 0, 0, nr);
}

ASKING_TEST(single_calls_share_page_by_page)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	guest_fill(&env, 0, 2, 0x100);
	single_is_served(&env, 0, 3, SHARED);
	ASSERT_STATE(&env, "sssp");
	ASSERT_HOST_READS(&env, 0, 2, 0x100);
	ASSERT_HOST_ZEROS(&env, 2, 1);
	host_fill(&env, 0, 3, 0x200);
	single_is_served(&env, 0, 3, PRIVATE);
	ASSERT_STATE(&env, "pppp");
	ASSERT_HOST_REFUSED(&env, 0);
	ASSERT_GUEST_READS(&env, 0, 3, 0x200);
}

ASKING_TEST(single_call_refuses_what_is_so)
{
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	guest_fill(&env, 0, 1, 0x100);
	single_in_vain(&env, 0, PRIVATE);
	/* It never had this one. */
	single_in_vain(&env, 1, PRIVATE);
	single_is_served(&env, 0, 1, SHARED);
	single_in_vain(&env, 0, SHARED);
	refuse_all(&env, 0, 2);
	ASSERT_STATE(&env, "sp");
	ASSERT_HOST_READS(&env, 0, 1, 0x100);
	/* And what it does not have at all. */
	single_in_vain(&env, 100, SHARED);
	single_in_vain(&env, 100, PRIVATE);
}

ASKING_TEST(vmm_declines_a_single_call)
{
	struct gmem_exit exit;
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	guest_fill(&env, 0, 2, 0x100);
	for (int i = 0; i < 2; i++) {
		start_single(&env, 0, 2, SHARED, &exit);
		ASSERT_EQ(exit.reason, KVM_EXIT_HYPERCALL);
		ASSERT_ANSWER(&env, 0, i ? -EACCES : 0, -EINVAL, 0);
		refuse_all(&env, 0, 1);
	}
	ASSERT_HOST_REFUSED(&env, 0);
	ASSERT_GUEST_READS(&env, 0, 2, 0x100);
}

ASKING_TEST(single_calls_share_ordinary_memory)
{
	struct gmem_exit exit;
	uint64_t value;
	struct env env;
	void *ordinary;

	env_open(&env, variant, 2, IN_PLACE);
	ASSERT_OK(add_ordinary_memory(&env, ORDINARY_SLOT, gpa_of(2), 2, &ordinary));
	ASSERT_OK(gmem_guest_store(env_vcpu(&env, 0), gpa_of(2), 17));
	start_single(&env, 2, 2, SHARED, &exit);
	ASSERT_EQ(exit.reason, GMEM_EXIT_GUEST_DONE);
	ASSERT_OK(gmem_guest_finish(env_vcpu(&env, 0), NULL, 0, NULL));
	ASSERT_OK(try_read(ordinary, &value, NULL));
	ASSERT_EQ(value, 17);
	/* emu keeps no state of such memory. */
	if (variant->kernel)
		single_in_vain(&env, 2, SHARED);
}

/* ---- which VMs convert ---- */

ASKING_TEST(first_run_decides_whether_the_vm_converts)
{
	struct env env;

	env_open_vm(&env, variant);
	run_guest_once(&env);
	env_open_file(&env, 2, IN_PLACE);
	ASSERT_RET(bind_slot(&env, TEST_SLOT, TEST_GPA, 2, env.file, 0), -EPERM);
	ASSERT_RET(vmm(&env, 0, 2, SHARED, ZERO), -EPERM);
}

ASKING_TEST(vm_that_converts_gets_more_files_later)
{
	struct gmem_file *file;
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	run_guest_once(&env);
	file = new_file(&env, 2, IN_PLACE);
	ASSERT_OK(bind_slot(&env, 1, gpa_of(16), 2, file, 0));
	ASSERT_OK(gmem_guest_store(env_vcpu(&env, 0), gpa_of(16), 17));
	ASSERT_RET(gmem_file_convert(file, 0, PAGE, SHARED, READABLE, NULL), -EPERM);
	ask_share(&env, 0, 16, 1);
	ASSERT_OK(gmem_file_convert(file, 0, PAGE, SHARED, READABLE, NULL));
	ASSERT_ANSWER(&env, 0, 0, 0, 1);
	ASSERT_RET(gmem_slot_delete(env.vm, 1), -EPERM);
}
