# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
"""Test results, and reading and writing them as TAP."""

import dataclasses
import re

from . import cache

LINE = re.compile(r"(not )?ok\b\s*(\d+)?\s*-?\s*(.*?)\s*(#\s*SKIP\b.*)?$", re.I)
PLAN = re.compile(r"1\.\.(\d+)\b")


@dataclasses.dataclass
class Result:
    """One test."""

    name: str
    outcome: str                # "passed", "failed" or "skipped"
    reason: str = ""


def passed(name):
    return Result(name, "passed")


def failed(name, reason):
    return Result(name, "failed", reason)


def skipped(name, reason):
    return Result(name, "skipped", reason)


def parse(text, status=0):
    """Results of one program that wrote TAP and ended with an exit status.

    What was planned and never ended, and a bad exit status that no test
    accounts for, are failures of their own. The comments after a failure are its
    reason.
    """
    results, planned, told = [], None, None
    for line in text.splitlines():
        if told and line.startswith("#"):
            told.reason = f"{told.reason}\n{line[1:].strip()}"
            continue
        told = None
        plan = PLAN.match(line)
        if plan:
            planned = int(plan.group(1))
            continue
        match = LINE.match(line)
        if not match:
            continue
        bad, number, name, skip = match.groups()
        name = name or f"test {number}"
        if skip:
            reason = re.sub(r"^#\s*SKIP\s*", "", skip, flags=re.I)
            results.append(skipped(name, reason))
        elif bad:
            told = failed(name, "not ok")
            results.append(told)
        else:
            results.append(passed(name))
    if planned is not None and planned > len(results):
        results.append(failed("plan", f"{planned - len(results)} of {planned} "
                              "tests never ended"))
    elif planned is None and not results:
        results.append(failed("output", "no TAP in it"))
    if status and not any(r.outcome == "failed" for r in results):
        results.append(failed("exit status", f"{status}, though no test failed"))
    return results


def parse_kunit(text):
    """Results of one KUnit suite, as its file in debugfs has them.

    KTAP nests, by four spaces: a suite has cases, which may have parameters. A
    result is what has nothing below it, and what failed though nothing below
    it did.
    """
    results, ended, plans, told = {}, {}, {}, []
    for line in text.splitlines():
        bare = line.lstrip(" ")
        depth = (len(line) - len(bare)) // 4
        plan, match = PLAN.match(bare), LINE.match(bare)
        if plan:
            plans[depth] = int(plan.group(1))
        elif not match:
            if bare.startswith("#"):
                told.append(bare[1:].strip())
        else:
            bad, _, name, skip = match.groups()
            here = results.pop(depth + 1, [])
            for result in here:
                result.name = f"{name}: {result.name}"
            missing = plans.pop(depth + 1, 0) - ended.pop(depth + 1, 0)
            if missing > 0:
                here.append(failed(name, f"{missing} tests never ended"))
            if bad and all(r.outcome != "failed" for r in here):
                here.append(failed(name, "\n".join(["not ok", *told])))
            elif not here:
                here = [skipped(name, skip) if skip else passed(name)]
            results.setdefault(depth, []).extend(here)
            ended[depth] = ended.get(depth, 0) + 1
            told = []
    everything = results.pop(0, [])
    if results or not everything:
        everything.append(failed("output", "the suite never ended"))
    return everything


def write(path, results):
    lines = ["TAP version 13", f"1..{len(results)}"]
    for number, result in enumerate(results, 1):
        word = "not ok" if result.outcome == "failed" else "ok"
        skip = f" # SKIP {result.reason}" if result.outcome == "skipped" else ""
        lines.append(f"{word} {number} - {result.name}{skip}")
        if result.outcome == "failed" and result.reason:
            lines += [f"# {line}" for line in result.reason.splitlines()]
    cache.write_if_changed(path, ("\n".join(lines) + "\n").encode())
