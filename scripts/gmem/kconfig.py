# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
"""Kernel configurations from the fragments in linux/config."""

import re

from .console import Failure


def parse_fragment(paths):
    """{symbol: value}, where None means off; later fragments win."""
    wanted = {}
    for path in paths:
        for number, line in enumerate(
                path.read_text(encoding="utf-8").splitlines(), 1):
            off = re.fullmatch(r"# (CONFIG_\w+) is not set", line)
            on = re.fullmatch(r"(CONFIG_\w+)=(.+)", line)
            if off or (on and on.group(2) == "n"):
                wanted[(off or on).group(1)] = None
            elif on:
                wanted[on.group(1)] = on.group(2)
            elif line.strip() and not line.startswith("#"):
                raise Failure(f"{path}:{number}: neither CONFIG_X=value nor "
                              f"'# CONFIG_X is not set': {line}")
    return wanted


def check_config(path, wanted):
    """Fail, naming each line of the fragments that did not take effect."""
    actual = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        match = re.fullmatch(r"(CONFIG_\w+)=(.+)", line)
        if match:
            actual[match.group(1)] = match.group(2)
    missed = [f"{symbol}: wanted {value or 'off'}, is "
              f"{actual.get(symbol) or 'off'}"
              for symbol, value in wanted.items() if actual.get(symbol) != value]
    if missed:
        raise Failure("lines of linux/config that did not take effect (an unmet "
                      "dependency, or forced on by another option):\n  "
                      + "\n  ".join(missed))


def write_config(maker, build, fragments):
    """Write <build>/.config, all off but for what fragments say. Return: that."""
    build.mkdir(exist_ok=True)
    wanted = parse_fragment(fragments)
    lines = [f"{symbol}={value}" if value else f"# {symbol} is not set"
             for symbol, value in wanted.items()]
    merged = build / ".gmem-fragment"
    merged.write_text("\n".join(lines) + "\n", encoding="utf-8")
    maker.run(["allnoconfig"], build, build / "config.log",
              variables=[f"KCONFIG_ALLCONFIG={merged}"], label="configuring",
              total=25)
    return wanted
