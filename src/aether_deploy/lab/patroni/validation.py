"""What ``patroni --validate-config`` says of a configuration, without the network that it was rendered for."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from aether_deploy.lab.patroni.configuration import Settings
from aether_deploy.lab.patroni.programs import PatroniPrograms
from aether_deploy.problems import EffectError

_WITHIN_SECS = 180.0


def configuration_faults(
    configuration: Settings, folder: Path, programs: PatroniPrograms, environment: Mapping[str, str] | None = None
) -> list[str]:
    """Return what Patroni's own check finds wrong with a configuration; nothing where it holds.

    It asks whether a store that is named by its address can be reached, so it suits configurations whose store is
    Kubernetes. It takes no notice of unknown keys, nor of ``loop_wait + 2 * retry_timeout > ttl``.

    Args:
        configuration: The configuration; PostgreSQL's programs are named as this machine has them.
        folder: Where the file is written that Patroni reads.
        programs: How Patroni is run.
        environment: Variables that the Pod would have, such as ``PATRONI_NAME``.

    Raises:
        EffectError: Patroni did not judge: it broke off.
    """
    postgresql = {**configuration.get("postgresql", {}), "bin_dir": str(programs.bin_dir)}
    file = folder / "validated.yml"
    file.write_text(json.dumps({**configuration, "postgresql": postgresql}), "utf-8")
    command = [*programs.prefix, *programs.patroni, "--validate-config", "--ignore-listen-port", str(file)]
    done = subprocess.run(
        command,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=_WITHIN_SECS,
        check=False,
    )
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    if any(line.startswith("Traceback") for line in said) or (done.returncode != 0 and not said):
        reason = "\n".join(f"  patroni: {line}" for line in said[-5:])
        raise EffectError(f"patroni did not judge the configuration\n{reason}\n  fix: see what it prints above")
    return said if done.returncode else []
