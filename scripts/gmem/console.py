# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
"""Messages, exit codes and the progress line.

Everything here writes to stderr: stdout belongs to a program's result.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time

EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_NO_SOURCE = 3
EXIT_INTERRUPTED = 130

PR_SET_PDEATHSIG = 1

# The signals that end a program before it is done.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Failure(Exception):
    """An error with a sentence for the user and the exit code to end with."""

    def __init__(self, message, code=EXIT_FAILURE):
        super().__init__(message)
        self.code = code


def say(message):
    print(message, file=sys.stderr, flush=True)


def main_wrapper(name, main):
    """Run main(), turning failures and Ctrl-C into an exit code."""

    def on_term(_signum, _frame):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, on_term)
    signal.signal(signal.SIGHUP, on_term)
    try:
        code = main()
    except Failure as failure:
        say(f"{name}: {failure}")
        code = failure.code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_FAILURE
    except OSError as error:
        say(f"{name}: {error}")
        code = EXIT_FAILURE
    except KeyboardInterrupt:
        say(f"\n{name}: interrupted")
        code = EXIT_INTERRUPTED
    sys.exit(code)


@contextlib.contextmanager
def uninterrupted():
    """What runs inside is not ended half way: signals wait until it is done."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def duration(seconds):
    seconds = int(round(seconds))
    if seconds < 60:
        return f"{seconds} s"
    return f"{seconds // 60} min {seconds % 60:02d} s"


def is_tty():
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"


class Progress:
    """One live line on a terminal, else a plain line now and then.

    Without a total (nobody knows how much an incremental build will do) it
    counts.
    """

    INTERVAL_TTY = 0.2
    INTERVAL_PLAIN = 20.0

    def __init__(self, label, total):
        self.label = label
        self.total = total
        self.done = 0
        self.start = time.monotonic()
        self.tty = is_tty()
        self.last = self.start if not self.tty else 0.0
        self.shown = False

    def _text(self):
        elapsed = time.monotonic() - self.start
        if not self.total:
            return f"{self.label}: {self.done} files, {duration(elapsed)}"
        total = max(self.total, self.done)
        percent = min(99, 100 * self.done // total)
        text = f"{self.label}: {percent:2d}% ({self.done} of about {total})"
        if self.done > 20 and elapsed > 5:
            left = elapsed / self.done * (total - self.done)
            text += f", {duration(elapsed)} gone, about {duration(left)} left"
        return text

    def advance(self, steps=1):
        self.done += steps
        self.tick()

    def tick(self):
        now = time.monotonic()
        interval = self.INTERVAL_TTY if self.tty else self.INTERVAL_PLAIN
        if now - self.last < interval:
            return
        self.last = now
        self.shown = True
        if self.tty:
            sys.stderr.write(f"\r\033[K{self._text()}")
            sys.stderr.flush()
        else:
            say(self._text())

    def clear(self):
        if self.tty and self.shown:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()


@contextlib.contextmanager
def child(command, **options):
    """A child in a process group of its own, all of it ended on the way out."""
    options.setdefault("stdin", subprocess.DEVNULL)
    process = subprocess.Popen(command, start_new_session=True, **options)
    try:
        yield process
    except BaseException:
        end_group(process)
        raise


def die_with_parent():
    """Have the kernel end the calling process when its parent dies."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def end_group(process, grace=5.0):
    """End a child that leads its own process group, gently, then for sure."""
    for signum in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, signum)
        except ProcessLookupError:
            break
        deadline = time.monotonic() + grace
        while time.monotonic() < deadline:
            if process.poll() is not None:
                break
            time.sleep(0.05)
        else:
            continue
        if signum == signal.SIGTERM:
            # Stragglers of the group go the hard way.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        break
    process.wait()
