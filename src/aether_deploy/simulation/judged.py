"""A policy as a lint looks at it: its rule and its autoscaler at once, and what other settings would make of both."""

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property

import msgspec

from aether_deploy.problems import ConfigError
from aether_deploy.scaling.config import ScalingConfig
from aether_deploy.scaling.controller.policy import HpaPolicy
from aether_deploy.scaling.modes import TOLERANCE_SINCE, keeps_tolerance, mode_of
from aether_deploy.simulation.backends import compile_policy
from aether_deploy.simulation.findings import Settings, joined
from aether_deploy.simulation.instant import Bands, HpaInstant, RuleInstant, player_metric_of

_HEADROOMS = range(5, 30, 5)


class Judged:
    """A policy with everything that is derived from it.

    Attributes:
        scaling: The settings.
        hpa: The autoscaler that carries them out; None where only the rule is judged.
        kubernetes: The cluster's version, ``v1.<minor>``.
        scrape_interval_secs: Pause between two scrapes, seconds.
        rule: The rule at once.
        other: The autoscaler at once; None where there is none, or none that has to do with players.
    """

    def __init__(
        self, scaling: ScalingConfig, hpa: HpaPolicy | None, *, kubernetes: str, scrape_interval_secs: int
    ) -> None:
        """Take the settings and the autoscaler."""
        self.scaling, self.hpa = scaling, hpa
        self.kubernetes, self.scrape_interval_secs = kubernetes, scrape_interval_secs
        self.rule_instant = RuleInstant(scaling)
        self.rule = Bands(self.rule_instant)
        reads_players = hpa is not None and player_metric_of(hpa) is not None
        self.other = Bands(HpaInstant(hpa, scaling)) if hpa is not None and reads_players else None

    @property
    def all(self) -> tuple[Bands, ...]:
        """The rule, and the autoscaler where there is one."""
        return (self.rule,) if self.other is None else (self.rule, self.other)

    @property
    def computes_sizes(self) -> bool:
        """Whether the autoscaler reckons counts from players, and does not merely carry out the rule's."""
        metric = None if self.hpa is None else player_metric_of(self.hpa)
        return metric is not None and metric.source == "Pods"

    @cached_property
    def is_compiled(self) -> bool:
        """Whether the autoscaler is what the settings compile to, so that other settings make another one."""
        return self.hpa is None or _essence(self.hpa) == _essence(self._compiled(self.scaling))

    def changes(self) -> Iterator[Settings]:
        """Yield changes of settings that may help, the gentlest first."""
        if mode_of(self.scaling, self.kubernetes) == "legacy" and keeps_tolerance(self.kubernetes):
            yield {"mode": "auto"}
        # From nothing, five percent is gone with rounding; the nearest ones come first.
        now = max(self.scaling.headroom_percent, 10)
        for headroom in sorted(_HEADROOMS, key=lambda percent: (abs(percent - now), percent)):
            if headroom != self.scaling.headroom_percent:
                yield {"headroom_percent": headroom}

    def first_clean(
        self, changes: Iterable[Settings], backends: Iterable[str], is_clean: Callable[["Judged"], bool]
    ) -> Settings:
        """Return the first of ``changes`` whose policy is clean; empty without one."""
        if "hpa" in backends and not self.is_compiled:
            return {}
        return next((change for change in changes if self._is_clean(change, is_clean)), {})

    def fix_text(self, suggestion: Settings, *, otherwise: str, backends: Iterable[str]) -> str:
        """Return ``suggestion`` in words, or else what helps where no setting does."""
        setting = "set " + joined(f"{name} to {value}" for name, value in suggestion.items()) if suggestion else ""
        if "hpa" in backends and not self.is_compiled:
            return "render the autoscaler from these settings"
        if "decide" in backends or keeps_tolerance(self.kubernetes):
            return setting or otherwise
        newer = f"declare v1.{TOLERANCE_SINCE} or newer once the cluster runs it"
        return f"{newer}, or {setting}" if setting else newer

    def _is_clean(self, change: Settings, is_clean: Callable[["Judged"], bool]) -> bool:
        try:
            scaling = ScalingConfig(**msgspec.structs.asdict(self.scaling) | dict(change))
        except ConfigError:
            return False
        hpa = None if self.hpa is None else self._compiled(scaling)
        return is_clean(
            Judged(scaling, hpa, kubernetes=self.kubernetes, scrape_interval_secs=self.scrape_interval_secs)
        )

    def _compiled(self, scaling: ScalingConfig) -> HpaPolicy:
        return compile_policy(scaling, kubernetes=self.kubernetes, interval_secs=self.scrape_interval_secs)


def _essence(hpa: HpaPolicy) -> HpaPolicy:
    """Return an autoscaler with its metric of players alone, and no name for it."""
    metric = player_metric_of(hpa)
    metrics = () if metric is None else (msgspec.structs.replace(metric, name=""),)
    return msgspec.structs.replace(hpa, metrics=metrics)
