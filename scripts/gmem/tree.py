# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
"""The kernel tree that is built: a base, the overlay, core/ and the patches.

base      the pristine source, or a copy of KSRC; never modified
overlay   linux/ but for patches/, config/ and *.md at its top: new files only;
          lines "Adds:" in a patch's message say which of them belong to it
core      core/*.[ch], laid down verbatim as virt/kvm/gmem/
patches   linux/patches/series, applied in order to copies of the base's files

Every file of the last three kinds is "managed". A sync computes what each must
hold, then writes those that differ, and no others, so mtimes stay truthful for
make. Nothing is written before everything is known to be in order: a patch that
does not apply leaves the tree as it was.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from . import cache
from .arch import X86_64
from .cache import REPO
from .console import Failure, say, uninterrupted

SERIES_VERSION = ("7", "3")
CORE_IN_TREE = pathlib.PurePosixPath("virt/kvm/gmem")
LINKED = ("Documentation", "crypto", "drivers", "fs", "net", "sound")
BUILT_ARCHES = ("x86", "arm64", "Kconfig")
PATCHES = REPO / "linux" / "patches"


def _digest(data):
    return hashlib.sha256(data).hexdigest()


def _adds(what, relative):
    """Whether a line "Adds:" means a file: a path, or a folder that ends in /."""
    return relative == what or (what.endswith("/") and relative.startswith(what))


def _read(path):
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _beside(path, what):
    return path.with_name(f"{path.name}.gmem-{what}")


def _replace_all(paths):
    """Replace files by the new ones beside them, or by none: all of them, or nothing.

    paths: {path: whether there is a new one}
    """
    saved, placed = [], []
    try:
        for path, new in paths.items():
            if path.exists():
                os.replace(path, _beside(path, "old"))
                saved.append(path)
            if new:
                os.replace(_beside(path, "new"), path)
                placed.append(path)
    except OSError:
        for path in placed:
            path.unlink()
        for path in saved:
            os.replace(_beside(path, "old"), path)
        raise
    for path in saved:
        _beside(path, "old").unlink()


def kernel_version(source):
    """(VERSION, PATCHLEVEL) of a kernel tree, or None."""
    try:
        head = (source / "Makefile").read_text(encoding="utf-8")[:400]
    except OSError:
        return None
    found = [re.search(rf"^{key}\s*=\s*(\S+)", head, re.M)
             for key in ("VERSION", "PATCHLEVEL")]
    return tuple(m.group(1) for m in found) if all(found) else None


class OtherVersion(Failure):
    """A tree that the patches are not for."""


@dataclasses.dataclass(frozen=True)
class Patch:
    """A file of linux/patches."""

    path: pathlib.Path
    subject: str
    message: str                # without the lines that say what it adds
    adds: tuple                 # files of the overlay that it brings, or folders/
    changes: tuple              # files of the kernel, in the patch's order

    @property
    def name(self):
        return self.path.name


def read_patch(path):
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    head, _, diff = text.partition("\n---\n")
    subject = re.search(r"^Subject: (?:\[PATCH\] )?(.+)$", head, re.M)
    body = head[subject.end():] if subject else ""
    adds = tuple(re.findall(r"^Adds: (\S+)$", body, re.M))
    changes = []
    for name in sum(re.findall(r"^--- (\S+).*\n\+\+\+ (\S+)", diff or text, re.M),
                    ()):
        if name == "/dev/null":
            continue
        relative = name.split("/", 1)[1] if "/" in name else name
        if ".." in pathlib.PurePosixPath(relative).parts:
            raise Failure(f"linux/patches/{path.name} leaves the tree: {name}")
        if relative not in changes:
            changes.append(relative)
    if not changes and not adds:
        raise Failure(f"linux/patches/{path.name} changes no file and adds none")
    return Patch(path, subject.group(1) if subject else path.stem,
                 re.sub(r"^Adds: \S+\n?", "", body.strip("\n") + "\n",
                        flags=re.M).strip("\n"),
                 adds, tuple(changes))


def _patch_command(stage, patch, *options):
    return subprocess.run(
        ["patch", "-p1", "-F0", "--batch", "--no-backup-if-mismatch", "-r", "-",
         *options, "-d", str(stage), "-i", str(patch.path)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", check=False)


def apply(stage, patch):
    """Apply one patch to a directory that holds what it changes."""
    if not patch.changes:
        return
    there = _patch_command(stage, patch, "--reverse", "--dry-run").returncode == 0
    run = _patch_command(stage, patch, "--forward")
    if run.returncode:
        raise Failure(
            f"linux/patches/{patch.name} does not apply"
            + (": the tree has it already" if there else "")
            + "; nothing was changed. patch says:\n"
            # ... and quotes the message, too.
            + "\n".join(line for line in run.stdout.splitlines()
                        if not line.startswith(("|", "-----", "The text leading"))))


def check_version(source):
    version = kernel_version(source)
    if version is None:
        raise Failure(f"{source} is no Linux source tree: it has no Makefile with "
                      "VERSION and PATCHLEVEL", 2)
    if version != SERIES_VERSION:
        raise OtherVersion(f"{source} is Linux {'.'.join(version)}; the patches are "
                           f"for {'.'.join(SERIES_VERSION)}", 2)


def check_ksrc(source):
    check_version(source)
    for built in (".config", "include/config", "include/generated"):
        if (source / built).exists():
            raise Failure(f"{source} was built in place ({built} exists): "
                          "clean it by 'make mrproper', or name a clean tree", 2)


class Tree:
    """One clone's build tree in the cache."""

    def __init__(self, arch=X86_64):
        self.arch = arch
        ksrc = os.environ.get("KSRC")
        self.ksrc = pathlib.Path(ksrc).resolve() if ksrc else None
        identity = f"{REPO}\n{self.ksrc or ''}\n"
        name = _digest(identity.encode())[:12]
        self.root = cache.cache_dir() / "trees" / name
        self.source = self.root / "src"
        self.state_path = self.root / "state.json"
        self.identity = identity

    def build_dir(self, config):
        # A direct child of the source, so kbuild uses relative paths and the
        # compiler cache serves other clones too.
        return self.source / self.arch.build_name(config)

    def image(self, config):
        return self.build_dir(config) / self.arch.image

    def lock(self):
        return cache.lock(self.root / "lock", "another kernel build of this clone")

    # What the managed files must hold

    def _overlay(self):
        files = {}
        top = REPO / "linux"
        for path in sorted(top.rglob("*")):
            relative = path.relative_to(top)
            if relative.parts[0] in ("patches", "config") or path.is_dir():
                continue
            if len(relative.parts) == 1 and relative.suffix == ".md":
                continue
            if path.name.endswith(("~", ".orig", ".rej", ".swp")):
                continue
            files[relative.as_posix()] = path
        for path in sorted((REPO / "core").glob("*.[ch]")):
            files[str(CORE_IN_TREE / path.name)] = path
        return files

    @staticmethod
    def series():
        """The patches in order; every patch file must be listed."""
        listing = PATCHES / "series"
        if not listing.exists():
            names = []
        else:
            lines = listing.read_text(encoding="utf-8").splitlines()
            names = [line.split("#", 1)[0].strip() for line in lines]
            names = [name for name in names if name]
        for name in names:
            if not (PATCHES / name).is_file():
                raise Failure(f"linux/patches/series names {name}, which does "
                              "not exist")
        for path in sorted(PATCHES.glob("*.patch")):
            if path.name not in names:
                raise Failure(f"linux/patches/{path.name} is not listed in "
                              "linux/patches/series")
        return [read_patch(PATCHES / name) for name in names]

    def apply_series(self, base, stage):
        """Apply the series to copies in stage, of the files that it changes.

        Yields None when the copies are there, then each patch when it is applied.
        """
        overlay = self._overlay()
        series = self.series()
        for patch in series:
            for relative in patch.changes:
                if relative in overlay:
                    raise Failure(
                        f"linux/patches/{patch.name} patches {relative}, which "
                        "this repository adds itself: change it there")
                target = stage / relative
                target.parent.mkdir(parents=True, exist_ok=True)
                if (base / relative).exists() and not target.exists():
                    shutil.copyfile(base / relative, target)
        yield None
        for patch in series:
            apply(stage, patch)
            for relative, path in overlay.items():
                if (base / relative).exists() and \
                        any(_adds(what, relative) for what in patch.adds):
                    raise Failure(f"linux/patches/{patch.name} adds {relative}, "
                                  "which the tree has already; nothing was changed")
            yield patch

    def _patched(self, base):
        """What the series makes of the base: {path: bytes, or None when deleted}."""
        with tempfile.TemporaryDirectory(prefix="patch.", dir=self.root) as name:
            stage = pathlib.Path(name)
            patches = [patch for patch in self.apply_series(base, stage) if patch]
            return {relative: _read(stage / relative)
                    for patch in patches for relative in patch.changes}

    def _check(self, base, check):
        """Check a tree; to another version say which patch fails first."""
        try:
            check(base)
        except OtherVersion as other:
            first = "all of them apply to it, but nobody has tried the result"
            try:
                self.desired(base)
            except Failure as failure:
                first = str(failure)
            raise Failure(f"{other}. Tried all the same: {first}",
                          other.code) from other

    def desired(self, base):
        patched = self._patched(base)
        overlay = self._overlay()
        for relative in overlay:
            if (base / relative).exists():
                raise Failure(f"linux/{relative} would replace a file of the "
                              "kernel: make the change a patch")
        desired = {name: path.read_bytes() for name, path in overlay.items()}
        desired.update(patched)
        return desired

    def added_files(self):
        """{patch's name: {path in the tree: path here}} of the overlay's files.

        Each file must be added by one patch, and each line "Adds:" name something.
        """
        overlay, owner = self._overlay(), {}
        added = {}
        for patch in self.series():
            added[patch.name] = {}
            for what in patch.adds:
                found = [name for name in overlay if _adds(what, name)]
                if not found:
                    raise Failure(f"linux/patches/{patch.name} adds {what}, which "
                                  "neither linux/ nor core/ has")
                for name in found:
                    if name in owner:
                        raise Failure(f"{name} is added by {owner[name]} and by "
                                      f"{patch.name}")
                    owner[name] = patch.name
                    added[patch.name][name] = overlay[name]
        orphans = [name for name in overlay if name not in owner]
        if orphans:
            raise Failure("no patch adds " + ", ".join(orphans) + ": say in the "
                          "message of the one where it belongs 'Adds: "
                          f"{orphans[0]}'")
        return added

    def wanted(self, find_pristine):
        """{path: bytes} of all managed files as the repository has them."""
        self.root.mkdir(parents=True, exist_ok=True)
        return self.desired(self.base(find_pristine))

    # The sync

    def _load_state(self):
        try:
            return json.loads(self.state_path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}

    def _save_state(self, managed):
        data = json.dumps({"managed": managed}, indent=0, sort_keys=True)
        cache.write_if_changed(self.state_path, data.encode())

    def base(self, find_pristine):
        """The directory that holds unpatched files; create self.source."""
        if self.ksrc:
            self._check(self.ksrc, check_ksrc)
            return self.ksrc
        return find_pristine()

    def populate(self, base, target):
        """Copy the base to a new directory beside others of this tree."""
        new = target.with_name(target.name + ".tmp")
        shutil.rmtree(new, ignore_errors=True)
        cache.need_space(self.root, 5000, "a kernel build tree")
        say(f"copying the source to {target}")
        try:
            if self.ksrc:
                self.rsync(base, new, [])
            else:
                self._copy_pristine(base, new)
        except subprocess.CalledProcessError as error:
            shutil.rmtree(new, ignore_errors=True)
            raise Failure(f"copying {base} to {new} failed") from error
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        cache.write_if_changed(self.root / "origin", self.identity.encode())
        os.replace(new, target)

    @staticmethod
    def _copy_pristine(base, target):
        """Copy what people edit, link what nobody here ever writes."""
        target.mkdir()
        for path in sorted(base.iterdir()):
            if path.name == "arch":
                continue
            how = "-al" if path.name in LINKED else "-a"
            subprocess.run(["cp", how, str(path), str(target)], check=True)
        (target / "arch").mkdir()
        for path in sorted((base / "arch").iterdir()):
            how = "-a" if path.name in BUILT_ARCHES else "-al"
            subprocess.run(["cp", how, str(path), str(target / "arch")],
                           check=True)

    @staticmethod
    def rsync(base, target, keep):
        """Make target what base is, but for builds and some files."""
        rules = "".join(f"- /{name}\n" for name in
                        [".git", "build-*"] + sorted(keep))
        subprocess.run(
            ["rsync", "-a", "--delete", "--exclude-from=-", f"{base}/",
             f"{target}/"], input=rules, text=True,
            stdout=subprocess.DEVNULL, check=True)

    def sync(self, find_pristine, discard_edits=False):
        """Bring the tree up to date; the caller holds the lock.

        Return: the number of files written or removed.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        base = self.base(find_pristine)
        desired = self.desired(base)
        if not self.source.exists():
            self.populate(base, self.source)

        state = self._load_state().get("managed", {})
        # What is managed no longer goes back to what the base has.
        for relative in state:
            if relative not in desired:
                desired[relative] = _read(base / relative)
        if self.ksrc:
            self.rsync(base, self.source, desired)

        writes, edited = {}, []
        for relative, data in desired.items():
            current = _read(self.source / relative)
            if current == data:
                continue
            known = current is None or _digest(current) in state.get(relative, [])
            if not known and current != _read(base / relative):
                edited.append(relative)
            writes[relative] = data
        if edited and not discard_edits:
            raise Failure(
                "edited in the build tree and not in the repository:\n  "
                + "\n  ".join(f"{self.source}/{name}" for name in edited)
                + "\nmove the changes into linux/ or core/ (for files of the "
                "kernel: into linux/patches/), or drop them by "
                "'scripts/kernel-tree --discard-edits'")

        final = {name: [_digest(data)] for name, data in desired.items()
                 if data is not None}
        # If this ends half way, both the old and the new content are known.
        self._save_state({name: sorted(set(state.get(name, [])
                                           + final.get(name, [])))
                          for name in desired})
        for relative, data in writes.items():
            if data is None:
                (self.source / relative).unlink(missing_ok=True)
            else:
                cache.write_if_changed(self.source / relative, data)
        self._save_state(final)
        return len(writes)

    def apply_to(self, target):
        """Patch somebody's tree in place, if all of it can be. Return: files written."""
        self.root.mkdir(parents=True, exist_ok=True)
        self._check(target, check_version)
        desired = self.desired(target)
        directories = []
        try:
            for name, data in desired.items():
                path = target / name
                if data is None:
                    continue
                missing = [parent for parent in path.parents if not parent.exists()]
                for directory in reversed(missing):
                    directories.append(directory)
                    directory.mkdir()
                _beside(path, "new").write_bytes(data)
                if path.exists():
                    shutil.copymode(path, _beside(path, "new"))
            with uninterrupted():
                _replace_all({target / name: data is not None
                              for name, data in desired.items()})
        finally:
            for name in desired:
                with contextlib.suppress(OSError):
                    _beside(target / name, "new").unlink()
            # Those that have got files stay.
            for directory in reversed(directories):
                with contextlib.suppress(OSError):
                    directory.rmdir()
        return len(desired)

    def managed(self):
        return sorted(self._load_state().get("managed", {}))


def prune_orphans():
    """Remove build trees of clones that are gone."""
    for origin in (cache.cache_dir() / "trees").glob("*/origin"):
        lines = origin.read_text(encoding="utf-8").splitlines()
        gone = any(line and not pathlib.Path(line).exists() for line in lines)
        if lines and gone:
            say(f"removing the build tree of {lines[0]}, which is gone")
            shutil.rmtree(origin.parent, ignore_errors=True)
