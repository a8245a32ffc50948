"""A progress line on a terminal; nothing in a pipe."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[int, int], None]
_EVERY = 50


@contextmanager
def progress(verb: str, *, quiet: bool) -> Iterator[Progress | None]:
    """Yield a function of (done, total) that keeps one line of standard error up to date, or None."""
    if quiet or not sys.stderr.isatty():
        yield None
        return

    def show(done: int, total: int) -> None:
        if done % _EVERY == 0 or done == total:
            sys.stderr.write(f"\r{verb} {done} of {total} files\x1b[K")
            sys.stderr.flush()

    try:
        yield show
    finally:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


@contextmanager
def steps(*, quiet: bool) -> Iterator[Callable[[str], None]]:
    """Yield a function that shows what is going on, with the time since the beginning; nothing in a pipe."""
    if quiet or not sys.stderr.isatty():
        yield lambda text: None
        return
    begun = time.monotonic()

    def say(text: str) -> None:
        sys.stderr.write(f"\r{time.monotonic() - begun:4.0f} s  {text}\x1b[K")
        sys.stderr.flush()

    try:
        yield say
    finally:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
