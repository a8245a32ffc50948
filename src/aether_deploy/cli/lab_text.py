"""What the verbs of the lab print."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from aether_deploy.cli.output import count
from aether_deploy.lab.system.control import Ended, LabStatus
from aether_deploy.lab.system.record import FaultRecord, LabProcess, LabRecord, MemberRecord, PartRecord
from aether_deploy.lab.system.wording import part_text, predicted_text, seen_text

_COLUMNS = ("", "component", "part", "writes, predicted", "writes, measured", "")
_MARKS = {"held": "ok  ", "broken": "FAIL", "unmeasured": "?   "}


# --- what there is


def up_text(record: LabRecord) -> str:
    """Return what was booted: how long each member took, and what it takes."""
    running = sum(each.state != "ended" for member in record.members for each in member.processes)
    regions, processes = count(len(record.regions), "region"), count(running, "process", "processes")
    head = f"{_name(record)} is up after {record.boot_secs:.1f} s: {processes} in {regions}{_memory(record.members)}"
    rows = [
        (
            member.name,
            member.kind,
            f"{member.boot_secs:.1f} s",
            count(len(member.processes), "process", "processes"),
            "" if member.memory_mb is None else f"{member.memory_mb:.0f} MB",
        )
        for member in record.members
    ]
    return "\n".join([head, *_indented(rows), *_left_out(record)])


def status_text(status: LabStatus, *, verbose: bool) -> str:
    """Return which processes run where, and which faults are in effect."""
    record = status.record
    lines = [f"{_name(record)}, up for {_duration(record.up_secs)}{_memory(record.members)}"]
    if verbose:
        lines += _indented([_process_row(each) for member in record.members for each in member.processes])
    else:
        lines += _indented([row for member in record.members for row in _region_rows(member)])
    lines += _left_out(record)
    for each in status.in_effect:
        lines.append(f"in effect  {each.fault}  for {_duration(record.up_secs - each.at)}")
    if status.watching:
        lines.append(f"watching   {status.watching}{watch_left_text(status)}")
    return "\n".join(lines)


def watch_left_text(status: LabStatus) -> str:
    """Return for how long a fault is still watched: ``, for 34 s more at most``; empty where that is not known yet."""
    left = status.watch_left_secs
    return "" if left is None else f", for {_duration(left)} more at most"


def down_text(ended: Ended) -> str:
    """Return what ended."""
    told = ", ".join(f"{name} {number}" for name, number in ended.processes.items())
    total = count(sum(ended.processes.values()), "process", "processes")
    return f"ended {total}{f' ({told})' if told else ''}; nothing is left"


def _name(record: LabRecord) -> str:
    return f"{record.system}/{record.environment} from {record.file}"


def _memory(members: Iterable[MemberRecord]) -> str:
    known = [each.memory_mb for each in members if each.memory_mb is not None]
    return f", {sum(known):.0f} MB" if known else ""


def _left_out(record: LabRecord) -> list[str]:
    return [f"left out  {each}" for each in record.left_out]


def _region_rows(member: MemberRecord) -> Iterator[tuple[str, ...]]:
    regions = dict.fromkeys(each.region for each in member.processes)
    for place, region in enumerate(regions):
        states = Counter(each.state for each in member.processes if each.region == region)
        told = ", ".join(f"{states[state]} {state}" for state in ("running", "frozen", "ended") if states[state])
        yield (member.name, member.kind, region, told) if place == 0 else ("", "", region, told)


def _process_row(process: LabProcess) -> tuple[str, ...]:
    leads = f"leads {', '.join(each for each in process.leads if each)}".strip() if process.leads else ""
    return process.address, process.state, process.datacenter, process.member, leads


# --- what was done


def report_text(record: LabRecord, *, verbose: bool, quiet: bool) -> str:
    """Return everything that was done, in order, with what came of it."""
    faults = [text for each in record.faults if (text := fault_text(each, verbose=verbose, quiet=quiet))]
    if quiet:
        return "\n".join(faults)
    mends = sum(each.mends for each in record.faults)
    told = count(len(record.faults) - mends, "fault") + (f", {count(mends, 'mend')}" if mends else "")
    head = f"{_name(record)}, up for {_duration(record.up_secs)}: {told}"
    return "\n\n".join([head, *faults])


def fault_text(record: FaultRecord, *, verbose: bool, quiet: bool) -> str:
    """Return one fault: what it hit, and each part that noticed or should have.

    Args:
        record: The fault.
        verbose: Print the parts too that went on as predicted, and the rules.
        quiet: Print only what did not go as predicted.
    """
    shown = [each for each in record.parts if _is_shown(each, verbose=verbose, quiet=quiet)]
    is_known = bool(record.failure) or record.mends
    rows = [_COLUMNS, *(_part_row(each, is_known=is_known) for each in shown)]
    lines = _indented(rows, "") if shown else []
    if quiet:
        return "\n".join([record.fault, *lines]) if shown else ""
    if verbose:
        rules = dict.fromkeys(rule for each in shown for rule in each.predicted.rules)
        lines += [f"rule  {rule}" for rule in rules]
    return "\n".join([_fault_head(record), *lines, _fault_sum(record.parts, len(record.parts) - len(shown))])


def _fault_head(record: FaultRecord) -> str:
    befell = "back" if record.mends else "hit"
    hit = f", {count(len(record.hit), 'process', 'processes')} {befell}" if record.hit else ""
    said = f" ({record.failure})" if record.failure and record.failure != record.fault.replace("=", " ") else ""
    return f"{record.fault}{said} after {_duration(record.at)}{hit}; watched for {record.until - record.at:.0f} s"


def _fault_sum(parts: Sequence[PartRecord], quiet: int) -> str:
    verdicts = Counter(each.verdict for each in parts)
    told = [f"{verdicts['held']} of {count(len(parts), 'part')} as predicted"]
    told += [f"{verdicts['broken']} not"] if verdicts["broken"] else []
    told += [f"{verdicts['unmeasured']} not measured"] if verdicts["unmeasured"] else []
    rest = f" ({quiet} went on untouched)" if quiet else ""
    return ", ".join(told) + rest


def _is_shown(part: PartRecord, *, verbose: bool, quiet: bool) -> bool:
    if verbose or part.verdict == "broken":
        return True
    is_quiet = part.predicted.outcome == "holds" and part.measured is not None and part.measured.outcome == "holds"
    return not quiet and (part.verdict == "unmeasured" or not is_quiet)


def _part_row(part: PartRecord, *, is_known: bool) -> tuple[str, ...]:
    lost = 0 if part.measured is None else part.measured.lost or 0
    why = part.says if part.verdict != "held" else f"{lost} lost" if lost else ""
    said = f"{predicted_text(part.predicted)}; may lose some" if part.predicted.loss else predicted_text(part.predicted)
    shown = said if is_known else "nothing is said"
    return _MARKS[part.verdict], part.member, part_text(part), shown, seen_text(part), why


# --- form


def _indented(rows: Sequence[tuple[str, ...]], indent: str = "  ") -> list[str]:
    widths = [max((len(row[at]) for row in rows), default=0) for at in range(max(map(len, rows), default=0))]
    return [
        indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _duration(secs: float) -> str:
    """Return a time as people say it: ``42 s``, ``3 min 12 s``, ``2 h 05 min``."""
    whole = round(secs)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
