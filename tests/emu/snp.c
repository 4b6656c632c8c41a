// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * SEV-SNP's own rules: ciphertext at rest, the reverse map table, validation.
 */
#include <string.h>

#include "emu.h"
#include "memory_crypt.h"
#include "platform_snp.h"
#include "at_rest.h"

#define SNP_TEST(name)	TEST_WITH(name, NEEDS_SNP, 0)

#define SYSTEM_EVENT_SEV_TERM	6

static uint64_t rmp(struct env *env, uint64_t page)
{
	return emu_snp_rmp_read(to_emu_file(env->file), page);
}

static unsigned int pvalidate(struct env *env, uint64_t page, bool validate)
{
	return emu_snp_pvalidate(to_emu_vcpu(env_vcpu(env, 0)),
				 gpa_of(page) / PAGE, validate);
}

/* IEEE 1619's first vector, its first block: keys, address and data all zero. */
SNP_TEST(snp_cipher_is_xts)
{
	static const uint8_t want[16] = {
		0x91, 0x7c, 0xf6, 0x9e, 0xbd, 0x68, 0xb2, 0xec,
		0x9b, 0x9f, 0xe9, 0xa3, 0xea, 0xdd, 0xa6, 0x92,
	};
	uint64_t page[WORDS] __attribute__((aligned(16)));
	struct emu_access access = { .host = page, .size = 8, .value = 1 };
	const uint8_t key[32] = { 0 };
	struct emu_crypt crypt;

	(void)variant;
	ASSERT_OK(emu_crypt_init(&crypt));
	emu_crypt_set_key(&crypt, key);
	emu_crypt_page(&crypt, 0, page, NULL);
	ASSERT(!memcmp(page, want, sizeof(want)));
	/* Blocks differ by their address alone. */
	ASSERT(memcmp(page, page + 2, 16));
	emu_crypt_access(&crypt, 0, &access);
	ASSERT_EQ(access.value, 0);
	emu_crypt_destroy(&crypt);
}

SNP_TEST(snp_private_memory_is_ciphertext_at_rest)
{
	uint64_t words[WORDS], other[WORDS];
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	guest_fill(&env, 0, 1, 0x1000);
	guest_fill(&env, 1, 1, 0x1000);
	read_memory(&env, 0, words);
	read_memory(&env, 1, other);
	ASSERT_EQ(count_pattern(words, 0x1000), 0);
	ASSERT_EQ(count_pattern(other, 0x1000), 0);
	/* The same plaintext at another address. */
	for (uint64_t i = 0; i < WORDS; i++)
		ASSERT(words[i] != other[i]);
	ASSERT_GUEST_READS(&env, 0, 1, 0x1000);
	/* Shared memory is what it is. */
	ASSERT_OK(convert(&env, 0, 1, SHARED, ZERO));
	guest_fill(&env, 0, 1, 0x2000);
	read_memory(&env, 0, words);
	ASSERT_EQ(count_pattern(words, 0x2000), WORDS);
}

SNP_TEST(snp_two_vms_have_two_keys)
{
	uint64_t words[2][WORDS];
	struct env env[2];

	check_fresh_keys();
	for (int i = 0; i < 2; i++) {
		env_open(&env[i], variant, 1, IN_PLACE);
		guest_fill(&env[i], 0, 1, 0x1000);
		read_memory(&env[i], 0, words[i]);
	}
	for (uint64_t i = 0; i < WORDS; i++)
		ASSERT(words[0][i] != words[1][i]);
	/* The other's ciphertext is noise here. */
	ASSERT_OK(gmem_emu_write_memory(env[1].file, 0, PAGE, words[0]));
	ASSERT_RET(gmem_guest_check(env_vcpu(&env[1], 0), gpa_of(0), 8, 0x1000, 0),
		   -EILSEQ);
}

SNP_TEST(snp_moved_ciphertext_is_noise)
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
	ASSERT_GUEST_READS(&env, 0, 1, 0x1000);
}

/* Every width at every place of two blocks, over the block's border too. */
SNP_TEST(snp_accesses_of_every_width)
{
	struct gmem_guest_cmd cmd = { .value = 0x1122334455667788ull };
	unsigned char want[48];
	struct env env;

	env_open(&env, variant, 1, IN_PLACE);
	for (uint64_t i = 0; i < 48; i += 8)
		ASSERT_OK(gmem_guest_store(env_vcpu(&env, 0), gpa_of(0) + i, 0));
	memset(want, 0, sizeof(want));
	for (uint64_t size = 1; size <= 8; size *= 2) {
		for (uint64_t at = 0; at < 40; at++) {
			uint64_t got = 0;

			cmd.op = GMEM_GUEST_STORE;
			cmd.addr = gpa_of(0) + at;
			cmd.size = size;
			cmd.value += 0x0101010101010101ull;
			ASSERT_OK(gmem_guest_exec(env_vcpu(&env, 0), &cmd, 1, 0, NULL));
			memcpy(want + at, &cmd.value, size);
			cmd.op = GMEM_GUEST_LOAD;
			ASSERT_OK(gmem_guest_exec(env_vcpu(&env, 0), &cmd, 1, 0, NULL));
			memcpy(&got, want + at, size);
			ASSERT_EQ(cmd.result, got);
		}
	}
	for (uint64_t i = 0; i < 48; i += 8) {
		uint64_t got, word;

		memcpy(&word, want + i, 8);
		ASSERT_OK(gmem_guest_load(env_vcpu(&env, 0), gpa_of(0) + i, &got));
		ASSERT_EQ(got, word);
	}
}

SNP_TEST(snp_entry_follows_the_page)
{
	struct env env;
	uint64_t entry;

	env_open(&env, variant, 2, IN_PLACE);
	ASSERT_EQ(rmp(&env, 0), 0);
	guest_fill(&env, 0, 1, 0x1000);
	entry = rmp(&env, 0);
	ASSERT(entry & SNP_RMP_ASSIGNED && entry & SNP_RMP_VALIDATED);
	ASSERT_EQ(entry & SNP_RMP_GPA, gpa_of(0));
	ASSERT(entry >> SNP_RMP_ASID_SHIFT);
	/* Nobody touched it. */
	ASSERT_EQ(rmp(&env, 1), 0);

	ASSERT_OK(convert(&env, 0, 2, SHARED, ZERO));
	ASSERT_EQ(rmp(&env, 0), 0);
	ASSERT_OK(convert(&env, 0, 2, PRIVATE, ZERO));
	ASSERT_EQ(rmp(&env, 0), 0);
	guest_fill(&env, 0, 2, 0x1000);
	ASSERT_OK(gmem_file_punch_hole(env.file, 0, PAGE));
	ASSERT_EQ(rmp(&env, 0), 0);
	ASSERT(rmp(&env, 1));
	ASSERT_OK(convert(&env, 0, 2, PRIVATE, DESTROY));
	ASSERT_EQ(rmp(&env, 1), 0);
}

SNP_TEST(snp_pvalidate_tells_what_it_changed)
{
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	ASSERT_EQ(pvalidate(&env, 0, true), SNP_PVALIDATE_DONE);
	ASSERT_EQ(pvalidate(&env, 0, true), SNP_PVALIDATE_NO_CHANGE);
	guest_fill(&env, 0, 1, 0x1000);
	ASSERT_EQ(pvalidate(&env, 0, false), SNP_PVALIDATE_DONE);
	ASSERT_EQ(pvalidate(&env, 0, false), SNP_PVALIDATE_NO_CHANGE);
	ASSERT(rmp(&env, 0) & SNP_RMP_ASSIGNED);
	/* It clears nothing. */
	ASSERT_EQ(pvalidate(&env, 0, true), SNP_PVALIDATE_DONE);
	ASSERT_GUEST_READS(&env, 0, 1, 0x1000);
	ASSERT_EQ(pvalidate(&env, 1, false), SNP_PVALIDATE_NO_CHANGE);
	ASSERT_EQ(rmp(&env, 1), 0);
}

/* The guest gave the page away; somebody else cannot have validated it. */
SNP_TEST(snp_guest_notices_double_validation)
{
	struct env env;

	env_open(&env, variant, 1, IN_PLACE);
	guest_fill(&env, 0, 1, 0x1000);
	ASSERT_OK(guest_share(&env, 0, 0, 1, ZERO));
	ASSERT_OK(convert(&env, 0, 1, PRIVATE, ZERO));
	ASSERT_EQ(pvalidate(&env, 0, true), SNP_PVALIDATE_DONE);
	ASSERT_RET(guest_unshare(&env, 0, 0, 1, ZERO), -EEXIST);
}

/* The validation is gone before the host hears of it; a VMM that says no. */
SNP_TEST(snp_guest_takes_validation_back_before_it_shares)
{
	struct gmem_guest_cmd cmd = {
		.op = GMEM_GUEST_SHARE, .addr = gpa_of(0), .size = PAGE,
	};
	struct gmem_vcpu *vcpu;
	struct gmem_exit exit;
	struct env env;

	env_open(&env, variant, 1, IN_PLACE);
	guest_fill(&env, 0, 1, 0x1000);
	vcpu = env_vcpu(&env, 0);
	ASSERT_OK(gmem_guest_start(vcpu, &cmd, 1, 1));
	do {
		ASSERT_OK(gmem_vcpu_run(vcpu, &exit));
	} while (exit.reason == KVM_EXIT_INTR);
	ASSERT_EQ(exit.reason, KVM_EXIT_HYPERCALL);
	ASSERT_EQ(rmp(&env, 0) & (SNP_RMP_ASSIGNED | SNP_RMP_VALIDATED),
		  SNP_RMP_ASSIGNED);
	ASSERT_OK(gmem_vcpu_complete_hypercall(vcpu, -EPERM));
	do {
		ASSERT_OK(gmem_vcpu_run(vcpu, &exit));
	} while (exit.reason == KVM_EXIT_INTR);
	ASSERT_RET(gmem_guest_finish(vcpu, &cmd, 1, NULL), -EPERM);
	ASSERT(rmp(&env, 0) & SNP_RMP_VALIDATED);
	ASSERT_GUEST_READS(&env, 0, 1, 0x1000);
}

SNP_TEST(snp_refused_share_leaves_the_page_validated)
{
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	guest_fill(&env, 0, 1, 0x1000);
	ASSERT_RET(guest_share(&env, 0, 0, 2, READABLE), -EOPNOTSUPP);
	ASSERT(rmp(&env, 0) & SNP_RMP_VALIDATED);
	ASSERT_EQ(rmp(&env, 1), 0);
	ASSERT_GUEST_READS(&env, 0, 1, 0x1000);
}

SNP_TEST(snp_wrong_kind_exits_with_what_the_guest_meant)
{
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	ASSERT_OK(guest_share(&env, 0, 0, 1, ZERO));
	ASSERT_OK(guest_unshare(&env, 0, 1, 1, ZERO));
	ASSERT_OK(convert(&env, 0, 1, PRIVATE, ZERO));
	ASSERT_OK(convert(&env, 1, 1, SHARED, ZERO));
	check_fault(&env, 0, 0);
	check_fault(&env, 1, KVM_MEMORY_EXIT_FLAG_PRIVATE);
	/* The VMM gives in, and the guest goes on. */
	ASSERT_OK(convert(&env, 0, 1, SHARED, ZERO));
	ASSERT_GUEST_ZEROS(&env, 0, 1);
}

/* The VMM wiped a page that the guest had validated as its own. */
SNP_TEST(snp_guest_ends_itself_when_memory_is_lost)
{
	struct env env;

	env_open(&env, variant, 1, IN_PLACE);
	ASSERT_OK(guest_unshare(&env, 0, 0, 1, ZERO));
	guest_fill(&env, 0, 1, 0x1000);
	ASSERT_OK(convert(&env, 0, 1, SHARED, ZERO));
	ASSERT_OK(convert(&env, 0, 1, PRIVATE, ZERO));
	check_end(&env, 0, SYSTEM_EVENT_SEV_TERM);
}

/* guest_memfd says shared, the RMP does not. */
SNP_TEST(snp_lying_host_gets_faults)
{
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	guest_fill(&env, 0, 2, 0x1000);
	ASSERT_OK(gmem_emu_force_attributes(env.file, 0, 4 * PAGE, SHARED));
	ASSERT_STATE(&env, "ssss");
	ASSERT_HOST_REFUSED(&env, 0);
	ASSERT_HOST_REFUSED(&env, 1);
	/* Nobody's secrets are in those. */
	ASSERT_HOST_ZEROS(&env, 2, 2);
	ASSERT_RET(gmem_emu_pin(env.file, PAGE, PAGE), -EFAULT);
	/* With the C-bit clear it is not the guest's, either. */
	check_fault(&env, 0, 0);
	ASSERT_OK(gmem_emu_force_attributes(env.file, 0, 2 * PAGE, PRIVATE));
	ASSERT_GUEST_READS(&env, 0, 2, 0x1000);
}

/* Another address than the RMP's: the nested page fault names it. */
SNP_TEST(snp_page_is_bound_to_its_address)
{
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	guest_fill(&env, 0, 1, 0x1000);
	ASSERT_OK(gmem_slot_delete(env.vm, TEST_SLOT));
	ASSERT_OK(bind_slot(&env, TEST_SLOT, gpa_of(1), 2, env.file, 0));
	check_fault(&env, 1, KVM_MEMORY_EXIT_FLAG_PRIVATE);
}

SNP_TEST(snp_scrubbing_leaves_nothing_of_the_hosts)
{
	uint64_t words[WORDS], got;
	struct env env;

	env_open(&env, variant, 1, IN_PLACE_SHARED);
	host_fill(&env, 0, 1, 0x1000);
	ASSERT_OK(convert(&env, 0, 1, PRIVATE, ZERO));
	read_memory(&env, 0, words);
	ASSERT_EQ(count_pattern(words, 0x1000), 0);
	ASSERT_GUEST_ZEROS(&env, 0, 1);
	/* Undefined, yet the same for each look, until it is written. */
	ASSERT_OK(gmem_guest_load(env_vcpu(&env, 0), gpa_of(0), &got));
	ASSERT_OK(gmem_guest_check(env.vcpus[0], gpa_of(0), 8, got, 0));
	guest_fill(&env, 0, 1, 0x2000);
	ASSERT_GUEST_READS(&env, 0, 1, 0x2000);
}

SNP_TEST(snp_encrypted_is_opt_in)
{
	struct gmem_caps caps = { .size = sizeof(caps) };
	uint64_t before[WORDS];
	struct env env;

	env_open(&env, variant, 2, IN_PLACE);
	ASSERT_RET(convert(&env, 0, 1, SHARED, ENCRYPTED), -EOPNOTSUPP);
	ASSERT_RET(gmem_emu_set_property(env.vm, GMEM_EMU_ENCRYPTED, 2), -EINVAL);
	ASSERT_RET(gmem_emu_set_property(env.vm, GMEM_EMU_DESTRUCTIVE_RECLAIM, 1),
		   -EOPNOTSUPP);
	ASSERT_OK(gmem_emu_set_property(env.vm, GMEM_EMU_ENCRYPTED, 1));
	ASSERT_OK(gmem_vm_caps(env.vm, &caps));
	ASSERT_EQ(caps.to_shared, variant->to_shared | 1u << ENCRYPTED);
	ASSERT_EQ(caps.to_private, variant->to_private);

	guest_fill(&env, 0, 1, 0x1000);
	ASSERT_RET(gmem_emu_set_property(env.vm, GMEM_EMU_ENCRYPTED, 0), -EBUSY);
	read_memory(&env, 0, before);
	ASSERT_OK(convert(&env, 0, 2, SHARED, ENCRYPTED));
	ASSERT_STATE(&env, "ss");
	/* The VMM reads the ciphertext, and of what never was, zeros. */
	ASSERT(!memcmp(addr_of(&env, 0), before, PAGE));
	ASSERT_EQ(count_pattern(before, 0x1000), 0);
	ASSERT_HOST_ZEROS(&env, 1, 1);
	ASSERT_EQ(rmp(&env, 0), 0);
	ASSERT_RET(convert(&env, 0, 2, PRIVATE, ENCRYPTED), -EOPNOTSUPP);
	/* A destroyed page has nothing to show. */
	ASSERT_OK(convert(&env, 0, 1, PRIVATE, DESTROY));
	ASSERT_OK(convert(&env, 0, 1, SHARED, ENCRYPTED));
	ASSERT_HOST_ZEROS(&env, 0, 1);
}

SNP_TEST(snp_payload_is_loaded_before_launch)
{
	uint64_t payload[2 * WORDS], words[WORDS];
	struct env env;

	env_open(&env, variant, 4, IN_PLACE);
	for (uint64_t i = 0; i < 2 * WORDS; i++)
		payload[i] = 0x1000 + i;
	ASSERT_OK(gmem_vm_load(env.vm, gpa_of(1), payload, 2 * PAGE - 8));
	ASSERT_STATE(&env, "pppp");
	ASSERT_HOST_REFUSED(&env, 1);
	read_memory(&env, 1, words);
	ASSERT_EQ(count_pattern(words, 0x1000), 0);
	ASSERT(rmp(&env, 2) & SNP_RMP_VALIDATED);
	ASSERT_EQ(rmp(&env, 0), 0);
	ASSERT_OK(gmem_guest_check(env_vcpu(&env, 0), gpa_of(1), 2 * PAGE - 8, 0x1000,
				   1));
	ASSERT_OK(gmem_guest_check(env.vcpus[0], gpa_of(3) - 8, 8, 0, 0));
	ASSERT_RET(gmem_vm_load(env.vm, gpa_of(1), payload, PAGE), -EBUSY);
	ASSERT_OK(gmem_guest_check(env.vcpus[0], gpa_of(1), PAGE, 0x1000, 1));
}
