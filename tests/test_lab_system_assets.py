"""A store and edges in a lab: what their clients see when servers end, hang, or no longer reach each other."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from aether_deploy.infrastructure.edge.nginx import CONNECT_SECS, FAILED_SECS, READ_SECS
from aether_deploy.lab.edge.programs import find_nginx
from aether_deploy.lab.programs import MissingProgramsError
from aether_deploy.lab.seaweedfs.programs import find_weed
from aether_deploy.lab.system.faults import parse_fault
from aether_deploy.lab.system.member import Member, Probe
from aether_deploy.lab.system.members import edge, object_store
from aether_deploy.lab.system.members.edge import EdgeMember, EdgePaths, _Players, paths_of
from aether_deploy.lab.system.members.object_store import ObjectStoreMember
from aether_deploy.lab.system.network import Network
from aether_deploy.lab.system.system import LabSystem
from aether_deploy.platform.config import Platform
from aether_deploy.problems import EffectError
from tests.analysis_cases import THREE_REGIONS, platform_of
from tests.edge_cases import policy
from tests.lab_system_scenes import ASSETS
from tests.lab_workload_cases import answered, answers, holds, wait_for
from tests.real import miss
from tests.rule_case import DIGEST

SHIELDED = "    shield: us\n"
PROVIDED = f"""
  - name: archive
    kind: object_store
    provider: aws
    regions: [us]
    url: https://s3.us-east-1.amazonaws.com
    signing_region: us-east-1
    buckets: [{{name: replays, public_prefixes: [public/]}}]
  - {{name: pages, kind: edge, image: "nginx:1.31.3@{DIGEST}", origin: archive/replays, hostname: pages.example.com}}
"""
WITHIN_SECS = 90.0


def described(*more: str) -> Platform:
    return platform_of(THREE_REGIONS, "components:", ASSETS, *more)


def need_programs() -> None:
    try:
        find_nginx()
        find_weed()
    except MissingProgramsError as error:
        miss(str(error))


# --- without a program


def test_clients_ask_for_what_is_never_kept_and_for_what_is_kept_longest() -> None:
    assert paths_of(policy()) == EdgePaths("/public/aether-lab-new", "/public/build/aether-lab-kept")


def test_where_everything_is_kept_nobody_asks_for_something_new() -> None:
    classes = [{"name": "all", "match": "/public/", "ttl_secs": 60}]

    assert paths_of(policy(cache_classes=classes)) == EdgePaths(None, "/public/aether-lab-kept")


def test_a_class_above_all_that_is_open_counts_below_it() -> None:
    classes = [{"name": "all", "match": "/", "ttl_secs": 60}]

    assert paths_of(policy(cache_classes=classes)) == EdgePaths(None, "/public/aether-lab-kept")


def test_where_nothing_is_kept_all_that_is_asked_is_new() -> None:
    assert paths_of(policy(cache_classes=[])) == EdgePaths("/public/aether-lab-new", None)


def test_what_providers_run_is_left_out_with_the_reason() -> None:
    system = platform_of(THREE_REGIONS, "components:", PROVIDED)

    assert (object_store.left_out_of(system), edge.left_out_of(system)) == (
        ["archive (object_store): aws runs it, and nothing of it is here"],
        ["pages (edge): its origin archive does not run here"],
    )


class Asked(EdgeMember):
    """An edge of two pods that lets some of those wait who ask, and fails others."""

    def __init__(self) -> None:
        self.name = "cdn"
        self.waits, self.fails = 0, 0
        self.asked: list[str] = []
        self.go_on = threading.Event()
        self._turn_lock = threading.Lock()

    def paths(self, region: str) -> EdgePaths:
        return EdgePaths("/public/new", None)

    def crowd(self, region: str) -> int:
        return 5

    def patience_secs(self, region: str) -> float:
        return 600.0

    def ask(self, region: str, path: str, within_secs: float, over: threading.Event | None = None) -> None:
        with self._turn_lock:
            self.asked.append(path)
            waits, self.waits = self.waits > 0, max(0, self.waits - 1)
            fails = not waits and self.fails > 0
            self.fails -= fails
        if waits:
            self.go_on.wait(within_secs)
        if fails:
            raise EffectError("502")


def players(*, waits: int = 0, fails: int = 0) -> tuple[Asked, _Players]:
    edges = Asked()
    edges.waits, edges.fails = waits, fails
    return edges, _Players(edges, "eu")


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let the first player wait for as long as it takes, from when it is called on."""
    return lambda: monkeypatch.setattr(edge, "_ALONE_SECS", WITHIN_SECS)


def test_who_is_answered_asks_alone(alone: Callable[[], None]) -> None:
    alone()
    edges, probe = players()
    probe.write(1)
    probe.close()

    assert len(edges.asked) == 1


def test_an_edge_that_lets_few_wait_serves() -> None:
    edges, probe = players(waits=2)
    begun = time.monotonic()
    probe.write(1)
    took = time.monotonic() - begun
    edges.go_on.set()
    probe.close()

    assert len(edges.asked) == 5
    assert took < edges.patience_secs("eu") / 2


def test_an_edge_that_lets_most_wait_does_not_serve_until_it_answers() -> None:
    edges, probe = players(waits=3)
    asks = threading.Thread(target=probe.write, args=(1,))
    asks.start()
    asks.join(1.0)
    waited = asks.is_alive()
    edges.go_on.set()
    asks.join(WITHIN_SECS)
    probe.close()

    assert waited
    assert not asks.is_alive()


def test_an_edge_that_fails_most_does_not_serve() -> None:
    edges, probe = players(waits=1, fails=3)

    with pytest.raises(EffectError, match="502"):
        probe.write(1)
    edges.go_on.set()
    probe.close()


def test_an_edge_that_fails_who_asks_alone_does_not_serve(alone: Callable[[], None]) -> None:
    alone()
    edges, probe = players(fails=1)

    with pytest.raises(EffectError, match="502"):
        probe.write(1)
    probe.close()
    assert len(edges.asked) == 1


def test_nobody_asks_for_an_object_that_somebody_waits_for(alone: Callable[[], None]) -> None:
    edges, probe = players(waits=2)
    probe.write(1)
    alone()
    for _ in range(29):
        probe.write(1)
    edges.go_on.set()
    probe.close()

    waited_for = edges.asked[:2]
    assert edges.asked[0] == "/public/new"
    assert not set(edges.asked[2:]).intersection(waited_for)
    assert len(edges.asked) == 5 + 29


# --- real ones


class Stage:
    """A store and its edges, booted one after the other."""

    def __init__(self, store: ObjectStoreMember, cdn: EdgeMember, network: Network) -> None:
        self.store, self.cdn, self.network = store, cdn, network
        self.probes = {f"{each.member} {each.part}": each for each in (*store.probes(), *cdn.probes())}
        self.number = 0

    def tries(self, name: str) -> bool:
        """Return whether one write goes through."""
        return answers(lambda: self.probes[name].write(self._next()))

    def writes(self, name: str) -> bool:
        """Return whether writes go through, on a machine that may stand still: one of many does."""
        return holds(lambda: self.probes[name].write(self._next()))

    def reads(self, name: str) -> bool:
        return holds(self.probes[name].read)

    def back(self, name: str) -> bool:
        wait_for(f"{name} to be back", lambda: self.tries(name))
        return True

    def missing(self, name: str, numbers: list[int]) -> list[int]:
        return answered("what is there", lambda: list(self.probes[name].missing(numbers)))

    def _next(self) -> int:
        self.number += 1
        return self.number


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    need_programs()
    system, network = described(SHIELDED), Network()
    with contextlib.closing(network):
        (store,), (cdn,) = object_store.members_of(system, network), edge.members_of(system, network)
        assert isinstance(store, ObjectStoreMember)
        assert isinstance(cdn, EdgeMember)
        with store, cdn:
            stage = Stage(store, cdn, network)
            yield stage
            store.check()
            cdn.check()


def addresses(member: Member, region: str) -> list[str]:
    return [each.address for each in member.processes() if each.region == region]


@pytest.mark.real
def test_a_pod_stands_in_a_zone_of_its_region_and_leads_its_part(stage: Stage) -> None:
    told = {(each.address, each.datacenter): each.leads for each in (*stage.store.processes(), *stage.cdn.processes())}

    assert told == {
        ("us/assets-us-0", "us-a"): ("objects",),
        ("eu/assets-eu-0", "eu-a"): ("eu",),
        **{
            (f"{code}/cdn-{place}", f"{code}-{zone}"): ()
            for code in ("us", "eu", "ap")
            for place, zone in enumerate("ab")
        },
    }
    assert all(each.pid for each in (*stage.store.processes(), *stage.cdn.processes()))


@pytest.mark.real
def test_the_loss_of_the_region_that_takes_writes_leaves_its_copies(stage: Stage) -> None:
    assert stage.writes("assets objects")
    kept = stage.number
    assert all(stage.writes(name) for name in ("cdn us", "cdn eu", "cdn ap"))
    for member in (stage.store, stage.cdn):
        member.kill(addresses(member, "us"))
    during = {
        "objects written": stage.tries("assets objects"),
        "objects read": stage.reads("assets objects"),
        "copy read": stage.reads("assets eu"),
        "us asked": stage.tries("cdn us") or answers(stage.probes["cdn us"].read),
        "eu fetches": stage.writes("cdn eu"),
        "ap fetches": stage.writes("cdn ap"),
    }
    for member in (stage.store, stage.cdn):
        member.mend(addresses(member, "us"))

    assert during == {
        "objects written": False, "objects read": True, "copy read": True, "us asked": False, "eu fetches": True,
        "ap fetches": True,
    }  # fmt: skip
    assert stage.back("assets objects")
    assert stage.missing("assets objects", [kept, stage.number]) == []
    assert stage.back("cdn us")


@pytest.mark.real
def test_objects_that_are_not_there_are_told(stage: Stage) -> None:
    assert stage.writes("assets objects")

    assert stage.missing("assets objects", [stage.number, 10**9]) == [10**9]


@pytest.mark.real
def test_readers_of_a_copy_that_is_gone_take_the_next_one(stage: Stage) -> None:
    stage.store.kill(addresses(stage.store, "eu"))
    during = stage.reads("assets eu"), stage.writes("assets objects"), stage.writes("cdn eu")
    stage.store.mend(addresses(stage.store, "eu"))

    assert during == (True, True, True)
    assert [each.state for each in stage.store.processes()] == ["running", "running"]


@pytest.mark.real
def test_a_server_is_mended_while_another_one_hangs(stage: Stage) -> None:
    stage.store.freeze(addresses(stage.store, "eu"))
    stage.store.kill(addresses(stage.store, "us"))
    stage.store.mend(addresses(stage.store, "us"))
    during = stage.writes("assets objects"), [each.state for each in stage.store.processes()]
    stage.store.mend(addresses(stage.store, "eu"))

    assert during == (True, ["running", "frozen"])
    assert [each.state for each in stage.store.processes()] == ["running", "running"]
    assert stage.back("cdn eu")


@pytest.mark.real
def test_a_pod_that_hangs_is_left_by_its_service_and_comes_back(stage: Stage) -> None:
    first = addresses(stage.cdn, "ap")[0]
    stage.cdn.freeze([first])
    states = {each.address: each.state for each in stage.cdn.processes()}
    during = stage.writes("cdn ap"), stage.reads("cdn ap")
    stage.cdn.mend([first])

    assert states[first] == "frozen"
    assert during == (True, True)
    assert {each.state for each in stage.cdn.processes()} == {"running"}


@pytest.mark.real
def test_a_client_waits_until_an_edge_has_asked_the_last_of_its_origins(stage: Stage) -> None:
    policies = {code: policy(code, shield="us") for code in ("us", "ap")}

    for code, asked in policies.items():
        silent = len(asked.origins) - 1

        assert silent * (CONNECT_SECS + READ_SECS) < stage.cdn.patience_secs(code) < (silent + 1) * READ_SECS


@pytest.mark.real
def test_what_is_kept_is_answered_without_any_origin(stage: Stage) -> None:
    stage.store.kill([*addresses(stage.store, "us"), *addresses(stage.store, "eu")])
    during = {name: (stage.tries(name), stage.reads(name)) for name in ("cdn us", "cdn eu")}
    stage.store.mend([*addresses(stage.store, "us"), *addresses(stage.store, "eu")])

    assert during == {"cdn us": (False, True), "cdn eu": (False, True)}
    assert stage.back("cdn us")
    assert stage.back("cdn eu")


@pytest.mark.real
def test_a_copy_gets_what_it_missed_once_regions_reach_each_other_again(stage: Stage) -> None:
    time.sleep(FAILED_SECS + 1)  # an edge asks the nearest store again that did not answer before
    pair = frozenset(("us", "eu"))
    copy: Probe = stage.probes["assets eu"]
    stage.network.cut(pair)
    wrote = stage.writes("assets objects"), stage.reads("assets eu"), stage.writes("cdn us")
    stage.network.join(pair)

    assert wrote == (True, True, True)
    assert holds(copy.read)


# --- with everything around them


def verdicts(lab: LabSystem, fault: str) -> dict[str, str]:
    record = lab.fault(parse_fault(fault))
    return {f"{each.member} {each.part}": f"{each.verdict}: {each.says}" for each in record.parts}


def broken(lab: LabSystem, faults: Sequence[str]) -> dict[str, dict[str, str]]:
    found = {fault: verdicts(lab, fault) for fault in faults}
    return {
        fault: {part: says for part, says in told.items() if says.startswith("broken")} for fault, told in found.items()
    }


@pytest.mark.real
@pytest.mark.failover
def test_every_prediction_about_store_and_edges_holds() -> None:
    need_programs()
    faults = [
        "zone=us-a", "mend=all", "region=us", "mend=all", "region=eu", "mend=all", "cut=us,eu", "mend=all",
        "kill=assets", "mend=all", "freeze=us/assets-us-0", "mend=all", "kill=eu/cdn-0", "mend=all",
    ]  # fmt: skip

    with LabSystem(described(SHIELDED)) as lab:
        found = broken(lab, faults)

    assert {fault: told for fault, told in found.items() if told} == {}
