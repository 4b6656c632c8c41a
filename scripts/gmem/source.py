# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
"""Asks scripts/kernel-source for the pristine tree."""

import pathlib
import subprocess

from . import console
from .cache import REPO
from .console import Failure


def find_pristine():
    run = subprocess.run([str(REPO / "scripts" / "kernel-source")],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         text=True, check=False)
    if run.returncode == console.EXIT_NO_SOURCE:
        raise Failure("no Linux source, see above", console.EXIT_NO_SOURCE)
    if run.returncode:
        raise Failure("no Linux source, see above", run.returncode)
    return pathlib.Path(run.stdout.strip())
