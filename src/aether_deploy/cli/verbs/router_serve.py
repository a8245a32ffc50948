"""``aether-deploy router serve``: the router of players, until it is told to end."""

from pathlib import Path

import click

from aether_deploy.cli.inputs import FiniteRange, file_arguments
from aether_deploy.cli.output import envelope, print_json
from aether_deploy.cli.served import Sources, listening_at, self_check_url
from aether_deploy.service.router.serving import Settings, serve_router

DRAIN_SECS_MAX = 3600


@click.command()
@file_arguments
@click.option("--config", metavar="JSON", help="A rendered configuration of a router, instead of FILE.")
@click.option(
    "--listen",
    "address",
    metavar="HOST:PORT",
    default="127.0.0.1:8080",
    show_default=True,
    callback=listening_at,
    help="Where to listen; :8080 is every address.",
)
@click.option("--admin-token-file", metavar="FILE", help="Bearer token that orders need; without it none are taken.")
@click.option("--signing-key-file", metavar="FILE", help="PEM file of Ed25519 keys; without it nothing is signed.")
@click.option("--decision-log", metavar="FILE", help="Note every decision there, for routing replay.")
@click.option(
    "--self-check",
    metavar="URL",
    callback=self_check_url,
    help="http, https or tcp outside of all regions: while it is silent too, silent regions stay as they were.",
)
@click.option(
    "--drain-secs",
    type=FiniteRange(0, DRAIN_SECS_MAX),
    default=5.0,
    show_default=True,
    metavar="SECS",
    help="How long to answer after SIGTERM, while endpoints forget this router.",
)
def command(
    files: tuple[str, ...],
    environment: str | None,
    settings: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    config: str | None,
    address: tuple[str, int],
    admin_token_file: str | None,
    signing_key_file: str | None,
    decision_log: str | None,
    self_check: str | None,
    drain_secs: float,
) -> int:
    """Serve the router that FILE describes, or that --config holds, until SIGTERM (exit 0) or Ctrl-C (exit 130).

    SIGHUP reads everything again, all of it or nothing. What it does is told on standard error, one JSON object a
    line; with -q only what is wrong. The interface is at /openapi.json, a page for people at /.
    """
    if config is not None and (files or settings or environment is not None):
        raise click.UsageError("--config stands for FILE, --env and --set; give one or the other")
    sources = Sources(files, settings, environment, config, admin_token_file, signing_key_file)
    host, port = address
    code = serve_router(
        sources.read,
        Settings(
            host=host,
            port=port,
            decision_log=None if decision_log is None else Path(decision_log),
            self_check=self_check,
            drain_secs=drain_secs,
            quiet=quiet,
        ),
    )
    if as_json:
        print_json(envelope("router serve", ok=code == 0, problems=(), result=None))
    return code
