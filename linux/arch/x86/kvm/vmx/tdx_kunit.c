// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of conversions on TDX; part of tdx.c.  The VM is a software-protected
 * one with room for what is TDX's behind it, and is told it is a TD.  What is faked
 * is the TDX module, and the MMU that keeps a mirror of the S-EPT: from there
 * tdx_sept_set_private_spte() is called as the MMU does.
 */
#include <kunit/static_stub.h>
#include <kunit/test.h>

#include "../../../../virt/kvm/guest_memfd_convert.h"
#include "../../../../virt/kvm/guest_memfd_kunit.h"

#define TDX_PATTERN	0x5a

#define ZERO		SET_MEMORY_ATTRIBUTES_CONTENT_ZERO
#define READABLE	SET_MEMORY_ATTRIBUTES_CONTENT_READABLE
#define ENCRYPTED	SET_MEMORY_ATTRIBUTES_CONTENT_ENCRYPTED
#define DESTROY		SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY

#define TDX_FAILURE	0x8000000000000000ull

struct tdx_kunit {
	struct gmem_kunit_vm vm;
	struct vcpu_tdx *vcpu;

	/* The size of VMs for others. */
	unsigned int vm_size;

	/* What lies behind struct kvm, as the VM's creator left it. */
	void *saved;
	size_t saved_size;

	/* The mirror: SPTEs by gfn. */
	struct xarray sept;

	/* Calls of the module, and which of them fails. */
	unsigned int nr_added;
	unsigned int nr_extended;
	unsigned int nr_blocked;
	unsigned int nr_tracked;
	unsigned int nr_removed;
	unsigned int nr_flushed;
	bool bad_block;
	bool bad_track;
	bool bad_remove;
	bool bad_flush;
	bool bad_add;

	bool added_in_place;
	u8 added_byte;
};

static struct tdx_kunit *tdx_kunit(void)
{
	return kunit_get_current_test()->priv;
}

static u64 fake_page_add(struct tdx_td *td, u64 gpa, kvm_pfn_t pfn, struct page *source,
			 u64 *ext_err1, u64 *ext_err2)
{
	struct tdx_kunit *ctx = tdx_kunit();

	*ext_err1 = *ext_err2 = 0;
	if (ctx->bad_add)
		return TDX_FAILURE;

	ctx->nr_added++;
	ctx->added_in_place = page_to_pfn(source) == pfn;
	ctx->added_byte = ((u8 *)page_address(source))[8];
	return 0;
}

static u64 fake_extend(struct tdx_td *td, u64 gpa, u64 *ext_err1, u64 *ext_err2)
{
	tdx_kunit()->nr_extended++;
	return 0;
}

static u64 fake_block(struct tdx_td *td, u64 gpa, enum pg_level level, u64 *ext_err1,
		      u64 *ext_err2)
{
	*ext_err1 = *ext_err2 = 0;
	tdx_kunit()->nr_blocked++;
	return tdx_kunit()->bad_block ? TDX_FAILURE : 0;
}

static u64 fake_track(struct tdx_td *td)
{
	tdx_kunit()->nr_tracked++;
	return tdx_kunit()->bad_track ? TDX_FAILURE : 0;
}

static u64 fake_remove(struct tdx_td *td, u64 gpa, enum pg_level level, u64 *ext_err1,
		       u64 *ext_err2)
{
	*ext_err1 = *ext_err2 = 0;
	tdx_kunit()->nr_removed++;
	return tdx_kunit()->bad_remove ? TDX_FAILURE : 0;
}

static u64 fake_flush(u64 hkid, kvm_pfn_t pfn)
{
	/* What the TD wrote. */
	memset(pfn_to_kaddr(pfn), 0xcc, PAGE_SIZE);
	tdx_kunit()->nr_flushed++;
	return tdx_kunit()->bad_flush ? TDX_FAILURE : 0;
}

/* As kvm_tdp_mmu_map() does with a mirror page table. */
static int fake_map_private_pfn(struct kvm_vcpu *vcpu, gfn_t gfn, kvm_pfn_t pfn)
{
	u64 spte = PFN_PHYS(pfn) | VMX_EPT_RWX_MASK | SPTE_MMU_PRESENT_MASK;
	struct tdx_kunit *ctx = tdx_kunit();
	int r;

	if (xa_load(&ctx->sept, gfn))
		return -EIO;

	read_lock(&vcpu->kvm->mmu_lock);
	r = tdx_sept_set_private_spte(vcpu->kvm, gfn, 0, spte, PG_LEVEL_4K);
	read_unlock(&vcpu->kvm->mmu_lock);
	if (r)
		return -EIO;

	return xa_err(xa_store(&ctx->sept, gfn, xa_mk_value(pfn), GFP_KERNEL));
}

/* As the zapping of a mirror page table does; mmu_lock is held for writing. */
static bool fake_unmap_gfn_range(struct kvm *kvm, struct kvm_gfn_range *range)
{
	struct tdx_kunit *ctx = tdx_kunit();
	unsigned long gfn;
	void *entry;
	u64 spte;

	if (!(range->attr_filter & KVM_FILTER_PRIVATE))
		return false;

	xa_for_each_range(&ctx->sept, gfn, entry, range->start, range->end - 1) {
		spte = PFN_PHYS(xa_to_value(entry)) | VMX_EPT_RWX_MASK |
		       SPTE_MMU_PRESENT_MASK;
		KVM_BUG_ON(tdx_sept_set_private_spte(kvm, gfn, spte, 0, PG_LEVEL_4K), kvm);
		xa_erase(&ctx->sept, gfn);
	}
	return true;
}

static void tdx_kunit_restore_size(void *arg)
{
	struct tdx_kunit *ctx = arg;

	kvm_x86_ops.vm_size = ctx->vm_size;
}

/* The VM ends as what it began. */
static void tdx_kunit_restore(void *arg)
{
	struct tdx_kunit *ctx = arg;
	struct kvm *kvm = ctx->vm.kvm;

	memcpy(kvm + 1, ctx->saved, ctx->saved_size);
	kvm->arch.vm_type = KVM_X86_SW_PROTECTED_VM;
	kvm->arch.gfn_direct_bits = 0;
	kvm->arch.pre_fault_allowed = true;
	xa_destroy(&ctx->sept);
}

static int tdx_kunit_init(struct kunit *test)
{
	struct kvm_tdx *kvm_tdx;
	struct tdx_kunit *ctx;
	struct kvm *kvm;

	ctx = kunit_kzalloc(test, sizeof(*ctx), GFP_KERNEL);
	if (!ctx)
		return -ENOMEM;
	test->priv = ctx;
	xa_init(&ctx->sept);

	/* Its end is the action's, also if no VM comes of it. */
	ctx->vm_size = kvm_x86_ops.vm_size;
	KUNIT_ASSERT_EQ(test, kunit_add_action(test, tdx_kunit_restore_size, ctx), 0);
	kvm_x86_ops.vm_size = max_t(unsigned int, ctx->vm_size, sizeof(struct kvm_tdx));
	gmem_kunit_create_vm(test, &ctx->vm, KVM_X86_SW_PROTECTED_VM);
	ctx->saved_size = kvm_x86_ops.vm_size - sizeof(struct kvm);
	kunit_release_action(test, tdx_kunit_restore_size, ctx);

	kvm = ctx->vm.kvm;
	ctx->saved = kunit_kzalloc(test, ctx->saved_size, GFP_KERNEL);
	ctx->vcpu = kunit_kzalloc(test, sizeof(*ctx->vcpu), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ctx->saved);
	KUNIT_ASSERT_NOT_NULL(test, ctx->vcpu);
	memcpy(ctx->saved, kvm + 1, ctx->saved_size);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, tdx_kunit_restore, ctx), 0);

	memset(kvm + 1, 0, ctx->saved_size);
	kvm->arch.vm_type = KVM_X86_TDX_VM;
	kvm->arch.gfn_direct_bits = TDX_SHARED_BIT_PWL_4;
	kvm->arch.pre_fault_allowed = false;
	kvm_tdx = to_kvm_tdx(kvm);
	kvm_tdx->hkid = 1;
	kvm_tdx->state = TD_STATE_INITIALIZED;

	ctx->vcpu->vcpu.kvm = kvm;
	ctx->vcpu->state = VCPU_TD_STATE_INITIALIZED;

	kunit_activate_static_stub(test, tdh_mem_page_add, fake_page_add);
	kunit_activate_static_stub(test, tdh_mr_extend, fake_extend);
	kunit_activate_static_stub(test, tdh_mem_range_block, fake_block);
	kunit_activate_static_stub(test, tdh_mem_track, fake_track);
	kunit_activate_static_stub(test, tdh_mem_page_remove, fake_remove);
	kunit_activate_static_stub(test, tdh_phymem_page_wbinvd_hkid, fake_flush);
	kunit_activate_static_stub(test, kvm_tdp_mmu_map_private_pfn, fake_map_private_pfn);
	kunit_activate_static_stub(test, kvm_gmem_unmap_gfn_range, fake_unmap_gfn_range);

	gmem_kunit_create_file(&ctx->vm);
	return 0;
}

/* As tdx_td_finalize() does. */
static void tdx_finish_launch(struct tdx_kunit *ctx)
{
	to_kvm_tdx(ctx->vm.kvm)->state = TD_STATE_RUNNABLE;
	ctx->vm.kvm->arch.pre_fault_allowed = true;
}

static int tdx_launch(struct tdx_kunit *ctx, unsigned int page, unsigned int nr_pages,
		      u64 source, u32 flags, struct kvm_tdx_init_mem_region *after)
{
	struct kvm_tdx_init_mem_region region = {
		.source_addr = source,
		.gpa = gfn_to_gpa(GMEM_KUNIT_GFN + page),
		.nr_pages = nr_pages,
	};
	struct kvm_tdx_cmd cmd = { .flags = flags, .data = ctx->vm.args };
	int r;

	if (copy_to_user((void __user *)ctx->vm.args, &region, sizeof(region)))
		return -EFAULT;

	mutex_lock(&ctx->vm.kvm->slots_lock);
	r = tdx_vcpu_init_mem_region(&ctx->vcpu->vcpu, &cmd);
	mutex_unlock(&ctx->vm.kvm->slots_lock);

	if (copy_from_user(after, (void __user *)ctx->vm.args, sizeof(*after)))
		return -EFAULT;
	return r;
}

static int tdx_to_shared(struct tdx_kunit *ctx, unsigned int page, u32 policy)
{
	return gmem_kunit_convert(&ctx->vm, page, 1, false, policy);
}

/* Pages in the TD's hands, from @page on. */
static void tdx_give_pages(struct kunit *test, unsigned int page, unsigned int nr_pages)
{
	struct tdx_kunit *ctx = test->priv;
	struct kvm_tdx_init_mem_region after;
	unsigned int i;

	for (i = page; i < page + nr_pages; i++)
		KUNIT_EXPECT_EQ(test, gmem_kunit_write(&ctx->vm, i, TDX_PATTERN), 0);
	KUNIT_EXPECT_EQ(test, gmem_kunit_convert(&ctx->vm, page, nr_pages, true, READABLE), 0);
	KUNIT_ASSERT_EQ(test, tdx_launch(ctx, page, nr_pages, 0, 0, &after), 0);
	KUNIT_EXPECT_TRUE(test, ctx->added_in_place);
}

static void tdx_offers_policies(struct kunit *test)
{
	u32 both = GMEM_KUNIT_POLICY(ZERO) | GMEM_KUNIT_POLICY(DESTROY);
	struct tdx_kunit *ctx = test->priv;

	gmem_kunit_expect_policies(&ctx->vm, both, both | GMEM_KUNIT_POLICY(READABLE));
	tdx_finish_launch(ctx);
	gmem_kunit_expect_policies(&ctx->vm, both, both);
}

static void tdx_converts_as_offered(struct kunit *test)
{
	struct tdx_kunit *ctx = test->priv;

	gmem_kunit_expect_conversions(&ctx->vm);
	tdx_finish_launch(ctx);
	gmem_kunit_expect_conversions(&ctx->vm);
}

static void tdx_refuses_and_changes_nothing(struct kunit *test)
{
	struct tdx_kunit *ctx = test->priv;
	struct kvm_tdx_init_mem_region after;

	gmem_kunit_expect_refusals(&ctx->vm);

	KUNIT_ASSERT_EQ(test, tdx_launch(ctx, 2, 2, 0, 0, &after), 0);
	tdx_finish_launch(ctx);
	gmem_kunit_expect_refused_to_shared(&ctx->vm, 2);
	KUNIT_EXPECT_EQ(test, ctx->nr_blocked, 0);
	KUNIT_EXPECT_EQ(test, ctx->nr_removed, 0);
	KUNIT_EXPECT_NOT_NULL(test, xa_load(&ctx->sept, GMEM_KUNIT_GFN + 2));
	KUNIT_EXPECT_NOT_NULL(test, xa_load(&ctx->sept, GMEM_KUNIT_GFN + 3));

	/* With all of that out of the way they are removed. */
	KUNIT_EXPECT_EQ(test, gmem_kunit_convert(&ctx->vm, 2, 2, false, ZERO), 0);
	KUNIT_EXPECT_EQ(test, ctx->nr_removed, 2);
	KUNIT_EXPECT_TRUE(test, xa_empty(&ctx->sept));
}

/* What the host wrote while the page was shared is what is added, and nothing else. */
static void tdx_launches_in_place(struct kunit *test)
{
	struct tdx_kunit *ctx = test->priv;
	struct kvm_tdx_init_mem_region after;
	struct page *page;

	KUNIT_EXPECT_EQ(test, gmem_kunit_write(&ctx->vm, 2, TDX_PATTERN), 0);
	page = gmem_kunit_page(&ctx->vm, 2);

	/* Not while the host can write it. */
	KUNIT_EXPECT_EQ(test, tdx_launch(ctx, 2, 1, 0, 0, &after), -EINVAL);
	KUNIT_EXPECT_EQ(test, ctx->nr_added, 0);

	KUNIT_EXPECT_EQ(test, gmem_kunit_convert(&ctx->vm, 2, 2, true, READABLE), 0);
	KUNIT_EXPECT_EQ(test, tdx_launch(ctx, 2, 1, 0, KVM_TDX_MEASURE_MEMORY_REGION, &after), 0);
	KUNIT_EXPECT_EQ(test, ctx->nr_added, 1);
	KUNIT_EXPECT_TRUE(test, ctx->added_in_place);
	KUNIT_EXPECT_EQ(test, ctx->added_byte, TDX_PATTERN);
	KUNIT_EXPECT_EQ(test, ctx->nr_extended, PAGE_SIZE / TDX_EXTENDMR_CHUNKSIZE);
	KUNIT_EXPECT_EQ(test, after.source_addr, 0);
	KUNIT_EXPECT_EQ(test, after.nr_pages, 0);
	KUNIT_EXPECT_EQ(test, after.gpa, gfn_to_gpa(GMEM_KUNIT_GFN + 3));
	KUNIT_EXPECT_PTR_EQ(test, gmem_kunit_page(&ctx->vm, 2), page);

	/* What nobody wrote is zeros. */
	KUNIT_EXPECT_EQ(test, tdx_launch(ctx, 3, 1, 0, 0, &after), 0);
	KUNIT_EXPECT_EQ(test, ctx->added_byte, 0);

	/* The initial memory is fixed afterwards. */
	tdx_finish_launch(ctx);
	KUNIT_EXPECT_EQ(test, tdx_launch(ctx, 3, 1, 0, 0, &after), -EINVAL);
}

/* With a source nothing has changed. */
static void tdx_launches_from_a_source(struct kunit *test)
{
	struct tdx_kunit *ctx = test->priv;
	struct kvm_tdx_init_mem_region after;

	KUNIT_EXPECT_EQ(test, gmem_kunit_write(&ctx->vm, 0, TDX_PATTERN), 0);
	KUNIT_EXPECT_EQ(test, gmem_kunit_write(&ctx->vm, 2, 1), 0);
	KUNIT_EXPECT_EQ(test, gmem_kunit_convert(&ctx->vm, 2, 1, true, ZERO), 0);
	KUNIT_EXPECT_EQ(test, tdx_launch(ctx, 2, 1, ctx->vm.view, 0, &after), 0);
	KUNIT_EXPECT_FALSE(test, ctx->added_in_place);
	KUNIT_EXPECT_EQ(test, ctx->added_byte, TDX_PATTERN);
	KUNIT_EXPECT_EQ(test, after.source_addr, ctx->vm.view + PAGE_SIZE);

	KUNIT_EXPECT_EQ(test, tdx_launch(ctx, 3, 1, ctx->vm.view + 8, 0, &after), -EINVAL);
}

/* The module does not take the page: the VM is lost, the payload is not shown. */
static void tdx_failed_launch_kills(struct kunit *test)
{
	struct tdx_kunit *ctx = test->priv;
	struct kvm_tdx_init_mem_region after;

	KUNIT_EXPECT_EQ(test, gmem_kunit_write(&ctx->vm, 2, TDX_PATTERN), 0);
	KUNIT_EXPECT_EQ(test, gmem_kunit_convert(&ctx->vm, 2, 1, true, READABLE), 0);
	ctx->bad_add = true;
	kunit_warning_suppress(test)
		KUNIT_EXPECT_EQ(test, tdx_launch(ctx, 2, 1, 0, 0, &after), -EIO);
	KUNIT_EXPECT_TRUE(test, ctx->vm.kvm->vm_dead);
	KUNIT_EXPECT_EQ(test, gmem_kunit_read(&ctx->vm, 2), -EFAULT);
	KUNIT_EXPECT_EQ(test, tdx_to_shared(ctx, 2, ZERO), -EIO);
}

/* Unmapping is removing: blocked, tracked, removed, flushed; the host reads zeros. */
static void tdx_unmap_removes(struct kunit *test)
{
	struct tdx_kunit *ctx = test->priv;
	struct page *page;

	tdx_give_pages(test, 2, 2);
	tdx_finish_launch(ctx);
	page = gmem_kunit_page(&ctx->vm, 2);

	/* Refused before the point of no return: nothing is removed. */
	KUNIT_EXPECT_EQ(test, tdx_to_shared(ctx, 2, READABLE), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, tdx_to_shared(ctx, 2, ENCRYPTED), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, ctx->nr_blocked, 0);

	/* Nor by a request for what is there. */
	KUNIT_EXPECT_EQ(test, gmem_kunit_convert(&ctx->vm, 2, 2, true, ZERO), 0);
	KUNIT_EXPECT_EQ(test, ctx->vm.converted, 0);
	KUNIT_EXPECT_EQ(test, ctx->nr_blocked, 0);

	KUNIT_EXPECT_EQ(test, tdx_to_shared(ctx, 2, ZERO), 0);
	KUNIT_EXPECT_EQ(test, ctx->nr_blocked, 1);
	KUNIT_EXPECT_EQ(test, ctx->nr_tracked, 1);
	KUNIT_EXPECT_EQ(test, ctx->nr_removed, 1);
	KUNIT_EXPECT_EQ(test, ctx->nr_flushed, 1);
	KUNIT_EXPECT_PTR_EQ(test, gmem_kunit_page(&ctx->vm, 2), page);
	KUNIT_EXPECT_EQ(test, gmem_kunit_read(&ctx->vm, 2), 0);
	KUNIT_EXPECT_EQ(test, gmem_kunit_state(&ctx->vm, 3), KVM_MEMORY_ATTRIBUTE_PRIVATE);
	KUNIT_EXPECT_NOT_NULL(test, xa_load(&ctx->sept, GMEM_KUNIT_GFN + 3));

	KUNIT_EXPECT_EQ(test, tdx_to_shared(ctx, 3, DESTROY), 0);
	KUNIT_EXPECT_EQ(test, ctx->nr_removed, 2);
	KUNIT_EXPECT_TRUE(test, xa_empty(&ctx->sept));
	KUNIT_EXPECT_FALSE(test, ctx->vm.kvm->vm_dead);
}

static const struct tdx_failure {
	const char *name;
	size_t flag;
	u32 policy;
} tdx_failures[] = {
	{ "block", offsetof(struct tdx_kunit, bad_block), ZERO },
	{ "track", offsetof(struct tdx_kunit, bad_track), ZERO },
	{ "remove", offsetof(struct tdx_kunit, bad_remove), ZERO },
	{ "flush", offsetof(struct tdx_kunit, bad_flush), ZERO },
	{ "remove, destroying", offsetof(struct tdx_kunit, bad_remove), DESTROY },
};

static void describe_tdx_failure(const struct tdx_failure *failure, char *description)
{
	strscpy(description, failure->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(tdx_failure, tdx_failures, describe_tdx_failure);

/* Pages 2 and 3 were; what the host reads there instead is @read. */
static void tdx_expect_lost(struct kunit *test, struct page *first, struct page *second,
			    int read)
{
	struct tdx_kunit *ctx = test->priv;

	KUNIT_EXPECT_NULL(test, gmem_kunit_page(&ctx->vm, 2));
	KUNIT_EXPECT_NULL(test, gmem_kunit_page(&ctx->vm, 3));
	KUNIT_EXPECT_EQ(test, gmem_kunit_read(&ctx->vm, 2), read);
	KUNIT_EXPECT_EQ(test, gmem_kunit_read(&ctx->vm, 3), read);
	gmem_kunit_expect_lost(test, first);
	gmem_kunit_expect_lost(test, second);
}

/* Pages 2 and 3 are the guest's, and it runs. */
static void tdx_launch_two_pages(struct kunit *test, struct page **first,
				 struct page **second)
{
	struct tdx_kunit *ctx = test->priv;

	tdx_give_pages(test, 2, 2);
	tdx_finish_launch(ctx);
	*first = gmem_kunit_page(&ctx->vm, 2);
	*second = gmem_kunit_page(&ctx->vm, 3);
}

/* The module keeps a page: -EIO, the VM is dead, and the host never gets the page. */
static void tdx_failed_removal_kills(struct kunit *test)
{
	const struct tdx_failure *failure = test->param_value;
	struct tdx_kunit *ctx = test->priv;
	struct page *first, *second;

	tdx_launch_two_pages(test, &first, &second);

	*(bool *)((void *)ctx + failure->flag) = true;
	kunit_warning_suppress(test)
		KUNIT_EXPECT_EQ(test, gmem_kunit_convert(&ctx->vm, 2, 2, false,
							 failure->policy), -EIO);
	KUNIT_EXPECT_TRUE(test, ctx->vm.kvm->vm_dead);
	KUNIT_EXPECT_EQ(test, ctx->vm.converted, 0);

	tdx_expect_lost(test, first, second, failure->policy == DESTROY ? -EFAULT : 0);

	/* And that was the last conversion. */
	KUNIT_EXPECT_EQ(test, gmem_kunit_convert(&ctx->vm, 0, 1, true, ZERO), -EIO);
}

/* Supported; but meanwhile the removal of another file's page fails. */
static int dies_meanwhile(struct kvm *kvm, enum set_memory_attributes_content_policy policy,
			  gfn_t gfn, u64 nr_pages, bool to_private)
{
	kvm_vm_bugged(kvm);
	return 0;
}

/* Whoever killed the VM: what the module keeps of this conversion is lost too. */
static void tdx_failed_removal_loses_in_dead_vm(struct kunit *test)
{
	struct tdx_kunit *ctx = test->priv;
	struct page *first, *second;

	tdx_launch_two_pages(test, &first, &second);

	ctx->bad_remove = true;
	kunit_activate_static_stub(test, kvm_gmem_arch_content_policy_supported,
				   dies_meanwhile);
	kunit_warning_suppress(test)
		KUNIT_EXPECT_EQ(test, gmem_kunit_convert(&ctx->vm, 2, 2, false, ZERO), -EIO);
	kunit_deactivate_static_stub(test, kvm_gmem_arch_content_policy_supported);
	KUNIT_EXPECT_GE(test, ctx->nr_removed, 1);
	tdx_expect_lost(test, first, second, 0);
}

static struct kunit_case tdx_kunit_cases[] = {
	KUNIT_CASE(tdx_offers_policies),
	KUNIT_CASE(tdx_converts_as_offered),
	KUNIT_CASE(tdx_refuses_and_changes_nothing),
	KUNIT_CASE(tdx_launches_in_place),
	KUNIT_CASE(tdx_launches_from_a_source),
	KUNIT_CASE(tdx_failed_launch_kills),
	KUNIT_CASE(tdx_unmap_removes),
	KUNIT_CASE_PARAM(tdx_failed_removal_kills, tdx_failure_gen_params),
	KUNIT_CASE(tdx_failed_removal_loses_in_dead_vm),
	{}
};

static struct kunit_suite tdx_kunit_suite = {
	.name = "kvm_gmem_tdx",
	.init = tdx_kunit_init,
	.test_cases = tdx_kunit_cases,
};

kunit_test_suite(tdx_kunit_suite);
