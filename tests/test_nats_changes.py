"""What running pods make of changed files is told of every file, also of one that nobody here wrote."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from aether_deploy.infrastructure.component import FileChange
from aether_deploy.infrastructure.nats.changes import file_changes
from aether_deploy.infrastructure.nats.stream_changes import stream_changes
from aether_deploy.infrastructure.nats.text import text_of
from tests.nats_updates import BASE, UPDATES, outcome

ODD: dict[str, tuple[Mapping[str, str], Mapping[str, str]]] = {
    "a file of another kind": ({"notes.txt": "a"}, {"notes.txt": "{"}),
    "streams that are none": ({"streams.json": "[]"}, {"streams.json": "{"}),
    "streams of another shape": ({"streams.json": '{"accounts": 1}'}, {"streams.json": '{"accounts": [{}]}'}),
    "limits that are words": ({"streams.json": "1"}, {"streams.json": '{"accounts": [{"name": 1, "streams": 2}]}'}),
    "a server's file of one line": ({"a.conf": "{ listen: x }"}, {"a.conf": "listen = 4222"}),
    "a server's file that ends early": ({"a.conf": "cluster {\n"}, {"a.conf": "cluster {\n  a: 1\n}\n"}),
    "a file that comes": ({}, {"a.conf": "{"}),
    "a file that goes": ({"streams.json": "{"}, {}),
}


@pytest.mark.parametrize("before, after", ODD.values(), ids=ODD.keys())
def test_no_file_is_raised_over(before: Mapping[str, str], after: Mapping[str, str]) -> None:
    for found in (file_changes(before, after), file_changes(after, before)):
        assert all(isinstance(each, FileChange) and each.says for each in found)


def test_of_an_unreadable_file_the_others_are_told_all_the_same() -> None:
    old = {"a.conf": text_of({"max_payload": 1}), "b.conf": "{ listen: x }"}
    new = {"a.conf": text_of({"max_payload": 2}), "b.conf": "{ listen: y }"}

    assert [(each.effect, each.says.partition(":")[0]) for each in file_changes(old, new)] == [
        ("reloads", "a running server takes max_payload, once it is told of the new file"),
        ("restarts", "another version wrote b.conf"),
    ]


# --- streams


def file_of(*streams: Mapping[str, Any], account: str = "APP") -> str:
    return json.dumps({"format": 1, "accounts": [{"name": account, "credentials": "", "streams": list(streams)}]})


@pytest.mark.parametrize("change, expected", UPDATES.values(), ids=UPDATES.keys())
def test_each_update_of_a_stream_is_told_by_what_it_does(change: Mapping[str, Any], expected: str) -> None:
    before, after = BASE, {**BASE, **change}

    assert outcome(stream_changes(file_of(before), file_of(after))) == expected


def test_a_new_stream_is_made_and_one_left_out_stays() -> None:
    found = stream_changes(file_of({**BASE, "name": "OLD"}, BASE), file_of(BASE, {**BASE, "name": "NEW"}))

    assert found == [
        FileChange(
            "by hand",
            "nobody removes OLD: what is left out keeps its messages, its room and its subjects until somebody runs "
            "nats stream rm; one that is in another region from now on moves there",
        ),
        FileChange("reloads", "the Job sees to it within 5 minutes: NEW (new)"),
    ]


def test_a_stream_of_another_account_is_another_stream() -> None:
    several = json.loads(file_of(BASE))
    several["accounts"].append({"name": "OPS", "credentials": "", "streams": []})
    moved = json.loads(json.dumps(several))
    moved["accounts"][1]["streams"] = moved["accounts"][0]["streams"]
    moved["accounts"][0]["streams"] = []

    effects = [(each.effect, each.says) for each in stream_changes(json.dumps(several), json.dumps(moved))]

    assert [effect for effect, _ in effects] == ["by hand", "reloads"]
    assert "nobody removes APP/A" in effects[0][1]
    assert "OPS/A (new)" in effects[1][1]


def test_what_servers_refuse_holds_up_the_rest_of_that_stream() -> None:
    (found,) = stream_changes(file_of(BASE), file_of({**BASE, "storage": "memory", "max_bytes": 10}))

    assert found.effect == "by hand"
    assert found.says.startswith("the Job fails at A (storage): servers refuse it of a stream that exists")


def test_a_change_that_concerns_no_stream_is_read_by_the_next_run() -> None:
    (found,) = stream_changes(file_of(BASE), file_of(BASE).replace('"credentials": ""', '"credentials": "x"'))

    assert found == FileChange("reloads", "the Job reads it when it runs, within 5 minutes")
