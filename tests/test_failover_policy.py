"""A failover policy refuses what Patroni would bend, and says what the daemon makes of a configuration."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from aether_deploy.failover.effective import patroni_effective, patroni_refusal
from aether_deploy.failover.policy import (
    FailoverPolicy,
    archiving_fault,
    dynamic_config,
    member_faults,
    watchdog_config,
)
from aether_deploy.problems import ConfigError
from tests.patroni_oracle import Patroni

VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "cases/patroni_timings.json").read_text("utf-8"))
TIMINGS = ("loop_wait", "retry_timeout", "ttl")

# --- the policy

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "the defaults with a shorter ttl": (
        {"ttl": 20},
        "$.ttl: is 20; less than loop_wait + 2 * retry_timeout, which is 30; Patroni would run with loop_wait 1 and "
        "retry_timeout 9, and say so in its log only\n"
        "  fix: set it to 30 or more, or retry_timeout to 5 or less",
    ),
    "a sum that one setting can mend": (
        {"ttl": 20, "loop_wait": 10, "retry_timeout": 9},
        "$.ttl: is 20; less than loop_wait + 2 * retry_timeout, which is 28; Patroni would run with loop_wait 2 and "
        "retry_timeout 9, and say so in its log only\n"
        "  fix: set it to 28 or more, or loop_wait to 2 or less or retry_timeout to 5 or less",
    ),
    "less than the least ttl": ({"ttl": 10}, "$.ttl: is 10; less than 20\n  fix: set it to 20 or more"),
    "less than the least retry_timeout": (
        {"retry_timeout": 1},
        "$.retry_timeout: is 1; less than 3\n  fix: set it to 3 or more",
    ),
    "no pause": ({"loop_wait": 0}, "$.loop_wait: is 0; less than 1\n  fix: set it to 1 or more"),
    "a lag with a unit": (
        {"maximum_lag_on_failover": "1MB"},
        "$.maximum_lag_on_failover: is '1MB'; expected a whole number\n  fix: write a whole number",
    ),
    "a time with a unit, for which Patroni drops the whole configuration": (
        {"ttl": "30s"},
        "$.ttl: is '30s'; expected a whole number\n  fix: write a whole number",
    ),
    "a mode with a slip": (
        {"synchronous_mode": "quorm"},
        "$.synchronous_mode: is 'quorm'; expected true or false or quorum\n  fix: write true or false or quorum",
    ),
    "a watchdog that can never be used": (
        {"watchdog": "required", "watchdog_safety_margin": 25},
        "$.watchdog_safety_margin: is 25; the watchdog would fire 5 s after a renewal, and loop_wait is 10: Patroni "
        "uses no watchdog then, and without one nobody ever leads\n"
        "  fix: set it to 19 or less, or lower loop_wait",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_policy_is_refused_that_has(case: str) -> None:
    given, says = REFUSED[case]

    with pytest.raises(ConfigError) as caught:
        FailoverPolicy.from_values(given)

    assert str(caught.value) == says


def test_all_faults_of_a_policy_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        FailoverPolicy(ttl=5, loop_wait=0, retry_timeout=1, synchronous_node_count=0)

    assert [problem.path for problem in caught.value.problems] == [
        "$.ttl",
        "$.loop_wait",
        "$.retry_timeout",
        "$.synchronous_node_count",
    ]


WARNED: dict[str, tuple[dict[str, Any], str]] = {
    "a pause of more than half of ttl": (
        {"ttl": 20, "loop_wait": 12, "retry_timeout": 3},
        "$.loop_wait: warning: is 12; more than half of ttl, which is 20: a member's key lives as long as the leader's "
        "and may expire between two loops\n  fix: set it to 10 or less",
    ),
    "no lag allowed in a synchronous mode": (
        {"synchronous_mode": True, "synchronous_mode_strict": True, "maximum_lag_on_failover": 0},
        "$.maximum_lag_on_failover: warning: is 0; the limit holds in synchronous mode too, and what the leader "
        "publishes counts WAL of PostgreSQL's own that nobody waits for: no replica may ever be allowed to take over\n"
        "  fix: set it to 1048576; acknowledged writes are safe without it",
    ),
    "strict without a synchronous mode": (
        {"synchronous_mode_strict": True},
        "$.synchronous_mode_strict: warning: is true; without synchronous_mode it does nothing\n"
        "  fix: set synchronous_mode to true or quorum, or remove it",
    ),
    "a watchdog without slack": (
        {"watchdog": "automatic", "watchdog_safety_margin": 20},
        "$.watchdog_safety_margin: warning: is 20; the watchdog would fire 10 s after a renewal, and loop_wait is 10: "
        "a loop that is late at all resets the machine\n  fix: set it to 19 or less, or lower loop_wait",
    ),
    "synchronous replicas that may be too far behind": (
        {"synchronous_mode": True, "maximum_lag_on_syncnode": 2_000_000},
        "$.maximum_lag_on_syncnode: warning: is 2000000; more than maximum_lag_on_failover, which is 1048576: a "
        "replica between the two is kept and may not take over\n  fix: set it to 1048576 or less",
    ),
}


@pytest.mark.parametrize("case", WARNED)
def test_a_policy_is_warned_of_that_has(case: str) -> None:
    given, says = WARNED[case]

    assert [str(problem) for problem in FailoverPolicy(**given).problems()] == [says]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"ttl": 21, "loop_wait": 1, "retry_timeout": 10},
        {"ttl": 20, "loop_wait": 10, "retry_timeout": 5},
        {"synchronous_mode": "quorum", "synchronous_node_count": 2, "failsafe_mode": True},
        {"watchdog": "required"},
    ],
)
def test_a_sound_policy_has_no_problem_and_survives_its_own_yaml(given: dict[str, Any]) -> None:
    policy = FailoverPolicy(**given)

    assert policy.problems() == ()
    assert FailoverPolicy.parse_yaml(policy.render_yaml()) == policy


MEMBERS: dict[str, tuple[dict[str, Any], int, str]] = {
    "two copies of two members": ({"synchronous_mode": True, "synchronous_node_count": 2}, 2, "warning"),
    "two copies of two members, strictly": (
        {"synchronous_mode": True, "synchronous_node_count": 2, "synchronous_mode_strict": True},
        2,
        "warning",
    ),
    "a copy of a single member, strictly": ({"synchronous_mode": True, "synchronous_mode_strict": True}, 1, "error"),
    "every replica, strictly": ({"synchronous_mode": "quorum", "synchronous_mode_strict": True}, 2, "warning"),
}


@pytest.mark.parametrize("case", MEMBERS)
def test_a_policy_asks_too_much_of_its_members_with(case: str) -> None:
    given, members, severity = MEMBERS[case]

    assert [fault.severity for fault in member_faults(FailoverPolicy(**given), members)] == [severity]
    assert list(member_faults(FailoverPolicy(**given), members + 2)) == []


def test_a_closed_segment_of_wal_may_put_every_replica_over_the_limit() -> None:
    fault = archiving_fault(FailoverPolicy())

    assert fault is not None
    assert (fault.at, fault.severity) == (("maximum_lag_on_failover",), "warning")
    assert archiving_fault(FailoverPolicy(maximum_lag_on_failover=33_554_432)) is None


def test_the_dynamic_configuration_says_every_setting() -> None:
    said = dynamic_config(FailoverPolicy(synchronous_mode="quorum"))

    fields = set(FailoverPolicy.__struct_fields__) - {"watchdog", "watchdog_safety_margin"}
    assert set(said) - {"postgresql"} | set(said["postgresql"]) == fields
    assert (said["ttl"], said["synchronous_mode"], said["postgresql"]["use_pg_rewind"]) == (30, "quorum", True)


def test_the_watchdog_is_a_setting_of_each_member() -> None:
    assert watchdog_config(FailoverPolicy()) == {"mode": "off"}
    assert watchdog_config(FailoverPolicy(watchdog="required")) == {"mode": "required", "safety_margin": 5}


# --- what the daemon makes of a configuration


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: json.dumps(vector["given"]))
def test_the_daemon_bends_timings(vector: dict[str, Any]) -> None:
    effective = patroni_effective(vector["given"])

    assert {name: effective[name] for name in TIMINGS} == vector["effective"]


def test_a_sound_policy_is_what_the_daemon_runs_with() -> None:
    policy = FailoverPolicy(loop_wait=2, ttl=20, retry_timeout=3, synchronous_mode="quorum", failsafe_mode=True)

    effective = patroni_effective(dynamic_config(policy))

    assert {name: effective[name] for name in dynamic_config(policy) if name != "postgresql"} == {
        name: value for name, value in dynamic_config(policy).items() if name != "postgresql"
    }


@pytest.mark.parametrize("given", [None, [], "ttl: 30", 30], ids=repr)
def test_what_is_no_mapping_is_no_configuration(given: Any) -> None:
    for asked in (patroni_effective, patroni_refusal):
        with pytest.raises(TypeError, match="a dynamic configuration maps settings to values"):
            asked(given)


def test_one_bad_timing_drops_the_whole_configuration() -> None:
    given = {"ttl": "30s", "loop_wait": 2, "maximum_lag_on_failover": 5, "synchronous_mode": True}

    assert patroni_refusal(given) == "ttl is '30s', which is no whole number of seconds"
    assert patroni_effective(given) == patroni_effective({})


LAGS: dict[Any, int] = {
    "1MB": 1_048_576,
    "abc": 1_048_576,
    None: 1_048_576,
    "1048577": 1_048_577,
    "0x10": 16,
    "1e6": 10**6,
    5: 5,
}


@pytest.mark.parametrize("lag", LAGS, ids=str)
def test_a_lag_that_is_no_number_is_the_default(lag: Any) -> None:
    assert patroni_effective({"maximum_lag_on_failover": lag})["maximum_lag_on_failover"] == LAGS[lag]


# --- Patroni itself


@pytest.fixture(scope="module")
def patroni() -> Patroni:
    return Patroni()


@pytest.mark.real
def test_patroni_bends_thousands_of_random_configurations_the_same(patroni: Patroni) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    rng, refused = random.Random(seed), 0
    for _ in range(5000):
        given = {name: _random_timing(rng) for name in TIMINGS if rng.random() < 0.85}

        ours, theirs = patroni_effective(given), patroni.adjust(given)

        assert (patroni_refusal(given) is None) is (theirs is not None), (seed, given)
        refused += theirs is None
        adjusted = {"loop_wait": 10, "retry_timeout": 10, "ttl": 30} | (theirs or {})
        assert {name: ours[name] for name in TIMINGS} == {name: int(adjusted[name]) for name in TIMINGS}, (seed, given)
    assert 0 < refused < 5000


@pytest.mark.real
def test_patroni_reads_the_other_settings_of_thousands_of_random_configurations_the_same(patroni: Patroni) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    for _ in range(5000):
        given = _random_settings(rng)

        ours, theirs = patroni_effective(given), patroni.reading(given)

        for name in NUMBERS:
            assert ours[name] == getattr(theirs, name), (seed, name, given)
        assert ours["pause"] is theirs.is_paused, (seed, given)
        assert ours["synchronous_mode_strict"] is theirs.is_synchronous_mode_strict, (seed, given)
        assert bool(ours["synchronous_mode"]) is theirs.is_synchronous_mode, (seed, given)
        if theirs.is_synchronous_mode:
            assert (ours["synchronous_mode"] == "quorum") is theirs.is_quorum_commit_mode, (seed, given)
        for name in ("failsafe_mode", "check_timeline"):
            assert ours[name] is theirs.check_mode(name), (seed, name, given)


NUMBERS = (
    "maximum_lag_on_failover",
    "maximum_lag_on_syncnode",
    "synchronous_node_count",
    "primary_start_timeout",
    "primary_stop_timeout",
    "max_timelines_history",
    "member_slots_ttl",
)
_WORDS = (None, True, False, "on", "off", "TRUE", "no", "quorum", "Quorum", "", "abc", 0, 1)
_AMOUNTS = (
    "1MB",
    "0x10",
    "-0x1F",
    "010",
    "1e6",
    "1.5e3",
    ".5",
    "2.5",
    "30min",
    "1 h",
    "90s",
    "1500ms",
    "2d",
    " 7 ",
    "7x",
)


def _random_timing(rng: random.Random) -> Any:
    number = rng.choice((rng.randint(-5, 80), rng.randint(0, 12), rng.randint(15, 35)))
    return rng.choice((number, number, number, str(number), f" {number} ", number + 0.7, f"{number}s", None, True))


def _random_settings(rng: random.Random) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name in (*NUMBERS, "master_start_timeout", "master_stop_timeout"):
        if rng.random() < 0.6:
            given[name] = rng.choice((rng.randint(-3, 10**7), str(rng.randint(0, 99)), rng.choice(_AMOUNTS), *_WORDS))
    for name in ("synchronous_mode", "synchronous_mode_strict", "failsafe_mode", "check_timeline", "pause"):
        if rng.random() < 0.7:
            given[name] = rng.choice(_WORDS)
    if rng.random() < 0.2:
        given["standby_cluster"] = rng.choice((None, {}, {"host": "a"}, {"port": 5432}, {"create_replica_methods": []}))
    return given
