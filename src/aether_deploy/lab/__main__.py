"""Bring what a control plane needs: ``python -m aether_deploy.lab [NAME ...]``.

That is its programs, and the definitions of the custom kinds that we render. Each goes into the user's cache by
name and version, and is built once. Exit code 3 where one cannot be brought. What autoscalers take their metrics
from, and the engines that apply a tree, are brought where they are named; ``flux`` and ``argo-cd`` stand for all that
the engine needs.
"""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from aether_deploy.lab.building import bring_program, say
from aether_deploy.lab.crds import (
    ARGOCD_KINDS,
    CUSTOM_KINDS,
    ENGINE_KINDS,
    FLUX_KINDS,
    bring_definition,
    find_definition,
)
from aether_deploy.lab.programs import (
    ARGOCD_PROGRAMS,
    BRING,
    ENGINE_PROGRAMS,
    FLUX_PROGRAMS,
    METRICS_PROGRAMS,
    NEWEST,
    control_plane_programs,
    find_program,
)
from aether_deploy.problems import EffectError

_GROUPS = {
    "flux": [*(each.name for each in FLUX_PROGRAMS), *(each.name for each in FLUX_KINDS)],
    "argo-cd": [*(each.name for each in ARGOCD_PROGRAMS), *(each.name for each in ARGOCD_KINDS)],
}
"""All that an engine needs, by what it is called here."""


class _Piece(NamedTuple):
    """Something that a control plane needs."""

    name: str
    version: str
    find: Callable[[], Path | None]
    bring: Callable[[], Path]
    on_request: bool = False


def main(arguments: list[str] | None = None) -> int:
    """Bring what is named, or all that a control plane needs, and print the paths."""
    parser = argparse.ArgumentParser(prog=BRING, description="Bring what a control plane needs.")
    parser.add_argument("--k8s", metavar="VERSION", default=NEWEST, help="of Kubernetes; %(default)s if left out")
    parser.add_argument("--list", action="store_true", help="say what is there and where, and bring nothing")
    parser.add_argument("names", metavar="NAME", nargs="*", help="left out, all that a control plane needs")
    given = parser.parse_args(arguments)
    pieces = {piece.name: piece for piece in _pieces(given.k8s)}
    if unknown := sorted(set(given.names) - pieces.keys() - _GROUPS.keys()):
        parser.error(f"unknown program {unknown[0]}; known are {', '.join([*pieces, *_GROUPS])}")
    wanted = [pieces[name] for each in given.names for name in _GROUPS.get(each, [each])]
    wanted = wanted or [piece for piece in pieces.values() if given.list or not piece.on_request]
    if given.list:
        sys.stdout.write("".join(_line(piece, max(map(len, pieces)) + 2) for piece in wanted))
        return 0
    failed = False
    for piece in wanted:
        try:
            print(piece.bring() if (found := piece.find()) is None else found)
        except (EffectError, OSError) as error:
            say(f"cannot bring {piece.name}: {error}")
            failed = True
    return 3 if failed else 0


def _pieces(version: str) -> list[_Piece]:
    on_request = (*METRICS_PROGRAMS, *ENGINE_PROGRAMS)
    programs = [
        _Piece(each.name, each.version, partial(find_program, each), partial(bring_program, each), each in on_request)
        for each in (*control_plane_programs(version), *on_request)
    ]
    definitions = [
        _Piece(
            each.name,
            each.version,
            partial(find_definition, each),
            partial(bring_definition, each),
            each in ENGINE_KINDS,
        )
        for each in (*CUSTOM_KINDS, *ENGINE_KINDS)
    ]
    return programs + definitions


def _line(piece: _Piece, width: int) -> str:
    return f"{piece.name:<{width}}{piece.version:<10}{piece.find() or 'missing'}\n"


if __name__ == "__main__":
    sys.exit(main())
