// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * TDX's own rules: ciphertext at rest, the secure EPT's states, acceptance.
 */
#include <string.h>

#include "emu.h"
#include "platform_tdx.h"
#include "at_rest.h"

#define TDX_TEST(name)	TEST_WITH(name, NEEDS_TDX, 0)

#define SYSTEM_EVENT_TDX_FATAL	7

static uint64_t sept(struct env *env, uint64_t page)
{
	return emu_tdx_sept_read(to_emu_file(env->file), page);
}

static uint64_t state(struct env *env, uint64_t page)
{
	return sept(env, page) & TDX_SEPT_STATE;
}

static unsigned int page_accept(struct env *env, uint64_t page)
{
	return emu_tdx_accept(to_emu_vcpu(env_vcpu(env, 0)), gpa_of(page) / PAGE);
}

TDX_TEST(tdx_private_memory_is_ciphertext_at_rest)
{
	uint64_t words[2][WORDS];
	struct env env[2];

	check_fresh_keys();
	for (int i = 0; i < 2; i++) {
		env_open(&env[i], variant, 1, IN_PLACE);
		guest_fill(&env[i], 0, 1, 0x1000);
		read_memory(&env[i], 0, words[i]);
		ASSERT_EQ(count_pattern(words[i], 0x1000), 0);
	}
	/* Two TDs have two keys. */
	for (uint64_t i = 0; i < WORDS; i++)
		ASSERT(words[0][i] != words[1][i]);
	ASSERT_GUEST_READS(&env[0], 0, 1, 0x1000);
	ASSERT_OK(gmem_emu_write_memory(env[1].file, 0, PAGE, words[0]));
	ASSERT_RET(gmem_guest_check(env_vcpu(&env[1], 0), gpa_of(0), 8, 0x1000, 0),
		   -EILSEQ);
}

TDX_TEST(tdx_moved_ciphertext_is_noise)
{
	struct gmem_guest_cmd cmd = {
		.op = GMEM_GUEST_CHECK, .addr = gpa_of(1), .size = PAGE,
		.value = 0x1000, .step = 1,
	};
	uint64_t words[WORDS];
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	guest_fill(&env, 0, 2, 0x1000);
	read_memory(&env, 0, words);
	ASSERT_OK(gmem_emu_write_memory(env.file, PAGE, PAGE, words));
	ASSERT_RET(gmem_guest_exec(env_vcpu(&env, 0), &cmd, 1, 0, NULL), -EILSEQ);
	ASSERT_EQ(cmd.result, WORDS);
}

TDX_TEST(tdx_entry_follows_the_page)
{
	struct env env;
	uint64_t epoch;

	env_open(&env, variant, 2, IN_PLACE);
	ASSERT_EQ(state(&env, 0), TDX_SEPT_FREE);
	guest_fill(&env, 0, 1, 0x1000);
	ASSERT_EQ(state(&env, 0), TDX_SEPT_MAPPED);
	ASSERT_EQ(sept(&env, 0) & TDX_SEPT_GPA, gpa_of(0));
	ASSERT_EQ(state(&env, 1), TDX_SEPT_FREE);

	/* Removal tracks once for each range, and never for nothing. */
	epoch = emu_tdx_epoch(to_emu_file(env.file));
	ASSERT_OK(convert(&env, 0, 2, SHARED, ZERO));
	ASSERT_EQ(state(&env, 0), TDX_SEPT_FREE);
	ASSERT_EQ(emu_tdx_epoch(to_emu_file(env.file)), epoch + 1);
	ASSERT_OK(convert(&env, 0, 2, PRIVATE, ZERO));
	ASSERT_OK(convert(&env, 0, 2, SHARED, ZERO));
	ASSERT_EQ(emu_tdx_epoch(to_emu_file(env.file)), epoch + 1);

	ASSERT_OK(convert(&env, 0, 2, PRIVATE, ZERO));
	guest_fill(&env, 0, 2, 0x1000);
	ASSERT_OK(gmem_file_punch_hole(env.file, 0, PAGE));
	ASSERT_EQ(state(&env, 0), TDX_SEPT_FREE);
	ASSERT_EQ(state(&env, 1), TDX_SEPT_MAPPED);
	ASSERT_OK(convert(&env, 0, 2, PRIVATE, DESTROY));
	ASSERT_EQ(state(&env, 1), TDX_SEPT_FREE);
}

/* Whatever lies in the frame when it is added. */
TDX_TEST(tdx_accept_zeroes)
{
	uint64_t words[WORDS];
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	memset(words, 0x5a, sizeof(words));
	for (uint64_t page = 0; page < 2; page++)
		ASSERT_OK(gmem_emu_write_memory(env.file, page * PAGE, PAGE, words));
	ASSERT_EQ(page_accept(&env, 0), TDX_SUCCESS);
	ASSERT_EQ(state(&env, 0), TDX_SEPT_MAPPED);
	read_memory(&env, 0, words);
	for (uint64_t i = 0; i < WORDS; i++)
		ASSERT(words[i] && words[i] != 0x5a5a5a5a5a5a5a5aull);
	/* By the instruction, and by the guest's answer to #VE. */
	ASSERT_GUEST_ZEROS(&env, 0, 2);
}

TDX_TEST(tdx_second_accept_is_told_and_clears_nothing)
{
	struct env env;

	env_open(&env, variant, 1, IN_PLACE);
	ASSERT_EQ(page_accept(&env, 0), TDX_SUCCESS);
	guest_fill(&env, 0, 1, 0x1000);
	ASSERT_EQ(page_accept(&env, 0), TDX_PAGE_ALREADY_ACCEPTED);
	ASSERT_GUEST_READS(&env, 0, 1, 0x1000);
	/* Asking for private what is private loses nothing, either. */
	ASSERT_OK(guest_unshare(&env, 0, 0, 1, ZERO));
	ASSERT_GUEST_READS(&env, 0, 1, 0x1000);
}

TDX_TEST(tdx_guest_notices_double_accept)
{
	struct env env;

	env_open(&env, variant, 1, IN_PLACE);
	ASSERT_OK(guest_share(&env, 0, 0, 1, ZERO));
	ASSERT_OK(convert(&env, 0, 1, PRIVATE, ZERO));
	ASSERT_EQ(page_accept(&env, 0), TDX_SUCCESS);
	ASSERT_RET(guest_unshare(&env, 0, 0, 1, ZERO), -EEXIST);
}

TDX_TEST(tdx_wrong_kind_exits_with_what_the_guest_meant)
{
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	ASSERT_OK(guest_share(&env, 0, 0, 1, ZERO));
	ASSERT_OK(guest_unshare(&env, 0, 1, 1, ZERO));
	ASSERT_EQ(state(&env, 1), TDX_SEPT_MAPPED);
	ASSERT_OK(convert(&env, 0, 1, PRIVATE, ZERO));
	ASSERT_OK(convert(&env, 1, 1, SHARED, ZERO));
	check_fault(&env, 0, 0);
	check_fault(&env, 1, KVM_MEMORY_EXIT_FLAG_PRIVATE);
	ASSERT_OK(convert(&env, 0, 1, SHARED, ZERO));
	ASSERT_GUEST_ZEROS(&env, 0, 1);
}

/* The VMM wiped a page that the guest had accepted as its own. */
TDX_TEST(tdx_guest_ends_itself_when_memory_is_lost)
{
	struct env env;

	env_open(&env, variant, 1, IN_PLACE);
	ASSERT_OK(guest_unshare(&env, 0, 0, 1, ZERO));
	guest_fill(&env, 0, 1, 0x1000);
	ASSERT_OK(convert(&env, 0, 1, SHARED, ZERO));
	ASSERT_OK(convert(&env, 0, 1, PRIVATE, ZERO));
	check_end(&env, 0, SYSTEM_EVENT_TDX_FATAL);
}

/* guest_memfd says shared, the secure EPT does not. */
TDX_TEST(tdx_lying_host_gets_faults)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	guest_fill(&env, 0, 2, 0x1000);
	ASSERT_OK(gmem_emu_force_attributes(env.file, 0, 4 * PAGE, SHARED));
	ASSERT_HOST_REFUSED(&env, 0);
	ASSERT_HOST_REFUSED(&env, 1);
	ASSERT_HOST_ZEROS(&env, 2, 2);
	ASSERT_RET(gmem_emu_pin(env.file, PAGE, PAGE), -EFAULT);
	check_fault(&env, 0, 0);
	ASSERT_OK(gmem_emu_force_attributes(env.file, 0, 2 * PAGE, PRIVATE));
	ASSERT_GUEST_READS(&env, 0, 2, 0x1000);
}

TDX_TEST(tdx_page_is_bound_to_its_address)
{
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	guest_fill(&env, 0, 1, 0x1000);
	ASSERT_OK(gmem_slot_delete(env.vm, TEST_SLOT));
	ASSERT_OK(bind_slot(&env, TEST_SLOT, gpa_of(1), 2, env.file, 0));
	check_fault(&env, 1, KVM_MEMORY_EXIT_FLAG_PRIVATE);
}

TDX_TEST(tdx_encrypted_is_not_offered)
{
	struct env env;

	env_open(&env, variant, 1, IN_PLACE);
	ASSERT_RET(gmem_emu_set_property(env.vm, GMEM_EMU_ENCRYPTED, 1), -EOPNOTSUPP);
	ASSERT_RET(convert(&env, 0, 1, SHARED, ENCRYPTED), -EOPNOTSUPP);
}

TDX_TEST(tdx_payload_is_loaded_before_launch)
{
	uint64_t payload[2 * WORDS], words[WORDS];
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	for (uint64_t i = 0; i < 2 * WORDS; i++)
		payload[i] = 0x1000 + i;
	ASSERT_OK(gmem_vm_load(env.vm, gpa_of(1), payload, 2 * PAGE));
	read_memory(&env, 1, words);
	ASSERT_EQ(count_pattern(words, 0x1000), 0);
	/* No accept: measured pages are mapped. */
	ASSERT_EQ(state(&env, 2), TDX_SEPT_MAPPED);
	ASSERT_EQ(state(&env, 3), TDX_SEPT_FREE);
	ASSERT_GUEST_READS(&env, 1, 2, 0x1000);
	ASSERT_RET(gmem_vm_load(env.vm, gpa_of(1), payload, PAGE), -EBUSY);
	ASSERT_GUEST_READS(&env, 1, 2, 0x1000);
}
