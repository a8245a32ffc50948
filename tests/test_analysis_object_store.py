"""What a failure does to a provider's store: it may be lost with a region, and nothing smaller touches it."""

from typing import Any

import msgspec
import pytest

from aether_deploy.infrastructure.analysis.analysing import Analysis, Subject, analyse
from aether_deploy.infrastructure.analysis.failures import PlatformFailure
from aether_deploy.infrastructure.analysis.impacts import Effect
from aether_deploy.infrastructure.analysis.judging import analysis_findings
from aether_deploy.infrastructure.analysis.table import table_markdown, table_text
from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.object_store.impact import analyst
from tests.nats_cases import estate, region
from tests.object_store_cases import provided

ROLE = "arn:aws:iam::123456789012:role/copies"
BOTH: dict[str, Any] = {"regions": ["us-east-1", "eu-west-1"], "replication_role": ROLE}
PLACES = estate(region("us-east-1"), region("eu-west-1"), region("ap-south-1", 1))


def hosted(by: str | None, *codes: str) -> Estate:
    """Return an estate of regions that a provider runs."""
    return estate(*(msgspec.structs.replace(region(code), provider=by) for code in codes))


def lost(where: Estate, code: str, kind: str = "region") -> PlatformFailure:
    found = where.region(code)
    assert found is not None
    return PlatformFailure(kind=kind, name=code, lost=frozenset(each.name for each in found.full))  # type: ignore[arg-type]


def answers(where: Estate, code: str, provider: str = "aws", kind: str = "region", **settings: Any) -> list[Effect]:
    asked = analyst(provided(provider, **settings), where)
    return list(asked.impact(lost(where, code, kind).within(asked.footprint)).effects)


def analysed(provider: str, where: Estate, **settings: Any) -> Analysis:
    config = provided(provider, **settings)
    return analyse(where, [Subject(name="assets", kind="object_store", regions=(), analyst=analyst(config, where))])


def test_the_bucket_that_takes_writes_may_be_lost_with_its_region_and_the_copy_has_another_name() -> None:
    (effect,) = answers(PLACES, "us-east-1", **BOTH)

    assert (effect.outcome, effect.readable, effect.is_certain) == ("read-only", True, False)
    assert effect.human.startswith("if it is us-east-1 of aws itself that is lost: wait for it, or let those who read")
    assert "https://s3.eu-west-1.amazonaws.com, where each bucket is <bucket>-eu-west-1" in effect.human
    assert effect.loss is not None
    assert effect.loss.text.endswith("what S3 had not copied to eu-west-1 yet, without a bound")


def test_the_region_that_follows_takes_only_its_copy_along() -> None:
    (effect,) = answers(PLACES, "eu-west-1", **BOTH)

    assert (effect.part, effect.outcome, effect.human, effect.loss) == ("eu-west-1", "holds", "", None)
    assert effect.note.startswith("only if it is eu-west-1 of aws itself that is lost: ")


def test_a_store_without_a_copy_may_be_down_with_its_region_and_a_second_one_is_advised() -> None:
    (effect,) = answers(PLACES, "us-east-1")
    found = {each.rule: each for each in analysis_findings(analysed("aws", PLACES))}

    assert (effect.outcome, effect.readable, effect.is_certain) == ("down", False, False)
    assert found["region-loss"].fix == "let a second region follow: name it in regions"
    assert found["kept-elsewhere"].text.startswith("kept by aws in us-east-1: ")


ELSEWHERE: dict[str, tuple[list[Effect], bool]] = {
    "a region that has no copy": (answers(PLACES, "ap-south-1", **BOTH), False),
    "a zone, though it is all that a region has": (
        answers(PLACES, "ap-south-1", kind="zone", regions=["ap-south-1"]), False,
    ),
    "that region as a whole": (answers(PLACES, "ap-south-1", regions=["ap-south-1"]), True),
    "a region of another provider's": (answers(hosted("gcp", "us-east-1"), "us-east-1"), False),
    "a region of nobody knows whom": (answers(hosted(None, "us-east-1"), "us-east-1"), True),
    "a region that Amazon calls otherwise": (
        answers(hosted("aws", "us"), "us", regions=["us"], url="https://s3.us-east-1.amazonaws.com"), True,
    ),
    "a region of Google's": (answers(hosted("gcp", "us-east1"), "us-east1", "gcs", regions=["us-east1"]), True),
    "two regions of Google's as one place": (
        answers(hosted("gcp", "us-east1"), "us-east1", "gcs", regions=["us-east1"], signing_region="EU"), False,
    ),
    "a store that has no region": (answers(PLACES, "us-east-1", "r2"), False),
    "a store that people run themselves": (answers(PLACES, "us-east-1", "garage"), True),
}  # fmt: skip


@pytest.mark.parametrize("sentence", ELSEWHERE)
def test_only_a_region_that_may_be_the_providers_own_is_judged(sentence: str) -> None:
    effects, touched = ELSEWHERE[sentence]

    assert bool(effects) is touched


def test_where_nothing_is_touched_that_is_said_and_no_empty_table_printed() -> None:
    analysis = analysed("r2", PLACES)
    found = analysis_findings(analysis)
    said = "no failure of what is described here touches a component: what runs elsewhere fails by itself"

    text, markdown = table_text(analysis, found), table_markdown(analysis, found)

    assert text.splitlines()[:3] == [
        said, "", "note: assets: kept by r2: of what fails there nothing is judged (kept-elsewhere)",
    ]  # fmt: skip
    assert markdown.splitlines()[0] == said
    assert "| failure |" not in markdown
