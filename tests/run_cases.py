"""Run a file of cases against the installed project: ``python tests/run_cases.py KIND FILE.json``.

Prints each failure and closes with ``N passed, N failed``. Exit code 0 if none failed, 1 if one did, 2 if the
file cannot be used.

Kinds:
    yaml    a list of ``{"category", "s"}``: each string as value and as key, read back by PyYAML and kubectl
    hpa     a list of ``{"kind", "input", "expected"}``, or an object that has it as ``cases``: facts about the
            HorizontalPodAutoscaler controller, run against our model of it
    routing a list of ``{"id", "system", "topic", "inputs", "expected"}``, or an object that has it as ``cases``: facts
            about routers, run against our rules and our arithmetic of Envoy; cases about other things are listed by
            id with the reason, and count neither as passed nor as failed
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from aether_deploy.manifest.yaml_text import to_yaml
from tests.hpa_runner import run_hpa
from tests.kubectl import COMMAND, find_kubectl, read_back
from tests.routing_runner import Outside, run_routing

Case = dict[str, Any]
Failures = list[str]


class UnusableError(Exception):
    """The file holds no cases of this kind, or a judge that was asked for is missing."""


def run_yaml(cases: Sequence[Case]) -> list[Failures]:
    """Return the failures of each case: what a reader made of its string."""
    failures: list[Failures] = [[] for _ in cases]
    written: list[tuple[str, str, Failures]] = []
    for case, faults in zip(cases, failures, strict=True):
        text = _emit(case["s"], faults)
        if text is not None:
            written.append((case["s"], text, faults))
    texts = [text for _, text, _ in written]
    for loader in (yaml.CSafeLoader, yaml.SafeLoader):
        _compare(written, [_load(text, loader) for text in texts], loader.__name__)
    kubectl = find_kubectl()
    if kubectl is None:
        print(f"kubectl is not on this machine, so it judged nothing; to bring it: {COMMAND}")
    elif not kubectl.is_file():
        raise UnusableError(f"{kubectl}: is no kubectl; to bring one: {COMMAND}")
    else:
        _compare(written, read_back(texts, kubectl), "kubectl")
    return failures


def _positions(s: str) -> dict[str, Any]:
    """Return a value that holds ``s`` wherever a string may stand."""
    return {
        "value": s,
        "key": {s: "x"},
        "item": [s, s],
        "map in a list": [{s: s, "after": [s]}],
        "nested": {"a": [[s, {"b": {s: {s: [s]}}}]]},
    }


def _emit(s: str, faults: Failures) -> str | None:
    """Return the text that holds ``s``, or None where there is none: a lone surrogate has to be refused."""
    carriable = not any("\ud800" <= character <= "\udfff" for character in s)
    try:
        text = to_yaml(_positions(s))
    except Exception as error:
        if carriable or not isinstance(error, ValueError):
            faults.append(f"refused: {error!r}")
        return None
    if not carriable:
        faults.append("a lone surrogate was not refused")
        return None
    return text


def _load(text: str, loader: type[yaml.CSafeLoader | yaml.SafeLoader]) -> object:
    try:
        return yaml.load(text, Loader=loader)
    except (yaml.YAMLError, ValueError) as error:
        return error


def _compare(written: Sequence[tuple[str, str, Failures]], read: Sequence[object], reader: str) -> None:
    for (s, _, faults), got in zip(written, read, strict=True):
        if not isinstance(got, dict):
            faults.append(f"{reader}: read {str(got)!a}")
            continue
        faults += [
            f"{reader}: as {position} became {got.get(position)!a}"
            for position, wanted in _positions(s).items()
            if got.get(position) != wanted
        ]


KINDS: dict[str, tuple[Callable[[Sequence[Case]], list[Failures]], dict[str, type]]] = {
    "yaml": (run_yaml, {"category": str, "s": str}),
    "hpa": (run_hpa, {"kind": str, "input": dict, "expected": dict}),
    "routing": (run_routing, {"id": str, "system": str, "topic": str, "inputs": dict}),
}
"""By its word on the command line: what runs the cases of a kind, and the fields of a case."""


def load_cases(path: Path, fields: dict[str, type]) -> list[Case]:
    """Return the cases in ``path``.

    Raises:
        UnusableError: It cannot be read, or a case lacks one of ``fields``.
    """
    try:
        cases = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UnusableError(f"{path}: cannot be read as JSON: {error}") from error
    if isinstance(cases, dict) and "traces" in cases and "cases" not in cases:
        raise UnusableError(f"{path}: its {len(cases['traces'])} traces are prose, which no program can judge")
    if isinstance(cases, dict):
        cases = cases.get("cases")
    if not isinstance(cases, list) or not cases:
        raise UnusableError(f"{path}: is not a list of cases")
    for number, case in enumerate(cases):
        for name, kind in fields.items():
            if not isinstance(case, dict) or not isinstance(case.get(name), kind):
                raise UnusableError(f"{path}: case {number} has no {kind.__name__} {name!r}")
    return cases


def main(arguments: Sequence[str]) -> int:
    """Run the cases that ``arguments`` name and return the exit code."""
    if len(arguments) != 2 or arguments[0] not in KINDS:
        print(f"usage: python tests/run_cases.py {'|'.join(KINDS)} FILE.json", file=sys.stderr)
        return 2
    run, fields = KINDS[arguments[0]]
    try:
        cases = load_cases(Path(arguments[1]), fields)
        failures = run(cases)
    except UnusableError as error:
        print(error, file=sys.stderr)
        return 2
    for case, faults in zip(cases, failures, strict=True):
        if isinstance(faults, Outside):
            print(f"outside our rules: {case['id']}: {faults.reason}".encode("ascii", "backslashreplace").decode())
        for fault in faults:
            print(f"FAILED {json.dumps(case)[:200]}: {fault}".encode("ascii", "backslashreplace").decode())
    failed = sum(1 for faults in failures if faults)
    outside = sum(1 for faults in failures if isinstance(faults, Outside))
    print(f"{len(cases) - failed - outside} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
