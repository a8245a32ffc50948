"""The field types: what each takes, and what it says of the rest."""

from typing import Any

import pytest

from aether_deploy import ConfigError, DeploymentConfig, ExposeConfig
from aether_deploy.config.compiling import compile_type
from aether_deploy.config.sink import FAULTY, Sink
from aether_deploy.config.types import (
    AbsolutePath,
    Cidr,
    CpuQuantity,
    DnsLabel,
    EnvName,
    FileKey,
    HttpPath,
    ImageRef,
    KubernetesVersion,
    LabelKey,
    LabelValue,
    NonEmpty,
    ObjectName,
    PortName,
    PortNumber,
    PositiveSeconds,
    ServiceName,
    SizeQuantity,
)
from aether_deploy.pods.storage import SourcePath
from tests.rule_case import DIGEST, IMAGE

LABEL_63 = "a" * 63

TAKES: dict[str, tuple[Any, list[Any]]] = {
    "a DNS label": (DnsLabel, ["a", "0", "us-east-1", LABEL_63]),
    "an object's name": (ObjectName, ["a", "a.b-c.0", "a" * 253]),
    "a Service's name": (ServiceName, ["a", "world-server", LABEL_63]),
    "a label's key": (LabelKey, ["a", "A_b.C-1", "example.com/team", f"{LABEL_63}.example.com/{LABEL_63}"]),
    "a label's value": (LabelValue, ["", "a", "A_b.C-1", LABEL_63]),
    "an image": (
        ImageRef,
        [
            "nginx", "nginx:1.31", "library/nginx", "ghcr.io/zalando/spilo-18:4.1-p2", "localhost:5000/a/b__c:v1",
            f"registry.example.com:443/a@{DIGEST}", f"a/b:v1@{DIGEST}",
        ],
    ),
    "a port": (PortNumber, [1, 8080, 65535]),
    "a port's name": (PortName, ["http", "a", "1a", "game-udp", "a" * 15]),
    "a variable's name": (EnvName, ["WORLD_TICK_HZ", "_", "a.b-c"]),
    "a ConfigMap's key": (FileKey, ["world.toml", "..a".removeprefix("."), "A-b_c", "a" * 253]),
    "an absolute path": (AbsolutePath, ["/data", "/data/wal", "/etc/a.b/.c", "/a..b"]),
    "an HTTP path": (HttpPath, ["/", "/healthz", "/a?b=c"]),
    "text that is not empty": (NonEmpty, ["a", " ", "a\nb"]),
    "a version": (KubernetesVersion, ["v1.34", "v1.37", "v1.9"]),
    "an address block": (Cidr, ["0.0.0.0/0", "203.0.113.0/24", "10.0.0.1/32", "2001:db8::/32", "::/0"]),
    "an amount of CPU": (CpuQuantity, ["500m", "2", 2, "1.5", "1e3"]),
    "a size": (SizeQuantity, ["10Gi", "512Mi", "1.5Gi", "1G", 1048576]),
    "a time": (PositiveSeconds, [1, 300, "5m", "1h30m", "90s"]),
    "a relative path": (SourcePath, ["config/world.toml", "../other/a", "a b"]),
}  # fmt: skip

REFUSES: dict[str, tuple[Any, list[Any]]] = {
    "a DNS label": (DnsLabel, ["", "A", "-a", "a-", "a.b", "a_b", "ä", "a\n", LABEL_63 + "a", 5, None]),
    "an object's name": (ObjectName, ["", ".a", "a..b", "a.", "A", "a" * 254]),
    "a Service's name": (ServiceName, ["0a", "a.b", "A", LABEL_63 + "a"]),
    "a label's key": (LabelKey, ["", "/a", "a/", "a/b/c", "A.com/b", LABEL_63 + "a", "-a"]),
    "a label's value": (LabelValue, ["-", "a b", LABEL_63 + "a", True, 1]),
    "an image": (
        ImageRef,
        ["", "a/B", "a:", "a:v1@", "a@sha256:0", "a b", "http://a/b", "a//b", f"a@{DIGEST.upper()}", "a:" + "v" * 129],
    ),
    "a port": (PortNumber, [0, 65536, "80", True, 80.0]),
    "a port's name": (PortName, ["80", "a--b", "-a", "A", "a" * 16, ""]),
    "a variable's name": (EnvName, ["", "1A", "A B", "A=B"]),
    "a ConfigMap's key": (FileKey, ["", ".", "..", "..a", "a/b", "a" * 254]),
    "an absolute path": (AbsolutePath, ["", "/", "a", "/a/", "//a", "/a/../b", "/..", "/a/./b", "/a:b"]),
    "an HTTP path": (HttpPath, ["", "healthz", "/a b"]),
    "text that is not empty": (NonEmpty, [""]),
    "a version": (KubernetesVersion, ["1.37", "v1.037", "v2.0", "v1", "v1.37.2", 1.37]),
    "an address block": (Cidr, ["10.0.0.1", "10.0.0.1/24", "10.0.0.0/33", "300.0.0.0/8", "2001:db8::1/32", "a/8"]),
    "an amount of CPU": (CpuQuantity, ["", "0", "-1", "500 m", "1c", "m", 0, 1.5]),
    "a size": (SizeQuantity, ["0", "10 Gi", "10gb", "-1Gi", "Gi", 0, None, "512m", 512, "1048576.5"]),
    "a time": (PositiveSeconds, [0, -1, "0s", "5", "1.5h", "1d", "", 1.5]),
    "a relative path": (SourcePath, ["", "/etc/a", "C:/a", "a\\b"]),
}


def read(annotation: Any, value: Any) -> tuple[Any, list[str]]:
    sink = Sink()
    found = compile_type(annotation).read(value, (None, "field"), sink)
    return found, [str(problem) for problem in sink.problems]


@pytest.mark.parametrize("kind", TAKES)
def test_it_takes(kind: str) -> None:
    annotation, values = TAKES[kind]

    for value in values:
        found, problems = read(annotation, value)
        assert problems == []
        assert found is not FAULTY


@pytest.mark.parametrize("kind", REFUSES)
def test_it_refuses_with_place_value_and_fix(kind: str) -> None:
    annotation, values = REFUSES[kind]

    for value in values:
        found, problems = read(annotation, value)
        assert found is FAULTY, value
        assert [problem.startswith("$.field: is ") for problem in problems] == [True], value
        assert [bool(problem.partition("\n  fix: ")[2]) for problem in problems] == [True], value


def test_every_type_has_an_example_of_both() -> None:
    assert set(TAKES) == set(REFUSES)


SAYS: dict[str, tuple[Any, Any, str]] = {
    "an address with host bits": (
        Cidr, "203.0.113.7/24",
        "$.field: is '203.0.113.7/24'; not a CIDR block: 203.0.113.7/24 has host bits set\n"
        "  fix: write address/prefix with no host bits set: 203.0.113.0/24",
    ),
    "a version without its letter": (
        KubernetesVersion, "1.37",
        "$.field: is '1.37'; not a Kubernetes API version\n  fix: write the minor version as text: \"v1.37\"",
    ),
    "a version as a number": (
        KubernetesVersion, 1.37,
        "$.field: is 1.37; expected a Kubernetes API version\n  fix: write the minor version as text: \"v1.37\"",
    ),
    "a label's value as a number": (
        LabelValue, 5, '$.field: is 5; expected a label value\n  fix: quote it: "5"'
    ),
    "a label's value as a truth": (
        LabelValue, True, '$.field: is true; expected a label value\n  fix: quote it: "true"'
    ),
    "CPU with a space": (
        CpuQuantity, "500 m",
        "$.field: is '500 m'; not a quantity of CPU\n  fix: write cores ('2') or thousandths of one ('500m')",
    ),
    "a port beyond the last": (
        PortNumber, 70000, "$.field: is 70000; more than 65535\n  fix: set it to 65535 or less"
    ),
    "a folder as a file": (
        AbsolutePath, "/data/", "$.field: is '/data/'; not an absolute path\n"
        "  fix: begin with '/', without '..', ':', a double or a final '/'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SAYS)
def test_it_says_of(case: str) -> None:
    annotation, value, says = SAYS[case]

    assert read(annotation, value)[1] == [says]


def test_amounts_are_rendered_in_their_canonical_form() -> None:
    config = DeploymentConfig.from_values(
        {
            "name": "world",
            "image": IMAGE,
            "pvc": {"size": "1024Mi"},
            "resources": {"cpu_limit": "2000m", "memory_limit": "4096Mi", "cpu_request": "0.5"},
        }
    )

    text = config.render_yaml()

    assert 'cpu: "2"' in text
    assert 'cpu: "500m"' in text
    assert 'memory: "4Gi"' in text
    assert 'storage: "1Gi"' in text


def test_an_endpoint_has_the_placeholders_of_its_place_only() -> None:
    with pytest.raises(ConfigError) as raised:
        DeploymentConfig(
            name="a", image=IMAGE, expose=ExposeConfig(ports=["http"]), endpoint="a.{regoin}.{pod}.example.com"
        )

    assert str(raised.value) == (
        "$.endpoint: is 'a.{regoin}.{pod}.example.com'; has no placeholder {regoin}\n  fix: did you mean 'region'?"
    )
