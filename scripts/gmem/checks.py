# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
"""Checks of the sources that need no kernel: scripts, licences, headers."""

import pathlib
import re
import subprocess
import tempfile

from . import tap
from .cache import REPO

DUAL = "GPL-2.0-only OR BSD-3-Clause"
GPL = "GPL-2.0-only"
UAPI = "(GPL-2.0-only WITH Linux-syscall-note) OR BSD-3-Clause"
SOURCE = {".c", ".h", ".S", ".sh", ".py", ".mk", ".config"}
OUTSIDE = {".git", "build", "LICENSES"}


def repository_files():
    for path in sorted(REPO.rglob("*")):
        relative = path.relative_to(REPO)
        if relative.parts[0] in OUTSIDE or "__pycache__" in relative.parts:
            continue
        if path.is_file() and not path.is_symlink():
            yield relative, path


def first_lines(path):
    with open(path, "rb") as handle:
        return handle.read(400).decode(errors="replace").splitlines()[:4]


def interpreter(path):
    head = first_lines(path)
    return head[0] if head and head[0].startswith("#!") else ""


def wanted_licence(relative):
    parts = relative.parts
    if "uapi" in parts and parts[0] == "linux" and relative.name == "kvm_gmem.h":
        return UAPI
    return GPL if parts[0] == "linux" else DUAL


def licences(_log):
    """Each source says its licence in its first lines, the folder's one."""
    results = []
    for relative, path in repository_files():
        is_source = (relative.suffix in SOURCE or interpreter(path)
                     or relative.name in ("Makefile", "Kbuild", "Kconfig"))
        if not is_source:
            continue
        match = re.search(r"SPDX-License-Identifier: (.+?)(?: ?\*/)?$",
                          "\n".join(first_lines(path)), re.M)
        wanted = wanted_licence(relative)
        if match is None:
            results.append(tap.failed(str(relative), "no SPDX line on top"))
        elif match.group(1).strip() != wanted:
            results.append(tap.failed(str(relative), f"says {match.group(1)}, "
                                      f"its folder's licence is {wanted}"))
        else:
            results.append(tap.passed(str(relative)))
    bad = [result for result in results if result.outcome == "failed"]
    return bad or [tap.passed(f"{len(results)} sources say their licence")]


def shell_scripts(log):
    """shellcheck finds nothing in any shell script."""
    results = []
    for relative, path in repository_files():
        if not re.search(r"\bsh\b", interpreter(path)):
            continue
        run = subprocess.run(["shellcheck", str(path)], stdout=log, stderr=log,
                             check=False)
        results.append(tap.passed(f"shellcheck {relative}")
                       if run.returncode == 0 else
                       tap.failed(f"shellcheck {relative}", "see the log"))
    return results


def public_headers(log):
    """Each public header compiles alone, pedantically, before anything else."""
    results = []
    headers = [(path, "-Iinclude") for path in
               sorted((REPO / "include").rglob("*.h"))]
    headers += [(path, "-Ilinux/include/uapi") for path in
                sorted((REPO / "linux" / "include" / "uapi").rglob("*.h"))]
    for path, _ in headers:
        relative = path.relative_to(REPO)
        with tempfile.NamedTemporaryFile("w", suffix=".c") as source:
            source.write(f'#include "{path}"\n#include "{path}"\nint unused;\n')
            source.flush()
            run = subprocess.run(
                ["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-Iinclude",
                 "-Ilinux/include/uapi", "-fsyntax-only", source.name],
                cwd=REPO, stdout=log, stderr=log, check=False)
        results.append(tap.passed(f"compiles alone: {relative}")
                       if run.returncode == 0 else
                       tap.failed(f"compiles alone: {relative}", "see the log"))
    return results


def checkpatch(source, log):
    """The kernel's own style check over what goes into the kernel."""
    results = []
    for relative, path in repository_files():
        if relative.parts[0] == "linux" and relative.suffix == ".patch":
            # One that only adds files has nothing to check by itself.
            if "\ndiff " in path.read_text(encoding="utf-8"):
                results.append(_checkpatch(source, log, path, relative))
        elif relative.parts[0] in ("linux", "core") and \
                relative.suffix in (".c", ".h", ".S"):
            results.append(_checkpatch(source, log, path, relative, "--file"))
    return results


def checkpatch_mails(source, log, mails):
    """... and over the mails that bring it there."""
    return [_checkpatch(source, log, path, path.name) for path in mails]


def _checkpatch(source, log, path, name, *options):
    ignored = (REPO / "scripts" / "checkpatch-ignore").read_text("utf-8")
    types = [line.split()[0] for line in ignored.splitlines()
             if line.strip() and not line.startswith("#")]
    run = subprocess.run(
        [str(pathlib.Path(source) / "scripts" / "checkpatch.pl"), "--no-tree",
         "--no-summary", "--terse", "--show-types", "--max-line-length=100",
         "--ignore", ",".join(types), *options, str(path)],
        stdout=log, stderr=log, check=False)
    return tap.passed(f"checkpatch {name}") if run.returncode == 0 else \
        tap.failed(f"checkpatch {name}", "see the log")
