# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
"""An initramfs in memory: files with the shared libraries they need."""

import os
import pathlib
import re
import stat
import subprocess

from .console import Failure

S_IFDIR, S_IFREG, S_IFLNK, S_IFCHR = 0o040000, 0o100000, 0o120000, 0o020000


class Initramfs:
    """Collects entries; bytes() is a cpio archive in the kernel's format.

    libraries tells what a program needs: {path in the machine: path here}.
    """

    def __init__(self, libraries=None):
        self.libraries = libraries or needed_libraries
        self.entries = {}
        self._parents("/dev/console")
        self.entries["dev/console"] = (S_IFCHR | 0o600, b"", (5, 1))

    def _parents(self, path):
        for parent in reversed(pathlib.PurePosixPath(path.strip("/")).parents):
            if str(parent) != ".":
                self.entries.setdefault(str(parent), (S_IFDIR | 0o755, b"", None))

    def add_data(self, path, data, mode=0o644):
        self._parents(path)
        self.entries[path.strip("/")] = (S_IFREG | mode, data, None)

    def add_link(self, path, target):
        self._parents(path)
        self.entries[path.strip("/")] = (S_IFLNK | 0o777, target.encode(), None)

    def add_file(self, source, path):
        """Add a file or a directory's files, and libraries of programs."""
        source = pathlib.Path(source)
        if source.is_dir():
            for child in sorted(source.iterdir()):
                self.add_file(child, f"{path}/{child.name}")
            return
        try:
            data = source.read_bytes()
        except OSError as error:
            raise Failure(f"cannot put {source} into the virtual machine: "
                          f"{error.strerror}", 2) from error
        mode = 0o755 if os.stat(source).st_mode & stat.S_IXUSR else 0o644
        self.add_data(path, data, mode)
        if data[:4] == b"\x7fELF":
            for library, here in self.libraries(source).items():
                if library.strip("/") not in self.entries:
                    self.add_data(library, pathlib.Path(here).read_bytes(), 0o755)

    def bytes(self):
        out = []
        for number, (name, (mode, data, device)) in enumerate(
                self.entries.items(), 1):
            out.append(_record(number, name, mode, data, device))
        out.append(_record(0, "TRAILER!!!", 0, b"", None))
        return b"".join(out)


def _pad(data):
    return data + b"\0" * (-len(data) % 4)


def _record(number, name, mode, data, device):
    encoded = name.encode() + b"\0"
    major, minor = device or (0, 0)
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, major, minor,
              len(encoded), 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields)
    return _pad(head + encoded) + _pad(data)


def needed_libraries(program):
    """{path: path} of the loader and libraries, empty for a static program."""
    run = subprocess.run(["ldd", str(program)], stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, check=False,
                         env={**os.environ, "LC_ALL": "C"})
    missing = re.findall(r"^\s*(\S+) => not found", run.stdout, re.M)
    if missing:
        raise Failure(f"{program} needs {', '.join(missing)}, not found here")
    return {path: path for path in re.findall(r"(?:=> )?(/\S+) \(0x", run.stdout)}
