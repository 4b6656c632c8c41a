/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * What a modelled platform is to the engine: one table of hooks in one file,
 * emu/platform_<name>.c, called emu_platform_<name>, and one row in emu/platforms.c.
 *
 * The engine owns guest_memfd: the file, its attribute map, who has it mapped,
 * the transaction, vCPU threads.  A platform owns what hardware and firmware do
 * behind its back: who may reach a page whatever guest_memfd thinks, what bytes
 * at rest are, what the guest must do besides its hypercall, what a conversion
 * takes.  A hook that is NULL does what SW_PROTECTED_VM does: nothing more.
 *
 * Pages are counted in the file.  A page of a file is this model's page frame.
 *
 * Locks.  "Locked" below: the file's lock is held, no other conversion of the file
 * runs and no guest access to the range in question is under way; with these
 * exceptions, whose hooks see guests at work: policy_supported and authorise come
 * before the range is invalidated; check, where nothing but private pages convert,
 * and unmap_private come before vCPUs have left accesses that began earlier, so
 * that an access may find what unmap_private did, and answers EMU_ACCESS_BUSY then.
 * Hooks on vCPU threads hold nothing, and guest_access runs inside an access (see
 * emu/access.c): it must neither take the file's lock nor wait for anybody who does.
 */
#ifndef EMU_PLATFORM_OPS_H
#define EMU_PLATFORM_OPS_H

#include "gmem_platform.h"
#include "policy.h"

struct emu_vm;
struct emu_file;
struct emu_vcpu;
struct emu_slot;
struct emu_conversion;

/**
 * enum emu_access_result - how a guest access went
 * @EMU_ACCESS_DONE: it took place
 * @EMU_ACCESS_FAULT: nobody can access this, or not as this kind: the vCPU exits
 *	with KVM_EXIT_MEMORY_FAULT and flags from @fault_private
 * @EMU_ACCESS_EXIT: the vCPU exits with the vCPU's @exit, which the hook filled in
 * @EMU_ACCESS_BUSY: a conversion is in the way: wait for its end and try again
 */
enum emu_access_result {
	EMU_ACCESS_DONE,
	EMU_ACCESS_FAULT,
	EMU_ACCESS_EXIT,
	EMU_ACCESS_BUSY,
};

/**
 * struct emu_access - one access by the guest that lies within one page
 * @gpa: guest physical address
 * @size: bytes, 1 to 8
 * @write: store @value, else load it
 * @value: little endian in the low @size bytes; out for loads
 * @file: the file behind it
 * @index: the page
 * @attrs: GMEM_ATTR_* as guest_memfd has it; not destroyed
 * @host: where the engine has the bytes mapped
 * @fault_private: out, with EMU_ACCESS_FAULT: the guest meant it as private;
 *	preset to what @attrs say
 * @instruction: the guest executes this on the page in place of a load or a store;
 *	see emu_vcpu_instruction().  @attrs may be destroyed
 */
struct emu_access {
	u64 gpa;
	unsigned int size;
	bool write;
	u64 value;
	struct emu_file *file;
	u64 index;
	unsigned int attrs;
	void *host;
	bool fault_private;
	enum emu_access_result (*instruction)(struct emu_vcpu *vcpu,
					      struct emu_access *access);
};

/**
 * struct emu_platform_ops - a platform
 * @name: for messages
 * @platform: enum gmem_vm_platform
 * @policies: row of core's support table; what @policy_supported and
 *	@policy_caps do by default, and not used if there are both
 * @private_memory: VMs of this platform have any: files can convert in place
 * @page_bytes: size of the platform's state for each page; 0: it has none.  The
 *	engine keeps it for every file: see emu_page_state().  All zeros is the
 *	state of a page that was never touched, whatever the file's attributes.
 *
 * @vm_create: optional.  Give @vm->platform_data.  Returns 0 or -errno.
 * @vm_destroy: optional.  The VM's files and vCPUs are gone already.
 * @vm_set_property: optional.  gmem_emu_set_property(): opt-in behaviour of one
 *	VM.  Returns 0; -EOPNOTSUPP for a property that the platform lacks; -EBUSY
 *	if it is too late.
 * @file_create: optional.  A file of the VM, with its map and memory, before
 *	anybody can reach it.  Returns 0 or -errno.
 * @file_destroy: optional.  @free was called for all of it; nobody has it.
 * @slot_set: optional, locked if the slot has a file.  A slot is about to appear:
 *	may refuse.  Returns 0 or -errno.
 * @slot_may_go: optional.  The VMM wants to delete a slot: may refuse.  Not asked
 *	when the slot's file is closed.  Returns 0 or -errno.
 * @slot_delete: optional, locked likewise.  No vCPU sees the slot any more.
 *
 * @vcpu_create: optional.  Returns 0 or -errno.
 * @vcpu_destroy: optional.  Called with the VM's end: a vCPU that the VMM released
 *	stays, and what its guest asked for too.
 * @vcpu_enter: optional.  gmem_vcpu_run(), on the caller's thread, before the
 *	guest goes on: the first one creates the VM at the hypervisor, seals the
 *	launch.  Returns 0 or -errno, which gmem_vcpu_run() then returns.
 * @vcpu_may_reset: optional.  The host wants the vCPU to start at the guest program's
 *	entry: always for a new one, else for gmem_guest_abort(); or only to write its
 *	registers, for gmem_emu_plan_share().  Under vcpus_lock.  Returns 0; -EPERM
 *	where the host has no say any more.
 * @vcpu_reset: optional, on the caller's thread, while the vCPU stands still.  It is
 *	about to start anew, or was powered off: nobody waits for the answer to what
 *	the guest asked for.
 * @guest_boot: optional, on the vCPU's thread.  What the guest does before its
 *	program on a vCPU that it did not power on itself.
 * @guest_powers_vcpus: PSCI: vCPUs are powered off and on.
 *
 * @host_run: optional.  May the host reach pages that guest_memfd calls shared:
 *	answers for @start in @allowed and returns the first page of [@start, @end)
 *	with another answer.  Asked before a page of a host's mapping becomes
 *	reachable and never afterwards: who changes the answer outside a conversion,
 *	under the file's lock, calls emu_views_show(), or hides first what the host
 *	loses as gmem_emu_poison() does.  Runs in signal handlers, so no locks, no
 *	allocation.
 * @guest_access: optional.  Do the access, or say why not: translate, decrypt,
 *	check acceptance and the kind that the guest means.  Without it the bytes
 *	at @host are accessed: see emu_access_plain().
 * @guest_convert: optional.  The guest's own sequence to share or unshare a
 *	range, on the vCPU's thread, instead of the bare hypercall: instructions
 *	such as PVALIDATE, TDG.MEM.PAGE.ACCEPT or pKVM's hvc before and after
 *	emu_vcpu_exit_hypercall(), which comes back at re-entry with the VMM's
 *	answer.  This is the place to post the vCPU's request (gmem_request_post())
 *	and to end it (gmem_request_end(), compare map and hypervisor, take back
 *	what is unfinished).  Must call emu_vcpu_exit_hypercall() at most once at a
 *	time and may be left by it for good, if the vCPU is reset or released while
 *	it waits: keep nothing on the stack that needs releasing.  Returns what the
 *	guest gets: 0 or a negative errno value.  May set @vcpu->pages_done: how many
 *	pages from the front on are as asked, where the guest is told.  If there are
 *	fewer than @nr_pages the guest calls again.  @vcpu->single_page: the call was
 *	the one for a single page, where there are two.
 *
 * @policy_caps: optional.  What KVM_CAP_GUEST_MEMFD_CONTENT_POLICIES answers.
 * @policy_supported: optional.  kvm_gmem_arch_content_policy_supported(), locked,
 *	for each bound piece.  Returns 0, -EOPNOTSUPP or -EPERM.
 * @authorise: optional, locked.  Did the guest ask for this: see struct
 *	gmem_convert_ops; emu_next_binding() gives the gfns, vm->vcpus the requests.
 *	Returns 0 or -EPERM.
 * @check: optional, locked.  Can the range, of one state, be converted: the last
 *	place to refuse or to allocate.  Changes nothing.  Returns 0, or -errno with
 *	@error_index.
 * @unmap_private: optional, locked, past the point of no return.  The guest loses
 *	pages that are private now.
 * @content: optional, locked, past the point of no return.  Make the pages hold
 *	what @content promises; no host reaches them.  Returns false to let the
 *	engine do it: it frees the memory for ZERO and DESTROY, after @free.
 * @convert: optional, locked, past the point of no return.  The platform's own
 *	step, after @content.  Returns 0, or -EIO if the VM is dead now.
 * @load: optional, locked.  gmem_vm_load(): a page of the initial payload, private
 *	before and afterwards, and bound at @gfn.  Returns 0 or -errno; -EBUSY once
 *	the guest runs.  Without it the library converts the page and back.
 * @free: optional, locked.  The memory of the range is about to be freed (hole,
 *	ZERO, DESTROY, end of the file): take it from the guest, scrub it.  Not for
 *	conversions: a page that only changes its kind does not come here.  The
 *	attributes may be anything.  Cannot fail.
 */
struct emu_platform_ops {
	const char *name;
	u32 platform;
	enum gmem_platform policies;
	bool private_memory;
	size_t page_bytes;

	int (*vm_create)(struct emu_vm *vm);
	void (*vm_destroy)(struct emu_vm *vm);
	int (*vm_set_property)(struct emu_vm *vm, u32 property, u64 value);
	int (*file_create)(struct emu_file *file);
	void (*file_destroy)(struct emu_file *file);
	int (*slot_set)(struct emu_vm *vm, const struct emu_slot *slot);
	int (*slot_may_go)(struct emu_vm *vm, const struct emu_slot *slot);
	void (*slot_delete)(struct emu_vm *vm, const struct emu_slot *slot);

	int (*vcpu_create)(struct emu_vcpu *vcpu);
	void (*vcpu_destroy)(struct emu_vcpu *vcpu);
	int (*vcpu_enter)(struct emu_vcpu *vcpu);
	int (*vcpu_may_reset)(struct emu_vcpu *vcpu, bool registers_only);
	void (*vcpu_reset)(struct emu_vcpu *vcpu);
	void (*guest_boot)(struct emu_vcpu *vcpu);
	bool guest_powers_vcpus;

	u64 (*host_run)(struct emu_file *file, u64 start, u64 end, bool *allowed);
	enum emu_access_result (*guest_access)(struct emu_vcpu *vcpu,
					       struct emu_access *access);
	s64 (*guest_convert)(struct emu_vcpu *vcpu, u64 gfn, u64 nr_pages,
			     bool to_private);

	u32 (*policy_caps)(struct emu_vm *vm);
	int (*policy_supported)(struct emu_vm *vm, u32 policy, u64 gfn,
				u64 nr_pages, bool to_private);
	int (*authorise)(struct emu_conversion *ec);
	int (*check)(struct emu_conversion *ec, u64 start, u64 end,
		     unsigned int attrs, u64 *error_index);
	void (*unmap_private)(struct emu_conversion *ec, u64 start, u64 end);
	bool (*content)(struct emu_conversion *ec, u64 start, u64 end,
			unsigned int attrs, u32 content);
	int (*convert)(struct emu_conversion *ec, u64 start, u64 end,
		       unsigned int attrs);
	int (*load)(struct emu_file *file, u64 index, u64 gfn, const void *data);
	void (*free)(struct emu_file *file, u64 start, u64 end);
};

/* emu/platforms.c: NULL for a platform that is not modelled. */
const struct emu_platform_ops *emu_platform(u32 platform);

#endif /* EMU_PLATFORM_OPS_H */
