// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The host's side of the guest program: loading it, and its mailboxes.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine.h"
#include "../guest/mailbox.h"

/* lib/guest_image.S */
extern const unsigned char gmem_guest_image[];
extern const unsigned char gmem_guest_image_end[];

GMEM_API int gmem_guest_setup(struct gmem_vm *vm)
{
	struct gmem_slot_options slot = {
		.size = sizeof(slot),
		.id = GMEM_SLOT_RESERVED,
		.gpa = GMEM_GUEST_BASE_GPA,
		.bytes = GMEM_GUEST_SLOT_SIZE,
	};
	unsigned char *memory;
	int ret;

	if (!vm)
		return gmem_refuse(NULL, "no VM");
	if (vm->guest_memory)
		return gmem_refuse_with(vm->engine, -EEXIST, __func__,
					"the VM has the guest program already");
	if (vm->nr_vcpus)
		return gmem_refuse_with(vm->engine, -EBUSY, __func__,
					"the VM has vCPUs already");

	memory = mmap(NULL, GMEM_GUEST_SLOT_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return -errno;

	/* A child of fork() must not turn the VM's pages into copies. */
	madvise(memory, GMEM_GUEST_SLOT_SIZE, MADV_DONTFORK);
	memcpy(memory, gmem_guest_image,
	       (size_t)(gmem_guest_image_end - gmem_guest_image));

	ret = vm->engine->ops->guest_prepare(vm, memory);
	if (ret)
		goto err_unmap;

	slot.userspace_addr = memory;
	ret = gmem_slot_add(vm, &slot, false);
	if (ret)
		goto err_unmap;

	vm->guest_memory = memory;
	vm->guest_memory_owner = getpid();
	return 0;

err_unmap:
	munmap(memory, GMEM_GUEST_SLOT_SIZE);
	return ret;
}

/*
 * A child of fork() does not have the memory, and may have something else there
 * by now.
 */
void gmem_guest_release(void *memory, pid_t owner)
{
	if (memory && owner == getpid())
		munmap(memory, GMEM_GUEST_SLOT_SIZE);
}

/* Point a new vCPU at the guest program, if the VM has it. */
int gmem_guest_attach(struct gmem_vcpu *vcpu)
{
	struct gmem_vm *vm = vcpu->vm;
	unsigned char *memory = vm->guest_memory;

	if (!memory)
		return 0;
	if (vcpu->id >= GMEM_GUEST_MAX_VCPUS)
		return gmem_refuse(vm->engine, "the guest program has no place for it");

	vcpu->mailbox = (void *)(memory + GMEM_GUEST_MAILBOX_GPA -
				 GMEM_GUEST_BASE_GPA +
				 vcpu->id * GMEM_GUEST_PAGE_SIZE);
	memset(vcpu->mailbox, 0, sizeof(*vcpu->mailbox));
	return vm->engine->ops->guest_enter(vcpu);
}

/* A child of fork() has the vCPU's object, but not its mailbox. */
static bool mailbox_here(const struct gmem_vcpu *vcpu)
{
	return vcpu->mailbox && vcpu->vm->guest_memory_owner == getpid();
}

static int no_mailbox(const struct gmem_vcpu *vcpu, const char *function)
{
	if (vcpu->mailbox)
		return gmem_refuse_with(vcpu->vm->engine, -EIO, function,
					"the VM belongs to another process");
	return gmem_refuse_with(vcpu->vm->engine, -ENXIO, function,
				"the vCPU does not run the guest program");
}

/* Also while the mailbox is out of reach: the guest is on its way to the list. */
static bool list_pending(const struct gmem_vcpu *vcpu)
{
	const struct gmem_guest_mailbox *mb = vcpu->mailbox;

	if (vcpu->mailbox_state == GMEM_MAILBOX_TAKEN)
		return true;
	return __atomic_load_n(&mb->done_seq, __ATOMIC_ACQUIRE) != mb->seq;
}

GMEM_API int gmem_guest_start(struct gmem_vcpu *vcpu,
			      const struct gmem_guest_cmd *cmds, size_t nr_cmds,
			      uint64_t repeat)
{
	struct gmem_guest_mailbox *mb;

	if (!vcpu || !cmds || !nr_cmds || nr_cmds > GMEM_GUEST_MAX_CMDS)
		return gmem_refuse(vcpu ? vcpu->vm->engine : NULL,
				   "no vCPU, or not a list of commands");
	mb = vcpu->mailbox;
	if (!mailbox_here(vcpu))
		return no_mailbox(vcpu, __func__);
	if (list_pending(vcpu))
		return gmem_refuse_with(vcpu->vm->engine, -EBUSY, __func__,
					"a list is under way");

	memcpy(mb->cmds, cmds, nr_cmds * sizeof(*cmds));
	mb->nr_cmds = (uint32_t)nr_cmds;
	mb->repeat = repeat;
	__atomic_store_n(&vcpu->stop, false, __ATOMIC_RELAXED);
	__atomic_store_n(&mb->stop, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&mb->seq, mb->seq + 1, __ATOMIC_RELEASE);
	return 0;
}

/* Whichever of these two comes second stops the guest. */
GMEM_API void gmem_guest_stop(struct gmem_vcpu *vcpu)
{
	if (!vcpu || !mailbox_here(vcpu))
		return;
	__atomic_store_n(&vcpu->stop, true, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&vcpu->mailbox_state, __ATOMIC_SEQ_CST) ==
	    GMEM_MAILBOX_READY)
		__atomic_store_n(&vcpu->mailbox->stop, 1, __ATOMIC_RELAXED);
}

static void mailbox_ready(struct gmem_vcpu *vcpu)
{
	__atomic_store_n(&vcpu->mailbox_state, GMEM_MAILBOX_READY, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&vcpu->stop, __ATOMIC_SEQ_CST))
		__atomic_store_n(&vcpu->mailbox->stop, 1, __ATOMIC_RELAXED);
}

void gmem_guest_runs(struct gmem_vcpu *vcpu)
{
	if (vcpu->mailbox_state == GMEM_MAILBOX_LOADED)
		__atomic_store_n(&vcpu->mailbox_state, GMEM_MAILBOX_TAKEN,
				 __ATOMIC_RELAXED);
}

int gmem_guest_came_up(struct gmem_vcpu *vcpu, int status)
{
	vcpu->hello_due = false;
	if (vcpu->mailbox_state == GMEM_MAILBOX_READY)
		return 0;
	if (status) {
		gmem_log(vcpu->vm->engine, GMEM_LOG_ERROR,
			 "vCPU %u: the guest cannot share its mailbox: SMCCC status %d",
			 vcpu->id, status);
		return -EIO;
	}
	mailbox_ready(vcpu);
	return 0;
}

GMEM_API int gmem_guest_finish(struct gmem_vcpu *vcpu,
			       struct gmem_guest_cmd *cmds, size_t nr_cmds,
			       uint64_t *rounds)
{
	struct gmem_guest_mailbox *mb;

	if (!vcpu || nr_cmds > GMEM_GUEST_MAX_CMDS)
		return gmem_refuse(vcpu ? vcpu->vm->engine : NULL,
				   "no vCPU, or too many commands");
	mb = vcpu->mailbox;
	if (!mailbox_here(vcpu))
		return no_mailbox(vcpu, __func__);
	if (list_pending(vcpu))
		return -EBUSY;

	if (cmds)
		memcpy(cmds, mb->cmds, nr_cmds * sizeof(*cmds));
	if (rounds)
		*rounds = mb->rounds;
	return mb->status;
}

GMEM_API int gmem_guest_abort(struct gmem_vcpu *vcpu)
{
	int ret;

	if (!vcpu)
		return gmem_refuse(NULL, "no vCPU");
	if (!mailbox_here(vcpu))
		return no_mailbox(vcpu, __func__);

	ret = vcpu->vm->engine->ops->guest_enter(vcpu);
	if (!ret)
		vcpu->mailbox->done_seq = vcpu->mailbox->seq;
	return gmem_report(vcpu->vm->engine, ret);
}

static void log_unexpected(const struct gmem_vcpu *vcpu, const struct gmem_exit *exit)
{
	const struct gmem_engine *engine = vcpu->vm->engine;
	uint64_t data = 0;

	if (exit->reason != KVM_EXIT_MMIO) {
		gmem_log(engine, GMEM_LOG_ERROR, "vCPU %u: unexpected exit, reason %u",
			 vcpu->id, exit->reason);
		return;
	}
	memcpy(&data, exit->mmio.data, sizeof(data));
	if (exit->mmio.gpa == GMEM_GUEST_FAULT_GPA)
		gmem_log(engine, GMEM_LOG_ERROR,
			 "vCPU %u: exception in the guest, syndrome %#llx", vcpu->id,
			 (unsigned long long)data);
	else
		gmem_log(engine, GMEM_LOG_ERROR,
			 "vCPU %u: the guest %s %#llx, where no memory is", vcpu->id,
			 exit->mmio.is_write ? "stored to" : "loaded from",
			 (unsigned long long)exit->mmio.gpa);
}

/* Run to the end of the list; hypercalls are served, signals ignored. */
static int run_list(struct gmem_vcpu *vcpu, uint32_t policy,
		    struct gmem_exit *exit)
{
	int ret;

	for (;;) {
		ret = gmem_vcpu_run(vcpu, exit);
		if (ret)
			return ret;

		switch (exit->reason) {
		case GMEM_EXIT_GUEST_DONE:
			/* Without news: the guest came up, and will look now. */
			if (list_pending(vcpu))
				continue;
			return 0;
		case KVM_EXIT_INTR:
			continue;
		case KVM_EXIT_HYPERCALL:
			/* The guest gets the outcome as the command's status. */
			if (gmem_vcpu_serve_hypercall(vcpu, exit, policy) == -EINVAL)
				gmem_vcpu_complete_hypercall(vcpu, -EINVAL);
			continue;
		case KVM_EXIT_MEMORY_FAULT:
			return -exit->error;
		default:
			log_unexpected(vcpu, exit);
			return -EIO;
		}
	}
}

GMEM_API int gmem_guest_exec(struct gmem_vcpu *vcpu, struct gmem_guest_cmd *cmds,
			     size_t nr_cmds, uint32_t policy,
			     struct gmem_exit *exit)
{
	struct gmem_exit last;
	int ret;

	ret = gmem_guest_start(vcpu, cmds, nr_cmds, 1);
	if (ret)
		return ret;

	ret = run_list(vcpu, policy, exit ? exit : &last);
	if (ret)
		return ret;
	return gmem_guest_finish(vcpu, cmds, nr_cmds, NULL);
}

static int exec_one(struct gmem_vcpu *vcpu, struct gmem_guest_cmd *cmd,
		    uint32_t policy)
{
	struct gmem_exit exit = { 0 };
	int ret;

	ret = gmem_guest_exec(vcpu, cmd, 1, policy, &exit);
	if (ret && exit.reason == KVM_EXIT_MEMORY_FAULT)
		gmem_guest_abort(vcpu);
	return ret;
}

GMEM_API int gmem_guest_load(struct gmem_vcpu *vcpu, uint64_t gpa,
			     uint64_t *value)
{
	struct gmem_guest_cmd cmd = {
		.op = GMEM_GUEST_LOAD, .addr = gpa, .size = 8,
	};
	int ret;

	ret = exec_one(vcpu, &cmd, 0);
	if (!ret && value)
		*value = cmd.result;
	return ret;
}

GMEM_API int gmem_guest_store(struct gmem_vcpu *vcpu, uint64_t gpa,
			      uint64_t value)
{
	struct gmem_guest_cmd cmd = {
		.op = GMEM_GUEST_STORE, .addr = gpa, .size = 8, .value = value,
	};

	return exec_one(vcpu, &cmd, 0);
}

GMEM_API int gmem_guest_fill(struct gmem_vcpu *vcpu, uint64_t gpa,
			     uint64_t bytes, uint64_t value, uint64_t step)
{
	struct gmem_guest_cmd cmd = {
		.op = GMEM_GUEST_FILL, .addr = gpa, .size = bytes,
		.value = value, .step = step,
	};

	return exec_one(vcpu, &cmd, 0);
}

GMEM_API int gmem_guest_check(struct gmem_vcpu *vcpu, uint64_t gpa,
			      uint64_t bytes, uint64_t value, uint64_t step)
{
	struct gmem_guest_cmd cmd = {
		.op = GMEM_GUEST_CHECK, .addr = gpa, .size = bytes,
		.value = value, .step = step,
	};

	return exec_one(vcpu, &cmd, 0);
}

GMEM_API int gmem_guest_share(struct gmem_vcpu *vcpu, uint64_t gpa,
			      uint64_t bytes, uint32_t policy)
{
	struct gmem_guest_cmd cmd = {
		.op = GMEM_GUEST_SHARE, .addr = gpa, .size = bytes,
	};

	return exec_one(vcpu, &cmd, policy);
}

GMEM_API int gmem_guest_unshare(struct gmem_vcpu *vcpu, uint64_t gpa,
				uint64_t bytes, uint32_t policy)
{
	struct gmem_guest_cmd cmd = {
		.op = GMEM_GUEST_UNSHARE, .addr = gpa, .size = bytes,
	};

	return exec_one(vcpu, &cmd, policy);
}
