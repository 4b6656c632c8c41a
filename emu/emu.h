/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * The emu engine: VMs, guest_memfd files and vCPUs inside one process.
 *
 * A file is a sparse memfd.  The engine has all of it mapped for the guest's
 * accesses; what gmem_file_map() gives the host is another mapping, a view, which
 * a guard keeps from reaching pages that are not the host's.
 *
 * Locks, outer to inner: gmem_vm.lock (the library's) > emu_vm.slots_lock >
 * emu_file.lock > emu_views_lock.  vCPU threads take none of them on their way to
 * memory: see access.c.  emu_vcpu.lock and emu_vm.wait_lock are innermost.
 */
#ifndef EMU_H
#define EMU_H

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>

#include "gmem_platform.h"
#include "attr_map.h"
#include "convert.h"
#include "policy.h"
#include "request.h"
#include "../lib/engine.h"
#include "platform_ops.h"

#define EMU_PAGE_SHIFT		12
#define EMU_CHUNK_SHIFT		9		/* pages in a chunk: 2 MiB */
#define EMU_CHUNK_PAGES		(1ull << EMU_CHUNK_SHIFT)
#define EMU_MAX_VCPUS		64
#define EMU_MAX_FILE_BYTES	(GMEM_ATTR_MAP_MAX_PAGES << EMU_PAGE_SHIFT)

struct emu_guard_ops;

struct emu_engine {
	struct gmem_engine engine;
	/* Reads 0 in a child of fork(): whose mappings are gone. */
	u32 *own_process;

	const struct emu_guard_ops *guard;
	int uffd;

	/* Limits and what is used of them; atomic. */
	u64 splits_limit;	/* places where a view's VMAs are split */
	u64 splits;
	u64 ahead_limit;	/* pages populated ahead of the host's touch */
	u64 ahead;
	u32 lazy;		/* the signal handler populates */
	const char *lazy_why;	/* to be logged; atomic */
	bool abandoned;		/* mappings outlive their files */
};

/* A memslot, as vCPUs see it.  Constant until its file goes. */
struct emu_slot {
	u32 id;
	u64 gpa;
	u64 bytes;
	struct emu_file *file;	/* NULL: ordinary memory, or see @file_gone */
	bool file_gone;
	u64 offset;
	unsigned char *userspace;
};

/* All of a VM's memslots, sorted by gpa; replaced as a whole. */
struct emu_slots {
	struct gmem_deferred deferred;
	u32 nr;
	struct emu_slot slot[];
};

struct emu_vm {
	struct gmem_vm vm;
	struct emu_engine *engine;
	const struct emu_platform_ops *ops;
	void *platform_data;

	pthread_mutex_t slots_lock;	/* writers of @slots, @attributes */
	struct emu_slots *slots;
	struct gmem_attr_map *attributes;	/* VM-wide ones; NULL: all shared */

	/* Filled from the front; vCPUs live as long as the VM. */
	struct emu_vcpu *vcpus[EMU_MAX_VCPUS];
	u32 nr_vcpus;
	pthread_mutex_t vcpus_lock;
	bool dead;

	/* Ends of invalidations, for vCPUs that wait for one. */
	u32 inv_seq;
	u32 inv_waiters;
	pthread_mutex_t wait_lock;
	pthread_cond_t inv_done;
};

/* A range of pages with something special about it. */
struct emu_mark {
	u64 start;
	u64 end;
};

struct emu_marks {
	struct emu_mark *mark;
	size_t nr;
	size_t room;
};

/* A host mapping of part of a file. */
struct emu_view {
	struct emu_view *next;		/* of the file's; file->lock */
	struct emu_view *next_all;	/* see sigbus.c */
	struct emu_file *file;
	unsigned char *addr;
	u64 start;			/* pages of the file */
	u64 end;
	u64 splits;			/* counted in the engine's */
	unsigned long *guarded;		/* uffd: a bit for each chunk */
};

struct emu_file {
	struct gmem_file file;
	struct emu_vm *vm;
	int fd;
	u64 nr_pages;
	bool in_place;
	bool mappable;
	unsigned char *memory;		/* the engine's mapping of all of it */
	unsigned char *page_state;	/* the platform's, page_bytes for each page */
	void *platform_data;
	struct gmem_attr_map *map;

	/* The invalidate lock: the map's only writer, views, marks. */
	pthread_mutex_t lock;
	struct emu_view *views;
	struct emu_marks pins;
	struct emu_marks poison;
	u64 ahead;

	/* The range being invalidated; see access.c. */
	u32 inv_active;
	u64 inv_start;
	u64 inv_end;
	pthread_t inv_thread;
	bool masked;		/* signals; @unmasked is what was before */
	sigset_t unmasked;
	/* Signal handlers that look at it. */
	u32 handlers;
};

/* All pages if the hypercall succeeded, else none. */
#define EMU_PAGES_BY_RET	(~0ull)

enum emu_vcpu_state {
	EMU_VCPU_IDLE,		/* waits for @resume; its exit was fetched */
	EMU_VCPU_RUNNING,
	EMU_VCPU_PARKED,	/* waits for @resume; it was kicked */
	EMU_VCPU_EXITED,	/* waits for @resume; @exit is to be fetched */
};

/* Changes under vcpus_lock, but for the last step: that is gmem_vcpu_run()'s. */
enum emu_vcpu_power {
	EMU_VCPU_ON,
	EMU_VCPU_OFF,
	EMU_VCPU_POWERED_ON,	/* by the guest: to be reset before it runs */
};

struct emu_vcpu {
	struct gmem_vcpu vcpu;
	struct emu_vm *vm;
	void *platform_data;
	struct gmem_request request;
	u32 power;		/* enum emu_vcpu_power */
	sem_t powered_on;
	/* What the VMM set it to ask for in place of the guest; @run_lock. */
	u64 plan_gfn;
	u64 plan_pages;

	/* Written by every access: keep apart from what others read. */
	u32 access_seq __attribute__((aligned(64)));	/* odd: inside an access */
	u32 kick;		/* stop before the next access */
	u32 last_slot;

	pthread_mutex_t run_lock __attribute__((aligned(64)));
	pthread_mutex_t lock;	/* @state */
	enum emu_vcpu_state state;
	sem_t resume;
	sem_t exited;
	struct gmem_exit exit;
	s64 hypercall_ret;
	u64 pages_done;		/* what the guest is told; EMU_PAGES_BY_RET: nothing */
	bool single_page;	/* the hypercall takes no number of pages */
	bool by_guest;		/* the guest powered it on */
	bool started;		/* the thread exists */
	bool restart;		/* go to the program's entry; @resume orders it */
	bool quit;		/* end the thread */
	bool released;
	pthread_t thread;
	jmp_buf entry;
};

/* A conversion on its way. */
struct emu_conversion {
	struct gmem_conversion conv;
	struct emu_file *file;
	bool prepared;		/* views were prepared: put them right at the end */
	bool forced;		/* for the platform: authorised without the guest */
};

static inline struct emu_engine *to_emu_engine(struct gmem_engine *engine)
{
	return gmem_container_of(engine, struct emu_engine, engine);
}

static inline struct emu_vm *to_emu_vm(struct gmem_vm *vm)
{
	return gmem_container_of(vm, struct emu_vm, vm);
}

static inline struct emu_file *to_emu_file(struct gmem_file *file)
{
	return gmem_container_of(file, struct emu_file, file);
}

static inline struct emu_vcpu *to_emu_vcpu(struct gmem_vcpu *vcpu)
{
	return gmem_container_of(vcpu, struct emu_vcpu, vcpu);
}

static inline bool emu_vcpu_is_off(const struct emu_vcpu *vcpu)
{
	return __atomic_load_n(&vcpu->power, __ATOMIC_SEQ_CST) == EMU_VCPU_OFF;
}

static inline bool emu_own_process(const struct emu_engine *engine)
{
	return READ_ONCE(*engine->own_process);
}

static inline u64 emu_host_addr(const struct emu_view *view, u64 index)
{
	return (u64)(uintptr_t)view->addr +
	       ((index - view->start) << EMU_PAGE_SHIFT);
}

/* ---- engine.c ---- */

extern const struct gmem_engine_ops gmem_emu_ops;

/* ---- file.c ---- */

int emu_file_create(struct gmem_vm *vm, const struct gmem_file_options *options,
		    struct gmem_file **filep);
void emu_file_close(struct gmem_file *file);
int emu_file_fd(struct gmem_file *file);
int emu_file_punch_hole(struct gmem_file *file, uint64_t offset, uint64_t bytes);
int emu_file_get_attributes(struct gmem_file *file,
			    struct kvm_memory_attributes2_run *run);
int emu_file_load(struct gmem_file *file, uint64_t offset, const void *data,
		  uint64_t bytes);
/* The file's lock; the VMM may be called when it is given back. */
void emu_file_lock(struct emu_file *file);
void emu_file_unlock(struct emu_file *file);
/* Frees the memory; the caller holds the lock and has called ops->free. */
void emu_file_drop(struct emu_file *file, u64 start, u64 end);
/* The platform's state of a page. */
static inline void *emu_page_state(struct emu_file *file, u64 index)
{
	return file->page_state + index * file->vm->ops->page_bytes;
}
/* Back to all zeros; costs what was touched of the range, not its length. */
void emu_page_state_reset(struct emu_file *file, u64 start, u64 end);

/* ---- marks.c ---- */

/* The next @nr ranges can be added without fail. */
int emu_marks_reserve(struct emu_marks *marks, size_t nr);
int emu_marks_add(struct emu_marks *marks, u64 start, u64 end);
bool emu_marks_remove(struct emu_marks *marks, u64 start, u64 end);
void emu_marks_clear(struct emu_marks *marks, u64 start, u64 end);
/* The first marked page of [start, end), or end. */
u64 emu_marks_first(const struct emu_marks *marks, u64 start, u64 end);
/* Whether @start is marked, and the first page that differs. */
u64 emu_marks_run(const struct emu_marks *marks, u64 start, u64 end, bool *marked);

/* ---- slot.c ---- */

int emu_slot_set(struct gmem_vm *vm, const struct gmem_slot *slot);
int emu_slot_delete(struct gmem_vm *vm, const struct gmem_slot *slot);
void emu_slots_forget_file(struct emu_vm *vm, struct emu_file *file);
const struct emu_slot *emu_slot_find(struct emu_vcpu *vcpu, u64 gpa);
int emu_vm_set_memory_attributes(struct gmem_vm *vm, uint64_t gpa, uint64_t size,
				 uint64_t attributes);
/*
 * Before a vCPU runs: *@ran, 0 at first, tells conversions and gmem_vm_load() that
 * the guest runs.  Those that began when it was 0 have ended when this returns.
 */
enum { EMU_RUNS_SOON = 1, EMU_RAN };
void emu_first_run(struct emu_vm *vm, u32 *ran);
/*
 * The first part of [start, end) of a file that a slot is bound to: its first gfn
 * in @gfn and its first page in @first.  Returns the page after it, 0 if there is
 * none.  The caller holds the file's lock.
 */
u64 emu_next_binding(struct emu_file *file, u64 start, u64 end, u64 *first,
		     u64 *gfn);

/* ---- conversion.c ---- */

int emu_file_set_attributes(struct gmem_file *file,
			    struct kvm_memory_attributes2 *args);

/* ---- view.c ---- */

struct emu_guard_ops {
	const char *name;
	/* A new mapping that reaches nothing.  0 or -errno. */
	int (*attach)(struct emu_view *view);
	void (*detach)(struct emu_view *view);
	/*
	 * Before the point of no return: after it hide() cannot fail for
	 * [start, end), whose pages are all visible, and show() for [start, end)
	 * neither.  0 or -errno; then and later show() restores what there was.
	 */
	int (*prepare_hide)(struct emu_view *view, u64 start, u64 end);
	int (*prepare_show)(struct emu_view *view, u64 start, u64 end);
	/* No page of the range is reachable any more. */
	void (*hide)(struct emu_view *view, u64 start, u64 end);
	/* All pages of the range are; some may be already. */
	void (*show)(struct emu_view *view, u64 start, u64 end, bool absent);
	/*
	 * In a signal handler: make one visible page reachable.  Returns 1; 0 if it
	 * is already or may be next time; -ENOMEM.
	 */
	int (*fault)(struct emu_view *view, u64 index);
};

extern const struct emu_guard_ops emu_guard_uffd;
extern const struct emu_guard_ops emu_guard_mprotect;

int emu_guard_open(struct emu_engine *engine);
void emu_guard_close(struct emu_engine *engine);
int emu_uffd_open(struct emu_engine *engine);

int emu_file_map(struct gmem_file *file, uint64_t offset, uint64_t bytes, void **addrp);
int emu_file_unmap(struct gmem_file *file, void *addr, uint64_t bytes);
void emu_views_abandon(struct emu_file *file);
/* For every view of the file, clipped; the caller holds the file's lock. */
int emu_views_prepare_hide(struct emu_file *file, u64 start, u64 end);
int emu_views_prepare_show(struct emu_file *file, u64 start, u64 end);
void emu_views_hide(struct emu_file *file, u64 start, u64 end);
/* Shows what the host may see of the range; @absent: most of it has no memory. */
void emu_views_show(struct emu_file *file, u64 start, u64 end, bool absent);
/* Is @start visible to the host, and the first page that differs. */
u64 emu_visible_run(struct emu_file *file, u64 start, u64 end, bool *visible);

/* ---- sigbus.c ---- */

void emu_views_register(struct emu_view *view);
void emu_views_unregister(struct emu_view *view);
/* Whether faults on pages in the way wait.  Once it is true it stays so. */
bool emu_faults_wait(void);
int emu_sigbus_install(void);
int emu_sigsegv_install(void);
/* Visible pages are populated when they are touched from now on; @why is a literal. */
void emu_lazy_enable(struct emu_engine *engine, const char *why);
/* Logs that, once, when no lock is held: the VMM may call the library from there. */
void emu_lazy_report(struct emu_engine *engine);

/* ---- access.c ---- */

/*
 * [start, end) is being invalidated: accesses of vCPUs and signal handlers to it
 * that begin from now on wait.  The caller holds the file's lock.
 *
 * A signal handler of the VMM would wait for its own thread.  So signals are masked
 * where handlers of ours make somebody wait; if such a handler came just now, it
 * sees whose thread it is, and the page is out of reach.
 */
void emu_invalidate_begin(struct emu_file *file, u64 start, u64 end);
void emu_invalidate_end(struct emu_file *file);
/* Those that began before have ended. */
void emu_quiesce(struct emu_vm *vm);
void emu_quiesce_handlers(struct emu_file *file);
bool emu_invalidated(struct emu_file *file, u64 index);
enum emu_access_result emu_access_plain(struct emu_access *access);
u64 emu_vcpu_load(struct emu_vcpu *vcpu, u64 gpa, unsigned int size);
void emu_vcpu_store(struct emu_vcpu *vcpu, u64 gpa, unsigned int size, u64 value);
/*
 * The guest executes a platform's instruction on a page, which may fault, exit and
 * be repeated as an access may.  Returns the access's value: @operand, unless the
 * instruction changed it.  Nothing happens to a gfn that no file backs.
 */
u64 emu_vcpu_instruction(struct emu_vcpu *vcpu, u64 gfn, u64 operand,
			 enum emu_access_result (*instruction)(struct emu_vcpu *vcpu,
							       struct emu_access *access));

/* ---- vcpu.c ---- */

int emu_vcpu_create(struct gmem_vm *vm, u32 id, struct gmem_vcpu **vcpup);
void emu_vcpu_release(struct gmem_vcpu *vcpu);
void emu_vcpu_free(struct emu_vcpu *vcpu);
int emu_vcpu_fd(struct gmem_vcpu *vcpu);
int emu_vcpu_run(struct gmem_vcpu *vcpu, struct gmem_exit *exit);
int emu_vcpu_complete_hypercall(struct gmem_vcpu *vcpu, int64_t ret);
int emu_guest_enter(struct gmem_vcpu *vcpu);
/* For gmem_emu_power_off() and gmem_emu_plan_share(), while the vCPU does not run. */
void emu_vcpu_power_off(struct emu_vcpu *vcpu);
int emu_vcpu_plan_share(struct emu_vcpu *vcpu, u64 gfn, u64 nr_pages);
/* The caller holds vcpus_lock. */
void emu_vcpu_power_off_locked(struct emu_vcpu *vcpu);
/* CPU_ON.  0; -EEXIST if it is on; -EINVAL if there is none. */
int emu_vcpu_power_on(struct emu_vm *vm, u64 id);
/* On the vCPU's thread: stop with what is in @exit, come back at re-entry. */
void emu_vcpu_exit(struct emu_vcpu *vcpu);
void emu_vcpu_park(struct emu_vcpu *vcpu);
/* KVM_HC_MAP_GPA_RANGE to the VMM; returns its answer. */
s64 emu_vcpu_exit_hypercall(struct emu_vcpu *vcpu, u64 gfn, u64 nr_pages,
			    bool to_private);

/* ---- inject.c: failing on purpose; see gmem_emu_fail_after() ---- */

/* Whether a step that may fail shall fail now. */
bool emu_fail_now(void);

#endif /* EMU_H */
