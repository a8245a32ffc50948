"""What the command line prints: text for people, one JSON object for machines."""

import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

import click

from aether_deploy.problems import EffectError, Problem

JSON_FORMAT = 1


def envelope(verb: str, *, ok: bool, problems: Iterable[Problem], result: Any) -> dict[str, Any]:
    """Return the object that every verb prints with ``--json``."""
    return {
        "format": JSON_FORMAT,
        "verb": verb,
        "ok": ok,
        "problems": [problem_values(problem) for problem in problems],
        "result": result,
    }


def problem_values(problem: Problem) -> dict[str, Any]:
    """Return a problem for machines; fields that do not apply are null."""
    return {name: getattr(problem, name) for name in problem.__struct_fields__}


def print_json(values: Any) -> None:
    import json

    click.echo(json.dumps(values, ensure_ascii=False, indent=2))


def print_problems(problems: Iterable[Problem], stream: TextIO) -> None:
    """Print problems; on a terminal the place is bold and the kind coloured, unless NO_COLOR is set."""
    colour = stream.isatty() and not os.environ.get("NO_COLOR")
    for problem in problems:
        click.echo(_coloured(problem) if colour else str(problem), file=stream)


def _coloured(problem: Problem) -> str:
    text = str(problem)
    first, newline, rest = text.partition("\n")
    return click.style(first, fg="yellow" if problem.severity == "warning" else "red") + newline + rest


def count(number: int, noun: str, nouns: str = "") -> str:
    """Return ``1 problem`` or ``3 problems``; ``nouns`` is what several are called where no ``s`` makes it."""
    return f"{number} {noun}" if number == 1 else f"{number} {nouns or f'{noun}s'}"


def report_error(arguments: Sequence[str], problems: Sequence[Problem], text: str) -> None:
    """Print why a verb failed: with ``--json`` an object on standard output, else what the text says.

    Text goes to standard error, but for the problems of ``check``, which are what was asked for.
    """
    verb = verb_of(arguments)
    if "--json" in arguments:
        print_json(envelope(verb, ok=False, problems=problems or [_as_problem(text)], result=None))
    elif text.startswith("error: "):
        click.echo(text, err=True)
    else:
        stream = sys.stdout if verb == "check" else sys.stderr
        print_problems(problems, stream)
        files = ", ".join(dict.fromkeys(problem.file for problem in problems if problem.file))
        click.echo(count(len(problems), "problem") + (f" in {files}" if files else ""), file=stream)


def refusal_problems(error: EffectError) -> tuple[Problem, ...]:
    """Return the obstacles of a refusal one by one, where it knows them."""
    from aether_deploy.delivery.disk import TreeBlockedError

    if not isinstance(error, TreeBlockedError):
        return ()
    return tuple(Problem(path="$", file=each.path, reason=each.reason, fix=each.fix) for each in error.obstacles)


def _as_problem(text: str) -> Problem:
    reason, _, fix = text.removeprefix("error: ").partition("\n  fix: ")
    return Problem(path="$", reason=reason, fix=fix or "see the reason")


def verb_of(arguments: Sequence[str]) -> str:
    """Return the verb among the arguments, such as ``check`` or ``scaling replay``; empty where none is."""
    from aether_deploy.cli.app import GROUPS

    words = [word for word in arguments if not word.startswith("-")][:2]
    return " ".join(words if len(words) > 1 and words[1] in GROUPS.get(words[0], ()) else words[:1])
