// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of guest_memfd conversions: what all types of VM have in common, and
 * what tests of one type need.  A test's thread is the VMM: it gets an address
 * space, and drives the VM through the ioctls of its files.
 */
#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/falloc.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/kvm_host.h>
#include <linux/mman.h>
#include <linux/pagemap.h>
#include <linux/uaccess.h>

#include "gmem_platform.h"
#include "guest_memfd_kunit.h"

#define PATTERN		0x5a

static const char * const policy_names[] = {
	[SET_MEMORY_ATTRIBUTES_CONTENT_ZERO]		= "ZERO",
	[SET_MEMORY_ATTRIBUTES_CONTENT_READABLE]	= "READABLE",
	[SET_MEMORY_ATTRIBUTES_CONTENT_ENCRYPTED]	= "ENCRYPTED",
	[SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY]		= "DESTROY",
};

static void close_vm(void *arg)
{
	struct gmem_kunit_vm *vm = arg;

	/* What the test's address space held is on its way by now. */
	flush_delayed_fput();
	if (vm->gmem)
		__fput_sync(vm->gmem);
	if (vm->vm_file)
		__fput_sync(vm->vm_file);
	vm->gmem = NULL;
	vm->vm_file = NULL;
}

/* Take a file out of the table that all kernel threads share. */
static struct file *take_file(struct kunit *test, int fd)
{
	struct file *file;

	KUNIT_ASSERT_GE(test, fd, 0);
	file = fget(fd);
	close_fd(fd);
	KUNIT_ASSERT_NOT_NULL(test, file);
	flush_delayed_fput();
	return file;
}

long gmem_kunit_vm_ioctl(struct gmem_kunit_vm *vm, unsigned int ioctl, void *args,
			 size_t size)
{
	unsigned long arg = (unsigned long)args;

	if (size) {
		if (copy_to_user((void __user *)vm->args, args, size))
			return -EFAULT;
		arg = vm->args;
	}

	return vm->vm_file->f_op->unlocked_ioctl(vm->vm_file, ioctl, arg);
}

/* Without hardware, or a vendor's module, KVM is there but makes no VMs. */
static bool kvm_makes_vms(void)
{
#ifdef CONFIG_X86
	return kvm_x86_ops.enable_virtualization_cpu;
#else
	return is_kvm_arm_initialised();
#endif
}

void gmem_kunit_create_vm(struct kunit *test, struct gmem_kunit_vm *vm,
			  unsigned long type)
{
	int fd;

	if (!kvm_makes_vms())
		kunit_skip(test, "KVM makes no VMs here");

	vm->test = test;
	KUNIT_ASSERT_EQ(test, kunit_attach_mm(), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, close_vm, vm), 0);

	fd = kvm_dev_ioctl_create_vm(type);
	if (fd == -EINVAL)
		kunit_skip(test, "KVM makes no VMs of type %lu here", type);
	vm->vm_file = take_file(test, fd);
	vm->kvm = vm->vm_file->private_data;

	vm->args = kunit_vm_mmap(test, NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
				 MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL((void *)vm->args));
}

static int create_gmem(struct gmem_kunit_vm *vm, u64 flags)
{
	struct kvm_create_guest_memfd create = {
		.size = GMEM_KUNIT_PAGES * PAGE_SIZE,
		.flags = flags,
	};

	return gmem_kunit_vm_ioctl(vm, KVM_CREATE_GUEST_MEMFD, &create, sizeof(create));
}

void gmem_kunit_create_file(struct gmem_kunit_vm *vm)
{
	struct kvm_userspace_memory_region2 region = {
		.flags = KVM_MEM_GUEST_MEMFD,
		.guest_phys_addr = GMEM_KUNIT_GFN << PAGE_SHIFT,
		.memory_size = GMEM_KUNIT_PAGES * PAGE_SIZE,
	};
	struct kunit *test = vm->test;
	int fd;

	fd = create_gmem(vm, GUEST_MEMFD_FLAG_IN_PLACE | GUEST_MEMFD_FLAG_MMAP |
			     GUEST_MEMFD_FLAG_INIT_SHARED);
	KUNIT_ASSERT_GE(test, fd, 0);
	vm->gmem = fget(fd);

	vm->view = kunit_vm_mmap(test, vm->gmem, 0, region.memory_size,
				 PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	KUNIT_EXPECT_FALSE(test, IS_ERR_OR_NULL((void *)vm->view));

	region.guest_memfd = fd;
	region.userspace_addr = vm->view;
	KUNIT_EXPECT_EQ(test, gmem_kunit_vm_ioctl(vm, KVM_SET_USER_MEMORY_REGION2,
						  &region, sizeof(region)), 0);
	close_fd(fd);
}

int gmem_kunit_convert(struct gmem_kunit_vm *vm, unsigned int page,
		       unsigned int nr_pages, bool to_private, u32 policy)
{
	struct kvm_memory_attributes2 __user *uargs = (void __user *)vm->args;
	struct kvm_memory_attributes2 args = {
		.offset = page * PAGE_SIZE,
		.size = nr_pages * PAGE_SIZE,
		.attributes = to_private ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0,
		.content_policy = policy,
	};
	long r;

	if (copy_to_user(uargs, &args, sizeof(args)))
		return -EFAULT;

	r = vm->gmem->f_op->unlocked_ioctl(vm->gmem, KVM_SET_MEMORY_ATTRIBUTES2,
					   vm->args);

	if (get_user(vm->converted, &uargs->converted) ||
	    get_user(vm->error_offset, &uargs->error_offset))
		return -EFAULT;

	return r;
}

int gmem_kunit_state(struct gmem_kunit_vm *vm, unsigned int page)
{
	struct kvm_memory_attributes2_run run = { .offset = page * PAGE_SIZE };

	if (copy_to_user((void __user *)vm->args, &run, sizeof(run)) ||
	    vm->gmem->f_op->unlocked_ioctl(vm->gmem, KVM_GET_MEMORY_ATTRIBUTES2, vm->args) ||
	    copy_from_user(&run, (void __user *)vm->args, sizeof(run)))
		return -EFAULT;

	return run.state & KVM_GMEM_STATE_DESTROYED ? -1 : (int)run.attributes;
}

int gmem_kunit_read(struct gmem_kunit_vm *vm, unsigned int page)
{
	u8 value;

	if (get_user(value, (u8 __user *)vm->view + page * PAGE_SIZE + 8))
		return -EFAULT;
	return value;
}

int gmem_kunit_write(struct gmem_kunit_vm *vm, unsigned int page, u8 value)
{
	return put_user(value, (u8 __user *)vm->view + page * PAGE_SIZE + 8);
}

int gmem_kunit_guest_fault(struct gmem_kunit_vm *vm, unsigned int page, kvm_pfn_t *pfn)
{
	gfn_t gfn = GMEM_KUNIT_GFN + page;
	struct page *got;
	int r, idx;

	idx = srcu_read_lock(&vm->kvm->srcu);
	r = kvm_gmem_get_pfn(vm->kvm, gfn_to_memslot(vm->kvm, gfn), gfn, pfn, &got, NULL);
	srcu_read_unlock(&vm->kvm->srcu, idx);

	if (!r)
		put_page(got);
	return r;
}

struct page *gmem_kunit_page(struct gmem_kunit_vm *vm, unsigned int page)
{
	struct folio *folio = filemap_get_folio(vm->gmem->f_mapping, page);

	if (IS_ERR(folio))
		return NULL;
	folio_put(folio);
	return folio_page(folio, 0);
}

/*
 * The capability, the hook and the policies that are expected say the same; what the
 * capability does not offer is -EOPNOTSUPP, and changes nothing.
 */
void gmem_kunit_expect_policies(struct gmem_kunit_vm *vm, u32 to_shared, u32 to_private)
{
	u32 caps = gmem_kunit_vm_ioctl(vm, KVM_CHECK_EXTENSION,
				       (void *)KVM_CAP_GUEST_MEMFD_CONTENT_POLICIES, 0);
	u32 shared_caps = caps & GENMASK(14, 0), private_caps = caps >> 16 & GENMASK(14, 0);
	struct kunit *test = vm->test;
	u32 policy;
	int r;

	KUNIT_EXPECT_EQ(test, shared_caps, to_shared);
	KUNIT_EXPECT_EQ(test, private_caps, to_private);

	for (policy = 0; policy < ARRAY_SIZE(policy_names); policy++) {
		r = kvm_gmem_arch_content_policy_supported(vm->kvm, policy,
							   GMEM_KUNIT_GFN, 1, false);
		KUNIT_EXPECT_EQ_MSG(test, r, to_shared & BIT(policy) ? 0 : -EOPNOTSUPP,
				    "%s to shared", policy_names[policy]);

		r = kvm_gmem_arch_content_policy_supported(vm->kvm, policy,
							   GMEM_KUNIT_GFN, 1, true);
		KUNIT_EXPECT_EQ_MSG(test, r, to_private & BIT(policy) ? 0 : -EOPNOTSUPP,
				    "%s to private", policy_names[policy]);

		if (!vm->gmem || to_private & BIT(policy))
			continue;

		KUNIT_EXPECT_EQ(test, gmem_kunit_write(vm, 0, PATTERN), 0);
		KUNIT_EXPECT_EQ(test, gmem_kunit_convert(vm, 0, 1, true, policy), -EOPNOTSUPP);
		KUNIT_EXPECT_EQ(test, gmem_kunit_state(vm, 0), 0);
		KUNIT_EXPECT_EQ(test, gmem_kunit_read(vm, 0), PATTERN);
	}
}

/* Whatever is offered does what it says, as far as the host sees it. */
void gmem_kunit_expect_conversions(struct gmem_kunit_vm *vm)
{
	struct kunit *test = vm->test;
	u32 policy;

	for (policy = 0; policy < ARRAY_SIZE(policy_names); policy++) {
		int state = policy == SET_MEMORY_ATTRIBUTES_CONTENT_DESTROY ? -1 :
			    KVM_MEMORY_ATTRIBUTE_PRIVATE;

		if (kvm_gmem_arch_content_policy_supported(vm->kvm, policy, GMEM_KUNIT_GFN,
							   2, true))
			continue;

		KUNIT_EXPECT_EQ(test, gmem_kunit_write(vm, 1, PATTERN), 0);
		KUNIT_EXPECT_EQ_MSG(test, gmem_kunit_convert(vm, 1, 2, true, policy), 0,
				    "%s to private", policy_names[policy]);
		KUNIT_EXPECT_EQ(test, vm->converted, 2 * PAGE_SIZE);
		KUNIT_EXPECT_EQ(test, gmem_kunit_state(vm, 0), 0);
		KUNIT_EXPECT_EQ(test, gmem_kunit_state(vm, 1), state);
		KUNIT_EXPECT_EQ(test, gmem_kunit_state(vm, 2), state);
		KUNIT_EXPECT_EQ(test, gmem_kunit_state(vm, 3), 0);
		KUNIT_EXPECT_EQ(test, gmem_kunit_read(vm, 1), -EFAULT);

		KUNIT_EXPECT_EQ(test, gmem_kunit_convert(vm, 1, 2, false,
							 SET_MEMORY_ATTRIBUTES_CONTENT_ZERO), 0);
		KUNIT_EXPECT_EQ(test, vm->converted, 2 * PAGE_SIZE);
		KUNIT_EXPECT_EQ(test, gmem_kunit_state(vm, 1), 0);
		KUNIT_EXPECT_EQ(test, gmem_kunit_read(vm, 1), 0);
	}
}

static int refuse_second_half(struct kvm *kvm,
			      enum set_memory_attributes_content_policy policy,
			      gfn_t gfn, u64 nr_pages, bool to_private)
{
	return gfn + nr_pages > GMEM_KUNIT_GFN + GMEM_KUNIT_PAGES / 2 ? -EOPNOTSUPP : 0;
}

static void *no_leaf(void)
{
	return NULL;
}

static void *no_table(size_t bytes)
{
	return NULL;
}

/* All pages are shared and hold the pattern, as they were set up. */
static void expect_unchanged(struct gmem_kunit_vm *vm, struct page *first)
{
	struct kunit *test = vm->test;
	unsigned int i;

	KUNIT_EXPECT_PTR_EQ(test, gmem_kunit_page(vm, 0), first);
	for (i = 0; i < GMEM_KUNIT_PAGES; i++) {
		KUNIT_EXPECT_EQ(test, gmem_kunit_state(vm, i), 0);
		KUNIT_EXPECT_EQ(test, gmem_kunit_read(vm, i), PATTERN);
	}
}

/* Each step that can refuse does; then nothing has changed. */
void gmem_kunit_expect_refusals(struct gmem_kunit_vm *vm)
{
	const u32 zero = SET_MEMORY_ATTRIBUTES_CONTENT_ZERO;
	struct kunit *test = vm->test;
	struct page *first, *last;
	unsigned int i;

	for (i = 0; i < GMEM_KUNIT_PAGES; i++)
		KUNIT_EXPECT_EQ(test, gmem_kunit_write(vm, i, PATTERN), 0);
	first = gmem_kunit_page(vm, 0);
	last = gmem_kunit_page(vm, GMEM_KUNIT_PAGES - 1);
	KUNIT_ASSERT_NOT_NULL(test, last);

	/* The platform. */
	kunit_activate_static_stub(test, kvm_gmem_arch_content_policy_supported,
				   refuse_second_half);
	KUNIT_EXPECT_EQ(test, gmem_kunit_convert(vm, 0, GMEM_KUNIT_PAGES, true, zero),
			-EOPNOTSUPP);
	expect_unchanged(vm, first);
	kunit_deactivate_static_stub(test, kvm_gmem_arch_content_policy_supported);

	/* Memory for the map: the range is not all of a chunk, so it needs some. */
	kunit_activate_static_stub(test, gmem_leaf_alloc, no_leaf);
	kunit_activate_static_stub(test, gmem_table_alloc, no_table);
	KUNIT_EXPECT_EQ(test, gmem_kunit_convert(vm, 1, 3, true, zero), -ENOMEM);
	expect_unchanged(vm, first);
	kunit_deactivate_static_stub(test, gmem_leaf_alloc);
	kunit_deactivate_static_stub(test, gmem_table_alloc);

	/* Somebody's reference, on the last page that is looked at. */
	get_page(last);
	KUNIT_EXPECT_EQ(test, gmem_kunit_convert(vm, 0, GMEM_KUNIT_PAGES, true, zero),
			-EAGAIN);
	KUNIT_EXPECT_EQ(test, vm->error_offset, (GMEM_KUNIT_PAGES - 1) * PAGE_SIZE);
	put_page(last);
	expect_unchanged(vm, first);

	/* Poison.  It has to be gone before the page is looked at again. */
	if (IS_ENABLED(CONFIG_MEMORY_FAILURE)) {
		SetPageHWPoison(last);
		KUNIT_EXPECT_EQ(test, gmem_kunit_convert(vm, 0, GMEM_KUNIT_PAGES, true, zero),
				-EHWPOISON);
		KUNIT_EXPECT_EQ(test, vm->error_offset, (GMEM_KUNIT_PAGES - 1) * PAGE_SIZE);
		ClearPageHWPoison(last);
		expect_unchanged(vm, first);
	}

	/* With all of that out of the way it works. */
	KUNIT_EXPECT_EQ(test, gmem_kunit_convert(vm, 0, GMEM_KUNIT_PAGES, true, zero), 0);
	KUNIT_EXPECT_EQ(test, vm->converted, GMEM_KUNIT_PAGES * PAGE_SIZE);
}

/*
 * The same towards shared, of two pages that the guest has.  All of the file has to
 * be private, so that the map needs memory to tell them from the others.
 */
void gmem_kunit_expect_refused_to_shared(struct gmem_kunit_vm *vm, unsigned int page)
{
	const u32 zero = SET_MEMORY_ATTRIBUTES_CONTENT_ZERO;
	struct page *first = gmem_kunit_page(vm, page);
	struct page *second = gmem_kunit_page(vm, page + 1);
	struct kunit *test = vm->test;

	KUNIT_ASSERT_NOT_NULL(test, first);
	KUNIT_ASSERT_NOT_NULL(test, second);

	if (IS_ENABLED(CONFIG_MEMORY_FAILURE)) {
		SetPageHWPoison(second);
		KUNIT_EXPECT_EQ(test, gmem_kunit_convert(vm, page, 2, false, zero),
				-EHWPOISON);
		KUNIT_EXPECT_EQ(test, vm->error_offset, (page + 1) * PAGE_SIZE);
		ClearPageHWPoison(second);
	}

	kunit_activate_static_stub(test, gmem_leaf_alloc, no_leaf);
	kunit_activate_static_stub(test, gmem_table_alloc, no_table);
	KUNIT_EXPECT_EQ(test, gmem_kunit_convert(vm, page, 2, false, zero), -ENOMEM);
	kunit_deactivate_static_stub(test, gmem_leaf_alloc);
	kunit_deactivate_static_stub(test, gmem_table_alloc);

	KUNIT_EXPECT_EQ(test, vm->converted, 0);
	KUNIT_EXPECT_EQ(test, gmem_kunit_state(vm, page), KVM_MEMORY_ATTRIBUTE_PRIVATE);
	KUNIT_EXPECT_EQ(test, gmem_kunit_state(vm, page + 1), KVM_MEMORY_ATTRIBUTE_PRIVATE);
	KUNIT_EXPECT_PTR_EQ(test, gmem_kunit_page(vm, page), first);
	KUNIT_EXPECT_PTR_EQ(test, gmem_kunit_page(vm, page + 1), second);
}

/* No file has the frame, and nobody ever gets it: it keeps one reference. */
void gmem_kunit_expect_lost(struct kunit *test, struct page *page)
{
	KUNIT_EXPECT_NULL(test, page_folio(page)->mapping);
	if (IS_ENABLED(CONFIG_MEMORY_FAILURE))
		KUNIT_EXPECT_TRUE(test, PageHWPoison(page));
	KUNIT_EXPECT_EQ(test, page_count(page), 1);

	if (page_folio(page)->mapping || page_count(page) != 1)
		return;
	ClearPageHWPoison(page);
	put_page(page);
}

/* The types that need no hardware; the others have suites of their own. */

#define CONVERTS	(GMEM_KUNIT_POLICY(ZERO) | GMEM_KUNIT_POLICY(READABLE) | \
			 GMEM_KUNIT_POLICY(DESTROY))

static const struct vm_type {
	const char *name;
	unsigned long type;
	u32 policies;
} vm_types[] = {
#ifdef CONFIG_X86
	{ "DEFAULT_VM", KVM_X86_DEFAULT_VM, 0 },
	{ "SW_PROTECTED_VM", KVM_X86_SW_PROTECTED_VM, CONVERTS },
#else
	{ "VM", 0, CONVERTS },
#endif
};

static void describe_vm_type(const struct vm_type *type, char *description)
{
	strscpy(description, type->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(vm_type, vm_types, describe_vm_type);

/* Return: whether this type converts. */
static bool create(struct kunit *test)
{
	const struct vm_type *type = test->param_value;
	struct gmem_kunit_vm *vm = test->priv;

	gmem_kunit_create_vm(test, vm, type->type);
	if (!type->policies)
		return false;

	gmem_kunit_create_file(vm);
	return true;
}

static void offers_policies(struct kunit *test)
{
	const struct vm_type *type = test->param_value;
	struct gmem_kunit_vm *vm = test->priv;

	create(test);
	gmem_kunit_expect_policies(vm, type->policies, type->policies);
	KUNIT_EXPECT_EQ(test, gmem_kunit_vm_ioctl(vm, KVM_CHECK_EXTENSION,
			(void *)KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES, 0),
			type->policies ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0);
}

static void refuses_files(struct kunit *test)
{
	struct gmem_kunit_vm *vm = test->priv;
	bool converts = create(test);

	KUNIT_EXPECT_EQ(test, create_gmem(vm, GUEST_MEMFD_FLAG_IN_PLACE), -EINVAL);
	if (!converts)
		KUNIT_EXPECT_EQ(test, create_gmem(vm, GUEST_MEMFD_FLAG_IN_PLACE |
						  GUEST_MEMFD_FLAG_MMAP), -EINVAL);
}

static void converts_as_offered(struct kunit *test)
{
	if (create(test))
		gmem_kunit_expect_conversions(test->priv);
}

static void refuses_and_changes_nothing(struct kunit *test)
{
	if (create(test))
		gmem_kunit_expect_refusals(test->priv);
}

static void dead_vm_converts_nothing(struct kunit *test)
{
	struct gmem_kunit_vm *vm = test->priv;

	if (!create(test))
		return;

	KUNIT_EXPECT_EQ(test, gmem_kunit_write(vm, 0, PATTERN), 0);
	kvm_vm_dead(vm->kvm);
	KUNIT_EXPECT_EQ(test, gmem_kunit_convert(vm, 0, 1, true,
						 SET_MEMORY_ATTRIBUTES_CONTENT_ZERO), -EIO);
	KUNIT_EXPECT_EQ(test, gmem_kunit_read(vm, 0), PATTERN);
}

static int init(struct kunit *test)
{
	test->priv = kunit_kzalloc(test, sizeof(struct gmem_kunit_vm), GFP_KERNEL);
	return test->priv ? 0 : -ENOMEM;
}

static struct kunit_case cases[] = {
	KUNIT_CASE_PARAM(offers_policies, vm_type_gen_params),
	KUNIT_CASE_PARAM(refuses_files, vm_type_gen_params),
	KUNIT_CASE_PARAM(converts_as_offered, vm_type_gen_params),
	KUNIT_CASE_PARAM(refuses_and_changes_nothing, vm_type_gen_params),
	KUNIT_CASE_PARAM(dead_vm_converts_nothing, vm_type_gen_params),
	{}
};

static struct kunit_suite suite = {
	.name = "kvm_gmem",
	.init = init,
	.test_cases = cases,
};

kunit_test_suite(suite);
