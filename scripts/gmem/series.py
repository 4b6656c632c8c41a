# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
"""The feature as mails: what linux/patches and the overlay are to 'git am'.

A scratch repository holds those files of the kernel that the patches change, as the
base has them. Each patch becomes a commit there, with the new files that its message
says it adds, and git writes the mails.

Nothing of the machine gets into them: neither its git configuration and attributes,
nor the time.
"""

import difflib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from . import tree
from .console import Failure

COVER = "0000-cover-letter.patch"
MAIL = re.compile(r"\d{4}-.+\.patch")
AUTHOR = ("gmem developers", "gmem@developers.invalid")
DATE = "2026-01-01T00:00:00+0000"
# The mails' form must not depend on who makes them.
SETTINGS = ("core.abbrev=12", "core.autocrlf=false", "diff.algorithm=myers",
            f"core.attributesFile={os.devnull}", "commit.gpgSign=false",
            "init.defaultBranch=main", "gc.auto=0")


class Repository:
    """git on a directory, its own data elsewhere, without anybody's settings."""

    def __init__(self, git_dir, work):
        self.git_dir = git_dir
        self.work = work
        self.environment = {key: value for key, value in os.environ.items()
                            if not key.startswith("GIT_")}
        self.environment.update({
            "LC_ALL": "C", "TZ": "UTC", "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull, "GIT_ATTR_NOSYSTEM": "1",
            "GIT_DIR": str(git_dir), "GIT_WORK_TREE": str(work)})
        for role in ("AUTHOR", "COMMITTER"):
            self.environment[f"GIT_{role}_NAME"] = AUTHOR[0]
            self.environment[f"GIT_{role}_EMAIL"] = AUTHOR[1]
            self.environment[f"GIT_{role}_DATE"] = DATE

    def run(self, *arguments, text=None):
        """Return: (exit status, what git said)."""
        options = [word for one in SETTINGS for word in ("-c", one)]
        try:
            run = subprocess.run(
                ["git", *options, *arguments], cwd=self.work, env=self.environment,
                input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, errors="surrogateescape", check=False)
        except FileNotFoundError as error:
            raise Failure("git is missing; './run setup' installs it", 2) from error
        return run.returncode, run.stdout

    def git(self, *arguments, text=None):
        status, said = self.run(*arguments, text=text)
        if status:
            raise Failure(f"git {arguments[0]} ended with {status}:\n{said}")
        return said

    def start(self, files):
        """Begin with some of the directory's files, as the base has them."""
        self.git("init", "-q")
        self.git("update-index", "--add", "--stdin",
                 text="".join(f"{name}\n" for name in files))
        self.git("commit", "-q", "--allow-empty", "-m", "base")

    def am(self, mails):
        """Apply mails one by one; the first that fails is named and undone."""
        for mail in mails:
            status, said = self.run("am", "-q", str(mail))
            if status:
                self.run("am", "--abort")
                raise Failure(f"{mail.name} does not apply; git says:\n{said}")
            yield mail


def mails_in(directory):
    return [path for path in sorted(directory.glob("*.patch"))
            if path.name != COVER]


def write(kernel, base, directory):
    """Write the mails of a tree.Tree's series on a base into an empty directory."""
    added = kernel.added_files()
    with tempfile.TemporaryDirectory(prefix="series.", dir=kernel.root) as name:
        stage, git_dir = pathlib.Path(name) / "stage", pathlib.Path(name) / "git"
        stage.mkdir()
        repository = Repository(git_dir, stage)
        for patch in kernel.apply_series(base, stage):
            if patch is None:
                repository.git("init", "-q")
                repository.git("add", "-A", "-f")
                repository.git("commit", "-q", "--allow-empty", "-m", "base")
                repository.git("tag", "base")
                continue
            for relative, path in added[patch.name].items():
                (stage / relative).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, stage / relative)
            repository.git("add", "-A", "-f")
            repository.git("commit", "-q", "-F", "-",
                           text=f"{patch.subject}\n\n{patch.message}\n")
        repository.git("format-patch", "-q", "--cover-letter", "--numbered",
                       "--no-signature", "--zero-commit", "--full-index",
                       "--stat=72", "--no-renames", "-o", str(directory), "base")
    _write_cover(directory / COVER)


def _write_cover(path):
    subject, _, blurb = (tree.PATCHES / "cover-letter.txt").read_text(
        encoding="utf-8").partition("\n\n")
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    for mark, new in (("*** SUBJECT HERE ***", " ".join(subject.split())),
                      ("*** BLURB HERE ***", blurb.rstrip("\n"))):
        if text.count(mark) != 1:
            raise Failure(f"git's cover letter has no {mark}")
        text = text.replace(mark, new)
    path.write_text(text, encoding="utf-8", errors="surrogateescape")


def differences(wanted, work):
    """How a directory differs from {path: bytes, or None where no file is}."""
    lines = []
    for name, data in sorted(wanted.items()):
        path = work / name
        current = path.read_bytes() if path.exists() else None
        if current != data:
            lines += difflib.unified_diff(
                (data or b"").decode(errors="replace").splitlines(True),
                (current or b"").decode(errors="replace").splitlines(True),
                f"kernel-tree/{name}", f"git-am/{name}")
    return "".join(lines)


def check(kernel, base, directory):
    """git am of the mails makes of the base the very tree that is built."""
    wanted = kernel.desired(base)
    with tempfile.TemporaryDirectory(prefix="series.", dir=kernel.root) as name:
        work, git_dir = pathlib.Path(name) / "work", pathlib.Path(name) / "git"
        files = [path for path in wanted if (base / path).exists()]
        for path in files:
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(base / path, work / path)
        work.mkdir(exist_ok=True)
        repository = Repository(git_dir, work)
        repository.start(files)
        for _ in repository.am(mails_in(directory)):
            pass
        extra = [path.relative_to(work).as_posix() for path in work.rglob("*")
                 if path.is_file() and path.relative_to(work).as_posix()
                 not in wanted]
        difference = differences(wanted, work) + "".join(
            f"only after git am: {path}\n" for path in extra)
    if difference:
        raise Failure("the series does not make the tree that kernel-build "
                      f"builds:\n{difference[:4000]}")
