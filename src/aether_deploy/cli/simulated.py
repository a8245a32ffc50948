"""What ``simulate failover`` is asked about, a Patroni cluster of the file, and its runs as text."""

from collections.abc import Iterable

import msgspec

from aether_deploy.failover.bound import FailoverBound, writable_text
from aether_deploy.failover.faults import FAULT_NAMES, FaultName, fault_of
from aether_deploy.failover.policy import FailoverPolicy
from aether_deploy.infrastructure.kinds.postgres import PostgresConfig
from aether_deploy.infrastructure.postgres.groups import COORDINATOR, Group, groups_in
from aether_deploy.platform.config import Platform
from aether_deploy.problems import ConfigError, Problem, suggestion
from aether_deploy.simulation.failover.distribution import Broken, Distribution, Spread
from aether_deploy.simulation.failover.faults import fault_text
from aether_deploy.simulation.failover.run import FailoverRun

FIGURES = {
    "takeover_secs": "writes are back after",
    "outage_secs": "nobody writes for",
    "dual_primary_secs": "two primaries for",
    "lost_writes": "writes lost",
}
COLUMNS = ("least", "mean", "p95", "p99", "most")
TOLD_BROKEN = 5


class Simulated(msgspec.Struct, frozen=True, kw_only=True):
    """A Patroni cluster of the file.

    Attributes:
        component: The component.
        region: Where the cluster runs.
        group: The cluster, by its StatefulSet: the only one there, or one of the groups of Citus.
        policy: Its policy.
    """

    component: str
    region: str
    group: Group
    policy: FailoverPolicy

    @property
    def title(self) -> str:
        group = "" if self.group.number is None else f", group {self.group.number},"
        return f"{self.component}{group} in {self.region}"


def named_fault(name: str) -> FaultName:
    """Return the fault of that name.

    Raises:
        ConfigError: There is none.
    """
    if name not in FAULT_NAMES:
        fix = suggestion(name, FAULT_NAMES, ", ".join(FAULT_NAMES))
        raise _fault(f"--fault {name}", "no fault has that name", fix)
    return fault_of(name)


def cluster_of(platform: Platform, name: str | None, fault: FaultName, number: int) -> Simulated:
    """Return the cluster that is meant: one of the component's own, or its standby where that is what fails.

    Args:
        platform: A platform without faults.
        name: The component; None: the only one that fails over.
        fault: What happens to it.
        number: Its Citus group; 0, the coordinator's, where nothing is sharded.

    Raises:
        ConfigError: There is no such component or group, or several components and none is named, or nobody could
            take over in it.
    """
    config = _component(platform, name)
    region = config.active_in(platform.estate)
    if fault == "region-promoted":
        if config.standby is None:
            raise _fault("--fault region-promoted", f"{config.name} has no standby", "add standby, or choose another")
        region = config.standby.region
    assert region is not None, "a database that runs nowhere is no choice"
    group = _group(config, region, number)
    if group.members < 2:
        where = f"group {number} of {config.name}" if group.number is not None else config.name
        reason = f"{where} has 1 member in {region}, and nobody takes over from it"
        field = _members_field(fault, number)
        raise _fault(f"$.components.{config.name}.{field}", reason, f"set {field} to 2 or more")
    return Simulated(component=config.name, region=region, group=group, policy=config.failover)


def _group(config: PostgresConfig, region: str, number: int) -> Group:
    groups = groups_in(config, region)
    for group in groups:
        if number == (COORDINATOR if group.number is None else group.number):
            return group
    if groups[0].number is None:
        raise _fault(f"--group {number}", f"{config.name} is not sharded in {region}", "leave it out")
    known = ", ".join(f"{each.number} (the coordinator)" if each.leads else str(each.number) for each in groups)
    raise _fault(f"--group {number}", f"{config.name} has no group of that number", f"choose one of {known}")


def _members_field(fault: FaultName, number: int) -> str:
    """Return the field that says how many members the cluster has that is meant."""
    if fault == "region-promoted":
        return "standby.members"
    return "members" if number == COORDINATOR else "sharding.members_per_worker"


def _component(platform: Platform, name: str | None) -> PostgresConfig:
    databases = [
        each for each in platform.components if isinstance(each, PostgresConfig) and each.placed_in(platform.estate)
    ]
    names = [each.name for each in databases]
    if name is None:
        if len(databases) == 1:
            return databases[0]
        if not databases:
            raise _fault("$.components", "no component of kind postgres runs here", "add one")
        raise _fault("--component", "several components fail over", f"choose one: {', '.join(names)}")
    if name in names:
        return databases[names.index(name)]
    other = platform.component(name)
    if other is None:
        fix = suggestion(name, names, f"known are {', '.join(names)}" if names else "add it to components")
        raise _fault(f"--component {name}", "no component has that name", fix)
    reason = "it runs in no region" if isinstance(other, PostgresConfig) else "it does not fail over by Patroni"
    raise _fault(f"--component {name}", reason, f"choose one of {', '.join(names)}" if names else "enable one")


def _fault(path: str, reason: str, fix: str) -> ConfigError:
    return ConfigError([Problem(path=path, reason=reason, fix=fix)])


# --- text


def distribution_text(title: str, told: Distribution, bound: FailoverBound) -> str:
    """Return a distribution beside its bounds."""
    lines = [title, fault_text(told.fault), ""]
    rows = [("", *COLUMNS, "bounds"), *(_row(told, name, label, bound) for name, label in FIGURES.items())]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines += [_aligned(row, widths) for row in rows]
    lines += ["", f"bounds: {bound.formula}"]
    lines += [f"note: {bound.note}"] if bound.note else []
    if told.winners:
        winners = ", ".join(f"{name} {number}" for name, number in told.winners.items())
        lines.append(f"took over: {winners}")
    if told.leaderless:
        lines.append(f"nobody writes at the end of {told.leaderless} of {told.runs} runs: {told.why_leaderless}")
    return "\n".join([*lines, *_broken_lines(told)])


def _row(told: Distribution, name: str, label: str, bound: FailoverBound) -> tuple[str, ...]:
    spread = told.spreads[name]
    figures = ["-"] * len(COLUMNS) if spread is None else [_figure(name, spread, column) for column in COLUMNS]
    return label, *figures, _promised(name, bound)


def _figure(name: str, spread: Spread, column: str) -> str:
    value = getattr(spread, column)
    if name == "lost_writes":
        return f"{value:.1f}" if column == "mean" else str(int(value))
    return f"{value:.2f} s"


def _promised(name: str, bound: FailoverBound) -> str:
    match name:
        case "takeover_secs":
            return writable_text(bound)
        case "dual_primary_secs":
            dual = bound.dual_primary_secs
            return "until somebody ends it" if dual is None else f"at most {dual:g} s" if dual else "never"
        case "lost_writes":
            return bound.loss
    return ""


def _aligned(row: Iterable[str], widths: Iterable[int]) -> str:
    first, *figures, last = zip(row, widths, strict=True)
    middle = "  ".join(cell.rjust(width) for cell, width in figures)
    return f"{first[0].ljust(first[1])}  {middle}  {last[0]}".rstrip()


def _broken_lines(told: Distribution) -> list[str]:
    if not told.broken:
        return [f"every one of {told.runs} runs kept these bounds"]
    lines = [f"{len({each.seed for each in told.broken})} of {told.runs} runs broke a bound"]
    lines += [_broken(each) for each in told.broken[:TOLD_BROKEN]]
    more = len(told.broken) - TOLD_BROKEN
    return [*lines, f"  and {more} more"] if more > 0 else lines


def _broken(broken: Broken) -> str:
    return f"  seed {broken.seed}: {broken.what}"


def traced_text(seed: int, runs: int, run: FailoverRun) -> str:
    """Return which run is told: the only one of its seed, or the first of many, with the seed that tells it alone."""
    if runs == 1:
        return f"seed {seed}"
    return f"run 1 of {runs} of seed {seed} (alone: --runs 1 --seed {run.seed})"


def timeline_text(title: str, run: FailoverRun) -> str:
    """Return one run as a timeline, seconds from the fault."""
    renewed = f"The key was renewed {run.phase_secs:.2f} s before."
    lines = [title, f"{fault_text(run.fault)} {renewed}", ""]
    width = max(len(event.who) for event in run.events)
    lines += [f"{event.secs:+9.3f} s  {event.who.ljust(width)}  {event.what}" for event in run.events]
    lines += ["", _outcome(run)]
    return "\n".join(lines)


def _outcome(run: FailoverRun) -> str:
    if run.leaderless is not None:
        return f"nobody writes: {run.leaderless}"
    said = [f"nobody wrote for {run.outage_secs:.2f} s"]
    if run.winner is not None and run.takeover_secs is not None:
        said.insert(0, f"{run.winner} writes after {run.takeover_secs:.2f} s")
    if run.dual_primary_secs:
        said.append(f"two primaries for {run.dual_primary_secs:.2f} s")
    return "; ".join([*said, f"{run.lost_writes} acknowledged writes lost"])
