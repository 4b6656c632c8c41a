# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
"""Tests of machines: architectures, apt's sources, images and kernel logs."""

import os
import pathlib
import subprocess
import tempfile
import unittest
import unittest.mock

from gmem import arch, debian, dmesg, initramfs, sysroot, tree, vm
from gmem.console import Failure


class ArchTest(unittest.TestCase):
    """What differs between architectures."""

    def test_each_has_directories_and_images_of_its_own(self):
        trees = [tree.Tree(one) for one in arch.ARCHES.values()]
        for configuration in ("release", "debug"):
            images = {one.image(configuration) for one in trees}
            self.assertEqual(len(images), len(arch.ARCHES))

    def test_this_machines_kvm_runs_its_own_only(self):
        with unittest.mock.patch.dict(os.environ, {"GMEM_VM_ACCEL": "kvm"}):
            self.assertEqual(vm.default_accel(arch.X86_64), "kvm")
            self.assertEqual(vm.default_accel(arch.ARM64), "tcg")

    def test_words_of_the_user_come_last_but_for_inits(self):
        command = vm.Machine(arch=arch.ARM64, append="kvm-arm.mode=nvhe").command(
            "kernel", "initrd", "console", "control")
        words = command[command.index("-append") + 1].split()
        self.assertGreater(words.index("kvm-arm.mode=nvhe"),
                           words.index("kvm-arm.mode=protected"))
        self.assertEqual(words[-2:], ["--", "/dev/hvc0"])

    def test_finds_the_libraries_of_a_program_of_another(self):
        with tempfile.TemporaryDirectory() as name:
            program = pathlib.Path(name) / "program"
            subprocess.run([f"{arch.ARM64.prefix}gcc", "-x", "c", "-o", str(program),
                            "-"], input="int main(void) { return 0; }", text=True,
                           check=True)
            with unittest.mock.patch.object(sysroot, "find",
                                            lambda _: pathlib.Path(name)):
                found = sysroot.needed_libraries(arch.ARM64, program)
        self.assertEqual(sorted(found), ["/lib/ld-linux-aarch64.so.1",
                                         "/lib/libc.so.6"])
        for path in found.values():
            self.assertTrue(path.exists())

    def test_reads_this_machines_release(self):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write('ID=debian\nVERSION_CODENAME="trixie"\n# comment\n')
            file.flush()
            self.assertEqual(debian.machine_suite(pathlib.Path(file.name)), "trixie")
            file.write("ID=other\n")
            file.flush()
            self.assertIsNone(debian.machine_suite(pathlib.Path(file.name)))


class MirrorTest(unittest.TestCase):
    """Reading apt's sources."""

    def mirrors(self, **files):
        with tempfile.TemporaryDirectory() as name:
            etc = pathlib.Path(name)
            (etc / "sources.list.d").mkdir()
            for key, text in files.items():
                path = etc / ("sources.list" if key == "main" else
                              "sources.list.d/" + key.replace("_", "."))
                path.write_text(text, encoding="utf-8")
            return debian.machine_mirrors(etc)

    def test_one_line_entries(self):
        self.assertEqual(self.mirrors(
            main="# deb http://no/debian bookworm main\n"
            "deb [arch=amd64 signed-by=/k] http://a/debian/ bookworm main\n"
            "deb http://a/debian bookworm-updates main # again\n"
            "deb-src http://src/debian bookworm main\n"
            "deb http://a/debian-security bookworm-security main\n"),
            ["http://a/debian"])

    def test_deb822_entries(self):
        self.assertEqual(self.mirrors(
            d_sources="Types: deb\n# a comment\nURIs: http://b/debian\n"
            " http://c/debian\nSuites: trixie trixie-updates\n\n"
            "Enabled: no\nTypes: deb\nURIs: http://d/debian\nSuites: trixie\n\n"
            "Types: deb-src\nURIs: http://e/debian\nSuites: trixie\n"),
            ["http://b/debian", "http://c/debian"])

    def test_other_archives_are_ignored(self):
        self.assertEqual(self.mirrors(
            x_list="deb https://x/apt cloud-sdk-bookworm main\n",
            y_sources="Types: deb\nURIs: https://y/node\nSuites: nodistro\n",
            z_bak="deb http://z/debian bookworm main\n"), [])


class ImageTest(unittest.TestCase):
    """The initramfs."""

    def test_cpio_reads_it(self):
        image = initramfs.Initramfs()
        image.add_data("/a/b/file", b"content")
        image.add_link("/a/link", "b/file")
        image.add_file("/bin/sh", "/bin/sh")
        run = subprocess.run(["cpio", "-it", "--quiet"], input=image.bytes(),
                             stdout=subprocess.PIPE, check=True)
        names = run.stdout.decode().split()
        for name in ("a/b/file", "a/link", "bin/sh", "dev/console"):
            self.assertIn(name, names)
        self.assertTrue(any(name.startswith("lib") for name in names), names)

    def test_missing_file_is_named(self):
        with self.assertRaises(Failure) as caught:
            initramfs.Initramfs().add_file("/no/such/file", "/x")
        self.assertIn("/no/such/file", str(caught.exception))


class LogTest(unittest.TestCase):
    """What is a complaint in a kernel log."""

    BAD = ["WARNING: CPU: 0 PID: 1 at mm/x.c:1 f+0x1/0x2", "BUG: KASAN: use-after",
           "INFO: task x:1 blocked for more than 120 seconds.",
           "WARNING: possible circular locking dependency detected",
           "unchecked MSR access error: RDMSR from 0x1", "Kernel panic - not syncing",
           "rcu: INFO: rcu_preempt self-detected stall on CPU", "Oops: 0000 [#1]",
           "BUG: sleeping function called from invalid context at x.c:1",
           "list_del corruption. next->prev should be"]
    GOOD = ["Linux version 7.3.4", "rcu: Hierarchical RCU implementation.",
            "kvm_amd: Nested Virtualization enabled",
            "Run /init as init process", "... MAX_LOCK_DEPTH:          48",
            "Lock dependency validator: Copyright"]

    def test_finds_each_kind(self):
        for line in self.BAD:
            self.assertEqual(len(dmesg.complaints(f"[    1.0] {line}\r\n", [])), 1,
                             line)

    def test_leaves_the_rest_alone(self):
        for line in self.GOOD:
            self.assertEqual(dmesg.complaints(f"[    1.0] {line}\n", []), [], line)

    def test_allows_only_whole_lines(self):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write("# It is harmless.\nWARNING: that one\n")
            file.flush()
            allowed = dmesg.allowed_lines(pathlib.Path(file.name))
        log = "[ 1.0] WARNING: that one\n[ 1.1] WARNING: that one, not\n"
        self.assertEqual([line for _, line in dmesg.complaints(log, allowed)],
                         ["WARNING: that one, not"])

    def test_an_exception_needs_a_reason(self):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write("WARNING: that one\n")
            file.flush()
            with self.assertRaises(Failure):
                dmesg.allowed_lines(pathlib.Path(file.name))
