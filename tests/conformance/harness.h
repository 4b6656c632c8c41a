/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * A runner for behaviour tests: every test in a process of its own, on every
 * variant (engine and platform), reported as TAP.
 *
 * Written here because nothing in Debian fits: cmocka runs all tests in one
 * process, so that a SIGBUS or a hang takes the rest with it, and the kernel's
 * kselftest_harness.h is GPL-2.0-only and fixes variants at compile time.
 *
 * A test fails by ASSERT_*(), which ends its process; it need not clean up.
 */
#ifndef CONFORMANCE_HARNESS_H
#define CONFORMANCE_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <gmem/gmem.h>

/**
 * struct variant - where tests run, and what design and platform promise there
 * @name: "engine/platform"
 * @engine: enum gmem_engine_kind
 * @platform: enum gmem_vm_platform
 * @to_shared: policies that the platform honours towards shared, a bit each
 * @to_private: the same towards private
 * @scrubs_to_private: fresh private memory, and ZERO towards private, reads as
 *	undefined bytes for the guest, none of them what anybody wrote
 * @kernel: the engine is the kernel: raw file descriptors exist
 * @guest_asks: conversions need the guest's request once a vCPU has run, and from
 *	then on slots and vCPUs are not the VMM's to change: see env.h
 * @lacks: needs of tests that it does not meet, of those below that say so
 */
struct variant {
	const char *name;
	uint32_t engine;
	uint32_t platform;
	uint32_t to_shared;
	uint32_t to_private;
	bool scrubs_to_private;
	bool kernel;
	bool guest_asks;
	unsigned int lacks;
};

#define POLICY(p)	(1u << SET_MEMORY_ATTRIBUTES_CONTENT_##p)

/**
 * struct suite - what a program that is linked with the runner tests
 * @variants: where
 * @nr_variants: their number
 * @begin: before the first test of a variant: NULL, or why none can run there
 * @settled: optional, after each test: has all been given back that it took; says on
 *	stdout what has not
 */
struct suite {
	const struct variant *variants;
	size_t nr_variants;
	const char *(*begin)(const struct variant *variant);
	bool (*settled)(void);
};

extern const struct suite suite;

/* For @begin: NULL if there are such VMs, which convert in place if that matters. */
const char *why_no_vm(const struct variant *variant, bool converts);

/* Bits of struct test's needs. */
#define NEEDS_KERNEL	1u	/* raw ioctls and system calls on the real thing */
#define NEEDS_SNP	2u	/* the platform's own rules */
#define NEEDS_TDX	4u
#define NEEDS_ASKING	8u	/* conversions need the guest's request */
/* Of these, variants tell what they lack. */
#define NEEDS_HYPERCALL		16u	/* the guest has a hypercall to ask by */
#define NEEDS_VM_ATTRIBUTES	32u	/* KVM_SET_MEMORY_ATTRIBUTES */
#define NEEDS_PRE_FAULT		64u	/* KVM_PRE_FAULT_MEMORY */
#define NEEDS_VM_TYPES		128u	/* ordinary VMs have no private memory */
#define NEEDS_PRIVATE_FAULTS	256u	/* memory faults tell private from shared */
#define NEEDS_ANY_VM		512u	/* ordinary VMs have it, too */
#define NEEDS_OWN		1024u	/* what the program says that it is */

struct test {
	const char *name;
	const char *file;
	void (*run)(const struct variant *variant);
	unsigned int needs;
	unsigned int timeout;	/* seconds; 0: the runner's default */
	struct test *next;
};

void test_register(struct test *test);

#define TEST_WITH(test_name, test_needs, test_timeout)				\
	static void test_name(const struct variant *variant);			\
	static struct test test_##test_name = {					\
		.name = #test_name, .file = __FILE__, .run = test_name,		\
		.needs = test_needs, .timeout = test_timeout,			\
	};									\
	__attribute__((constructor)) static void register_##test_name(void)	\
	{									\
		test_register(&test_##test_name);				\
	}									\
	static void test_name(const struct variant *variant)

/* A test that only makes sense where the guest has to ask. */
#define ASKING_TEST(test_name)	TEST_WITH(test_name, NEEDS_ASKING, 0)

/* A test on every variant, and one that only makes sense on the kernel. */
#define TEST(test_name)		TEST_WITH(test_name, 0, 0)
#define KERNEL_TEST(test_name)	TEST_WITH(test_name, NEEDS_KERNEL, 0)

/* End the test: failed, or impossible here. */
_Noreturn void test_fail(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
_Noreturn void test_skip(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

#define FAIL(...)	test_fail(__FILE__, __LINE__, __VA_ARGS__)
#define SKIP(...)	test_skip(__VA_ARGS__)

#define ASSERT(condition)							\
	do {									\
		if (!(condition))						\
			FAIL("%s", #condition);					\
	} while (0)

#define ASSERT_EQ(got, want)							\
	do {									\
		unsigned long long got_ = (unsigned long long)(got);		\
		unsigned long long want_ = (unsigned long long)(want);		\
		if (got_ != want_)						\
			FAIL("%s is %#llx, not %s (%#llx)", #got, got_, #want,	\
			     want_);						\
	} while (0)

/* A call that returns 0 or -errno. */
#define ASSERT_RET(call, want)							\
	do {									\
		long got_ = (call);						\
		long want_ = (want);						\
		if (got_ != want_)						\
			FAIL("%s returned %s, not %s", #call, ret_name(got_),	\
			     ret_name(want_));					\
	} while (0)

#define ASSERT_OK(call)	ASSERT_RET(call, 0)

/* "0", "-EINVAL (Invalid argument)"; valid until called a few times more. */
const char *ret_name(long ret);

#endif /* CONFORMANCE_HARNESS_H */
