// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * A hostile VMM: threads that do anything that a process may do to VMs, to files that
 * convert in place and to their memory, in any order and at any moment.
 *
 * Nothing is expected of any answer.  The kernel must not warn (who runs this looks
 * at its log), nothing may hang, and after each round, when all its processes are
 * gone, the kernel must have got back what it gave: see leaks.c.  Of the guests some are
 * honest, and what they do not share must never be seen: see honest.c.
 *
 * A round is a process and what it forks.  Most rounds end by SIGKILL.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/kvm.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hostile.h"

#define NR_THREADS	4
#define WARM_UP_ROUNDS	2
#define HANG_S		90

static uint64_t round_seed;
static struct tally *tally;
static bool stop;

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- a round ---- */

static void *hostile_thread(void *opaque)
{
	random_seed(round_seed + (uintptr_t)opaque);
	act_until(&stop, honest_first() ? act_create_honest_machine : act_create_machine,
		  act_once);
	return NULL;
}

static void start_thread(pthread_t *thread)
{
	static uintptr_t started;

	if (pthread_create(thread, NULL, hostile_thread, (void *)++started)) {
		fprintf(stderr, "hostile: cannot create a thread\n");
		_exit(3);
	}
}

static void kick_threads(pthread_t *threads, unsigned int lifetime_ms)
{
	const uint64_t end = now_ms() + lifetime_ms;

	while (now_ms() < end) {
		unsigned int i = (unsigned int)below(NR_THREADS);

		usleep(1000 * (unsigned int)below(20));
		pthread_kill(threads[i], one_in(32) ? KILL_SIGNAL : KICK_SIGNAL);
		if (!pthread_tryjoin_np(threads[i], NULL))
			start_thread(&threads[i]);
	}
}

/* All are kicked, for one may wait for another's KVM_RUN to end. */
static void end_threads(const pthread_t *threads)
{
	bool ended[NR_THREADS] = { false };
	unsigned int left = NR_THREADS;

	while (left) {
		for (unsigned int i = 0; i < NR_THREADS; i++) {
			if (ended[i])
				continue;
			pthread_kill(threads[i], KICK_SIGNAL);
			ended[i] = !pthread_tryjoin_np(threads[i], NULL);
			left -= ended[i];
		}
		usleep(1000);
	}
}

_Noreturn static void run_round(enum platform platform, unsigned int lifetime_ms)
{
	pthread_t threads[NR_THREADS];

	random_seed(round_seed);
	world_open();
	acts_open(platform, lifetime_ms, tally);
	for (unsigned int i = 0; i < NR_THREADS; i++)
		start_thread(&threads[i]);
	kick_threads(threads, lifetime_ms);
	if (!one_in(3))
		raise(SIGKILL);

	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	end_threads(threads);
	_exit(0);
}

/* ---- all rounds ---- */

static void show_blocked_tasks(void)
{
	int fd = open("/proc/sysrq-trigger", O_WRONLY);

	if (fd >= 0 && write(fd, "w", 1) != 1)
		perror("hostile: sysrq");
	close(fd);
}

/* All children and theirs end, in good time, @child in a way that we know. */
static bool all_end(pid_t child, unsigned int lifetime_ms)
{
	const uint64_t end = now_ms() + 2 * lifetime_ms + HANG_S * 1000;
	bool good = true;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) >= 0) {
		if (pid == child && status &&
		    !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)) {
			printf("# the round's process ended with status %#x\n", status);
			good = false;
		}
		if (pid)
			continue;
		if (now_ms() > end) {
			printf("# hangs: not all processes have ended\n");
			show_blocked_tasks();
			kill(child, SIGKILL);
			return false;
		}
		usleep(10000);
	}
	return good;
}

/* For a test of the test: something that nobody closes. */
static void leave_a_file_behind(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int vm = ioctl(kvm, KVM_CREATE_VM, 0);

	if (vm < 0 || fcntl(kvm, F_GETFD) < 0)
		exit(3);
}

static bool round_passes(enum platform platform, uint64_t seed)
{
	unsigned int lifetime_ms;
	pid_t child;

	round_seed = seed;
	random_seed(seed);
	lifetime_ms = 500 + (unsigned int)below(5000);
	fflush(stdout);
	child = fork();
	if (!child)
		run_round(platform, lifetime_ms);
	if (child < 0 || !all_end(child, lifetime_ms))
		return false;
	if (tally->secrets)
		printf("# secrets of honest guests were seen %lu times\n", tally->secrets);
	return leaks_settled() && !tally->secrets;
}

static bool did_something(enum platform platform)
{
	printf("# %lu runs of vCPUs, %lu requests of guests, %lu conversions, %lu refused, "
	       "%lu faults, %lu honest guests\n", tally->runs, tally->requests,
	       tally->conversions, tally->refusals, tally->faults, tally->honest);
	return tally->runs && tally->requests && tally->conversions && tally->refusals &&
	       tally->faults && (tally->honest || platform != PLATFORM_PKVM);
}

static int usage(FILE *stream)
{
	fprintf(stream, "usage: hostile [--platform sw|pkvm|plain] [--seconds N] [--seed N] "
		"[--leak] [--betray]\n\n"
		"--leak leaves a VM behind, and by --betray honest guests share a page too\n"
		"many; both have to be noticed.\n");
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "platform", required_argument, NULL, 'p' },
		{ "seconds", required_argument, NULL, 's' },
		{ "seed", required_argument, NULL, 'r' },
		{ "leak", no_argument, NULL, 'l' },
		{ "betray", no_argument, NULL, 'b' },
		{ }
	};
	static const char *const platforms[] = { "sw", "pkvm", "plain" };
	unsigned int platform = PLATFORM_SW, rounds = 0;
	uint64_t seed = 1, end;
	bool leak = false, good = true;
	int seconds = 10, c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (c) {
		case 'p':
			for (platform = 0; platform < 3; platform++)
				if (!strcmp(optarg, platforms[platform]))
					break;
			break;
		case 's':
			seconds = atoi(optarg);
			break;
		case 'r':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 'l':
			leak = true;
			break;
		case 'b':
			honest_betray();
			break;
		default:
			return usage(stderr);
		}
	}
	if (optind != argc || platform > PLATFORM_PLAIN || seconds < 1)
		return usage(stderr);

	tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (tally == MAP_FAILED)
		return 3;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	leaks_begin();
	if (leak)
		leave_a_file_behind();
	end = now_ms() + (uint64_t)seconds * 1000;
	while (good && now_ms() < end) {
		good = round_passes(platform, seed);
		if (!good)
			printf("# round %u, seed %llu\n", rounds, (unsigned long long)seed);
		seed++;
		if (++rounds == WARM_UP_ROUNDS)
			leaks_mark();
	}
	good = did_something(platform) && good;
	if (good && rounds > WARM_UP_ROUNDS)
		good = leaks_since_mark();
	printf("%s 1 - %u rounds of a hostile VMM on %s\n1..1\n", good ? "ok" : "not ok",
	       rounds, platforms[platform]);
	return good ? 0 : 1;
}
