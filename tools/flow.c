// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * gmemctl run --explain: one page is shared and comes back, every step told.
 * Then the host tries what nobody asked for, something else than was asked for, and to
 * ask by itself.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>

#include <gmem/emu.h>
#include "gmemctl.h"

#define NR_PAGES	4ull

#define GUEST_SECRET	0x5ec4e7ull
#define GUEST_WORD	0x6775657374ull
#define HOST_WORD	0x686f7374ull

struct flow {
	struct machine machine;
	unsigned int step;
	uint32_t policy;
	bool asks_guest;	/* conversions need the guest's request */
	int planned;		/* what plan_share() said */
	bool wrong;
};

/* What is asked for, or converted. */
struct pages {
	uint64_t first;
	uint64_t nr;
	bool to_private;
};

static const struct pages share_first = { 0, 1, false };
static const struct pages unshare_first = { 0, 1, true };

/* One step: who, and what happened; @right says whether it had to be so. */
__attribute__((format(printf, 4, 5)))
static void tell(struct flow *flow, bool right, const char *who, const char *format,
		 ...)
{
	va_list args;

	printf("%2u. %-6s ", ++flow->step, who);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	puts(right ? "" : "   <-- WRONG");
	flow->wrong |= !right;
}

static void tell_host_read(struct flow *flow, bool may, uint64_t want)
{
	uint64_t value = 0;
	int ret = host_read(&flow->machine, 0, &value, 1);

	if (ret)
		tell(flow, !may, "VMM", "reads the page: SIGBUS, it is the guest's alone");
	else
		tell(flow, may && value == want, "VMM", "reads the page: %#llx",
		     (unsigned long long)value);
}

static void tell_convert(struct flow *flow, const struct pages *pages, int want,
			 const char *what)
{
	int ret;

	ret = gmem_file_convert(flow->machine.file, pages->first * GMEM_PAGE,
				pages->nr * GMEM_PAGE,
				pages->to_private ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0,
				flow->policy, NULL);
	tell(flow, ret == want, "VMM",
	     "ioctl KVM_SET_MEMORY_ATTRIBUTES2, to %s, %s%s: %s",
	     pages->to_private ? "private" : "shared", gmem_policy_name(flow->policy),
	     what, errno_word(ret));
}

static void tell_exit(struct flow *flow, const struct gmem_exit *exit)
{
	tell(flow, exit->hypercall.nr == KVM_HC_MAP_GPA_RANGE, "VMM",
	     "KVM_RUN exits: KVM_EXIT_HYPERCALL, KVM_HC_MAP_GPA_RANGE, gpa %#llx, %llu "
	     "page%s, %s", (unsigned long long)exit->hypercall.args[0],
	     (unsigned long long)exit->hypercall.args[1],
	     exit->hypercall.args[1] == 1 ? "" : "s",
	     exit->hypercall.args[2] & 1u << 4 ? "encrypted" : "decrypted");
}

/* The guest asks; @serve is the VMM's part between the exit and KVM_RUN. */
static int guest_asks(struct flow *flow, const struct pages *pages,
		      void (*serve)(struct flow *flow, const struct pages *pages))
{
	struct gmem_vcpu *vcpu = flow->machine.vcpus[0];
	struct gmem_guest_cmd cmd = {
		.op = pages->to_private ? GMEM_GUEST_UNSHARE : GMEM_GUEST_SHARE,
		.addr = TEST_GPA + pages->first * GMEM_PAGE,
		.size = pages->nr * GMEM_PAGE,
	};
	struct gmem_exit exit;
	int ret;

	ret = gmem_guest_start(vcpu, &cmd, 1, 1);
	while (!ret) {
		ret = gmem_vcpu_run(vcpu, &exit);
		if (ret)
			break;
		if (exit.reason == KVM_EXIT_HYPERCALL) {
			tell_exit(flow, &exit);
			serve(flow, pages);
			gmem_vcpu_complete_hypercall(vcpu, 0);
			tell(flow, true, "VMM", "KVM_RUN: the guest is to resume");
			if (flow->asks_guest)
				tell(flow, true, "EL2", "checks what the guest will be told: "
				     "%s", pages->to_private ? "the host has the page no more" :
				     "the host has what it asked to share");
		} else if (exit.reason == GMEM_EXIT_GUEST_DONE) {
			ret = gmem_guest_finish(vcpu, &cmd, 1, NULL);
			if (ret != -EBUSY)
				break;
			ret = 0;
		} else if (exit.reason != KVM_EXIT_INTR) {
			ret = -EIO;
		}
	}
	tell(flow, !ret, "guest", "the hypercall returns %s", ret ? errno_word(ret) : "0");
	return ret;
}

static void serve_at_once(struct flow *flow, const struct pages *pages)
{
	const struct pages back = { pages->first, pages->nr, !pages->to_private };

	if (flow->asks_guest)
		tell(flow, true, "kernel", "has recorded what the guest asked for, once: "
		     "direction, address, size");
	tell_convert(flow, pages, 0, "");
	if (flow->asks_guest)
		tell_convert(flow, &back, -EPERM, ", not as asked");
}

static int tell_share(struct flow *flow)
{
	bool keeps = flow->policy == SET_MEMORY_ATTRIBUTES_CONTENT_READABLE;
	int ret;

	ret = gmem_guest_store(flow->machine.vcpus[0], TEST_GPA, GUEST_WORD);
	tell(flow, !ret, "guest", "writes %#llx into a private page",
	     (unsigned long long)GUEST_WORD);
	tell_host_read(flow, false, 0);
	tell(flow, true, "guest", "hypercall: share this page with the host");
	if (flow->asks_guest)
		tell(flow, true, "EL2", "shares the page, here and now: this is the guest's "
		     "consent; then exits");
	ret = guest_asks(flow, &share_first, serve_at_once);
	if (ret)
		return ret;
	tell_host_read(flow, true, keeps ? GUEST_WORD : 0);
	return 0;
}

static int tell_unshare(struct flow *flow)
{
	bool keeps = flow->policy == SET_MEMORY_ATTRIBUTES_CONTENT_READABLE;
	uint64_t value = 0;
	int ret;

	*(volatile uint64_t *)flow->machine.memory = HOST_WORD;
	tell(flow, true, "VMM", "writes %#llx into the page",
	     (unsigned long long)HOST_WORD);
	tell(flow, true, "guest", "hypercall: take the page back");
	if (flow->asks_guest)
		tell(flow, true, "EL2", "changes nothing yet; exits");
	ret = guest_asks(flow, &unshare_first, serve_at_once);
	if (ret)
		return ret;
	tell_host_read(flow, false, 0);
	ret = gmem_guest_load(flow->machine.vcpus[0], TEST_GPA, &value);
	tell(flow, !ret && (value == (keeps ? HOST_WORD : 0) ||
			    (!keeps && flow->machine.caps.scrubs_to_private)),
	     "guest", "reads the page: %#llx%s", (unsigned long long)value,
	     !keeps && value ? ", undefined bytes" : "");
	return ret;
}

static int tell_unsolicited(struct flow *flow)
{
	int ret;

	puts("\nThe same ioctl, and nobody has asked:");
	ret = gmem_guest_store(flow->machine.vcpus[0], TEST_GPA, GUEST_SECRET);
	tell(flow, !ret, "guest", "writes %#llx into its private page",
	     (unsigned long long)GUEST_SECRET);
	tell_convert(flow, &share_first, flow->asks_guest ? -EPERM : 0,
		     flow->asks_guest ? ", refused" : "");
	return ret;
}

/* Everything but what was asked for, then that, then that again. */
static void serve_wrongly(struct flow *flow, const struct pages *pages)
{
	static const struct {
		struct pages pages;
		int want;
		const char *what;
	} attempts[] = {
		{ { 0, 2, false }, -EPERM, ", wrong address" },
		{ { 1, 3, false }, -EPERM, ", wrong size" },
		{ { 1, 2, true }, -EPERM, ", wrong direction" },
		{ { 2, 1, false }, -EPERM, ", from the middle" },
		{ { 1, 2, false }, 0, ", as asked" },
		{ { 1, 2, false }, -EPERM, ", replayed" },
	};

	(void)pages;
	for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++)
		tell_convert(flow, &attempts[i].pages, attempts[i].want,
			     attempts[i].what);
}

static int tell_mismatches(struct flow *flow)
{
	static const struct pages asked = { 1, 2, false };

	puts("\nThe guest asks for the second page and the third, and the VMM converts "
	     "something else:");
	tell(flow, true, "guest", "hypercall: share these two pages with the host");
	tell(flow, true, "EL2", "the guest never had them: the kernel may give them to it, "
	     "shared, while the call lasts");
	return guest_asks(flow, &asked, serve_wrongly);
}

#ifdef __aarch64__
#define CODE_GPA	0xc0000000ull
#define REG(member)	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | \
			 KVM_REG_ARM_CORE_REG(regs.member))

static int set_register(struct gmem_vcpu *vcpu, uint64_t id, uint64_t value)
{
	const struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)&value };
	int fd = gmem_vcpu_fd(vcpu);

	if (fd < 0)
		return fd;
	return ioctl(fd, KVM_SET_ONE_REG, &reg) ? -errno : 0;
}

static int set_program_counter(struct gmem_vcpu *vcpu)
{
	return set_register(vcpu, REG(pc), CODE_GPA);
}

/* Memory that holds nothing but a hypercall, and an endless loop behind it. */
static int add_code(struct gmem_vm *vm)
{
	static const uint32_t code[] = { 0xd4000002, 0x14000000 };
	struct gmem_slot_options slot = {
		.size = sizeof(slot), .id = 1, .gpa = CODE_GPA, .bytes = GMEM_PAGE,
	};

	slot.userspace_addr = mmap(NULL, GMEM_PAGE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (slot.userspace_addr == MAP_FAILED)
		return -errno;
	memcpy(slot.userspace_addr, code, sizeof(code));
	return gmem_slot_set(vm, &slot);
}

static int plan_registers(struct machine *machine, struct gmem_vcpu *vcpu)
{
	int ret;

	ret = add_code(machine->vm);
	if (!ret)
		ret = set_register(vcpu, REG(regs[0]), 0xc6000003);	/* MEM_SHARE */
	if (!ret)
		ret = set_register(vcpu, REG(regs[1]), TEST_GPA);
	if (!ret)
		ret = set_register(vcpu, REG(regs[2]), 1);
	if (!ret)
		ret = set_register(vcpu, REG(regs[3]), 0);
	return ret ? ret : set_program_counter(vcpu);
}
#else
/* This is not how registers are set on x86, and emu has none. */
static int set_program_counter(struct gmem_vcpu *vcpu)
{
	(void)vcpu;
	return -EOPNOTSUPP;
}

static int plan_registers(struct machine *machine, struct gmem_vcpu *vcpu)
{
	(void)machine;
	(void)vcpu;
	return -EOPNOTSUPP;
}
#endif

/* Before anything has run: the second vCPU is to ask for the first page. */
static int plan_share(struct machine *machine)
{
	struct gmem_vcpu *vcpu = machine->vcpus[1];

	if (strcmp(gmem_engine_name(machine->engine), "emu"))
		return plan_registers(machine, vcpu);
	return gmem_emu_plan_share(vcpu, TEST_GPA, GMEM_PAGE);
}

static void on_alarm(int signal)
{
	(void)signal;
}

/* A vCPU that nobody powered on would never exit. */
static int run_for_a_moment(struct gmem_vcpu *vcpu, struct gmem_exit *exit)
{
	const struct itimerval moment = {
		.it_value.tv_sec = 2, .it_interval.tv_sec = 2,
	};
	int ret;

	sigaction(SIGALRM, &(struct sigaction){ .sa_handler = on_alarm }, NULL);
	setitimer(ITIMER_REAL, &moment, NULL);
	ret = gmem_vcpu_run(vcpu, exit);
	setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
	return ret;
}

static int tell_planned(struct flow *flow)
{
	struct gmem_exit exit = { 0 };
	int ret;

	tell(flow, !flow->planned, "VMM", "had set the second vCPU, before the guest ran, to a "
	     "hypercall that shares the first page: %s", errno_word(flow->planned));
	tell(flow, true, "kernel", "powered that vCPU off when the first one ran");
	tell(flow, true, "guest", "powered it on by PSCI, which resets its registers");
	ret = run_for_a_moment(flow->machine.vcpus[1], &exit);
	tell(flow, !ret && exit.reason == GMEM_EXIT_GUEST_DONE, "VMM",
	     "KVM_RUN of that vCPU: %s", ret ? errno_word(ret) :
	     exit.reason == GMEM_EXIT_GUEST_DONE ? "it runs the guest's program, and asks for "
	     "nothing" : exit.reason == KVM_EXIT_HYPERCALL ? "it asks" : "it does not run");
	tell_convert(flow, &share_first, -EPERM, ", refused");
	return ret;
}

/* Whoever sets a vCPU's registers makes the guest ask for anything. */
static int tell_forgery(struct flow *flow)
{
	struct gmem_vcpu *vcpu = flow->machine.vcpus[0];
	int ret;

	puts("\nThe VMM wants to ask in the guest's place:");
	ret = set_program_counter(vcpu);
	if (ret != -EOPNOTSUPP)
		tell(flow, ret == -EPERM, "VMM",
		     "ioctl KVM_SET_ONE_REG, the guest's program counter: %s",
		     errno_word(ret));
	ret = gmem_guest_abort(vcpu);
	tell(flow, ret == -EPERM, "VMM",
	     "resets the guest's vCPU, which sets its registers, too: %s",
	     errno_word(ret));
	return tell_planned(flow);
}

static int tell_refusals(struct flow *flow)
{
	uint64_t value = 0;
	int ret;

	ret = tell_mismatches(flow);
	if (!ret)
		ret = tell_forgery(flow);
	if (ret)
		return ret;
	puts("\nThe first page, after all that:");
	tell_host_read(flow, false, 0);
	ret = gmem_guest_load(flow->machine.vcpus[0], TEST_GPA, &value);
	tell(flow, !ret && value == GUEST_SECRET, "guest",
	     "reads the page: %#llx, nothing changed", (unsigned long long)value);
	return ret;
}

static int tell_all(struct flow *flow)
{
	int ret;

	printf("A guest under %s shares a page with its host, and takes it back.\n\n",
	       gmem_platform_name(flow->machine.caps.platform));
	ret = tell_share(flow);
	if (!ret)
		ret = tell_unshare(flow);
	if (!ret)
		ret = tell_unsolicited(flow);
	if (!ret && flow->asks_guest)
		ret = tell_refusals(flow);
	if (!flow->asks_guest)
		printf("\nOn this platform a VMM may convert what the guest did not ask for. "
		       "Content policies\nsay what anybody reads afterwards; only pKVM asks "
		       "the guest first.\n");
	return ret;
}

int explain_flow(const struct target *target, void *opaque)
{
	struct flow flow = { .policy = SET_MEMORY_ATTRIBUTES_CONTENT_READABLE };
	int status, ret;

	(void)opaque;
	expect_sigbus();
	status = open_machine(&flow.machine, target, NR_PAGES * GMEM_PAGE, -1);
	if (!status) {
		if (!(flow.machine.caps.to_shared >> flow.policy & 1))
			flow.policy = SET_MEMORY_ATTRIBUTES_CONTENT_ZERO;
		flow.asks_guest = target->platform == GMEM_VM_PKVM;
		if (flow.asks_guest)
			flow.planned = plan_share(&flow.machine);
		ret = tell_all(&flow);
		if (ret)
			fprintf(stderr, "gmemctl: the flow broke off: %s\n",
				strerror(-ret));
		status = ret || flow.wrong ? STATUS_FAILED : STATUS_OK;
	}
	close_machine(&flow.machine);
	return status;
}
