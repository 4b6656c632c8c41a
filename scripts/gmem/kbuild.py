# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
"""Runs the kernel's make with progress, a kept log and the errors in front."""

import os
import re
import selectors
import shutil
import subprocess

from . import cache
from .arch import X86_64
from .console import Failure, Progress, end_group, say

STEP = re.compile(rb"^  [A-Z][A-Z0-9_+-]*( \[[A-Z]\])? +\S")
ERROR = re.compile(r"error:|warning:|\*\*\*|undefined reference|Error \d|"
                   r"multiple definition|No space left|Killed")
# What a surrounding make or shell must not decide about the kernel's build.
DROPPED = ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "DEBUG", "V", "O",
           "C", "W", "M", "CC", "HOSTCC", "LD", "CFLAGS", "LDFLAGS", "CPPFLAGS",
           "KSRC", "ARCH", "CROSS_COMPILE", "LLVM", "KCFLAGS", "KCPPFLAGS",
           "KCONFIG_ALLCONFIG", "KBUILD_OUTPUT", "OUTPUT")

# Tools that Kconfig asks for and nothing here uses: the configuration, and with it
# each object, must not depend on whether a machine has them.
NEUTRAL = ("RUSTC=false", "BINDGEN=false", "PAHOLE=false")


class Maker:
    """make for one kernel source tree and one architecture."""

    def __init__(self, source, jobs, arch=X86_64):
        self.source = source
        self.arch = arch
        self.jobs = jobs
        self.ccache = shutil.which("ccache")
        self.environment = {key: value for key, value in os.environ.items()
                            if key not in DROPPED}
        self.environment.update({
            "LC_ALL": "C",
            # The same input gives the same output, also in another clone.
            "KBUILD_BUILD_TIMESTAMP": "2026-01-01",
            "KBUILD_BUILD_USER": "gmem",
            "KBUILD_BUILD_HOST": "gmem",
            "CCACHE_BASEDIR": str(source),
            "CCACHE_NOHASHDIR": "1",
            # Find headers from the compiler's own list: a miss costs little.
            "CCACHE_DEPEND": "1",
            "CCACHE_SLOPPINESS": "time_macros",
        })
        self.environment.setdefault("CCACHE_DIR",
                                    str(cache.cache_dir() / "ccache"))
        self.environment.setdefault("CCACHE_MAXSIZE", "3G")

    def compiler_identity(self):
        gcc = f"{self.arch.prefix}gcc"
        try:
            run = subprocess.run([gcc, "--version"], stdout=subprocess.PIPE,
                                 text=True, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise Failure(f"{gcc} does not run; './run setup' installs what a "
                          "build needs", 2) from error
        return run.stdout.splitlines()[0]

    def compiler(self, prefix=""):
        return f"ccache {prefix}gcc" if self.ccache else f"{prefix}gcc"

    def run(self, targets, build, log, *, variables=(), label, total):
        """Make targets in build (O=). Return: how many steps were printed."""
        command = ["make", "-C", str(self.source), f"-j{self.jobs}",
                   f"O={build}", f"ARCH={self.arch.name}",
                   f"CROSS_COMPILE={self.arch.prefix}",
                   f"CC={self.compiler(self.arch.prefix)}",
                   f"HOSTCC={self.compiler()}", *NEUTRAL, *variables, *targets]
        return self.run_command(command, log, label=label, total=total)

    def run_command(self, command, log, *, label, total, step=STEP):
        log.parent.mkdir(parents=True, exist_ok=True)
        progress = Progress(label, total)
        with open(log, "wb") as handle:
            handle.write((" ".join(command) + "\n").encode())
            handle.flush()
            process = subprocess.Popen(
                command, env=self.environment,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, start_new_session=True)
            try:
                self._follow(process, handle, progress, step)
                code = process.wait()
            except BaseException:
                progress.clear()
                end_group(process)
                raise
        progress.clear()
        if code:
            self._explain(log, label)
            raise Failure(f"{label} failed (make ended with {code}); "
                          f"the whole log: {log}")
        return progress.done

    @staticmethod
    def _follow(process, handle, progress, step):
        selector = selectors.DefaultSelector()
        selector.register(process.stdout, selectors.EVENT_READ)
        rest = b""
        while True:
            if not selector.select(timeout=1.0):
                progress.tick()
                continue
            data = os.read(process.stdout.fileno(), 65536)
            if not data:
                return
            handle.write(data)
            handle.flush()
            lines = (rest + data).split(b"\n")
            rest = lines.pop()
            for line in lines:
                if step.match(line):
                    progress.advance()

    @staticmethod
    def _explain(log, label):
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        errors = [line for line in lines if ERROR.search(line)]
        say(f"{label}: what went wrong")
        for line in (errors or lines)[-30:]:
            say(f"  {line}")
