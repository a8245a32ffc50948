"""Options of the test run, and the golden files: what must not change unnoticed."""

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.programs import NEWEST_PATCHES
from tests.git_cases import clone_of, isolate
from tests.lab_cases import STEADY, boot_for_tests
from tests.mutations import COUNT, SEED

GOLDEN = Path(__file__).parent / "golden"
DIFF_LINES_MAX = 80
HOW_TO_UPDATE = "if that is meant: pytest --update-golden, then read the diff as the reviewer will"

# That a machine stands still for a moment makes no example wrong. In CI that is so by itself; the rest stays.
settings.register_profile("patient", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("aether-deploy")
    group.addoption(
        "--update-golden", action="store_true", help="write the golden files instead of comparing with them"
    )
    group.addoption(
        "--mutations", type=int, default=COUNT, metavar="N", help=f"try N mutations of the example ({COUNT})"
    )
    group.addoption(
        "--mutation-seed", type=int, default=SEED, metavar="SEED", help=f"which mutations these are ({SEED})"
    )


def pytest_report_header(config: pytest.Config) -> str:
    return f"mutations: {config.getoption('mutations')}, seed {config.getoption('mutation_seed')}"


class Golden:
    """The golden files below one folder: written with ``--update-golden``, otherwise compared."""

    def __init__(self, root: Path, *, update: bool) -> None:
        self.root = root
        self.update = update

    def __call__(self, folder: str, files: Mapping[str, str]) -> None:
        """Fail unless ``folder`` holds exactly ``files``, text by relative path; or make it so."""
        if self.update:
            _write(self.root / folder, files)
            return
        faults = list(_differences(folder, _read(self.root / folder), files))
        if faults:
            pytest.fail("\n".join([*faults, HOW_TO_UPDATE]), pytrace=False)


def _read(folder: Path) -> dict[str, str]:
    paths = sorted(path for path in folder.rglob("*") if not path.is_dir())
    return {path.relative_to(folder).as_posix(): path.read_bytes().decode() for path in paths}


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for name in _read(folder).keys() - files.keys():
        (folder / name).unlink()
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text.encode())


def _differences(folder: str, golden: Mapping[str, str], files: Mapping[str, str]) -> Iterator[str]:
    where = f"tests/golden/{folder}"
    for name in sorted(files.keys() - golden.keys()):
        yield f"{where}/{name} is missing: what is rendered now has it"
    for name in sorted(golden.keys() - files.keys()):
        yield f"{where}/{name} is left over: what is rendered now lacks it"
    lines: list[str] = []
    for name in sorted(files.keys() & golden.keys()):
        if files[name] != golden[name]:
            yield f"{where}/{name} differs from what is rendered now"
            old, new = golden[name].splitlines(), files[name].splitlines()
            lines += difflib.unified_diff(old, new, f"{name} (golden)", f"{name} (now)", lineterm="")
    yield from lines[:DIFF_LINES_MAX]
    if len(lines) > DIFF_LINES_MAX:
        yield f"... and {len(lines) - DIFF_LINES_MAX} more lines of differences"


@pytest.fixture
def check_golden(request: pytest.FixtureRequest) -> Golden:
    """Return a function of a folder below tests/golden and its files: ``check_golden("one-region", files)``."""
    return Golden(GOLDEN, update=bool(request.config.getoption("update_golden")))


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """Return a control plane of the newest version, with three nodes in each of three zones.

    Tests that use it share it, so each works in a namespace of its own and leaves nodes and zones as they were.
    Workers take whole files, so each boots one at most.
    """
    with boot_for_tests(pace=STEADY) as plane:
        yield plane


@pytest.fixture(scope="session")
def older_control_plane() -> Iterator[ControlPlane]:
    """Return a control plane of Kubernetes 1.35."""
    with boot_for_tests(NEWEST_PATCHES[35], per_zone=1, pace=STEADY) as plane:
        yield plane


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a clone of a small repository whose remote is beside it; the machine's own settings of git are away."""
    isolate(tmp_path, monkeypatch)
    return clone_of(tmp_path)
