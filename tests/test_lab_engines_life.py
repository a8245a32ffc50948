"""The programs of an engine: they end with the block, and one that ends by itself is noticed."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.engines.argocd import ArgoCdEngine
from aether_deploy.lab.engines.engine import Engine
from aether_deploy.lab.engines.flux import FluxEngine
from aether_deploy.lab.processes import DaemonError
from aether_deploy.lab.programs import MissingProgramsError
from aether_deploy.lab.workplace import programs_in
from tests.lab_cases import boot_for_tests
from tests.real import miss

pytestmark = pytest.mark.engines

ENGINES = {
    FluxEngine: {"source-controller", "kustomize-controller"},
    ArgoCdEngine: {
        "valkey-server",
        "argocd-repo-server",
        "argocd-application-controller",
        "argocd-applicationset-controller",
    },
}


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    with boot_for_tests(per_zone=1, zones=["a"]) as plane:
        yield plane


def engine_beside(make: type[Engine], plane: ControlPlane) -> Engine:
    try:
        return make(plane)
    except MissingProgramsError as error:
        miss(str(error))


@pytest.mark.parametrize("make", ENGINES)
def test_the_programs_run_as_themselves_and_end_with_the_block_which_can_be_entered_again(
    make: type[Engine], plane: ControlPlane
) -> None:
    engine = engine_beside(make, plane)
    for _ in range(2):
        with engine:
            pids = engine.pids
            started = set(programs_in(plane.folder))

        assert pids.keys() == ENGINES[make]
        assert set(pids.values()) <= started
        assert not set(pids.values()) & set(programs_in(plane.folder))
        assert engine.pids == {}


@pytest.mark.parametrize("make", ENGINES)
def test_a_program_that_ends_by_itself_is_named_while_one_waits(make: type[Engine], plane: ControlPlane) -> None:
    name = sorted(ENGINES[make])[0]
    with engine_beside(make, plane) as engine:
        os.kill(engine.pids[name], signal.SIGTERM)

        with pytest.raises(DaemonError) as noticed:
            engine.wait(lambda: False, "nothing", 30)

    assert str(noticed.value).startswith(f"{name} ended by itself (")


@pytest.mark.parametrize("make", ENGINES)
def test_an_engine_that_does_not_start_says_why_and_leaves_nothing(
    make: type[Engine], plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho Error: it is broken >&2\nexit 7\n")
    broken.chmod(0o755)
    engine = engine_beside(make, plane)
    monkeypatch.setitem(engine._programs, make.needs[-1 if make is FluxEngine else 0].name, broken)
    before = set(programs_in(plane.folder))

    with pytest.raises(DaemonError, match="Error: it is broken"), engine:
        pass

    assert set(programs_in(plane.folder)) == before
