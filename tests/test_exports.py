"""The public names: complete, sorted, documented, and cheap to have."""

import importlib
import inspect
import subprocess
import sys

import pytest

import aether_deploy
from aether_deploy import _HOMES
from aether_deploy.config.base import Config, spec_of

every_name = pytest.mark.parametrize("name", aether_deploy.__all__)


def test_the_public_names_are_sorted_and_each_has_a_home() -> None:
    assert aether_deploy.__all__ == sorted(aether_deploy.__all__)
    assert len(set(aether_deploy.__all__)) == len(aether_deploy.__all__)
    assert set(aether_deploy.__all__) == set(_HOMES)


@every_name
def test_a_public_name_is_that_of_its_room(name: str) -> None:
    room = importlib.import_module(f"aether_deploy.{_HOMES[name]}")

    assert getattr(aether_deploy, name) is getattr(room, name)
    assert getattr(aether_deploy, name) is getattr(aether_deploy, name)


@every_name
def test_a_public_name_is_documented_by_its_own_words(name: str) -> None:
    value = getattr(aether_deploy, name)
    if not (inspect.isclass(value) or inspect.isfunction(value)):
        pytest.skip(f"{name} is a type of several, described where they stand")

    assert value.__doc__
    assert value.__doc__.strip()
    inherited = [base.__doc__ for base in value.__mro__[1:]] if inspect.isclass(value) else []
    assert value.__doc__ not in inherited


@every_name
def test_the_methods_of_a_public_class_are_documented_but_for_rules_and_hooks(name: str) -> None:
    value = getattr(aether_deploy, name)
    methods = vars(value).items() if inspect.isclass(value) else ()
    rules = spec_of(value).rules if inspect.isclass(value) and issubclass(value, Config) else ()
    silent = [
        method
        for method, each in methods
        if inspect.isfunction(each)
        and not method.startswith("_")
        and each not in rules
        and not inspect.getdoc(getattr(value, method))
    ]

    assert silent == []


def test_the_names_are_listed_for_completion() -> None:
    assert set(aether_deploy.__all__) <= set(dir(aether_deploy))


def test_a_star_import_gives_exactly_the_public_names() -> None:
    names: dict[str, object] = {}
    exec("from aether_deploy import *", names)

    assert set(names) - {"__builtins__"} == set(aether_deploy.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"^module 'aether_deploy' has no attribute 'Plattform'"):
        getattr(aether_deploy, "Plat" + "tform")
    with pytest.raises(ImportError, match="cannot import name 'Plattform' from 'aether_deploy'"):
        exec("from aether_deploy import Plattform")


COSTS = {
    "the package": ("import aether_deploy", ["yaml", "click", "msgspec", "json", "aether_deploy.platform"]),
    "a type": ("from aether_deploy import ScalingConfig", ["yaml", "click", "aether_deploy.platform"]),
    "a fault": ("from aether_deploy import Problem, ConfigError", ["yaml", "click", "aether_deploy.config"]),
    "the platform": ("from aether_deploy import Platform", ["yaml", "click", "aether_deploy.delivery"]),
    "the loader": ("from aether_deploy import load_platform", ["yaml", "click", "jsonschema_rs"]),
    "the command line": (
        "from aether_deploy.cli.main import run; run(['--version'])",
        ["yaml", "aether_deploy.platform", "aether_deploy.cli.verbs.check", "jsonschema_rs"],
    ),
}


@pytest.mark.parametrize("case", COSTS)
def test_nothing_is_imported_that_is_not_needed_for(case: str) -> None:
    statement, unneeded = COSTS[case]
    code = f"{statement}\nimport sys\nprint([name for name in {unneeded!r} if name in sys.modules])"

    said = subprocess.run([sys.executable, "-S", "-c", _with_path(code)], capture_output=True, text=True, check=True)

    assert said.stdout.splitlines()[-1] == "[]"


def _with_path(code: str) -> str:
    """Return ``code`` for a Python without ``site``, whose start-up imports modules of its own."""
    return f"import sys; sys.path[:] = {sys.path!r}\n{code}"


def test_the_version_of_the_package_is_that_of_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    from importlib.metadata import version

    from aether_deploy.cli.main import run

    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"aether-deploy {version('aether-deploy')}\n"
