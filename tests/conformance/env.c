// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The tests' VM, and looking at its memory from both sides.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "env.h"

#define CANVAS_PATTERN	0xc0ffee0000000000ull

static void print_log(void *opaque, int level, const char *message)
{
	(void)opaque;
	(void)level;
	(void)message;
}

/* All at once: pKVM takes no new ones once a VM has run, of whatever type. */
static void create_vcpus(struct env *env, unsigned int nr)
{
	for (unsigned int id = 0; id < nr; id++)
		ASSERT_OK(gmem_vcpu_create(env->vm, id, &env->vcpus[id]));
}

void env_open_vm(struct env *env, const struct variant *variant)
{
	struct gmem_engine_options engine_options = {
		.size = sizeof(engine_options), .kind = variant->engine,
		.log = print_log,
	};
	struct gmem_vm_options vm_options = {
		.size = sizeof(vm_options), .platform = variant->platform,
	};

	memset(env, 0, sizeof(*env));
	env->variant = variant;
	ASSERT_OK(gmem_engine_open(&engine_options, &env->engine));
	ASSERT_OK(gmem_vm_create(env->engine, &vm_options, &env->vm));
	ASSERT_OK(gmem_guest_setup(env->vm));
	if (variant->guest_asks)
		create_vcpus(env, NR_ALL_VCPUS);
}

struct gmem_file *new_file(struct env *env, uint64_t nr_pages, uint64_t flags)
{
	struct gmem_file_options options = {
		.size = sizeof(options), .bytes = nr_pages * PAGE, .flags = flags,
	};
	struct gmem_file *file;

	ASSERT_OK(gmem_file_create(env->vm, &options, &file));
	return file;
}

int bind_slot(struct env *env, uint32_t id, uint64_t gpa, uint64_t nr_pages,
	      struct gmem_file *file, uint64_t first_page)
{
	struct gmem_slot_options options = {
		.size = sizeof(options), .id = id, .gpa = gpa,
		.bytes = nr_pages * PAGE, .file = file,
		.offset = first_page * PAGE,
	};
	int ret;

	ret = gmem_slot_set(env->vm, &options);
	if (!ret && env->nr_slots < NR_ENV_SLOTS)
		env->slots[env->nr_slots++] = (struct env_slot){
			file, gpa, first_page, nr_pages,
		};
	return ret;
}

/* Where a page of the env's file is bound, and how many pages from there on. */
static bool find_gpa(const struct env *env, uint64_t page, uint64_t *gpa, uint64_t *nr)
{
	for (unsigned int i = env->nr_slots; i--; ) {
		const struct env_slot *slot = &env->slots[i];

		if (slot->file != env->file || page < slot->first_page ||
		    page - slot->first_page >= slot->nr_pages)
			continue;
		*gpa = slot->gpa + (page - slot->first_page) * PAGE;
		*nr = slot->nr_pages - (page - slot->first_page);
		return true;
	}
	return false;
}

void env_open_file(struct env *env, uint64_t nr_pages, uint64_t flags)
{
	void *memory;

	env->nr_pages = nr_pages;
	env->file = new_file(env, nr_pages, flags);
	ASSERT_OK(gmem_file_map(env->file, 0, nr_pages * PAGE, &memory));
	env->memory = memory;
	if (keep_policy(env) != READABLE)
		ASSERT((env->lost = calloc(nr_pages, 1)) != NULL);
	if (!env->variant->kernel)
		pin_through_engine(env);
}

void env_open(struct env *env, const struct variant *variant, uint64_t nr_pages,
	      uint64_t flags)
{
	env_open_vm(env, variant);
	env_open_file(env, nr_pages, flags);
	ASSERT_OK(bind_slot(env, TEST_SLOT, TEST_GPA, nr_pages, env->file, 0));
}

struct gmem_vcpu *env_vcpu(struct env *env, unsigned int id)
{
	ASSERT(id < NR_TEST_VCPUS);
	if (!env->ran && !env->variant->guest_asks)
		create_vcpus(env, NR_TEST_VCPUS);
	/* Threads may come here once there are vCPUs. */
	if (!env->ran)
		env->ran = true;
	ASSERT(env->vcpus[id]);
	return env->vcpus[id];
}

/* ---- conversions ---- */

/* This thread's: a request waits while its vCPU is used for another. */
static struct gmem_vcpu *asking_vcpu(struct env *env)
{
	static _Thread_local unsigned int mine;
	static unsigned int used;

	if (!mine)
		mine = __atomic_add_fetch(&used, 1, __ATOMIC_RELAXED);
	ASSERT(mine <= NR_ASKING_VCPUS);
	return env->vcpus[NR_TEST_VCPUS + mine - 1];
}

static int run_until_exit(struct gmem_vcpu *vcpu, struct gmem_exit *exit)
{
	int ret;

	do {
		ret = gmem_vcpu_run(vcpu, exit);
	} while (!ret && exit->reason == KVM_EXIT_INTR);
	return ret;
}

/*
 * The guest asks for @args, and the VMM converts what each of its hypercalls is about.
 * Adds up what was converted, and in @asked for how much the VMM was asked.  Returns
 * what the VMM got; if it was not asked what the guest was told, for EL2 may refuse.
 */
static int ask_and_convert(struct env *env, uint64_t gpa,
			   struct kvm_memory_attributes2 *args, uint64_t *asked)
{
	struct gmem_vcpu *vcpu = asking_vcpu(env);
	struct gmem_guest_cmd cmd = {
		.op = args->attributes & PRIVATE ? GMEM_GUEST_UNSHARE : GMEM_GUEST_SHARE,
		.addr = gpa, .size = args->size,
	};
	struct kvm_memory_attributes2 piece = *args;
	struct gmem_exit exit;
	int ret = 0, status;

	*asked = 0;
	ASSERT_OK(gmem_guest_start(vcpu, &cmd, 1, 1));
	for (;;) {
		ASSERT_OK(run_until_exit(vcpu, &exit));
		if (exit.reason == GMEM_EXIT_GUEST_DONE) {
			status = gmem_guest_finish(vcpu, NULL, 0, NULL);
			/* The guest came up first, and had not looked yet. */
			if (status == -EBUSY)
				continue;
			return *asked ? ret : status;
		}
		ASSERT_EQ(exit.reason, KVM_EXIT_HYPERCALL);
		piece.offset = args->offset + (exit.hypercall.args[0] - gpa);
		piece.size = exit.hypercall.args[1] * PAGE;
		piece.converted = 0;
		ret = gmem_set_memory_attributes2(env->file, &piece);
		args->error_offset = piece.error_offset;
		args->converted += piece.converted;
		*asked = piece.offset + piece.size - args->offset;
		ASSERT_OK(gmem_vcpu_complete_hypercall(vcpu, ret));
	}
}

int convert_args(struct env *env, struct kvm_memory_attributes2 *args)
{
	struct kvm_memory_attributes2 piece = *args;
	uint64_t gpa, nr, asked, left = args->size;
	int ret = 0;

	if (!env->variant->guest_asks || !env->ran)
		return gmem_set_memory_attributes2(env->file, args);

	/*
	 * A request for each stretch of guest physical memory, and for what is left
	 * of one: if memory is destroyed the guest is told of an error, and gives up.
	 */
	for (; left && !ret; left -= asked) {
		if (!find_gpa(env, piece.offset / PAGE, &gpa, &nr))
			return gmem_set_memory_attributes2(env->file, args);
		piece.size = left < nr * PAGE ? left : nr * PAGE;
		piece.converted = 0;
		ret = ask_and_convert(env, gpa, &piece, &asked);
		args->error_offset = piece.error_offset;
		args->converted += piece.converted;
		piece.offset += asked;
	}
	return ret;
}

uint32_t keep_policy(const struct env *env)
{
	uint32_t both = env->variant->to_shared & env->variant->to_private;

	return both >> READABLE & 1 ? READABLE : ZERO;
}

static bool is_lost(const struct env *env, uint64_t page)
{
	return env->lost && env->lost[page];
}

static void set_lost(struct env *env, uint64_t page, uint64_t nr, bool lost)
{
	if (env->lost)
		memset(env->lost + page, lost, nr);
}

void env_converted(struct env *env, uint64_t page, uint64_t nr)
{
	set_lost(env, page, nr, true);
}

struct page_runs {
	struct gmem_run run[64];
	size_t nr;
};

static void read_runs(struct env *env, uint64_t page, uint64_t nr,
		      struct page_runs *runs)
{
	runs->nr = 64;
	ASSERT_OK(gmem_get_attributes(env->file, page * PAGE, nr * PAGE, runs->run,
				      &runs->nr));
}

/* What has the attribute already is left alone. */
static void lose_contents(struct env *env, const struct page_runs *before,
			  uint64_t attributes)
{
	for (size_t i = 0; i < before->nr; i++) {
		const struct gmem_run *run = &before->run[i];

		if (run->attributes != attributes || run->state)
			set_lost(env, run->offset / PAGE, run->bytes / PAGE, true);
	}
}

/* READABLE where it is refused: the refusal, then ZERO. */
static int convert_losing(struct env *env, struct kvm_memory_attributes2 *args)
{
	uint64_t page = args->offset / PAGE, nr = args->size / PAGE;
	struct page_runs before;
	int ret;

	args->content_policy = READABLE;
	ret = convert_args(env, args);
	if (ret != -EOPNOTSUPP)
		return ret ? ret : -ENOTRECOVERABLE;
	read_runs(env, page, nr, &before);
	args->content_policy = ZERO;
	ret = convert_args(env, args);
	if (!ret)
		lose_contents(env, &before, args->attributes);
	return ret;
}

static int guest_convert(struct env *env, unsigned int vcpu, uint64_t page,
			 uint64_t nr, uint64_t attributes, uint32_t policy)
{
	struct page_runs before;
	int ret;

	before.nr = 0;
	if (policy == KEEP) {
		read_runs(env, page, nr, &before);
		policy = keep_policy(env);
	}
	if (attributes == PRIVATE)
		ret = gmem_guest_unshare(env_vcpu(env, vcpu), gpa_of(page), nr * PAGE,
					 policy);
	else
		ret = gmem_guest_share(env_vcpu(env, vcpu), gpa_of(page), nr * PAGE,
				       policy);
	if (!ret)
		lose_contents(env, &before, attributes);
	return ret;
}

int guest_share(struct env *env, unsigned int vcpu, uint64_t page, uint64_t nr,
		uint32_t policy)
{
	return guest_convert(env, vcpu, page, nr, SHARED, policy);
}

int guest_unshare(struct env *env, unsigned int vcpu, uint64_t page, uint64_t nr,
		  uint32_t policy)
{
	return guest_convert(env, vcpu, page, nr, PRIVATE, policy);
}

int convert_count(struct env *env, uint64_t page, uint64_t nr,
		  uint64_t attributes, uint32_t policy, uint64_t *pages)
{
	struct kvm_memory_attributes2 args = {
		.offset = page * PAGE, .size = nr * PAGE,
		.attributes = attributes, .content_policy = policy,
	};
	int ret;

	if (policy == KEEP)
		args.content_policy = READABLE;
	if (policy == KEEP && keep_policy(env) != READABLE)
		ret = convert_losing(env, &args);
	else
		ret = convert_args(env, &args);
	/* Of several requests the first may have been granted. */
	if (pages)
		*pages = args.converted / PAGE;
	return ret;
}

bool lost_for_good(const struct env *env)
{
	return env->variant->guest_asks && env->ran;
}

int convert(struct env *env, uint64_t page, uint64_t nr, uint64_t attributes,
	    uint32_t policy)
{
	return convert_count(env, page, nr, attributes, policy, NULL);
}

static char state_letter(uint64_t attributes, uint64_t state)
{
	if (state & ~KVM_GMEM_STATE_DESTROYED || attributes & ~PRIVATE)
		return '?';
	if (state & KVM_GMEM_STATE_DESTROYED)
		return attributes ? 'D' : 'd';
	return attributes ? 'p' : 's';
}

void check_state(struct env *env, const char *want, const char *file, int line)
{
	struct gmem_run runs[64];
	size_t nr_runs = 64, nr = strlen(want);
	char got[65] = "";
	int ret;

	ASSERT(nr <= 64);
	ret = gmem_get_attributes(env->file, 0, nr * PAGE, runs, &nr_runs);
	if (ret)
		test_fail(file, line, "reading attributes back returned %s",
			  ret_name(ret));
	for (size_t i = 0; i < nr_runs; i++) {
		memset(got + runs[i].offset / PAGE,
		       state_letter(runs[i].attributes, runs[i].state),
		       runs[i].bytes / PAGE);
	}
	if (strcmp(got, want))
		test_fail(file, line, "the pages are %s, not %s", got, want);
}

void check_uniform(struct env *env, uint64_t page, uint64_t nr, char want,
		   const char *file, int line)
{
	size_t nr_runs = 1;
	struct gmem_run run;
	int ret;

	ret = gmem_get_attributes(env->file, page * PAGE, nr * PAGE, &run, &nr_runs);
	if (ret)
		test_fail(file, line, "%zu runs (%s) in place of one", nr_runs,
			  ret_name(ret));
	if (state_letter(run.attributes, run.state) != want)
		test_fail(file, line, "the pages are %c, not %c",
			  state_letter(run.attributes, run.state), want);
}

void host_fill(struct env *env, uint64_t page, uint64_t nr, uint64_t value)
{
	volatile uint64_t *words = (uint64_t *)addr_of(env, page);

	for (uint64_t i = 0; i < nr * WORDS; i++)
		__atomic_store_n(&words[i], value + i, __ATOMIC_RELAXED);
	set_lost(env, page, nr, false);
}

/*
 * The guest, stopped at memory that guest_memfd calls shared, shares all of it up to
 * @end, by another vCPU.
 */
static bool share_what_is_shared(struct env *env, uint64_t gpa, uint64_t end)
{
	struct gmem_run runs[1];
	struct kvm_memory_attributes2 args = { .content_policy = READABLE };
	uint64_t page, first = 0, nr, asked;
	size_t nr_runs = 1;
	int ret;

	for (page = 0; page < env->nr_pages; page++) {
		if (find_gpa(env, page, &first, &nr) && first == gpa)
			break;
	}
	if (page == env->nr_pages)
		return false;
	if (nr > (end - gpa + PAGE - 1) / PAGE)
		nr = (end - gpa + PAGE - 1) / PAGE;
	ret = gmem_get_attributes(env->file, page * PAGE, nr * PAGE, runs, &nr_runs);
	if ((ret && ret != -ENOSPC) || runs[0].attributes || runs[0].state)
		return false;
	args.offset = page * PAGE;
	args.size = runs[0].bytes;
	return !ask_and_convert(env, gpa, &args, &asked) && !args.converted;
}

int guest_command(struct env *env, struct gmem_vcpu *vcpu,
		  struct gmem_guest_cmd *cmd, struct gmem_exit *exit)
{
	uint64_t shared = 0;
	int ret;

	memset(exit, 0, sizeof(*exit));
	ret = gmem_guest_exec(vcpu, cmd, 1, 0, exit);
	while (env->variant->guest_asks && exit->reason == KVM_EXIT_MEMORY_FAULT) {
		if (exit->memory_fault.gpa == shared ||
		    !share_what_is_shared(env, exit->memory_fault.gpa,
					  cmd->addr + cmd->size))
			return ret;
		shared = exit->memory_fault.gpa;
		ASSERT_OK(run_until_exit(vcpu, exit));
		ret = exit->reason == KVM_EXIT_MEMORY_FAULT ? -exit->error :
		      gmem_guest_finish(vcpu, cmd, 1, NULL);
	}
	return ret;
}

void guest_fill(struct env *env, uint64_t page, uint64_t nr, uint64_t value)
{
	struct gmem_guest_cmd cmd = {
		.op = GMEM_GUEST_FILL, .addr = gpa_of(page), .size = nr * PAGE,
		.value = value, .step = 1,
	};
	struct gmem_exit exit;

	ASSERT_OK(guest_command(env, env_vcpu(env, 0), &cmd, &exit));
	set_lost(env, page, nr, false);
}

void host_check(struct env *env, uint64_t page, uint64_t nr, uint64_t value,
		uint64_t step, const char *file, int line)
{
	uint64_t got;

	for (uint64_t i = 0; i < nr * WORDS; i++) {
		void *addr = addr_of(env, page) + i * 8;
		uint64_t want = is_lost(env, page + i / WORDS) ? 0 : value + i * step;

		if (try_read(addr, &got, NULL))
			test_fail(file, line, "host: SIGBUS at page %llu",
				  (unsigned long long)(page + i / WORDS));
		if (got != want)
			test_fail(file, line,
				  "host reads %#llx at page %llu + %#llx, not %#llx",
				  (unsigned long long)got,
				  (unsigned long long)(page + i / WORDS),
				  (unsigned long long)(i % WORDS * 8),
				  (unsigned long long)want);
	}
}

/* A page that was scrubbed, and not written since. */
static void guest_check_scrubbed(struct env *env, uint64_t page, const char *file,
				 int line)
{
	struct gmem_guest_cmd cmds[GMEM_GUEST_MAX_CMDS];
	int ret;

	for (uint64_t i = 0; i < GMEM_GUEST_MAX_CMDS; i++)
		cmds[i] = (struct gmem_guest_cmd){
			.op = GMEM_GUEST_LOAD, .size = 8,
			.addr = gpa_of(page) + i * (PAGE / GMEM_GUEST_MAX_CMDS),
		};
	ret = gmem_guest_exec(env_vcpu(env, 0), cmds, GMEM_GUEST_MAX_CMDS, 0, NULL);
	if (ret)
		test_fail(file, line, "guest cannot read page %llu: %s",
			  (unsigned long long)page, ret_name(ret));
	for (uint64_t i = 0; i < GMEM_GUEST_MAX_CMDS; i++) {
		if (cmds[i].result >> 28 && ~cmds[i].result && cmds[i].result >> 32 != CANVAS_PATTERN >> 32)
			continue;
		test_fail(file, line, "guest reads %#llx at gpa %#llx, which was scrubbed",
			  (unsigned long long)cmds[i].result,
			  (unsigned long long)cmds[i].addr);
	}
}

static bool is_scrubbed(struct env *env, uint64_t page)
{
	size_t nr_runs = 1;
	struct gmem_run run;

	if (!env->variant->scrubs_to_private)
		return false;
	ASSERT_OK(gmem_get_attributes(env->file, page * PAGE, PAGE, &run, &nr_runs));
	return run.attributes == PRIVATE;
}

static void guest_check_same(struct env *env, uint64_t page, uint64_t nr,
			     uint64_t value, uint64_t step, const char *file, int line)
{
	struct gmem_guest_cmd cmd = {
		.op = GMEM_GUEST_CHECK, .addr = gpa_of(page), .size = nr * PAGE,
		.value = value, .step = step,
	};
	struct gmem_exit exit;
	int ret;

	ret = guest_command(env, env_vcpu(env, 0), &cmd, &exit);
	if (ret == -EILSEQ)
		test_fail(file, line,
			  "guest reads %#llx at gpa %#llx, %llu words differ",
			  (unsigned long long)cmd.bad_value,
			  (unsigned long long)cmd.bad_addr,
			  (unsigned long long)cmd.result);
	if (ret)
		test_fail(file, line, "guest cannot read: %s, exit reason %u gpa %#llx",
			  ret_name(ret), exit.reason,
			  (unsigned long long)exit.memory_fault.gpa);
}

void guest_check(struct env *env, uint64_t page, uint64_t nr, uint64_t value,
		 uint64_t step, const char *file, int line)
{
	const bool zeros = !value && !step;
	uint64_t start, end;
	bool lost;

	for (start = page; start < page + nr; start = end) {
		lost = is_lost(env, start);
		end = start + 1;
		if ((zeros || lost) && is_scrubbed(env, start)) {
			guest_check_scrubbed(env, start, file, line);
			continue;
		}
		while (end < page + nr && is_lost(env, end) == lost &&
		       !env->variant->scrubs_to_private)
			end++;
		guest_check_same(env, start, end - start,
				 lost ? 0 : value + (start - page) * WORDS * step,
				 lost ? 0 : step, file, line);
	}
}

/* ---- accesses that are refused ---- */

void host_refused(struct env *env, uint64_t page, const char *file, int line)
{
	/* Not the page's first byte: the handler is told the very address. */
	unsigned char *addr = addr_of(env, page) + 0x218;
	void *fault = NULL;
	uint64_t got = 0;

	if (try_read(addr, &got, &fault) != SIGBUS)
		test_fail(file, line, "host reads %#llx from page %llu",
			  (unsigned long long)got, (unsigned long long)page);
	if (fault != addr)
		test_fail(file, line, "SIGBUS names %p, not %p", fault, (void *)addr);
	if (try_write(addr, 0x5a5a, &fault) != SIGBUS)
		test_fail(file, line, "host writes page %llu",
			  (unsigned long long)page);
	if (fault != addr)
		test_fail(file, line, "SIGBUS names %p, not %p", fault, (void *)addr);
}

/* Where the VMM cannot reset a vCPU, one that faulted for good is lost. */
static struct gmem_vcpu *vcpu_to_lose(struct env *env)
{
	if (!env->variant->guest_asks)
		return env_vcpu(env, 0);
	env->ran = true;
	ASSERT(env->spare_vcpus_used < NR_SPARE_VCPUS);
	return env->vcpus[NR_TEST_VCPUS + NR_ASKING_VCPUS + env->spare_vcpus_used++];
}

void guest_refused(struct env *env, uint64_t page, const char *file, int line)
{
	struct gmem_guest_cmd cmd = {
		.addr = gpa_of(page) + 0x218, .size = 8, .value = 0x5a5a,
	};
	static const uint32_t ops[] = { GMEM_GUEST_LOAD, GMEM_GUEST_STORE };

	for (int i = 0; i < 2; i++) {
		struct gmem_vcpu *vcpu = vcpu_to_lose(env);
		struct gmem_exit exit = { 0 };
		int ret;

		cmd.op = ops[i];
		ret = gmem_guest_exec(vcpu, &cmd, 1, 0, &exit);
		if (ret != -EFAULT || exit.reason != KVM_EXIT_MEMORY_FAULT)
			test_fail(file, line,
				  "guest %s page %llu: %s, exit reason %u",
				  i ? "writes" : "reads",
				  (unsigned long long)page, ret_name(ret),
				  exit.reason);
		if (exit.memory_fault.gpa / PAGE != gpa_of(page) / PAGE)
			test_fail(file, line, "memory fault names gpa %#llx",
				  (unsigned long long)exit.memory_fault.gpa);
		if (exit.memory_fault.size != PAGE)
			test_fail(file, line, "memory fault of %#llx bytes",
				  (unsigned long long)exit.memory_fault.size);
		ret = gmem_guest_abort(vcpu);
		if (ret != (env->variant->guest_asks ? -EPERM : 0))
			test_fail(file, line, "restarting the guest program returned %s",
				  ret_name(ret));
	}
}

/* ---- canvas ---- */

void canvas_paint(struct env *env)
{
	ASSERT_OK(convert(env, 0, CANVAS_PAGES, PRIVATE, DESTROY));
	ASSERT_OK(convert(env, 0, CANVAS_PAGES, SHARED, ZERO));
	/* 4 and 5: the memory goes, nobody touched them. */
	ASSERT_OK(gmem_file_punch_hole(env->file, 4 * PAGE, 2 * PAGE));
	ASSERT_OK(convert(env, 5, 1, PRIVATE, ZERO));

	host_fill(env, 0, 4, CANVAS_PATTERN);
	host_fill(env, 6, 2, CANVAS_PATTERN + 6 * WORDS);
	ASSERT_OK(convert(env, 1, 1, PRIVATE, KEEP));
	/* Both owe zeros over the pattern that lies in the frame. */
	ASSERT_OK(convert(env, 2, 2, PRIVATE, ZERO));
	ASSERT_OK(convert(env, 2, 1, SHARED, KEEP));
	ASSERT_OK(convert(env, 6, 1, SHARED, DESTROY));
	ASSERT_STATE(env, CANVAS_STATE);
}

void canvas_check(struct env *env, const char *file, int line)
{
	check_state(env, CANVAS_STATE, file, line);
	host_check(env, 0, 1, CANVAS_PATTERN, 1, file, line);
	guest_check(env, 0, 1, CANVAS_PATTERN, 1, file, line);
	guest_check(env, 1, 1, CANVAS_PATTERN + WORDS, 1, file, line);
	host_check(env, 2, 1, 0, 0, file, line);
	guest_check(env, 3, 1, 0, 0, file, line);
	host_check(env, 4, 1, 0, 0, file, line);
	guest_check(env, 5, 1, 0, 0, file, line);
	host_check(env, 7, 1, CANVAS_PATTERN + 7 * WORDS, 1, file, line);
	host_refused(env, 1, file, line);
	host_refused(env, 3, file, line);
	host_refused(env, 5, file, line);
	host_refused(env, 6, file, line);
	guest_refused(env, 6, file, line);
}
