"""An analysis for machines: every cell, with the rules behind it. Equal effects stand once and are referred to."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from aether_deploy.infrastructure.analysis.analysing import Analysis, Cell, Row, Use, users_hit
from aether_deploy.infrastructure.analysis.failures import PlatformFailure
from aether_deploy.infrastructure.analysis.findings import Finding
from aether_deploy.infrastructure.analysis.impacts import Effect, FailureImpact


def analysis_values(analysis: Analysis, findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the analysis as JSON values.

    Returns:
        ``components``, ``failures`` (each with a cell for every component that it touches, whose ``impact`` is a
        place in ``impacts``), ``impacts`` and ``findings``.
    """
    places: dict[int, int] = {}
    impacts: list[FailureImpact] = []
    failures = []
    for row in analysis.rows:
        cells = {}
        for name, cell in row.cells.items():
            place = places.get(id(cell.impact))
            if place is None:
                place = places[id(cell.impact)] = len(impacts)
                impacts.append(cell.impact)
            cells[name] = _cell(analysis, row, name, cell, place)
        failures.append({**_failure(row.failure), "cells": cells})
    return {
        "components": [
            {
                "name": each.name,
                "kind": each.kind,
                "regions": list(each.regions),
                "witnesses": list(each.witnesses),
                "used_by": [_use(use) for use in each.uses],
            }
            for each in analysis.subjects
        ],
        "failures": failures,
        "impacts": [_impact(impact) for impact in impacts],
        "findings": [msgspec.to_builtins(each) for each in findings],
    }


def _failure(failure: PlatformFailure) -> dict[str, Any]:
    return {
        "kind": failure.kind,
        "name": failure.name,
        "role": failure.role,
        "lost": sorted(failure.lost),
        "nodes": sorted(failure.nodes),
        "cut": sorted(sorted(pair) for pair in failure.cut),
        "control_planes": sorted(failure.control_planes),
    }


def _cell(analysis: Analysis, row: Row, name: str, cell: Cell, place: int) -> dict[str, Any]:
    return {
        "outcome": cell.impact.outcome,
        "impact": place,
        "cut_off": _uses(cell.cut_off),
        "hits": _uses(users_hit(analysis, row, name)),
    }


def _uses(uses: Iterable[Use]) -> list[dict[str, str]]:
    return [_use(use) for use in uses]


def _use(use: Use) -> dict[str, str]:
    return use._asdict()


def _impact(impact: FailureImpact) -> dict[str, Any]:
    return {"outcome": impact.outcome, "effects": [_effect(each) for each in impact.effects]}


def _effect(effect: Effect) -> dict[str, Any]:
    values: dict[str, Any] = msgspec.to_builtins(effect)
    return values
