"""Players of a what-if as CSV: what is read, and that every fault is told at its place, all at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aether_deploy.problems import ConfigError
from aether_deploy.routing.view import Position
from aether_deploy.simulation.csv_cells import LISTED
from aether_deploy.simulation.routing.players import PlayerGroup, read_players

REGIONS = ("us-east-1", "eu-west-1")
RULES = ("eu-players",)


def read(text: str | bytes) -> tuple[PlayerGroup, ...]:
    content = text if isinstance(text, bytes) else text.encode()
    return read_players(content.splitlines(keepends=True), "players.csv", regions=REGIONS, residencies=RULES)


def faults(text: str | bytes) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text)
    return [str(problem) for problem in caught.value.problems]


READ: dict[str, tuple[str | bytes, tuple[PlayerGroup, ...]]] = {
    "homes": ("region,players\nus-east-1,3\neu-west-1,0\n",
              (PlayerGroup(players=3, region="us-east-1"), PlayerGroup(players=0, region="eu-west-1"))),
    "positions": ("lat,lon,players\n38.95,-77.45,3\n-33,+151.,4\n",
                  (PlayerGroup(players=3, position=Position(38.95, -77.45)),
                   PlayerGroup(players=4, position=Position(-33, 151)))),
    "columns in any order": ("players,residency,region\n3,eu-players,eu-west-1\n4,,us-east-1\n",
                             (PlayerGroup(players=3, region="eu-west-1", residency="eu-players"),
                              PlayerGroup(players=4, region="us-east-1"))),
    "homes and positions": ("region,lat,lon,players\nus-east-1,,,3\n,1,2,4\neu-west-1,1,2,5\n",
                            (PlayerGroup(players=3, region="us-east-1"),
                             PlayerGroup(players=4, position=Position(1, 2)),
                             PlayerGroup(players=5, region="eu-west-1", position=Position(1, 2)))),
    "equal lines are one group": ("region,players\nus-east-1,3\neu-west-1,1\nus-east-1,4\n",
                                  (PlayerGroup(players=7, region="us-east-1"),
                                   PlayerGroup(players=1, region="eu-west-1"))),
    "what a spreadsheet writes": (b'\xef\xbb\xbf"region" , players\r\n"us-east-1", "3" \r\n\r\n',
                                  (PlayerGroup(players=3, region="us-east-1"),)),
}  # fmt: skip


@pytest.mark.parametrize("case", READ)
def test_players_are_read(case: str) -> None:
    text, groups = READ[case]

    assert read(text) == groups


FAULTS: dict[str, tuple[str | bytes, list[str]]] = {
    "nothing": (b"", ["players.csv:1:1: $: is empty\n  fix: begin with the line region,players or lat,lon,players"]),
    "an empty line first": (
        "\nregion,players\n",
        ["players.csv:1:1: $: begins with an empty line\n  fix: begin with the line region,players or lat,lon,players"],
    ),
    "a header alone": (
        "region,players\n",
        ["players.csv:1:1: $: has no players\n  fix: add a line for each group of players"],
    ),
    "unknown and doubled columns": (
        "regoin,players,players\n",
        ["players.csv:1:1: $: is 'regoin'; no column of players\n  fix: did you mean 'region'?",
         "players.csv:1:16: $: is 'players'; named twice\n  fix: remove one of the two columns"],
    ),
    "no players and half a position": (
        "lat\n",
        ["players.csv:1:1: $: has no column players\n  fix: add it: how many players a line stands for",
         "players.csv:1:1: $: has no column lon\n  fix: a position is lat and lon: add it"],
    ),
    "nowhere": (
        "players,residency\n",
        ["players.csv:1:1: $: does not say where players are\n  fix: add region, their home, or lat and lon"],
    ),
    "other separators": (
        "region;players\n", ["players.csv:1:1: $: is separated by ';'\n  fix: separate the columns by commas"],
    ),
    "every line at once": (
        "region,players,residency\nus-east-2,1,\nus-east-1,-1,\n,1,\neu-west-1,1,players\nus-east-1,,\nus-east-1,1\n",
        ["players.csv:2:1: region: is 'us-east-2'; no region of the description\n  fix: did you mean 'us-east-1'?",
         "players.csv:3:11: players: is '-1'; not a whole number\n"
         "  fix: write it in digits only, without signs and separators",
         "players.csv:4:1: $: does not say where they are\n  fix: give it, or a position",
         "players.csv:5:13: residency: is 'players'; no residency rule of the description\n"
         "  fix: did you mean 'eu-players'?",
         "players.csv:6:11: players: has no value\n  fix: give it, or remove the line",
         "players.csv:7:11: $: has 2 columns, where the header has 3\n"
         "  fix: add what is missing; a comma stands between two"],
    ),
    "places not on Earth": (
        "lat,lon,players\n91,0,1\n0,181,1\nN38,0,1\n1,,1\nnan,0,1\n1e1,0,1\n",
        ["players.csv:2:1: lat: is '91'; not between -90 and 90\n  fix: correct it, or exchange lat and lon",
         "players.csv:3:3: lon: is '181'; not between -180 and 180\n  fix: correct it, or exchange lat and lon",
         "players.csv:4:1: lat: is 'N38'; not a number of degrees\n  fix: write it as 38.95 or -77.45",
         "players.csv:5:3: lon: has no value\n  fix: a position is lat and lon: give it",
         "players.csv:6:1: lat: is 'nan'; not a number of degrees\n  fix: write it as 38.95 or -77.45",
         "players.csv:7:1: lat: is '1e1'; not a number of degrees\n  fix: write it as 38.95 or -77.45"],
    ),
    "a number too large": (
        "region,players\nus-east-1,1000000001\nus-east-1,99999999999999999999\nus-east-1,1_000\nus-east-1,٣\n",
        ["players.csv:2:11: players: is '1000000001'; more than 1000000000\n  fix: correct the number",
         "players.csv:3:11: players: is '99999999999999999999'; more than 1000000000\n  fix: correct the number",
         "players.csv:4:11: players: is '1_000'; not a whole number\n"
         "  fix: write it in digits only, without signs and separators",
         "players.csv:5:11: players: is '٣'; not a whole number\n"
         "  fix: write it in digits only, without signs and separators"],
    ),
    "a quote that is not closed and an empty line": (
        'region,players\n\n"us-east-1,1\n',
        ["players.csv:2:1: $: is an empty line between players\n  fix: remove it",
         "players.csv:3:1: $: is '\"us-east-1,1'; has a quote that is not closed\n"
         "  fix: close it, or write the value without quotes"],
    ),
    "a spreadsheet": (
        b"PK\x03\x04\xff\n", ["players.csv:1:1: $: is a spreadsheet or archive, not UTF-8 text\n"
                              "  fix: save it as CSV text in UTF-8"],
    ),
    "a byte that is no text": (
        b"region,players\nus-\xff,1\n", ["players.csv:2:4: $: holds the byte 0xFF, not UTF-8\n"
                                         "  fix: save it as CSV text in UTF-8"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FAULTS)
def test_every_fault_of_a_file_is_told_at_its_place(case: str) -> None:
    text, says = FAULTS[case]

    assert faults(text) == says


def test_of_many_faults_the_first_are_told_and_the_others_counted() -> None:
    said = faults("region,players\n" + "mars,1\n" * (LISTED + 5))

    assert len(said) == LISTED + 1
    assert said[-1] == "players.csv: $: has 5 more problems below line 21\n  fix: mend those above, then run again"


@given(st.binary(max_size=60))
def test_whatever_a_file_holds_it_is_read_or_its_faults_are_told(content: bytes) -> None:
    told: tuple[object, ...]
    try:
        told = read(b"region,lat,lon,players,residency\n" + content)
    except ConfigError as error:
        told = error.problems

    assert told
