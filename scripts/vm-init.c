// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The first process of the virtual machine that scripts/vm-run boots.
 *
 * Runs the jobs listed in /vm/jobs one after the other and reports over the
 * terminal device that is its argument in frames: a type byte, a 32-bit little-endian length and
 * that many bytes. What a job leaves running is killed before the next starts.
 * gmem/vm.py is the other end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <linux/kvm.h>
#include <poll.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define JOBS		"/vm/jobs"
#define PULLS		"/vm/pull"
#define CHUNK		4096
#define DRAIN_MS	1000

struct job {
	unsigned int uid;
	unsigned int timeout_s;		/* 0: none */
	unsigned int columns;		/* of a terminal; 0: pipes */
	const char *command;
};

static int control = -1;

static void stop(void)
{
	/* QEMU runs with -no-reboot; unlike power-off this needs no ACPI. */
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}

__attribute__((format(printf, 1, 2)))
static void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "vm-init: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	stop();
}

static void write_all(int fd, const void *data, size_t bytes)
{
	const char *next = data;

	while (bytes) {
		ssize_t n = write(fd, next, bytes);

		if (n < 0) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			fail("control channel: %m");
		}
		next += n;
		bytes -= (size_t)n;
	}
}

static void send_frame(char type, const void *data, uint32_t bytes)
{
	unsigned char head[5] = {
		(unsigned char)type, bytes & 0xff, bytes >> 8 & 0xff,
		bytes >> 16 & 0xff, bytes >> 24 & 0xff,
	};

	write_all(control, head, sizeof(head));
	write_all(control, data, bytes);
}

static void mount_at(const char *type, const char *where, const char *options)
{
	mkdir(where, 0755);
	/* A kernel of somebody's own may lack a type; what needs it will say so. */
	if (mount(type, where, type, 0, options))
		fprintf(stderr, "vm-init: mount %s on %s: %m\n", type, where);
}

static void write_setting(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	write_all(fd, value, strlen(value));
	close(fd);
}

static void set_up(const char *device)
{
	struct termios mode;

	mount_at("proc", "/proc", NULL);
	mount_at("sysfs", "/sys", NULL);
	mount_at("devtmpfs", "/dev", NULL);
	mount_at("devpts", "/dev/pts", "ptmxmode=0666,mode=0620");
	mount_at("tmpfs", "/dev/shm", "mode=1777");
	mount_at("tmpfs", "/tmp", "mode=1777");
	mount_at("debugfs", "/sys/kernel/debug", NULL);
	mount_at("cgroup2", "/sys/fs/cgroup", NULL);
	symlink("/proc/self/fd", "/dev/fd");
	chmod("/dev/kvm", 0666);
	/* A busy host must not look like a lockup in here. */
	write_setting("/proc/sys/kernel/watchdog_thresh", "60");

	control = open(device, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (control < 0)
		fail("%s: %m", device);
	if (tcgetattr(control, &mode))
		fail("%s: %m", device);
	cfmakeraw(&mode);
	tcsetattr(control, TCSANOW, &mode);
}

/* A whole file with a NUL after it; NULL if it does not exist. */
static char *read_file(const char *path, size_t *bytes)
{
	struct stat info;
	char *data;
	FILE *file = fopen(path, "re");

	if (!file)
		return NULL;
	if (fstat(fileno(file), &info))
		fail("%s: %m", path);
	data = calloc(1, (size_t)info.st_size + 1);
	if (!data)
		fail("%s: out of memory", path);
	*bytes = fread(data, 1, (size_t)info.st_size, file);
	fclose(file);
	return data;
}

/* A VM may have to be there all the time: gmem/arch.py knows why. */
static void hold_vm(void)
{
	int kvm, vm = -1;

	if (!getenv("GMEM_HOLD_VM"))
		return;
	unsetenv("GMEM_HOLD_VM");
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm >= 0) {
		vm = ioctl(kvm, KVM_CREATE_VM, 0);
		if (vm < 0)
			fprintf(stderr, "vm-init: no VM to hold: %m\n");
		close(kvm);
	}
	/* A kernel without KVM has nothing to be saved from. */
	if (vm >= 0)
		fcntl(vm, F_SETFD, FD_CLOEXEC);
}

/* The machine's first processors may have to be spared: gmem/arch.py knows why. */
static void spare_cpus(void)
{
	const char *spared = getenv("GMEM_SPARE_CPUS");
	cpu_set_t set;

	if (!spared || sched_getaffinity(0, sizeof(set), &set))
		return;
	for (int cpu = 0; cpu < atoi(spared); cpu++)
		CPU_CLR(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		_exit(126);
	unsetenv("GMEM_SPARE_CPUS");
}

/* Runs in the child. */
static void become_job(const struct job *job)
{
	int null = open("/dev/null", O_RDONLY);

	if (!job->columns)
		dup2(null, STDIN_FILENO);
	if (job->uid && (setgroups(0, NULL) || setgid(job->uid) || setuid(job->uid)))
		_exit(126);
	if (chdir("/tmp"))
		_exit(126);
	spare_cpus();
	setenv("PATH", "/vm/bin:/bin:/usr/bin:/sbin", 1);
	setenv("HOME", "/tmp", 1);
	setenv("TERM", job->columns ? "xterm" : "dumb", 1);
	setenv("GMEM_VM", "1", 1);
	execl("/bin/sh", "sh", "-c", job->command, (char *)NULL);
	dprintf(STDERR_FILENO, "vm-init: /bin/sh: %s\n", strerror(errno));
	_exit(127);
}

static pid_t start_on_terminal(const struct job *job, int output[2])
{
	struct winsize size = { .ws_row = 40,
				.ws_col = (unsigned short)job->columns };
	pid_t child = forkpty(&output[0], NULL, NULL, &size);

	if (!child)
		become_job(job);
	output[1] = -1;
	return child;
}

static pid_t start_on_pipes(const struct job *job, int output[2])
{
	int out[2], err[2];
	pid_t child;

	if (pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
		fail("pipe: %m");
	child = fork();
	if (!child) {
		setsid();
		dup2(out[1], STDOUT_FILENO);
		dup2(err[1], STDERR_FILENO);
		become_job(job);
	}
	close(out[1]);
	close(err[1]);
	output[0] = out[0];
	output[1] = err[0];
	return child;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

/* Forward what is there. Return: false once both streams have ended. */
static bool forward(int output[2], int wait_ms)
{
	struct pollfd polls[2] = {
		{ .fd = output[0], .events = POLLIN },
		{ .fd = output[1], .events = POLLIN },
	};
	char data[CHUNK];

	if (output[0] < 0 && output[1] < 0)
		return false;
	if (poll(polls, 2, wait_ms) <= 0)
		return true;
	for (int i = 0; i < 2; i++) {
		ssize_t n;

		if (output[i] < 0 || !polls[i].revents)
			continue;
		n = read(output[i], data, sizeof(data));
		if (n > 0) {
			send_frame(i ? 'E' : 'O', data, (uint32_t)n);
		} else if (n == 0 || errno != EINTR) {
			close(output[i]);
			output[i] = -1;
		}
	}
	return true;
}

/* Return: the wait status, or -1 when the job's time was up. */
static int run_job(const struct job *job)
{
	int64_t deadline = job->timeout_s ? now_ms() + job->timeout_s * 1000ll :
					    INT64_MAX;
	int output[2], status = 0;
	bool ended = false, late = false;
	int64_t drain_end;
	pid_t child;

	child = job->columns ? start_on_terminal(job, output) :
			       start_on_pipes(job, output);
	if (child < 0)
		fail("fork: %m");
	while (!ended) {
		pid_t pid;

		if (!forward(output, 20))
			usleep(2000);
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
			if (pid == child) {
				ended = true;
				break;
			}
		if (!ended && now_ms() > deadline) {
			late = true;
			write_setting("/proc/sysrq-trigger", "w");
			break;
		}
	}
	kill(-1, SIGKILL);
	drain_end = now_ms() + DRAIN_MS;
	while (now_ms() < drain_end && forward(output, 20))
		;
	for (int i = 0; i < 2; i++)
		if (output[i] >= 0)
			close(output[i]);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	return late ? -1 : status;
}

static void send_file(const char *path)
{
	char data[CHUNK];
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	send_frame('F', path, (uint32_t)strlen(path));
	while ((n = read(fd, data, sizeof(data))) > 0)
		send_frame('D', data, (uint32_t)n);
	close(fd);
}

static void send_files(void)
{
	size_t bytes;
	char *patterns = read_file(PULLS, &bytes);

	if (!patterns)
		return;
	for (char *p = patterns; p < patterns + bytes; p += strlen(p) + 1) {
		glob_t found;

		if (glob(p, 0, NULL, &found))
			continue;
		for (size_t i = 0; i < found.gl_pathc; i++)
			send_file(found.gl_pathv[i]);
		globfree(&found);
	}
}

static char *next_field(char **cursor, const char *end)
{
	char *field = *cursor;

	if (field >= end)
		fail("%s: truncated", JOBS);
	*cursor += strlen(field) + 1;
	return field;
}

int main(int argc, char **argv)
{
	size_t bytes;
	char *jobs, *cursor;

	if (argc != 2)
		fail("%d arguments, not the name of a device", argc - 1);
	set_up(argv[1]);
	hold_vm();
	jobs = read_file(JOBS, &bytes);
	if (!jobs)
		fail("%s: %m", JOBS);
	send_frame('H', "gmem-vm 1", 9);
	for (cursor = jobs; cursor < jobs + bytes;) {
		const char *end = jobs + bytes;
		struct job job = {
			.uid = (unsigned int)atoi(next_field(&cursor, end)),
			.timeout_s = (unsigned int)atoi(next_field(&cursor, end)),
			.columns = (unsigned int)atoi(next_field(&cursor, end)),
			.command = next_field(&cursor, end),
		};
		char report[32];
		int status;

		send_frame('S', "", 0);
		status = run_job(&job);
		snprintf(report, sizeof(report), "%d", status);
		send_frame('X', report, (uint32_t)strlen(report));
	}
	send_files();
	send_frame('Z', "", 0);
	tcdrain(control);
	stop();
	return 0;
}
