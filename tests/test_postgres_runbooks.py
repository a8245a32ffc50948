"""What people are told to do by hand holds for the cluster that is rendered; every back end tells it."""

import json
import os
import re
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest

from aether_deploy.infrastructure.postgres.backend import backend_names, backend_of
from aether_deploy.infrastructure.postgres.groups import groups_in, slot_of
from tests.postgres_cases import PATRONI, SHARDED, STANDBY, ZALANDO, config, estate, rendered

SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "an image of Patroni": {"image": PATRONI},
    "standby": dict(STANDBY),
    "sharded": dict(SHARDED),
    "zalando": dict(ZALANDO),
}


PATCH = "curl --fail --silent --show-error --request PATCH --data"


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
    told = set(re.findall(r"(?:--candidate|reinit \S+(?: --group \d)?) (\S+)", text))

    assert told
    assert told <= pods


@pytest.mark.parametrize("title", [title for title in SETTINGS if title != "zalando"])
def test_every_command_finds_its_pods_by_labels_that_some_have(title: str) -> None:
    component = config(**SETTINGS[title])
    around, labels = estate(), set()
    for code in component.placed_in(around):
        region = around.region(code)
        assert region is not None
        for (kind, _), body in rendered(component, code).items():
            if kind == "StatefulSet":
                own = body["spec"]["template"]["metadata"]["labels"]
                labels |= {(region.cluster, each) for each in own.items()}
    text = books(**SETTINGS[title])[f"{component.name}.md"]
    told = [line.split()[1:3] for line in text.splitlines() if re.match(r" *(on|sql) \S+ aether\.io", line)]

    assert told
    for cluster, selector in told:
        wanted = {tuple(each.split("=")) for each in selector.split(",")} - {("role", "primary")}
        assert {(cluster, each) for each in wanted} <= labels


KUBECTL = """\
#!/bin/sh
# Stands in for a cluster of three pods, the first of which is lost; says what it was asked.
case "$*" in
  *" get pod "*) printf 'pod/a-0\\npod/a-1\\npod/a-2\\n' ;;
  *" exec pod/a-0 "*) exit 1 ;;
  *" exec "*" -- true") ;;
  *) echo "$*"; case "$*" in *" exec -i "*) cat ;; esac ;;
esac
"""


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("title", SETTINGS)
def test_commands_go_to_the_first_member_that_answers(title: str, shell: str, tmp_path: Path) -> None:
    program = tmp_path / "kubectl"
    program.write_text(KUBECTL)
    program.chmod(0o755)
    found = books(**SETTINGS[title])
    (name,) = [name for name in found if name.endswith(".md")]
    blocks = [textwrap.dedent(each) for each in re.findall(r"^ *```sh\n(.*?)^ *```$", found[name], re.M | re.S)]
    for each, content in found.items():
        (tmp_path / each).write_text(content)
    text = "set -eu\n" + "".join(blocks)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([shell], input=text, capture_output=True, text=True, env=environment, cwd=tmp_path)
    asked = [line for line in done.stdout.splitlines() if " exec " in line]

    assert (done.returncode, done.stderr) == (0, "")
    assert len(asked) >= 2
    assert all(
        re.match(r"--context \S+ -n aether-prod-data exec (-i )?pod/a-1 -c postgres -- ", each) for each in asked
    )


@pytest.mark.parametrize("title", [title for title in SETTINGS if title != "zalando"])
def test_every_patch_file_that_is_named_is_there_and_is_json(title: str) -> None:
    found = books(**SETTINGS[title])
    (text,) = [each for name, each in found.items() if name.endswith(".md")]
    named = set(re.findall(r"\$\(cat (\S+\.json)\)", text))

    assert named == {name for name in found if name.endswith(".json")}
    assert all(json.loads(found[name])["ttl"] == 30 for name in named)


def test_each_region_has_a_patch_of_its_own() -> None:
    found = books(**STANDBY)

    assert "slots" in json.loads(found["accounts-patch-config.json"])
    assert "slots" not in json.loads(found["accounts-patch-config-eu-west-1.json"])


def test_only_a_cluster_with_a_standby_has_words_for_a_lost_region() -> None:
    assert "## The region us-east-1 is lost" in books(**STANDBY)["accounts.md"]
    assert "## The region" not in books()["accounts.md"]


def test_promoting_is_one_patch_in_the_standbys_region() -> None:
    text = books(**STANDBY)["accounts.md"]

    assert f"on dublin aether.io/scope=accounts-eu-west-1 \\\n     {PATCH} '{{\"standby_cluster\": null}}'" in text


def test_the_lost_region_returns_by_the_slot_that_the_other_keeps_for_it() -> None:
    text = books(**STANDBY)["accounts.md"]
    bodies = [json.loads(each) for each in re.findall(r"--data '(\{.*\})'", text)]

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


@pytest.mark.parametrize("title", ["standby", "zalando"])
def test_how_a_standby_is_promoted_is_said_as_the_runbook_says_it(title: str) -> None:
    component = config(**{**STANDBY, **SETTINGS[title]})
    said = component.renderer.promotion(component, estate())
    book = component.runbooks(estate())[f"{component.name}.md"]

    assert ("PATCH" in said) == ("PATCH" in book) == (title == "standby")
    assert ("eu-west-1 in regions" in said) == (title == "zalando")
    assert re.search(r"regions:(?: \[|\n +- )eu-west-1", book)


def test_members_are_called_as_the_operator_calls_them() -> None:
    component = config(**ZALANDO, **STANDBY)

    assert [group.part for code in component.placed_in(estate()) for group in groups_in(component, code)] == [
        "acid-ledger",
        "acid-ledger",
    ]
    assert "--candidate acid-ledger-1 " in component.runbooks(estate())["acid-ledger.md"]
    assert slot_of(component) == "acid_ledger_eu_west_1"


def test_a_database_that_is_named_later_is_made_by_sql() -> None:
    text = books(database="lobby")["accounts.md"]

    assert "SELECT format('CREATE DATABASE %I OWNER %I', 'lobby', :'username') \\gexec" in text
