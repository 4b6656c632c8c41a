// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * vCPUs: a thread each, which runs the guest program and stands still unless the
 * VMM is inside gmem_vcpu_run().  Its lock guards its state; semaphores hand over,
 * because waiting for one ends when a signal was handled, as KVM_RUN does.
 *
 * A signal makes gmem_vcpu_run() return at once.  The thread is then kicked: it
 * parks before its next access, and no access is under way any more.
 *
 * On a vCPU that is powered off gmem_vcpu_run() waits until the guest powers it on,
 * by another.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "emu.h"
#include "../guest/mailbox.h"
#include "guest/guest_arch.h"

/* guest/guest.c, built for this engine */
void emu_guest_main(struct gmem_guest_mailbox *mb);

static _Thread_local struct emu_vcpu *current_vcpu;

/* ---- on the vCPU's thread ---- */

/* Stand still in @state until the VMM runs the vCPU again. */
static void stop(struct emu_vcpu *vcpu, enum emu_vcpu_state state)
{
	pthread_mutex_lock(&vcpu->lock);
	if (state == EMU_VCPU_PARKED && !READ_ONCE(vcpu->kick)) {
		/* The VMM is back already. */
		pthread_mutex_unlock(&vcpu->lock);
		return;
	}
	vcpu->state = state;
	pthread_mutex_unlock(&vcpu->lock);
	if (state == EMU_VCPU_EXITED)
		sem_post(&vcpu->exited);

	while (sem_wait(&vcpu->resume))
		;
	if (vcpu->restart)
		longjmp(vcpu->entry, 1);
}

void emu_vcpu_park(struct emu_vcpu *vcpu)
{
	stop(vcpu, EMU_VCPU_PARKED);
}

void emu_vcpu_exit(struct emu_vcpu *vcpu)
{
	stop(vcpu, EMU_VCPU_EXITED);
}

s64 emu_vcpu_exit_hypercall(struct emu_vcpu *vcpu, u64 gfn, u64 nr_pages,
			    bool to_private)
{
	/* bit 4 of the third argument: encrypted; bits 3:0: 4 KiB pages */
	vcpu->exit = (struct gmem_exit){
		.reason = KVM_EXIT_HYPERCALL,
		.hypercall = {
			.nr = KVM_HC_MAP_GPA_RANGE,
			.args = { gfn << EMU_PAGE_SHIFT, nr_pages,
				  to_private ? 1u << 4 : 0 },
		},
	};
	vcpu->hypercall_ret = 0;
	emu_vcpu_exit(vcpu);
	return vcpu->hypercall_ret;
}

uint64_t emu_guest_load(uint64_t addr, unsigned int size)
{
	return emu_vcpu_load(current_vcpu, addr, size);
}

void emu_guest_store(uint64_t addr, unsigned int size, uint64_t value)
{
	emu_vcpu_store(current_vcpu, addr, size, value);
}

/*
 * KVM's checks; what passes them is the VMM's or the platform's business.  @pages of 0:
 * one page, by the call for a single page where the platform has one (pKVM).
 */
static s64 map_gpa_range(struct emu_vcpu *vcpu, u64 gpa, u64 pages, bool to_private,
			 uint64_t *done)
{
	u64 gfn = gpa >> EMU_PAGE_SHIFT;
	s64 ret;

	*done = 0;
	vcpu->single_page = !pages;
	if (!pages)
		pages = 1;
	if (gpa % PAGE_SIZE || gfn + pages <= gfn ||
	    gfn + pages > 1ull << (64 - EMU_PAGE_SHIFT))
		return -EINVAL;
	vcpu->pages_done = EMU_PAGES_BY_RET;
	if (vcpu->vm->ops->guest_convert)
		ret = vcpu->vm->ops->guest_convert(vcpu, gfn, pages, to_private);
	else
		ret = emu_vcpu_exit_hypercall(vcpu, gfn, pages, to_private);
	if (vcpu->pages_done != EMU_PAGES_BY_RET)
		*done = vcpu->pages_done;
	else if (!ret)
		*done = pages;
	return ret;
}

int64_t emu_guest_map_gpa_range(uint64_t gpa, uint64_t pages, uint64_t attributes,
				uint64_t *done)
{
	return map_gpa_range(current_vcpu, gpa, pages, attributes & 1u << 4, done);
}

int64_t emu_guest_power_on(uint64_t id)
{
	struct emu_vm *vm = current_vcpu->vm;

	return vm->ops->guest_powers_vcpus ? emu_vcpu_power_on(vm, id) : -EOPNOTSUPP;
}

static void run_guest(struct emu_vcpu *vcpu)
{
	u64 pages = vcpu->plan_pages;
	uint64_t done;

	vcpu->plan_pages = 0;
	if (pages)
		map_gpa_range(vcpu, vcpu->plan_gfn << EMU_PAGE_SHIFT, pages, false, &done);
	if (!vcpu->by_guest && vcpu->vm->ops->guest_boot)
		vcpu->vm->ops->guest_boot(vcpu);
	emu_guest_main(vcpu->vcpu.mailbox);
}

static void *vcpu_thread(void *opaque)
{
	struct emu_vcpu *vcpu = opaque;

	current_vcpu = vcpu;
	if (!setjmp(vcpu->entry)) {
		while (sem_wait(&vcpu->resume))
			;
	} else if (vcpu->access_seq & 1) {
		/* A platform left its access by emu_vcpu_exit(). */
		smp_store_release(&vcpu->access_seq, vcpu->access_seq + 1);
	}
	vcpu->restart = false;
	if (!vcpu->quit)
		run_guest(vcpu);
	return NULL;
}

/* ---- on the VMM's ---- */

static int start_thread(struct emu_vcpu *vcpu)
{
	static const int faults[] = {
		SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS,
	};
	sigset_t mask, saved;
	int ret;

	if (vcpu->started)
		return 0;
	if (emu_fail_now())
		return -ENOMEM;
	/* Signals are the VMM's; what the thread itself does is its own. */
	sigfillset(&mask);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigdelset(&mask, faults[i]);
	pthread_sigmask(SIG_SETMASK, &mask, &saved);
	ret = -pthread_create(&vcpu->thread, NULL, vcpu_thread, vcpu);
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
	vcpu->started = !ret;
	return ret;
}

static void resume(struct emu_vcpu *vcpu)
{
	pthread_mutex_lock(&vcpu->lock);
	__atomic_store_n(&vcpu->kick, 0, __ATOMIC_SEQ_CST);
	if (vcpu->state == EMU_VCPU_IDLE || vcpu->state == EMU_VCPU_PARKED) {
		vcpu->state = EMU_VCPU_RUNNING;
		sem_post(&vcpu->resume);
	}
	pthread_mutex_unlock(&vcpu->lock);
}

/* A signal: 0 if there is an exit all the same, else the vCPU stands still. */
static int kick(struct emu_vcpu *vcpu)
{
	bool exited;

	pthread_mutex_lock(&vcpu->lock);
	exited = vcpu->state == EMU_VCPU_EXITED;
	if (!exited)
		__atomic_store_n(&vcpu->kick, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&vcpu->lock);
	if (exited)
		return 0;

	while (__atomic_load_n(&vcpu->access_seq, __ATOMIC_SEQ_CST) & 1)
		gmem_relax();
	return -EINTR;
}

/* Until the vCPU has exited, or a signal was handled. */
static int wait_for_exit(struct emu_vcpu *vcpu)
{
	struct timespec until;

	for (;;) {
		/* Without a time limit SA_RESTART would hide the signal. */
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += 3600;
		if (!sem_timedwait(&vcpu->exited, &until))
			return 0;
		if (errno == EINTR && kick(vcpu))
			return -EINTR;
	}
}

/* The thread waits for @resume afterwards, and has no exit to tell of. */
static void stop_thread(struct emu_vcpu *vcpu)
{
	const struct timespec moment = { .tv_nsec = 100000 };
	struct gmem_guest_mailbox *mb = vcpu->vcpu.mailbox;
	u32 stop_command = __atomic_load_n(&mb->stop, __ATOMIC_RELAXED);

	pthread_mutex_lock(&vcpu->lock);
	while (vcpu->state == EMU_VCPU_RUNNING) {
		/* It computes, and parks before its next access. */
		__atomic_store_n(&vcpu->kick, 1, __ATOMIC_SEQ_CST);
		__atomic_store_n(&mb->stop, 1, __ATOMIC_RELAXED);
		pthread_mutex_unlock(&vcpu->lock);
		nanosleep(&moment, NULL);
		pthread_mutex_lock(&vcpu->lock);
	}
	if (vcpu->state == EMU_VCPU_EXITED)
		while (sem_trywait(&vcpu->exited))
			;
	vcpu->state = EMU_VCPU_IDLE;
	pthread_mutex_unlock(&vcpu->lock);
	__atomic_store_n(&mb->stop, stop_command, __ATOMIC_RELAXED);
}

/* The vCPU starts anew with the next run. */
static void reset(struct emu_vcpu *vcpu)
{
	if (vcpu->started) {
		stop_thread(vcpu);
		vcpu->restart = true;
	}
	if (vcpu->vm->ops->vcpu_reset)
		vcpu->vm->ops->vcpu_reset(vcpu);
}

/* ---- power ---- */

void emu_vcpu_power_off_locked(struct emu_vcpu *vcpu)
{
	__atomic_store_n(&vcpu->power, EMU_VCPU_OFF, __ATOMIC_SEQ_CST);
}

int emu_vcpu_power_on(struct emu_vm *vm, u64 id)
{
	int ret = -EINVAL;

	pthread_mutex_lock(&vm->vcpus_lock);
	for (u32 i = 0; i < vm->nr_vcpus; i++) {
		struct emu_vcpu *vcpu = vm->vcpus[i];

		if (vcpu->vcpu.id != id)
			continue;
		ret = emu_vcpu_is_off(vcpu) ? 0 : -EEXIST;
		if (ret)
			break;
		__atomic_store_n(&vcpu->power, EMU_VCPU_POWERED_ON, __ATOMIC_SEQ_CST);
		sem_post(&vcpu->powered_on);
	}
	pthread_mutex_unlock(&vm->vcpus_lock);
	return ret;
}

/* Until it is on; -EINTR if a signal was handled meanwhile. */
static int wait_for_power(struct emu_vcpu *vcpu)
{
	struct timespec until;

	while (emu_vcpu_is_off(vcpu)) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += 3600;
		if (sem_timedwait(&vcpu->powered_on, &until) && errno == EINTR)
			return -EINTR;
	}
	return 0;
}

/* The guest powers it on: it begins with nothing that the VMM or it itself left. */
static void start_over(struct emu_vcpu *vcpu)
{
	u32 powered_on = EMU_VCPU_POWERED_ON;

	if (!__atomic_compare_exchange_n(&vcpu->power, &powered_on, EMU_VCPU_ON, false,
					 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return;
	reset(vcpu);
	vcpu->plan_pages = 0;
	vcpu->by_guest = true;
}

void emu_vcpu_power_off(struct emu_vcpu *vcpu)
{
	pthread_mutex_lock(&vcpu->run_lock);
	pthread_mutex_lock(&vcpu->vm->vcpus_lock);
	emu_vcpu_power_off_locked(vcpu);
	pthread_mutex_unlock(&vcpu->vm->vcpus_lock);
	pthread_mutex_unlock(&vcpu->run_lock);
}

static int may_reset(struct emu_vcpu *vcpu, bool registers_only)
{
	struct emu_vm *vm = vcpu->vm;
	int ret = 0;

	pthread_mutex_lock(&vm->vcpus_lock);
	if (vm->ops->vcpu_may_reset)
		ret = vm->ops->vcpu_may_reset(vcpu, registers_only);
	pthread_mutex_unlock(&vm->vcpus_lock);
	return ret;
}

int emu_vcpu_plan_share(struct emu_vcpu *vcpu, u64 gfn, u64 nr_pages)
{
	int ret;

	pthread_mutex_lock(&vcpu->run_lock);
	ret = may_reset(vcpu, true);
	if (!ret) {
		/* Else it is reset when it is powered on. */
		if (!emu_vcpu_is_off(vcpu))
			reset(vcpu);
		vcpu->plan_gfn = gfn;
		vcpu->plan_pages = nr_pages;
	}
	pthread_mutex_unlock(&vcpu->run_lock);
	return ret;
}

static int run_locked(struct emu_vcpu *vcpu, struct gmem_exit *exit)
{
	struct emu_vm *vm = vcpu->vm;
	int ret;

	ret = vm->ops->vcpu_enter ? vm->ops->vcpu_enter(vcpu) : 0;
	if (ret)
		return ret;
	/* It will begin anew: what its guest asked for is over. */
	if (emu_vcpu_is_off(vcpu))
		reset(vcpu);
	if (wait_for_power(vcpu)) {
		exit->reason = KVM_EXIT_INTR;
		return 0;
	}
	start_over(vcpu);
	ret = start_thread(vcpu);
	if (ret)
		return ret;

	resume(vcpu);
	if (wait_for_exit(vcpu)) {
		exit->reason = KVM_EXIT_INTR;
		return 0;
	}
	pthread_mutex_lock(&vcpu->lock);
	*exit = vcpu->exit;
	vcpu->state = EMU_VCPU_IDLE;
	pthread_mutex_unlock(&vcpu->lock);
	return 0;
}

int emu_vcpu_run(struct gmem_vcpu *base, struct gmem_exit *exit)
{
	struct emu_vcpu *vcpu = to_emu_vcpu(base);
	int ret;

	if (!emu_own_process(vcpu->vm->engine) || READ_ONCE(vcpu->vm->dead))
		return -EIO;
	if (!base->mailbox) {
		gmem_log(&vcpu->vm->engine->engine, GMEM_LOG_ERROR,
			 "emu: vCPU %u has nothing to run: gmem_guest_setup() first",
			 base->id);
		return -ENOEXEC;
	}
	pthread_mutex_lock(&vcpu->run_lock);
	ret = run_locked(vcpu, exit);
	pthread_mutex_unlock(&vcpu->run_lock);
	return ret;
}

int emu_vcpu_complete_hypercall(struct gmem_vcpu *base, int64_t ret)
{
	to_emu_vcpu(base)->hypercall_ret = ret;
	return 0;
}

int emu_guest_enter(struct gmem_vcpu *base)
{
	struct emu_vcpu *vcpu = to_emu_vcpu(base);
	struct emu_vm *vm = vcpu->vm;
	int ret;

	if (!emu_own_process(vm->engine))
		return -EIO;
	ret = may_reset(vcpu, false);
	if (ret)
		return ret;
	reset(vcpu);
	vcpu->plan_pages = 0;
	return 0;
}

static int init_vcpu(struct emu_vcpu *vcpu)
{
	struct emu_vm *vm = vcpu->vm;

	pthread_mutex_init(&vcpu->run_lock, NULL);
	pthread_mutex_init(&vcpu->lock, NULL);
	sem_init(&vcpu->resume, 0, 0);
	sem_init(&vcpu->exited, 0, 0);
	sem_init(&vcpu->powered_on, 0, 0);
	return vm->ops->vcpu_create ? vm->ops->vcpu_create(vcpu) : 0;
}

int emu_vcpu_create(struct gmem_vm *base, u32 id, struct gmem_vcpu **vcpup)
{
	struct emu_vm *vm = to_emu_vm(base);
	struct emu_vcpu *vcpu;
	int ret = 0;

	if (!emu_own_process(vm->engine))
		return -EIO;
	if (id >= EMU_MAX_VCPUS)
		return -EINVAL;
	vcpu = emu_fail_now() ? NULL :
	       aligned_alloc(__alignof__(*vcpu), sizeof(*vcpu));
	if (!vcpu)
		return -ENOMEM;
	memset(vcpu, 0, sizeof(*vcpu));
	vcpu->vm = vm;
	vcpu->vcpu.id = id;

	pthread_mutex_lock(&vm->vcpus_lock);
	/* A released vCPU keeps its number. */
	for (u32 i = 0; i < vm->nr_vcpus; i++) {
		if (vm->vcpus[i]->vcpu.id == id)
			ret = -EEXIST;
	}
	if (!ret)
		ret = init_vcpu(vcpu);
	if (!ret) {
		vm->vcpus[vm->nr_vcpus] = vcpu;
		__atomic_store_n(&vm->nr_vcpus, vm->nr_vcpus + 1, __ATOMIC_SEQ_CST);
	}
	pthread_mutex_unlock(&vm->vcpus_lock);

	if (ret) {
		free(vcpu);
		return ret;
	}
	*vcpup = &vcpu->vcpu;
	return 0;
}

/* It lives as long as the VM, and so does what its guest asked for. */
void emu_vcpu_release(struct gmem_vcpu *base)
{
	struct emu_vcpu *vcpu = to_emu_vcpu(base);

	if (!emu_own_process(vcpu->vm->engine) || !vcpu->started)
		return;
	stop_thread(vcpu);
	vcpu->quit = true;
	vcpu->restart = true;
	sem_post(&vcpu->resume);
	pthread_join(vcpu->thread, NULL);
	vcpu->started = false;
}

void emu_vcpu_free(struct emu_vcpu *vcpu)
{
	if (vcpu->vm->ops->vcpu_destroy)
		vcpu->vm->ops->vcpu_destroy(vcpu);
	sem_destroy(&vcpu->resume);
	sem_destroy(&vcpu->exited);
	sem_destroy(&vcpu->powered_on);
	pthread_mutex_destroy(&vcpu->lock);
	pthread_mutex_destroy(&vcpu->run_lock);
	free(vcpu);
}

int emu_vcpu_fd(struct gmem_vcpu *vcpu)
{
	(void)vcpu;
	return -EOPNOTSUPP;
}
