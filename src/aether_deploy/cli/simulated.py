"""What ``simulate failover`` is asked about, a Patroni cluster of the file, and its runs as text."""

from collections.abc import Iterable

import msgspec

from aether_deploy.failover.bound import Bound, Times
from aether_deploy.failover.policy import FailoverPolicy
from aether_deploy.infrastructure.kinds.postgres import PostgresConfig
from aether_deploy.platform.config import Platform
from aether_deploy.problems import ConfigError, Problem, suggestion
from aether_deploy.simulation.failover.distribution import Broken, Distribution, Spread
from aether_deploy.simulation.failover.faults import FAULTS
from aether_deploy.simulation.failover.run import Run

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
        members: Its members.
        policy: Its policy.
    """

    component: str
    region: str
    members: int
    policy: FailoverPolicy

    @property
    def title(self) -> str:
        return f"{self.component} in {self.region}"


def check_fault(fault: str) -> None:
    """Check that there is such a fault.

    Raises:
        ConfigError: There is none.
    """
    if fault not in FAULTS:
        raise _fault(f"--fault {fault}", "no fault has that name", suggestion(fault, FAULTS, ", ".join(FAULTS)))


def cluster_of(platform: Platform, name: str | None, fault: str) -> Simulated:
    """Return the cluster that is meant: the component's own, or its standby where that is what fails.

    Raises:
        ConfigError: There is none of that name, or several and none is named, or nobody could take over in it.
    """
    config = _component(platform, name)
    if fault == "region-promoted":
        if config.standby is None:
            raise _fault("--fault region-promoted", f"{config.name} has no standby", "add standby, or choose another")
        region, members = config.standby.region, config.standby.members
    else:
        region, members = config.placed_in(platform.estate)[0], config.members
    if members < 2:
        reason = f"{config.name} has 1 member in {region}, and nobody takes over from it"
        raise _fault("--component " + config.name, reason, "set members to 2 or more")
    return Simulated(component=config.name, region=region, members=members, policy=config.failover)


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


def distribution_text(title: str, told: Distribution, bound: Bound) -> str:
    """Return a distribution beside its bounds."""
    lines = [title, FAULTS[told.fault].says, ""]
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


def _row(told: Distribution, name: str, label: str, bound: Bound) -> tuple[str, ...]:
    spread = told.spreads[name]
    figures = ["-"] * len(COLUMNS) if spread is None else [_figure(name, spread, column) for column in COLUMNS]
    return label, *figures, _promised(name, bound)


def _figure(name: str, spread: Spread, column: str) -> str:
    value = getattr(spread, column)
    if name == "lost_writes":
        return f"{value:.1f}" if column == "mean" else str(int(value))
    return f"{value:.2f} s"


def _promised(name: str, bound: Bound) -> str:
    match name:
        case "takeover_secs":
            after = "" if bound.since == "failure" else f" after {bound.since}"
            return "-" if bound.writable is None else f"{_times(bound.writable)} s{after}"
        case "dual_primary_secs":
            dual = bound.dual_primary_secs
            return "until somebody ends it" if dual is None else f"at most {dual:g} s" if dual else "never"
        case "lost_writes":
            return bound.loss
    return ""


def _times(times: Times) -> str:
    return f"{times.best:.1f} / {times.mean:.1f} / {times.worst:.1f}"


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


def timeline_text(title: str, run: Run) -> str:
    """Return one run as a timeline, seconds from the fault."""
    renewed = f"The key was renewed {run.phase_secs:.2f} s before."
    lines = [f"{title}, seed {run.seed}", f"{FAULTS[run.fault].says} {renewed}", ""]
    width = max(len(event.who) for event in run.events)
    lines += [f"{event.secs:+9.3f} s  {event.who.ljust(width)}  {event.what}" for event in run.events]
    lines += ["", _outcome(run)]
    return "\n".join(lines)


def _outcome(run: Run) -> str:
    if run.leaderless is not None:
        return f"nobody writes: {run.leaderless}"
    said = [f"nobody wrote for {run.outage_secs:.2f} s"]
    if run.winner is not None and run.takeover_secs is not None:
        said.insert(0, f"{run.winner} writes after {run.takeover_secs:.2f} s")
    if run.dual_primary_secs:
        said.append(f"two primaries for {run.dual_primary_secs:.2f} s")
    return "; ".join([*said, f"{run.lost_writes} acknowledged writes lost"])
