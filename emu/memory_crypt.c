// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Ciphertext at rest; memory_crypt.h says what it is.
 *
 * A data unit of one block needs no more of XTS than two block ciphers:
 * C = E1(P ^ T) ^ T with T = E2(address).  libcrypto's plain block functions do
 * it without allocations and without anything that can fail, which its EVP calls
 * do not promise, and do not drag its configuration, sockets and dlopen() into
 * programs that are linked statically.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/aes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "emu.h"
#include "memory_crypt.h"

struct emu_crypt_keys {
	AES_KEY encrypt;
	AES_KEY decrypt;
	AES_KEY tweak;
};

/* A block as two words, as it lies in memory. */
union block {
	u64 word[2];
	u8 byte[EMU_CRYPT_BLOCK];
};

void emu_crypt_set_key(struct emu_crypt *crypt, const u8 key[32])
{
	AES_set_encrypt_key(key, 128, &crypt->keys->encrypt);
	AES_set_decrypt_key(key, 128, &crypt->keys->decrypt);
	AES_set_encrypt_key(key + 16, 128, &crypt->keys->tweak);
}

int emu_crypt_init(struct emu_crypt *crypt)
{
	u8 key[32];

	memset(crypt, 0, sizeof(*crypt));
	crypt->keys = emu_fail_now() ? NULL : calloc(1, sizeof(*crypt->keys));
	if (!crypt->keys)
		return -ENOMEM;
	if (getrandom(key, sizeof(key), 0) != sizeof(key)) {
		free(crypt->keys);
		return -EIO;
	}
	emu_crypt_set_key(crypt, key);
	explicit_bzero(key, sizeof(key));
	return 0;
}

void emu_crypt_destroy(struct emu_crypt *crypt)
{
	explicit_bzero(crypt->keys, sizeof(*crypt->keys));
	free(crypt->keys);
}

static u32 *lock_block(struct emu_crypt *crypt, u64 address)
{
	u32 *held = &crypt->locks[address / EMU_CRYPT_BLOCK % EMU_CRYPT_LOCKS].held;

	while (__atomic_exchange_n(held, 1, __ATOMIC_ACQUIRE))
		gmem_relax();
	return held;
}

static void unlock_block(u32 *held)
{
	smp_store_release(held, 0);
}

static void crypt_block(struct emu_crypt *crypt, u64 address, union block *block,
			bool encrypt)
{
	union block tweak = { .word = { address } };

	AES_encrypt(tweak.byte, tweak.byte, &crypt->keys->tweak);
	block->word[0] ^= tweak.word[0];
	block->word[1] ^= tweak.word[1];
	if (encrypt)
		AES_encrypt(block->byte, block->byte, &crypt->keys->encrypt);
	else
		AES_decrypt(block->byte, block->byte, &crypt->keys->decrypt);
	block->word[0] ^= tweak.word[0];
	block->word[1] ^= tweak.word[1];
}

static void read_block(const u64 *host, union block *block)
{
	block->word[0] = READ_ONCE(host[0]);
	block->word[1] = READ_ONCE(host[1]);
}

static void write_block(u64 *host, const union block *block)
{
	WRITE_ONCE(host[0], block->word[0]);
	WRITE_ONCE(host[1], block->word[1]);
}

/* Load or store @size bytes at @from of one block. */
static void access_block(struct emu_crypt *crypt, u64 address, u64 *host,
			 unsigned int from, unsigned int size, u8 *value, bool write)
{
	union block block;
	u32 *held;

	held = lock_block(crypt, address);
	read_block(host, &block);
	crypt_block(crypt, address, &block, false);
	if (write) {
		memcpy(block.byte + from, value, size);
		crypt_block(crypt, address, &block, true);
		write_block(host, &block);
	}
	unlock_block(held);
	if (!write)
		memcpy(value, block.byte + from, size);
}

void emu_crypt_access(struct emu_crypt *crypt, u64 address,
		      struct emu_access *access)
{
	unsigned int from = address % EMU_CRYPT_BLOCK, done = 0;
	u8 value[8] = { 0 };
	u8 *host = (u8 *)access->host - from;

	if (access->write)
		memcpy(value, &access->value, sizeof(value));
	address -= from;
	while (done < access->size) {
		unsigned int size = min(access->size - done,
					(unsigned int)EMU_CRYPT_BLOCK - from);

		access_block(crypt, address, (u64 *)host, from, size, value + done,
			     access->write);
		done += size;
		address += EMU_CRYPT_BLOCK;
		host += EMU_CRYPT_BLOCK;
		from = 0;
	}
	if (!access->write)
		memcpy(&access->value, value, sizeof(value));
}

void emu_crypt_page(struct emu_crypt *crypt, u64 address, void *host,
		    const void *plain)
{
	for (u64 at = 0; at < PAGE_SIZE; at += EMU_CRYPT_BLOCK) {
		union block block = { 0 };
		u32 *held;

		if (plain)
			memcpy(&block, (const u8 *)plain + at, sizeof(block));
		crypt_block(crypt, address + at, &block, true);
		held = lock_block(crypt, address + at);
		write_block((u64 *)((u8 *)host + at), &block);
		unlock_block(held);
	}
}
