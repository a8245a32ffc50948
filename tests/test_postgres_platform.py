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


BANK = """
services: [{name: gateway, uses: [acid-bank], network: {allow_to: [10.0.0.0/8]}}]
components:
  - name: acid-bank
    kind: postgres
    regions: [us-east-1]
    pvc: {size: 1Gi}
    standby: {region: eu-west-1}
    expose: {internal: true}
    endpoint: "acid-bank.{region}.example.com"
    network: {allow_from: [10.0.0.0/8], allow_to: [10.0.0.0/8]}
"""
OPERATED = "components: [{name: acid-bank, backend: zalando, team: acid}]"
ITS_NAME_LEADS_TO_ITS_STANDBY = (
    "its operator makes a Service of that name in eu-west-1, which takes no writes\n"
    "  fix: run 'gateway' elsewhere, or let another back end run 'acid-bank'"
)


def test_nobody_writes_to_a_standby_because_its_operator_calls_a_service_so() -> None:
    errors = [each for each in said(BANK, OPERATED) if ": warning: " not in each]
    elsewhere = said(BANK, OPERATED, "services: [{name: gateway, regions: [us-east-1]}]")
    image = f"components: [{{name: acid-bank, image: 'ghcr.io/zalando/spilo-18:4.1-p2@{DIGEST}'}}]"

    assert len(errors) == 1
    assert errors[0].endswith(ITS_NAME_LEADS_TO_ITS_STANDBY)
    assert not any(ITS_NAME_LEADS_TO_ITS_STANDBY in each for each in (*elsewhere, *said(BANK, image)))
