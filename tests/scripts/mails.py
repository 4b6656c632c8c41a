# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
"""Tests of the mails of the series, and of what is checked in each."""

import contextlib
import io
import os
import pathlib
import shutil
import signal
import tempfile
import threading
import unittest
import unittest.mock

from common import MAKEFILE, PATCH, Miniature, load
from gmem import arch, cache, series, tree
from gmem.console import Failure


class SeriesTest(Miniature):
    """Mails of the miniature's patches, and patching a tree in place."""

    def setUp(self):
        super().setUp()
        self.put(self.repo, "linux/patches/0001-a.patch",
                 "Subject: [PATCH] mm: Say two aloud\n\nBecause.\n\n"
                 "Adds: mm/new.c\n---\n" + PATCH[PATCH.index("--- a/"):])
        self.put(self.repo, "linux/patches/0002-b.patch",
                 "Subject: [PATCH] KVM: Add an engine\n\nIt is needed.\n\n"
                 "Adds: virt/kvm/gmem/\n---\n")
        self.put(self.repo, "linux/patches/series", "0001-a.patch\n0002-b.patch\n")
        self.put(self.repo, "linux/patches/cover-letter.txt",
                 "A cover,\nfolded\n\nWhy all this.\n")
        self.mails = self.top / "mails"

    def write(self, where="mails"):
        out = self.top / where
        out.mkdir()
        self.tree.root.mkdir(parents=True, exist_ok=True)
        series.write(self.tree, self.ksrc, out)
        return {path.name: path.read_text("utf-8") for path in out.iterdir()}

    def not_written(self, *words):
        with self.assertRaises(Failure) as caught:
            self.write()
        for word in words:
            self.assertIn(word, str(caught.exception))

    def not_applied(self, *words):
        before = self.contents(self.ksrc)
        with self.assertRaises(Failure) as caught:
            self.tree.apply_to(self.ksrc)
        self.assertEqual(self.contents(self.ksrc), before)
        for word in words:
            self.assertIn(word, str(caught.exception))
        return caught.exception

    @staticmethod
    def contents(base):
        return {path.relative_to(base).as_posix(): path.read_bytes()
                for path in base.rglob("*") if path.is_file()}

    def test_a_mail_brings_its_new_files_and_no_notes(self):
        mails = self.write()
        self.assertEqual(sorted(mails), ["0000-cover-letter.patch",
                                         "0001-mm-Say-two-aloud.patch",
                                         "0002-KVM-Add-an-engine.patch"])
        first, second = mails["0001-mm-Say-two-aloud.patch"], \
            mails["0002-KVM-Add-an-engine.patch"]
        self.assertIn("Subject: [PATCH 1/2] mm: Say two aloud\n\nBecause.\n---\n",
                      first)
        self.assertIn("+++ b/mm/new.c", first)
        self.assertNotIn("virt/kvm/gmem", first)
        self.assertIn("+++ b/virt/kvm/gmem/map.c", second)
        self.assertNotIn("Adds:", first + second)
        cover = mails["0000-cover-letter.patch"]
        self.assertIn("Subject: [PATCH 0/2] A cover, folded\n\nWhy all this.\n", cover)

    def test_the_same_input_gives_the_same_mails(self):
        self.put(self.top, "config/git/attributes", "*.c -diff\n")
        environment = {"GIT_AUTHOR_NAME": "Somebody", "TZ": "Asia/Tokyo",
                       "XDG_CONFIG_HOME": str(self.top / "config")}
        first = self.write()
        with unittest.mock.patch.dict(os.environ, environment):
            self.assertEqual(self.write("again"), first)

    def test_mails_make_the_tree_that_is_built(self):
        self.write()
        series.check(self.tree, self.ksrc, self.mails)
        path = self.mails / "0002-KVM-Add-an-engine.patch"
        path.write_text(path.read_text("utf-8").replace("+map", "+mop"), "utf-8")
        with self.assertRaises(Failure) as caught:
            series.check(self.tree, self.ksrc, self.mails)
        self.assertIn("virt/kvm/gmem/map.c", str(caught.exception))

    def test_a_mail_that_does_not_apply_is_named(self):
        self.write()
        self.put(self.ksrc, "mm/old.c", "ONE\ntwo\nthree\n")
        with unittest.mock.patch.object(self.tree, "desired", lambda _: {
                "mm/old.c": b"", "mm/new.c": b""}), \
                self.assertRaises(Failure) as caught:
            series.check(self.tree, self.ksrc, self.mails)
        self.assertIn("0001-mm-Say-two-aloud.patch", str(caught.exception))

    def test_each_new_file_belongs_to_one_patch(self):
        self.put(self.repo, "linux/mm/lost.c", "lost\n")
        self.not_written("mm/lost.c", "Adds:")
        path = self.repo / "linux/patches/0002-b.patch"
        text = path.read_text("utf-8")
        path.write_text(text.replace("gmem/\n", "gmem/\nAdds: mm/\n"), "utf-8")
        self.mails.rmdir()
        self.not_written("mm/new.c", "0001-a.patch", "0002-b.patch")
        path.write_text(text.replace("gmem/\n", "gmem/\nAdds: no/such.c\n"), "utf-8")
        self.mails.rmdir()
        self.not_written("no/such.c", "0002-b.patch")

    def test_a_tree_is_patched_in_place(self):
        self.tree.apply_to(self.ksrc)
        self.assertEqual(self.contents(self.ksrc)["mm/old.c"], b"one\nTWO\nthree\n")
        self.assertEqual(self.contents(self.ksrc)["mm/new.c"], b"new\n")
        self.assertEqual(self.contents(self.ksrc)["virt/kvm/gmem/map.c"], b"map\n")

    def test_a_patched_tree_is_refused_and_left_alone(self):
        self.tree.apply_to(self.ksrc)
        self.not_applied("0001-a.patch", "has it already")
        self.not_written("0001-a.patch", "has it already")
        self.refused("0001-a.patch", "has it already")

    def test_a_tree_with_some_of_it_is_refused_and_left_alone(self):
        self.put(self.ksrc, "virt/kvm/gmem/map.c", "somebody's\n")
        self.not_applied("0002-b.patch", "virt/kvm/gmem/map.c")

    def test_another_version_is_told_what_would_fail_first(self):
        self.put(self.ksrc, "Makefile", MAKEFILE.replace("= 3", "= 4"))
        self.put(self.ksrc, "mm/old.c", "other\n")
        self.assertEqual(self.not_applied("7.4", "7.3", "0001-a.patch").code, 2)
        self.refused("7.4", "7.3", "0001-a.patch")

    def everything_in(self, base):
        return sorted(base.rglob("*")), self.contents(base)

    def test_an_error_half_way_leaves_a_tree_as_it_was(self):
        (self.repo / "linux/patches/0001-a.patch").write_text(
            PATCH + "--- a/mm/other.c\n+++ /dev/null\n@@ -1 +0,0 @@\n-other\n")
        before = self.everything_in(self.ksrc)
        replace = os.replace
        for limit in range(5):
            left = [limit]

            def full(old, new, left=left):
                # What is put back is not new.
                if not str(old).endswith(".gmem-old"):
                    if not left[0]:
                        raise OSError("the disk is broken")
                    left[0] -= 1
                replace(old, new)

            with unittest.mock.patch.object(tree.os, "replace", full), \
                    self.assertRaises(OSError):
                self.tree.apply_to(self.ksrc)
            self.assertEqual(self.everything_in(self.ksrc), before)
        self.tree.apply_to(self.ksrc)
        self.assertEqual(sorted(self.contents(self.ksrc)), [
            "Makefile", "mm/new.c", "mm/old.c", "virt/kvm/gmem/map.c"])

    def test_a_signal_half_way_waits_for_the_rest(self):
        def interrupt(*_):
            raise KeyboardInterrupt

        def signalled(old, new):
            os.kill(os.getpid(), signal.SIGTERM)
            replace(old, new)

        replace = os.replace
        before = signal.signal(signal.SIGTERM, interrupt)
        self.addCleanup(signal.signal, signal.SIGTERM, before)
        with unittest.mock.patch.object(tree.os, "replace", signalled), \
                self.assertRaises(KeyboardInterrupt):
            self.tree.apply_to(self.ksrc)
        self.assertEqual(self.contents(self.ksrc), {
            "Makefile": MAKEFILE.encode(), "mm/old.c": b"one\nTWO\nthree\n",
            "mm/other.c": b"other\n", "mm/new.c": b"new\n",
            "virt/kvm/gmem/map.c": b"map\n"})

    def build_each(self, broken=()):
        """Run series-build with a compiler that fails at some of the mails."""
        program = load("series-build")
        work = self.top / "work"
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(self.ksrc, work)
        shutil.rmtree(self.top / "git", ignore_errors=True)
        built = []

        class Bench:
            @staticmethod
            def start():
                repository = series.Repository(self.top / "git", work)
                repository.start(["mm/old.c"])
                return repository

            @staticmethod
            def known_path(machine):
                return self.top / f"known-{machine.name}"

            @staticmethod
            def identity(machine):
                return machine.name

            @staticmethod
            def build(_machine, _jobs, _label, log, _configure):
                if log.name[:4] in broken:
                    raise Failure("make said no")
                built.append((log.name, (work / "mm/old.c").read_text("utf-8"),
                              (work / "virt/kvm/gmem/map.c").exists()))

        with unittest.mock.patch.object(program, "OUT", self.top / "logs"):
            try:
                program.each_patch(Bench, series.mails_in(self.mails),
                                   [arch.X86_64, arch.ARM64], 1, False)
            except Failure as failure:
                return built, str(failure)
        return built, ""

    def test_each_mail_is_built_for_each_architecture(self):
        self.write()
        text = "one\nTWO\nthree\n"
        self.assertEqual(self.build_each(), ([
            ("0001-x86_64.log", text, False), ("0001-arm64.log", text, False),
            ("0002-x86_64.log", text, True), ("0002-arm64.log", text, True)], ""))
        self.assertEqual(self.build_each(), ([], ""))

    def test_a_mail_that_does_not_build_is_named_and_built_again(self):
        self.write()
        built, said = self.build_each(broken=["0002"])
        self.assertEqual(len(built), 2)
        self.assertIn("0002-KVM-Add-an-engine.patch", said)
        self.assertIn("x86_64", said)
        built, said = self.build_each()
        self.assertEqual([name for name, *_ in built],
                         ["0002-x86_64.log", "0002-arm64.log"])

    def bench(self):
        """series-build's tree of the miniature, ready for the first mail."""
        bench = load("series-build").Bench(self.tree)
        with unittest.mock.patch.object(cache, "need_space"):
            bench.start()
        return bench

    def test_a_changed_ksrc_is_built_as_it_is_now(self):
        self.tree.root.mkdir(parents=True)
        bench = self.bench()
        self.put(bench.source, "mm/old.c", "one\nTWO\nthree\n")
        self.put(bench.source, "mm/new.c", "new\n")
        self.put(self.ksrc, "mm/other.c", "changed since\n")
        self.assertEqual(self.contents(self.bench().source), self.contents(self.ksrc))

    def test_what_was_built_is_forgotten_with_its_tree(self):
        self.tree.root.mkdir(parents=True)
        bench = self.bench()
        for machine in arch.ARCHES.values():
            self.assertIn(bench.source, bench.known_path(machine).parents)

    def test_a_source_that_no_target_compiles_is_named(self):
        program = load("series-build")
        wanted = dict.fromkeys((
            "arch/x86/kvm/x86.c", "arch/x86/virt/svm/sev.c", "virt/kvm/kvm_main.c",
            "mm/folio.c", "include/linux/kvm.h", "tools/a.c"), b"")
        wanted.update({"arch/x86/mm/init.c": b"", "arch/arm64/mm/mmu.c": b"",
                       "kernel/fork.c": b"", "kernel/gone.c": None,
                       "drivers/virt/coco/pkvm-guest/arm-pkvm-guest.c": b"",
                       "drivers/virt/vmgenid.c": b""})
        self.assertEqual(program.not_compiled(wanted, arch.X86_64),
                         ["arch/x86/mm/init.c", "drivers/virt/vmgenid.c",
                          "kernel/fork.c"])
        self.assertEqual(program.not_compiled(wanted, arch.ARM64),
                         ["arch/arm64/mm/mmu.c", "drivers/virt/vmgenid.c",
                          "kernel/fork.c"])

    def test_two_at_once_leave_one_series(self):
        program = load("series")
        rmtree, codes = shutil.rmtree, []

        def other():
            with contextlib.redirect_stdout(io.StringIO()):
                program.make(self.tree, self.mails)
            codes.append(0)

        second = threading.Thread(target=other)

        def removed(path, **options):
            rmtree(path, **options)
            if path == self.mails and threading.current_thread() is not second:
                second.start()
                second.join(2)

        with unittest.mock.patch.object(program.shutil, "rmtree", removed), \
                contextlib.redirect_stdout(io.StringIO()):
            program.make(self.tree, self.mails)
            second.join()
        self.assertEqual(codes, [0])
        self.assertEqual(len(series.mails_in(self.mails)), 2)

    def test_no_mails_are_put_where_other_things_are(self):
        program = load("series")
        out = self.top / "out"
        self.put(out, "0001-mine.patch", "mine\n")
        with self.assertRaises(Failure):
            program.check_output(out)
        self.put(out, "0000-cover-letter.patch", "an earlier series\n")
        program.check_output(out)
        self.put(out, "notes.txt", "mine\n")
        with self.assertRaises(Failure):
            program.check_output(out)


class SparseTest(unittest.TestCase):
    """What counts of sparse's messages."""

    LOG = ("  CHECK   ../arch/x86/kvm/x86.c\n"
           "  CHECK   ../arch/x86/kvm/../../../virt/kvm/new.c\n"
           "../arch/x86/kvm/x86.c:7:3: warning: somebody's\n"
           "../arch/x86/kvm/x86.c:8:3: warning: of ours\n"
           "../arch/x86/kvm/../../../virt/kvm/new.c:1:1: error: new\n")

    def setUp(self):
        self.sparse = load("sparse")

    def test_lines_of_ours_count_and_others_do_not(self):
        lines = {"arch/x86/kvm/x86.c": {8}, "virt/kvm/new.c": {1, 2}}
        self.assertEqual(self.sparse.complaints(self.LOG, lines, set()),
                         ["arch/x86/kvm/x86.c:8: warning: of ours",
                          "virt/kvm/new.c:1: error: new"])
        self.assertEqual(self.sparse.complaints(
            self.LOG, lines, {"arch/x86/kvm/x86.c: warning: of ours"}),
            ["virt/kvm/new.c:1: error: new"])

    def test_silence_after_too_many_messages_counts(self):
        log = "../arch/x86/kvm/x86.c:9:3: warning: too many warnings\n"
        self.assertEqual(len(self.sparse.complaints(
            log, {"arch/x86/kvm/x86.c": set()}, set())), 1)
        self.assertEqual(self.sparse.complaints(log, {}, set()), [])

    def test_a_source_that_was_not_looked_at_is_named(self):
        self.assertEqual(self.sparse.unchecked(
            self.LOG, {"arch/x86/kvm/x86.c": b"", "virt/kvm/new.c": b"",
                       "virt/kvm/lost.c": b""}),
            ["virt/kvm/lost.c"])

    def test_a_part_is_looked_at_with_the_source_that_includes_it(self):
        including = b'int a;\n#include "part.c"\n'
        self.assertEqual(self.sparse.unchecked(
            self.LOG, {"virt/kvm/new.c": including, "virt/kvm/part.c": b"",
                       "arch/x86/kvm/part.c": b""}),
            ["arch/x86/kvm/part.c"])

    def test_knows_which_lines_are_ours(self):
        with tempfile.TemporaryDirectory() as name:
            base = pathlib.Path(name)
            (base / "a.c").write_text("one\ntwo\nthree\n", "utf-8")
            self.assertEqual(self.sparse.our_lines(
                base, "a.c", b"one\nnew\ntwo\nTHREE\n"), {2, 4})
            self.assertEqual(self.sparse.our_lines(base, "b.c", b"one\ntwo\n"), {1, 2})
