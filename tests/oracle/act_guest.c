// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Operations on the own shard by the guest, and the VMM's part in them.
 */
#include <linux/kvm.h>

#include "world.h"

/* pKVM's guests cannot be reset: accesses that get stuck cost a vCPU. */
#define STUCK_RARELY	32

struct gmem_vcpu *actor_vcpu(struct actor *actor)
{
	return actor->nr_vcpus ? actor->vcpus[actor->nr_vcpus - 1] : NULL;
}

void vcpu_stuck(struct actor *actor)
{
	int ret = gmem_guest_abort(actor_vcpu(actor));
	int want = actor->world->platform == GMEM_VM_PKVM ? -EPERM : 0;

	actor->counts.faults++;
	if (ret != want)
		diverged(actor, "resetting a vCPU answered %s, not %s", answer_name(ret),
			 answer_name(want));
	if (ret)
		actor->nr_vcpus--;
}

static const char *access_name(enum access access)
{
	static const char *const names[] = {
		[ACCESS_DONE] = "takes place",
		[ACCESS_FAULT] = "is a memory fault",
		[ACCESS_POISONED] = "is a memory fault by poison",
		[ACCESS_TERMINATE] = "ends the guest",
	};

	return names[access];
}

/* What a list's end says of its last access. */
static enum access exit_access(int ret, const struct gmem_exit *exit)
{
	if (!ret || ret == -EILSEQ)
		return ACCESS_DONE;
	if (exit->reason == KVM_EXIT_MEMORY_FAULT)
		return ret == -EHWPOISON ? ACCESS_POISONED : ACCESS_FAULT;
	return ACCESS_TERMINATE;
}

/*
 * Run a list whose accesses end with @want, at page @trouble.  False if nothing
 * more is to be told.
 */
static bool run_list(struct actor *actor, struct gmem_guest_cmd *cmds, size_t nr,
		     enum access want, uint64_t trouble)
{
	struct gmem_exit exit = { 0 };
	enum access got;
	int ret;

	ret = gmem_guest_exec(actor_vcpu(actor), cmds, nr, ZERO, &exit);
	got = exit_access(ret, &exit);
	if (got != want)
		diverged(actor, "the guest's access %s, and should be one that %s at page "
			 "%llu (%s); answer %s, exit %u at %#llx", access_name(got),
			 access_name(want), (unsigned long long)trouble,
			 want == ACCESS_DONE ? "none" :
			 state_name(page_of(actor, trouble)->state), answer_name(ret),
			 exit.reason, (unsigned long long)exit.memory_fault.gpa);
	else if ((want == ACCESS_FAULT || want == ACCESS_POISONED) &&
		 exit.memory_fault.gpa != gpa_of(trouble))
		diverged(actor, "the guest faults at %#llx, not at page %llu",
			 (unsigned long long)exit.memory_fault.gpa,
			 (unsigned long long)trouble);
	if (got != ACCESS_DONE)
		vcpu_stuck(actor);
	if (ret == -EILSEQ)
		for (size_t i = 0; i < nr; i++) {
			if (cmds[i].status != -EILSEQ)
				continue;
			diverged(actor, "the guest reads %#llx at %#llx, not %#llx on",
				 (unsigned long long)cmds[i].bad_value,
				 (unsigned long long)cmds[i].bad_addr,
				 (unsigned long long)cmds[i].value);
			break;
		}
	return !world_failed(actor->world);
}

/*
 * How many of the pages the guest gets at; the first beyond is in @trouble, with
 * what happens there.
 */
static uint64_t reach(struct actor *actor, uint64_t first, uint64_t nr, uint32_t extra,
		      enum access *access)
{
	bool careful = actor->world->platform == GMEM_VM_PKVM && extra % STUCK_RARELY;
	uint64_t i;

	*access = ACCESS_DONE;
	for (i = first; i < first + nr && *access == ACCESS_DONE; i++) {
		if (careful && !model_guest_reaches(actor, page_of(actor, i)))
			break;
		*access = model_guest_access(actor, page_of(actor, i));
		if (page_of(actor, i)->owner != OWNER_NEVER)
			__atomic_store_n(&actor->world->published[i].touched, 1,
					 __ATOMIC_RELEASE);
	}
	return i - first - (*access != ACCESS_DONE);
}

/* Undefined pages are loaded, the others compared. */
static size_t read_commands(struct actor *actor, uint64_t index,
			    struct gmem_guest_cmd *cmds)
{
	const struct page *page = page_of(actor, index);
	bool filled = page->content == CONTENT_FILLED;

	if (page->content == CONTENT_NOISE ||
	    (!filled && page->state == PRIVATE &&
	     actor->world->platform == GMEM_VM_SNP)) {
		for (unsigned int i = 0; i < 2; i++)
			cmds[i] = (struct gmem_guest_cmd){
				.op = GMEM_GUEST_LOAD, .size = 8,
				.addr = gpa_of(index) + i * WORD_STRIDE,
			};
		return 2;
	}
	cmds[0] = (struct gmem_guest_cmd){
		.op = GMEM_GUEST_CHECK, .addr = gpa_of(index), .size = PAGE,
		.stride = WORD_STRIDE, .step = filled,
		.value = filled ? make_word(index, 0, page->generation, page->secret) : 0,
	};
	return 1;
}

void act_guest_read(struct actor *actor, const struct op *op)
{
	struct gmem_guest_cmd cmds[2 * MAX_READ + 2];
	uint64_t nr = op->nr < MAX_READ ? op->nr : MAX_READ - 1, good;
	enum access want;
	size_t nr_cmds = 0;

	if (!actor_vcpu(actor))
		return;
	good = reach(actor, op->first, nr, op->extra, &want);
	for (uint64_t i = 0; i < good + (want != ACCESS_DONE); i++)
		nr_cmds += read_commands(actor, op->first + i, &cmds[nr_cmds]);
	if (!nr_cmds || !run_list(actor, cmds, nr_cmds, want, op->first + good))
		return;
	for (size_t i = 0; i < nr_cmds; i++) {
		uint64_t index = (cmds[i].addr - WORLD_GPA) / PAGE;
		unsigned int word = cmds[i].addr % PAGE / WORD_STRIDE;

		if (cmds[i].op == GMEM_GUEST_LOAD && index < op->first + good &&
		    want == ACCESS_DONE &&
		    !expected_word(actor, index, true, word, cmds[i].result))
			diverged(actor, "the guest reads %#llx in page %llu, where nobody "
				 "has left words", (unsigned long long)cmds[i].result,
				 (unsigned long long)index);
	}
}

void act_guest_write(struct actor *actor, const struct op *op)
{
	bool private = page_of(actor, op->first)->state == PRIVATE;
	uint32_t generation = next_generation(actor);
	struct gmem_guest_cmd cmd;
	uint64_t nr = 1, good;
	enum access want;

	if (!actor_vcpu(actor))
		return;
	/* All of it is secret, or none. */
	while (nr < op->nr &&
	       (page_of(actor, op->first + nr)->state == PRIVATE) == private)
		nr++;
	good = reach(actor, op->first, nr, op->extra, &want);
	if (want == ACCESS_DONE)
		nr = good;
	if (!nr)
		return;
	for (uint64_t i = op->first; i < op->first + good; i++)
		__atomic_store_n(&actor->world->published[i].top, generation,
				 __ATOMIC_RELEASE);
	cmd = (struct gmem_guest_cmd){
		.op = GMEM_GUEST_FILL, .addr = gpa_of(op->first), .size = nr * PAGE,
		.value = make_word(op->first, 0, generation, private),
		.step = 1, .stride = WORD_STRIDE,
	};
	if (run_list(actor, &cmd, 1, want, op->first + good))
		fill_pages(actor, op->first, good, generation, private);
}

/* ---- the guest asks ---- */

/* What the VMM does with the request, and what it then tells the guest. */
static int serve(struct actor *actor, const struct op *op)
{
	uint64_t first = op->first, end = op->first + op->nr, half = (op->nr + 1) / 2;
	bool to_private = op->to_private;
	uint32_t script = op->extra;
	uint32_t policy = op->policy;
	enum page_state want = to_private ? PRIVATE : SHARED;

	/* Before: another direction, another page, more than was asked for. */
	if (script & 1)
		act_convert(actor, first, op->nr, !to_private, ZERO);
	if (script & 2 && op->nr > 1)
		act_convert(actor, first + 1, op->nr - 1, to_private, policy);
	if (script & 4 && end < actor->first + actor->nr)
		act_convert(actor, first, op->nr + 1, to_private, policy);
	switch (script >> 3 & 7) {
	case 0:
		break;
	case 1:
		act_convert(actor, first, half, to_private, policy);
		break;
	case 2:
	case 3:
		act_convert(actor, first, half, to_private, policy);
		if (half < op->nr)
			act_convert(actor, first + half, op->nr - half, to_private,
				    script & 64 ? ZERO : policy);
		break;
	default:
		act_convert(actor, first, op->nr, to_private, policy);
	}
	/* After: once more, and back. */
	if (script & 128)
		act_convert(actor, first, op->nr, to_private, policy);
	if (script & 256)
		act_convert(actor, first, op->nr, !to_private, ZERO);

	/* pKVM's guests need not believe the VMM. */
	if (script & 512 && actor->world->platform == GMEM_VM_PKVM)
		return script & 1024 ? 0 : -EINVAL;
	for (uint64_t i = first; i < end; i++) {
		if (page_of(actor, i)->state != want)
			return -EAGAIN;
	}
	return 0;
}

static bool right_hypercall(const struct gmem_exit *exit, const struct op *op)
{
	return exit->hypercall.nr == KVM_HC_MAP_GPA_RANGE &&
	       exit->hypercall.args[0] == gpa_of(op->first) &&
	       exit->hypercall.args[1] == op->nr &&
	       !!(exit->hypercall.args[2] & 1u << 4) == op->to_private;
}

/* How the guest's request goes on, and what it has come to so far. */
struct asking {
	struct op op;		/* what the next exit is about */
	uint64_t left;		/* pages, those of @op among them */
	bool exits;		/* there is a next exit */
	int want;
	uint64_t done;
};

static void ask_on(struct actor *actor, struct asking *asking)
{
	asking->op.nr = asking->left;
	asking->want = model_ask(actor, asking->op.first, &asking->op.nr,
				 asking->op.to_private);
	asking->exits = !asking->want;
}

/* The VMM serves an exit, and says so; what the guest makes of that. */
static void serve_exit(struct actor *actor, struct asking *asking,
		       const struct gmem_exit *exit)
{
	const struct op *op = &asking->op;
	uint64_t done;
	int answer;

	if (!asking->exits || !right_hypercall(exit, op)) {
		diverged(actor, "the guest asks for %llu pages at %#llx, and should for %llu "
			 "at page %llu", (unsigned long long)exit->hypercall.args[1],
			 (unsigned long long)exit->hypercall.args[0],
			 asking->exits ? (unsigned long long)op->nr : 0,
			 (unsigned long long)op->first);
		return;
	}
	answer = serve(actor, op);
	gmem_vcpu_complete_hypercall(actor_vcpu(actor), answer);
	asking->want = model_asked(actor, op->first, op->nr, op->to_private, answer, &done);
	asking->exits = false;
	asking->done += done;
	asking->left -= done;
	asking->op.first += done;
	if (!asking->want && asking->left)
		ask_on(actor, asking);
}

/* Until the list is done: what the guest was told. */
static int run_ask(struct actor *actor, struct asking *asking,
		   struct gmem_guest_cmd *cmd)
{
	struct gmem_vcpu *vcpu = actor_vcpu(actor);
	struct gmem_exit exit;
	int ret;

	ret = gmem_guest_start(vcpu, cmd, 1, 1);
	while (!ret && !world_failed(actor->world)) {
		ret = gmem_vcpu_run(vcpu, &exit);
		if (ret)
			break;
		if (exit.reason == KVM_EXIT_HYPERCALL) {
			serve_exit(actor, asking, &exit);
		} else if (exit.reason == GMEM_EXIT_GUEST_DONE) {
			ret = gmem_guest_finish(vcpu, cmd, 1, NULL);
			if (ret != -EBUSY)
				break;
			ret = 0;
		} else if (exit.reason != KVM_EXIT_INTR) {
			diverged(actor, "asking ended with exit %u at %#llx", exit.reason,
				 (unsigned long long)exit.memory_fault.gpa);
			break;
		}
	}
	return ret;
}

void act_ask(struct actor *actor, const struct op *op)
{
	struct gmem_guest_cmd cmd = {
		.op = op->to_private ? GMEM_GUEST_UNSHARE : GMEM_GUEST_SHARE,
		.addr = gpa_of(op->first), .size = op->nr * PAGE,
	};
	struct asking asking = { .op = *op, .left = op->nr };
	int ret;

	if (!actor_vcpu(actor))
		return;
	ask_on(actor, &asking);
	ret = run_ask(actor, &asking, &cmd);
	if (world_failed(actor->world))
		return;
	if (asking.exits)
		diverged(actor, "the guest's request ended with %s (%llu pages), and should "
			 "have gone on", answer_name(ret), (unsigned long long)cmd.result);
	else if (ret != asking.want || cmd.result != asking.done)
		diverged(actor, "the guest's request ended with %s (%llu pages), and should "
			 "have with %s (%llu)", answer_name(ret),
			 (unsigned long long)cmd.result, answer_name(asking.want),
			 (unsigned long long)asking.done);
}
