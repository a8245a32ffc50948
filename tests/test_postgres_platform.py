"""What a whole file says of a PostgreSQL cluster: its regions, and all that is wrong at once."""

from tests.platform_cases import evaluate, said
from tests.rule_case import DIGEST


def database(more: str) -> str:
    image = f"ghcr.io/zalando/spilo-18:4.1-p2@{DIGEST}"
    return f"components: [{{name: accounts, kind: postgres, image: '{image}', pvc: {{size: 1Gi}}, {more}}}]"


def test_a_wrong_region_does_not_hide_the_wrong_region_of_its_standby() -> None:
    found = said(
        database(
            "regions: [us-east-2], standby: {region: eu-west-2}, expose: {}, endpoint: 'accounts.{region}.example.com'"
        )
    )

    assert [each.splitlines()[0].partition("$")[2] for each in found if "no region has that code" in each] == [
        ".components[0].regions[0]: is 'us-east-2'; no region has that code",
        ".components[0].standby.region: is 'eu-west-2'; no region has that code",
    ]


def test_regions_left_out_are_a_problem_where_there_are_several() -> None:
    (told,) = said(database("members: 3"))

    assert "$.components[0].regions: is 'all'; not one region" in told


def test_regions_left_out_are_the_only_one() -> None:
    evaluation = evaluate(database("members: 3"), "regions: [{code: eu-west-1, enabled: false}]")

    assert evaluation.platform is not None
    (component,) = evaluation.platform.components
    assert component.active_in(evaluation.platform.estate) == "us-east-1"
