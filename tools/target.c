// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * Which engine and which platform a command works on, and what to say where there
 * is none.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "gmemctl.h"

#define REMEDY	", take --engine=emu, or run 'make demo ENGINE=kernel', which brings a " \
		"kernel that can and boots it in QEMU"

const char *errno_word(int ret)
{
	const char *name;

	if (!ret)
		return "ok";
	name = strerrorname_np(-ret);
	return name ? name : "?";
}

static bool parse_engine(struct target *target, const char *text)
{
	if (!strcmp(text, "emu"))
		target->kind = GMEM_ENGINE_EMU;
	else if (!strcmp(text, "kernel"))
		target->kind = GMEM_ENGINE_KERNEL;
	else
		return false;
	return true;
}

static bool parse_platform(struct target *target, const char *text)
{
	target->all = !strcmp(text, "all");
	if (target->all)
		return true;
	for (uint32_t i = GMEM_VM_SW; i < GMEM_VM_NR_PLATFORMS; i++) {
		if (!strcmp(text, gmem_platform_name(i))) {
			target->platform = i;
			return true;
		}
	}
	return false;
}

bool target_option(struct target *target, int opt, const char *text)
{
	if (opt == OPT_ENGINE ? parse_engine(target, text) :
				parse_platform(target, text))
		return true;
	fprintf(stderr, "gmemctl: '%s' is no %s\n", text,
		opt == OPT_ENGINE ? "engine: emu or kernel" :
				    "platform: sw, pkvm, snp, tdx or all");
	return false;
}

/* Why an engine does not open is said in a sentence of our own, with a remedy. */
static bool engine_opened;

static void print_log(void *opaque, int level, const char *message)
{
	(void)opaque;
	if (level == GMEM_LOG_ERROR && engine_opened)
		fprintf(stderr, "gmemctl: %s\n", message);
}

void quiet_log(void)
{
	engine_opened = false;
}

static int open_kind(uint32_t kind, struct gmem_engine **enginep)
{
	struct gmem_engine_options options = {
		.size = sizeof(options), .kind = kind, .log = print_log,
	};

	return gmem_engine_open(&options, enginep);
}

/* The best engine, unless it is a kernel without this platform. */
static int open_any(const struct target *target, struct gmem_engine **enginep)
{
	struct gmem_caps caps = { .size = sizeof(caps) };
	int ret;

	ret = open_kind(GMEM_ENGINE_ANY, enginep);
	if (ret || target->all)
		return ret;
	ret = gmem_engine_caps(*enginep, target->platform, &caps);
	if (!ret && caps.convert)
		return 0;
	gmem_engine_close(*enginep);
	*enginep = NULL;
	return open_kind(GMEM_ENGINE_EMU, enginep);
}

int target_arguments(int argc, char **argv, struct target *target, bool *json,
		     void (*usage)(FILE *to))
{
	static const struct option options[] = {
		TARGET_OPTIONS,
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int opt;

	while ((opt = getopt_long(argc, argv, TARGET_SHORT "jh", options, NULL)) != -1) {
		switch (opt) {
		case OPT_ENGINE:
		case OPT_PLATFORM:
			if (!target_option(target, opt, optarg))
				return STATUS_UNAVAILABLE;
			break;
		case 'j':
			*json = true;
			break;
		case 'h':
			usage(stdout);
			return -1;
		default:
			usage(stderr);
			return STATUS_UNAVAILABLE;
		}
	}
	if (optind != argc) {
		usage(stderr);
		return STATUS_UNAVAILABLE;
	}
	return STATUS_OK;
}

int open_engine(const struct target *target, struct gmem_engine **enginep)
{
	int ret;

	engine_opened = false;
	if (target->kind == GMEM_ENGINE_ANY)
		ret = open_any(target, enginep);
	else
		ret = open_kind(target->kind, enginep);
	switch (ret) {
	case 0:
		engine_opened = true;
		return STATUS_OK;
	case -ENOENT:
	case -ENODEV:
		fputs("gmemctl: this machine has no KVM (/dev/kvm): " KVM_NEEDS REMEDY
		      ".\n", stderr);
		return STATUS_UNAVAILABLE;
	case -EACCES:
	case -EPERM:
		fputs("gmemctl: /dev/kvm is not yours to open: run as root, join "
		      "the group 'kvm', or take --engine=emu.\n", stderr);
		return STATUS_UNAVAILABLE;
	default:
		fprintf(stderr, "gmemctl: the engine does not open: %s\n", strerror(-ret));
		return STATUS_FAILED;
	}
}

int report_unavailable(const struct gmem_engine *engine, const struct gmem_caps *caps)
{
	const char *platform = gmem_platform_name(caps->platform);

	if (strcmp(gmem_engine_name(engine), "kernel"))
		fprintf(stderr, "gmemctl: emu does not model '%s'.\n", platform);
	else if (!caps->vm_available)
		fprintf(stderr, "gmemctl: KVM cannot create a VM of type '%s' here: boot "
			"a kernel " OWN_PLATFORM_NEEDS REMEDY ".\n", platform);
	else
		fprintf(stderr, "gmemctl: this kernel does not convert memory of a VM of "
			"type '%s' in place: boot one from 'make kernel'" REMEDY ".\n",
			platform);
	return STATUS_UNAVAILABLE;
}

static int worst(int a, int b)
{
	return a == STATUS_FAILED || b == STATUS_FAILED ? STATUS_FAILED :
	       a > b ? a : b;
}

int for_each_target(const struct target *target,
		    int (*run)(const struct target *one, void *opaque), void *opaque)
{
	struct target one = *target;
	struct gmem_engine *engine;
	struct gmem_caps caps;
	int status = STATUS_OK;
	bool any = false;

	if (!target->all)
		return run(target, opaque);
	status = open_engine(target, &engine);
	if (status)
		return status;
	one.all = false;
	one.kind = strcmp(gmem_engine_name(engine), "kernel") ? GMEM_ENGINE_EMU :
							       GMEM_ENGINE_KERNEL;
	for (one.platform = GMEM_VM_SW; one.platform < GMEM_VM_NR_PLATFORMS;
	     one.platform++) {
		caps = (struct gmem_caps){ .size = sizeof(caps) };
		if (gmem_engine_caps(engine, one.platform, &caps) || !caps.convert)
			continue;
		any = true;
		status = worst(status, run(&one, opaque));
	}
	if (!any) {
		caps = (struct gmem_caps){ .size = sizeof(caps) };
		gmem_engine_caps(engine, OWN_PLATFORM, &caps);
		status = report_unavailable(engine, &caps);
	}
	gmem_engine_close(engine);
	return status;
}
