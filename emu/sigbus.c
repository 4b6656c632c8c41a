// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Signal handlers, which are installed only where they are needed:
 *
 * SIGBUS, where visible pages are left unpopulated ("lazily"): makes the page
 * reachable and returns.
 * SIGSEGV, under the mprotect guard: turns a fault on a hidden page into SIGBUS.
 *
 * Both pass on whatever is not theirs to the handler that was there before.
 *
 * What they do is async-signal-safe: look through the list of views, which is only
 * changed one pointer at a time and whose members are freed when no handler looks;
 * read the map (urcu's bulletproof flavour may be used in handlers); one system
 * call.  A page in a conversion's way is waited for, by touching it again.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <gmem/emu.h>
#include "emu.h"

/* A page that faults so often, although nothing is done about it, has a reason. */
#define MAX_RETRIES	1000

static pthread_mutex_t emu_views_lock = PTHREAD_MUTEX_INITIALIZER;
static struct emu_view *all_views;
static u32 handlers_running;

static struct sigaction old_sigbus, old_sigsegv;
static bool sigbus_installed, sigsegv_installed;

static _Thread_local __attribute__((tls_model("initial-exec"))) struct {
	void *addr;
	u32 inv_seq;
	unsigned int count;
} retries;

void emu_views_register(struct emu_view *view)
{
	pthread_mutex_lock(&emu_views_lock);
	view->next_all = all_views;
	__atomic_store_n(&all_views, view, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&emu_views_lock);
}

void emu_views_unregister(struct emu_view *view)
{
	struct emu_view **link;

	pthread_mutex_lock(&emu_views_lock);
	for (link = &all_views; *link; link = &(*link)->next_all) {
		if (*link == view) {
			__atomic_store_n(link, view->next_all, __ATOMIC_SEQ_CST);
			break;
		}
	}
	pthread_mutex_unlock(&emu_views_lock);

	while (__atomic_load_n(&handlers_running, __ATOMIC_SEQ_CST))
		gmem_relax();
}

/*
 * Whether to touch a visible page again.  It faults for ever if what was found in
 * place is no help: not if a page was installed, or may have been lost since.
 */
static bool try_again(const struct emu_vm *vm, void *addr, int installed)
{
	u32 seq = __atomic_load_n(&vm->inv_seq, __ATOMIC_SEQ_CST);

	if (installed < 0)
		return false;
	if (installed || retries.addr != addr || retries.inv_seq != seq) {
		retries.addr = addr;
		retries.inv_seq = seq;
		retries.count = 0;
	}
	return ++retries.count <= MAX_RETRIES;
}

static int resolve_in_view(struct emu_view *view, void *addr)
{
	const struct timespec moment = { .tv_nsec = 50000 };
	struct emu_file *file = view->file;
	bool busy, own = false, visible = false;
	u64 index;
	int ret = -EFAULT;

	index = view->start +
		(((u64)(uintptr_t)addr - (u64)(uintptr_t)view->addr) >> EMU_PAGE_SHIFT);
	__atomic_fetch_add(&file->handlers, 1, __ATOMIC_SEQ_CST);
	busy = emu_invalidated(file, index);
	if (busy) {
		own = pthread_equal(__atomic_load_n(&file->inv_thread, __ATOMIC_RELAXED),
				    pthread_self());
	} else {
		emu_visible_run(file, index, index + 1, &visible);
		if (visible &&
		    try_again(file->vm, addr,
			      file->vm->engine->guard->fault(view, index)))
			ret = 0;
	}
	__atomic_fetch_sub(&file->handlers, 1, __ATOMIC_SEQ_CST);

	if (busy && !own) {
		nanosleep(&moment, NULL);
		return 0;
	}
	return ret;
}

/* 0: touch it again; -EFAULT: hidden, and rightly; -ENOENT: not ours. */
static int resolve(void *addr)
{
	int saved_errno = errno;
	struct emu_view *view;
	int ret = -ENOENT;

	__atomic_fetch_add(&handlers_running, 1, __ATOMIC_SEQ_CST);
	view = __atomic_load_n(&all_views, __ATOMIC_SEQ_CST);
	for (; view; view = __atomic_load_n(&view->next_all, __ATOMIC_SEQ_CST)) {
		u64 bytes = (view->end - view->start) << EMU_PAGE_SHIFT;

		if ((u64)(uintptr_t)addr - (u64)(uintptr_t)view->addr < bytes) {
			ret = resolve_in_view(view, addr);
			break;
		}
	}
	__atomic_fetch_sub(&handlers_running, 1, __ATOMIC_SEQ_CST);
	errno = saved_errno;
	return ret;
}

GMEM_API int gmem_emu_handle_sigbus(void *addr)
{
	return resolve(addr) ? -EFAULT : 0;
}

static void default_action(int signal)
{
	struct sigaction action = { .sa_handler = SIG_DFL };

	sigaction(signal, &action, NULL);
}

/* As the kernel would have called it in the first place. */
static void chain(const struct sigaction *old, int signal, siginfo_t *info,
		  void *context)
{
	bool sent = info->si_code <= 0;
	sigset_t mask, saved;

	if (!(old->sa_flags & SA_SIGINFO) && old->sa_handler == SIG_IGN && sent)
		return;
	if (!(old->sa_flags & SA_SIGINFO) &&
	    (old->sa_handler == SIG_DFL || old->sa_handler == SIG_IGN)) {
		/* A fault happens again, and is the process's end then. */
		default_action(signal);
		if (sent)
			raise(signal);
		return;
	}

	mask = old->sa_mask;
	if (!(old->sa_flags & SA_NODEFER))
		sigaddset(&mask, signal);
	pthread_sigmask(SIG_BLOCK, &mask, &saved);
	if (old->sa_flags & SA_SIGINFO)
		old->sa_sigaction(signal, info, context);
	else
		old->sa_handler(signal);
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
}

static void on_sigbus(int signal, siginfo_t *info, void *context)
{
	if (info->si_code != BUS_ADRERR || resolve(info->si_addr))
		chain(&old_sigbus, signal, info, context);
}

/* Deliver SIGBUS at the instruction that faulted, when this handler returns. */
static void become_sigbus(void *addr, ucontext_t *context)
{
	struct sigaction action;
	siginfo_t info;

	sigaction(SIGBUS, NULL, &action);
	if (sigismember(&context->uc_sigmask, SIGBUS) ||
	    (!(action.sa_flags & SA_SIGINFO) && action.sa_handler == SIG_IGN)) {
		/* The kernel, too, lets nobody ignore a fault. */
		default_action(SIGBUS);
		sigdelset(&context->uc_sigmask, SIGBUS);
	}

	memset(&info, 0, sizeof(info));
	info.si_signo = SIGBUS;
	info.si_code = BUS_ADRERR;
	info.si_addr = addr;
	syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), SIGBUS, &info);
}

static void on_sigsegv(int signal, siginfo_t *info, void *context)
{
	int ret = info->si_code == SEGV_ACCERR ? resolve(info->si_addr) : -ENOENT;

	if (ret == -ENOENT)
		chain(&old_sigsegv, signal, info, context);
	else if (ret)
		become_sigbus(info->si_addr, context);
}

static int install(int signal, void (*handler)(int, siginfo_t *, void *),
		   struct sigaction *old, bool *installed)
{
	/* Not deferred: who is called by chain() may jump out of it. */
	struct sigaction action = {
		.sa_sigaction = handler,
		.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK | SA_RESTART,
	};
	int ret = 0;

	sigemptyset(&action.sa_mask);
	/* SIGBUS made by the SIGSEGV handler comes after that has returned. */
	if (signal == SIGSEGV)
		sigaddset(&action.sa_mask, SIGBUS);

	pthread_mutex_lock(&emu_views_lock);
	if (!*installed) {
		/* Before the other call: a fault may come in between. */
		sigaction(signal, NULL, old);
		ret = sigaction(signal, &action, NULL) ? -errno : 0;
		WRITE_ONCE(*installed, !ret);
	}
	pthread_mutex_unlock(&emu_views_lock);
	return ret;
}

bool emu_faults_wait(void)
{
	return READ_ONCE(sigbus_installed) || READ_ONCE(sigsegv_installed);
}

int emu_sigbus_install(void)
{
	return install(SIGBUS, on_sigbus, &old_sigbus, &sigbus_installed);
}

int emu_sigsegv_install(void)
{
	return install(SIGSEGV, on_sigsegv, &old_sigsegv, &sigsegv_installed);
}

void emu_lazy_enable(struct emu_engine *engine, const char *why)
{
	if (READ_ONCE(engine->lazy))
		return;
	/* There is no way on without it, and no reason for it to fail. */
	WARN_ON_ONCE(emu_sigbus_install());
	if (!__atomic_exchange_n(&engine->lazy, 1, __ATOMIC_SEQ_CST))
		__atomic_store_n(&engine->lazy_why, why, __ATOMIC_SEQ_CST);
}

void emu_lazy_report(struct emu_engine *engine)
{
	const char *why;

	if (likely(!READ_ONCE(engine->lazy_why)))
		return;
	why = __atomic_exchange_n(&engine->lazy_why, NULL, __ATOMIC_SEQ_CST);
	if (!why)
		return;
	gmem_log(&engine->engine, GMEM_LOG_INFO,
		 "emu: shared memory may be populated by a SIGBUS handler from now on, "
		 "and a system call on memory that nobody touched may answer EFAULT: %s",
		 why);
}
