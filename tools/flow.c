// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * gmemctl run --explain: one page is shared and comes back, every step told.
 * Then the host tries what nobody asked for.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gmemctl.h"

#define GUEST_SECRET	0x5ec4e7ull
#define GUEST_WORD	0x6775657374ull
#define HOST_WORD	0x686f7374ull

struct flow {
	struct machine machine;
	unsigned int step;
	uint32_t policy;
	bool asks_guest;	/* conversions need the guest's request */
	bool wrong;
};

static sigjmp_buf fault_jump;
static volatile sig_atomic_t fault_expected;

static void on_sigbus(int signal)
{
	if (fault_expected)
		siglongjmp(fault_jump, 1);
	sigaction(signal, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
}

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

static int host_read(struct flow *flow, uint64_t *value)
{
	const volatile uint64_t *word = (uint64_t *)flow->machine.memory;
	volatile int ret = -EFAULT;

	if (!sigsetjmp(fault_jump, 1)) {
		fault_expected = 1;
		*value = *word;
		ret = 0;
	}
	fault_expected = 0;
	return ret;
}

static void tell_host_read(struct flow *flow, bool may, uint64_t want)
{
	uint64_t value = 0;
	int ret = host_read(flow, &value);

	if (ret)
		tell(flow, !may, "VMM", "reads the page: SIGBUS, it is the guest's alone");
	else
		tell(flow, may && value == want, "VMM", "reads the page: %#llx",
		     (unsigned long long)value);
}

static int convert(struct flow *flow, bool to_private)
{
	return gmem_file_convert(flow->machine.file, 0, GMEM_PAGE,
				 to_private ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0,
				 flow->policy, NULL);
}

static void tell_convert(struct flow *flow, bool to_private, int want,
			 const char *what)
{
	int ret = convert(flow, to_private);

	tell(flow, ret == want, "VMM",
	     "ioctl KVM_SET_MEMORY_ATTRIBUTES2, to %s, %s%s: %s",
	     to_private ? "private" : "shared", gmem_policy_name(flow->policy), what,
	     errno_word(ret));
}

static void tell_exit(struct flow *flow, const struct gmem_exit *exit)
{
	tell(flow, exit->hypercall.nr == KVM_HC_MAP_GPA_RANGE, "VMM",
	     "KVM_RUN exits: KVM_EXIT_HYPERCALL, KVM_HC_MAP_GPA_RANGE, gpa %#llx, %llu "
	     "page, %s", (unsigned long long)exit->hypercall.args[0],
	     (unsigned long long)exit->hypercall.args[1],
	     exit->hypercall.args[2] & 1u << 4 ? "encrypted" : "decrypted");
}

/* The guest asks; @serve is the VMM's part between the exit and KVM_RUN. */
static int guest_asks(struct flow *flow, bool to_private,
		      void (*serve)(struct flow *flow, bool to_private))
{
	struct gmem_vcpu *vcpu = flow->machine.vcpus[0];
	struct gmem_guest_cmd cmd = {
		.op = to_private ? GMEM_GUEST_UNSHARE : GMEM_GUEST_SHARE,
		.addr = TEST_GPA, .size = GMEM_PAGE,
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
			serve(flow, to_private);
			gmem_vcpu_complete_hypercall(vcpu, 0);
			tell(flow, true, "VMM", "KVM_RUN: the guest resumes");
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

static void serve_share(struct flow *flow, bool to_private)
{
	if (flow->asks_guest)
		tell(flow, true, "kernel", "has recorded what the guest asked for, once: "
		     "direction, address, size");
	tell_convert(flow, to_private, 0, "");
	if (!flow->asks_guest)
		return;
	tell_convert(flow, !to_private, -EPERM,
		     ", not as asked");
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
		tell(flow, true, "EL2", "marks the page shared by the guest: this is the "
		     "consent; then exits");
	ret = guest_asks(flow, false, serve_share);
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
	ret = guest_asks(flow, true, serve_share);
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
	uint64_t value = 0;
	int ret;

	puts("\nThe same ioctl, and nobody has asked:");
	ret = gmem_guest_store(flow->machine.vcpus[0], TEST_GPA, GUEST_SECRET);
	tell(flow, !ret, "guest", "writes %#llx into its private page",
	     (unsigned long long)GUEST_SECRET);
	tell_convert(flow, false, flow->asks_guest ? -EPERM : 0,
		     flow->asks_guest ? ", refused" : "");
	if (!flow->asks_guest)
		return 0;
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
	sigaction(SIGBUS, &(struct sigaction){ .sa_handler = on_sigbus }, NULL);
	status = open_machine(&flow.machine, target, GMEM_PAGE, -1);
	if (!status) {
		if (!(flow.machine.caps.to_shared >> flow.policy & 1))
			flow.policy = SET_MEMORY_ATTRIBUTES_CONTENT_ZERO;
		flow.asks_guest = target->platform == GMEM_VM_PKVM;
		ret = tell_all(&flow);
		if (ret)
			fprintf(stderr, "gmemctl: the flow broke off: %s\n",
				strerror(-ret));
		status = ret || flow.wrong ? STATUS_FAILED : STATUS_OK;
	}
	close_machine(&flow.machine);
	return status;
}
