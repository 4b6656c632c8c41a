// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Operations on the own shard: conversions, and what all kinds share.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <gmem/emu.h>
#include "world.h"

/* The kernel may have a reference in flight: not for so long. */
#define MAX_ATTEMPTS	200

const char *answer_name(int answer)
{
	const char *name = answer ? strerrorname_np(answer < 0 ? -answer : answer) : "0";

	return name ? name : "?";
}

const char *state_name(enum page_state state)
{
	static const char *const names[] = {
		[SHARED] = "shared",
		[PRIVATE] = "private",
		[DESTROYED_SHARED] = "destroyed (shared)",
		[DESTROYED_PRIVATE] = "destroyed (private)",
	};

	return names[state];
}

void diverged(struct actor *actor, const char *format, ...)
{
	struct world *world = actor->world;
	size_t used;
	va_list args;

	pthread_mutex_lock(&world->lock);
	if (!world->failed) {
		va_start(args, format);
		used = (size_t)vsnprintf(world->report, ORACLE_REPORT, format, args);
		va_end(args);
		used += (size_t)snprintf(world->report + used, ORACLE_REPORT - used,
					 "\nin thread %u, operation %llu; the last ones:\n",
					 actor->id, (unsigned long long)actor->nr_ops);
		for (unsigned int i = NR_REMEMBERED; i > 0; i--) {
			uint64_t number = actor->nr_ops - i + 1;

			if (number > actor->nr_ops || !number)
				continue;
			used += (size_t)snprintf(world->report + used,
						 ORACLE_REPORT - used, "  %6llu  %s\n",
						 (unsigned long long)number,
						 actor->remembered[number % NR_REMEMBERED]);
		}
		__atomic_store_n(&world->failed, true, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&world->lock);
}

uint32_t next_generation(struct actor *actor)
{
	return ++actor->generation & MAX_GENERATION;
}

void fill_pages(struct actor *actor, uint64_t first, uint64_t nr, uint32_t generation,
		bool secret)
{
	for (uint64_t i = first; i < first + nr; i++) {
		struct page *page = page_of(actor, i);

		page->content = CONTENT_FILLED;
		page->generation = generation;
		page->secret = secret;
	}
}

bool expected_word(const struct actor *actor, uint64_t index, bool by_guest,
		   unsigned int i, uint64_t word)
{
	const struct page *page = page_of(actor, index);

	switch (page->content) {
	case CONTENT_FILLED:
		return word == make_word(index, i, page->generation, page->secret);
	case CONTENT_ZEROS:
		/* Nobody wrote it under this key. */
		if (by_guest && actor->world->platform == GMEM_VM_SNP &&
		    page->state == PRIVATE)
			return !word_fits(word, index, i);
		return !word;
	default:
		return !word_fits(word, index, i);
	}
}

int raw_convert(struct actor *actor, uint64_t first, uint64_t nr, bool to_private,
		uint32_t policy, struct verdict *verdict)
{
	struct kvm_memory_attributes2 args = {
		.offset = first * PAGE,
		.size = nr * PAGE,
		.attributes = to_private ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0,
		.content_policy = policy,
	};

	verdict->answer = gmem_set_memory_attributes2(actor->world->file, &args);
	verdict->converted = args.converted / PAGE;
	verdict->error_page = args.error_offset / PAGE;
	if (verdict->answer)
		actor->counts.refusals++;
	else
		actor->counts.conversions++;
	return verdict->answer;
}

static bool same_verdict(const struct world *world, const struct verdict *got,
			 const struct verdict *want)
{
	if (got->answer != want->answer)
		return false;
	if (!got->answer)
		return got->converted == want->converted;
	return got->error_page == want->error_page ||
	       (!world->emu && got->answer != -EAGAIN);
}

void check_verdict(struct actor *actor, uint64_t first, uint64_t nr, bool to_private,
		   uint32_t policy, const struct verdict *got,
		   const struct verdict *want)
{
	if (same_verdict(actor->world, got, want))
		return;
	diverged(actor, "converting pages %llu to %llu to %s under %s answered %s (%llu "
		 "converted, error at page %llu)\nand should have answered %s (%llu, page "
		 "%llu); the first page was %s",
		 (unsigned long long)first, (unsigned long long)(first + nr - 1),
		 to_private ? "private" : "shared", gmem_policy_name(policy),
		 answer_name(got->answer), (unsigned long long)got->converted,
		 (unsigned long long)got->error_page, answer_name(want->answer),
		 (unsigned long long)want->converted,
		 (unsigned long long)want->error_page,
		 state_name(page_of(actor, first)->state));
}

/* Secrets that the conversion may show to the host are none any more. */
static void disclose(struct actor *actor, uint64_t first, uint64_t nr, bool to_private,
		     uint32_t policy)
{
	if (policy != READABLE || to_private)
		return;
	for (uint64_t i = first; i < first + nr; i++)
		__atomic_store_n(&actor->world->published[i].disclosed,
				 page_of(actor, i)->generation, __ATOMIC_RELEASE);
}

int act_convert(struct actor *actor, uint64_t first, uint64_t nr, bool to_private,
		uint32_t policy)
{
	struct verdict want = model_convert(actor, first, nr, to_private, policy);
	struct verdict got;
	int attempts = 0;

	if (!want.answer)
		disclose(actor, first, nr, to_private, policy);
	do {
		raw_convert(actor, first, nr, to_private, policy, &got);
	} while (!actor->world->emu && got.answer == -EAGAIN && !want.answer &&
		 attempts++ < MAX_ATTEMPTS);
	check_verdict(actor, first, nr, to_private, policy, &got, &want);
	if (!want.answer)
		model_converted(actor, first, nr, to_private, policy);
	return want.answer;
}

/* A step of it fails: nothing changes. */
void act_fail(struct actor *actor, const struct op *op)
{
	struct verdict want = model_convert(actor, op->first, op->nr, op->to_private,
					    op->policy);
	struct verdict got;
	bool failed;

	/* Every thread's steps are counted. */
	if (!actor->world->emu || actor->world->nr_actors > 1)
		return;
	gmem_emu_fail_after(op->extra % 8);
	raw_convert(actor, op->first, op->nr, op->to_private, op->policy, &got);
	failed = gmem_emu_fail_after(-1) < 0;
	if (failed && got.answer < 0)
		return;
	check_verdict(actor, op->first, op->nr, op->to_private, op->policy, &got, &want);
	if (!want.answer)
		model_converted(actor, op->first, op->nr, op->to_private, op->policy);
}

void act_bad_args(struct actor *actor, const struct op *op)
{
	struct kvm_memory_attributes2 args = {
		.offset = op->first * PAGE,
		.size = op->nr * PAGE,
		.attributes = op->to_private ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0,
		.content_policy = op->policy,
	};
	int ret;

	switch (op->extra % 10) {
	case 0:
		args.size = 0;
		break;
	case 1:
		args.offset++;
		break;
	case 2:
		args.size += 512;
		break;
	case 3:
		args.size = actor->world->nr_pages * PAGE + PAGE;
		break;
	case 4:
		args.offset = -PAGE;
		break;
	case 5:
		args.attributes |= 1;
		break;
	case 6:
		args.content_policy = NR_POLICIES + (op->extra >> 8);
		break;
	case 7:
		args.flags = 1ull << (op->extra >> 8) % 64;
		break;
	case 8:
		args.reserved[(op->extra >> 8) % 9] = 1;
		break;
	default:
		args.reserved32 = 1;
	}
	ret = gmem_set_memory_attributes2(actor->world->file, &args);
	if (ret != -EINVAL)
		diverged(actor, "bad arguments (kind %u) were answered with %s",
			 op->extra % 10, answer_name(ret));
}

void act_attributes(struct actor *actor, const struct op *op)
{
	static _Thread_local struct gmem_run runs[MAX_SHARD];
	size_t nr_runs = MAX_SHARD;
	uint64_t at = actor->first;
	int ret;

	(void)op;
	ret = gmem_get_attributes(actor->world->file, actor->first * PAGE,
				  actor->nr * PAGE, runs, &nr_runs);
	if (ret) {
		diverged(actor, "reading attributes answered %s", answer_name(ret));
		return;
	}
	for (size_t i = 0; i < nr_runs; i++) {
		bool destroyed = runs[i].state & KVM_GMEM_STATE_DESTROYED;
		enum page_state state = runs[i].attributes ?
					(destroyed ? DESTROYED_PRIVATE : PRIVATE) :
					(destroyed ? DESTROYED_SHARED : SHARED);

		for (; at < (runs[i].offset + runs[i].bytes) / PAGE; at++) {
			if (page_of(actor, at)->state == state)
				continue;
			diverged(actor, "page %llu is %s, and should be %s",
				 (unsigned long long)at, state_name(state),
				 state_name(page_of(actor, at)->state));
			return;
		}
	}
}

static void act_unsolicited(struct actor *actor, const struct op *op)
{
	act_convert(actor, op->first, op->nr, op->to_private, op->policy);
}

static void (*const acts[NR_OPS])(struct actor *actor, const struct op *op) = {
	[OP_CONVERT] = act_unsolicited,
	[OP_ASK] = act_ask,
	[OP_HOST_READ] = act_host_read,
	[OP_HOST_WRITE] = act_host_write,
	[OP_GUEST_READ] = act_guest_read,
	[OP_GUEST_WRITE] = act_guest_write,
	[OP_PUNCH] = act_punch,
	[OP_PIN] = act_pin,
	[OP_UNPIN] = act_unpin,
	[OP_POISON] = act_poison,
	[OP_LIE] = act_lie,
	[OP_ATTRIBUTES] = act_attributes,
	[OP_BAD_ARGS] = act_bad_args,
	[OP_FAIL] = act_fail,
	[OP_FOREIGN_HOST] = act_foreign_host,
	[OP_FOREIGN_GUEST] = act_foreign_guest,
	[OP_FORGE] = act_forge,
	[OP_COMMONS] = act_commons,
};

void act(struct actor *actor, const struct op *op)
{
	actor->nr_ops++;
	op_describe(op, actor->remembered[actor->nr_ops % NR_REMEMBERED],
		    sizeof(actor->remembered[0]));
	acts[op->kind](actor, op);
}
