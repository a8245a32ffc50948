"""What the command line prints: text for people, one JSON object for machines."""

import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

import click

from aether_deploy.problems import Problem

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


def count(number: int, noun: str) -> str:
    """Return ``1 problem`` or ``3 problems``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def report_error(arguments: Sequence[str], problems: Sequence[Problem], text: str) -> None:
    """Print why a verb failed: as JSON on standard output where asked for, else on standard error."""
    if "--json" in arguments:
        shown = list(problems) or [_as_problem(text)]
        print_json(envelope(_verb_of(arguments), ok=False, problems=shown, result=None))
        return
    if problems:
        print_problems(problems, sys.stderr)
        click.echo(count(len(problems), "problem"), err=True)
    else:
        click.echo(text, err=True)


def _as_problem(text: str) -> Problem:
    reason, _, fix = text.removeprefix("error: ").partition("\n  fix: ")
    return Problem(path="$", reason=reason, fix=fix or "see the reason")


def _verb_of(arguments: Sequence[str]) -> str:
    return next((word for word in arguments if not word.startswith("-")), "")
