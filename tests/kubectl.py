"""Texts as the real kubectl reads them: the judge of every YAML that we write.

``kubectl annotate --local`` decodes files on the very path of ``kubectl apply`` and needs no cluster.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from aether_deploy.lab.programs import BRING, NEWEST, find_program, kubernetes_program

COMMAND = f"{BRING} kubectl"

__all__ = ["COMMAND", "Unread", "find_kubectl", "kustomize_read_back", "read_back"]


class Unread(str):
    """Stands for a text that the program refused; its words are the program's."""


def find_kubectl() -> Path | None:
    """Return the kubectl to use: that of ``$KUBECTL``, of the pinned version, or the one on PATH."""
    named = os.environ.get("KUBECTL")
    if named:
        return Path(named)
    pinned = find_program(kubernetes_program("kubectl", NEWEST))
    on_path = shutil.which("kubectl")
    return pinned or (Path(on_path) if on_path else None)


def read_back(texts: Sequence[str], kubectl: str | Path | None = None) -> list[object]:
    """Return the value of each of ``texts`` as kubectl reads it, all in one call.

    A refused text gives an :class:`Unread` in its place.
    """
    with tempfile.TemporaryDirectory(prefix="kubectl-") as folder:
        _write_probes(Path(folder), texts)
        return _read_folder(_program(kubectl), folder, len(texts))


def kustomize_read_back(texts: Sequence[str], kubectl: str | Path | None = None) -> list[object]:
    """Return the value of each of ``texts`` as it leaves ``kubectl kustomize``, read by kubectl then.

    Kustomize refuses all of them for the sake of one.
    """
    program = _program(kubectl)
    with tempfile.TemporaryDirectory(prefix="kustomize-") as folder, tempfile.TemporaryDirectory() as after:
        names = _write_probes(Path(folder), texts)
        (Path(folder) / "kustomization.yaml").write_text(json.dumps({"resources": names}), "utf-8")
        built = _run([program, "kustomize", folder], folder)
        if built.returncode != 0:
            return [Unread(built.stderr)] * len(texts)
        (Path(after) / "all.yaml").write_text(built.stdout, "utf-8")
        return _read_folder(program, after, len(texts))


def _program(kubectl: str | Path | None) -> str:
    program = kubectl or find_kubectl()
    if program is None:
        raise FileNotFoundError(f"no kubectl; build it: {COMMAND}")
    return str(program)


def _write_probes(folder: Path, texts: Sequence[str]) -> list[str]:
    """Write each text as the ``spec`` of an object of an unknown kind, which kubectl passes on as it is."""
    names = []
    for number, text in enumerate(texts):
        head = f"apiVersion: example.com/v1\nkind: Probe\nmetadata:\n  name: p{number}\nspec:\n"
        body = re.sub(r"^(?=.)", "  ", text, flags=re.MULTILINE)
        names.append(f"p{number}.yaml")
        (folder / names[-1]).write_bytes((head + body).encode())
    return names


def _run(command: list[str], folder: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "KUBECONFIG": os.devnull}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False)


def _read_folder(program: str, folder: str, expected: int) -> list[object]:
    done = _run([program, "annotate", "--local", "-f", ".", "zz=1", "-o", "json"], folder)
    specs = {item["metadata"]["name"]: item.get("spec") for item in _json_values(done.stdout)}
    refusals = dict(re.findall(r"^(?:error: )?error parsing (p\d+)\.yaml: (.*)$", done.stderr, re.MULTILINE))
    names = [f"p{number}" for number in range(expected)]
    return [specs[name] if name in specs else Unread(refusals.get(name, done.stderr.strip()[:500])) for name in names]


def _json_values(text: str) -> Iterator[dict[str, Any]]:
    decoder = json.JSONDecoder()
    position = 0
    while position < len(text):
        value, position = decoder.raw_decode(text, position)
        yield value
        while position < len(text) and text[position].isspace():
            position += 1
