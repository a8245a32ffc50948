"""Write the generated parts of ``docs/``: ``python -m tools.make_docs``.

A page is one function without arguments that returns the page's text; ``PAGES`` names its file. Each page is a
function of the code alone, so equal code gives equal bytes. ``--check`` writes nothing, names every page that
is not up to date, and then ends with exit code 1.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from aether_deploy.platform.manifest_checks import CHECKS
from aether_deploy.pods.waivers import WAIVERS, Checks, Waiver
from tools.markdown import COMMAND, NOTE, table
from tools.reference import reference_page

DOCS = Path(__file__).resolve().parents[1] / "docs"
WAIVERS_TEXT = """\
What is rendered passes the default checks of checkov and kube-score. Where a workload deviates on purpose, the
deviation is written on its objects, as the annotations by which each checker accepts it. On the StatefulSet or
Deployment unless another object is named; never on pods, so a new reason restarts nothing.

Give your reason in the workload's `waivers`; one that waives nothing is a warning. `image_digest` and
`single_replica` silence a warning that way; `secret_env` and `secret_literal` turn an error into a deviation
([secrets](secrets.md#what-is-refused)):

```yaml
resources: {cpu_limit: none}
waivers: {cpu_limit: a limit shows as jitter}
```
"""


PATCHES_TEXT = """\
## Rules that patches are held against

What a [patch](patches.md) makes of an object is held against the rules that everything else keeps by itself. A rule
that may be waived is waived by name in the `waivers` of the patch, or of the workload that it changes.
"""


def waivers_page() -> str:
    """Return ``docs/waivers.md``: every waiver that a workload can carry."""
    heads = ("name", "what deviates", "reason, where you give none", "checks that it waives")
    rows = [(f"`{name}`", waiver.meaning, waiver.reason, _checks(waiver)) for name, waiver in sorted(WAIVERS.items())]
    workloads = f"# Waivers\n\n{NOTE}\n{WAIVERS_TEXT}\n{table(heads, rows)}"
    heads = ("name", "what breaks it", "why it cannot be waived", "checks that a waiver waives")
    rules = [(f"`{name}`", each.meaning, each.because, _of_checkers(each.waives)) for name, each in CHECKS.items()]
    return f"{workloads}\n{PATCHES_TEXT}\n{table(heads, rules)}"


def _checks(waiver: Waiver) -> str:
    bearers = {
        "": waiver.workload,
        " (Services of `expose`)": waiver.outside_service,
        " (HorizontalPodAutoscaler)": waiver.autoscaler,
    }
    return "<br>".join(_of_checkers(checks, where) for where, checks in bearers.items() if checks != Checks())


def _of_checkers(checks: Checks, where: str = "") -> str:
    return "<br>".join(
        f"{checker}: {', '.join(f'`{name}`' for name in names)}{where}"
        for checker, names in (
            ("checkov", checks.checkov),
            ("kube-score", checks.kube_score),
            ("kube-linter", checks.kube_linter),
            ("polaris", checks.polaris),
        )
        if names
    )


# File below docs/ -> the function that returns its text.
PAGES: Mapping[str, Callable[[], str]] = {
    "reference.md": reference_page,
    "waivers.md": waivers_page,
}


def stale_pages(docs: Path = DOCS) -> list[str]:
    """Return the names of the pages that are not what their function returns."""
    return [
        name
        for name, page in PAGES.items()
        if not (docs / name).is_file() or (docs / name).read_bytes() != page().encode()
    ]


def write_pages(docs: Path = DOCS) -> list[str]:
    """Write every page that is not up to date, and return their names."""
    stale = stale_pages(docs)
    for name in stale:
        target = docs / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(PAGES[name]().encode())
    return stale


def main(arguments: list[str] | None = None) -> int:
    """Write the pages, or with ``--check`` say which are not up to date."""
    parser = argparse.ArgumentParser(prog="python -m tools.make_docs", description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page is not up to date")
    if parser.parse_args(arguments).check:
        stale = stale_pages()
        for name in stale:
            print(f"docs/{name} is not up to date; write it by: {COMMAND}", file=sys.stderr)
        return 1 if stale else 0
    for name in write_pages():
        print(f"docs/{name} written", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
