"""The JSON Schema of aether.yaml."""

from typing import Any

from aether_deploy.config.schema import json_schema
from aether_deploy.platform.config import Platform


def platform_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of an aether.yaml, with descriptions, defaults and patterns."""
    return json_schema(Platform, title="aether.yaml")
