// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of conversions on SNP; part of sev.c.  The VM is a software-protected
 * one that is told it is an SNP VM.  What is faked is the RMP and the firmware:
 * rmp_make_*(), snp_lookup_rmpentry() and the commands.
 */
#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/falloc.h>

#include "../../../../virt/kvm/guest_memfd_kunit.h"

#define SNP_PATTERN	0x5a

#define ZERO		SET_MEMORY_ATTRIBUTES_CONTENT_ZERO
#define READABLE	SET_MEMORY_ATTRIBUTES_CONTENT_READABLE
#define ENCRYPTED	SET_MEMORY_ATTRIBUTES_CONTENT_ENCRYPTED
#define DESTROY		SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY

struct sev_kunit {
	struct gmem_kunit_vm vm;
	struct kvm_sev_info saved;

	/* The RMP: what is assigned, by pfn. */
	struct xarray rmp;
	unsigned int nr_made_shared;

	/* What fails: making this frame shared (once only?), any private, the firmware. */
	kvm_pfn_t bad_pfn;
	bool bad_once;
	bool bad_make_private;
	bool bad_firmware;

	/* What the firmware was given last. */
	u8 launched_type;
	u8 launched_byte;
	unsigned int nr_launched;
	unsigned int nr_reclaimed;
};

static struct sev_kunit *sev_kunit(void)
{
	return kunit_get_current_test()->priv;
}

static bool fake_host_has_snp(void)
{
	return true;
}

static int fake_lookup_rmpentry(u64 pfn, bool *assigned, int *level)
{
	*assigned = xa_load(&sev_kunit()->rmp, pfn);
	*level = PG_LEVEL_4K;
	return 0;
}

static int fake_rmp_make_private(u64 pfn, u64 gpa, enum pg_level level, u32 asid,
				 bool immutable)
{
	if (sev_kunit()->bad_make_private)
		return -EFAULT;

	return xa_err(xa_store(&sev_kunit()->rmp, pfn, xa_mk_value(gpa), GFP_KERNEL));
}

static int fake_rmp_make_shared(u64 pfn, enum pg_level level)
{
	struct sev_kunit *ctx = sev_kunit();

	if (pfn == ctx->bad_pfn) {
		if (ctx->bad_once)
			ctx->bad_pfn = KVM_PFN_ERR_FAULT;
		return -EFAULT;
	}

	xa_erase(&ctx->rmp, pfn);
	ctx->nr_made_shared++;
	return 0;
}

static int fake_snp_page_reclaim(struct kvm *kvm, u64 pfn)
{
	sev_kunit()->nr_reclaimed++;
	return fake_rmp_make_shared(pfn, PG_LEVEL_4K);
}

static int fake_issue_cmd(int fd, int id, void *data, int *error)
{
	struct sev_data_snp_launch_update *update = data;
	struct sev_kunit *ctx = sev_kunit();

	if (id != SEV_CMD_SNP_LAUNCH_UPDATE)
		return -EINVAL;

	if (ctx->bad_firmware) {
		*error = SEV_RET_INVALID_PARAM;
		return -EIO;
	}

	ctx->launched_type = update->page_type;
	ctx->launched_byte = ((u8 *)__va(__sme_clr(update->address)))[8];
	ctx->nr_launched++;
	return 0;
}

/* The VM ends as what it began. */
static void sev_kunit_restore(void *arg)
{
	struct sev_kunit *ctx = arg;

	*to_kvm_sev_info(ctx->vm.kvm) = ctx->saved;
	ctx->vm.kvm->arch.vm_type = KVM_X86_SW_PROTECTED_VM;
	ctx->vm.kvm->arch.pre_fault_allowed = true;
	xa_destroy(&ctx->rmp);
}

static int sev_kunit_init(struct kunit *test)
{
	struct kvm_sev_info *sev;
	struct sev_kunit *ctx;

	ctx = kunit_kzalloc(test, sizeof(*ctx), GFP_KERNEL);
	if (!ctx)
		return -ENOMEM;
	test->priv = ctx;

	xa_init(&ctx->rmp);
	ctx->bad_pfn = KVM_PFN_ERR_FAULT;

	/* VMs have what is SVM's behind them, also if other code made them. */
	if (kvm_x86_ops.vm_size < sizeof(struct kvm_svm))
		kunit_skip(test, "VMs have no room for what is SVM's");
	gmem_kunit_create_vm(test, &ctx->vm, KVM_X86_SW_PROTECTED_VM);

	sev = to_kvm_sev_info(ctx->vm.kvm);
	ctx->saved = *sev;
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, sev_kunit_restore, ctx), 0);

	ctx->vm.kvm->arch.vm_type = KVM_X86_SNP_VM;
	ctx->vm.kvm->arch.pre_fault_allowed = false;
	sev->active = true;
	sev->es_active = true;
	sev->vmsa_features = SVM_SEV_FEAT_SNP_ACTIVE;
	sev->asid = 1;
	sev->snp_context = ctx;

	kunit_activate_static_stub(test, sev_host_has_snp, fake_host_has_snp);
	kunit_activate_static_stub(test, snp_lookup_rmpentry, fake_lookup_rmpentry);
	kunit_activate_static_stub(test, rmp_make_private, fake_rmp_make_private);
	kunit_activate_static_stub(test, rmp_make_shared, fake_rmp_make_shared);
	kunit_activate_static_stub(test, snp_page_reclaim, fake_snp_page_reclaim);
	kunit_activate_static_stub(test, __sev_issue_cmd, fake_issue_cmd);

	gmem_kunit_create_file(&ctx->vm);
	return 0;
}

/* As KVM_SEV_SNP_LAUNCH_FINISH does. */
static void snp_finish_launch(struct sev_kunit *ctx)
{
	ctx->vm.kvm->arch.pre_fault_allowed = true;
}

static int snp_launch(struct sev_kunit *ctx, unsigned int page, u64 uaddr, u8 type,
		      struct kvm_sev_snp_launch_update *after)
{
	struct kvm_sev_snp_launch_update params = {
		.gfn_start = GMEM_KUNIT_GFN + page,
		.uaddr = uaddr,
		.len = PAGE_SIZE,
		.type = type,
	};
	struct kvm_sev_cmd cmd = { .data = ctx->vm.args };
	int r;

	if (copy_to_user((void __user *)ctx->vm.args, &params, sizeof(params)))
		return -EFAULT;

	mutex_lock(&ctx->vm.kvm->lock);
	r = snp_launch_update(ctx->vm.kvm, &cmd);
	mutex_unlock(&ctx->vm.kvm->lock);

	if (copy_from_user(after, (void __user *)ctx->vm.args, sizeof(*after)))
		return -EFAULT;
	return r;
}

/* The lock stands for the vCPU that would be running. */
static int snp_guest_fault(struct sev_kunit *ctx, unsigned int page, kvm_pfn_t *pfn)
{
	guard(mutex)(&ctx->vm.kvm->lock);

	return gmem_kunit_guest_fault(&ctx->vm, page, pfn);
}

static int snp_to_private(struct sev_kunit *ctx, unsigned int page, u32 policy)
{
	return gmem_kunit_convert(&ctx->vm, page, 1, true, policy);
}

static int snp_to_shared(struct sev_kunit *ctx, unsigned int page, u32 policy)
{
	return gmem_kunit_convert(&ctx->vm, page, 1, false, policy);
}

/* A page in the guest's hands: private, assigned by a fault, written. */
static struct page *snp_assigned_page(struct kunit *test, unsigned int page)
{
	struct sev_kunit *ctx = test->priv;
	kvm_pfn_t pfn = KVM_PFN_ERR_FAULT;

	KUNIT_EXPECT_EQ(test, gmem_kunit_write(&ctx->vm, page, SNP_PATTERN), 0);
	KUNIT_EXPECT_EQ(test, snp_to_private(ctx, page, ZERO), 0);
	KUNIT_ASSERT_EQ(test, snp_guest_fault(ctx, page, &pfn), 0);
	KUNIT_EXPECT_NOT_NULL(test, xa_load(&ctx->rmp, pfn));
	memset(pfn_to_kaddr(pfn), 0xcc, PAGE_SIZE);
	return pfn_to_page(pfn);
}

static void snp_offers_policies(struct kunit *test)
{
	u32 both = GMEM_KUNIT_POLICY(ZERO) | GMEM_KUNIT_POLICY(DESTROY);
	u32 to_private = both | BIT(KVM_GMEM_POLICY_ZERO_ONLY_SCRUBS);
	struct sev_kunit *ctx = test->priv;

	gmem_kunit_expect_policies(&ctx->vm, both, to_private | GMEM_KUNIT_POLICY(READABLE));
	snp_finish_launch(ctx);
	gmem_kunit_expect_policies(&ctx->vm, both, to_private);
}

static void snp_converts_as_offered(struct kunit *test)
{
	struct sev_kunit *ctx = test->priv;

	gmem_kunit_expect_conversions(&ctx->vm);
	snp_finish_launch(ctx);
	gmem_kunit_expect_conversions(&ctx->vm);
}

static void snp_refuses_and_changes_nothing(struct kunit *test)
{
	struct sev_kunit *ctx = test->priv;
	kvm_pfn_t first, second;

	snp_finish_launch(ctx);
	gmem_kunit_expect_refusals(&ctx->vm);
	KUNIT_EXPECT_TRUE(test, xa_empty(&ctx->rmp));

	KUNIT_ASSERT_EQ(test, snp_guest_fault(ctx, 2, &first), 0);
	KUNIT_ASSERT_EQ(test, snp_guest_fault(ctx, 3, &second), 0);
	gmem_kunit_expect_refused_to_shared(&ctx->vm, 2);
	KUNIT_EXPECT_EQ(test, ctx->nr_made_shared, 0);
	KUNIT_EXPECT_NOT_NULL(test, xa_load(&ctx->rmp, first));
	KUNIT_EXPECT_NOT_NULL(test, xa_load(&ctx->rmp, second));

	/* With all of that out of the way they are taken back. */
	KUNIT_EXPECT_EQ(test, gmem_kunit_convert(&ctx->vm, 2, 2, false, ZERO), 0);
	KUNIT_EXPECT_EQ(test, ctx->nr_made_shared, 2);
	KUNIT_EXPECT_TRUE(test, xa_empty(&ctx->rmp));
}

/* The guest's fault assigns, the conversion takes back. */
static void snp_takes_back_what_it_gave(struct kunit *test)
{
	struct sev_kunit *ctx = test->priv;
	struct page *page;

	snp_finish_launch(ctx);
	page = snp_assigned_page(test, 3);
	KUNIT_EXPECT_EQ(test, snp_to_shared(ctx, 3, ZERO), 0);
	KUNIT_EXPECT_EQ(test, ctx->nr_made_shared, 1);
	KUNIT_EXPECT_TRUE(test, xa_empty(&ctx->rmp));
	KUNIT_EXPECT_PTR_EQ(test, gmem_kunit_page(&ctx->vm, 3), page);
	KUNIT_EXPECT_EQ(test, gmem_kunit_read(&ctx->vm, 3), 0);

	/* What the guest never touched is the host's still. */
	KUNIT_EXPECT_EQ(test, snp_to_private(ctx, 4, ZERO), 0);
	KUNIT_EXPECT_EQ(test, snp_to_shared(ctx, 4, ZERO), 0);
	KUNIT_EXPECT_EQ(test, ctx->nr_made_shared, 1);
}

/* A refused conversion leaves the RMP alone. */
static void snp_refused_policy_takes_nothing_back(struct kunit *test)
{
	struct sev_kunit *ctx = test->priv;
	struct page *page;

	snp_finish_launch(ctx);
	page = snp_assigned_page(test, 3);
	KUNIT_EXPECT_EQ(test, snp_to_shared(ctx, 3, READABLE), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, snp_to_shared(ctx, 3, ENCRYPTED), -EOPNOTSUPP);
	KUNIT_EXPECT_NOT_NULL(test, xa_load(&ctx->rmp, page_to_pfn(page)));
	KUNIT_EXPECT_EQ(test, gmem_kunit_state(&ctx->vm, 3), KVM_MEMORY_ATTRIBUTE_PRIVATE);
	KUNIT_EXPECT_EQ(test, ctx->nr_made_shared, 0);
}

/* What the RMP kept is lost; then it gives it back. */
static void snp_expect_lost(struct kunit *test, struct page *page)
{
	struct sev_kunit *ctx = test->priv;

	KUNIT_EXPECT_NOT_NULL(test, xa_load(&ctx->rmp, page_to_pfn(page)));
	ctx->bad_pfn = KVM_PFN_ERR_FAULT;
	xa_erase(&ctx->rmp, page_to_pfn(page));
	gmem_kunit_expect_lost(test, page);
}

/* The RMP keeps a frame: it is lost, and the host gets another. */
static void snp_loses_what_it_cannot_take_back(struct kunit *test)
{
	struct sev_kunit *ctx = test->priv;
	struct page *page, *other;

	snp_finish_launch(ctx);
	page = snp_assigned_page(test, 3);
	other = snp_assigned_page(test, 4);
	ctx->bad_pfn = page_to_pfn(page);

	kunit_warning_suppress(test)
		KUNIT_EXPECT_EQ(test, gmem_kunit_convert(&ctx->vm, 3, 2, false, ZERO), 0);

	KUNIT_EXPECT_EQ(test, ctx->vm.converted, 2 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, gmem_kunit_state(&ctx->vm, 3), 0);
	KUNIT_EXPECT_NULL(test, gmem_kunit_page(&ctx->vm, 3));
	KUNIT_EXPECT_EQ(test, gmem_kunit_read(&ctx->vm, 3), 0);
	KUNIT_EXPECT_PTR_NE(test, gmem_kunit_page(&ctx->vm, 3), page);
	/* Once, though it was asked for again when it left the file. */
	snp_expect_lost(test, page);

	/* Its neighbour came back. */
	KUNIT_EXPECT_PTR_EQ(test, gmem_kunit_page(&ctx->vm, 4), other);
	KUNIT_EXPECT_NULL(test, xa_load(&ctx->rmp, page_to_pfn(other)));
	KUNIT_EXPECT_EQ(test, gmem_kunit_read(&ctx->vm, 4), 0);
}

/* What it gives back at the second attempt is freed like any other. */
static void snp_frees_what_it_takes_back_late(struct kunit *test)
{
	struct sev_kunit *ctx = test->priv;
	struct page *page;

	snp_finish_launch(ctx);
	page = snp_assigned_page(test, 3);
	ctx->bad_pfn = page_to_pfn(page);
	ctx->bad_once = true;

	get_page(page);
	kunit_warning_suppress(test)
		KUNIT_EXPECT_EQ(test, snp_to_shared(ctx, 3, ZERO), 0);
	KUNIT_EXPECT_TRUE(test, xa_empty(&ctx->rmp));
	KUNIT_EXPECT_FALSE(test, PageHWPoison(page));
	KUNIT_EXPECT_NULL(test, page_folio(page)->mapping);
	KUNIT_EXPECT_EQ(test, page_count(page), 1);
	put_page(page);
	KUNIT_EXPECT_EQ(test, gmem_kunit_read(&ctx->vm, 3), 0);
}

/* What it does not give back when it is freed: destroyed, or punched out. */
static void snp_loses_what_it_cannot_free(struct kunit *test)
{
	struct sev_kunit *ctx = test->priv;
	struct page *page;

	snp_finish_launch(ctx);
	page = snp_assigned_page(test, 3);
	ctx->bad_pfn = page_to_pfn(page);
	kunit_warning_suppress(test)
		KUNIT_EXPECT_EQ(test, snp_to_shared(ctx, 3, DESTROY), 0);
	snp_expect_lost(test, page);
	KUNIT_EXPECT_EQ(test, gmem_kunit_state(&ctx->vm, 3), -1);
	KUNIT_EXPECT_EQ(test, gmem_kunit_read(&ctx->vm, 3), -EFAULT);

	page = snp_assigned_page(test, 4);
	ctx->bad_pfn = page_to_pfn(page);
	kunit_warning_suppress(test)
		KUNIT_EXPECT_EQ(test, vfs_fallocate(ctx->vm.gmem,
				FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE,
				4 * PAGE_SIZE, PAGE_SIZE), 0);
	snp_expect_lost(test, page);
}

/* The guest's fault fails; the page is whole, and the next one gets it. */
static void snp_fault_survives_rmp_failure(struct kunit *test)
{
	struct sev_kunit *ctx = test->priv;
	kvm_pfn_t pfn;

	snp_finish_launch(ctx);
	KUNIT_EXPECT_EQ(test, snp_to_private(ctx, 3, ZERO), 0);
	ctx->bad_make_private = true;
	KUNIT_EXPECT_EQ(test, snp_guest_fault(ctx, 3, &pfn), -EINVAL);
	KUNIT_EXPECT_TRUE(test, xa_empty(&ctx->rmp));
	KUNIT_EXPECT_EQ(test, gmem_kunit_state(&ctx->vm, 3), KVM_MEMORY_ATTRIBUTE_PRIVATE);

	ctx->bad_make_private = false;
	KUNIT_EXPECT_EQ(test, snp_guest_fault(ctx, 3, &pfn), 0);
	KUNIT_EXPECT_NOT_NULL(test, xa_load(&ctx->rmp, pfn));
}

/* What the host wrote while the page was shared is what the firmware gets. */
static void snp_launches_in_place(struct kunit *test)
{
	struct sev_kunit *ctx = test->priv;
	struct kvm_sev_snp_launch_update after;
	struct page *page;

	KUNIT_EXPECT_EQ(test, gmem_kunit_write(&ctx->vm, 2, SNP_PATTERN), 0);
	page = gmem_kunit_page(&ctx->vm, 2);

	/* Not while the host can write it. */
	KUNIT_EXPECT_EQ(test, snp_launch(ctx, 2, 0, KVM_SEV_SNP_PAGE_TYPE_NORMAL, &after), -EIO);
	KUNIT_EXPECT_EQ(test, ctx->nr_launched, 0);

	KUNIT_EXPECT_EQ(test, gmem_kunit_convert(&ctx->vm, 2, 2, true, READABLE), 0);
	KUNIT_EXPECT_EQ(test, snp_launch(ctx, 2, 0, KVM_SEV_SNP_PAGE_TYPE_NORMAL, &after), 0);
	KUNIT_EXPECT_EQ(test, ctx->nr_launched, 1);
	KUNIT_EXPECT_EQ(test, ctx->launched_byte, SNP_PATTERN);
	KUNIT_EXPECT_EQ(test, ctx->launched_type, SNP_PAGE_TYPE_NORMAL);
	KUNIT_EXPECT_EQ(test, after.uaddr, 0);
	KUNIT_EXPECT_EQ(test, after.len, 0);
	KUNIT_EXPECT_EQ(test, after.gfn_start, GMEM_KUNIT_GFN + 3);
	KUNIT_EXPECT_PTR_EQ(test, gmem_kunit_page(&ctx->vm, 2), page);

	/* What nobody wrote is zeros. */
	KUNIT_EXPECT_EQ(test, snp_launch(ctx, 3, 0, KVM_SEV_SNP_PAGE_TYPE_UNMEASURED, &after), 0);
	KUNIT_EXPECT_EQ(test, ctx->launched_byte, 0);

	/* Once only.  Then it is taken back like any other. */
	KUNIT_EXPECT_EQ(test, snp_launch(ctx, 2, 0, KVM_SEV_SNP_PAGE_TYPE_NORMAL, &after), -EIO);
	KUNIT_EXPECT_EQ(test, ctx->nr_launched, 2);
	snp_finish_launch(ctx);
	KUNIT_EXPECT_EQ(test, snp_to_shared(ctx, 2, ZERO), 0);
	KUNIT_EXPECT_EQ(test, gmem_kunit_read(&ctx->vm, 2), 0);
}

/* With a source nothing has changed. */
static void snp_launches_from_a_source(struct kunit *test)
{
	struct sev_kunit *ctx = test->priv;
	struct kvm_sev_snp_launch_update after;

	KUNIT_EXPECT_EQ(test, gmem_kunit_write(&ctx->vm, 0, SNP_PATTERN), 0);
	KUNIT_EXPECT_EQ(test, gmem_kunit_write(&ctx->vm, 2, 1), 0);
	KUNIT_EXPECT_EQ(test, snp_to_private(ctx, 2, ZERO), 0);
	KUNIT_EXPECT_EQ(test, snp_launch(ctx, 2, ctx->vm.view, KVM_SEV_SNP_PAGE_TYPE_NORMAL,
					 &after), 0);
	KUNIT_EXPECT_EQ(test, ctx->launched_byte, SNP_PATTERN);
	KUNIT_EXPECT_EQ(test, after.uaddr, ctx->vm.view + PAGE_SIZE);
}

static void snp_refuses_bad_launches(struct kunit *test)
{
	struct sev_kunit *ctx = test->priv;
	struct kvm_sev_snp_launch_update after;

	KUNIT_EXPECT_EQ(test, gmem_kunit_write(&ctx->vm, 2, SNP_PATTERN), 0);
	KUNIT_EXPECT_EQ(test, snp_to_private(ctx, 2, READABLE), 0);

	/* Corrected by the firmware, so there must be somewhere to put it. */
	KUNIT_EXPECT_EQ(test, snp_launch(ctx, 2, 0, KVM_SEV_SNP_PAGE_TYPE_CPUID, &after),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, snp_launch(ctx, 2, 8, KVM_SEV_SNP_PAGE_TYPE_NORMAL, &after),
			-EINVAL);
	KUNIT_EXPECT_TRUE(test, xa_empty(&ctx->rmp));

	/* A page that the firmware refuses is taken back, and can be tried again. */
	ctx->bad_firmware = true;
	KUNIT_EXPECT_EQ(test, snp_launch(ctx, 2, 0, KVM_SEV_SNP_PAGE_TYPE_NORMAL, &after), -EIO);
	KUNIT_EXPECT_EQ(test, ctx->nr_reclaimed, 1);
	KUNIT_EXPECT_TRUE(test, xa_empty(&ctx->rmp));
	ctx->bad_firmware = false;
	KUNIT_EXPECT_EQ(test, snp_launch(ctx, 2, 0, KVM_SEV_SNP_PAGE_TYPE_NORMAL, &after), 0);
	KUNIT_EXPECT_EQ(test, ctx->launched_byte, SNP_PATTERN);
}

/* As KVM_REQ_VMSA_PAGE_RELOAD does.  Return: what the vCPU would run from. */
static hpa_t snp_reload_vmsa(struct sev_kunit *ctx, struct vcpu_svm *svm,
			     unsigned int page)
{
	guard(mutex)(&ctx->vm.kvm->lock);
	guard(srcu)(&ctx->vm.kvm->srcu);

	svm->sev_es.snp_guest_vmsa_gpa = gfn_to_gpa(GMEM_KUNIT_GFN + page);
	sev_snp_reload_vmsa(&svm->vcpu);
	return svm->vmcb->control.vmsa_pa;
}

/* What the host can write is no VMSA: the vCPU is left without one. */
static void snp_takes_vmsa_from_private_memory(struct kunit *test)
{
	struct sev_kunit *ctx = test->priv;
	struct vcpu_svm *svm;

	svm = kunit_kzalloc(test, sizeof(*svm), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, svm);
	svm->vmcb = kunit_kzalloc(test, sizeof(*svm->vmcb), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, svm->vmcb);
	svm->vcpu.kvm = ctx->vm.kvm;
	mutex_init(&svm->sev_es.snp_vmsa_mutex);

	snp_finish_launch(ctx);
	KUNIT_EXPECT_EQ(test, gmem_kunit_write(&ctx->vm, 3, SNP_PATTERN), 0);
	KUNIT_EXPECT_EQ(test, snp_reload_vmsa(ctx, svm, 3), INVALID_PAGE);
	KUNIT_EXPECT_EQ(test, svm->sev_es.snp_guest_vmsa_gpa, INVALID_PAGE);
	KUNIT_EXPECT_FALSE(test, kvm_test_request(KVM_REQ_VMSA_PAGE_RELOAD, &svm->vcpu));

	KUNIT_EXPECT_EQ(test, snp_to_private(ctx, 3, ZERO), 0);
	KUNIT_EXPECT_EQ(test, snp_reload_vmsa(ctx, svm, 3),
			page_to_phys(gmem_kunit_page(&ctx->vm, 3)));
	KUNIT_EXPECT_EQ(test, svm->sev_es.snp_guest_vmsa_gpa,
			gfn_to_gpa(GMEM_KUNIT_GFN + 3));
	KUNIT_EXPECT_FALSE(test, xa_empty(&ctx->rmp));

	/* Shared again, its reload finds nothing. */
	KUNIT_EXPECT_EQ(test, snp_to_shared(ctx, 3, ZERO), 0);
	KUNIT_EXPECT_EQ(test, snp_reload_vmsa(ctx, svm, 3), INVALID_PAGE);
	KUNIT_EXPECT_TRUE(test, xa_empty(&ctx->rmp));
}

static struct kunit_case sev_kunit_cases[] = {
	KUNIT_CASE(snp_offers_policies),
	KUNIT_CASE(snp_converts_as_offered),
	KUNIT_CASE(snp_refuses_and_changes_nothing),
	KUNIT_CASE(snp_takes_back_what_it_gave),
	KUNIT_CASE(snp_refused_policy_takes_nothing_back),
	KUNIT_CASE(snp_loses_what_it_cannot_take_back),
	KUNIT_CASE(snp_frees_what_it_takes_back_late),
	KUNIT_CASE(snp_loses_what_it_cannot_free),
	KUNIT_CASE(snp_fault_survives_rmp_failure),
	KUNIT_CASE(snp_launches_in_place),
	KUNIT_CASE(snp_launches_from_a_source),
	KUNIT_CASE(snp_refuses_bad_launches),
	KUNIT_CASE(snp_takes_vmsa_from_private_memory),
	{}
};

static struct kunit_suite sev_kunit_suite = {
	.name = "kvm_gmem_snp",
	.init = sev_kunit_init,
	.test_cases = sev_kunit_cases,
};

kunit_test_suite(sev_kunit_suite);
