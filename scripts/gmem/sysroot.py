# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
"""Libraries and programs of another architecture, unpacked from Debian packages.

They come from this machine's own Debian release, for the cross compiler's C library
is that release's, too. Nothing of it is installed.

    <cache>/sysroot-arm64-bookworm/     as dpkg-deb -x leaves it, and
        .packages                       what was unpacked
"""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from . import cache, console, debian
from .console import Failure, say

# What is linked statically into programs for the VM, and the VM's shell.
PACKAGES = ("busybox-static", "libjson-c-dev", "libssl-dev", "liburcu-dev")
DEFAULT_SUITE = "bookworm"


def _unpack(packages, target):
    """Replace target by the packages' content, all or nothing."""
    with tempfile.TemporaryDirectory(prefix="sysroot.", dir=target.parent) as name:
        work = pathlib.Path(name) / "root"
        for package in packages:
            run = subprocess.run(["dpkg-deb", "-x", str(package), str(work)],
                                 check=False)
            if run.returncode:
                raise Failure(f"{package} does not unpack")
        (work / ".packages").write_text(" ".join(PACKAGES), encoding="ascii")
        shutil.rmtree(target, ignore_errors=True)
        os.replace(work, target)


def _fetch(arch, suite, root):
    """The packages' paths in the directory root."""
    log_path = root / "sysroot.log"
    with open(log_path, "w", encoding="utf-8") as log:
        for uri in debian.machine_mirrors() or [debian.DEFAULT_MIRROR]:
            packages = debian.fetch(PACKAGES, suite, uri, root, log, arch.debian)
            if packages:
                return packages
            say(f"{uri} does not serve {' '.join(PACKAGES)} for {arch.debian}")
    raise Failure(f"packages for {arch.debian} cannot be fetched (apt's words: "
                  f"{log_path})", console.EXIT_NO_SOURCE)


def find(arch):
    """The directory; fetch what is to be in it if need be."""
    suite = debian.machine_suite() or DEFAULT_SUITE
    root = cache.cache_dir()
    target = root / f"sysroot-{arch.name}-{suite}"
    with cache.lock(root / "sysroot.lock", "another fetch of libraries"):
        try:
            content = (target / ".packages").read_text(encoding="ascii")
        except OSError:
            content = ""
        if content == " ".join(PACKAGES):
            return target
        if os.environ.get("GMEM_OFFLINE", "0") not in ("", "0"):
            raise Failure(f"packages for {arch.debian} are not in the cache and "
                          "GMEM_OFFLINE forbids fetching them",
                          console.EXIT_NO_SOURCE)
        packages = _fetch(arch, suite, root)
        try:
            _unpack(packages, target)
        finally:
            for package in packages:
                package.unlink()
    return target


def library_dirs(arch):
    """Where the loader of that architecture would look, here."""
    triplet = arch.prefix.rstrip("-")
    root = find(arch)
    return [root / "usr" / "lib" / triplet, root / "lib" / triplet,
            pathlib.Path("/usr") / triplet / "lib"]


def needed_libraries(arch, program):
    """{path in the machine: path here} of the loader and libraries."""
    found, names = {}, [str(program)]
    for name in names:
        run = subprocess.run(
            [f"{arch.prefix}readelf", "-l", "-d", name], stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, check=False)
        wanted = re.findall(r"\(NEEDED\).*\[(.+)\]", run.stdout)
        wanted += [pathlib.PurePosixPath(loader).name for loader in
                   re.findall(r"program interpreter: (.+)\]", run.stdout)]
        for library in wanted:
            if f"/lib/{library}" in found:
                continue
            here = [path / library for path in library_dirs(arch)
                    if (path / library).exists()]
            if not here:
                raise Failure(f"{name} needs {library}, not found for {arch.name}")
            found[f"/lib/{library}"] = here[0]
            names.append(str(here[0]))
    return found
