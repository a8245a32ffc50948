"""A lab of members that only pretend: what it asks of them and when, and what it says of those that fail."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from types import ModuleType

import msgspec
import pytest

from aether_deploy.lab.processes import Daemon
from aether_deploy.lab.system import keeper as keeping
from aether_deploy.lab.system.expecting import Expecting
from aether_deploy.lab.system.faults import parse_fault
from aether_deploy.lab.system.keeper import LabKeeper
from aether_deploy.lab.system.member import Member, Probe
from aether_deploy.lab.system.record import FaultRecord, LabProcess
from aether_deploy.lab.system.system import LabSystem
from aether_deploy.lab.workplace import Workplace
from aether_deploy.platform.config import Platform
from aether_deploy.problems import EffectError
from tests.analysis_cases import TWO_REGIONS, platform_of
from tests.lab_system_scenes import SESSIONS, sessions_in
from tests.lab_workload_cases import PATIENCE_SECS, wait_for

SHARD = "shard 0 of us"
WATCHED_SECS = 0.3
FIRST, SECOND = "us/sessions-us-a-0", "us/sessions-us-a-1"


class Client(Probe):
    """A client whose every wish is granted."""

    member, part, region = "sessions", SHARD, "us"

    def write(self, number: int) -> None:
        pass

    def read(self) -> None:
        pass

    def close(self) -> None:
        pass


class Pretended(Member):
    """A cache that runs nothing; what it does at a given moment is for a test to say."""

    kind = "valkey"

    def __init__(self, name: str = "sessions", **does: Callable[[], object]) -> None:
        self.name = name
        self._does = does
        self.all = {each.address: each for each in sessions_in("us")}

    def _do(self, what: str) -> object:
        return self._does.get(what, lambda: True)()

    def lead(self, address: str) -> None:
        """Let one process lead the shard, and nobody else anything."""
        for each in self.all.values():
            leads = (SHARD,) if each.address == address else ()
            self.all[each.address] = msgspec.structs.replace(each, leads=leads)

    def _boot(self) -> None:
        self._do("boot")

    def _end(self) -> None:
        self._do("end")

    def processes(self) -> Sequence[LabProcess]:
        return [msgspec.structs.replace(each, member=self.name) for each in self.all.values()]

    def pids(self) -> Sequence[int]:
        return ()

    def kill(self, names: Collection[str]) -> None:
        self._do("kill")
        self._set(names, "ended")

    def freeze(self, names: Collection[str]) -> None:
        self._set(names, "frozen")

    def mend(self, names: Collection[str]) -> None:
        self._do("mend")
        self._set(names, "running")

    def _set(self, names: Collection[str], state: str) -> None:
        self.all |= {name: msgspec.structs.replace(self.all[name], state=state) for name in names}

    def settle(self, within_secs: float) -> bool:
        return bool(self._do("settle"))

    def probes(self) -> Sequence[Probe]:
        return [Client()]

    def check(self) -> None:
        pass


@pytest.fixture(scope="module")
def platform() -> Platform:
    return platform_of(TWO_REGIONS, "components:", SESSIONS)


class Labs:
    """Makes labs of members that pretend."""

    def __init__(self, platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
        self._platform, self._monkeypatch = platform, monkeypatch

    def __call__(self, *members: Member) -> LabSystem:
        module = ModuleType("pretended")
        module.members_of = lambda platform, network: members  # type: ignore[attr-defined]
        self._monkeypatch.setitem(sys.modules, "aether_deploy.lab.system.members.pretended", module)
        return LabSystem(self._platform, modules=("pretended",))


@pytest.fixture
def labs(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Labs:
    return Labs(platform, monkeypatch)


def failing(reason: str) -> Callable[[], object]:
    def fail() -> object:
        raise EffectError(reason)

    return fail


def done(lab: LabSystem, fault: str) -> FaultRecord:
    return lab.fault(parse_fault(fault), most_secs=WATCHED_SECS)


# --- a fault


def test_a_fault_hits_who_leads_once_everything_has_settled(labs: Labs) -> None:
    def settle() -> bool:
        sessions.lead(SECOND)
        return True

    sessions = Pretended(settle=settle)
    sessions.lead(FIRST)

    with labs(sessions) as lab:
        record = done(lab, "kill=sessions")

    assert record.hit == (SECOND,)
    assert [each.predicted.outcome for each in record.parts] == ["interrupted"]


def test_what_cannot_be_predicted_is_not_done(labs: Labs, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: object, **more: object) -> None:
        raise KeyError("a fault of ours")

    sessions = Pretended()
    monkeypatch.setattr(Expecting, "expect", fail)
    with labs(sessions) as lab:
        with pytest.raises(KeyError):
            done(lab, "kill=sessions")

        assert {each.state for each in sessions.processes()} == {"running"}
        assert lab.in_effect == ()


def test_a_fault_that_could_not_be_mended_can_be_mended_again(labs: Labs) -> None:
    tries: Iterator[Callable[[], object]] = iter([failing("no room on the disk"), lambda: True])
    sessions = Pretended(mend=lambda: next(tries)())

    with labs(sessions) as lab:
        done(lab, "kill=sessions")
        with pytest.raises(EffectError, match=r"^no room on the disk$"):
            done(lab, "mend=all")
        between = [str(each.fault) for each in lab.in_effect]
        done(lab, "mend=all")

        assert between == ["kill=sessions"]
        assert lab.in_effect == ()
        assert {each.state for each in sessions.processes()} == {"running"}


def test_members_come_back_in_their_order_two_at_a_time(labs: Labs) -> None:
    here: list[str] = []
    at_once: list[int] = []
    told: list[str] = []
    both = threading.Barrier(2)

    def mending(name: str) -> Callable[[], object]:
        def mend() -> object:
            here.append(name)
            if name in names[:2]:
                both.wait(PATIENCE_SECS)
            time.sleep(0.1)
            at_once.append(len(here))
            here.remove(name)
            return True

        return mend

    names = [f"sessions-{number}" for number in range(5)]
    with labs(*(Pretended(name, mend=mending(name)) for name in names)) as lab:
        done(lab, "zone=us-a")
        lab.fault(parse_fault("mend=all"), most_secs=WATCHED_SECS, tell=told.append)

    assert told == [f"{name} comes back" for name in names]
    assert len(at_once) == len(names)
    assert max(at_once) == 2


def test_what_runs_and_could_not_be_mended_whole_is_mended_again(labs: Labs) -> None:
    """Its process is back, and its Job failed."""
    tries: list[str] = []

    def mend() -> object:
        tries.append("mend")
        if len(tries) == 1:
            sessions.lead(SECOND)
            sessions._set([FIRST], "running")
            raise EffectError("it is not as planned")
        return True

    sessions = Pretended(mend=mend)
    with labs(sessions) as lab:
        done(lab, f"kill={FIRST}")
        with pytest.raises(EffectError, match="it is not as planned"):
            done(lab, "mend=all")
        done(lab, "mend=all")

    assert tries == ["mend", "mend"]


SETTLES = {
    "it does not": (lambda: False, "sessions had not settled within 60 s, from what befell it before"),
    "it fails": (failing("it is gone"), "sessions could not settle beforehand: it is gone"),
}


@pytest.mark.parametrize("case", SETTLES)
def test_of_what_has_not_settled_nothing_is_predicted(case: str, labs: Labs) -> None:
    settle, reason = SETTLES[case]

    with labs(Pretended(settle=settle)) as lab:
        record = done(lab, "kill=sessions")

    assert [each.verdict for each in record.parts] == ["unmeasured"]
    assert reason in record.parts[0].says


def test_a_second_fault_is_refused_with_the_name_of_the_first(labs: Labs) -> None:
    go_on = threading.Event()
    with labs(Pretended(kill=lambda: go_on.wait(PATIENCE_SECS))) as lab:
        first = threading.Thread(target=done, args=(lab, "kill=sessions"))
        first.start()
        wait_for("the first fault", lambda: bool(lab.watching))

        with pytest.raises(
            EffectError,
            match=r"^kill=sessions is being watched\n  fix: wait until that is over; lab report has it then$",
        ):
            done(lab, "zone=us-b")
        during = lab.watching
        go_on.set()
        first.join(PATIENCE_SECS)

        assert (during, lab.watching) == ("kill=sessions", "")


def test_a_refusal_says_how_long_the_first_is_still_watched(labs: Labs, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 10.0
    monkeypatch.setattr(LabSystem, "clock", lambda self: now)  # it stands still: the watch lasts until it goes on
    with labs(Pretended()) as lab:
        first = threading.Thread(
            target=lambda: lab.fault(parse_fault("kill=sessions"), most_secs=3.0), daemon=True
        )  # fmt: skip
        first.start()
        wait_for("the watch", lambda: lab.watch_left_secs is not None)

        with pytest.raises(EffectError, match=r"^kill=sessions is being watched, for 3 s more at most\n"):
            done(lab, "zone=us-b")
        now = 20.0
        first.join(PATIENCE_SECS)

        assert lab.watch_left_secs is None


# --- the end


def test_who_cannot_end_is_told_and_everybody_else_has_ended(labs: Labs) -> None:
    ended: list[str] = []
    members = [
        Pretended(end=failing("a program stays")),
        Pretended("events", end=lambda: ended.append("events")),
        Pretended("assets", end=failing("a folder stays")),
    ]

    told = r"^sessions could not end: a program stays\nassets could not end: a folder stays$"
    with pytest.raises(EffectError, match=told), labs(*members):
        pass

    assert ended == ["events"]


def test_why_a_lab_does_not_boot_is_told_even_where_its_end_fails(labs: Labs) -> None:
    members = [Pretended(end=failing("a program stays")), Pretended("events", boot=failing("no port is free"))]

    with pytest.raises(EffectError, match=r"^no port is free$"):
        labs(*members).__enter__()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells where programs belong")
def test_a_failed_boot_ends_its_own_programs_whenever_they_start_and_no_others(labs: Labs) -> None:
    others, programs = Workplace.new(), list[Daemon]()
    beside = Daemon("beside", ["sleep", "600"], others.folder)
    beside.start()
    started = threading.Event()

    def boot() -> None:
        workplace = Workplace.new()
        for name in ("first", "second"):  # the second once the first has ended
            program = Daemon(name, ["sleep", "600"], workplace.folder)
            program.start()
            programs.append(program)
            started.set()
            program.reap()
        workplace.remove()
        raise EffectError("both ended")

    def fail() -> None:
        started.wait(PATIENCE_SECS)
        raise EffectError("no port is free")

    try:
        with pytest.raises(EffectError, match=r"^no port is free$"):
            labs(Pretended(boot=boot), Pretended("events", boot=fail)).__enter__()

        assert [each.code for each in programs] == [-signal.SIGKILL, -signal.SIGKILL]
        assert beside.code is None
    finally:
        beside.kill()
        beside.reap()
        others.remove()


# --- who keeps it


@pytest.fixture
def told_to_end() -> Iterator[list[int]]:
    """What the keeper's main thread hears, who here is nobody."""
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    yield heard
    signal.signal(signal.SIGTERM, before)


def test_an_end_that_failed_is_told_to_who_asked_for_it(labs: Labs, told_to_end: list[int]) -> None:
    keeper = LabKeeper()
    with labs(Pretended()) as keeper.lab:
        keeper.stays = "sessions could not end: a program stays"
        keeper.end()

        with pytest.raises(EffectError, match=r"^sessions could not end: a program stays$"):
            keeper.down()
    assert told_to_end == [signal.SIGTERM]


@pytest.mark.usefixtures("told_to_end")
def test_an_end_that_does_not_come_is_told_with_what_brings_it(labs: Labs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "_ENDED_SECS", 0.1)
    keeper = LabKeeper()
    told = r"^the lab has not ended within 0.1 s\n  fix: kill -9 \d+ ends it "
    with labs(Pretended()) as keeper.lab, pytest.raises(EffectError, match=told):
        keeper.down()
