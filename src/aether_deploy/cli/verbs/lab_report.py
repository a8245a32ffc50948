"""``aether-deploy lab report``: everything that was done to the lab, and what came of it."""

import os

import click
import msgspec

from aether_deploy.cli.lab_text import report_text
from aether_deploy.cli.output import envelope, print_json
from aether_deploy.lab.system.control import ask_status
from aether_deploy.problems import ConfigError, EffectError, Problem


@click.command()
@click.option("--html", "page", metavar="FILE", type=click.Path(), help="Write it as one page that needs nothing else.")
@click.option("-v", "--verbose", is_flag=True, help="Print every part, and the rules with their sources.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("-q", "--quiet", is_flag=True, help="Print only what did not go as predicted.")
def command(page: str | None, verbose: bool, as_json: bool, quiet: bool) -> int:
    """Say what was done to the lab that is up, and for each part what was predicted and what was measured.

    Exit 1 if something did not go as predicted. Once lab down has ended the lab, its report is gone.
    """
    _check_page(page)
    record = ask_status().record
    if page is not None:
        from aether_deploy.delivery.traces import write_result
        from aether_deploy.lab.system.page import page_of

        write_result(page, [page_of(record).encode()])
    holds = all(part.verdict != "broken" for fault in record.faults for part in fault.parts)
    if as_json:
        result = {**msgspec.to_builtins(record), "html": page}
        print_json(envelope("lab report", ok=holds, problems=(), result=result))
    elif text := report_text(record, verbose=verbose, quiet=quiet):
        click.echo(text)
    return 0 if holds else 1


def _check_page(page: str | None) -> None:
    """Refuse a file that cannot be written.

    Raises:
        ConfigError: Its name does not end as a page's does.
        EffectError: Its folder is missing.
    """
    if page is None:
        return
    folder = os.path.dirname(page)
    if not page.endswith(".html"):
        problem = Problem(path=f"--html {page}", reason="is no page", fix="name a file that ends with .html")
        raise ConfigError([problem])
    if folder and not os.path.isdir(folder):
        raise EffectError(f"{page}: {folder} is no folder\n  fix: make it, or name a file in a folder that is there")
