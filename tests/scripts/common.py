# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
"""A program of scripts/ as a module, and a repository in miniature."""

import contextlib
import importlib.machinery
import importlib.util
import io
import os
import pathlib
import shutil
import tempfile
import unittest
import unittest.mock

from gmem import tree
from gmem.cache import REPO
from gmem.console import Failure

SCRIPTS = REPO / "scripts"
MAKEFILE = "VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 4\n"
PATCH = """\
A change

--- a/mm/old.c
+++ b/mm/old.c
@@ -1,3 +1,3 @@
 one
-two
+TWO
 three
"""


def load(name):
    """A program of scripts/ as a module."""
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"),
                                                  str(SCRIPTS / name))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


class Miniature(unittest.TestCase):
    """A repository and a kernel in miniature."""

    def setUp(self):
        self.top = pathlib.Path(tempfile.mkdtemp(prefix="gmem-selftest."))
        self.addCleanup(shutil.rmtree, self.top)
        self.repo, self.ksrc = self.top / "repo", self.top / "ksrc"
        self.put(self.ksrc, "Makefile", MAKEFILE)
        self.put(self.ksrc, "mm/old.c", "one\ntwo\nthree\n")
        self.put(self.ksrc, "mm/other.c", "other\n")
        self.put(self.repo, "linux/mm/new.c", "new\n")
        self.put(self.repo, "linux/README.md", "not for the kernel\n")
        self.put(self.repo, "linux/config/x.config", "")
        self.put(self.repo, "core/map.c", "map\n")
        self.put(self.repo, "linux/patches/0001-a.patch", PATCH)
        self.put(self.repo, "linux/patches/series", "0001-a.patch\n")
        for patch in (
                unittest.mock.patch.object(tree, "REPO", self.repo),
                unittest.mock.patch.object(tree, "PATCHES",
                                           self.repo / "linux" / "patches"),
                unittest.mock.patch.dict(os.environ, {
                    "KSRC": str(self.ksrc),
                    "XDG_CACHE_HOME": str(self.top / "cache")}),
                contextlib.redirect_stderr(io.StringIO())):
            patch.__enter__()
            self.addCleanup(patch.__exit__, None, None, None)
        self.tree = tree.Tree()

    @staticmethod
    def put(base, name, text):
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def sync(self, **options):
        return self.tree.sync(lambda: self.fail("KSRC was given"), **options)

    def text(self, name):
        return (self.tree.source / name).read_text(encoding="utf-8")

    def everything(self):
        return {path: (path.read_bytes(), path.stat().st_mtime_ns)
                for path in self.tree.source.rglob("*") if path.is_file()}

    def refused(self, *words, **options):
        with self.assertRaises(Failure) as caught:
            self.sync(**options)
        for word in words:
            self.assertIn(word, str(caught.exception))
        return caught.exception
