"""Which module of ``members`` boots what, and what nobody boots."""

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

import msgspec

from aether_deploy.lab.programs import MissingProgramsError
from aether_deploy.lab.system.member import Member
from aether_deploy.lab.system.network import Network
from aether_deploy.platform.config import Platform

if TYPE_CHECKING:
    from types import ModuleType

MODULES = ("nats", "valkey", "object_store", "edge", "postgres", "router", "envoy", "world", "service")
"""Modules of ``members``, each with ``members_of(platform, network)`` and, where it may bring nothing,
``left_out_of(platform)``."""

_FIX = "\n  fix: "


class Manned(msgspec.Struct, frozen=True):
    """Who stands for a platform.

    Attributes:
        members: Every member, none of which runs yet.
        left_out: What of the platform does not run here, each with the reason.
    """

    members: tuple[Member, ...]
    left_out: tuple[str, ...]


def members_of(platform: Platform, network: Network, modules: Sequence[str] = MODULES) -> Manned:
    """Return who stands for ``platform``, and what nobody stands for.

    Args:
        platform: A platform without faults.
        network: Where they will listen.
        modules: Of :data:`MODULES` those that are asked.

    Raises:
        MissingProgramsError: Programs are not on this machine; those of all members are named.
    """
    members: list[Member] = []
    left_out: list[str] = []
    missing: list[str] = []
    for name in modules:
        module = import_module(f"aether_deploy.lab.system.members.{name}")
        try:
            members += module.members_of(platform, network)
        except MissingProgramsError as error:
            missing.append(str(error))
        left_out += _left_out_of(module, platform)
    if missing:
        raise MissingProgramsError(_together(missing))
    left_out += (sentence for member in members for sentence in member.left_out)
    return Manned(tuple(members), tuple(dict.fromkeys(left_out)))


def _left_out_of(module: "ModuleType", platform: Platform) -> Sequence[str]:
    asked = getattr(module, "left_out_of", None)
    found: Sequence[str] = () if asked is None else asked(platform)
    return found


def _together(messages: Sequence[str]) -> str:
    """Return one message of several: every reason once, and every way to mend it once."""
    reasons = dict.fromkeys(message.partition(_FIX)[0] for message in messages)
    fixes = dict.fromkeys(fix for message in messages if (fix := message.partition(_FIX)[2]))
    return f"{'; '.join(reasons)}{_FIX}{'; '.join(fixes)}"
