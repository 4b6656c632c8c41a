/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * libgmem: virtual machines whose memory is converted in place between private
 * and shared, under a content policy.  One API over every engine.
 *
 * Conventions.  Functions return 0 or a negative errno value; objects come back
 * through the last argument.  Sizes and offsets are bytes unless a name says
 * pages.  Option structs start with their own size, so that old programs run
 * with newer libraries; members that are 0 mean the default.  Objects are
 * released in the reverse order of creation; releasing NULL does nothing.  What is
 * released too early is reported, and goes with the last object that needs it.
 * Whatever a function refuses it also tells to the log.
 *
 * Threads.  Functions on different objects may run at the same time, and so may
 * functions on one object unless its description says otherwise.  Releasing an
 * object while another thread uses it is the caller's mistake.
 */
#ifndef GMEM_GMEM_H
#define GMEM_GMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/kvm_gmem.h>
#include <linux/kvm_para.h>
#include <gmem/guest.h>

/* KVM's, for kernel headers that are older than they are. */
#ifndef KVM_MEMORY_ATTRIBUTE_PRIVATE
#define KVM_MEMORY_ATTRIBUTE_PRIVATE	(1ULL << 3)
#endif
#ifndef KVM_EXIT_MEMORY_FAULT
#define KVM_EXIT_MEMORY_FAULT		39
#define KVM_MEMORY_EXIT_FLAG_PRIVATE	(1ULL << 3)
#endif
#ifndef GUEST_MEMFD_FLAG_MMAP
#define GUEST_MEMFD_FLAG_MMAP		(1ULL << 0)
#endif
#ifndef GUEST_MEMFD_FLAG_INIT_SHARED
#define GUEST_MEMFD_FLAG_INIT_SHARED	(1ULL << 1)
#endif

#ifdef __cplusplus
extern "C" {
#endif

struct gmem_engine;
struct gmem_vm;
struct gmem_file;
struct gmem_vcpu;

/* ---- log ---- */

/**
 * enum gmem_log_level - how much a message matters
 * @GMEM_LOG_ERROR: something was refused or failed that a VMM without mistakes in it
 *	does not meet
 * @GMEM_LOG_INFO: worth telling once
 * @GMEM_LOG_DEBUG: the rest, among it refusals that are part of normal life
 */
enum gmem_log_level {
	GMEM_LOG_ERROR,
	GMEM_LOG_INFO,
	GMEM_LOG_DEBUG,
};

/**
 * typedef gmem_log_fn - receives the library's messages
 * @opaque: as given with the function
 * @level: enum gmem_log_level
 * @message: one line, no newline at its end; valid during the call
 *
 * May be called from every thread that is inside the library.
 */
typedef void (*gmem_log_fn)(void *opaque, int level, const char *message);

/**
 * gmem_set_log() - where messages go that no engine's log receives
 * @log: or NULL to drop them, as it is at first
 * @opaque: handed to @log
 *
 * Those are the messages about objects that are NULL, about engines that do not
 * open, and of engines that were opened without a log.
 */
void gmem_set_log(gmem_log_fn log, void *opaque);

/* ---- engines ---- */

/**
 * enum gmem_engine_kind - which engine
 * @GMEM_ENGINE_ANY: the kernel if VMs of it convert in place, else emu
 * @GMEM_ENGINE_KERNEL: /dev/kvm
 * @GMEM_ENGINE_EMU: a model inside the process; see <gmem/emu.h>
 */
enum gmem_engine_kind {
	GMEM_ENGINE_ANY,
	GMEM_ENGINE_KERNEL,
	GMEM_ENGINE_EMU,
};

/**
 * struct gmem_engine_options - how to open an engine
 * @size: sizeof(struct gmem_engine_options)
 * @kind: enum gmem_engine_kind
 * @device: kernel: path of the KVM device; NULL is /dev/kvm
 * @log: where messages go; NULL: see gmem_set_log()
 * @log_opaque: handed to @log
 */
struct gmem_engine_options {
	size_t size;
	uint32_t kind;
	uint32_t reserved;
	const char *device;
	gmem_log_fn log;
	void *log_opaque;
};

/**
 * gmem_engine_open() - open an engine
 * @options: or NULL for the defaults
 * @enginep: out: the engine
 *
 * That an engine opens does not say that it can convert: gmem_engine_caps().
 *
 * Return: 0; -EINVAL for bad options; -ENOENT or -EACCES if the KVM device is
 *	   absent or not ours to open; -ENODEV if it is not a KVM device;
 *	   -ENOMEM.
 */
int gmem_engine_open(const struct gmem_engine_options *options,
		     struct gmem_engine **enginep);

/**
 * gmem_engine_close() - close an engine without VMs
 * @engine: or NULL
 *
 * An engine that has VMs closes with the last of them.
 */
void gmem_engine_close(struct gmem_engine *engine);

/**
 * gmem_engine_name() - "kernel" or "emu", for messages
 * @engine: the engine
 *
 * Return: the name, or NULL for NULL.
 */
const char *gmem_engine_name(const struct gmem_engine *engine);

/* ---- platforms and their capabilities ---- */

/**
 * enum gmem_vm_platform - what protects a VM's private memory
 * @GMEM_VM_DEFAULT: nothing: an ordinary VM
 * @GMEM_VM_SW: KVM_X86_SW_PROTECTED_VM: KVM's own rules, no hardware
 * @GMEM_VM_PKVM: arm64 protected KVM
 * @GMEM_VM_SNP: AMD SEV-SNP
 * @GMEM_VM_TDX: Intel TDX
 * @GMEM_VM_NR_PLATFORMS: not a platform
 */
enum gmem_vm_platform {
	GMEM_VM_DEFAULT,
	GMEM_VM_SW,
	GMEM_VM_PKVM,
	GMEM_VM_SNP,
	GMEM_VM_TDX,
	GMEM_VM_NR_PLATFORMS,
};

/**
 * gmem_platform_name() - "default", "sw", "pkvm", "snp", "tdx"
 * @platform: enum gmem_vm_platform
 *
 * Return: the name, or NULL for an unknown platform.
 */
const char *gmem_platform_name(uint32_t platform);

/**
 * gmem_policy_name() - "ZERO", "READABLE", "ENCRYPTED", "DESTROY"
 * @policy: enum set_memory_attributes_content_policy
 *
 * Return: the name, or NULL for an unknown policy.
 */
const char *gmem_policy_name(uint32_t policy);

/**
 * struct gmem_caps - what a VM, or a platform on an engine, offers
 * @size: sizeof(struct gmem_caps), set by the caller
 * @platform: enum gmem_vm_platform
 * @vm_available: the engine can create such a VM
 * @convert: in-place conversion works: @attributes is not 0
 * @attributes: KVM_MEMORY_ATTRIBUTE_* that a file with
 *	GUEST_MEMFD_FLAG_IN_PLACE can have
 * @vm_attributes: KVM_MEMORY_ATTRIBUTE_* of KVM_SET_MEMORY_ATTRIBUTES
 * @file_flags: GUEST_MEMFD_FLAG_* as KVM_CAP_GUEST_MEMFD_FLAGS announces them
 * @to_shared: bit N: policy N is accepted towards shared
 * @to_private: bit N: policy N is accepted towards private
 * @scrubs_to_shared: ZERO towards shared only scrubs: the next reader reads
 *	undefined bytes, none of them what was there
 * @scrubs_to_private: the same towards private
 * @guest_memfd: KVM_CAP_GUEST_MEMFD: guest_memfd at all
 */
struct gmem_caps {
	size_t size;
	uint32_t platform;
	bool vm_available;
	bool guest_memfd;
	bool convert;
	bool scrubs_to_shared;
	bool scrubs_to_private;
	uint64_t attributes;
	uint64_t vm_attributes;
	uint64_t file_flags;
	uint32_t to_shared;
	uint32_t to_private;
};

/**
 * gmem_engine_caps() - what a platform offers on this engine
 * @engine: the engine
 * @platform: enum gmem_vm_platform
 * @caps: out; the caller sets @caps->size
 *
 * Creates a VM for a moment, since the answers are a VM's.
 *
 * Return: 0, also if there is no such platform (@caps->vm_available is false);
 *	   -EINVAL for an unknown platform or size; other errors of the engine.
 */
int gmem_engine_caps(struct gmem_engine *engine, uint32_t platform,
		     struct gmem_caps *caps);

/* ---- VMs ---- */

/**
 * struct gmem_vm_options - what VM to create
 * @size: sizeof(struct gmem_vm_options)
 * @platform: enum gmem_vm_platform
 */
struct gmem_vm_options {
	size_t size;
	uint32_t platform;
	uint32_t reserved;
};

/**
 * gmem_vm_create() - create a VM without memory and vCPUs
 * @engine: the engine
 * @options: or NULL for a default VM
 * @vmp: out: the VM
 *
 * Exits to the VMM for KVM_HC_MAP_GPA_RANGE are switched on if the engine has
 * them.
 *
 * Return: 0; -EINVAL for bad options; -EOPNOTSUPP if the engine has no such
 *	   platform; -ENOMEM; other errors of the engine.
 */
int gmem_vm_create(struct gmem_engine *engine,
		   const struct gmem_vm_options *options, struct gmem_vm **vmp);

/**
 * gmem_vm_adopt() - work on a VM that is the VMM's own
 * @engine: the kernel engine
 * @options: what VM it is; or NULL for a default VM
 * @fd: the VM's file descriptor; stays the VMM's, which keeps it open
 * @vmp: out: the VM
 *
 * Changes nothing: exits for KVM_HC_MAP_GPA_RANGE are switched on by the VMM
 * (KVM_CAP_EXIT_HYPERCALL).  Slots that the VMM sets by itself are made known by
 * gmem_slot_adopt(); their numbers are not for gmem_slot_set() to use.  gmem_vm_destroy() takes away the slots that
 * gmem_slot_set() gave to the VM, and leaves the rest of it as it is.
 *
 * Return: 0; -EINVAL for bad options or if @fd is not a VM's; -EBADF; -EOPNOTSUPP
 *	   if the engine has no file descriptors, as emu; -ENOMEM.
 */
int gmem_vm_adopt(struct gmem_engine *engine, const struct gmem_vm_options *options,
		  int fd, struct gmem_vm **vmp);

/**
 * gmem_vm_destroy() - end a VM whose vCPUs and files are released
 * @vm: or NULL
 *
 * A VM that has vCPUs or files ends with the last of them.
 */
void gmem_vm_destroy(struct gmem_vm *vm);

/**
 * gmem_vm_caps() - what this VM offers
 * @vm: the VM
 * @caps: out; the caller sets @caps->size
 *
 * Return: 0; -EINVAL for an unknown size.
 */
int gmem_vm_caps(struct gmem_vm *vm, struct gmem_caps *caps);

/**
 * gmem_vm_fd() - the VM's file descriptor
 * @vm: the VM
 *
 * Return: the descriptor, which stays the library's; -EOPNOTSUPP if the engine
 *	   has none.
 */
int gmem_vm_fd(struct gmem_vm *vm);

/**
 * gmem_vm_set_memory_attributes() - KVM_SET_MEMORY_ATTRIBUTES, the VM-wide one
 * @vm: the VM
 * @gpa: first byte
 * @size: length in bytes
 * @attributes: 0 or KVM_MEMORY_ATTRIBUTE_PRIVATE
 *
 * For memory that is not converted in place.
 *
 * Return: 0; -EINVAL also for a range that an in-place slot covers; -EOPNOTSUPP
 *	   if the engine has none; other errors of the engine.
 */
int gmem_vm_set_memory_attributes(struct gmem_vm *vm, uint64_t gpa, uint64_t size,
				  uint64_t attributes);

/* ---- files: guest_memfd ---- */

/**
 * struct gmem_file_options - what file to create
 * @size: sizeof(struct gmem_file_options)
 * @bytes: length of the file, page aligned
 * @flags: GUEST_MEMFD_FLAG_*
 */
struct gmem_file_options {
	size_t size;
	uint64_t bytes;
	uint64_t flags;
};

/**
 * gmem_file_create() - create a guest_memfd
 * @vm: the VM
 * @options: what file
 * @filep: out: the file
 *
 * Return: 0; -EINVAL for bad options or flags that this VM does not offer;
 *	   -ENOMEM; other errors of the engine.
 */
int gmem_file_create(struct gmem_vm *vm, const struct gmem_file_options *options,
		     struct gmem_file **filep);

/**
 * gmem_file_adopt() - work on a guest_memfd that is the VMM's own
 * @vm: the VM that it belongs to
 * @options: what file it is: the flags that it was created with, and its length or
 *	0 to look that up
 * @fd: the file's descriptor; stays the VMM's, which keeps it open
 * @filep: out: the file
 *
 * Return: 0; -EINVAL for bad options or if @fd is not such a file; -EBADF;
 *	   -EOPNOTSUPP if the engine has no file descriptors, as emu; -ENOMEM.
 */
int gmem_file_adopt(struct gmem_vm *vm, const struct gmem_file_options *options,
		    int fd, struct gmem_file **filep);

/**
 * gmem_file_close() - release a file
 * @file: or NULL
 *
 * The VM's slots on it become empty; mappings stay and keep the memory.
 */
void gmem_file_close(struct gmem_file *file);

/**
 * gmem_file_fd() - the file's descriptor
 * @file: the file
 *
 * Return: the descriptor, which stays the library's; -EOPNOTSUPP if the engine
 *	   has none.
 */
int gmem_file_fd(struct gmem_file *file);

/**
 * gmem_file_map() - map part of a file
 * @file: the file; created with GUEST_MEMFD_FLAG_MMAP
 * @offset: first byte, page aligned
 * @bytes: length, page aligned
 * @addrp: out: the address
 *
 * Touching a page that is not shared raises SIGBUS at its address, and a system
 * call answers -EFAULT.
 *
 * Return: 0; -EINVAL; -ENODEV if the file cannot be mapped; -ENOMEM.
 */
int gmem_file_map(struct gmem_file *file, uint64_t offset, uint64_t bytes,
		  void **addrp);

/**
 * gmem_file_unmap() - the opposite of gmem_file_map()
 * @file: the file
 * @addr: what gmem_file_map() gave
 * @bytes: the length given to it
 *
 * Return: 0; -EINVAL.
 */
int gmem_file_unmap(struct gmem_file *file, void *addr, uint64_t bytes);

/**
 * gmem_file_punch_hole() - free the memory behind a range
 * @file: the file
 * @offset: first byte, page aligned
 * @bytes: length, page aligned
 *
 * The range reads as zeros afterwards.  Its attributes stay.
 *
 * Return: 0; -EINVAL for a misaligned range; other errors of the engine.
 */
int gmem_file_punch_hole(struct gmem_file *file, uint64_t offset, uint64_t bytes);

/* ---- conversion ---- */

/**
 * gmem_set_memory_attributes2() - convert a range of a file
 * @file: the file; created with GUEST_MEMFD_FLAG_IN_PLACE
 * @args: the request and, afterwards, its outcome: see <linux/kvm_gmem.h>
 *
 * All or nothing: on every error but that of a dead VM the attributes and the
 * contents are as before.
 *
 * Context: any thread of the process that created the VM; a child made by
 *	    fork() cannot convert (-EIO).
 * Return: 0, with @args->converted set; or
 *	   -EINVAL for a misaligned, empty, wrapping or past-the-end range, an
 *	   unknown attribute, policy or flag, or a field that must be 0;
 *	   -EFAULT for a bad pointer;
 *	   -EOPNOTSUPP if the VM does not offer the policy in this direction;
 *	   -EPERM if the range is bound to no slot, or the guest did not ask;
 *	   -EAGAIN if somebody holds a page, named by @args->error_offset;
 *	   -EHWPOISON for a poisoned page, named likewise;
 *	   -EINTR, -ENOMEM, -EIO; -ENOTTY if the file does not convert.
 */
int gmem_set_memory_attributes2(struct gmem_file *file,
				struct kvm_memory_attributes2 *args);

/**
 * struct gmem_release - what the VMM is asked to let go of
 * @size: sizeof(struct gmem_release), as the library knows it
 * @file: the file that is about to be converted
 * @offset: first byte of the conversion
 * @bytes: its length
 * @attributes: 0 (shared) or KVM_MEMORY_ATTRIBUTE_PRIVATE
 * @content_policy: enum set_memory_attributes_content_policy
 * @attempt: 0 before the first attempt, 1 before the second, and so on
 * @error_offset: from attempt 1 on: the page that stood in the way of the last
 */
struct gmem_release {
	size_t size;
	struct gmem_file *file;
	uint64_t offset;
	uint64_t bytes;
	uint64_t attributes;
	uint32_t content_policy;
	uint32_t attempt;
	uint64_t error_offset;
};

/**
 * typedef gmem_release_fn - lets vfio, vhost, io_uring and the like let go
 * @opaque: as given with the function
 * @release: of what; valid during the call
 *
 * On the thread that converts, and without a lock of the library's.  It must not
 * convert memory of the same VM.
 *
 * Return: 0 to go on; a negative errno value to give up: nothing is converted,
 *	   and the caller gets that value.
 */
typedef int (*gmem_release_fn)(void *opaque, const struct gmem_release *release);

/* What 0 means in struct gmem_release_options, and the most that it takes. */
#define GMEM_RELEASE_RETRIES		10
#define GMEM_RELEASE_DELAY_US		1000
#define GMEM_RELEASE_MAX_RETRIES	1000
#define GMEM_RELEASE_MAX_DELAY_US	1000000

/**
 * struct gmem_release_options - what precedes conversions of a VM's memory
 * @size: sizeof(struct gmem_release_options)
 * @release: called before each attempt; NULL: only retry
 * @opaque: handed to @release
 * @retries: attempts after the first, for as long as the answer is -EAGAIN
 * @delay_us: microseconds between an attempt and the next; a signal ends the wait
 */
struct gmem_release_options {
	size_t size;
	gmem_release_fn release;
	void *opaque;
	uint32_t retries;
	uint32_t delay_us;
};

/**
 * gmem_vm_set_release() - be asked before memory is converted, and retry
 * @vm: the VM
 * @options: or NULL for neither, as it is at first
 *
 * Concerns every function that converts.  A request whose range is invalid is
 * refused without asking.  The last attempt's -EAGAIN is the caller's, with the
 * page in error_offset; it comes after at most @retries * @delay_us of waiting.
 *
 * Context: while no other thread converts.
 * Return: 0; -EINVAL for bad options.
 */
int gmem_vm_set_release(struct gmem_vm *vm,
			const struct gmem_release_options *options);

/**
 * gmem_file_convert() - gmem_set_memory_attributes2() with plain arguments
 * @file: the file
 * @offset: first byte, page aligned
 * @bytes: length, page aligned
 * @attributes: 0 (shared) or KVM_MEMORY_ATTRIBUTE_PRIVATE
 * @policy: enum set_memory_attributes_content_policy
 * @converted: out, on success: bytes converted; may be NULL
 *
 * Return: as gmem_set_memory_attributes2().
 */
int gmem_file_convert(struct gmem_file *file, uint64_t offset, uint64_t bytes,
		      uint64_t attributes, uint32_t policy, uint64_t *converted);

/**
 * gmem_get_memory_attributes2() - the state at an offset, as the engine tells it
 * @file: the file
 * @run: in: offset, all else 0; out: see <linux/kvm_gmem.h>
 *
 * A run may be reported in several pieces.
 *
 * Return: 0; -EINVAL; -EFAULT; -ENOTTY if the file does not convert.
 */
int gmem_get_memory_attributes2(struct gmem_file *file,
				struct kvm_memory_attributes2_run *run);

/**
 * struct gmem_run - a stretch of a file in one state
 * @offset: first byte
 * @bytes: length
 * @attributes: 0 or KVM_MEMORY_ATTRIBUTE_PRIVATE
 * @state: KVM_GMEM_STATE_*
 */
struct gmem_run {
	uint64_t offset;
	uint64_t bytes;
	uint64_t attributes;
	uint64_t state;
};

/**
 * gmem_get_attributes() - the runs of a range, each as long as it is
 * @file: the file
 * @offset: first byte, page aligned
 * @bytes: length, page aligned
 * @runs: out
 * @nr_runs: in: room in @runs; out: runs there are
 *
 * What it tells is true for a range that nobody converts meanwhile.
 *
 * Return: 0; -ENOSPC if there are more runs than room: @nr_runs says how many;
 *	   else as gmem_get_memory_attributes2().
 */
int gmem_get_attributes(struct gmem_file *file, uint64_t offset, uint64_t bytes,
			struct gmem_run *runs, size_t *nr_runs);

/**
 * gmem_vm_convert() - convert a range of guest memory
 * @vm: the VM
 * @gpa: first byte, page aligned
 * @bytes: length, page aligned
 * @attributes: 0 (shared) or KVM_MEMORY_ATTRIBUTE_PRIVATE
 * @policy: enum set_memory_attributes_content_policy
 * @done: out, on every return: bytes from @gpa on that are converted or had the
 *	attribute already; may be NULL
 *
 * Translates to files and offsets by the slots.  All or nothing for each slot,
 * not for a range over several.
 *
 * Return: 0; -ENXIO if a page belongs to no slot on a file; else as
 *	   gmem_set_memory_attributes2().
 */
int gmem_vm_convert(struct gmem_vm *vm, uint64_t gpa, uint64_t bytes,
		    uint64_t attributes, uint32_t policy, uint64_t *done);

/* ---- slots ---- */

/* Slots from this number on belong to the library. */
#define GMEM_SLOT_RESERVED	500

/**
 * struct gmem_slot_options - a range of guest physical memory
 * @size: sizeof(struct gmem_slot_options)
 * @id: slot number, below GMEM_SLOT_RESERVED
 * @gpa: guest physical address, page aligned
 * @bytes: length, page aligned
 * @file: the file behind it, or NULL for ordinary memory
 * @offset: offset in the file
 * @userspace_addr: the address at which the VMM sees the slot.  NULL: the
 *	library maps the file itself, if it can be mapped
 */
struct gmem_slot_options {
	size_t size;
	uint32_t id;
	uint32_t reserved;
	uint64_t gpa;
	uint64_t bytes;
	struct gmem_file *file;
	uint64_t offset;
	void *userspace_addr;
};

/**
 * gmem_slot_set() - give a VM memory
 * @vm: the VM
 * @options: the slot
 *
 * Return: 0; -EINVAL; -EEXIST if the id, the guest addresses or this part of the
 *	   file are taken; -EPERM on pKVM for a file that converts in place, if the VM
 *	   had none when its first vCPU ran; -ENOMEM; other errors of the engine.
 */
int gmem_slot_set(struct gmem_vm *vm, const struct gmem_slot_options *options);

/**
 * gmem_slot_adopt() - tell of a slot that the VMM gave to the VM by itself
 * @vm: the VM
 * @options: the slot, on a file; any id; @userspace_addr is not looked at
 *
 * Changes nothing: the library learns which file is behind these addresses, for
 * gmem_vm_convert() and gmem_vcpu_serve_hypercall().
 *
 * Return: 0; -EINVAL; -EEXIST if the id is taken; -EOPNOTSUPP if the engine has no
 *	   file descriptors, as emu; -ENOMEM.
 */
int gmem_slot_adopt(struct gmem_vm *vm, const struct gmem_slot_options *options);

/**
 * gmem_slot_delete() - take a slot away
 * @vm: the VM
 * @id: its number
 *
 * A file keeps its contents and attributes.  An adopted slot is only forgotten.
 *
 * Return: 0; -ENOENT; other errors of the engine.
 */
int gmem_slot_delete(struct gmem_vm *vm, uint32_t id);

/**
 * gmem_vm_load() - put the initial payload into a VM's memory
 * @vm: the VM, before its first vCPU runs
 * @gpa: first byte, page aligned; memory of files that convert in place
 * @data: the payload
 * @bytes: its length; the rest of the last page becomes zeros
 *
 * Attributes stay as they are.  Where launching a VM encrypts and measures private
 * memory (SNP, TDX), this does.  After an error part of it may be there.
 *
 * Context: no other thread accesses or converts the range.
 * Return: 0; -EINVAL for a misaligned range or destroyed memory; -ENXIO if no file
 *	   is behind @gpa; -EBUSY or -EPERM if the guest ran already and the
 *	   platform seals what is loaded; else as gmem_set_memory_attributes2() and
 *	   gmem_file_map().
 */
int gmem_vm_load(struct gmem_vm *vm, uint64_t gpa, const void *data, uint64_t bytes);

/* ---- vCPUs ---- */

/**
 * gmem_vcpu_create() - create a vCPU
 * @vm: the VM
 * @id: its number, from 0
 * @vcpup: out: the vCPU
 *
 * If gmem_guest_setup() ran before, the vCPU will run the guest program.
 *
 * Return: 0; -EINVAL; -EEXIST; -ENOMEM; other errors of the engine.
 */
int gmem_vcpu_create(struct gmem_vm *vm, uint32_t id, struct gmem_vcpu **vcpup);

/**
 * gmem_vcpu_adopt() - work on a vCPU that is the VMM's own
 * @vm: its VM
 * @id: its number
 * @fd: its file descriptor; stays the VMM's, which keeps it open
 * @run: the VMM's mapping of @fd, which it keeps
 * @vcpup: out: the vCPU
 *
 * The VMM may go on to run it by itself, by the KVM_RUN ioctl, and let
 * gmem_vcpu_serve_hypercall() serve what @run tells.  The guest program of
 * gmem_guest_setup() does not run on it.
 *
 * Context: while the vCPU does not run.
 * Return: 0; -EINVAL if @fd is not a vCPU's; -EBADF; -EOPNOTSUPP if the engine has
 *	   no file descriptors, as emu; -ENOMEM.
 */
int gmem_vcpu_adopt(struct gmem_vm *vm, uint32_t id, int fd, struct kvm_run *run,
		    struct gmem_vcpu **vcpup);

/**
 * gmem_vcpu_destroy() - release a vCPU that does not run
 * @vcpu: or NULL
 */
void gmem_vcpu_destroy(struct gmem_vcpu *vcpu);

/**
 * gmem_vcpu_fd() - the vCPU's file descriptor
 * @vcpu: the vCPU
 *
 * Return: the descriptor, which stays the library's; -EOPNOTSUPP if the engine
 *	   has none.
 */
int gmem_vcpu_fd(struct gmem_vcpu *vcpu);

/* A reason that KVM does not have: the guest program finished its commands. */
#define GMEM_EXIT_GUEST_DONE	0x10000

/**
 * struct gmem_exit - why a vCPU stopped; names and values are those of kvm_run
 * @reason: KVM_EXIT_* or GMEM_EXIT_GUEST_DONE
 * @error: for a memory fault: EFAULT, or EHWPOISON for poisoned memory
 * @hypercall: KVM_EXIT_HYPERCALL.  KVM_HC_MAP_GPA_RANGE: args are gpa, pages,
 *	attributes
 * @memory_fault: KVM_EXIT_MEMORY_FAULT (39): nobody can access this memory, or
 *	not as the kind that the guest asked for.  Running the vCPU again repeats
 *	the access
 * @mmio: KVM_EXIT_MMIO
 * @raw: the engine's own fields for every other reason
 */
struct gmem_exit {
	uint32_t reason;
	int32_t error;
	union {
		struct {
			uint64_t nr;
			uint64_t args[6];
			uint64_t flags;
		} hypercall;
		struct {
			uint64_t flags;
			uint64_t gpa;
			uint64_t size;
		} memory_fault;
		struct {
			uint64_t gpa;
			uint8_t data[8];
			uint32_t len;
			uint32_t is_write;
		} mmio;
		uint64_t raw[16];
	};
};

/**
 * gmem_vcpu_run() - run a vCPU on the calling thread until it exits
 * @vcpu: the vCPU
 * @exit: out: why it stopped; KVM_EXIT_INTR for a signal, and whenever running
 *	again is all that there is to do
 *
 * On pKVM a vCPU that is powered off waits here until the guest powers it on, by
 * another: the first that runs, if they run the guest program, for all of them.
 *
 * Context: one thread at a time for each vCPU.
 * Return: 0; -errno of the engine if there is no exit to tell of.
 */
int gmem_vcpu_run(struct gmem_vcpu *vcpu, struct gmem_exit *exit);

/**
 * gmem_vcpu_complete_hypercall() - what the guest gets when it runs again
 * @vcpu: the vCPU; its last exit was KVM_EXIT_HYPERCALL
 * @ret: 0 or a negative errno value
 *
 * Without it the guest gets 0.  On pKVM the guest is told no more than that the VMM
 * did not do all of it, and how much was done.
 *
 * Context: the thread that runs the vCPU.
 * Return: 0; -EINVAL if the last exit was another.
 */
int gmem_vcpu_complete_hypercall(struct gmem_vcpu *vcpu, int64_t ret);

/**
 * gmem_vcpu_serve_hypercall() - do what KVM_HC_MAP_GPA_RANGE asks for
 * @vcpu: the vCPU
 * @exit: its last exit, a hypercall.  NULL: for an adopted vCPU, what its kvm_run
 *	mapping tells
 * @policy: the content policy to convert under
 *
 * gmem_vm_convert() on the hypercall's range, then
 * gmem_vcpu_complete_hypercall() with the outcome.
 *
 * Context: the thread that runs the vCPU.
 * Return: 0; -errno of the conversion, which the guest gets too; -EINVAL for
 *	   another exit or hypercall.
 */
int gmem_vcpu_serve_hypercall(struct gmem_vcpu *vcpu, const struct gmem_exit *exit,
			      uint32_t policy);

/* ---- the guest program ---- */

/**
 * gmem_guest_setup() - load the guest program into a VM
 * @vm: a VM without vCPUs
 *
 * Takes guest physical addresses 1 MiB to 2 MiB + 4 KiB for itself.  Guest
 * virtual addresses are guest physical ones, up to 512 GiB.
 *
 * Context: before other threads use the VM.
 * Return: 0; -EBUSY if the VM has vCPUs; -EEXIST if it was loaded or the
 *	   addresses are taken; -EOPNOTSUPP if the processor cannot; -ENOMEM.
 */
int gmem_guest_setup(struct gmem_vm *vm);

/**
 * gmem_guest_start() - give a vCPU's guest program a list of commands
 * @vcpu: a vCPU that runs the guest program
 * @cmds: the commands; copied
 * @nr_cmds: 1 to GMEM_GUEST_MAX_CMDS
 * @repeat: rounds; 0: until gmem_guest_stop() or a command fails
 *
 * Nothing runs until gmem_vcpu_run(); the list is done when that exits with
 * GMEM_EXIT_GUEST_DONE.
 *
 * Context: the thread that runs the vCPU.
 * Return: 0; -EINVAL; -EBUSY if a list is under way; -ENXIO without a guest
 *	   program; -EIO in another process than the VM's.
 */
int gmem_guest_start(struct gmem_vcpu *vcpu, const struct gmem_guest_cmd *cmds,
		     size_t nr_cmds, uint64_t repeat);

/**
 * gmem_guest_stop() - let a list end after the command that runs now
 * @vcpu: the vCPU
 *
 * Context: any thread.
 */
void gmem_guest_stop(struct gmem_vcpu *vcpu);

/**
 * gmem_guest_finish() - fetch the outcome of a list that is done
 * @vcpu: the vCPU
 * @cmds: out: the commands with their outcome; may be NULL
 * @nr_cmds: as for gmem_guest_start()
 * @rounds: out: complete rounds; may be NULL
 *
 * Context: the thread that runs the vCPU.
 * Return: 0; the status of the first command that failed; -EBUSY if the list is
 *	   under way; -ENXIO without a guest program; -EIO in another process.
 */
int gmem_guest_finish(struct gmem_vcpu *vcpu, struct gmem_guest_cmd *cmds,
		      size_t nr_cmds, uint64_t *rounds);

/**
 * gmem_guest_abort() - give up a list that cannot end
 * @vcpu: the vCPU
 *
 * Restarts the guest program; for a guest that stands at a memory fault.
 *
 * Context: the thread that runs the vCPU.
 * Return: 0; -ENXIO without a guest program; -EPERM where the platform does not
 *	   let the host do that; -EIO in another process.
 */
int gmem_guest_abort(struct gmem_vcpu *vcpu);

/**
 * gmem_guest_exec() - start, run and finish a list of commands
 * @vcpu: the vCPU
 * @cmds: the commands; their outcome is stored in them
 * @nr_cmds: 1 to GMEM_GUEST_MAX_CMDS
 * @policy: policy under which the guest's share and unshare are served
 * @exit: out: the last exit; may be NULL
 *
 * Signals do not end it.  Every exit but a served hypercall does: the list is
 * then under way still, and gmem_vcpu_run() or gmem_guest_abort() comes next.
 *
 * Context: the thread that runs the vCPU.
 * Return: 0; the status of the first command that failed; -EFAULT or
 *	   -EHWPOISON for a memory fault exit; -EIO for another exit; else as
 *	   gmem_guest_start() and gmem_vcpu_run().
 */
int gmem_guest_exec(struct gmem_vcpu *vcpu, struct gmem_guest_cmd *cmds,
		    size_t nr_cmds, uint32_t policy, struct gmem_exit *exit);

/**
 * gmem_guest_load() - let the guest load a 64-bit word
 * @vcpu: the vCPU
 * @gpa: its address
 * @value: out
 *
 * This and the following functions are gmem_guest_exec() of one command.  After
 * a memory fault they abort the command, so that the vCPU can be used again.
 */
int gmem_guest_load(struct gmem_vcpu *vcpu, uint64_t gpa, uint64_t *value);

/**
 * gmem_guest_store() - let the guest store a 64-bit word
 * @vcpu: the vCPU
 * @gpa: its address
 * @value: the word
 */
int gmem_guest_store(struct gmem_vcpu *vcpu, uint64_t gpa, uint64_t value);

/**
 * gmem_guest_fill() - let the guest fill a range
 * @vcpu: the vCPU
 * @gpa: first byte
 * @bytes: length
 * @value: first word
 * @step: difference between a word and the next
 */
int gmem_guest_fill(struct gmem_vcpu *vcpu, uint64_t gpa, uint64_t bytes,
		    uint64_t value, uint64_t step);

/**
 * gmem_guest_check() - let the guest compare a range with gmem_guest_fill()'s
 * @vcpu: the vCPU
 * @gpa: first byte
 * @bytes: length
 * @value: first word
 * @step: difference between a word and the next
 *
 * Return: also -EILSEQ if a word differs.
 */
int gmem_guest_check(struct gmem_vcpu *vcpu, uint64_t gpa, uint64_t bytes,
		     uint64_t value, uint64_t step);

/**
 * gmem_guest_share() - let the guest ask for shared, and serve it
 * @vcpu: the vCPU
 * @gpa: first byte
 * @bytes: length
 * @policy: content policy of the conversion
 */
int gmem_guest_share(struct gmem_vcpu *vcpu, uint64_t gpa, uint64_t bytes,
		     uint32_t policy);

/**
 * gmem_guest_unshare() - let the guest ask for private, and serve it
 * @vcpu: the vCPU
 * @gpa: first byte
 * @bytes: length
 * @policy: content policy of the conversion
 */
int gmem_guest_unshare(struct gmem_vcpu *vcpu, uint64_t gpa, uint64_t bytes,
		       uint32_t policy);

#ifdef __cplusplus
}
#endif

#endif /* GMEM_GMEM_H */
