"""Options and steps that several verbs share: FILE, --env, --set, --json, -q; reading and judging."""

import math
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click
import msgspec

from aether_deploy.cli.output import count, envelope, print_json, print_problems
from aether_deploy.delivery.loading import Description, Judgement, read_description
from aether_deploy.platform.config import Platform
from aether_deploy.problems import ConfigError, Problem

DEFAULT_FILE = "aether.yaml"
F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a verb about one environment was given, and how to answer.

    Attributes:
        description: The files.
        judgement: What they amount to, for one environment.
        as_json: Answer by one JSON object.
        quiet: Print only errors.
    """

    description: Description
    judgement: Judgement
    as_json: bool
    quiet: bool

    @property
    def platform(self) -> Platform:
        return self.judgement.platforms[0]


class FiniteRange(click.FloatRange):
    """A number within limits; what is no number, or none that ends, is none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            float(value)
        except ValueError:
            self.fail(f"{value!r} is no number", param, ctx)
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is no number of finite size", param, ctx)
        return number


def file_arguments(function: F) -> F:
    """Add FILE..., --env, --set, --json and -q."""
    for decorate in (
        click.option("-q", "--quiet", is_flag=True, help="Print only errors."),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
        click.option(
            "--set",
            "settings",
            multiple=True,
            metavar="PATH=VALUE",
            help="Set one value, e.g. worlds.world-server.image=... (repeatable).",
        ),
        click.option("--env", "environment", metavar="NAME", help="Only this environment."),
        click.argument("files", nargs=-1, metavar="[FILE...]", type=click.Path()),
    ):
        function = decorate(function)
    return function


def collected(problems: list[Problem], read: Callable[[], T]) -> T | None:
    """Return what ``read`` returns; where the input is wrong, add its problems to the others and return None."""
    try:
        return read()
    except ConfigError as error:
        problems += error.problems
        return None


def strict_option(function: F) -> F:
    return click.option("--strict", is_flag=True, help="Warnings count as errors.")(function)


def read_files(files: Sequence[str], settings: Sequence[str]) -> Description:
    """Read the description that the arguments name.

    Raises:
        ConfigError: With every fault of reading.
    """
    pairs = []
    for setting in settings:
        path, equals, value = setting.partition("=")
        if not equals:
            raise ConfigError([Problem(path=f"--set {setting}", reason="has no '='", fix="write PATH=VALUE")])
        pairs.append((path, value))
    return read_description(files or (DEFAULT_FILE,), pairs)


def judge(description: Description, environment: str | None, *, every: bool) -> Judgement:
    """Evaluate the environment that was asked for, or all (``every``), or the first."""
    known = description.document.environments()
    wanted = [environment] if environment is not None else list(known) if every else [known[0]]
    return description.evaluate(wanted)


def summary(description: Description, judgement: Judgement) -> str:
    """Return the closing line: ``3 problems in aether.yaml (environment prod)``."""
    errors = sum(problem.severity == "error" for problem in judgement.problems)
    warnings = len(judgement.problems) - errors
    counts = [count(errors, "problem")] if errors or not warnings else []
    counts += [count(warnings, "warning")] if warnings else []
    said = ", ".join(counts) if judgement.problems else "no problems"
    files = ", ".join(source.name for source in description.document.sources)
    names = [evaluation.environment for evaluation in judgement.evaluations]
    word = "environment" if len(names) == 1 else "environments"
    return f"{said} in {files} ({word} {', '.join(names)})"


def print_warnings(description: Description, judgement: Judgement, *, quiet: bool) -> None:
    """Print what stops no verb, to standard error."""
    if judgement.problems and not quiet:
        print_problems(judgement.problems, sys.stderr)
        click.echo(summary(description, judgement), err=True)


def stop_for_problems(verb: str, description: Description, judgement: Judgement, *, as_json: bool) -> int:
    """Report problems that stop a verb, and return its exit code."""
    if as_json:
        print_json(envelope(verb, ok=False, problems=judgement.problems, result=None))
    else:
        print_problems(judgement.problems, sys.stderr)
        click.echo(summary(description, judgement), err=True)
    return 2
