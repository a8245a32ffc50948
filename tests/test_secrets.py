"""Each Secret that a workload uses comes to its cluster once: by reference, or encrypted as it was."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from aether_deploy import ConfigError, Platform, read_description, render_tree
from aether_deploy.delivery.loading import Judgement
from aether_deploy.fleet.bundle import render_manifests
from aether_deploy.gitops.render import check_clusters
from aether_deploy.lab.assumed import assumed_by
from aether_deploy.manifest.value import Manifest
from aether_deploy.platform.encrypted import SecretUse, read_encrypted
from aether_deploy.platform.placing import site_configs
from aether_deploy.platform.secrets import render_secrets, secrets_at, secrets_used
from aether_deploy.pods.surroundings import Surroundings
from aether_deploy.schemacheck import check_manifests
from tests.rule_case import EU_WEST, GATEWAY, US_EAST
from tests.secret_cases import FETCHED, FOLDER, PROVIDERS, USER, encrypted, platform

every_provider = pytest.mark.parametrize("provider", PROVIDERS)


def rendered(described: Platform, files: dict[str, bytes] | None = None) -> tuple[Manifest, ...]:
    """Return what brings the Secrets of the first cluster."""
    site = described.sites[0]
    uses = [use for _, use in secrets_at(described, site)]
    return render_secrets(described, site, described.namespace, uses, files or {})


def specs(described: Platform) -> dict[str, dict[str, Any]]:
    return {each.name: each.body["spec"] for each in rendered(described)}


# --- which Secrets there are


def test_a_secret_is_declared_by_being_used_and_comes_once() -> None:
    other: dict[str, Any] = {**GATEWAY, "name": "other", "pull_secrets": ["registry"]}
    other["secret_files"] = [
        {"name": "a", "secret": "gateway-tls", "key": "tls.crt", "path": "/run/a"},
        {"name": "b", "secret": "shared", "path": "/run/b"},
        {"name": "c", "secret": "off", "path": "/run/c", "enabled": False},
    ]
    described = platform(FETCHED, USER, other)
    configs = [config for _, config in site_configs(described, described.sites[0]).values()]

    assert secrets_used(configs) == (
        SecretUse("gateway-tls", (("tls.crt", "other"), ("tls.key", "gateway"))),
        SecretUse("registry", (), True),
        SecretUse("shared"),
    )


def test_existing_secrets_are_expected_and_nothing_is_rendered() -> None:
    assert rendered(platform({})) == ()


# --- external_secrets


def test_a_secret_is_fetched_as_it_is_in_the_store() -> None:
    first, _ = rendered(platform(FETCHED))

    assert first.source == "secrets"
    assert first.body == {
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "metadata": {
            "name": "gateway-tls",
            "namespace": "aether-prod",
            "labels": {"app.kubernetes.io/managed-by": "aether-deploy", "app.kubernetes.io/part-of": "aether"},
        },
        "spec": {
            "secretStoreRef": {"name": "vault", "kind": "ClusterSecretStore"},
            "target": {"name": "gateway-tls", "creationPolicy": "Owner", "deletionPolicy": "Retain"},
            "refreshInterval": "1h0m0s",
            "dataFrom": [
                {
                    "extract": {
                        "key": "aether/prod/gateway-tls",
                        "metadataPolicy": "None",
                        "conversionStrategy": "Default",
                        "decodingStrategy": "None",
                    }
                }
            ],
        },
    }


def test_a_secret_that_pulls_images_has_the_type_that_the_kubelet_wants() -> None:
    found = specs(platform(FETCHED))

    assert found["registry"]["target"]["template"] == {"type": "kubernetes.io/dockerconfigjson"}
    assert "template" not in found["gateway-tls"]["target"]


def test_every_placeholder_is_filled_in() -> None:
    path = "{environment}/{region}/{cluster}/{namespace}/{secret}"
    region = {**EU_WEST, "zones": [], "datacenters": [{"name": "dub1", "zone": "a", "cluster": "dublin"}]}
    found = specs(platform({**FETCHED, "path": path}, USER, regions=[region], environment="dev"))

    assert found["registry"]["dataFrom"][0]["extract"]["key"] == "dev/eu-west-1/dublin/aether-dev/registry"


def test_an_exception_has_a_path_of_its_own_or_keys_from_several_places() -> None:
    keys = [{"name": "tls.key", "property": "key"}, {"name": "tls.crt", "path": "certificates/{secret}"}]
    items = [{"name": "registry", "path": "shared/{secret}"}, {"name": "gateway-tls", "keys": keys}]
    found = specs(platform({**FETCHED, "items": items}))

    assert found["registry"]["dataFrom"][0]["extract"]["key"] == "shared/registry"
    assert [(each["secretKey"], each["remoteRef"]["key"], each["remoteRef"].get("property")) for each in
            found["gateway-tls"]["data"]] == [
        ("tls.key", "aether/prod/gateway-tls", "key"),
        ("tls.crt", "certificates/gateway-tls", None),
    ]  # fmt: skip


def test_a_store_may_be_in_the_namespace() -> None:
    found = specs(platform({**FETCHED, "store": {"kind": "SecretStore", "name": "vault"}}))

    assert found["registry"]["secretStoreRef"] == {"name": "vault", "kind": "SecretStore"}


# --- the tree, and what a cluster must have


def test_secrets_have_a_folder_beside_the_workloads() -> None:
    tree, clusters = render_tree([platform(FETCHED)])
    files = {file.path: file for file in tree.units[0].files}

    assert yaml.safe_load(files["aether-prod/kustomization.yaml"].text)["resources"] == ["gateway", "secrets"]
    assert yaml.safe_load(files["aether-prod/secrets/kustomization.yaml"].text)["resources"] == [
        "externalsecret-gateway-tls.yaml",
        "externalsecret-registry.yaml",
    ]
    assert files["aether-prod/secrets/externalsecret-registry.yaml"].source == "secrets"
    assert check_clusters(clusters) == []


def test_what_a_cluster_must_have_is_the_store_and_no_longer_the_secrets() -> None:
    described = platform(FETCHED)
    configs = [config for _, config in site_configs(described, described.sites[0]).values()]

    workloads = [each for config in configs for each in render_manifests(config, Surroundings())]
    fetched = assumed_by(configs, [], [*workloads, *rendered(described)])

    assert fetched == ("Namespace aether-prod", "ClusterSecretStore vault")
    assert assumed_by(configs, [], workloads) == (
        "Namespace aether-prod",
        "Secret aether-prod/gateway-tls",
        "Secret aether-prod/registry",
    )


def test_schemas_judge_what_is_fetched_and_what_is_sealed() -> None:
    bodies = [each.body for each in rendered(platform(FETCHED))]
    bodies += [carried("sealed_secrets", "sealed-tls.yaml"), carried("sops", "sops-tls.yaml")]
    assert check_manifests(bodies) == []

    bodies[0]["spec"]["target"]["deletionPolicy"] = "Keep"
    bodies[2]["spec"]["template"]["typ"] = "Opaque"
    bodies[3]["typ"] = "Opaque"

    assert [problem.path for problem in check_manifests(bodies)] == [
        "ExternalSecret aether-prod/gateway-tls $.spec.target.deletionPolicy",
        "SealedSecret aether-prod/gateway-tls $.spec.template",
        "Secret aether-prod/gateway-tls $",
    ]


# --- files that were encrypted before

TLS = SecretUse("gateway-tls", (("tls.key", "gateway"),))


def carried(provider: str, name: str) -> dict[str, Any]:
    """Return the manifest that one of the files becomes."""
    use = SecretUse("registry", (), True) if "registry" in name else TLS
    body, problems = read_encrypted(provider, use, "aether-prod", (FOLDER / name).read_bytes(), name)
    assert problems == ()
    assert body is not None
    return body


def in_order(value: Any) -> Any:
    """Return a value in which the order of keys counts."""
    if isinstance(value, dict):
        return [(key, in_order(each)) for key, each in value.items()]
    return [in_order(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", ["sops-tls.yaml", "sops-registry.yaml", "sops-tls.json"])
def test_sops_finds_every_value_as_it_signed_it_and_in_its_order(name: str) -> None:
    described = platform({"provider": "sops", "path": "{secret}"})
    files = {"gateway-tls": encrypted("sops-tls.yaml").encode(), "registry": encrypted("sops-registry.yaml").encode()}
    files |= {"gateway-tls": encrypted(name).encode()} if "tls" in name else {}
    tree, _ = render_tree([described], files)
    secret = "gateway-tls" if "tls" in name else "registry"
    text = next(file.text for file in tree.units[0].files if file.path.endswith(f"/secret-{secret}.yaml"))

    given = json.loads(encrypted(name)) if name.endswith(".json") else yaml.safe_load(encrypted(name))
    assert in_order(yaml.safe_load(text)) == in_order(given)


@pytest.mark.parametrize("name", ["sealed-tls.yaml", "sealed-registry.yaml"])
def test_a_sealed_secret_is_carried_as_it_is(name: str) -> None:
    assert carried("sealed_secrets", name) == yaml.safe_load(encrypted(name))


def test_an_older_kubeseal_writes_nulls_which_are_left_out() -> None:
    text = encrypted("sealed-tls.yaml").replace("metadata:\n", "metadata:\n  creationTimestamp: null\n", 1)
    body, problems = read_encrypted("sealed_secrets", TLS, "aether-prod", text.encode(), "a.yaml")

    assert problems == ()
    assert body == yaml.safe_load(encrypted("sealed-tls.yaml"))


def test_a_key_service_of_a_cloud_may_decrypt_too() -> None:
    before, _, after = encrypted("sops-tls.yaml").partition("    age:\n")
    rest = after[after.index("    lastmodified") :]
    text = f"{before}    kms:\n        - arn: arn:aws:kms:eu-west-1:111122223333:key/a\n{rest}"

    assert read_encrypted("sops", TLS, "aether-prod", text.encode(), "a.yaml")[1] == ()


ENCRYPT = "encrypt it by sops --encrypt --encrypted-regex '^(data|stringData)$'"
EDIT = "change it by sops edit, which signs it anew"
SEAL = "seal such a Secret by kubeseal, and take what it writes unchanged"
Edit = Callable[[str], str]


def replacing(old: str, new: str) -> Edit:
    def edit(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return edit


def sealed_as(value: str) -> Edit:
    """Return the edit that gives the key ``empty`` another sealed value."""
    return lambda text: "\n".join(f"    empty: {value}" if "    empty: " in line else line for line in text.split("\n"))


def sops_as(value: str) -> Edit:
    """Return the edit that gives the key ``tls.key`` another value."""
    return lambda text: "\n".join(
        f"    tls.key: {value}" if "    tls.key: " in line else line for line in text.split("\n")
    )


def without(first: str, last: str) -> Edit:
    """Return the edit that takes the lines from ``first`` to before ``last`` away."""
    return lambda text: text[: text.index(first)] + (text[text.index(last) :] if last else "")


REFUSED: dict[str, tuple[str, Edit, list[str]]] = {
    "of another name": (
        "sealed",
        replacing("name: gateway-tls", "name: gateway"),
        [f"5:9: $.metadata.name: is 'gateway'; the Secret that is used is 'gateway-tls'\n  fix: {SEAL}"],
    ),
    "for another namespace": (
        "sealed",
        replacing("namespace: aether-prod", "namespace: aether-dev"),
        [f"6:14: $.metadata.namespace: is 'aether-dev'; it is used in 'aether-prod'\n  fix: {SEAL}"],
    ),
    "for no namespace": (
        "sops",
        replacing("    namespace: aether-prod\n", ""),
        [f"4:5: $.metadata.namespace: is missing; it is used in 'aether-prod'\n  fix: {EDIT}"],
    ),
    "not sealed at all": (
        "sealed",
        replacing("kind: SealedSecret", "kind: Secret"),
        [f"3:7: $.kind: is 'Secret'; expected SealedSecret\n  fix: {SEAL}"],
    ),
    "with plain values beside sealed ones": (
        "sealed",
        replacing("spec:\n", "data:\n  tls.key: bm90IGEga2V5\nspec:\n"),
        ["7:1: $: has unknown key 'data'\n  fix: remove it; known are apiVersion, kind, metadata, spec"],
    ),
    "with a plain value in the place of a sealed one": (
        "sealed",
        sealed_as("aHVudGVyMmh1bnRlcjI="),
        [f"9:12: $.spec.encryptedData.empty: not as kubeseal encrypts a value\n  fix: {SEAL}"],
    ),
    "with a value that is no base64": (
        "sealed",
        sealed_as("hunter2!"),
        [f"9:12: $.spec.encryptedData.empty: not as kubeseal encrypts a value\n  fix: {SEAL}"],
    ),
    "with nothing sealed": (
        "sealed",
        lambda text: without("    empty: ", "  template:")(text).replace("encryptedData:", "encryptedData: {}"),
        [f"8:18: $.spec.encryptedData: holds nothing\n  fix: {SEAL}"],
    ),
    "sealed in the old form": (
        "sealed",
        replacing("spec:\n", "spec:\n  data: AgBy\n"),
        ["8:3: $.spec: has unknown key 'data'\n  fix: remove it; known are encryptedData, template"],
    ),
    "with a plain value in its template": (
        "sealed",
        replacing("    type: Opaque", "    type: Opaque\n    data:\n      a: hunter2\n      b: 'x={{ .empty }}'"),
        [f"17:10: $.spec.template.data.a: stands in plain text\n  fix: {SEAL}"],
    ),
    "with something unknown in its template": (
        "sealed",
        replacing("    type: Opaque", "    type: Opaque\n    stringData: {a: hunter2}"),
        [
            "16:5: $.spec.template: has unknown key 'stringData'\n"
            "  fix: remove it; known are metadata, type, immutable, data"
        ],
    ),
    "with values that have no keys": (
        "sops",
        replacing("sops:\n", "data: [hunter2]\nsops:\n"),
        [f"10:7: $.data: expected a mapping of keys to values\n  fix: {ENCRYPT}"],
    ),
    "without the key that is mounted": (
        "sealed",
        replacing("    tls.key: ", "    tls.kye: "),
        [f"9:5: $.spec.encryptedData: lacks 'tls.key', which 'gateway' mounts\n  fix: {SEAL}"],
    ),
    "with something unknown": (
        "sealed",
        replacing("spec:\n", "status: {}\nspec:\n"),
        ["7:1: $: has unknown key 'status'\n  fix: remove it; known are apiVersion, kind, metadata, spec"],
    ),
    "with what kubectl once applied": (
        "sops",
        replacing(
            "    namespace: aether-prod\n",
            "    namespace: aether-prod\n    annotations:\n"
            "        kubectl.kubernetes.io/last-applied-configuration: '{}'\n",
        ),
        [
            "7:59: $.metadata.annotations['kubectl.kubernetes.io/last-applied-configuration']: repeats the values "
            "before they were encrypted\n  fix: remove it, and replace the values"
        ],
    ),
    "with a value that sops did not encrypt": (
        "sops",
        sops_as("hunter2"),
        [f"8:14: $.stringData['tls.key']: stands in plain text\n  fix: {ENCRYPT}"],
    ),
    "with a value that only begins as sops writes it": (
        "sops",
        sops_as("ENC[hunter2]"),
        [f"8:14: $.stringData['tls.key']: stands in plain text\n  fix: {ENCRYPT}"],
    ),
    "with a number in plain sight": (
        "sops",
        sops_as("4711"),
        [f"8:14: $.stringData['tls.key']: stands in plain text\n  fix: {ENCRYPT}"],
    ),
    "encrypted as a whole": (
        "sops",
        replacing("kind: Secret", "kind: ENC[AES256_GCM,data:AAAA,iv:AAAA,tag:AAAA,type:str]"),
        [f"2:7: $.kind: encrypted too, so that nobody can tell what it is\n  fix: {ENCRYPT}"],
    ),
    "never encrypted": (
        "sops",
        lambda text: sops_as("hunter2")(without("sops:\n", "")(text)),
        [
            f"1:1: $.sops: is missing: nothing says how to decrypt it\n  fix: {ENCRYPT}",
            f"8:14: $.stringData['tls.key']: stands in plain text\n  fix: {ENCRYPT}",
        ],
    ),
    "without a signature": (
        "sops",
        without("    mac: ", "    encrypted_regex"),
        [f"11:5: $.sops.mac: is missing: nobody could tell whether it was changed\n  fix: {ENCRYPT}"],
    ),
    "without a key that could decrypt it": (
        "sops",
        without("    age:\n", "    lastmodified"),
        [f"11:5: $.sops: names no key, so nobody can decrypt it\n  fix: {ENCRYPT}"],
    ),
    "with nothing in it": (
        "sops",
        without("stringData:\n", "sops:\n"),
        [f"1:1: $: holds neither data nor stringData\n  fix: {ENCRYPT}"],
    ),
    "with a key in a comment": (
        "sops",
        lambda text: f"{text}# -----BEGIN EC PRIVATE KEY-----\n",
        ["1:1: $: holds a private key in plain sight\n  fix: encrypt it, and replace it if it was ever pushed"],
    ),
    "with two documents": (
        "sops",
        lambda text: f"{text}---\n{text}",
        ["25:1: $: holds a second document\n  fix: remove it, or put it into a file of its own"],
    ),
    "with what readers take differently": (
        "sops",
        sops_as("yes"),
        [
            "8:14: $.stringData['tls.key']: YAML 1.1 reads it as a boolean, YAML 1.2 as text\n"
            "  fix: write true or false, or quote it"
        ],
    ),
    "with a number that is not whole": (
        "sops",
        replacing("version: 3.11.0", "version: 3.11"),
        ["24:14: $.sops.version: no text and no whole number\n  fix: quote it"],
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_is_refused_at_its_place(case: str) -> None:
    form, edit, says = REFUSED[case]
    provider = {form: provider for provider, form in PROVIDERS.items()}[form]
    text = edit(encrypted(f"{form}-tls.yaml"))
    _, problems = read_encrypted(provider, TLS, "aether-prod", text.encode(), "a.yaml")

    assert [str(problem).removeprefix("a.yaml:") for problem in problems] == says
    assert "hunter2" not in str(problems)


def test_a_fault_in_json_has_its_place_too() -> None:
    text = encrypted("sops-tls.json").replace('"namespace": "aether-prod"', '"namespace": "aether-dev"')
    (problem,) = read_encrypted("sops", TLS, "aether-prod", text.encode(), "a.json")[1]

    assert (problem.file, problem.line, problem.column) == ("a.json", 6, 16)


@every_provider
def test_a_secret_that_pulls_images_must_be_of_that_type_and_have_that_key(provider: str) -> None:
    text = encrypted(f"{PROVIDERS[provider]}-tls.yaml").replace("gateway-tls", "registry").encode()
    _, problems = read_encrypted(provider, SecretUse("registry", (), True), "aether-prod", text, "a.yaml")

    assert sorted(problem.message for problem in problems) == [
        "is 'Opaque'; images are pulled by it, which takes kubernetes.io/dockerconfigjson",
        "lacks '.dockerconfigjson', by which images are pulled",
    ]


@every_provider
def test_bytes_that_are_no_text_are_refused(provider: str) -> None:
    _, problems = read_encrypted(provider, TLS, "aether-prod", b"a: \xff\n", "a.yaml")

    assert [problem.reason for problem in problems] == ["holds the byte 0xFF, not UTF-8"]


@every_provider
def test_without_the_files_nothing_is_rendered(provider: str) -> None:
    described = platform({"provider": provider, "path": "secrets/{secret}.yaml"})

    with pytest.raises(ConfigError) as caught:
        rendered(described)
    assert str(caught.value) == (
        "$.secrets: is 'secrets/gateway-tls.yaml'; its content is not known\n"
        "  fix: give its content by this path, as load_platform does"
    )


# --- files on disk


def judged(folder: Path, secrets: dict[str, Any], **settings: Any) -> Judgement:
    """Return the judgement of a description in ``folder``."""
    document = {
        "name": "aether",
        "kubernetes": "v1.37",
        "regions": [US_EAST],
        "services": [USER],
        "secrets": secrets,
        **settings,
    }
    (folder / "aether.yaml").write_text(json.dumps(document), "utf-8")
    description = read_description([str(folder / "aether.yaml")])
    return description.evaluate(description.document.environments())


def said_by(judgement: Judgement, folder: Path) -> list[str]:
    return [str(each).replace(f"{folder}/", "") for each in judgement.problems if each.severity == "error"]


@every_provider
def test_encrypted_files_lie_beside_the_description(provider: str, tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    for secret in ("tls", "registry"):
        name = "gateway-tls" if secret == "tls" else secret
        (tmp_path / "secrets" / f"{name}.yaml").write_text(encrypted(f"{PROVIDERS[provider]}-{secret}.yaml"), "utf-8")
    judgement = judged(tmp_path, {"provider": provider, "path": "secrets/{secret}.yaml"})
    tree, _ = render_tree(judgement.platforms, judgement.files)

    kind = {"sops": "secret", "sealed_secrets": "sealedsecret"}[provider]
    assert said_by(judgement, tmp_path) == []
    assert [file.path for file in tree.units[0].files if "/secrets/" in file.path] == [
        "aether-prod/secrets/kustomization.yaml",
        f"aether-prod/secrets/{kind}-gateway-tls.yaml",
        f"aether-prod/secrets/{kind}-registry.yaml",
    ]


def test_files_that_are_missing_are_named_where_their_path_was_written(tmp_path: Path) -> None:
    items = [{"name": "registry", "path": "shared/registry.yaml"}]
    judgement = judged(tmp_path, {"provider": "sops", "path": "secrets/{secret}.yaml", "items": items})

    assert [problem.split(": ", 1)[1] for problem in said_by(judgement, tmp_path)] == [
        "$.secrets.path: is 'secrets/gateway-tls.yaml'; cannot be read: No such file or directory\n  fix: encrypt "
        "Secret 'gateway-tls' into it, or correct the path; it is relative to the folder of the first FILE",
        "$.secrets.items[0].path: is 'shared/registry.yaml'; cannot be read: No such file or directory\n  fix: encrypt "
        "Secret 'registry' into it, or correct the path; it is relative to the folder of the first FILE",
    ]


def test_faults_inside_files_come_all_at_once_each_with_its_own_file(tmp_path: Path) -> None:
    for name, secret in (("gateway-tls", "tls"), ("registry", "registry")):
        text = encrypted(f"sealed-{secret}.yaml").replace("namespace: aether-prod", "namespace: aether-dev", 1)
        (tmp_path / f"{name}.yaml").write_text(text, "utf-8")
    judgement = judged(tmp_path, {"provider": "sealed_secrets", "path": "{secret}.yaml"})

    reason = f"$.metadata.namespace: is 'aether-dev'; it is used in 'aether-prod'\n  fix: {SEAL}"
    assert said_by(judgement, tmp_path) == [f"gateway-tls.yaml:6:14: {reason}", f"registry.yaml:6:14: {reason}"]


def test_one_file_for_two_environments_is_wrong_for_one_of_them(tmp_path: Path) -> None:
    for name, secret in (("gateway-tls", "tls"), ("registry", "registry")):
        (tmp_path / f"{name}.yaml").write_text(encrypted(f"sealed-{secret}.yaml"), "utf-8")
    settings = {"provider": "sealed_secrets", "path": "{secret}.yaml"}
    judgement = judged(tmp_path, settings, environments={"prod": {}, "dev": {}})

    reason = f"$.metadata.namespace: is 'aether-prod'; it is used in 'aether-dev'\n  fix: {SEAL}"
    assert said_by(judgement, tmp_path) == [f"gateway-tls.yaml:6:14: {reason}", f"registry.yaml:6:14: {reason}"]


def test_an_overlay_may_name_another_provider(tmp_path: Path) -> None:
    overlay = {"secrets": {"provider": "existing", "store": None, "path": None}}
    judgement = judged(tmp_path, FETCHED, environments={"prod": {}, "dev": overlay})

    assert said_by(judgement, tmp_path) == []
    assert [len(rendered(each)) for each in judgement.platforms] == [2, 0]
