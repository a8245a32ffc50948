"""``aether-deploy contract check``: whether a running world server offers what it must."""

from collections.abc import Sequence

import click

from aether_deploy.cli.output import count, envelope, print_json
from aether_deploy.contract.checking import check_contract
from aether_deploy.contract.observing import Waits
from aether_deploy.contract.rules import Verdict

SECS_MAX = 86400
WORDS = {"ok": "ok  ", "fail": "FAIL", "skipped": "skip"}


def _waitable(_: click.Context, __: click.Parameter, secs: float) -> float:
    if not 0 < secs <= SECS_MAX:
        raise click.BadParameter(f"{secs:g} is not more than 0 and at most {SECS_MAX}")
    return secs


@click.command()
@click.argument("url", metavar="URL")
@click.option(
    "--udp",
    metavar="HOST:PORT",
    help="The players' port of a server that speaks the protocol of examples/world-server: one player joins, looks "
    "around and leaves.",
)
@click.option(
    "--drain", is_flag=True, help="Drain the server for good, and try its gate before. It takes no players after."
)
@click.option(
    "--timeout",
    "probe_secs",
    type=float,
    callback=_waitable,
    default=Waits().probe_secs,
    show_default=True,
    metavar="SECS",
    help="How long a probe waits; timeout_secs of the probes.",
)
@click.option(
    "--grace",
    "grace_secs",
    type=float,
    callback=_waitable,
    default=Waits().grace_secs,
    show_default=True,
    metavar="SECS",
    help="How long --drain waits; drain.grace_period_secs.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("-q", "--quiet", is_flag=True, help="Print only broken rules.")
def command(
    url: str, udp: str | None, drain: bool, probe_secs: float, grace_secs: float, as_json: bool, quiet: bool
) -> int:
    """Ask the world server at URL, such as http://127.0.0.1:8080, for what any world server must offer.

    Rules are those of docs/world-server-contract.md. Nothing is changed without --udp or --drain. Exit 1 if a rule is
    broken, 3 if nobody answers at URL.
    """
    waits = Waits(probe_secs=probe_secs, grace_secs=grace_secs)
    report = check_contract(url, udp=udp, drain=drain, waits=waits)
    if as_json:
        result = {"url": report.url, "verdicts": [verdict._asdict() for verdict in report.verdicts]}
        print_json(envelope("contract check", ok=report.is_kept, problems=(), result=result))
    else:
        text = _text([each for each in report.verdicts if each.outcome == "fail" or not quiet])
        closing = [] if quiet and report.is_kept else [_summary(report.verdicts)]
        click.echo("\n".join([*text, *closing]), nl=bool(text or closing))
    return 0 if report.is_kept else 1


def _text(verdicts: Sequence[Verdict]) -> list[str]:
    lines = []
    width = max((len(verdict.rule) for verdict in verdicts), default=0)
    for verdict in verdicts:
        lines.append(f"{WORDS[verdict.outcome]}  {verdict.rule:<{width}}  {verdict.seen}")
        if verdict.fix is not None:
            lines += [f"        fix: {verdict.fix}", f"        for: {verdict.source}"]
    return lines


def _summary(verdicts: Sequence[Verdict]) -> str:
    counts = {outcome: sum(verdict.outcome == outcome for verdict in verdicts) for outcome in WORDS}
    parts = [f"{count(counts['ok'], 'rule')} kept"]
    parts += [f"{counts['fail']} broken"] if counts["fail"] else []
    parts += [f"{counts['skipped']} not tried"] if counts["skipped"] else []
    return ", ".join(parts)
