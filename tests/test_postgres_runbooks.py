"""What people are told to do by hand holds for the cluster that is rendered; every back end tells it."""

import json
import re
from typing import Any

import pytest

from aether_deploy.infrastructure.postgres.backend import backend_names, backend_of
from tests.postgres_cases import PATRONI, SHARDED, STANDBY, ZALANDO, config, estate, rendered

SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "an image of Patroni": {"image": PATRONI},
    "standby": dict(STANDBY),
    "sharded": dict(SHARDED),
    "zalando": dict(ZALANDO),
}


def books(**settings: Any) -> dict[str, str]:
    return dict(config(**settings).runbooks(estate()))


@pytest.mark.parametrize("title", SETTINGS)
def test_a_runbook_is_called_as_its_component(title: str) -> None:
    component = config(**SETTINGS[title])
    text = component.runbooks(estate())[f"{component.name}.md"]

    assert text.startswith(f"# {component.name}: by hand\n")
    assert text.endswith("\n")
    assert not re.search(r"\{[a-z_]+\}|\{\{|\}\}[^'}]", text)


@pytest.mark.parametrize("title", [title for title in SETTINGS if title != "zalando"])
def test_every_command_names_a_pod_that_there_is(title: str) -> None:
    component = config(**SETTINGS[title])
    pods = set()
    for code in component.placed_in(estate()):
        for (kind, name), body in rendered(component, code).items():
            if kind == "StatefulSet":
                pods |= {f"{name}-{ordinal}" for ordinal in range(body["spec"]["replicas"])}
    text = books(**SETTINGS[title])[f"{component.name}.md"]
    told = set(re.findall(r"kubectl -n aether-prod-data exec (?:-i )?(\S+) -c postgres --", text))
    candidates = set(re.findall(r"--candidate (\S+)", text))

    assert told
    assert told | candidates <= pods


@pytest.mark.parametrize("title", [title for title in SETTINGS if title != "zalando"])
def test_every_patch_file_that_is_named_is_there_and_is_json(title: str) -> None:
    found = books(**SETTINGS[title])
    (text,) = [each for name, each in found.items() if name.endswith(".md")]
    named = set(re.findall(r"< (\S+\.json)", text))

    assert named == {name for name in found if name.endswith(".json")}
    assert all(json.loads(found[name])["ttl"] == 30 for name in named)


def test_each_region_has_a_patch_of_its_own() -> None:
    found = books(**STANDBY)

    assert "slots" in json.loads(found["accounts-patch-config.json"])
    assert "slots" not in json.loads(found["accounts-patch-config-eu-west-1.json"])


def test_only_a_cluster_with_a_standby_has_words_for_a_lost_region() -> None:
    assert "## The region us-east-1 is lost" in books(**STANDBY)["accounts.md"]
    assert "is lost" not in re.sub(r"No write is lost", "", books()["accounts.md"])


def test_promoting_is_one_patch_in_the_standbys_region() -> None:
    text = books(**STANDBY)["accounts.md"]

    assert "echo '{\"standby_cluster\":null}' | kubectl -n aether-prod-data exec -i accounts-eu-west-1-0" in text


def test_the_lost_region_returns_by_the_slot_that_the_other_keeps_for_it() -> None:
    text = books(**STANDBY)["accounts.md"]
    bodies = [json.loads(each) for each in re.findall(r"echo '(\{.*\})'", text)]

    assert {"slots": {"accounts_us_east_1": {"type": "physical"}}} in bodies
    assert {
        "standby_cluster": {
            "host": "accounts.eu-west-1.example.com",
            "port": 5432,
            "primary_slot_name": "accounts_us_east_1",
        }
    } in bodies


@pytest.mark.parametrize("backend", backend_names())
def test_every_back_end_renders_the_same_cluster_alike_twice(backend: str) -> None:
    settings = ZALANDO if backend == "zalando" else {"backend": backend}
    one, other = (rendered(config(**settings)) for _ in range(2))

    assert one == other
    assert one
    assert backend_of(backend) is config(**settings).renderer


def test_back_ends_are_found_by_their_files() -> None:
    assert backend_names() == ("patroni", "zalando")
