"""What every kind promises about the rest of the platform: diffs, Secrets, analyses and runbooks tell of each."""

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from aether_deploy.delivery.comparing import diff_trees
from aether_deploy.gitops.diff.changes import Change, Danger, Effect
from aether_deploy.gitops.render import render_clusters, render_tree
from aether_deploy.gitops.runbooks import runbook_units
from aether_deploy.infrastructure.analysis.judging import analysis_findings
from aether_deploy.infrastructure.analysis.table import table_text
from aether_deploy.infrastructure.registry import component_types
from aether_deploy.platform.analysing import analyse_platform
from aether_deploy.platform.config import Platform
from aether_deploy.platform.secrets import path_of, secrets_at, secrets_brought, secrets_named
from tests.component_cases import (
    COMPANIONS,
    clusters_of,
    component_of,
    description_of,
    every_example,
    objects,
    platform_of,
)

Values = dict[str, Any]
Edit = Callable[[Values], Values | None]
"""Other values of a component; None where there is nothing to edit."""

OTHER_DIGEST = "@sha256:" + "9" * 64
MAKES_PODS = ("StatefulSet", "Deployment", "postgresql")


def edited(kind: str, title: str, edit: Edit) -> Platform | None:
    """Return the platform with an edited component; None where there is nothing to edit."""
    description = description_of(kind, title)
    values = edit(dict(description["components"][0]))
    if values is None:
        return None
    description["components"][0] = values
    description["services"][0]["uses"] = [values["name"]] if values.get("enabled", True) else []
    return Platform.from_values(description)


def changes(kind: str, title: str, edit: Edit) -> list[Change]:
    """Return what an edit does to the component, or skip where it has nothing to edit."""
    after, before = edited(kind, title, edit), platform_of(kind, title)
    if after is None:
        pytest.skip("there is nothing to edit")
    diff = diff_trees([after], render_tree([before])[0], render_tree([after])[0], root="deploy")
    return [each for each in diff.changes if each.key.namespace == "aether-prod-data"]


# --- diffs


@every_example
def test_what_a_pod_is_made_of_reaches_it_by_its_replacement(kind: str, title: str) -> None:
    def another_image(values: Values) -> Values | None:
        image = values.get("image")
        return None if image is None else {**values, "image": image.partition("@")[0] + OTHER_DIGEST}

    found = [each for each in changes(kind, title, another_image) if each.key.kind in MAKES_PODS]

    assert found
    for each in found:
        assert each.danger is Danger.ATTENTION
        assert each.effect in (Effect.ROLLS, Effect.RESTARTS) or "somebody deletes" in " ".join(each.says), each


@every_example
def test_a_smaller_volume_is_refused(kind: str, title: str) -> None:
    def smaller(values: Values) -> Values | None:
        return {**values, "pvc": {**values["pvc"], "size": "1Gi"}} if "pvc" in values else None

    def without_what_fills_it(values: Values) -> Values | None:
        found = smaller(values)
        return None if found is None else {**found, "streams": []} if "streams" in found else found

    found = [each for each in changes(kind, title, without_what_fills_it) if each.key.kind in MAKES_PODS]

    assert found
    assert {(each.effect, each.danger) for each in found} == {(Effect.REFUSED, Danger.DANGEROUS)}


@every_example
@pytest.mark.parametrize("how", ["switched off", "renamed"])
def test_what_holds_data_never_goes_unseen(kind: str, title: str, how: str) -> None:
    def gone(values: Values) -> Values:
        return {**values, "enabled": False} if how == "switched off" else {**values, "name": f"{values['name']}-two"}

    keeps = [
        (body["kind"], body["metadata"]["name"])
        for _, body in objects(kind, title, "StatefulSet", "postgresql")
        if body["kind"] == "postgresql" or body["spec"]["volumeClaimTemplates"]
    ]
    found = changes(kind, title, gone)
    at_risk = {(each.key.kind, each.key.name) for each in found if each.effect is Effect.DATA}

    assert set(keeps) <= at_risk
    assert all(each.danger is Danger.DANGEROUS for each in found if each.effect is Effect.DATA)


def files_of(kind: str, title: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield every ConfigMap of a component, each once."""
    seen = set()
    for _, body in objects(kind, title, "ConfigMap"):
        if body["metadata"]["name"] not in seen:
            seen.add(body["metadata"]["name"])
            yield body["metadata"]["name"], body["data"]


BROKEN: dict[str, Callable[[str], str]] = {
    "emptied": lambda text: "",
    "cut in half": lambda text: text[: len(text) // 2],
    "another number": lambda text: re.sub(r"\d", lambda digit: str((int(digit[0]) + 1) % 10), text, count=1),
    "no mapping": lambda text: "[]",
}


@every_example
@pytest.mark.parametrize("how", BROKEN)
def test_any_change_of_a_file_is_answered_whoever_made_it(kind: str, title: str, how: str) -> None:
    for _, files in files_of(kind, title):
        for name, text in files.items():
            told = component_types()[kind].file_changes(files, {**files, name: BROKEN[how](text)})

            assert all(each.says and each.effect for each in told)


# --- Secrets


SEALED = base64.b64encode((256).to_bytes(2, "big") + bytes(256 + 16)).decode()
ENC = "ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:str]"


def sealed(name: str, namespace: str, keys: list[str], *, pulls: bool) -> str:
    kind = "kubernetes.io/dockerconfigjson" if pulls else "Opaque"
    lines = [f"    {key}: {SEALED}" for key in keys]
    metadata = f"{{name: {name}, namespace: {namespace}}}"
    return "\n".join(
        [
            "apiVersion: bitnami.com/v1alpha1", "kind: SealedSecret", f"metadata: {metadata}", "spec:",
            "  encryptedData:", *lines, f"  template: {{metadata: {metadata}, type: {kind}}}", "",
        ]
    )  # fmt: skip


def by_sops(name: str, namespace: str, keys: list[str], *, pulls: bool) -> str:
    kind = "kubernetes.io/dockerconfigjson" if pulls else "Opaque"
    lines = [f"  {key}: {ENC}" for key in keys]
    return "\n".join(
        [
            "apiVersion: v1", "kind: Secret", f"metadata: {{name: {name}, namespace: {namespace}}}", f"type: {kind}",
            "data:", *lines, "sops:", f"  mac: {ENC}", "  age: [{recipient: age1, enc: x}]", "",
        ]
    )  # fmt: skip


PATH = "secrets/{environment}/{namespace}/{secret}.yaml"
PROVIDERS: dict[str, Values] = {
    "existing": {"provider": "existing"},
    "external_secrets": {"provider": "external_secrets", "store": {"name": "vault"}, "path": "aether/{secret}"},
    "sealed_secrets": {"provider": "sealed_secrets", "path": PATH},
    "sops": {"provider": "sops", "path": PATH},
}
MAKES: Mapping[str, Callable[..., str]] = {"sealed_secrets": sealed, "sops": by_sops}


@every_example
@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_provider_brings_every_secret_that_pods_name(kind: str, title: str, provider: str) -> None:
    platform = Platform.from_values({**description_of(kind, title), "secrets": PROVIDERS[provider]})
    files = {
        path_of(platform, site, use.name, namespace): MAKES[provider](
            use.name, namespace, [key for key, _ in use.needs()] or ["password"], pulls=use.pulls
        ).encode()
        for site in platform.sites
        for namespace, use in (secrets_at(platform, site) if provider in MAKES else ())
    }
    for rendered in render_clusters([platform], files):
        manifests = rendered.cluster.manifests
        listed = {(namespace, use.name) for namespace, use in secrets_at(platform, rendered.cluster.site)}

        assert set(secrets_named(manifests)) <= listed
        assert secrets_brought(manifests) == (set() if provider == "existing" else listed)


# --- analyses and runbooks


@every_example
def test_every_failure_of_what_it_stands_on_is_answered(kind: str, title: str) -> None:
    platform, component = platform_of(kind, title), component_of(kind, title)
    analysis = analyse_platform(platform, pairs=True)
    footprint = analysis.by_name[component.name].analyst.footprint
    here = {
        region.code
        for region in platform.estate.regions
        if {each.name for each in region.full} <= footprint.datacenters and region.full
    }
    answered = {
        row.failure.name for row in analysis.singles if row.failure.kind == "region" and component.name in row.cells
    }

    assert here <= answered
    assert table_text(analysis, analysis_findings(analysis))
    for row in analysis.rows:
        for effect in (effect for cell in row.cells.values() for effect in cell.impact.effects):
            assert effect.rules, (row.failure, effect)
            assert (effect.recovery is not None) == (effect.outcome == "interrupted"), effect


@every_example
def test_it_has_a_runbook_that_what_is_told_elsewhere_leads_to(kind: str, title: str) -> None:
    platform, component = platform_of(kind, title), component_of(kind, title)
    (unit,) = runbook_units(platform)
    names = {file.path for file in unit.files}
    analysis = analyse_platform(platform, pairs=True)
    told = [
        text
        for row in analysis.rows
        for cell in row.cells.values()
        for effect in cell.impact.effects
        for text in (effect.human, effect.note, effect.fix)
    ]

    assert f"{component.name}.md" in names
    assert {name for text in told for name in re.findall(r"runbooks/(\S+?\.md)", text)} <= names


@every_example
def test_no_runbook_names_what_is_not_there(kind: str, title: str) -> None:
    platform = platform_of(kind, title)
    contexts = {site.cluster for site in platform.sites}
    known = {
        (manifest.kind.lower(), manifest.name)
        for rendered in clusters_of(kind, title)
        for manifest in rendered.cluster.manifests
    }
    known |= {("secret", use.name) for site in platform.sites for _, use in secrets_at(platform, site)}
    (unit,) = runbook_units(platform)
    for file in unit.files:
        if file.path.endswith(".md") and file.path.removesuffix(".md") not in COMPANIONS:
            blocks = "".join(re.findall(r"^ *```sh\n(.*?)^ *```$", file.text, re.MULTILINE | re.DOTALL))
            named = re.findall(r"(?:from=|\s)(cronjob|statefulset|deployment|service)/([a-z0-9-]+)", blocks)
            said = re.findall(r"--context ([a-z0-9-]+) ", blocks)

            assert set(named) <= known, file.path
            assert {each for each in said if not each.endswith(("events", "system"))} <= contexts, file.path
