"""Secrets in plain sight are told by their form, wherever a text of a description holds them, and nothing else is."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

from aether_deploy import ConfigError, DeploymentConfig, read_description
from aether_deploy.fleet.rules import LITERAL_FIX
from aether_deploy.manifest.literals import literal_secret
from tests.rule_case import GATEWAY, US_EAST

PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----\n"
ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"

SECRETS = {
    "PKCS#8": ("-----BEGIN PRIVATE KEY-----\nMHc=", "a private key"),
    "PKCS#1": (PEM, "a private key"),
    "elliptic curve": ("x: -----BEGIN EC PRIVATE KEY-----", "a private key"),
    "with a passphrase": ("-----BEGIN ENCRYPTED PRIVATE KEY-----", "a private key"),
    "OpenSSH": ("-----BEGIN OPENSSH PRIVATE KEY-----", "a private key"),
    "OpenPGP": ("-----BEGIN PGP PRIVATE KEY BLOCK-----", "a private key"),
    "a service account of Google": (json.dumps({"type": "service_account", "private_key": PEM}), "a private key"),
    "PEM in base64": (base64.b64encode(PEM.encode()).decode(), "a private key"),
    "PEM in base64 beside others": (
        f"a: {base64.b64encode(b'-----BEGIN CERTIFICATE-----').decode()}\nb: {base64.b64encode(PEM.encode()).decode()}",
        "a private key",
    ),
    "age": (f"# key\nAGE-SECRET-KEY-1{'Q' * 58}\n", "an age private key"),
    "AWS": (ACCESS_KEY, "an AWS access key"),
    "AWS for a session": (f"--id={ACCESS_KEY.replace('AK', 'AS')}", "an AWS access key"),
    "AWS in an address": (f"s3://{ACCESS_KEY}:x@bucket/", "an AWS access key"),
    "Google": (f"https://maps.example.com/?key=AIza{'Sy_-9' * 7}", "a Google API key"),
    "Google HMAC of an account": (f"GOOG{'A1' * 28}Z", "a Google Cloud HMAC key"),
    "Google HMAC of a user": (f"id = GOOG{'A1' * 10}", "a Google Cloud HMAC key"),
    "Azure": (f"AccountName=aether;AccountKey={'aB3/' * 21}+9==;EndpointSuffix=x", "an Azure storage key"),
    "Alibaba": (f"LTAI{'5tA' * 6}xy", "an Alibaba Cloud access key"),
}
HARMLESS = {
    "a certificate": "-----BEGIN CERTIFICATE-----\nMIIEow\n-----END CERTIFICATE-----\n",
    "a public key": "-----BEGIN PUBLIC KEY-----\nMIIEow",
    "a certificate in base64": base64.b64encode(b"-----BEGIN CERTIFICATE-----\nMIIEow").decode(),
    "a line of dashes in base64": base64.b64encode(b"-" * 60).decode(),
    "talk of a private key": "the PRIVATE KEY is mounted at /run/secrets",
    "what age encrypted": "-----BEGIN AGE ENCRYPTED FILE-----\nYWdl",
    "a longer word": f"{ACCESS_KEY}PLE",
    "the end of a word": f"NAK{ACCESS_KEY}",
    "a user of AWS": "AIDAIOSFODNN7EXAMPLE",
    "lower case": ACCESS_KEY.lower(),
    "a digest": "sha256:9347ee6557ea535215b5a02c908884786fa1fa24e075aef96ea31a357ef2120d",
    "a place holder": "AccountKey=$(ACCOUNT_KEY);EndpointSuffix=core.windows.net",
}


@pytest.mark.parametrize("case", SECRETS)
def test_a_secret_is_told_by_its_form(case: str) -> None:
    text, kind = SECRETS[case]

    assert literal_secret(text) == kind
    assert literal_secret(f"first line\n  {text}\nlast line") == kind


@pytest.mark.parametrize("case", HARMLESS)
def test_what_only_looks_alike_is_none(case: str) -> None:
    assert literal_secret(HARMLESS[case]) is None


def test_no_text_of_this_project_is_taken_for_a_secret_but_those_that_are_meant() -> None:
    root = Path(__file__).resolve().parents[1]
    texts = [*root.glob("examples/**/*"), *root.glob("docs/*.md"), *root.glob("src/**/*.json")]
    texts += [*root.glob("tests/golden/**/*.yaml"), *root.glob("tests/cases/**/*.*")]
    read = {path: path.read_text("utf-8", "replace") for path in texts if path.is_file()}

    assert len(read) > 200
    assert {path.name for path, text in read.items() if literal_secret(text)} <= {"secrets.md"}


SHIPPER = {"name": "shipper", "image": GATEWAY["image"]}
CONFIG_FILE = {"name": "a.ini", "path": "/etc/a.ini"}
PLACES: dict[str, dict[str, Any]] = {
    "$.env.ENDPOINT": {"env": {"ENDPOINT": f"https://{ACCESS_KEY}@x"}},
    "$.command[1]": {"command": ["run", ACCESS_KEY]},
    "$.args[0]": {"args": [ACCESS_KEY]},
    "$.sidecars[0].env.ID": {"sidecars": [{**SHIPPER, "env": {"ID": ACCESS_KEY}}]},
    "$.sidecars[0].command[0]": {"sidecars": [{**SHIPPER, "command": [ACCESS_KEY]}]},
    "$.init_containers[0].args[0]": {"init_containers": [{**SHIPPER, "args": [ACCESS_KEY]}]},
    "$.config_files[0].text": {"config_files": [{**CONFIG_FILE, "text": f"id = {ACCESS_KEY}\n"}]},
    "$.annotations['example.com/id']": {"annotations": {"example.com/id": ACCESS_KEY}},
    "$.labels.id": {"labels": {"id": ACCESS_KEY}},
    "$.node_selector.id": {"node_selector": {"id": ACCESS_KEY}},
    "$.waivers.image_digest": {"image": "aether/gateway:v1", "waivers": {"image_digest": f"{ACCESS_KEY} pins it"}},
    "$.drain.pre_stop.command[1]": {"drain": {"pre_stop": {"command": ["drain", ACCESS_KEY]}}},
    "$.expose.annotations['example.com/id']": {
        "expose": {"type": "LoadBalancer", "ports": ["http"], "annotations": {"example.com/id": ACCESS_KEY}}
    },
    "$.probes.readiness.command[1]": {
        "probes": {
            "liveness": {"path": "/healthz", "port": 8080},
            "readiness": {"type": "exec", "command": ["ask", ACCESS_KEY]},
        }
    },
}


@pytest.mark.parametrize("path", PLACES)
def test_a_secret_is_refused_wherever_a_text_is_free_and_never_repeated(path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        DeploymentConfig(**{**GATEWAY, **PLACES[path]})

    assert [(each.path, each.message, each.fix) for each in caught.value.problems] == [
        (path, "holds an AWS access key in plain sight", LITERAL_FIX)
    ]
    assert ACCESS_KEY not in str(caught.value)


@pytest.mark.parametrize("path", PLACES)
def test_a_reason_makes_it_a_deviation(path: str) -> None:
    settings = PLACES[path]
    waivers = {**settings.get("waivers", {}), "secret_literal": "the example of the manual"}
    config = DeploymentConfig(**{**GATEWAY, **settings, "waivers": waivers})

    assert [each.reason for each in config.problems() if "plain sight" in each.reason or "waives" in each.reason] == []


NAMES = {
    "DB_PASSWORD": True, "PGPASSWORD": True, "GITHUB_TOKEN": True, "ACCESSTOKEN": True, "api-token": True,
    "API_KEY": True, "ApiKey": True, "AWS_SECRET_ACCESS_KEY": True, "AWS_ACCESS_KEY_ID": True, "BEARER": True,
    "GOOGLE_APPLICATION_CREDENTIALS": True, "AZURE_STORAGE_KEY": True, "OCI_CLI_KEY_CONTENT": True,
    "TLS_PRIVATE_KEY": True, "CLIENTSECRET": True, "KEY_PASSPHRASE": True,
    "TOKENS_PER_SECOND": False, "TOKENIZER": False, "KEYBOARD": False, "PASS_THROUGH": False, "AZURE_REGION": False,
    "PRIVATE_KEYS_FOLDER": False,
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_name_tells_a_secret(name: str) -> None:
    values: dict[str, Any] = {**GATEWAY, "env": {name: "x"}}
    if not NAMES[name]:
        assert DeploymentConfig(**values).env == {name: "x"}
        return
    with pytest.raises(ConfigError, match="a secret in plain sight, by its name"):
        DeploymentConfig(**values)


# --- files that a description names


def judged(folder: Path, content: bytes, **settings: Any) -> list[str]:
    """Return what is said of a description with a config file."""
    (folder / "s3.ini").write_bytes(content)
    file = {"name": "s3.ini", "path": "/etc/s3.ini", "source": "s3.ini"}
    service = {**GATEWAY, "config_files": [file], **settings}
    document = {"name": "aether", "kubernetes": "v1.37", "regions": [US_EAST], "services": [service]}
    (folder / "aether.yaml").write_text(json.dumps(document), "utf-8")
    judgement = read_description([str(folder / "aether.yaml")]).evaluate(["prod"])
    return [str(problem).replace(f"{folder}/", "") for problem in judgement.problems]


def test_a_secret_in_a_config_file_is_refused_at_its_source(tmp_path: Path) -> None:
    (said,) = judged(tmp_path, f"id = {ACCESS_KEY}\n".encode())

    assert re.sub(r":1:\d+:", ":", said) == (
        "aether.yaml: $.services[0].config_files[0].source: is 's3.ini'; its content holds an AWS access key in "
        f"plain sight\n  fix: {LITERAL_FIX}"
    )


def test_a_secret_among_bytes_that_are_no_text_is_found_too(tmp_path: Path) -> None:
    assert len(judged(tmp_path, b"\xff\xfe\x00" + PEM.encode())) == 1


def test_a_reason_lets_a_config_file_pass(tmp_path: Path) -> None:
    assert judged(tmp_path, PEM.encode(), waivers={"secret_literal": "a key of the manual"}) == []


def test_a_reason_for_nothing_is_a_warning_once_the_file_is_read(tmp_path: Path) -> None:
    (said,) = judged(tmp_path, b"id = 1\n", waivers={"secret_literal": "a key of the manual"})

    assert "waivers.secret_literal: warning: waives nothing: the workload does not deviate" in said


def test_a_file_of_two_workloads_is_judged_for_each(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text(PEM, "utf-8")
    files = {"config_files": [{"name": "key.pem", "path": "/etc/key.pem", "source": "key.pem"}]}
    waived = {**GATEWAY, **files, "waivers": {"secret_literal": "a key of the manual"}}
    services = [waived, {**GATEWAY, **files, "name": "other"}]
    document = {"name": "aether", "kubernetes": "v1.37", "regions": [US_EAST], "services": services}
    (tmp_path / "aether.yaml").write_text(json.dumps(document), "utf-8")
    judgement = read_description([str(tmp_path / "aether.yaml")]).evaluate(["prod"])

    assert [problem.path for problem in judgement.problems] == ["$.services[1].config_files[0].source"]


def test_a_file_that_is_wrong_in_every_environment_is_one_fault(tmp_path: Path) -> None:
    (tmp_path / "s3.ini").write_text(ACCESS_KEY, "utf-8")
    file = {"name": "s3.ini", "path": "/etc/s3.ini", "source": "s3.ini"}
    service = {**GATEWAY, "config_files": [file]}
    document = {"name": "aether", "kubernetes": "v1.37", "regions": [US_EAST], "services": [service]}
    (tmp_path / "aether.yaml").write_text(json.dumps({**document, "environments": {"prod": {}, "dev": {}}}), "utf-8")
    judgement = read_description([str(tmp_path / "aether.yaml")]).evaluate(["prod", "dev"])

    assert [(problem.path, problem.environment) for problem in judgement.problems] == [
        ("$.services[0].config_files[0].source", None),
    ]
