"""Manifests as policy checkers judge them: checkov and kube-score, each started once for many files."""

import json
import os
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

KUBE_SCORE_WARNING = 5  # grades: 1 critical, 5 warning, 7 almost, 10 fine


class Target(NamedTuple):
    """An object that was judged."""

    kind: str
    namespace: str
    name: str


class Finding(NamedTuple):
    """A check that an object does not pass."""

    check: str
    target: Target

    def __str__(self) -> str:
        return f"{self.check}: {self.target.kind} {self.target.namespace}/{self.target.name}"


class Verdict(NamedTuple):
    """What a checker says.

    Attributes:
        findings: Checks that were not passed, warnings included.
        waived: Checks that an annotation waives, with the reason where the checker repeats it.
        judged: The checks that each object went through; without those that are off by default.
    """

    findings: frozenset[Finding]
    waived: Mapping[Finding, str]
    judged: Mapping[Target, set[str]]

    def checks_of(self, namespace: str) -> set[str]:
        """Return the checks that an object of ``namespace`` does not pass."""
        return {finding.check for finding in self.findings if finding.target.namespace == namespace}


Judge = Callable[[str, Mapping[str, str]], Verdict]


def checkov(program: str, texts: Mapping[str, str]) -> Verdict:
    """Return the verdict of checkov on YAML texts by file name, with the checks that it runs by default."""
    with tempfile.TemporaryDirectory(prefix="checkov-") as folder:
        _write(Path(folder), texts)
        command = [program, "--skip-download", "--framework", "kubernetes", "--compact", "-o", "json", "-d", "."]
        report = _json_of(command, folder)
    if "results" not in report:  # nothing that it was given is anything that it judges
        return Verdict(frozenset(), {}, {})
    results = report["results"]
    assert results["parsing_errors"] == []
    failed, skipped = results["failed_checks"], results["skipped_checks"]
    judged: dict[Target, set[str]] = defaultdict(set)
    for finding in map(_checkov_finding, (*results["passed_checks"], *failed, *skipped)):
        judged[finding.target].add(finding.check)
    return Verdict(
        findings=frozenset(map(_checkov_finding, failed)),
        waived={_checkov_finding(check): check["check_result"]["suppress_comment"] for check in skipped},
        judged=judged,
    )


def _checkov_finding(check: Mapping[str, Any]) -> Finding:
    kind, namespace, name = check["resource"].split(".", 2)
    return Finding(check["check_id"], Target(kind, namespace, name))


def kube_score(program: str, texts: Mapping[str, str]) -> Verdict:
    """Return the verdict of kube-score on YAML texts by file name; a warning is a finding."""
    with tempfile.TemporaryDirectory(prefix="kube-score-") as folder:
        _write(Path(folder), texts)
        report = _json_of([program, "score", "-o", "json", "--kubernetes-version", "v1.37", *texts], folder)
    findings, waived, judged = set(), {}, {}
    for scored in report or ():  # null, where it judges nothing of what it was given
        meta = scored["object_meta"]
        target = Target(scored["type_meta"]["kind"], meta["namespace"], meta["name"])
        results = [result for result in scored["checks"] if not result["check"]["optional"]]
        judged[target] = {result["check"]["id"] for result in results}
        for result in results:
            finding = Finding(result["check"]["id"], target)
            if result["skipped"] and "is ignored" in result["comments"][0]["summary"]:
                waived[finding] = ""
            elif not result["skipped"] and result["grade"] <= KUBE_SCORE_WARNING:
                findings.add(finding)
    return Verdict(frozenset(findings), waived, judged)


JUDGES: Mapping[str, Judge] = {"checkov": checkov, "kube-score": kube_score}


def _write(folder: Path, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")


def _json_of(command: list[str], folder: str) -> Any:
    environment = {**os.environ, "HOME": folder}  # without anybody's settings
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False)
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise AssertionError(f"{command[0]} ended with exit code {done.returncode}: {done.stderr[-2000:]}") from None
