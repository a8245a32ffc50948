"""Secrets as kubeseal 0.32.0 and sops 3.11.0 encrypted them, and workloads that use them.

The files of ``tests/cases/secrets`` are their output, unchanged, for two Secrets in ``aether-prod`` whose values are no
secrets: ``gateway-tls`` with the keys ``tls.key`` and ``empty``, and ``registry`` for pulling images. The keys that
would decrypt them were thrown away.
"""

from pathlib import Path
from typing import Any

from aether_deploy import Platform
from tests.rule_case import GATEWAY, US_EAST

FOLDER = Path(__file__).parent / "cases" / "secrets"
USER: dict[str, Any] = {
    **GATEWAY,
    "pull_secrets": ["registry"],
    "secret_files": [{"name": "tls", "secret": "gateway-tls", "key": "tls.key", "path": "/run/tls.key"}],
}
FETCHED: dict[str, Any] = {
    "provider": "external_secrets",
    "store": {"name": "vault"},
    "path": "aether/{environment}/{secret}",
}
PROVIDERS = {"sealed_secrets": "sealed", "sops": "sops"}


def encrypted(name: str) -> str:
    """Return the text of one of the files."""
    return (FOLDER / name).read_text("utf-8")


def platform(secrets: dict[str, Any], *services: dict[str, Any], **settings: Any) -> Platform:
    """Return a platform with one region, in which ``services`` run."""
    values = {"name": "aether", "kubernetes": "v1.37", "regions": [US_EAST], "services": services or [USER]}
    return Platform(**{**values, "secrets": secrets, **settings})
