"""Who holds the leader lease, as the store itself says: when it was taken and when it was renewed last.

A log says when a loop ended, not when the lease was renewed; a phase that is read from it is wrong by the length of
a loop. So the store is asked.
"""

import bisect
import threading
import time
from collections.abc import Callable
from typing import Literal, Self

import msgspec

from aether_deploy.problems import EffectError

_POLL_SECS = 0.02


class LeaseEvent(msgspec.Struct, frozen=True):
    """Something that happened to the lease.

    Attributes:
        at: When, seconds of the monotonic clock.
        holder: Who holds it then; empty where nobody does.
        what: Whether another holder took it, the same renewed it, or it ended.
    """

    at: float
    holder: str
    what: Literal["taken", "renewed", "ended"]


class LeaseWatch:
    """Everything that happened to one lease while the block ran.

    Attributes:
        events: What happened, in its order.
    """

    def __init__(self, follow: Callable[["LeaseWatch"], None]) -> None:
        """Prepare a watch.

        Args:
            follow: Runs in a thread of its own until :attr:`over`, and tells what it sees with :meth:`tell`.
        """
        self.events: list[LeaseEvent] = []
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(follow,), name="lease", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join(5)

    def _run(self, follow: Callable[["LeaseWatch"], None]) -> None:
        while not self.over:
            try:
                follow(self)
            except EffectError:  # a store that does not answer is part of what is tried
                self._stop.wait(_POLL_SECS)

    @property
    def over(self) -> bool:
        """Whether the block has ended."""
        return self._stop.is_set()

    def pause(self) -> None:
        """Wait a moment between two questions."""
        self._stop.wait(_POLL_SECS)

    def tell(self, holder: str, *, renewed_at: float | None = None) -> None:
        """Write down what the store says.

        Args:
            holder: Who holds the lease; empty for nobody.
            renewed_at: When it was renewed, if it was since the last word; None where it was not.
        """
        with self._changed:
            before = self.events[-1].holder if self.events else ""
            now = time.monotonic() if renewed_at is None else renewed_at
            if holder != before:
                self.events.append(LeaseEvent(now, holder, "taken" if holder else "ended"))
            elif holder and renewed_at is not None:
                self.events.append(LeaseEvent(now, holder, "renewed"))
            self._changed.notify_all()

    def renewed_before(self, moment: float) -> float | None:
        """Return when the lease was renewed (or taken) last before ``moment``; None where nothing is known."""
        known = [event.at for event in self.events if event.what != "ended"]
        place = bisect.bisect_right(known, moment)
        return known[place - 1] if place else None

    def taken_after(self, moment: float, *, not_by: str = "") -> LeaseEvent | None:
        """Return how the lease was first taken after ``moment``, by anybody but ``not_by``."""
        taken = (each for each in self.events if each.what == "taken" and each.at > moment and each.holder != not_by)
        return next(taken, None)

    def next_renewal(self, within_secs: float) -> LeaseEvent:
        """Wait until the store tells of the next renewal, and return it.

        Raises:
            EffectError: It tells of none in time.
        """
        known = len(self.events)

        def seen() -> LeaseEvent | None:
            return next((each for each in self.events[known:] if each.what == "renewed"), None)

        with self._changed:
            self._changed.wait_for(lambda: seen() is not None, within_secs)
            event = seen()
        if event is None:
            raise EffectError(
                f"nobody renewed the lease within {within_secs:g} s\n  fix: see what the members log about the store"
            )
        return event
