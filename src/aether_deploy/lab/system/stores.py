"""Databases as a lab runs them: leases in etcd, and machines that refuse connections once their processes are gone.

A rendered cluster keeps the leader's key in its API server. Patroni's rules differ by the store
(:mod:`aether_deploy.failover.timings`), so a lab is held against those of the store that it runs.
"""

from typing import TYPE_CHECKING

import msgspec

from aether_deploy.failover.timings import StoreKind
from aether_deploy.infrastructure.analysis.analysing import Subject
from aether_deploy.infrastructure.kinds.postgres import PostgresConfig
from aether_deploy.infrastructure.postgres.impact import PostgresAnalyst

if TYPE_CHECKING:
    from aether_deploy.platform.config import Platform

LAB_STORE: StoreKind = "etcd3"


def as_it_runs_here(subject: Subject, platform: "Platform", *, refuses: bool) -> Subject:
    """Return a component with the analyst that holds for it in a lab; any but a database is as it was.

    Args:
        subject: The component.
        platform: What it is of.
        refuses: Ended processes refuse connections at once; else nobody answers.
    """
    config = next((each for each in platform.components if each.name == subject.name), None)
    if not isinstance(config, PostgresConfig):
        return subject
    region = platform.estate.region(config.active_in(platform.estate) or "")
    if region is None:
        return subject
    analyst = PostgresAnalyst(config, platform.estate, region, dcs=LAB_STORE, refuses=refuses)
    return msgspec.structs.replace(subject, analyst=analyst)
