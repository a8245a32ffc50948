"""A real API server takes what brings Secrets, by the real definitions, and refuses what only an engine can decrypt."""

from collections.abc import Iterator

import pytest

from aether_deploy.lab.applying import MANAGER, apply_manifests, changed_by_second_apply
from aether_deploy.lab.client import ApiError
from aether_deploy.lab.control_plane import ControlPlane
from aether_deploy.lab.crds import CUSTOM_KINDS
from aether_deploy.manifest.value import Manifest
from tests.lab_cases import in_namespace, teach_kinds
from tests.secret_cases import FETCHED, platform
from tests.test_secrets import carried, rendered

pytestmark = pytest.mark.real

KINDS = tuple(each for each in CUSTOM_KINDS if each.kind in ("ExternalSecret", "SealedSecret"))
KEYS = [{"name": "tls.key", "property": "key"}]


@pytest.fixture(scope="module")
def plane(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """Return the control plane, which knows the kinds and has the namespace."""
    teach_kinds(control_plane, KINDS)
    with in_namespace(control_plane, "aether-prod"):
        yield control_plane


def test_a_server_takes_every_form_of_a_fetched_secret_and_fills_nothing_into_its_lists(plane: ControlPlane) -> None:
    manifests = [*rendered(platform({**FETCHED, "items": [{"name": "gateway-tls", "keys": KEYS}]}))]
    applied = apply_manifests(plane.client, manifests)
    lists = [
        [(each.live or {})["spec"].get(name) for name in ("data", "dataFrom")]
        for each in applied
    ]  # fmt: skip

    assert [fault for each in applied for fault in each.faults()] == []
    assert lists == [[each.body["spec"].get(name) for name in ("data", "dataFrom")] for each in manifests]
    assert changed_by_second_apply(plane.client, applied) == []


def test_a_wrong_word_in_a_fetched_secret_is_refused(plane: ControlPlane) -> None:
    manifest = rendered(platform(FETCHED))[0]
    manifest.body["spec"]["target"]["creationPolicy"] = "Owned"
    (applied,) = apply_manifests(plane.client, [manifest])

    assert "spec.target.creationPolicy: Unsupported value" in (applied.refused or "")


def test_a_server_takes_sealed_secrets_as_they_are(plane: ControlPlane) -> None:
    names = ("sealed-tls.yaml", "sealed-registry.yaml")
    applied = apply_manifests(plane.client, [Manifest(carried("sealed_secrets", name), "secrets") for name in names])

    assert [fault for each in applied for fault in each.faults()] == []
    assert [each.unjudged for each in applied] == [None, None]


def test_a_server_refuses_what_sops_encrypted_so_a_rehearsal_leaves_it_out(plane: ControlPlane) -> None:
    body = carried("sops", "sops-tls.yaml")
    (applied,) = apply_manifests(plane.client, [Manifest(body, "secrets")])

    assert applied.faults() == []
    assert applied.unjudged == "sops encrypted it, and an engine decrypts it before it applies it"
    with pytest.raises(ApiError, match=r"\.sops: field not declared in schema"):
        plane.client.apply(body, manager=MANAGER)
