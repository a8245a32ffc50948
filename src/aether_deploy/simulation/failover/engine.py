"""A clock and processes on it: the next event is the only thing that makes time pass."""

from collections.abc import Callable, Generator
from heapq import heappop, heappush
from typing import Any

Steps = Generator[float, None, None]
"""What a process does: it yields how many seconds pass until it goes on."""


class Process:
    """Something that goes on by itself until it is killed; while it is frozen it misses no event, it is late."""

    __slots__ = ("_token", "frozen", "is_due", "napping", "nudged", "steps")

    def __init__(self, steps: Steps) -> None:
        self.steps: Steps | None = steps
        self.frozen = self.is_due = self.napping = self.nudged = False
        self._token = 0

    @property
    def alive(self) -> bool:
        return self.steps is not None


class Engine:
    """Runs processes and calls in the order of their times; what is due at one time goes in the order of asking.

    Attributes:
        now: The time, seconds.
        stopped: Nothing more happens.
    """

    __slots__ = ("_queue", "_sequence", "now", "stopped")

    def __init__(self) -> None:
        self.now = 0.0
        self.stopped = False
        self._queue: list[tuple[float, int, Any, int]] = []
        self._sequence = 0

    def start(self, steps: Steps, after_secs: float = 0.0) -> Process:
        """Start a process."""
        process = Process(steps)
        self._at(self.now + after_secs, process)
        return process

    def call(self, at_secs: float, function: Callable[[], None]) -> None:
        """Call a function at a time."""
        self._sequence += 1
        heappush(self._queue, (at_secs, self._sequence, function, 0))

    def kill(self, process: Process) -> None:
        """End a process where it stands."""
        process.steps = None
        process._token += 1

    def freeze(self, process: Process) -> None:
        """Stop a process until it is thawed."""
        process.frozen = True

    def thaw(self, process: Process) -> None:
        """Let a process go on, at once if it was due."""
        process.frozen = False
        if process.is_due:
            process.is_due = False
            self._at(self.now, process)

    def wake(self, process: Process) -> None:
        """End a nap; a process that does not nap will end its next one at once."""
        process.nudged = True
        if process.napping:
            process.napping = False
            if process.frozen:
                process._token += 1
                process.is_due = True
            else:
                self._at(self.now, process)

    def _at(self, at_secs: float, process: Process) -> None:
        process._token += 1
        self._sequence += 1
        heappush(self._queue, (at_secs, self._sequence, process, process._token))

    def run(self, until_secs: float) -> None:
        """Let time pass until nothing more happens, or until a time."""
        queue = self._queue
        while queue and not self.stopped:
            at, _, what, token = heappop(queue)
            if at > until_secs:
                break
            if type(what) is not Process:
                self.now = at
                what()
            elif token == what._token and what.steps is not None:
                self.now = at
                if what.frozen:
                    what.is_due = True
                else:
                    self._step(what)
        if not self.stopped:
            self.now = max(self.now, until_secs)

    def _step(self, process: Process) -> None:
        assert process.steps is not None
        try:
            delay = next(process.steps)
        except StopIteration:
            process.steps = None
            return
        if process.steps is not None:  # a process may end itself
            process._token += 1
            self._sequence += 1
            heappush(self._queue, (self.now + delay, self._sequence, process, process._token))
