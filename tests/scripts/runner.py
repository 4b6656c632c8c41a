# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
"""Tests of the test runner, and of how it reads results."""

import contextlib
import io
import os
import pathlib
import signal
import tempfile
import time
import unittest

from common import load
from gmem import arch, tap
from gmem.console import Failure


class RunnerTest(unittest.TestCase):
    """Parts of the tests, one after the other and at once."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.out = pathlib.Path(directory.name)
        self.test = load("test")
        self.test.OUT = self.out
        self.test.AT_ONCE = 2
        self.runner = self.test.Runner(9)
        self.addCleanup(self.runner.stop)
        said = contextlib.redirect_stderr(io.StringIO())
        said.__enter__()
        self.addCleanup(said.__exit__, None, None, None)

    def await_file(self, name):
        deadline = time.monotonic() + 30
        while not (self.out / name).exists():
            if time.monotonic() > deadline:
                raise Failure(f"nobody made {name}")
            time.sleep(0.01)

    def meet(self, mine, other):
        """A part that only ends well beside another."""
        def part(_session, _log):
            (self.out / mine).touch()
            self.await_file(other)
            return [tap.passed(mine)]
        return part

    def outcomes_of(self, part):
        text = (self.out / f"{part}.tap").read_text("utf-8")
        return [result.outcome for result in tap.parse(text)]

    def outcomes(self):
        return sorted((r.name, r.outcome) for r in self.runner.results)

    def test_parts_run_beside_each_other(self):
        self.runner.beside(1, "one", self.meet("x", "y"), ())
        self.runner.beside(2, "two", self.meet("y", "x"), ())
        self.runner.finish()
        self.assertEqual(self.outcomes(), [("x", "passed"), ("y", "passed")])
        self.assertEqual(self.outcomes_of("one"), ["passed"])

    def test_a_part_alone_waits_for_those_before(self):
        def alone(_session, _log):
            return [tap.passed("alone")] if self.runner.results else []
        self.runner.beside(1, "one", lambda _s, _l: [tap.passed("one")], ())
        self.runner.alone(2, "two", alone)
        self.assertEqual(self.outcomes(), [("alone", "passed"), ("one", "passed")])

    def test_no_more_than_machines_at_once(self):
        def part(_session, _log):
            (self.out / f"run.{os.getpid()}").touch()
            time.sleep(0.1)
            running = len(list(self.out.glob("run.*")))
            (self.out / f"run.{os.getpid()}").unlink()
            return [tap.passed(str(running))]
        for number in range(5):
            self.runner.beside(number, f"part{number}", part, ())
        self.runner.finish()
        self.assertEqual(len(self.runner.results), 5)
        self.assertLessEqual({r.name for r in self.runner.results}, {"1", "2"})

    def test_a_part_that_dies_has_failed(self):
        tap.write(self.out / "one.tap", [tap.passed("an earlier run's")])
        self.runner.beside(1, "one", lambda _s, _l: os._exit(0), ())
        self.runner.finish()
        self.assertEqual(self.outcomes(), [("one", "failed")])
        self.assertEqual([name for name, _ in self.runner.bad], ["one"])
        self.assertEqual(self.outcomes_of("one"), ["failed"])

    def test_kernels_are_built_before_parts_boot_them(self):
        session = self.runner.session
        built = []

        def script(_name, *arguments):
            built.append((arguments[-1], len(self.runner.running)))
            return [f"image of {arguments[-1]}"]

        def part(session, _log):
            return [tap.passed(image) for image in session.images.values()]
        session.script = script
        for number, name in enumerate(("a", "a", "b")):
            self.runner.beside(number, f"part{number}", part, [(name, arch.X86_64)])
        self.runner.finish()
        self.assertEqual(built, [("a", 0), ("b", 0)])
        self.assertIn(("image of b", "passed"), self.outcomes())

    def test_stopped_parts_clean_up(self):
        def part(_session, _log):
            try:
                (self.out / "begun").touch()
                time.sleep(600)
            finally:
                time.sleep(0.2)
                (self.out / "cleaned").touch()
        self.runner.beside(1, "one", part, ())
        self.await_file("begun")
        # As a terminal's Ctrl-C, which reaches all of the group, and then stop().
        process = next(iter(self.runner.running.values()))[1]
        os.kill(process.pid, signal.SIGINT)
        self.runner.stop()
        self.assertTrue((self.out / "cleaned").exists())
        self.assertFalse(process.is_alive())


class TapTest(unittest.TestCase):
    """Reading results."""

    @staticmethod
    def outcomes(text, status=0):
        return [result.outcome for result in tap.parse(text, status)]

    def test_reads_each_outcome(self):
        self.assertEqual(self.outcomes(
            "TAP version 13\n1..3\nok 1 - a\nnot ok 2 - b\n"
            "ok 3 - c # SKIP no device\n", 1), ["passed", "failed", "skipped"])

    def test_tests_that_never_ended_fail(self):
        self.assertEqual(self.outcomes("1..2\nok 1 - a\n"), ["passed", "failed"])

    def test_comments_after_a_failure_are_its_reason(self):
        results = tap.parse("not ok 1 - a\n# seed 4\n# page 7\nok 2 - b\n"
                            "# c\n1..2\n", 1)
        self.assertEqual([result.reason for result in results],
                         ["not ok\nseed 4\npage 7", ""])

    def test_silence_and_bad_exit_fail(self):
        self.assertEqual(self.outcomes(""), ["failed"])
        self.assertEqual(self.outcomes("1..1\nok 1 - a\n", 139),
                         ["passed", "failed"])

    def test_kunit_counts_what_has_nothing_below_it(self):
        text = """KTAP version 1
1..1
    KTAP version 1
    # Subtest: suite
    1..3
        KTAP version 1
        # Subtest: a
        ok 1 x
    # a: EXPECTATION FAILED at b.c:1
        not ok 2 y
    # a: pass:1 fail:1 skip:0 total:2
    not ok 1 a
    ok 2 b # SKIP no device
    ok 3 c
not ok 1 suite
"""
        results = tap.parse_kunit(text)
        self.assertEqual([(r.name, r.outcome) for r in results],
                         [("suite: a: x", "passed"), ("suite: a: y", "failed"),
                          ("suite: b", "skipped"), ("suite: c", "passed")])
        self.assertIn("EXPECTATION FAILED", results[1].reason)

    def test_kunit_suites_that_did_not_end_or_run_fail(self):
        for text in ("", "KTAP version 1\n1..1\n",
                     "1..1\n    1..2\n    ok 1 a\n",
                     "1..1\n    1..2\n    ok 1 a\nok 1 suite\n",
                     "1..1\n    1..1\n    ok 1 a\nnot ok 1 suite\n"):
            self.assertIn("failed", [r.outcome for r in tap.parse_kunit(text)], text)
