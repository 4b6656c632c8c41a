# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
"""Decides whether a kernel log is clean."""

import re

from .cache import REPO
from .console import Failure

ALLOWED = REPO / "scripts" / "dmesg-allowed"

BAD = re.compile(
    r"WARNING[: ]|BUG[: ]|KASAN|UBSAN|KFENCE|\bOops\b|Kernel panic|Call Trace:|"
    r"INFO: (task .* blocked|possible|trying to register|rcu|suspicious)|"
    r"possible (circular|recursive|irq|deadlock)|suspicious RCU|"
    r"inconsistent .*lock|held lock freed|bad unlock balance|"
    r"sleeping function called|scheduling while atomic|"
    r"rcu: INFO|detected stalls?|self-detected stall|soft lockup|hard LOCKUP|"
    r"workqueue lockup|unchecked MSR|general protection|double fault|"
    r"list_(add|del) corruption|refcount_t:|[Bb]ad page|bad_page|"
    r"unable to handle|DEBUG_LOCKS_WARN_ON|nobody cared|"
    r"kernel stack|cut here|Out of memory|invoked oom-killer")
STAMP = re.compile(r"^(<\d+>)?\[ *\d+\.\d+\](\[ *[CT]\d+\])? ?")


def allowed_lines(path=ALLOWED):
    """The file's regular expressions; each must match a whole line."""
    patterns, reason = [], False
    for number, line in enumerate(
            path.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("#"):
            reason = True
        elif not line.strip():
            reason = False
        elif not reason:
            raise Failure(f"{path}:{number}: give the reason in a comment above")
        else:
            patterns.append(re.compile(line))
    return patterns


def complaints(text, patterns):
    """[(offset, line)] of lines that must not be in a clean log."""
    found, offset = [], 0
    for line in text.split("\n"):
        bare = STAMP.sub("", line.rstrip("\r"))
        if BAD.search(bare) and not any(p.fullmatch(bare) for p in patterns):
            found.append((offset, bare))
        offset += len(line) + 1
    return found
