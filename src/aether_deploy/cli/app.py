"""The command group. A verb's module is imported when the verb is called, so that every call starts fast."""

from importlib import import_module

import click

VERBS = {
    "init": "Start a description in a folder.",
    "check": "Say everything that is wrong with a description.",
    "render": "Write the GitOps tree, or the manifests of one environment.",
    "rehearse": "Let a real Kubernetes on this machine judge a description.",
    "schema": "Print the JSON Schema of aether.yaml.",
    "completion": "Print the completion script of a shell.",
    "explain": "Say what a field is, and where its value comes from.",
}


class LazyGroup(click.Group):
    """A group that knows its verbs by name and imports each on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = import_module(f"aether_deploy.cli.verbs.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            from aether_deploy.problems import suggestion

            raise click.UsageError(
                f"no verb is named '{args[0]}'; {suggestion(args[0], VERBS, 'verbs are ' + ', '.join(VERBS))}",
                ctx,
            )
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
