# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
"""Boots a kernel in QEMU, runs jobs in it, brings back what they said.

scripts/vm-init.c is the other end of the control channel.
"""

import dataclasses
import os
import pathlib
import select
import shutil
import socket
import struct
import subprocess
import tempfile
import time

from . import dmesg, initramfs, sysroot
from .arch import X86_64, Arch
from .cache import REPO, lock
from .console import Failure, die_with_parent, end_group

INIT_SOURCE = REPO / "scripts" / "vm-init.c"
INIT_DIR = REPO / "build" / "vm"
BUSYBOX = pathlib.Path("/bin/busybox")
HELLO = b"gmem-vm 1"
BOOT_TIMEOUT = 90.0


@dataclasses.dataclass
class Job:
    """One shell command line, and after the run what became of it."""

    name: str
    command: str
    uid: int = 0
    timeout: int = 0
    columns: int = 0
    stdout: bytearray = dataclasses.field(default_factory=bytearray)
    stderr: bytearray = dataclasses.field(default_factory=bytearray)
    status: int = None          # as a shell would say it; None: never ended
    timed_out: bool = False
    seconds: float = 0.0
    complaints: list = dataclasses.field(default_factory=list)


def default_accel(arch):
    """This machine's KVM may be asked for, but runs its own architecture only."""
    return os.environ.get("GMEM_VM_ACCEL", "tcg") if not arch.prefix else "tcg"


@dataclasses.dataclass
class Machine:
    """What QEMU emulates."""

    arch: Arch = X86_64
    accel: str = "tcg"
    cpus: int = 2
    memory: str = "2G"
    append: str = ""
    qemu: str = ""              # the architecture's own

    def command(self, kernel, initrd, console, control):
        accel = "tcg,thread=multi" if self.accel == "tcg" else self.accel
        model = self.arch.cpu if self.accel == "tcg" else "host"
        spare = self.arch.spare_cpus if self.accel == "tcg" else 0
        hold = "GMEM_HOLD_VM=1" if self.arch.hold_vm and self.accel == "tcg" else ""
        words = [f"console={self.arch.console}", "panic=-1", "oops=panic", "rdinit=/init",
                 "random.trust_cpu=on", "rcupdate.rcu_cpu_stall_timeout=120",
                 self.arch.append, self.append, f"GMEM_SPARE_CPUS={spare}", hold,
                 "--", self.arch.control]
        return [self.qemu or self.arch.qemu, "-nodefaults", "-no-user-config", "-display", "none",
                "-machine", self.arch.machine, "-accel", accel, "-cpu", model,
                "-smp", str(self.cpus + spare), "-m", self.memory, "-no-reboot",
                "-monitor", "none",
                "-kernel", str(kernel), "-initrd", str(initrd),
                "-append", " ".join(word for word in words if word),
                "-chardev", f"file,id=console,path={console}",
                "-serial", "chardev:console",
                "-chardev", f"socket,id=control,path={control}",
                *self.arch.control_device]


def build_init(arch):
    """Compile vm-init.c if it is newer than the program."""
    init = INIT_DIR / f"init-{arch.name}"
    with lock(INIT_DIR / "lock", "another build of vm-init"):
        if init.exists() and \
                init.stat().st_mtime > INIT_SOURCE.stat().st_mtime:
            return init
        new = init.with_name(f"{init.name}.new")
        run = subprocess.run(
            [f"{arch.prefix}gcc", "-static", "-O2", "-Wall", "-Wextra", "-o", str(new),
             str(INIT_SOURCE)], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False)
        if run.returncode:
            raise Failure(f"vm-init does not compile:\n{run.stdout}")
        os.replace(new, init)
        return init


def libraries_of(arch):
    """What tells initramfs the libraries that a program of arch needs."""
    if not arch.prefix:
        return initramfs.needed_libraries
    return lambda program: sysroot.needed_libraries(arch, program)


def find_busybox(arch):
    """A static busybox for arch."""
    if not arch.prefix:
        if not BUSYBOX.exists() or initramfs.needed_libraries(BUSYBOX):
            raise Failure(f"{BUSYBOX} is not there or not static (package "
                          "busybox-static)", 2)
        return BUSYBOX
    root = sysroot.find(arch)
    return next(path for path in (root / "bin" / "busybox",
                                  root / "usr" / "bin" / "busybox")
                if path.exists())


class Vm:
    """One boot."""

    def __init__(self, kernel, jobs, machine=None, timeout=300, echo=None):
        self.kernel = pathlib.Path(kernel)
        self.jobs = jobs
        self.machine = machine or Machine()
        self.timeout = timeout
        self.echo = echo            # called with (job, 1 or 2, bytes)
        self.pulls = []
        self.files = {}             # what was pulled: {path: bytearray}
        self.boot_seconds = None
        self.console = ""
        self.complaints = []
        arch = self.machine.arch
        self.image = initramfs.Initramfs(libraries_of(arch))
        if not shutil.which(self.machine.qemu or arch.qemu):
            raise Failure(f"{self.machine.qemu or arch.qemu} is not installed "
                          f"(package {arch.qemu_package})", 2)
        self.busybox = find_busybox(arch)

    def add_file(self, source, path):
        self.image.add_file(source, path)

    def _fill_image(self):
        self.image.add_file(build_init(self.machine.arch), "/init")
        self.image.add_file(self.busybox, "/bin/busybox")
        # The same package for another architecture has the same applets.
        run = subprocess.run([str(BUSYBOX), "--list"], stdout=subprocess.PIPE,
                             text=True, check=True)
        for applet in run.stdout.split():
            path = f"/bin/{applet}"
            if applet != "busybox" and path.strip("/") not in self.image.entries:
                self.image.add_link(path, "busybox")
        self.image.add_data("/etc/passwd",
                            b"root:x:0:0::/tmp:/bin/sh\n"
                            b"nobody:x:65534:65534::/tmp:/bin/sh\n")
        self.image.add_data("/etc/group", b"root:x:0:\nnogroup:x:65534:\n")
        listing = "".join(f"{job.uid}\0{job.timeout}\0{job.columns}\0"
                          f"{job.command}\0" for job in self.jobs)
        self.image.add_data("/vm/jobs", listing.encode())
        self.image.add_data("/vm/pull",
                            "".join(f"{p}\0" for p in self.pulls).encode())

    def run(self, console_log):
        """Boot, run all jobs, shut down; the console goes to console_log.

        Return: None, or a sentence that says what went wrong with the machine
        (not with a job).
        """
        console_log = pathlib.Path(console_log)
        console_log.parent.mkdir(parents=True, exist_ok=True)
        console_log.write_bytes(b"")
        self._fill_image()
        with tempfile.TemporaryDirectory(prefix="gmem-vm.") as name:
            work = pathlib.Path(name)
            initrd = work / "initrd"
            initrd.write_bytes(self.image.bytes())
            problem = self._run_qemu(work, initrd, console_log)
        self.console = console_log.read_text(encoding="utf-8", errors="replace")
        self._judge_console()
        return problem

    def _run_qemu(self, work, initrd, console_log):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(work / "control"))
        listener.listen(1)
        listener.settimeout(20)
        errors = work / "qemu.err"
        command = self.machine.command(self.kernel, initrd,
                                       console_log.resolve(), work / "control")
        with open(errors, "wb") as handle:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=handle, stderr=handle,
                start_new_session=True, preexec_fn=die_with_parent)
        try:
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                return ("QEMU did not start: "
                        + errors.read_text(errors="replace").strip())
            with connection:
                problem = self._serve(connection, console_log)
            if problem is None:
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    pass
            elif process.poll() not in (None, 0):
                problem += ("; QEMU says: "
                            + errors.read_text(errors="replace").strip())
            return problem
        finally:
            listener.close()
            end_group(process, grace=2.0)

    def _serve(self, connection, console_log):
        """Follow the control channel to its end."""
        begin = time.monotonic()
        deadline = begin + self.timeout
        buffer = bytearray()
        state = {"job": None, "index": -1, "since": begin, "file": None}
        while True:
            now = time.monotonic()
            limit = deadline
            if self.boot_seconds is None:
                limit = min(limit, begin + BOOT_TIMEOUT)
            if now >= limit:
                if self.boot_seconds is None:
                    return f"no sign of life within {limit - begin:.0f} s"
                at = state["job"].name if state["job"] else "shutting down"
                return (f"not done after {self.timeout} s, while at {at}; "
                        "QEMU was ended")
            if not select.select([connection], [], [], min(1.0, limit - now))[0]:
                continue
            try:
                data = connection.recv(65536)
            except ConnectionError:
                data = b""
            if not data:
                return "the machine went down before it was done"
            buffer += data
            while len(buffer) >= 5:
                kind, size = struct.unpack_from("<cI", buffer)
                if len(buffer) < 5 + size:
                    break
                payload = bytes(buffer[5:5 + size])
                del buffer[:5 + size]
                if kind == b"Z":
                    return None
                problem = self._frame(kind, payload, state, begin, console_log)
                if problem:
                    return problem

    def _frame(self, kind, payload, state, begin, console_log):
        job = state["job"]
        if kind == b"H":
            if payload != HELLO:
                return f"vm-init speaks {payload!r}, not {HELLO!r}"
            self.boot_seconds = time.monotonic() - begin
        elif kind == b"S":
            state["index"] += 1
            state["job"] = self.jobs[state["index"]]
            state["since"] = time.monotonic()
            state["job"].console_start = console_log.stat().st_size
        elif kind in (b"O", b"E") and job:
            stream = 1 if kind == b"O" else 2
            (job.stdout if stream == 1 else job.stderr).extend(payload)
            if self.echo:
                self.echo(job, stream, payload)
        elif kind == b"X" and job:
            job.seconds = time.monotonic() - state["since"]
            status = int(payload)
            job.timed_out = status == -1
            if status == -1:
                job.status = 124
            elif os.WIFSIGNALED(status):
                job.status = 128 + os.WTERMSIG(status)
            else:
                job.status = os.WEXITSTATUS(status)
            state["job"] = None
        elif kind == b"F":
            state["file"] = bytearray()
            self.files[payload.decode()] = state["file"]
        elif kind == b"D" and state["file"] is not None:
            state["file"].extend(payload)
        else:
            return f"an unexpected frame {kind!r} on the control channel"
        return None

    def _judge_console(self):
        """Sort the kernel's complaints to the jobs in whose time they came."""
        self.complaints = dmesg.complaints(self.console, dmesg.allowed_lines())
        started = [job for job in self.jobs if hasattr(job, "console_start")]
        for offset, line in self.complaints:
            during = [job for job in started if job.console_start <= offset]
            if during:
                during[-1].complaints.append(line)
