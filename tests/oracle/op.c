// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The generator: eight bytes make one operation, whether they come from a seed or
 * from a fuzzer.
 */
#include <stdio.h>
#include <string.h>

#include "world.h"

/* How often each kind comes, in 64. */
static const uint8_t weights[NR_OPS] = {
	[OP_CONVERT] = 10,
	[OP_ASK] = 11,
	[OP_HOST_READ] = 8,
	[OP_HOST_WRITE] = 7,
	[OP_GUEST_READ] = 7,
	[OP_GUEST_WRITE] = 6,
	[OP_PUNCH] = 1,
	[OP_PIN] = 1,
	[OP_UNPIN] = 1,
	[OP_POISON] = 1,
	[OP_LIE] = 2,
	[OP_ATTRIBUTES] = 1,
	[OP_BAD_ARGS] = 1,
	[OP_FAIL] = 1,
	[OP_FOREIGN_HOST] = 2,
	[OP_FOREIGN_GUEST] = 1,
	[OP_FORGE] = 1,
	[OP_COMMONS] = 2,
};

static const char *const names[NR_OPS] = {
	[OP_CONVERT] = "convert",
	[OP_ASK] = "guest asks",
	[OP_HOST_READ] = "host reads",
	[OP_HOST_WRITE] = "host writes",
	[OP_GUEST_READ] = "guest reads",
	[OP_GUEST_WRITE] = "guest writes",
	[OP_PUNCH] = "punch a hole",
	[OP_PIN] = "pin",
	[OP_UNPIN] = "unpin",
	[OP_POISON] = "poison",
	[OP_LIE] = "lie about",
	[OP_ATTRIBUTES] = "read attributes",
	[OP_BAD_ARGS] = "bad arguments",
	[OP_FAIL] = "convert and fail",
	[OP_FOREIGN_HOST] = "host reads another's",
	[OP_FOREIGN_GUEST] = "guest reads another's",
	[OP_FORGE] = "forge a request",
	[OP_COMMONS] = "use the commons",
};

/* splitmix64 */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

uint64_t oracle_next_seed(uint64_t seed)
{
	/* Short enough to be typed. */
	return mix(seed + 0x9e3779b97f4a7c15ull) >> 24;
}

uint64_t source_draw(struct source *source)
{
	source->state += 0x9e3779b97f4a7c15ull;
	return mix(source->state);
}

static enum op_kind pick_kind(unsigned int byte)
{
	unsigned int at = byte % 64;

	for (unsigned int kind = 0; kind < NR_OPS; kind++) {
		if (at < weights[kind])
			return kind;
		at -= weights[kind];
	}
	return OP_CONVERT;
}

/* Mostly few pages, sometimes many, now and then all. */
static uint64_t pick_length(unsigned int byte, uint64_t nr)
{
	if (byte < 176)
		return 1 + byte % 4;
	if (byte < 240)
		return 1 + byte % 40;
	return nr;
}

static uint32_t pick_policy(unsigned int byte)
{
	static const uint8_t policies[16] = {
		ZERO, READABLE, ZERO, READABLE, ZERO, READABLE, ZERO, READABLE,
		ZERO, READABLE, ZERO, READABLE, DESTROY, ENCRYPTED, ZERO, READABLE,
	};

	return policies[byte % 16];
}

bool op_next(struct source *source, struct op *op, const struct actor *actor)
{
	uint8_t record[ORACLE_RECORD];
	uint64_t draw;

	if (source->data) {
		if (source->left < ORACLE_RECORD)
			return false;
		memcpy(record, source->data, ORACLE_RECORD);
		source->data += ORACLE_RECORD;
		source->left -= ORACLE_RECORD;
	} else {
		draw = source_draw(source);
		memcpy(record, &draw, ORACLE_RECORD);
	}

	op->kind = pick_kind(record[0]);
	op->nr = pick_length(record[1], actor->nr);
	op->first = actor->first;
	if (op->nr < actor->nr)
		op->first += (record[2] | record[3] << 8) % (actor->nr - op->nr + 1);
	else
		op->nr = actor->nr;
	op->to_private = record[4] & 1;
	op->view = record[4] >> 1 & 1;
	op->policy = pick_policy(record[4] >> 2);
	op->extra = record[5] | (uint32_t)record[6] << 8 | (uint32_t)record[7] << 16;
	return true;
}

void op_describe(const struct op *op, char *text, size_t size)
{
	snprintf(text, size, "%s, pages %llu to %llu, %s %s, %#x", names[op->kind],
		 (unsigned long long)op->first,
		 (unsigned long long)(op->first + op->nr - 1),
		 gmem_policy_name(op->policy), op->to_private ? "private" : "shared",
		 op->extra);
}
