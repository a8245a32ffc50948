"""The thread of one member: what is asked of it is done there, one thing after another, until the lab ends.

On Linux a program can be told to end with the thread that started it, and so it is told: each member has a thread
that lives as long as its programs do.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

from aether_deploy.lab.system.member import Member
from aether_deploy.lab.workplace import remembering

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Desk:
    """One member and its thread.

    Attributes:
        member: The member.
        boot_secs: How long it took to boot; None until it has.
        folders: What it works in.
    """

    def __init__(self, member: Member) -> None:
        self.member = member
        self.boot_secs: float | None = None
        self.folders: list[Path] = []
        self._entered = False
        self._booting: Future[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"lab-{member.name}")

    def boot(self) -> "Future[None]":
        """Boot the member; the future ends when it serves, or holds why it does not."""
        self._booting = self.do(self._boot)
        return self._booting

    @property
    def is_booting(self) -> bool:
        """Whether it has been told to boot, and neither serves nor has failed."""
        return self._booting is not None and not self._booting.done()

    def _boot(self) -> None:
        begun = time.monotonic()
        with remembering(self.folders):
            self.member.__enter__()
        self._entered = True
        self.boot_secs = time.monotonic() - begun

    def do(self, work: Callable[_P, _T], *given: _P.args, **settings: _P.kwargs) -> "Future[_T]":
        """Let the member's thread do something after all that it was asked for before."""
        return self._thread.submit(work, *given, **settings)

    def end(self) -> "Future[None]":
        """End the member after all that it was asked for before."""
        return self.do(self._end)

    def _end(self) -> None:
        if self._entered:
            self.member.close()  # one that could not boot has ended what it had started

    def leave(self) -> None:
        """End the thread, once it has done everything."""
        self._thread.shutdown(wait=True)
