"""Clients of a PostgreSQL in a lab: one that writes to who leads, and one that reads where nobody writes."""

import contextlib
import time
from collections.abc import Sequence

from aether_deploy.lab.patroni.group import PatroniGroup
from aether_deploy.lab.patroni.line import Line, SqlError
from aether_deploy.lab.system.member import Probe
from aether_deploy.problems import EffectError

_TABLE = "CREATE TABLE IF NOT EXISTS aether_lab (number bigint PRIMARY KEY)"
_INSERT = "INSERT INTO aether_lab VALUES ($1) ON CONFLICT DO NOTHING"
_READ = "SELECT number FROM aether_lab LIMIT 1"
_KEPT = "SELECT number FROM aether_lab WHERE number = ANY($1::bigint[])"
_WITHIN_SECS = 0.9
_MISSING_SECS = 10.0


class _Writer:
    """What writes to the leader of one cluster, on one connection at a time.

    A statement that waits for a replica is waited for: a second one beside it would wait as well, and each holds one of
    the few connections that there are. It is given up only where another leads.
    """

    def __init__(self, group: PatroniGroup) -> None:
        self._group = group
        self._line: Line | None = None
        self._member = ""

    def ask(self, text: str, *values: object, within_secs: float) -> list[tuple[str | None, ...]]:
        deadline = time.monotonic() + within_secs
        leader = self._group.leader()
        if leader is None:
            raise EffectError(f"nobody leads {self._group.scope}")
        if self._member != leader.name:
            self.close()
        try:
            if self._line is None:
                self._line, self._member = Line(leader.place.postgres_port, within_secs=within_secs), leader.name
                self._line.ask(_TABLE, within_secs=_left(deadline))
            if self._line.is_waiting:
                self._line.settle(_left(deadline))
            return self._line.ask(text, *values, within_secs=_left(deadline))
        except SqlError:
            self.close()
            raise

    def close(self) -> None:
        if self._line is not None:
            self._line.close()
        self._line, self._member = None, ""


class WritingProbe(Probe):
    """Writes rows to every cluster of one part, each to who leads it, and reads from anybody who has them."""

    def __init__(
        self,
        member: str,
        part: str,
        region: str,
        groups: Sequence[PatroniGroup],
        copies: Sequence[PatroniGroup] = (),
    ) -> None:
        """Prepare a client.

        Args:
            member: The member.
            part: The part.
            region: The region whose clients it stands for.
            groups: The clusters of the part; each has to answer.
            copies: Clusters that follow the only one there is.
        """
        self.member, self.part, self.region = member, part, region
        self._writers = [_Writer(group) for group in groups]
        self._readers = [_Reader(group, *copies) for group in groups]

    def write(self, number: int) -> None:
        deadline = time.monotonic() + _WITHIN_SECS
        for writer in self._writers:
            writer.ask(_INSERT, number, within_secs=_left(deadline))

    def read(self) -> None:
        for reader in self._readers:
            reader.read()

    def missing(self, numbers: Sequence[int]) -> Sequence[int]:
        kept = set(numbers)
        asked = "{" + ",".join(map(str, numbers)) + "}"
        for writer in self._writers:
            rows = writer.ask(_KEPT, asked, within_secs=_MISSING_SECS)
            kept &= {int(row[0]) for row in rows if row[0] is not None}
        return sorted(set(numbers) - kept)

    def close(self) -> None:
        for writer in self._writers:
            writer.close()
        for reader in self._readers:
            reader.close()


class FollowingProbe(Probe):
    """Reads from a cluster that follows another region's, and takes no writes."""

    takes_writes = False

    def __init__(self, member: str, part: str, region: str, groups: Sequence[PatroniGroup]) -> None:
        self.member, self.part, self.region = member, part, region
        self._readers = [_Reader(group) for group in groups]

    def write(self, number: int) -> None:
        self.read()

    def read(self) -> None:
        for reader in self._readers:
            reader.read()

    def close(self) -> None:
        for each in self._readers:
            each.close()


class _Reader:
    """What reads from any member of one cluster or of its copies: from who answered last, as long as it does."""

    def __init__(self, *groups: PatroniGroup) -> None:
        self._groups = groups
        self._line: Line | None = None
        self._turn = 0

    def read(self) -> None:
        """Read a row.

        Raises:
            EffectError: No member gives one.
            TimeoutError: Those that take questions do not answer.
        """
        members = [member for group in self._groups for member in group.members.values()]
        deadline = time.monotonic() + _WITHIN_SECS
        if self._line is not None:
            with contextlib.suppress(EffectError, TimeoutError):
                self._line.ask(_READ, within_secs=_left(deadline) / 2)
                return
            self.close()
        for each in (*members[self._turn :], *members[: self._turn]):
            self._turn = (self._turn + 1) % len(members)  # who does not answer is asked last the next time
            if not each.runs:
                continue
            with contextlib.suppress(EffectError, TimeoutError):
                self._line = Line(each.place.postgres_port, within_secs=_left(deadline) / 2)
                self._line.ask(_READ, within_secs=_left(deadline) / 2)
                return
        self.close()
        raise EffectError(f"no member of {self._groups[0].scope} answers")

    def close(self) -> None:
        if self._line is not None:
            self._line.close()
        self._line = None


def rows_at(group: PatroniGroup, number: int) -> int:
    """Return how many rows of a number the leader of a cluster has.

    Raises:
        EffectError: Nobody leads, or the leader refuses.
        TimeoutError: It does not answer.
    """
    leader = group.leader()
    if leader is None:
        raise EffectError(f"nobody leads {group.scope}")
    line = Line(leader.place.postgres_port, within_secs=_MISSING_SECS)
    try:
        return len(line.ask(_KEPT, f"{{{number}}}", within_secs=_MISSING_SECS))
    finally:
        line.close()


def _left(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())
