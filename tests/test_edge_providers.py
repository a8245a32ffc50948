"""Edges of providers: what holds of all of them, and what is refused between their settings."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from aether_deploy.infrastructure.analysis.failures import PlatformFailure
from aether_deploy.infrastructure.component import Place
from aether_deploy.infrastructure.edge.impact import analyst
from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.kinds.edge import EdgeConfig
from aether_deploy.pods.surroundings import Surroundings
from aether_deploy.problems import ConfigError
from tests.conftest import Golden
from tests.edge_cases import BUCKET, CLASSES, PAGE, PLACES, around, edge, said
from tests.edge_provider_cases import (
    AMAZON,
    BLOCKS,
    before_own,
    on_amazon,
    own_store,
    provider_edge,
)
from tests.object_store_cases import FOLLOWED, store

PROVIDERS = sorted(BLOCKS)
every_provider = pytest.mark.parametrize("backend", PROVIDERS)


@every_provider
def test_nothing_of_a_providers_edge_runs_here_but_its_name_is_known(backend: str) -> None:
    config = provider_edge(backend)

    assert config.secrets(None) == {}  # type: ignore[arg-type]
    assert config.credentials is None
    assert config.client_url(on_amazon(config)) == "https://cdn.example.com"
    assert config.client_ports == (("https", 443, "TCP"),)
    assert [config.serving_region(on_amazon(config), each.code) for each in AMAZON.regions] == [None] * 3


@every_provider
def test_documents_are_the_golden_ones_and_equal_however_often_they_are_made(
    backend: str, check_golden: Golden
) -> None:
    config = provider_edge(backend)
    first, second = (config.runbooks(on_amazon(config)) for _ in range(2))

    assert first == second
    check_golden(f"edge/{backend}", dict(first))


@every_provider
def test_a_store_that_the_internet_does_not_reach_is_refused(backend: str) -> None:
    config = provider_edge(backend)
    followed = store(dict(BUCKET), **FOLLOWED)
    closed = own_store(expose=None, endpoint=None)

    inside = said(config, around(config, followed, PLACES))
    assert len(inside) == 1
    assert inside[0].startswith("origin: 'assets' is exposed inside only, and ")
    assert "is not exposed" in said(config, around(config, closed, AMAZON))[0]


@every_provider
def test_what_is_fetched_in_the_clear_is_said(backend: str) -> None:
    config = provider_edge(backend, cache_classes=[dict(CLASSES[0])])

    (found,) = said(config, before_own(config))
    assert "over the internet without encryption" in found


@every_provider
def test_pages_that_may_send_headers_are_named_since_nobody_answers_their_question(backend: str) -> None:
    config = provider_edge(backend)
    cors = [{"name": "web", "origins": [PAGE], "headers": ["Range"]}]

    found = said(config, on_amazon(config, cors=cors))
    assert [each for each in found if each.startswith(f"origin: pages of {PAGE} may send Range, about which")]
    assert "may send" not in str(said(config, on_amazon(config)))


@every_provider
def test_a_bucket_that_is_not_public_is_refused_once(backend: str) -> None:
    config = provider_edge(backend)

    assert said(config, on_amazon(config, public_prefixes=[])) == [
        "origin: bucket 'game-assets' has no public_prefixes, so that nothing of it can be read"
    ]


@every_provider
def test_a_failure_here_takes_nothing_of_a_providers_edge_but_its_origins(backend: str) -> None:
    config = provider_edge(backend)
    own = analyst(config, before_own(config))
    gone, shaken = (
        PlatformFailure(kind=kind, name="us-east-1", lost=frozenset(f"us-east-1-{zone}" for zone in zones))  # type: ignore[arg-type]
        for kind, zones in (("region", "abc"), ("zone", "a"))
    )

    assert own.pods == {}
    (effect,) = own.impact(gone).effects
    assert (effect.part, effect.outcome, effect.is_certain) == (config.renderer.called, "read-only", True)
    assert "index for 86401 s" in effect.note
    (effect,) = own.impact(shaken).effects
    assert (effect.outcome, effect.is_certain) == ("read-only", False)
    assert effect.note.startswith("if the store's server is among the lost: only what is kept is answered: ")


@every_provider
def test_a_lost_region_may_be_that_of_the_bucket_and_who_has_a_second_origin_asks_it(backend: str) -> None:
    config = provider_edge(backend)
    looks = analyst(config, on_amazon(config))
    us, eu, zone = (
        PlatformFailure(kind=kind, name=region, lost=frozenset(f"{region}-{zone}" for zone in "abc"))  # type: ignore[arg-type]
        for kind, region in (("region", "us-east-1"), ("region", "eu-west-1"), ("zone", "us-east-1"))
    )
    case = "if it is us-east-1 of aws itself that is lost"

    (effect,) = looks.impact(us).effects
    assert (looks.pods, looks.parts, zone.lost <= looks.footprint.datacenters) == ({}, 1, True)
    assert (effect.outcome, effect.note.partition(": only")[0].partition(", what")[0]) == (
        ("holds", case) if backend == "cloudfront" else ("read-only", case)
    )
    assert ("comes from eu-west-1" in effect.note) == (backend == "cloudfront")
    assert bool(looks.impact(eu).effects) == (backend == "cloudfront")
    assert looks.impact(zone).effects == ()


@every_provider
def test_a_diff_tells_what_somebody_has_to_apply_and_nothing_where_it_is_the_same(backend: str) -> None:
    config, longer = provider_edge(backend), provider_edge(backend, cache_classes=[dict(CLASSES[0])])
    before, after = (sums(each, on_amazon(each)) for each in (config, longer))

    (found,) = EdgeConfig.file_changes(before, after)
    assert found.effect == "by hand"
    assert all(name in before and name.endswith(".json") for name in re.findall(r"cdn-\S+json", found.says))
    assert list(EdgeConfig.file_changes(before, before)) == []
    (left,) = EdgeConfig.file_changes(before, {"nginx.conf": "x"})
    assert left.says.endswith("made at the provider stays there until somebody deletes it")


def sums(config: EdgeConfig, where: Estate) -> dict[str, str]:
    """Return the checksums of its documents, which stand in one cluster alone."""
    found = []
    for each in where.regions:
        spot = Place(
            estate=where, region=each, cluster=each.code, datacenters=each.datacenters, surroundings=Surroundings()
        )
        found += [body["data"] for body in config.render(spot) if body["kind"] == "ConfigMap"]
    (data,) = found
    return dict(data)


@every_provider
def test_its_runbook_names_every_document_and_every_class(backend: str) -> None:
    config = provider_edge(backend)
    files = config.runbooks(on_amazon(config))

    text = files["cdn.md"]
    assert [name for name in files if name.endswith(".json") and name not in text] == []
    assert all(f"| {each['name']} | `{each['match']}` |" in text for each in CLASSES)


@every_provider
def test_its_runbook_says_that_nothing_of_it_was_executed(backend: str) -> None:
    text = provider_edge(backend).runbooks(on_amazon(provider_edge(backend)))["cdn.md"]

    assert f"**This was never executed at {({'cloudfront': 'Amazon', 'cloudflare': 'Cloudflare'})[backend]}.**" in text


REQUESTS = """\
#!/bin/sh
case "$*" in *zones?name=example.com*) echo asked; exit 0;; esac
echo "$*" >> requests
case "$*" in *"$REFUSED"*) exit 22;; esac
"""
"""Stands for curl: notes what it is told to send, and ends as ``--fail`` lets it where a request is refused."""


def sent(folder: Path, text: str, refused: str) -> list[str]:
    """Return the documents that a shell sends which is given the first two blocks of a runbook, in their order."""
    programs = {"curl": REQUESTS, "jq": "#!/bin/sh\ncat > /dev/null\necho 023e105f4ecef8ad9ca31a8372d0c353\n"}
    for name, program in programs.items():
        (folder / name).write_text(program)
        (folder / name).chmod(0o755)
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)[:2]
    surroundings = {"PATH": f"{folder}:/usr/bin:/bin", "REFUSED": refused, "CLOUDFLARE_API_TOKEN": "token"}
    subprocess.run(["sh", "-c", "".join(blocks)], cwd=folder, env=surroundings, check=False, capture_output=True)
    asked = (folder / "requests").read_text().splitlines()
    assert all("--fail" in line and "/zones/023e105f4ecef8ad9ca31a8372d0c353/" in line for line in asked)
    return [line.rpartition("cdn-cloudflare-")[2].removesuffix(".json") for line in asked]


def test_no_request_to_cloudflare_follows_one_that_was_refused(tmp_path: Path) -> None:
    text = provider_edge("cloudflare").runbooks(on_amazon(provider_edge("cloudflare")))["cdn.md"]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()

    everything = sent(whole, text, "nothing of the sort")
    until = sent(cut, text, "http_request_cache_settings")

    assert everything[0] == "http_request_firewall_custom"
    assert everything[-1] == "dns"
    assert len(everything) == 8
    assert until == everything[: everything.index("http_request_cache_settings") + 1]


def test_a_token_for_cloudflare_may_edit_what_is_sent_and_nothing_else() -> None:
    amazon = provider_edge("cloudflare").runbooks(on_amazon(provider_edge("cloudflare")))["cdn.md"]
    own = provider_edge("cloudflare").runbooks(before_own(provider_edge("cloudflare")))["cdn.md"]

    assert "may edit Cache Rules, Cloud Connector, Config Rules, DNS, Transform Rules, Zone WAF, read Zone" in amazon
    assert "may edit Cache Rules, Config Rules, DNS, Origin Rules, Transform Rules, Zone WAF, read Zone" in own


# --- what is refused between its settings


def refused(backend: str, **settings: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        provider_edge(backend, **settings)
    return str(caught.value)


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "an image": ("cloudfront", {"image": "nginx:1.31.3"}, "$.image: not used: nothing of CloudFront runs here"),
    "replicas": ("cloudflare", {"replicas": 2}, "$.replicas: not used: nothing of Cloudflare runs here"),
    "room": ("cloudfront", {"cache_size": "10Gi"}, "$.cache_size: not used: nothing of CloudFront runs here"),
    "a load balancer": ("cloudflare", {"expose": {"type": "LoadBalancer", "ports": ["https"]}}, "$.expose: not used"),
    "a Secret": ("cloudfront", {"tls": {"secret": "cdn-tls"}}, "$.tls: not used"),
    "a network": ("cloudfront", {"network": {"allow_from": ["10.0.0.0/8"]}}, "$.network: not used"),
    "a zone that is none": (
        "cloudflare", {"cloudflare": {"zone": ""}},
        "$.cloudflare.zone: is ''; not the name of a zone\n  fix: write the domain that Cloudflare answers for, of "
        "which hostname is a part: example.com",
    ),
    "no certificate": ("cloudfront", {"cloudfront": None}, "$: lacks 'cloudfront', which its back end must know"),
    "a certificate of elsewhere": (
        "cloudfront",
        {"cloudfront": {"certificate_arn": "arn:aws:acm:eu-west-1:123456789012:certificate/1"}},
        "CloudFront takes those of us-east-1 only",
    ),
    "settings of another": ("cloudfront", {"cloudflare": {"zone": "example.com"}}, "$.cloudflare: not used"),
    "a zone of somebody else's": (
        "cloudflare", {"cloudflare": {"zone": "example.org"}}, "'cdn.example.com' does not end in it",
    ),
    "a shield that Cloudflare chooses itself": ("cloudflare", {"shield": "us-east-1"}, "Cloudflare chooses itself"),
    "a shield where there is none": (
        "cloudfront", {"shield": "eu-north-1"}, "no Origin Shield there\n  fix: name a region that is eu-west-2",
    ),
    "a shield that is no region of Amazon's": ("cloudfront", {"shield": "dublin"}, "fix: name one of ap-northeast-1"),
}  # fmt: skip


@pytest.mark.parametrize("sentence", REFUSED)
def test_a_providers_edge_refuses_what_it_cannot_keep(sentence: str) -> None:
    backend, settings, words = REFUSED[sentence]

    assert words in refused(backend, **settings)


def test_an_edge_that_runs_here_refuses_settings_of_a_provider() -> None:
    with pytest.raises(ConfigError) as caught:
        edge(cloudflare={"zone": "example.com"})

    assert "$.cloudflare: not used: backend is nginx" in str(caught.value)


def test_a_name_two_labels_below_the_zone_lacks_a_certificate_of_cloudflares() -> None:
    config = provider_edge("cloudflare", hostname="cdn.eu.example.com")

    (found,) = config.problems()
    assert (found.severity, "Universal SSL has no certificate" in found.reason) == ("warning", True)
