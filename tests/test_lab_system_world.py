"""Worlds in a lab: the reference world server in each zone, what befalls it, and what its players notice."""

import os
import signal
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import aether_deploy.lab
from aether_deploy.contract.checking import check_contract
from aether_deploy.contract.observing import Waits
from aether_deploy.lab.processes import DaemonError
from aether_deploy.lab.programs import MissingProgramsError
from aether_deploy.lab.system.member import Member, Probe
from aether_deploy.lab.system.members import world
from aether_deploy.lab.system.network import Network, Server
from tests.lab_workload_cases import (
    FAR,
    NEAR,
    PATIENCE_SECS,
    WORLDS,
    addresses,
    answered,
    answers,
    booted,
    holds,
    platform_of,
    probe_of,
    process,
    wait_for,
)

ROOT = Path(__file__).resolve().parents[1]
PATIENT = Waits(*[PATIENCE_SECS] * len(Waits._fields))


@pytest.fixture(scope="module")
def network() -> Network:
    return Network()


@pytest.fixture(scope="module")
def worlds(network: Network) -> Iterator[Member]:
    (member,) = world.members_of(platform_of(WORLDS), network)
    with booted(network, member):
        yield member


def test_a_world_runs_in_each_zone_and_leads_itself(worlds: Member) -> None:
    told = [(each.address, each.datacenter, each.state, each.leads) for each in worlds.processes()]

    assert told == [
        (f"{region}/world-server-{number}", f"{region}{zone}", "running", (f"world-server-{number}",))
        for region in (NEAR, FAR)
        for number, zone in enumerate("ab")
    ]


def test_a_world_of_a_lab_keeps_the_contract(worlds: Member, network: Network) -> None:
    http, game = (network.find(Server("world-server", NEAR, port, 1)) for port in ("http", "game"))

    report = check_contract(f"http://{http}", udp=str(game), waits=PATIENT)

    assert report.is_kept
    assert "game-port" in {each.rule for each in report.verdicts if each.outcome == "ok"}


def goes_to(player: Probe, number: int) -> None:
    """Let a player go somewhere, however long that takes."""
    wait_for(f"the player at {number}", lambda: answers(lambda: player.write(number)))


def missing(player: Probe, numbers: list[int]) -> list[int]:
    """Return which places he has lost, once his world says so."""
    return answered("the place of the player", lambda: list(player.missing(numbers)))


def test_who_loses_his_world_loses_no_place_that_he_was_told(worlds: Member) -> None:
    lost = f"{NEAR}/world-server-0"
    his, other = probe_of(worlds, NEAR, "world-server-0"), probe_of(worlds, NEAR, "world-server-1")
    for number in (1, 2_000_003):
        goes_to(his, number)

    worlds.kill([lost])
    state, gone, others = process(worlds, lost).state, answers(his.read), holds(other.read)
    worlds.mend([lost])
    wait_for("the world to be back", lambda: answers(his.read))

    assert (state, gone, others) == ("ended", False, True)
    assert process(worlds, lost).state == "running"
    assert missing(his, [1, 2_000_003]) == []
    assert missing(his, [2_000_003, 2_000_004]) == [2_000_004]
    his.close()
    other.close()


def test_a_frozen_world_answers_nobody_and_goes_on_where_it_was(worlds: Member) -> None:
    frozen = f"{FAR}/world-server-1"
    probe = probe_of(worlds, FAR, "world-server-1")
    goes_to(probe, 7)

    worlds.freeze([frozen])
    state, silent = process(worlds, frozen).state, not answers(probe.read)
    worlds.mend([frozen])
    wait_for("the world to go on", lambda: answers(probe.read))

    assert (state, silent) == ("frozen", True)
    assert missing(probe, [7]) == []
    probe.close()


def test_a_world_that_ends_by_itself_is_told_and_one_that_was_ended_is_not() -> None:
    own = Network()
    (member,) = world.members_of(platform_of(WORLDS), own)
    with booted(own, member):
        member.kill(addresses(member, FAR))
        member.check()
        pid = process(member, f"{NEAR}/world-server-0").pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_for("its end", lambda: process(member, f"{NEAR}/world-server-0").state == "ended")

        with pytest.raises(DaemonError, match=r"^us-east-1-world-server-0 ended by itself"):
            member.check()


# --- where the reference world server comes from


def test_a_wheel_holds_the_reference_world_server_where_a_lab_looks_for_it() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]

    included = build["wheel"]["force-include"]

    assert included == {"examples/world-server": f"aether_deploy/lab/{world.PACKAGED}"}
    assert "examples/world-server" in build["sdist"]["include"]
    assert world.world_server_file() == ROOT / "examples/world-server/world_server.py"


def test_an_installed_package_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "aether_deploy/lab"
    monkeypatch.setattr(aether_deploy.lab, "__file__", str(package / "__init__.py"))

    with pytest.raises(MissingProgramsError, match=r"^the reference world server is not beside this package\n  fix: "):
        world.world_server_file()
    (package / world.PACKAGED).mkdir(parents=True)
    (package / world.PACKAGED / "world_server.py").touch()
    assert world.world_server_file() == package / world.PACKAGED / "world_server.py"
