"""Who stands for a platform is found on every machine, also where packages of the extra ``[lab]`` are missing."""

import subprocess
import sys

import pytest

from aether_deploy.lab.system.registry import MODULES

BROUGHT_BY_THE_EXTRA = ("cryptography", "nats", "patroni", "psycopg")


@pytest.mark.parametrize("module", MODULES)
def test_a_member_is_known_without_the_packages_that_it_needs_to_run(module: str) -> None:
    absent = "; ".join(f"sys.modules[{name!r}] = None" for name in BROUGHT_BY_THE_EXTRA)
    program = f"import sys; {absent}; import aether_deploy.lab.system.members.{module}"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
