"""A session cache in a lab: after mending it is as planned again, or what is not is said."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from aether_deploy.lab.programs import MissingProgramsError
from aether_deploy.lab.system.members import valkey
from aether_deploy.lab.system.members.valkey import ValkeyMember
from aether_deploy.lab.system.network import Network
from aether_deploy.lab.valkey.programs import find_valkey_server
from aether_deploy.problems import EffectError
from tests.analysis_cases import TWO_REGIONS, platform_of
from tests.lab_workload_cases import PATIENCE_SECS, answered, wait_for
from tests.real import miss
from tests.rule_case import DIGEST

CACHE = f"""
  - name: sessions
    kind: valkey
    image: "valkey/valkey:9.1.2@{DIGEST}"
    maxmemory: 1Gi
    regions: [us]
    node_timeout_ms: 5000
"""
FIRST = "us/sessions-us-a-0"

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def cache() -> Iterator[ValkeyMember]:
    try:
        find_valkey_server()
    except MissingProgramsError as error:
        miss(str(error))
    network = Network()
    with closing(network):
        (member,) = valkey.members_of(platform_of(TWO_REGIONS, "components:", CACHE), network)
        assert isinstance(member, ValkeyMember)
        with member:
            yield member
            member.check()


SHARDS = 3


def leading(cache: ValkeyMember) -> dict[str, str]:
    return {each.leads[0]: each.address for each in cache.processes() if each.leads}


def leaders(cache: ValkeyMember) -> dict[str, str]:
    """Return who leads each shard, once all of them say so: a node that stands still says nothing."""

    def told() -> dict[str, str]:
        found = leading(cache)
        assert len(found) == SHARDS
        return found

    return answered("every shard to be led", told)


def has_moved(cache: ValkeyMember, planned: dict[str, str]) -> bool:
    """Whether every shard is led, and one by another node than was planned."""
    now = leading(cache)
    return len(now) == len(planned) and now != planned


def test_who_led_leads_again_once_it_is_mended(cache: ValkeyMember) -> None:
    planned = leaders(cache)
    cache.kill([FIRST])
    wait_for("a replica to take over", lambda: has_moved(cache, planned))
    cache.mend([FIRST])

    assert FIRST in planned.values()
    assert leaders(cache) == planned
    assert cache.settle(PATIENCE_SECS)


def test_who_hung_leads_again_once_it_is_mended(cache: ValkeyMember) -> None:
    planned = leaders(cache)
    cache.freeze([FIRST])
    wait_for("a replica to take over", lambda: has_moved(cache, planned))
    cache.mend([FIRST])

    assert leaders(cache) == planned


def test_while_another_node_is_away_mending_ends_and_what_runs_has_copies(cache: ValkeyMember) -> None:
    planned = leaders(cache)
    inside = [each.address for each in cache.processes() if each.datacenter == "us-c"]
    away = next(each for each in inside if each not in planned.values())
    cache.kill([FIRST, away])
    wait_for("a replica to take over", lambda: has_moved(cache, planned))
    cache.mend([FIRST])
    settled = cache.settle(PATIENCE_SECS)
    states = {each.address: each.state for each in cache.processes()}
    cache.mend([away])

    assert settled
    assert (states[FIRST], states[away]) == ("running", "ended")
    assert leaders(cache) == planned


def test_what_is_not_as_planned_in_time_is_told_with_what_the_job_said(
    cache: ValkeyMember, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = leaders(cache)
    cache.kill([FIRST])
    wait_for("a replica to take over", lambda: has_moved(cache, planned))
    with monkeypatch.context() as patched:
        patched.setattr(valkey, "_PLANNED_SECS", 0.0)
        patched.setattr(ValkeyMember, "_patience_secs", lambda self, code: 0.0)
        told = _refused(cache)
    cache.mend([FIRST])

    assert told.startswith("sessions in us is not as planned\n  reconcile-us-")
    assert "FAIL " in told
    assert leaders(cache) == planned


def _refused(cache: ValkeyMember) -> str:
    with pytest.raises(EffectError) as refused:
        cache.mend([FIRST])
    return str(refused.value)
