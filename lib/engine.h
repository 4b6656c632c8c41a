/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Inside libgmem: the objects behind the public handles, and the table of
 * operations by which an engine implements them.
 *
 * The functions of the public API check what is the same for every engine, keep
 * the list of slots, and call the engine.  An engine embeds these objects in its
 * own.
 *
 * Locks: gmem_vm.lock guards the slots, the vCPU count and the guest program's
 * fields.  It is not held while an engine converts or runs a vCPU.
 */
#ifndef GMEM_LIB_ENGINE_H
#define GMEM_LIB_ENGINE_H

#include <pthread.h>
#include <sys/types.h>
#include <gmem/gmem.h>

#define GMEM_API		__attribute__((visibility("default")))
#define GMEM_PAGE_SIZE		4096ull

#define gmem_container_of(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))

struct gmem_engine_ops;
struct gmem_guest_mailbox;

struct gmem_engine {
	const struct gmem_engine_ops *ops;
	gmem_log_fn log;
	void *log_opaque;
	unsigned int users;	/* the VMM and each VM; atomic */
};

/* A memslot; everything is constant while it is on the list. */
struct gmem_slot {
	struct gmem_slot *next;
	uint32_t id;
	uint64_t gpa;
	uint64_t bytes;
	struct gmem_file *file;
	uint64_t offset;
	void *userspace_addr;
	bool mapped_here;	/* userspace_addr is a mapping of the library's */
	bool adopted;		/* the VMM set it, and will delete it */
};

struct gmem_vm {
	struct gmem_engine *engine;
	uint32_t platform;
	pthread_mutex_t lock;
	struct gmem_slot *slots;
	unsigned int nr_vcpus;
	void *guest_memory;	/* the guest program's slot, or NULL */
	pid_t guest_memory_owner;
	bool adopted;		/* outlives this object */
	unsigned int users;	/* the VMM, each file and vCPU; atomic */
	/* By @lock; @size is 0 if there is none. */
	struct gmem_release_options release;
};

struct gmem_file {
	struct gmem_vm *vm;
	uint64_t bytes;
	uint64_t flags;
};

/*
 * Who may touch a mailbox, where the guest has to share it first.  A page that is
 * the guest's alone is a SIGSEGV for the host.
 */
enum gmem_mailbox_state {
	GMEM_MAILBOX_READY,	/* both */
	GMEM_MAILBOX_LOADED,	/* the host, for the vCPU has not run yet */
	GMEM_MAILBOX_TAKEN,	/* the guest, which may run and has not shared it */
};

struct gmem_vcpu {
	struct gmem_vm *vm;
	uint32_t id;
	bool adopted;		/* the VMM may run it behind our back */
	uint32_t last_exit;
	struct gmem_guest_mailbox *mailbox;	/* or NULL: no guest program */
	bool hello_due;		/* its first exit tells whether it shared the mailbox */
	enum gmem_mailbox_state mailbox_state;	/* atomic */
	bool stop;		/* for the mailbox, once that is ready; atomic */
};

/**
 * struct gmem_engine_ops - an engine
 * @name: as gmem_engine_name() tells it
 * @open: make an engine; the caller fills in log
 * @close: release it
 * @caps: fill in everything but size, for a platform (@vm NULL) or a VM
 * @vm_create: make a VM; the caller fills in struct gmem_vm
 * @vm_destroy: release it
 * @vm_fd: the descriptor or -EOPNOTSUPP
 * @vm_set_memory_attributes: the VM-wide attributes
 * @file_create: make a file; the caller fills in struct gmem_file
 * @file_close: release it
 * @file_fd: the descriptor or -EOPNOTSUPP
 * @file_map, @file_unmap, @file_punch_hole: see the public functions
 * @file_set_attributes, @file_get_attributes: the two ioctls
 * @vm_adopt, @file_adopt, @vcpu_adopt: optional: make the object for a file
 *	descriptor that stays the VMM's
 * @vcpu_last_exit: for adopted vCPUs: the exit that the VMM saw
 * @file_load: optional: part of the initial payload into private memory;
 *	-EOPNOTSUPP to have it converted, written and converted back
 * @slot_set: give the VM this slot
 * @slot_delete: take it away; its memory stays
 * @vcpu_create: make a vCPU; the caller fills in struct gmem_vcpu
 * @vcpu_destroy: release it
 * @vcpu_fd: the descriptor or -EOPNOTSUPP
 * @vcpu_run: run until there is an exit.  The guest program's own exit is
 *	GMEM_EXIT_GUEST_DONE
 * @vcpu_complete_hypercall: what the guest gets
 * @guest_prepare: the program is in @memory: add what the processor needs
 * @guest_enter: let the vCPU start at the guest program's entry
 *
 * All return 0 or -errno.
 */
struct gmem_engine_ops {
	const char *name;
	int (*open)(const struct gmem_engine_options *options,
		    struct gmem_engine **enginep);
	void (*close)(struct gmem_engine *engine);
	int (*caps)(struct gmem_engine *engine, struct gmem_vm *vm,
		    uint32_t platform, struct gmem_caps *caps);

	int (*vm_create)(struct gmem_engine *engine,
			 const struct gmem_vm_options *options,
			 struct gmem_vm **vmp);
	int (*vm_adopt)(struct gmem_engine *engine, int fd, struct gmem_vm **vmp);
	void (*vm_destroy)(struct gmem_vm *vm);
	int (*vm_fd)(struct gmem_vm *vm);
	int (*vm_set_memory_attributes)(struct gmem_vm *vm, uint64_t gpa,
					uint64_t size, uint64_t attributes);

	int (*file_create)(struct gmem_vm *vm,
			   const struct gmem_file_options *options,
			   struct gmem_file **filep);
	/* Fills in @options->bytes. */
	int (*file_adopt)(struct gmem_vm *vm, struct gmem_file_options *options,
			  int fd, struct gmem_file **filep);
	void (*file_close)(struct gmem_file *file);
	int (*file_fd)(struct gmem_file *file);
	int (*file_map)(struct gmem_file *file, uint64_t offset, uint64_t bytes,
			void **addrp);
	int (*file_unmap)(struct gmem_file *file, void *addr, uint64_t bytes);
	int (*file_punch_hole)(struct gmem_file *file, uint64_t offset,
			       uint64_t bytes);
	int (*file_set_attributes)(struct gmem_file *file,
				   struct kvm_memory_attributes2 *args);
	int (*file_get_attributes)(struct gmem_file *file,
				   struct kvm_memory_attributes2_run *run);

	int (*file_load)(struct gmem_file *file, uint64_t offset, const void *data,
			 uint64_t bytes);
	int (*slot_set)(struct gmem_vm *vm, const struct gmem_slot *slot);
	int (*slot_delete)(struct gmem_vm *vm, const struct gmem_slot *slot);

	int (*vcpu_create)(struct gmem_vm *vm, uint32_t id,
			   struct gmem_vcpu **vcpup);
	int (*vcpu_adopt)(struct gmem_vm *vm, int fd, struct kvm_run *run,
			  struct gmem_vcpu **vcpup);
	void (*vcpu_last_exit)(struct gmem_vcpu *vcpu, struct gmem_exit *exit);
	void (*vcpu_destroy)(struct gmem_vcpu *vcpu);
	int (*vcpu_fd)(struct gmem_vcpu *vcpu);
	int (*vcpu_run)(struct gmem_vcpu *vcpu, struct gmem_exit *exit);
	int (*vcpu_complete_hypercall)(struct gmem_vcpu *vcpu, int64_t ret);

	int (*guest_prepare)(struct gmem_vm *vm, void *memory);
	int (*guest_enter)(struct gmem_vcpu *vcpu);
};

extern const struct gmem_engine_ops gmem_kernel_ops;
extern const struct gmem_engine_ops gmem_emu_ops;

/* lib/log.c */

/* @engine may be NULL. */
void gmem_log(const struct gmem_engine *engine, int level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* A call that the library itself refuses, and why.  Returns -EINVAL. */
#define gmem_refuse(engine, why) \
	gmem_refuse_with(engine, -EINVAL, __func__, why)
int gmem_refuse_with(const struct gmem_engine *engine, int ret,
		     const char *function, const char *why);
/* What the engine answered: tell of errors.  Returns @ret. */
#define gmem_report(engine, ret) gmem_report_of(engine, ret, __func__)
int gmem_report_of(const struct gmem_engine *engine, int ret, const char *function);

/* lib/engine.c */
int gmem_options_copy(void *dst, size_t dst_size, const void *src);
void gmem_vm_init(struct gmem_vm *vm, struct gmem_engine *engine, uint32_t platform);
void gmem_file_init(struct gmem_file *file, struct gmem_vm *vm,
		    const struct gmem_file_options *options);
void gmem_vcpu_init(struct gmem_vcpu *vcpu, struct gmem_vm *vm, uint32_t id);
/* A file or a vCPU of the VM is gone. */
void gmem_vm_put(struct gmem_vm *vm);

/* lib/slot.c */
int gmem_slot_add(struct gmem_vm *vm, const struct gmem_slot_options *options,
		  bool adopted);
void gmem_slots_release(struct gmem_vm *vm);
int gmem_slot_translate(struct gmem_vm *vm, uint64_t gpa, uint64_t bytes,
			struct gmem_file **filep, uint64_t *offset,
			uint64_t *run_bytes);

/* lib/guest.c */
int gmem_guest_attach(struct gmem_vcpu *vcpu);
/* The vCPU is about to run, or to wait until the guest powers it on. */
void gmem_guest_runs(struct gmem_vcpu *vcpu);
/* Its guest program said hello; @status: of sharing the mailbox. */
int gmem_guest_came_up(struct gmem_vcpu *vcpu, int status);
void gmem_guest_release(void *memory, pid_t owner);

static inline bool gmem_page_aligned(uint64_t value)
{
	return !(value % GMEM_PAGE_SIZE);
}

#endif /* GMEM_LIB_ENGINE_H */
