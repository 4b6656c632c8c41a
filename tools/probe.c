// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * gmemctl probe: the capabilities of every VM type, decoded.
 */
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <json-c/json.h>

#include "gmemctl.h"

#define NR_POLICIES	4

#define PROBE_TARGET_USAGE						\
	"  -E, --engine=NAME     emu or kernel (kernel if /dev/kvm converts in place,\n" \
	"                        else emu)\n"				\
	"  -P, --platform=NAME   only sw, pkvm, snp or tdx (all)\n"

static const struct {
	uint64_t flag;
	const char *name;
} file_flags[] = {
	{ GUEST_MEMFD_FLAG_MMAP, "MMAP" },
	{ GUEST_MEMFD_FLAG_INIT_SHARED, "INIT_SHARED" },
	{ GUEST_MEMFD_FLAG_IN_PLACE, "IN_PLACE" },
};

#define NR_FILE_FLAGS	(sizeof(file_flags) / sizeof(file_flags[0]))

static void usage(FILE *to)
{
	fputs("Usage: gmemctl probe [OPTION]...\n"
	      "Tell what the engine offers for each VM type.\n\n"
	      PROBE_TARGET_USAGE
	      "  -j, --json            machine-readable\n"
	      "  -h, --help            this text\n\n"
	      "Exit status: 0 some VM type converts in place; 2 none does.\n", to);
}

static int read_all(struct gmem_engine *engine, struct gmem_caps *all)
{
	int ret;

	for (uint32_t i = 0; i < GMEM_VM_NR_PLATFORMS; i++) {
		all[i].size = sizeof(all[i]);
		ret = gmem_engine_caps(engine, i, &all[i]);
		if (ret) {
			fprintf(stderr, "gmemctl: %s: %s\n", gmem_platform_name(i),
				strerror(-ret));
			return STATUS_FAILED;
		}
	}
	return STATUS_OK;
}

static json_object *policy_array(uint32_t policies)
{
	json_object *array = json_object_new_array();

	for (uint32_t i = 0; i < NR_POLICIES; i++) {
		if (policies >> i & 1)
			json_object_array_add(array,
				json_object_new_string(gmem_policy_name(i)));
	}
	return array;
}

static json_object *platform_object(const struct gmem_caps *caps)
{
	json_object *object = json_object_new_object();
	json_object *flags = json_object_new_array();

	for (size_t i = 0; i < NR_FILE_FLAGS; i++) {
		if (caps->file_flags & file_flags[i].flag)
			json_object_array_add(flags,
				json_object_new_string(file_flags[i].name));
	}
	json_object_object_add(object, "platform",
		json_object_new_string(gmem_platform_name(caps->platform)));
	json_object_object_add(object, "vm", json_object_new_boolean(caps->vm_available));
	json_object_object_add(object, "guest_memfd",
			       json_object_new_boolean(caps->guest_memfd));
	json_object_object_add(object, "guest_memfd_flags", flags);
	json_object_object_add(object, "converts_in_place",
			       json_object_new_boolean(caps->convert));
	json_object_object_add(object, "to_shared", policy_array(caps->to_shared));
	json_object_object_add(object, "to_private", policy_array(caps->to_private));
	json_object_object_add(object, "zero_to_shared_only_scrubs",
			       json_object_new_boolean(caps->scrubs_to_shared));
	json_object_object_add(object, "zero_to_private_only_scrubs",
			       json_object_new_boolean(caps->scrubs_to_private));
	return object;
}

static bool is_wanted(const struct target *target, uint32_t platform)
{
	return target->all || target->platform == platform;
}

static void print_json(struct gmem_engine *engine, const struct utsname *uts,
		       const struct gmem_caps *all, const struct target *target)
{
	json_object *root = json_object_new_object();
	json_object *platforms = json_object_new_array();

	json_object_object_add(root, "engine",
			       json_object_new_string(gmem_engine_name(engine)));
	json_object_object_add(root, "kernel", json_object_new_string(uts->release));
	for (uint32_t i = 0; i < GMEM_VM_NR_PLATFORMS; i++) {
		if (is_wanted(target, i))
			json_object_array_add(platforms, platform_object(&all[i]));
	}
	json_object_object_add(root, "platforms", platforms);
	puts(json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY |
					    JSON_C_TO_STRING_SPACED));
	json_object_put(root);
}

static void format_policies(char *text, size_t size, uint32_t policies, bool scrubs)
{
	size_t used = 0;

	snprintf(text, size, "-");
	for (uint32_t i = 0; i < NR_POLICIES; i++) {
		if (!(policies >> i & 1))
			continue;
		used += (size_t)snprintf(text + used, size - used, "%s%s%s",
					 used ? " " : "", gmem_policy_name(i),
					 !i && scrubs ? "(scrubs)" : "");
	}
}

static void print_table(struct gmem_engine *engine, const struct utsname *uts,
			const struct gmem_caps *all, const struct target *target)
{
	printf("engine %s, Linux %s\n\n", gmem_engine_name(engine), uts->release);
	printf("%-9s %-4s %-12s %-9s %-27s %s\n", "VM type", "VM", "guest_memfd",
	       "in place", "policies to shared", "policies to private");
	for (uint32_t i = 0; i < GMEM_VM_NR_PLATFORMS; i++) {
		const struct gmem_caps *caps = &all[i];
		char shared[80], private[80], memfd[40] = "-";

		if (!is_wanted(target, i))
			continue;
		if (caps->guest_memfd)
			snprintf(memfd, sizeof(memfd), "%s",
				 caps->file_flags & GUEST_MEMFD_FLAG_MMAP ?
				 "mappable" : "yes");
		format_policies(shared, sizeof(shared), caps->to_shared,
				caps->scrubs_to_shared);
		format_policies(private, sizeof(private), caps->to_private,
				caps->scrubs_to_private);
		printf("%-9s %-4s %-12s %-9s %-27s %s\n", gmem_platform_name(i),
		       caps->vm_available ? "yes" : "-", memfd,
		       caps->convert ? "yes" : "-", shared, private);
	}
}

static int conclude(const struct gmem_engine *engine, const struct gmem_caps *all,
		    const struct target *target)
{
	for (uint32_t i = 0; i < GMEM_VM_NR_PLATFORMS; i++) {
		if (all[i].convert && is_wanted(target, i))
			return STATUS_OK;
	}
	return report_unavailable(engine, &all[target->all ? OWN_PLATFORM :
					   target->platform]);
}

int cmd_probe(int argc, char **argv)
{
	struct target target = { .kind = GMEM_ENGINE_ANY, .all = true };
	struct gmem_caps all[GMEM_VM_NR_PLATFORMS] = { 0 };
	struct gmem_engine *engine;
	struct utsname uts;
	bool json = false;
	int status;

	status = target_arguments(argc, argv, &target, &json, usage);
	if (status)
		return status < 0 ? STATUS_OK : status;

	status = open_engine(&target, &engine);
	if (status)
		return status;
	uname(&uts);
	status = read_all(engine, all);
	if (!status) {
		if (json)
			print_json(engine, &uts, all, &target);
		else
			print_table(engine, &uts, all, &target);
		fflush(stdout);
		status = conclude(engine, all, &target);
	}
	gmem_engine_close(engine);
	return status;
}
