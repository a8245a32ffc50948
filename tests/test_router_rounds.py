"""Rounds of probes: each region at its own pace, none twice at once, none in step."""

import asyncio

from aether_deploy.routing.router_config import RouterConfig
from aether_deploy.service.router.probing import Probed, Target
from aether_deploy.service.router.rounds import Rounds, courses_of, spread
from tests.router_cases import config_values, run_async


def test_pauses_vary_by_a_tenth_and_not_in_step() -> None:
    factors = {code: [spread(code, number) for number in range(500)] for code in ("a", "b")}

    for each in factors.values():
        assert min(each) >= 0.9
        assert max(each) <= 1.1
        assert abs(sum(each) / len(each) - 1) < 0.01
    assert factors["a"] != factors["b"]
    assert factors["a"] == [spread("a", number) for number in range(500)]


class Counting:
    """Stands where a prober does, and counts what is under way."""

    def __init__(self, **secs: float) -> None:
        self.secs = secs
        self.under_way: dict[str, int] = {}
        self.most: dict[str, int] = {}
        self.asked: dict[str, int] = {}

    async def probe(self, target: Target, *, within_secs: float) -> Probed:
        host = target.host
        self.asked[host] = self.asked.get(host, 0) + 1
        self.under_way[host] = self.under_way.get(host, 0) + 1
        self.most[host] = max(self.most.get(host, 0), self.under_way[host])
        try:
            await asyncio.sleep(self.secs.get(host, 0.0))
        finally:
            self.under_way[host] -= 1
        return Probed("ready", 0.0, "")


def rounds_config(*hosts: str, interval_ms: int = 20) -> RouterConfig:
    values = config_values(probes={}, health={"interval_ms": interval_ms, "timeout_ms": 500})
    values["regions"] = [{"code": host, "probe": f"http://{host}/"} for host in hosts]
    return RouterConfig.from_values({**values, "links": []})


def test_a_slow_region_is_asked_once_at_a_time_and_slows_no_other() -> None:
    prober = Counting(slow=3600)
    told: list[str] = []

    async def go() -> None:
        rounds = Rounds(prober, lambda code, _: told.append(code), lambda error: None)  # type: ignore[arg-type]
        rounds.follow(courses_of(rounds_config("slow", "fast")))
        while told.count("fast") < 20:
            await asyncio.sleep(0.01)
        rounds.stop()

    run_async(go())

    assert prober.most == {"slow": 1, "fast": 1}
    assert prober.asked["slow"] == 1


def test_another_configuration_leaves_alone_what_it_does_not_change() -> None:
    prober = Counting(kept=3600, gone=3600, new=3600)

    async def go() -> None:
        rounds = Rounds(prober, lambda code, probed: None, lambda error: None)  # type: ignore[arg-type]
        rounds.follow(courses_of(rounds_config("kept", "gone")))
        await asyncio.sleep(0.05)
        rounds.follow(courses_of(rounds_config("kept", "new")))
        await asyncio.sleep(0.05)
        before = dict(prober.under_way)
        rounds.follow(courses_of(rounds_config("kept", "new", interval_ms=30)))
        await asyncio.sleep(0.05)

        assert before == {"kept": 1, "gone": 0, "new": 1}
        assert prober.asked == {"kept": 2, "gone": 1, "new": 2}
        assert prober.most == {"kept": 1, "gone": 1, "new": 1}
        rounds.stop()

    run_async(go())


def test_a_mistake_of_ours_ends_no_round_in_silence() -> None:
    failed: list[BaseException] = []

    def report(code: str, probed: Probed) -> None:
        raise KeyError(code)

    async def go() -> None:
        rounds = Rounds(Counting(), report, failed.append)  # type: ignore[arg-type]
        rounds.follow(courses_of(rounds_config("a")))
        while not failed:
            await asyncio.sleep(0.01)

    run_async(go())

    assert isinstance(failed[0], KeyError)
