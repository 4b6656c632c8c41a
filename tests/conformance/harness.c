// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The runner: command line, one process for each test, TAP.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define ASAN
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define ASAN
#endif
#ifdef ASAN
#include <sanitizer/lsan_interface.h>
#endif

#define EXIT_TEST_FAILED	1
#define EXIT_TEST_SKIPPED	4
#define DEFAULT_TIMEOUT		120
#define TEST_FRAMES		(32 << 10)	/* bytes; more than variables of any test */

static struct test *tests, **tests_tail = &tests;
static int message_fd = -1;

static struct {
	const char *filter;
	const char *variant;
	unsigned int timeout;
	bool list;
	bool strict;
	FILE *tap;
} options = { .timeout = DEFAULT_TIMEOUT };

static struct {
	unsigned int number;
	unsigned int passed;
	unsigned int failed;
	unsigned int skipped;
} totals;

void test_register(struct test *test)
{
	*tests_tail = test;
	tests_tail = &test->next;
}

const char *ret_name(long ret)
{
	static _Thread_local char names[4][80];
	static _Thread_local unsigned int next;
	char *name = names[next++ % 4];

	if (ret < 0 && ret > -4096)
		snprintf(name, sizeof(names[0]), "-%s (%s)",
			 strerrorname_np((int)-ret) ?: "?", strerror((int)-ret));
	else
		snprintf(name, sizeof(names[0]), "%ld", ret);
	return name;
}

static void send_message(const char *message)
{
	ssize_t written = write(message_fd, message, strlen(message));

	(void)written;
}

_Noreturn void test_fail(const char *file, int line, const char *format, ...)
{
	char text[800], message[1000];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	snprintf(message, sizeof(message), "%s:%d: %s", file, line, text);
	send_message(message);
	_exit(EXIT_TEST_FAILED);
}

_Noreturn void test_skip(const char *format, ...)
{
	char message[1000];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	send_message(message);
	_exit(EXIT_TEST_SKIPPED);
}

static void tap(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	fflush(stdout);
	if (!options.tap)
		return;
	va_start(args, format);
	vfprintf(options.tap, format, args);
	va_end(args);
	fflush(options.tap);
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ll + ts.tv_nsec / 1000000;
}

/* Wait for the test's end, at most until the deadline; false: it hangs. */
static bool await_child(pid_t pid, int64_t deadline, int *status)
{
	while (waitpid(pid, status, WNOHANG) == 0) {
		if (now_ms() >= deadline)
			return false;
		usleep(2000);
	}
	return true;
}

static unsigned int timeout_of(const struct test *test)
{
	return test->timeout ? test->timeout : options.timeout;
}

static void report(const struct variant *variant, const struct test *test,
		   int status, bool hung, bool settled, char *message)
{
	const char *skip = "";
	bool ok = false;

	for (char *c = message; *c; c++) {
		if (*c == '\n' || *c == '#')
			*c = ' ';
	}

	totals.number++;
	if (!hung && settled && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		totals.passed++;
		ok = true;
	} else if (!hung && settled && WIFEXITED(status) &&
		   WEXITSTATUS(status) == EXIT_TEST_SKIPPED) {
		totals.skipped++;
		skip = " # SKIP ";
		ok = true;
	} else {
		totals.failed++;
	}

	tap("%s %u - %s %s%s%s\n", ok ? "ok" : "not ok", totals.number,
	    variant->name, test->name, skip, *skip ? message : "");
	if (ok)
		return;
	if (*message)
		tap("# %s\n", message);
	if (hung)
		tap("# no end after %u seconds\n", timeout_of(test));
	else if (WIFSIGNALED(status))
		tap("# %s: killed by signal %d (%s)\n", test->file,
		    WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (!settled)
		tap("# it left something behind\n");
}

#ifdef ASAN
/* Tests' variables have to be on the stack, see below; newer compilers move them. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_stack_use_after_return=0";
}

/*
 * A test ends by _exit(), past LeakSanitizer's own check, and keeps what it has: its
 * variables, dead by now, are the roots of that.  So lay this frame over theirs, and
 * leave it as it is.  Other threads are stopped by ptrace(); where that is forbidden,
 * or under a debugger, ASAN_OPTIONS=detect_leaks=0 omits the check.
 */
__attribute__((noinline, no_sanitize_address)) static bool memory_leaked(void)
{
	char frames[TEST_FRAMES];

	__asm__ volatile("" : : "r" (frames) : "memory");
	return __lsan_do_recoverable_leak_check();
}
#else
static bool memory_leaked(void)
{
	return false;
}
#endif

static void run_test(const struct variant *variant, const struct test *test)
{
	char message[1001] = "";
	int pipe_fds[2], status = 0;
	ssize_t length;
	bool ended;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK)) {
		perror("pipe");
		exit(EXIT_FAILURE);
	}
	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		perror("fork");
		exit(EXIT_FAILURE);
	}
	if (!pid) {
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		message_fd = pipe_fds[1];
		test->run(variant);
		if (memory_leaked())
			test_fail(test->file, 0, "memory was leaked, see stderr");
		_exit(0);
	}
	setpgid(pid, pid);
	close(pipe_fds[1]);

	ended = await_child(pid, now_ms() + timeout_of(test) * 1000ll, &status);
	/* Whatever the test left behind goes with it. */
	kill(-pid, SIGKILL);
	if (!ended)
		waitpid(pid, &status, 0);

	length = read(pipe_fds[0], message, sizeof(message) - 1);
	message[length > 0 ? length : 0] = 0;
	close(pipe_fds[0]);
	report(variant, test, status, !ended, !suite.settled || suite.settled(), message);
}

static bool selected(const struct variant *variant, const struct test *test)
{
	if (test->needs & variant->lacks)
		return false;
	if ((test->needs & NEEDS_KERNEL) && !variant->kernel)
		return false;
	if ((test->needs & NEEDS_ASKING) && !variant->guest_asks)
		return false;
	if ((test->needs & NEEDS_SNP) && variant->platform != GMEM_VM_SNP)
		return false;
	if ((test->needs & NEEDS_TDX) && variant->platform != GMEM_VM_TDX)
		return false;
	if (options.variant && fnmatch(options.variant, variant->name, 0))
		return false;
	return !options.filter || !fnmatch(options.filter, test->name, 0);
}

const char *why_no_vm(const struct variant *variant, bool converts)
{
	struct gmem_engine_options engine_options = {
		.size = sizeof(engine_options), .kind = variant->engine,
	};
	struct gmem_caps caps = { .size = sizeof(caps) };
	struct gmem_engine *engine;
	int ret;

	ret = gmem_engine_open(&engine_options, &engine);
	if (ret)
		return ret == -ENOENT ? "there is no /dev/kvm" :
		       "/dev/kvm cannot be opened";
	ret = gmem_engine_caps(engine, variant->platform, &caps);
	gmem_engine_close(engine);
	if (ret)
		return "KVM does not answer";
	if (!caps.vm_available)
		return "KVM cannot create such a VM";
	if (converts && !caps.convert)
		return "this kernel does not convert guest memory in place";
	return NULL;
}

static unsigned int count_tests(const struct variant *variant)
{
	unsigned int count = 0;

	for (struct test *test = tests; test; test = test->next)
		count += selected(variant, test);
	return count;
}

static void usage(FILE *to)
{
	fprintf(to, "Usage: %s [OPTION]...\n", program_invocation_short_name);
	fputs("Run tests on every engine and platform that is here.\n\n"
	      "  -l, --list            name the tests and end\n"
	      "  -f, --filter=GLOB     only tests whose name matches\n"
	      "  -v, --variant=GLOB    only variants such as kernel/sw\n"
	      "  -o, --tap=FILE        write TAP to FILE too\n"
	      "  -t, --timeout=SECONDS for tests that set none of their own (120)\n"
	      "  -s, --strict          a skipped test is a failure\n"
	      "  -h, --help            this text\n\n"
	      "Exit status: 0 tests passed and none failed; 1 a test failed; 2 nothing\n"
	      "could run, or wrong usage.\n", to);
}

static void parse_options(int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "list", no_argument, NULL, 'l' },
		{ "filter", required_argument, NULL, 'f' },
		{ "variant", required_argument, NULL, 'v' },
		{ "tap", required_argument, NULL, 'o' },
		{ "timeout", required_argument, NULL, 't' },
		{ "strict", no_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "lf:v:o:t:sh", long_options,
				  NULL)) != -1) {
		switch (opt) {
		case 'l':
			options.list = true;
			break;
		case 'f':
			options.filter = optarg;
			break;
		case 'v':
			options.variant = optarg;
			break;
		case 'o':
			options.tap = fopen(optarg, "we");
			if (!options.tap) {
				fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name,
					optarg, strerror(errno));
				exit(2);
			}
			break;
		case 't':
			options.timeout = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		case 's':
			options.strict = true;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			exit(2);
		}
	}
	if (optind != argc || !options.timeout) {
		usage(stderr);
		exit(2);
	}
}

static void list_tests(void)
{
	for (size_t i = 0; i < suite.nr_variants; i++) {
		for (struct test *test = tests; test; test = test->next) {
			if (selected(&suite.variants[i], test))
				printf("%s %s\n", suite.variants[i].name, test->name);
		}
	}
}

int main(int argc, char **argv)
{
	unsigned int planned = 0;

	parse_options(argc, argv);
	if (options.list) {
		list_tests();
		return 0;
	}

	for (size_t i = 0; i < suite.nr_variants; i++)
		planned += count_tests(&suite.variants[i]);
	if (!planned) {
		fprintf(stderr, "%s: no test has such a name or variant\n",
			program_invocation_short_name);
		return 2;
	}

	tap("TAP version 13\n");
	for (size_t i = 0; i < suite.nr_variants; i++) {
		const struct variant *variant = &suite.variants[i];
		const char *why;

		if (!count_tests(variant))
			continue;
		why = suite.begin(variant);
		if (why) {
			totals.skipped++;
			totals.number++;
			tap("ok %u - %s # SKIP %s\n", totals.number, variant->name, why);
			continue;
		}
		for (struct test *test = tests; test; test = test->next) {
			if (selected(variant, test))
				run_test(variant, test);
		}
	}
	tap("1..%u\n", totals.number);
	tap("# %u passed, %u failed, %u skipped\n", totals.passed, totals.failed,
	    totals.skipped);

	if (totals.failed || (options.strict && totals.skipped))
		return 1;
	return totals.passed ? 0 : 2;
}
