# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
"""Where things are kept, and the locks that guard them.

    <cache>/linux-source-7.3_<version>_all.deb   the verified package
    <cache>/linux-7.3.4/                         pristine, never written again
    <cache>/sysroot-arm64-<release>/             libraries for cross builds, sysroot.py
    <cache>/trees/<id>/                          one for each clone of the repository
    <cache>/ccache/                              compiler cache, unless CCACHE_DIR is set

A directory appears under its final name only when it is complete.
"""

import contextlib
import fcntl
import os
import pathlib
import shutil

from .console import Failure, say

REPO = pathlib.Path(__file__).resolve().parents[2]


def cache_dir():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = pathlib.Path(base) / "gmem"
    if any(c in str(path) for c in " :"):
        raise Failure(
            f"the cache directory '{path}' has a space or a colon in its name, "
            "which the kernel's Makefiles refuse: set XDG_CACHE_HOME to another place")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Failure(f"cannot create the cache directory {path}: "
                      f"{error.strerror}; XDG_CACHE_HOME names another place")
    return path


@contextlib.contextmanager
def lock(path, waiting_for):
    """Hold an exclusive lock on path; say once what is being waited for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="ascii") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for {waiting_for} ({path})")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def need_space(path, megabytes, what):
    free = shutil.disk_usage(path).free >> 20
    if free < megabytes:
        raise Failure(f"{what} needs about {megabytes} MB, and {path} has "
                      f"{free} MB free; XDG_CACHE_HOME names another place")


def write_if_changed(path, data):
    """Write bytes atomically; leave an identical file, and its mtime, alone."""
    try:
        if path.read_bytes() == data:
            return False
    except FileNotFoundError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".gmem-new")
    temporary.write_bytes(data)
    os.replace(temporary, path)
    return True
