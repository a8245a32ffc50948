"""The command group. A verb's module is imported when the verb is called, so that every call starts fast."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

VERBS = {
    "init": "Start a description in a folder.",
    "check": "Say everything that is wrong with a description.",
    "render": "Write the GitOps tree, or the manifests of one environment.",
    "diff": "Say what a change does to the clusters, before it ships.",
    "publish": "Commit the GitOps tree to a branch of a Git repository.",
    "analyze": "Say what every failure does to the data plane, and what to mend.",
    "rehearse": "Let a real Kubernetes on this machine judge a description.",
    "scaling": "Replay, explain, compare and prove how worlds scale by players.",
    "route": "Say which region takes a player, and why.",
    "routing": "Say what the loss of regions does to players, or other rules.",
    "router": "Run the router of players.",
    "simulate": "Let a database fail in a simulation, and see what is lost.",
    "contract": "Test a world server that runs.",
    "lab": "Run the whole platform here, and let it fail as predicted.",
    "schema": "Print the JSON Schema of aether.yaml.",
    "completion": "Print the completion script of a shell.",
    "explain": "Say what a field is, and where its value comes from.",
}


# Verbs that are groups of verbs.
GROUPS: Mapping[str, Mapping[str, str]] = {
    "scaling": {
        "replay": "Say what a trace of players does to the number of pods.",
        "explain": "Say what happens at one moment, step by step.",
        "compare": "Say where an autoscaler first does something else than the rule.",
        "lint": "Prove that settings do not flap, or show how they do.",
        "trace": "Make up a trace of players: a launch day, an outage, a week.",
    },
    "routing": {
        "whatif": "Say where players go when regions are lost, and whether there is room.",
        "replay": "Decide a router's log again: by its own rules, or by others.",
    },
    "router": {"serve": "Send players to the closest healthy region, over HTTP."},
    "simulate": {"failover": "Let a fault hit a database, and say how long writes stop and what is lost."},
    "contract": {"check": "Say whether a world server keeps the contract of world servers."},
    "lab": {
        "up": "Boot the platform on this machine, and leave it running.",
        "status": "Say what runs, and which faults are in effect.",
        "fault": "Let something fail, or mend it, and say whether it went as predicted.",
        "report": "Say everything that was done to the lab, as text or as a page.",
        "down": "End the lab and everything that it runs.",
    },
}


class LazyGroup(click.Group):
    """A group that knows its verbs by name and imports each on use."""

    def __init__(self, *given: Any, verbs: Mapping[str, str] = VERBS, prefix: str = "", **settings: Any) -> None:
        super().__init__(*given, **settings)
        self._verbs = verbs
        self._prefix = prefix

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._verbs:
            return None
        module = import_module(f"aether_deploy.cli.verbs.{self._prefix}{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(self._verbs.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        known = self._verbs
        if args and args[0] not in known and not args[0].startswith("-"):
            from aether_deploy.problems import suggestion

            group = "" if ctx.parent is None else f" of {ctx.info_name}"
            hint = suggestion(args[0], known, "verbs are " + ", ".join(known))
            raise click.UsageError(f"no verb{group} is named '{args[0]}'; {hint}", ctx)
        return super().resolve_command(ctx, args)


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        click.echo(f"aether-deploy {version('aether-deploy')}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    subcommand_metavar="VERB [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Print the version.",
)
def cli() -> None:
    """One typed description of game worlds becomes a hardened, byte-deterministic GitOps tree."""
