# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
"""Tests of the command lines: help, what is refused, the packages they need."""

import contextlib
import errno
import io
import os
import pathlib
import re
import subprocess
import tempfile
import unittest
import unittest.mock

from common import SCRIPTS, load
from gmem import console, vm
from gmem.cache import REPO


class PackagesTest(unittest.TestCase):
    def test_readme_lists_what_run_installs(self):
        run = (REPO / "run").read_text(encoding="utf-8")
        installed = " ".join(re.findall(r"^PACKAGES_\w+='([^']*)'", run, re.M))
        readme = (REPO / "README.md").read_text(encoding="utf-8")
        table = readme[readme.index("| package |"):]
        rows = re.findall(r"^\| ([a-z0-9+., -]+) \|",
                          table[:table.index("\n\n")], re.M)
        listed = [name.strip() for row in rows for name in row.split(",")]
        self.assertEqual(sorted(installed.split()),
                         sorted(set(listed) - {"package", "---"}))


def running_with(word):
    """The processes whose command line has a word."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if word.encode() in path.read_bytes():
                found.append(path.parent.name)
    return found


class ProgramTest(unittest.TestCase):
    """The command lines."""

    PROGRAMS = ["kernel-source", "kernel-tree", "kernel-build",
                "kernel-selftests", "sysroot", "vm-run", "test", "demo", "test-long",
                "cache-clean", "series", "series-build", "sparse"]

    @staticmethod
    def run_program(*command, **environment):
        return subprocess.run([str(SCRIPTS / command[0]), *command[1:]],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False,
                              env={**os.environ, **environment})

    def test_each_has_help(self):
        for name in self.PROGRAMS:
            run = self.run_program(name, "--help")
            self.assertEqual(run.returncode, 0, name)
            self.assertIn("usage", run.stdout, name)

    def test_an_error_of_the_system_is_a_sentence(self):
        def full():
            raise OSError(errno.ENOSPC, "No space left", "/some/file")

        said = io.StringIO()
        with unittest.mock.patch.object(console.signal, "signal"), \
                contextlib.redirect_stderr(said), \
                self.assertRaises(SystemExit) as caught:
            console.main_wrapper("series", full)
        self.assertEqual(caught.exception.code, console.EXIT_FAILURE)
        self.assertRegex(said.getvalue(), r"^series: .*No space left.*/some/file.*\n$")

    def test_each_refuses_an_unknown_argument(self):
        for name in self.PROGRAMS:
            run = self.run_program(name, "--nonsense")
            self.assertEqual(run.returncode, 2, name)

    def test_run_refuses_what_it_does_not_know(self):
        for command, code in ((["help"], 0), (["nonsense"], 2)):
            run = subprocess.run([str(REPO / "run"), *command],
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 text=True, check=False)
            self.assertEqual(run.returncode, code)
            self.assertIn("./run demo", run.stdout)

    def test_offline_without_a_source_says_so(self):
        with tempfile.TemporaryDirectory() as name:
            run = self.run_program("kernel-source", GMEM_OFFLINE="1",
                                   XDG_CACHE_HOME=name)
        self.assertEqual(run.returncode, console.EXIT_NO_SOURCE)
        self.assertIn("KSRC=", run.stdout)

    def test_offline_without_libraries_says_so(self):
        with tempfile.TemporaryDirectory() as name:
            run = self.run_program("sysroot", "--arch", "arm64", GMEM_OFFLINE="1",
                                   XDG_CACHE_HOME=name)
        self.assertEqual(run.returncode, console.EXIT_NO_SOURCE)
        self.assertIn("GMEM_OFFLINE", run.stdout)

    def test_architectures_that_do_not_fit_are_refused(self):
        for command in (["kernel-build", "--arch", "vax"],
                        ["sysroot", "--arch", "x86_64"]):
            run = self.run_program(*command)
            self.assertEqual(run.returncode, 2, command)
            self.assertIn(command[-1], run.stdout)

    def test_cache_clean_leaves_nothing(self):
        with tempfile.TemporaryDirectory() as name:
            root = pathlib.Path(name) / "gmem"
            for directory in ("trees/0123", "ccache", "linux-7.3.4",
                              "sysroot-arm64-bookworm/usr"):
                (root / directory).mkdir(parents=True)
            for file in ("fetch.log", "source.lock", "sysroot.lock", "sysroot.log",
                         load("kernel-source").DEB):
                (root / file).touch()
            run = self.run_program("cache-clean", XDG_CACHE_HOME=name)
            self.assertEqual(run.returncode, 0)
            self.assertEqual(list(root.iterdir()), [])

    def test_damaged_package_is_set_aside(self):
        with tempfile.TemporaryDirectory() as name:
            deb = pathlib.Path(name) / "gmem" / load("kernel-source").DEB
            deb.parent.mkdir()
            deb.write_bytes(b"damaged")
            run = self.run_program("kernel-source", GMEM_OFFLINE="1",
                                   XDG_CACHE_HOME=name)
            self.assertFalse(deb.exists())
        self.assertEqual(run.returncode, console.EXIT_NO_SOURCE)
        self.assertIn("SHA-256", run.stdout)

    def test_vm_run_names_what_is_missing(self):
        run = self.run_program("vm-run", "--kernel", "/no/such/kernel", "true")
        self.assertEqual(run.returncode, 2)
        self.assertIn("/no/such/kernel", run.stdout)

    def test_a_machine_that_says_nothing_is_ended(self):
        # A QEMU that hangs: it connects to nothing and never ends.
        with tempfile.TemporaryDirectory() as name, \
                unittest.mock.patch.object(vm, "BOOT_TIMEOUT", 0.5):
            fake = pathlib.Path(name) / "qemu"
            fake.write_text(
                "#!/usr/bin/env python3\nimport re, socket, sys, time\n"
                "path = re.search(r'socket,id=control,path=(\\S+)',\n"
                "                 ' '.join(sys.argv)).group(1)\n"
                "s = socket.socket(socket.AF_UNIX)\ns.connect(path)\n"
                f"open('{name}/started', 'w').close()\ntime.sleep(600)\n",
                encoding="utf-8")
            fake.chmod(0o755)
            machine = vm.Vm("kernel", [vm.Job("a", "true")],
                            vm.Machine(qemu=str(fake)))
            problem = machine.run(pathlib.Path(name) / "console")
            self.assertTrue((pathlib.Path(name) / "started").exists())
            self.assertIn("no sign of life", problem)
            self.assertEqual(running_with(str(fake)), [])
            self.assertIn(str(os.getpid()), running_with("selftest"))
