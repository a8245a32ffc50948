"""Programs of a control plane: where they are looked for, what is said where they are not, and how they come."""

from pathlib import Path

import pytest

from aether_deploy.lab.__main__ import main
from aether_deploy.lab.building import BuildError, bring_program
from aether_deploy.lab.programs import (
    ETCD,
    KUBE_STATE_METRICS,
    KUBERNETES,
    KWOK,
    METRICS_PROGRAMS,
    NEWEST,
    NEWEST_PATCHES,
    MissingProgramsError,
    control_plane_programs,
    find_metrics_programs,
    find_program,
    find_programs,
    kubernetes_program,
    need_programs,
    newest_patch,
    version_of,
)
from aether_deploy.problems import EffectError

API_SERVER = kubernetes_program("kube-apiserver", "v1.37.2")


@pytest.fixture(autouse=True)
def empty_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Leave no program to be found."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)


def put(path: Path, says: str = "exit 1") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{says}\n")
    path.chmod(0o755)
    return path


# --- where they are looked for


def test_the_assets_come_before_the_cache_and_the_cache_before_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert find_program(API_SERVER) is None

    on_path = put(tmp_path / "bin" / "kube-apiserver", "echo Kubernetes v1.37.2")
    assert find_program(API_SERVER) == on_path

    cached = put(API_SERVER.cached)
    assert find_program(API_SERVER) == cached
    assert cached == tmp_path / "cache/aether-deploy/kubernetes/v1.37.2/kube-apiserver"

    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "assets"))
    assert find_program(API_SERVER) == cached
    named = put(tmp_path / "assets" / "kube-apiserver", "echo Kubernetes v1.37.2")
    assert find_program(API_SERVER) == named


@pytest.mark.parametrize("says", ["echo Kubernetes v1.37.1", "echo Kubernetes v1.37.2-rc.0", "exit 1", "echo hello"])
@pytest.mark.parametrize("folder", ["assets", "bin"])
def test_a_program_of_kubernetes_that_has_another_version_does_not_serve(
    folder: str, says: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "assets"))
    put(tmp_path / folder / "kube-apiserver", says)

    assert find_program(API_SERVER) is None


@pytest.mark.parametrize("program", [ETCD, KWOK], ids=lambda program: program.name)
def test_etcd_and_kwok_serve_at_any_version(program: object, tmp_path: Path) -> None:
    on_path = put(tmp_path / "bin" / program.name)  # type: ignore[attr-defined]

    assert find_program(program) == on_path  # type: ignore[arg-type]


def test_a_program_is_asked_for_its_version_in_its_own_way(tmp_path: Path) -> None:
    kubectl = put(tmp_path / "kubectl", '[ "$*" = "version --client" ] && echo "Client Version: v1.37.2"')
    scheduler = put(tmp_path / "kube-scheduler", '[ "$*" = --version ] && echo "Kubernetes v1.36.3"')
    silent = put(tmp_path / "etcd", "exit 0")

    assert [version_of(each) for each in (kubectl, scheduler, silent)] == ["v1.37.2", "v1.36.3", None]
    assert version_of(tmp_path / "gone") is None


def test_a_link_or_a_folder_of_that_name_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "bin" / "etcd").mkdir(parents=True)
    ETCD.cached.parent.mkdir(parents=True)
    ETCD.cached.symlink_to(tmp_path / "gone")

    assert find_program(ETCD) is None


# --- what is said where they are not


def test_all_that_are_there_are_returned_by_name() -> None:
    paths = {each.name: put(each.cached) for each in control_plane_programs(NEWEST)}

    assert find_programs(control_plane_programs(NEWEST)) == paths
    assert list(paths) == [*KUBERNETES, "etcd", "kwok"]


def test_those_that_are_missing_are_all_named_with_the_command_that_brings_them() -> None:
    for program in control_plane_programs("v1.35.4")[1:-1]:
        put(program.cached)

    with pytest.raises(MissingProgramsError) as refused:
        find_programs(control_plane_programs("v1.35.4"))

    assert str(refused.value) == (
        "a control plane needs programs that are not on this machine: kube-apiserver v1.35.4, kwok v0.8.0\n"
        "  fix: `python -m aether_deploy.lab --k8s v1.35.4` builds them (it needs Go); "
        "or let KUBEBUILDER_ASSETS name a folder that has them"
    )


def test_those_of_several_versions_are_one_message() -> None:
    with pytest.raises(MissingProgramsError) as refused:
        need_programs(["v1.37.2", "v1.35.4", "v1.37.2"])

    text = str(refused.value)
    assert text.count("etcd v3.7.3") == text.count("kubectl v1.37.2") == text.count("kubectl v1.35.4") == 1
    assert "`python -m aether_deploy.lab --k8s v1.35.4 && python -m aether_deploy.lab` builds them" in text


def test_where_nothing_pins_a_version_no_command_is_promised() -> None:
    with pytest.raises(MissingProgramsError) as refused:
        need_programs(["v1.37.1"])

    assert str(refused.value).endswith(
        "\n  fix: let KUBEBUILDER_ASSETS name a folder that has them, "
        f"or --k8s a version that can be built: {', '.join(_buildable())}"
    )


def _buildable() -> list[str]:
    return [version for version in NEWEST_PATCHES.values() if kubernetes_program("kubectl", version).pinned]


def test_the_newest_version_can_be_built() -> None:
    assert NEWEST in _buildable()
    assert all(program.pinned for program in (*control_plane_programs(NEWEST), *METRICS_PROGRAMS))
    assert not kubernetes_program("kubectl", "v1.37.1").pinned


@pytest.mark.parametrize(("minor", "patch"), [("v1.37", "v1.37.2"), ("v1.35", "v1.35.4")])
def test_the_newest_known_patch_of_a_minor_judges(minor: str, patch: str) -> None:
    assert newest_patch(minor) == patch


def test_a_minor_that_nobody_knows_has_no_judge() -> None:
    with pytest.raises(EffectError) as refused:
        newest_patch("v1.99")

    assert str(refused.value) == (
        "no version of Kubernetes v1.99 is known to judge by\n"
        "  fix: known are v1.34, v1.35, v1.36, v1.37; --k8s names another"
    )


def test_those_that_metrics_come_by_are_found_together(tmp_path: Path) -> None:
    paths = {each.name: put(each.cached) for each in METRICS_PROGRAMS}
    prometheus = put(tmp_path / "bin" / "prometheus")

    assert find_metrics_programs() == {**paths, "prometheus": prometheus}


def test_of_those_that_metrics_come_by_the_missing_are_named_with_what_brings_each(tmp_path: Path) -> None:
    with pytest.raises(MissingProgramsError) as refused:
        find_metrics_programs()

    assert str(refused.value) == (
        "metrics need programs that are not on this machine: prometheus-adapter, kube-state-metrics, prometheus\n"
        "  fix: `python -m aether_deploy.lab prometheus-adapter kube-state-metrics` builds what needs Go; "
        "`apt-get install --no-install-recommends prometheus` brings prometheus, where there is Debian"
    )

    put(KUBE_STATE_METRICS.cached)
    put(tmp_path / "bin" / "prometheus")
    with pytest.raises(MissingProgramsError) as refused:
        find_metrics_programs()

    assert str(refused.value) == (
        "metrics need programs that are not on this machine: prometheus-adapter\n"
        "  fix: `python -m aether_deploy.lab prometheus-adapter` builds what needs Go"
    )


# --- how they come


def test_without_go_it_is_said_how_to_get_it_and_nothing_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kube-scheduler", "etcd"]) == 3

    out, err = capsys.readouterr()
    fix = "fix: install it from https://go.dev/dl/ so that `go` is on PATH"
    assert out == ""
    for name in ("kube-scheduler", "etcd"):
        assert f"cannot bring {name}: Go is missing, and {name} is built with it\n  {fix}\n" in err
    assert _left(ETCD.cached.parent) == [".lock"]


def test_a_build_that_fails_leaves_nothing_and_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path / "bin" / "go", "echo half > ${6:-$GOBIN/kwok}; echo no network >&2; exit 1")

    with pytest.raises(BuildError) as refused:
        bring_program(KWOK)

    assert str(refused.value) == (
        "`go install sigs.k8s.io/kwok/cmd/kwok` ended with exit code 1\n"
        "  fix: its own message above says why; it needs the network, or a proxy that its settings name"
    )
    assert "no network" in capfd.readouterr().err
    assert _left(KWOK.cached.parent) == [".lock"]


def test_what_is_built_appears_complete_with_its_version_and_is_built_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    put(
        tmp_path / "bin" / "go",
        f'echo "$PWD: $*" >> {tmp_path}/calls\nwhile [ "$1" != -o ]; do shift; done\necho x > "$2"',
    )

    assert [main(["kube-apiserver"]), main(["kube-apiserver"])] == [0, 0]

    (call,) = (tmp_path / "calls").read_text().splitlines()
    assert call.split(": ")[0].endswith("modules/kubernetes-1.37")
    assert "-X k8s.io/component-base/version.gitVersion=v1.37.2" in call
    assert call.endswith("k8s.io/kubernetes/cmd/kube-apiserver")
    assert capfd.readouterr().out == f"{API_SERVER.cached}\n" * 2
    assert _left(API_SERVER.cached.parent) == [".lock", "kube-apiserver"]


@pytest.mark.parametrize(
    "name, package",
    [
        ("prometheus-adapter", "sigs.k8s.io/prometheus-adapter/cmd/adapter"),
        ("kube-state-metrics", "k8s.io/kube-state-metrics/v2"),
    ],
)
def test_what_metrics_come_by_is_built_from_modules_of_its_own(name: str, package: str, tmp_path: Path) -> None:
    put(
        tmp_path / "bin" / "go",
        f'echo "$PWD: $*" >> {tmp_path}/calls\nwhile [ "$1" != -o ]; do shift; done\necho x > "$2"',
    )

    assert main([name]) == 0

    (call,) = (tmp_path / "calls").read_text().splitlines()
    assert call.split(": ")[0].endswith(f"modules/{name}")
    assert call.endswith(f"{name} {package}")


def test_what_metrics_come_by_is_brought_on_request_and_listed_always(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 3

    assert "prometheus-adapter" not in capsys.readouterr().err
    assert main(["--list"]) == 0
    listed = {line.split()[0] for line in capsys.readouterr().out.splitlines()}
    assert {program.name for program in (*control_plane_programs(NEWEST), *METRICS_PROGRAMS)} <= listed


def test_another_patch_is_never_built_from_the_modules_of_the_pinned_one(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path / "bin" / "go", f"touch {tmp_path}/called")

    assert main(["--k8s", "v1.37.1", "kubectl"]) == 3

    assert not (tmp_path / "called").exists()
    assert "cannot bring kubectl: nothing pins the modules of kubectl v1.37.1\n  fix: " in capfd.readouterr().err


def test_the_list_says_where_each_lies(capsys: pytest.CaptureFixture[str]) -> None:
    cached = put(ETCD.cached)

    assert main(["--list", "etcd", "kwok"]) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["etcd", "v3.7.3", str(cached)],
        ["kwok", "v0.8.0", "missing"],
    ]


def test_an_unknown_name_is_an_error_of_use(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["kubelet"])

    assert ended.value.code == 2
    assert "unknown program kubelet; known are kube-apiserver, " in capsys.readouterr().err


def _left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
