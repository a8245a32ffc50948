"""``aether-deploy completion``: the completion script of a shell."""

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS), metavar="SHELL")
@click.option("-q", "--quiet", is_flag=True, expose_value=False, help="As without it: there is nothing to leave out.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(shell: str, as_json: bool) -> int:
    """Print the completion script of SHELL: bash, zsh or fish.

    \b
    bash:  eval "$(aether-deploy completion bash)"
    zsh:   eval "$(aether-deploy completion zsh)"
    fish:  aether-deploy completion fish | source
    """
    from aether_deploy.cli.app import cli
    from aether_deploy.cli.main import COMPLETION_VARIABLE, PROGRAM
    from aether_deploy.cli.output import envelope, print_json

    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(cli, {}, PROGRAM, COMPLETION_VARIABLE).source()
    if as_json:
        print_json(envelope("completion", ok=True, problems=(), result={"shell": shell, "script": script}))
    else:
        click.echo(script)
    return 0
