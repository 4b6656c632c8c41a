// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * What threads do to each other, by rules that hold in whatever order it happens.
 *
 * In another's shard a reader finds zeros, or words that belong there: not from
 * before the last time that the contents were given up (floor), not from the future
 * (top), and for the host no secret of the guest's that no conversion disclosed.
 *
 * A request that spans two shards was never made: nobody grants it.
 *
 * The commons, the file's first pages, everybody converts and writes.  Words belong
 * where they are found; every page that changes sides is counted by one request.
 */
#include <linux/kvm.h>

#include "world.h"

/* Commons: who wrote it, in the upper bits. */
#define COMMONS_GENERATION(actor)	((actor)->id << 20 | ((actor)->generation & 0xfffff))

static struct actor *other_actor(struct actor *actor, uint32_t extra)
{
	struct world *world = actor->world;

	return &world->actors[(actor->id + 1 + extra % (world->nr_actors - 1)) %
			      world->nr_actors];
}

static void check_foreign_word(struct actor *actor, uint64_t index, unsigned int i,
			       uint64_t word, uint32_t floor, bool by_guest)
{
	struct published *published = &actor->world->published[index];
	uint32_t generation = word_generation(word);
	const char *wrong = NULL;

	if (!word)
		return;
	if (!word_fits(word, index, i))
		wrong = actor->world->encrypted ? NULL : "no word of this page";
	else if (generation <= floor)
		wrong = "given up before";
	else if (generation > __atomic_load_n(&published->top, __ATOMIC_ACQUIRE))
		wrong = "written by nobody yet";
	else if (!by_guest && word_secret(word) &&
		 generation > __atomic_load_n(&published->disclosed, __ATOMIC_ACQUIRE))
		wrong = "the guest's secret";
	if (wrong)
		diverged(actor, "the %s reads %#llx in page %llu of another thread: %s "
			 "(floor %#x)", by_guest ? "guest" : "host",
			 (unsigned long long)word, (unsigned long long)index, wrong, floor);
}

void act_foreign_host(struct actor *actor, const struct op *op)
{
	struct actor *other;
	uint64_t index, word;
	uint32_t floor;

	if (actor->world->nr_actors == 1)
		return;
	other = other_actor(actor, op->extra);
	for (unsigned int i = 0; i < 4 * WORDS; i++) {
		index = other->first + (op->extra + i / WORDS) % other->nr;
		floor = __atomic_load_n(&actor->world->published[index].floor,
					__ATOMIC_ACQUIRE);
		if (host_load(word_at(actor->world, op->view, index, i % WORDS), &word))
			actor->counts.faults++;
		else
			check_foreign_word(actor, index, i % WORDS, word, floor, false);
	}
}

/* Where an access by another vCPU changes nothing that the model knows. */
void act_foreign_guest(struct actor *actor, const struct op *op)
{
	struct world *world = actor->world;
	struct gmem_guest_cmd cmd = { .op = GMEM_GUEST_LOAD, .size = 8 };
	unsigned int i = op->extra >> 16 & (WORDS - 1);
	struct gmem_exit exit = { 0 };
	struct actor *other;
	uint64_t index;
	uint32_t floor;
	int ret;

	if (world->nr_actors == 1 || encrypts(world) || !actor_vcpu(actor))
		return;
	other = other_actor(actor, op->extra);
	index = other->first + op->extra % other->nr;
	if (world->platform == GMEM_VM_PKVM &&
	    (actor->nr_vcpus < 2 ||
	     !__atomic_load_n(&world->published[index].touched, __ATOMIC_ACQUIRE)))
		return;
	floor = __atomic_load_n(&world->published[index].floor, __ATOMIC_ACQUIRE);
	cmd.addr = gpa_of(index) + i * WORD_STRIDE;
	ret = gmem_guest_exec(actor_vcpu(actor), &cmd, 1, ZERO, &exit);
	if (!ret)
		check_foreign_word(actor, index, i, cmd.result, floor, true);
	else if (exit.reason == KVM_EXIT_MEMORY_FAULT)
		vcpu_stuck(actor);
	else
		diverged(actor, "the guest's access ended with %s, exit %u",
			 answer_name(ret), exit.reason);
}

void act_forge(struct actor *actor, const struct op *op)
{
	struct world *world = actor->world;
	uint64_t first = actor->first + actor->nr - 1;
	struct verdict got;

	if (world->platform != GMEM_VM_PKVM || !world->running ||
	    first + 1 >= world->nr_pages)
		return;
	raw_convert(actor, first, 2, op->to_private, op->policy & 1, &got);
	if (got.answer != -EPERM)
		diverged(actor, "a range that nobody asked for was answered with %s",
			 answer_name(got.answer));
}

/* ---- the commons ---- */

static void convert_commons(struct actor *actor, uint64_t first, uint64_t nr,
			    bool to_private, uint32_t policy)
{
	bool pkvm = actor->world->platform == GMEM_VM_PKVM;
	struct verdict got;

	raw_convert(actor, first, nr, to_private, policy, &got);
	if (!got.answer)
		actor->balance += to_private ? -(int64_t)got.converted :
				  (int64_t)got.converted;
	else if (got.answer != -EAGAIN && !(pkvm && got.answer == -EPERM))
		diverged(actor, "converting commons answered %s",
			 answer_name(got.answer));
}

static void ask_commons(struct actor *actor, uint64_t first, uint64_t nr,
			bool to_private, uint32_t policy)
{
	struct gmem_vcpu *vcpu = actor_vcpu(actor);
	struct gmem_guest_cmd cmd = {
		.op = to_private ? GMEM_GUEST_UNSHARE : GMEM_GUEST_SHARE,
		.addr = gpa_of(first), .size = nr * PAGE,
	};
	struct gmem_exit exit;
	int ret;

	if (!vcpu)
		return;
	ret = gmem_guest_start(vcpu, &cmd, 1, 1);
	while (!ret) {
		ret = gmem_vcpu_run(vcpu, &exit);
		if (!ret && exit.reason == KVM_EXIT_HYPERCALL) {
			convert_commons(actor,
					(exit.hypercall.args[0] - WORLD_GPA) / PAGE,
					exit.hypercall.args[1], to_private, policy);
		} else if (!ret && exit.reason == GMEM_EXIT_GUEST_DONE) {
			ret = gmem_guest_finish(vcpu, &cmd, 1, NULL);
			if (ret != -EBUSY)
				break;
			ret = 0;
		} else if (!ret && exit.reason != KVM_EXIT_INTR) {
			ret = -EIO;
		}
	}
	if (ret && ret != -EINVAL)
		diverged(actor, "asking for commons ended with %s", answer_name(ret));
}

static void host_commons(struct actor *actor, uint64_t index, unsigned int view,
			 bool write)
{
	uint32_t generation;
	uint64_t word;

	next_generation(actor);
	generation = COMMONS_GENERATION(actor);
	for (unsigned int i = 0; i < WORDS; i++) {
		unsigned char *addr = word_at(actor->world, view, index, i);

		if (write) {
			host_store(addr, make_word(index, i, generation, false));
			continue;
		}
		if (!host_load(addr, &word) && word && !word_fits(word, index, i))
			diverged(actor, "the host reads %#llx in page %llu, one of the "
				 "commons", (unsigned long long)word,
				 (unsigned long long)index);
	}
}

static void guest_commons(struct actor *actor, uint64_t index, bool write)
{
	struct gmem_vcpu *vcpu = actor_vcpu(actor);
	struct gmem_guest_cmd cmd = {
		.op = write ? GMEM_GUEST_STORE : GMEM_GUEST_LOAD, .size = 8,
	};
	unsigned int i = actor->generation % WORDS;
	struct gmem_exit exit = { 0 };
	int ret;

	if (!vcpu)
		return;
	next_generation(actor);
	cmd.addr = gpa_of(index) + i * WORD_STRIDE;
	cmd.value = make_word(index, i, COMMONS_GENERATION(actor), true);
	ret = gmem_guest_exec(vcpu, &cmd, 1, ZERO, &exit);
	if (ret == -EFAULT && exit.reason == KVM_EXIT_MEMORY_FAULT)
		vcpu_stuck(actor);
	else if (ret)
		diverged(actor, "the guest's access to commons ended with %s, exit %u",
			 answer_name(ret), exit.reason);
	else if (!write && cmd.result && !word_fits(cmd.result, index, i) &&
		 actor->world->platform != GMEM_VM_SNP)
		diverged(actor, "the guest reads %#llx in page %llu, one of the commons",
			 (unsigned long long)cmd.result, (unsigned long long)index);
}

void act_commons(struct actor *actor, const struct op *op)
{
	uint64_t first = op->extra % NR_COMMONS;
	uint64_t nr = 1 + (op->extra >> 8) % (NR_COMMONS - first);
	uint32_t policy = op->policy == READABLE && !encrypts(actor->world) ? READABLE :
			  ZERO;

	switch (op->extra >> 16 & 7) {
	case 0:
	case 1:
	case 2:
		if (actor->world->platform == GMEM_VM_PKVM)
			ask_commons(actor, first, nr, op->to_private, policy);
		else
			convert_commons(actor, first, nr, op->to_private, policy);
		break;
	case 3:
	case 4:
		host_commons(actor, first, op->view, op->to_private);
		break;
	case 5:
		/* With a hole below it a guest's access would be stuck for good. */
		if (actor->world->platform != GMEM_VM_PKVM &&
		    gmem_file_punch_hole(actor->world->file, first * PAGE, nr * PAGE))
			diverged(actor, "punching a hole in the commons failed");
		break;
	default:
		guest_commons(actor, first, op->to_private);
	}
}

void check_commons(struct world *world)
{
	int64_t want = world->init_shared ? NR_COMMONS : 0, got = 0;
	struct gmem_run runs[NR_COMMONS];
	size_t nr_runs = NR_COMMONS;

	for (unsigned int i = 0; i < world->nr_actors; i++)
		want += world->actors[i].balance;
	if (gmem_get_attributes(world->file, 0, NR_COMMONS * PAGE, runs, &nr_runs)) {
		diverged(&world->actors[0], "the commons' attributes cannot be read");
		return;
	}
	for (size_t i = 0; i < nr_runs; i++)
		got += runs[i].attributes ? 0 : (int64_t)(runs[i].bytes / PAGE);
	if (got != want)
		diverged(&world->actors[0], "%lld pages of the commons are shared, and %lld "
			 "by what was converted", (long long)got, (long long)want);
}
