"""What the table, the findings and the values for machines say of an analysis."""

from aether_deploy.infrastructure.analysis.analysing import analyse
from aether_deploy.infrastructure.analysis.grid import shared_findings
from aether_deploy.infrastructure.analysis.judging import analysis_findings
from aether_deploy.infrastructure.analysis.lines import lines_of
from aether_deploy.infrastructure.analysis.table import table_markdown, table_text
from aether_deploy.infrastructure.analysis.values import analysis_values
from aether_deploy.infrastructure.estate import Datacenter, Estate, EstateRegion
from tests.analysis_cases import (
    ESTATE,
    MATCHES,
    THREE_REGIONS,
    WITNESSED,
    WORLD,
    Counting,
    nats,
    postgres,
    subject,
    with_components,
)


def test_failures_that_do_the_same_are_one_row_and_zones_are_named_by_their_region() -> None:
    labels = [line.label for line in lines_of(with_components(THREE_REGIONS, nats(streams=MATCHES)))]

    assert labels == [
        "process that leads",
        "another process",
        "a node in us",
        "a node in eu",
        "a node in ap",
        "a zone of us",
        "a zone of eu",
        "a zone of ap",
        "region us",
        "region eu, ap",
        "link us - eu, us - ap, eu - ap",
    ]


TABLE = """\
failure                          events
process that leads               3-9 s 1/2
another process                  ok*
a node in us                     3-9 s 1/2
a node in eu                     ok*
a zone of us                     3-9 s 1/2
a zone of eu                     ok*
witness fra                      ok*
region us                        down! ~ 1/2
region eu                        ok*
link us - eu                     ok*

  ok       writes go on; ok*: and something is weaker until it is back
  20-33 s  writes stop for so long, best to worst, and come back by themselves
  down     it can be neither read nor written until what failed is back
  !        somebody has to act: see below
  ~        acknowledged writes may be lost: see below
  2/5      so many of its parts; the others go on
"""


def test_the_table_is_aligned_and_explains_its_signs() -> None:
    analysis = with_components(WITNESSED, nats(streams=MATCHES, more="witness: fra"))

    text = table_text(analysis, [], reasons=False)

    lines = TABLE.splitlines()
    width = max(len(line.label) for line in lines_of(analysis))
    expected = "\n".join(" ".join(line.split()) for line in lines)
    assert "\n".join(" ".join(line.split()) for line in text.splitlines()[: len(lines)]) == expected
    assert {line[width : width + 3] for line in text.splitlines()[:11]} == {"   "}


def test_many_components_that_are_hit_alike_share_a_column() -> None:
    subjects = [subject(f"part-{number:02d}", Counting("us-a" if number % 2 else "us-a us-b")) for number in range(30)]
    many = analyse(ESTATE, subjects)

    lines = table_text(many, []).splitlines()

    assert lines[0].split()[1:] == ["part-00", "+14", "part-01", "+14"]
    assert any(line.startswith("part-00 +14: part-00, part-02, part-04") for line in lines)


def test_a_table_that_stays_too_wide_is_printed_in_blocks() -> None:
    names = [f"us-{zone}" for zone in "abcdefghijklmnopqrstuvwx"]
    region = EstateRegion("us", "us", tuple(Datacenter(name, name, "us", "us") for name in names))
    subjects = [subject(f"component-{name}", Counting(name)) for name in names]

    lines = table_text(analyse(Estate("aether", "prod", (region,)), subjects), []).splitlines()

    assert max(map(len, lines)) <= 118
    assert sum(line.startswith("failure") for line in lines) > 1
    headers = [word for line in lines if line.startswith("failure") for word in line.split()[1:]]
    assert headers == [each.name for each in subjects]


def test_markdown_has_the_table_the_findings_and_folds_the_rest() -> None:
    analysis = with_components(THREE_REGIONS, nats(streams=MATCHES))
    text = table_markdown(analysis, analysis_findings(analysis))

    assert text.startswith("| failure | events |\n| --- | --- |\n| process that leads | 3-9 s 1/2 |")
    assert "| region us | down! \\~ 1/2 |" in text
    assert "- **note** `events`: region us: MATCHES: down until somebody acts" in text
    assert text.count("<details>") == text.count("</details>") == 5


def test_what_is_found_of_several_components_alike_stands_once_with_their_names() -> None:
    names = ["accounts", "orders", "stock"]
    crowd = [postgres(name=name, more="standby: {region: eu}") for name in names]
    analysis = with_components(THREE_REGIONS, *crowd, postgres(name="other", more="members: 1"))
    findings = analysis_findings(analysis)

    text, markdown = table_text(analysis, findings), table_markdown(analysis, findings)

    together = [line for line in text.splitlines() if line.endswith("(region-loss-by-hand)")]
    assert len(together) == 1
    assert together[0].startswith("note: accounts, orders, stock: region us: down until somebody acts: promote")
    assert "runbooks/<component>.md" in together[0]
    assert markdown.count("(`region-loss-by-hand`)") == 1
    assert "- **note** `accounts, orders, stock`: region us" in markdown
    assert text.count("  accounts, orders, stock: promote the standby in eu") == 1
    assert "error: other: a zone of us" in text
    stay = [each["component"] for each in analysis_values(analysis, findings)["findings"]]
    assert all(stay.count(name) == stay.count("accounts") > 1 for name in names)


def test_a_finding_of_one_component_names_its_own_runbook() -> None:
    analysis = with_components(THREE_REGIONS, postgres(more="standby: {region: eu}"))

    assert shared_findings(analysis_findings(analysis)) == analysis_findings(analysis)


def test_findings_begin_with_the_gravest() -> None:
    single = "{name: ONE, subjects: [one.>], regions: [us], replicas: 1, max_bytes: 1Gi}"
    findings = analysis_findings(with_components(THREE_REGIONS, nats(streams=f"{MATCHES}, {single}")))

    order = ["error", "warning", "note"]
    assert [each.severity for each in findings] == sorted((each.severity for each in findings), key=order.index)
    assert len(findings) == len(set(findings))


def test_values_hold_every_cell_and_its_rules() -> None:
    analysis = with_components(THREE_REGIONS, nats(streams=MATCHES), pairs=True)
    values = analysis_values(analysis, analysis_findings(analysis))

    cells = [cell for failure in values["failures"] for cell in failure["cells"].values()]

    assert len(values["failures"]) == len(analysis.rows)
    assert {cell["impact"] for cell in cells} == set(range(len(values["impacts"])))
    assert all(effect["rules"] for impact in values["impacts"] for effect in impact["effects"])
    assert all(cell["outcome"] == values["impacts"][cell["impact"]]["outcome"] for cell in cells)


def test_the_blast_radius_is_in_the_values() -> None:
    world = WORLD.replace("pvc", "uses: [events], pvc")
    analysis = with_components(THREE_REGIONS, nats(streams=MATCHES), workloads=world)
    values = analysis_values(analysis, [])

    (lost,) = (each for each in values["failures"] if (each["kind"], each["name"]) == ("region", "us"))

    assert [use["region"] for use in values["components"][0]["used_by"]] == ["us", "eu", "ap"]
    assert lost["cells"]["events"]["hits"] == []
    (zone,) = (each for each in values["failures"] if (each["kind"], each["name"]) == ("zone", "us-a"))
    assert zone["cells"]["events"]["hits"] == [{"workload": "world-server", "region": "us", "served_from": "us"}]


def test_equal_platforms_have_equal_analyses() -> None:
    texts = [
        table_text(analysis, analysis_findings(analysis)) + str(analysis_values(analysis, analysis_findings(analysis)))
        for analysis in (with_components(THREE_REGIONS, nats(streams=MATCHES), pairs=True) for _ in range(2))
    ]

    assert texts[0] == texts[1]
