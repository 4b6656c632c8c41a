/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Memory that is ciphertext at rest, as an encrypting memory controller leaves it.
 *
 * AES-128-XTS (IEEE 1619) with every block of 16 bytes a data unit of its own and
 * the block's physical address as tweak.  So equal plaintexts at two addresses, or
 * under two keys, differ, and ciphertext that is moved decrypts to noise.
 *
 * Two processors may change one block: a few spin locks, by address, guard the
 * blocks.  They are innermost, and nobody sleeps with one.
 */
#ifndef EMU_MEMORY_CRYPT_H
#define EMU_MEMORY_CRYPT_H

#include "gmem_platform.h"

#define EMU_CRYPT_BLOCK		16
#define EMU_CRYPT_LOCKS		64

struct emu_access;
struct emu_crypt_keys;

struct emu_crypt {
	struct emu_crypt_keys *keys;
	struct {
		u32 held;
	} __attribute__((aligned(64))) locks[EMU_CRYPT_LOCKS];
};

/* A fresh random key.  0, -ENOMEM or -EIO. */
int emu_crypt_init(struct emu_crypt *crypt);
void emu_crypt_destroy(struct emu_crypt *crypt);
/* Another key, for tests with known answers: data key, then tweak key. */
void emu_crypt_set_key(struct emu_crypt *crypt, const u8 key[32]);
/* The access at @access->host, whose first byte has this physical address. */
void emu_crypt_access(struct emu_crypt *crypt, u64 address,
		      struct emu_access *access);
/* Encrypt a page into @host; @plain NULL: zeros. */
void emu_crypt_page(struct emu_crypt *crypt, u64 address, void *host,
		    const void *plain);

#endif /* EMU_MEMORY_CRYPT_H */
