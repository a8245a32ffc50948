"""Pin the modules that one version of Kubernetes is built from: ``python -m tools.pin_kubernetes v1.35.4``.

Writes ``src/aether_deploy/lab/modules/kubernetes-<minor>/`` with go.mod, go.sum and tools.go. Kubernetes names its
own staging modules as v0.0.0; each needs a replace line to the version that was published with it.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

from aether_deploy.lab.programs import KUBERNETES, MODULES


def main(arguments: list[str]) -> int:
    """Pin each version named."""
    for version in arguments:
        print(pin(version))
    return 0


def pin(version: str) -> Path:
    """Write the module folder of Kubernetes ``version`` and return it."""
    folder = MODULES / f"kubernetes-{version.rpartition('.')[0].removeprefix('v')}"
    folder.mkdir(exist_ok=True)
    (folder / "tools.go").write_text(_tools(), "utf-8")
    (folder / "go.mod").write_text(_module(version), "utf-8")
    subprocess.run(["go", "mod", "tidy"], cwd=folder, check=True)
    return folder


def _tools() -> str:
    lines = "".join(f'\t_ "k8s.io/kubernetes/cmd/{name}"\n' for name in KUBERNETES)
    return f"//go:build tools\n\npackage tools\n\nimport (\n{lines})\n"


def _module(version: str) -> str:
    command = ["go", "mod", "download", "-json", f"k8s.io/kubernetes@{version}"]
    downloaded = json.loads(subprocess.run(command, capture_output=True, check=True, cwd=MODULES).stdout)
    upstream = Path(downloaded["GoMod"]).read_text("utf-8")
    staging = re.findall(r"^\s*(k8s\.io/\S+) => \./staging/", upstream, re.MULTILINE)
    go = re.search(r"^go (\S+)$", upstream, re.MULTILINE)
    assert go is not None, "go.mod of Kubernetes names no version of Go"
    assert staging, "go.mod of Kubernetes has another shape than was known"
    published = f"v0.{version.partition('.')[2]}"
    replaced = "".join(f"\t{name} => {name} {published}\n" for name in staging)
    return (
        f"module aether-deploy.test/kubernetes\n\ngo {go[1]}\n\nrequire k8s.io/kubernetes {version}\n\n"
        f"replace (\n{replaced})\n"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
