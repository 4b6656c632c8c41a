// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * What the kernel tells of conversions: the tracepoint kvm_gmem_convert, and the VM's
 * statistics.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "env.h"

#define TRACEFS		"/sys/kernel/tracing"
#define EVENT		"kvm_gmem_convert"

/* ---- the tracepoint ---- */

/* A ring buffer of this test's own. */
static char instance[] = TRACEFS "/instances/gmem-0000000000";

static void write_trace_file(const char *name, const char *text)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", instance, name);
	fd = open(path, O_WRONLY | O_TRUNC);
	if (fd < 0)
		FAIL("%s: %s", path, ret_name(-errno));
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		FAIL("%s to %s: %s", text, path, ret_name(-errno));
	close(fd);
}

static void trace_start(void)
{
	if (mount("tracefs", TRACEFS, "tracefs", 0, NULL) && errno != EBUSY)
		SKIP("tracefs: %s", ret_name(-errno));
	snprintf(instance, sizeof(instance), TRACEFS "/instances/gmem-%d", getpid());
	if (mkdir(instance, 0700))
		SKIP("%s: %s", instance, ret_name(-errno));
	write_trace_file("events/kvm/" EVENT "/enable", "1");
}

/* A failing test leaves its instance behind, which nobody minds. */
static FILE *trace_stop(void)
{
	char path[PATH_MAX];
	FILE *trace;

	write_trace_file("events/kvm/" EVENT "/enable", "0");
	snprintf(path, sizeof(path), "%s/trace", instance);
	trace = fopen(path, "r");
	if (!trace)
		FAIL("%s: %s", path, ret_name(-errno));
	return trace;
}

static void trace_end(FILE *trace)
{
	fclose(trace);
	if (rmdir(instance))
		FAIL("%s: %s", instance, ret_name(-errno));
}

struct event {
	uint64_t page;
	uint64_t nr_pages;
	const char *to;
	const char *policy;
	int result;
	uint64_t pages;
	uint64_t error_page;
};

/* The next event on the file is this one, or there is none for NULL. */
static void check_event(FILE *trace, struct env *env, const struct event *want,
			const char *test_file, int line)
{
	unsigned long long ino, offset, size, pages, error_offset, ns;
	char text[1024], to[32], policy[32], *found;
	unsigned int major, minor;
	struct stat stat;
	int result;

	ASSERT(!fstat(gmem_file_fd(env->file), &stat));
	do {
		do {
			if (!fgets(text, sizeof(text), trace)) {
				if (want)
					test_fail(test_file, line, "no event");
				return;
			}
			found = strstr(text, EVENT ": ");
		} while (!found);

		if (sscanf(found, EVENT ": dev %u:%u ino %llu offset 0x%llx size 0x%llx "
			   "to %31s policy %31s result %d pages %llu "
			   "error_offset 0x%llx ns %llu", &major, &minor, &ino, &offset,
			   &size, to, policy, &result, &pages, &error_offset, &ns) != 11)
			test_fail(test_file, line, "the event is: %s", found);
	} while (ino != stat.st_ino);

	if (!want)
		test_fail(test_file, line, "one event more: %s", found);
	if (major != stat.st_dev >> 8 || minor != (stat.st_dev & 0xff) ||
	    offset != want->page * PAGE || size != want->nr_pages * PAGE ||
	    strcmp(to, want->to) || strcmp(policy, want->policy) ||
	    result != want->result || pages != want->pages ||
	    error_offset != want->error_page * PAGE || !ns)
		test_fail(test_file, line, "the event is: %s", found);
}

#define ASSERT_EVENT(trace, env, ...) \
	check_event(trace, env, &(struct event) { __VA_ARGS__ }, __FILE__, __LINE__)
#define ASSERT_NO_EVENT(trace, env) \
	check_event(trace, env, NULL, __FILE__, __LINE__)

KERNEL_TEST(trace_tells_of_conversions)
{
	const char *keep;
	struct env env;
	FILE *trace;

	env_open(&env, variant, 8, IN_PLACE);
	ASSERT_OK(convert(&env, 7, 1, SHARED, ZERO));
	trace_start();
	ASSERT_OK(convert(&env, 0, 4, SHARED, ZERO));
	ASSERT_OK(convert(&env, 2, 6, PRIVATE, KEEP));
	ASSERT_OK(convert(&env, 2, 6, PRIVATE, KEEP));
	ASSERT_OK(convert(&env, 1, 2, SHARED, DESTROY));
	trace = trace_stop();
	ASSERT_OK(convert(&env, 1, 2, SHARED, ZERO));

	keep = gmem_policy_name(keep_policy(&env));
	ASSERT_EVENT(trace, &env, 0, 4, "shared", "ZERO", 0, 4, 0);
	ASSERT_EVENT(trace, &env, 2, 6, "private", keep, 0, 3, 0);
	ASSERT_EVENT(trace, &env, 2, 6, "private", keep, 0, 0, 0);
	ASSERT_EVENT(trace, &env, 1, 2, "shared", "DESTROY", 0, 2, 0);
	ASSERT_NO_EVENT(trace, &env);
	trace_end(trace);
}

KERNEL_TEST(trace_tells_of_refusals)
{
	struct kvm_memory_attributes2 args = {
		.size = 2 * PAGE, .attributes = 1ull << 63, .content_policy = 77,
	};
	struct env env;
	struct pin pin;
	FILE *trace;

	env_open(&env, variant, 8, IN_PLACE_SHARED);
	host_fill(&env, 0, 8, 0x100);
	trace_start();
	pin_pages(&pin, addr_of(&env, 5), PAGE);
	ASSERT_RET(convert(&env, 1, 7, PRIVATE, ZERO), -EAGAIN);
	unpin_pages(&pin);
	ASSERT_RET(convert(&env, 2, 2, PRIVATE, ENCRYPTED), -EOPNOTSUPP);
	ASSERT_RET(gmem_set_memory_attributes2(env.file, &args), -EINVAL);
	trace = trace_stop();

	ASSERT_EVENT(trace, &env, 1, 7, "private", "ZERO", -EAGAIN, 0, 5);
	ASSERT_EVENT(trace, &env, 2, 2, "private", "ENCRYPTED", -EOPNOTSUPP, 0, 2);
	ASSERT_EVENT(trace, &env, 0, 2, "0x8000000000000000", "0x4d", -EINVAL, 0, 0);
	ASSERT_NO_EVENT(trace, &env);
	trace_end(trace);
}

/* ---- the statistics ---- */

/* By the VM's statistics file; the whole of it is read anew. */
static uint64_t statistic(struct env *env, const char *name)
{
	struct kvm_stats_header header;
	unsigned char desc[sizeof(struct kvm_stats_desc) + 256];
	struct kvm_stats_desc *head = (void *)desc;
	uint64_t value;
	size_t bytes;
	int fd;

	fd = ioctl(gmem_vm_fd(env->vm), KVM_GET_STATS_FD, NULL);
	ASSERT(fd >= 0);
	ASSERT_EQ(pread(fd, &header, sizeof(header), 0), sizeof(header));
	bytes = sizeof(*head) + header.name_size;
	ASSERT(bytes <= sizeof(desc));
	for (uint32_t i = 0; i < header.num_desc; i++) {
		ASSERT_EQ(pread(fd, desc, bytes, header.desc_offset + i * bytes), bytes);
		if (strncmp((char *)desc + sizeof(*head), name, header.name_size))
			continue;
		ASSERT_EQ(head->size, 1);
		ASSERT_EQ(head->flags & KVM_STATS_TYPE_MASK, KVM_STATS_TYPE_CUMULATIVE);
		ASSERT_EQ(pread(fd, &value, sizeof(value),
				header.data_offset + head->offset), sizeof(value));
		close(fd);
		return value;
	}
	FAIL("the VM has no statistic %s", name);
}

struct statistics {
	uint64_t conversions;
	uint64_t failed;
	uint64_t pages_to_shared;
	uint64_t pages_to_private;
	uint64_t reference_waits;
};

static void check_statistics(struct env *env, struct statistics want,
			     const char *file, int line)
{
	struct statistics got = {
		.conversions = statistic(env, "gmem_conversions"),
		.failed = statistic(env, "gmem_conversions_failed"),
		.pages_to_shared = statistic(env, "gmem_pages_to_shared"),
		.pages_to_private = statistic(env, "gmem_pages_to_private"),
		.reference_waits = statistic(env, "gmem_reference_waits"),
	};

	if (memcmp(&got, &want, sizeof(got)))
		test_fail(file, line, "%llu conversions, %llu failed, %llu pages to shared, "
			  "%llu to private, %llu waits",
			  (unsigned long long)got.conversions,
			  (unsigned long long)got.failed,
			  (unsigned long long)got.pages_to_shared,
			  (unsigned long long)got.pages_to_private,
			  (unsigned long long)got.reference_waits);
}

#define ASSERT_STATISTICS(env, ...) \
	check_statistics(env, (struct statistics) { __VA_ARGS__ }, __FILE__, __LINE__)

KERNEL_TEST(statistics_count_conversions)
{
	struct iovec iovec;
	int pipe_fds[2];
	struct env env;
	struct pin pin;

	env_open(&env, variant, 8, IN_PLACE_SHARED);
	ASSERT_STATISTICS(&env, 0, 0, 0, 0, 0);
	ASSERT_OK(convert(&env, 0, 6, PRIVATE, ZERO));
	ASSERT_OK(convert(&env, 0, 6, PRIVATE, ZERO));
	ASSERT_OK(convert(&env, 4, 4, SHARED, KEEP));
	ASSERT_OK(convert(&env, 4, 4, SHARED, DESTROY));
	ASSERT_STATISTICS(&env, 4, 0, 6, 6, 0);

	ASSERT_OK(convert(&env, 4, 4, SHARED, ZERO));
	host_fill(&env, 4, 4, 0x100);
	ASSERT_STATISTICS(&env, 5, 0, 10, 6, 0);
	ASSERT_RET(convert(&env, 0, 8, SHARED, ENCRYPTED), -EOPNOTSUPP);
	ASSERT_RET(convert(&env, 0, 9, SHARED, ZERO), -EINVAL);
	ASSERT_STATISTICS(&env, 5, 2, 10, 6, 0);

	/* What might be let go of is waited for; a pin is refused at once. */
	ASSERT(!pipe(pipe_fds));
	iovec.iov_base = addr_of(&env, 6);
	iovec.iov_len = PAGE;
	ASSERT_EQ(vmsplice(pipe_fds[1], &iovec, 1, 0), PAGE);
	ASSERT_RET(convert(&env, 4, 4, PRIVATE, ZERO), -EAGAIN);
	ASSERT_STATISTICS(&env, 5, 3, 10, 6, 1);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	pin_pages(&pin, addr_of(&env, 5), PAGE);
	ASSERT_RET(convert(&env, 4, 4, PRIVATE, ZERO), -EAGAIN);
	ASSERT_STATISTICS(&env, 5, 4, 10, 6, 1);
}
