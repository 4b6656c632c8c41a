# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
"""Tests of the tree that is built, and of how it is configured and built."""

import contextlib
import io
import os
import pathlib
import tempfile
import time
import unittest
import unittest.mock

from common import MAKEFILE, PATCH, Miniature
from gmem import kbuild, kconfig
from gmem.console import Failure


class TreeTest(Miniature):
    """The tree that is built."""

    def test_lays_overlay_core_and_patches(self):
        self.sync()
        self.assertEqual(self.text("mm/new.c"), "new\n")
        self.assertEqual(self.text("virt/kvm/gmem/map.c"), "map\n")
        self.assertEqual(self.text("mm/old.c"), "one\nTWO\nthree\n")
        self.assertFalse((self.tree.source / "README.md").exists())
        self.assertFalse((self.tree.source / "config").exists())

    def test_never_modifies_the_base(self):
        self.sync()
        self.assertEqual((self.ksrc / "mm/old.c").read_text("utf-8"),
                         "one\ntwo\nthree\n")
        self.assertFalse((self.ksrc / "mm/new.c").exists())

    def test_second_sync_touches_nothing(self):
        self.sync()
        before = self.everything()
        self.assertEqual(self.sync(), 0)
        self.assertEqual(self.everything(), before)

    def test_one_change_touches_one_file(self):
        self.sync()
        before = self.everything()
        self.put(self.repo, "core/map.c", "map 2\n")
        self.assertEqual(self.sync(), 1)
        changed = [path for path, state in self.everything().items()
                   if before.get(path) != state]
        self.assertEqual([path.name for path in changed], ["map.c"])

    def test_failing_patch_names_itself_and_leaves_the_tree(self):
        self.sync()
        before = self.everything()
        self.put(self.repo, "core/map.c", "map 2\n")
        self.put(self.repo, "linux/patches/0002-b.patch", PATCH)
        self.put(self.repo, "linux/patches/series",
                 "0001-a.patch\n0002-b.patch\n")
        self.refused("0002-b.patch")
        self.assertEqual(self.everything(), before)

    def test_patch_with_drifted_context_is_refused(self):
        self.put(self.ksrc, "mm/old.c", "ONE\ntwo\nthree\n")
        self.refused("0001-a.patch")

    def test_dropped_patch_and_file_are_undone(self):
        self.sync()
        (self.repo / "linux/patches/0001-a.patch").unlink()
        self.put(self.repo, "linux/patches/series", "")
        (self.repo / "linux/mm/new.c").unlink()
        self.assertEqual(self.sync(), 2)
        self.assertEqual(self.text("mm/old.c"), "one\ntwo\nthree\n")
        self.assertFalse((self.tree.source / "mm/new.c").exists())

    def test_unlisted_and_missing_patches_are_named(self):
        self.put(self.repo, "linux/patches/0002-b.patch", PATCH)
        self.refused("0002-b.patch", "not listed")
        self.put(self.repo, "linux/patches/series", "0001-a.patch\n0002-b.patch\n"
                 "0003-c.patch\n")
        self.refused("0003-c.patch", "does not exist")

    def test_edits_in_the_tree_are_not_lost(self):
        self.sync()
        self.put(self.tree.source, "mm/old.c", "mine\n")
        self.refused("mm/old.c", "--discard-edits")
        self.assertEqual(self.text("mm/old.c"), "mine\n")
        self.sync(discard_edits=True)
        self.assertEqual(self.text("mm/old.c"), "one\nTWO\nthree\n")

    def test_overlay_may_not_replace_a_kernel_file(self):
        self.put(self.repo, "linux/mm/other.c", "mine\n")
        self.refused("linux/mm/other.c", "patch")

    def test_changed_ksrc_is_followed(self):
        self.sync()
        time.sleep(0.01)
        self.put(self.ksrc, "mm/other.c", "other 2, longer\n")
        self.sync()
        self.assertEqual(self.text("mm/other.c"), "other 2, longer\n")
        self.assertEqual(self.text("mm/old.c"), "one\nTWO\nthree\n")

    def test_other_versions_are_refused(self):
        self.put(self.ksrc, "Makefile", MAKEFILE.replace("= 3", "= 2"))
        self.assertEqual(self.refused("7.2", "7.3").code, 2)
        (self.ksrc / "Makefile").unlink()
        self.assertEqual(self.refused("no Linux source tree").code, 2)

    def test_tree_built_in_place_is_refused(self):
        self.put(self.ksrc, ".config", "")
        self.refused("mrproper")


class BuildTest(unittest.TestCase):
    """Configuration fragments."""

    def setUp(self):
        self.build = kconfig
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)

    def file(self, name, text):
        path = pathlib.Path(self.directory.name) / name
        path.write_text(text, encoding="utf-8")
        return path

    def test_later_fragments_win(self):
        wanted = self.build.parse_fragment([
            self.file("a", "CONFIG_A=y\n# CONFIG_B is not set\n# words\n"),
            self.file("b", "CONFIG_B=y\nCONFIG_C=n\n")])
        self.assertEqual(wanted, {"CONFIG_A": "y", "CONFIG_B": "y",
                                  "CONFIG_C": None})

    def test_lines_without_effect_are_named(self):
        config = self.file("c", "CONFIG_A=y\nCONFIG_B=y\n")
        self.build.check_config(config, {"CONFIG_A": "y", "CONFIG_D": None})
        with self.assertRaises(Failure) as caught:
            self.build.check_config(config, {"CONFIG_B": None, "CONFIG_D": "y"})
        self.assertIn("CONFIG_B", str(caught.exception))
        self.assertIn("CONFIG_D", str(caught.exception))

    def test_garbage_in_a_fragment_is_named(self):
        with self.assertRaises(Failure):
            self.build.parse_fragment([self.file("a", "CONFIG_A\n")])

    def test_failing_command_shows_its_error_and_names_the_log(self):
        with tempfile.TemporaryDirectory() as name, \
                contextlib.redirect_stderr(io.StringIO()) as said, \
                unittest.mock.patch.dict(os.environ, {"XDG_CACHE_HOME": name}):
            maker = kbuild.Maker(pathlib.Path(name), 1)
            log = pathlib.Path(name) / "log"
            with self.assertRaises(Failure) as caught:
                maker.run_command(["sh", "-c", "echo x.c:1: error: y; exit 2"],
                                  log, label="it", total=1)
        self.assertIn("x.c:1: error: y", said.getvalue())
        self.assertIn(str(log), str(caught.exception))
