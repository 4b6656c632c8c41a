// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The smallest VMM: a guest whose memory is private lends the host a page, and takes
 * it back.  It runs on this machine's KVM if that converts in place, else on emu.
 *
 *	cc smallest-vmm.c $(pkg-config --cflags --libs gmem)
 */
#include <errno.h>
#include <gmem/gmem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GUEST_MEMORY	(16ull << 20)
#define GUEST_GPA	(1ull << 32)
#define PAGE		4096

static void check(const char *what, int ret)
{
	if (!ret)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(-ret));
	exit(1);
}

static void print_message(void *opaque, int level, const char *message)
{
	(void)opaque;
	if (level <= GMEM_LOG_INFO)
		fprintf(stderr, "gmem: %s\n", message);
}

/* What every VMM has: run, look why it stopped, serve that, run again. */
static void guest(struct gmem_vcpu *vcpu, struct gmem_guest_cmd *cmds, size_t nr)
{
	struct gmem_exit why;
	int ret = -EBUSY;

	check("start", gmem_guest_start(vcpu, cmds, nr, 1));
	while (ret == -EBUSY) {
		check("run", gmem_vcpu_run(vcpu, &why));
		switch (why.reason) {
		case KVM_EXIT_HYPERCALL:
			printf("the guest asks: %#llx, %llu page(s), %s\n",
			       (unsigned long long)why.hypercall.args[0],
			       (unsigned long long)why.hypercall.args[1],
			       why.hypercall.args[2] & 1 << 4 ? "private" : "shared");
			/* The page keeps what is in it, for the other side to read. */
			check("serve", gmem_vcpu_serve_hypercall(vcpu, &why,
					SET_MEMORY_ATTRIBUTES_CONTENT_READABLE));
			break;
		case GMEM_EXIT_GUEST_DONE:
			ret = gmem_guest_finish(vcpu, cmds, nr, NULL);
			break;
		case KVM_EXIT_INTR:
			break;
		default:
			check("unexpected exit", -EIO);
		}
	}
	check("the guest", ret);
}

int main(void)
{
	struct gmem_engine_options engine_options = {
		.size = sizeof(engine_options), .log = print_message,
	};
	struct gmem_vm_options vm_options = {
		.size = sizeof(vm_options), .platform = GMEM_VM_SW,
	};
	struct gmem_file_options file_options = {
		.size = sizeof(file_options), .bytes = GUEST_MEMORY,
		.flags = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_IN_PLACE,
	};
	struct gmem_slot_options slot = {
		.size = sizeof(slot), .gpa = GUEST_GPA, .bytes = GUEST_MEMORY,
	};
	struct gmem_guest_cmd lend[] = {
		{ .op = GMEM_GUEST_STORE, .addr = GUEST_GPA, .size = 8, .value = 42 },
		{ .op = GMEM_GUEST_SHARE, .addr = GUEST_GPA, .size = PAGE },
	};
	struct gmem_guest_cmd take_back[] = {
		{ .op = GMEM_GUEST_UNSHARE, .addr = GUEST_GPA, .size = PAGE },
		{ .op = GMEM_GUEST_LOAD, .addr = GUEST_GPA, .size = 8 },
	};
	struct gmem_engine *engine;
	struct gmem_vcpu *vcpu;
	struct gmem_vm *vm;
	uint64_t *page;
	void *memory;

	check("engine", gmem_engine_open(&engine_options, &engine));
	check("VM", gmem_vm_create(engine, &vm_options, &vm));
	check("file", gmem_file_create(vm, &file_options, &slot.file));
	check("map", gmem_file_map(slot.file, 0, GUEST_MEMORY, &memory));
	check("slot", gmem_slot_set(vm, &slot));
	check("guest program", gmem_guest_setup(vm));
	check("vCPU", gmem_vcpu_create(vm, 0, &vcpu));
	printf("engine: %s\n", gmem_engine_name(engine));

	page = memory;	/* private: touching it now would raise SIGBUS */
	guest(vcpu, lend, 2);
	printf("the host reads %llu, and doubles it\n", (unsigned long long)*page);
	*page *= 2;
	guest(vcpu, take_back, 2);
	printf("the guest reads %llu\n", (unsigned long long)take_back[1].result);

	gmem_vcpu_destroy(vcpu);
	gmem_file_unmap(slot.file, memory, GUEST_MEMORY);
	gmem_file_close(slot.file);
	gmem_vm_destroy(vm);
	gmem_engine_close(engine);
	return 0;
}
