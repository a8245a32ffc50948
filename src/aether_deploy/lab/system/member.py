"""One member of a lab: what it runs, what can befall that, and how its clients notice."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence

from aether_deploy.lab.life import Booted
from aether_deploy.lab.system.record import LabProcess


class Probe(ABC):
    """A client of one part of a member, which is asked again and again by a thread of its own.

    Attributes:
        member: The member.
        part: The part, by the name that the member's analyst gives it (``Effect.part``): empty where it has but one.
        region: The region whose clients it stands for (``Effect.region``); None where clients everywhere use the part.
        takes_writes: Whether the part takes writes; a copy that only follows (a mirror of a stream) takes none, and is
            only read.
        answer_secs: How long an answer may take until it counts as none, seconds; a shorter wait is no outage.
    """

    member: str
    part: str = ""
    region: str | None = None
    takes_writes: bool = True
    answer_secs: float = 1.0

    @abstractmethod
    def write(self, number: int) -> None:
        """Write the entry ``number`` and return once it is acknowledged, within about a second.

        A part that takes no writes (an edge, a router) is asked once instead.

        Raises:
            Exception: It was not acknowledged; whether it took place is not known.
        """

    @abstractmethod
    def read(self) -> None:
        """Read something that was written, however old, within about a second.

        Raises:
            Exception: Nothing was to be had.
        """

    def missing(self, numbers: Sequence[int]) -> Sequence[int]:
        """Return which of these acknowledged entries are gone; asked once everything is quiet.

        Raises:
            Exception: It cannot be told.
        """
        return ()

    @abstractmethod
    def close(self) -> None:
        """Close its connections; safe to call twice."""


class Member(Booted):
    """One member: everything of one component, or of one workload.

    Entered it boots, and serves once :meth:`__enter__` returns: every part that a probe asks answers. Left, everything
    is gone. All methods are called in the thread that entered it, but :meth:`processes`, which any thread may call.

    Attributes:
        name: Its name in the description; ``router`` for the router.
        kind: The kind of a component, or ``router``, ``envoy``, ``world``, ``service``.
        left_out: What of it does not run here, each as a sentence with the reason.
    """

    name: str
    kind: str
    left_out: tuple[str, ...] = ()

    @abstractmethod
    def processes(self) -> Sequence[LabProcess]:
        """Return its processes as they are now, those that ended too; always in the same order."""

    def pids(self) -> Sequence[int]:
        """Return the process ids of everything that runs for it, beside what descends from those; any thread may."""
        return [each.pid for each in self.processes() if each.pid is not None]

    @abstractmethod
    def kill(self, names: Collection[str]) -> None:
        """End processes (by :attr:`LabProcess.address`) at once, all together, as a lost machine does."""

    @abstractmethod
    def freeze(self, names: Collection[str]) -> None:
        """Stop processes without ending them."""

    @abstractmethod
    def mend(self, names: Collection[str]) -> None:
        """Let frozen processes go on, start ended ones again with what they kept, and run the Jobs that would run."""

    def settle(self, within_secs: float) -> bool:
        """Wait until what runs of it is as safe as it can be: copies have caught up after what befell it before.

        A fault that comes sooner is a second one on top of the first, which nobody predicts.

        Args:
            within_secs: How long to wait at most, seconds; then it stays as it is.

        Returns:
            Whether it is as safe as it can be.
        """
        return True

    def cut(self, pair: frozenset[str]) -> None:
        """Let its processes of two regions no longer reach each other; nothing where they never do."""

    def join(self, pair: frozenset[str]) -> None:
        """Let them reach each other again."""

    @abstractmethod
    def probes(self) -> Sequence[Probe]:
        """Return new clients, one for each of its parts."""

    @abstractmethod
    def check(self) -> None:
        """Raise if a process ended that nobody ended.

        Raises:
            DaemonError: One did; the message quotes its log.
        """
