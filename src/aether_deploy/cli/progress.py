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
    with _line(quiet=quiet) as write:

        def show(done: int, total: int) -> None:
            if write is not None and (done % _EVERY == 0 or done == total):
                write(f"{verb} {done} of {total} files")

        yield None if write is None else show


@contextmanager
def steps(*, quiet: bool) -> Iterator[Callable[[str], None]]:
    """Yield a function that shows what is going on, with the time since the beginning; nothing in a pipe."""
    begun = time.monotonic()
    with _line(quiet=quiet) as write:

        def say(text: str) -> None:
            if write is not None:
                write(f"{time.monotonic() - begun:4.0f} s  {text}")

        yield say


@contextmanager
def _line(*, quiet: bool) -> Iterator[Callable[[str], None] | None]:
    """Yield a function that replaces one line of standard error, which is gone at the end; None in a pipe."""
    if quiet or not sys.stderr.isatty():
        yield None
        return

    def write(text: str) -> None:
        sys.stderr.write(f"\r{text}\x1b[K")
        sys.stderr.flush()

    try:
        yield write
    finally:
        write("")
