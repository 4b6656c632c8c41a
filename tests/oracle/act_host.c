// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Operations on the own shard by the host: accesses, holes, pins, failed memory,
 * and a guest_memfd that is made to believe what is not.
 */
#include <gmem/emu.h>
#include "world.h"

/* Accesses of the host that one operation makes: pages. */
#define MAX_HOST_PAGES	24

static uint64_t at_most(uint64_t nr, uint64_t limit)
{
	return nr < limit ? nr : limit;
}

static void check_host_reads(struct actor *actor, uint64_t index, unsigned int view,
			     bool reaches)
{
	uint64_t word = 0;

	for (unsigned int i = 0; i < WORDS; i++) {
		int ret = host_load(word_at(actor->world, view, index, i), &word);

		if (ret)
			actor->counts.faults++;
		if (!ret != reaches) {
			diverged(actor, "the host %s page %llu, which is %s",
				 ret ? "gets SIGBUS for" : "can read",
				 (unsigned long long)index,
				 state_name(page_of(actor, index)->state));
			return;
		}
		if (ret)
			return;
		if (!expected_word(actor, index, false, i, word)) {
			diverged(actor, "the host reads %#llx in page %llu, which holds %s %#x",
				 (unsigned long long)word, (unsigned long long)index,
				 page_of(actor, index)->content == CONTENT_FILLED ?
				 "generation" : "zeros since", page_of(actor, index)->generation);
			return;
		}
	}
}

void act_host_read(struct actor *actor, const struct op *op)
{
	uint64_t nr = at_most(op->nr, MAX_HOST_PAGES);

	for (uint64_t i = op->first; i < op->first + nr; i++)
		check_host_reads(actor, i, op->view,
				 model_host_reaches(actor, page_of(actor, i)));
}

static void host_write(struct actor *actor, uint64_t index, unsigned int view,
		       uint32_t generation)
{
	bool reaches = model_host_reaches(actor, page_of(actor, index));

	for (unsigned int i = 0; i < WORDS; i++) {
		int ret = host_store(word_at(actor->world, view, index, i),
				     make_word(index, i, generation, false));

		if (ret)
			actor->counts.faults++;
		if (!ret != reaches)
			diverged(actor, "the host %s page %llu, which is %s",
				 ret ? "gets SIGBUS writing" : "can write",
				 (unsigned long long)index,
				 state_name(page_of(actor, index)->state));
		if (ret || !reaches)
			return;
	}
	fill_pages(actor, index, 1, generation, false);
}

void act_host_write(struct actor *actor, const struct op *op)
{
	uint64_t nr = at_most(op->nr, MAX_HOST_PAGES);
	uint32_t generation = next_generation(actor);

	for (uint64_t i = op->first; i < op->first + nr; i++) {
		__atomic_store_n(&actor->world->published[i].top, generation,
				 __ATOMIC_RELEASE);
		host_write(actor, i, op->view, generation);
	}
}

void act_punch(struct actor *actor, const struct op *op)
{
	int ret = gmem_file_punch_hole(actor->world->file, op->first * PAGE,
				       op->nr * PAGE);

	if (ret) {
		diverged(actor, "punching a hole answered %s", answer_name(ret));
		return;
	}
	for (uint64_t i = op->first; i < op->first + op->nr; i++) {
		model_freed(actor, page_of(actor, i));
		__atomic_store_n(&actor->world->published[i].floor,
				 page_of(actor, i)->generation, __ATOMIC_RELEASE);
	}
}

void act_pin(struct actor *actor, const struct op *op)
{
	uint64_t nr = at_most(op->nr, 4);
	int want = 0, ret;

	if (!actor->world->emu || actor->nr_pins == MAX_PINS)
		return;
	for (uint64_t i = op->first; i < op->first + nr; i++) {
		if (!model_host_reaches(actor, page_of(actor, i)))
			want = -EFAULT;
	}
	ret = gmem_emu_pin(actor->world->file, op->first * PAGE, nr * PAGE);
	if (ret != want)
		diverged(actor, "pinning answered %s, not %s", answer_name(ret),
			 answer_name(want));
	if (ret || want)
		return;
	actor->pins[actor->nr_pins++] = (struct pin){ op->first, nr };
	for (uint64_t i = op->first; i < op->first + nr; i++)
		page_of(actor, i)->pins++;
}

void act_unpin(struct actor *actor, const struct op *op)
{
	struct pin pin;
	int ret;

	/* Mostly all of them: pinned pages refuse everything. */
	do {
		if (!actor->nr_pins)
			return;
		pin = actor->pins[--actor->nr_pins];
		ret = gmem_emu_unpin(actor->world->file, pin.first * PAGE,
				     pin.nr * PAGE);
		if (ret)
			diverged(actor, "unpinning answered %s", answer_name(ret));
		for (uint64_t i = pin.first; i < pin.first + pin.nr; i++)
			page_of(actor, i)->pins--;
	} while (op->extra % 4);
}

void act_poison(struct actor *actor, const struct op *op)
{
	int ret;

	if (!actor->world->emu || op->extra % 4)
		return;
	ret = gmem_emu_poison(actor->world->file, op->first * PAGE, PAGE);
	if (ret)
		diverged(actor, "poisoning answered %s", answer_name(ret));
	else
		page_of(actor, op->first)->poisoned = true;
}

static void force(struct actor *actor, uint64_t index, bool private)
{
	int ret = gmem_emu_force_attributes(actor->world->file, index * PAGE, PAGE,
					    private ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0);

	if (ret)
		diverged(actor, "forcing attributes answered %s", answer_name(ret));
}

/*
 * guest_memfd takes a private page for shared.  Who has memory of the guest in
 * hand, EL2, the RMP or the TDX module, does not care.
 */
void act_lie(struct actor *actor, const struct op *op)
{
	uint64_t nr = at_most(op->nr, 4);

	if (!actor->world->emu || actor->world->platform == GMEM_VM_SW)
		return;
	for (uint64_t i = op->first; i < op->first + nr; i++) {
		struct page *page = page_of(actor, i);

		if (page->state != PRIVATE)
			continue;
		force(actor, i, false);
		page->state = SHARED;
		check_host_reads(actor, i, op->view,
				 model_host_reaches(actor, page) && !page->assigned);
		page->state = PRIVATE;
		force(actor, i, true);
	}
}
