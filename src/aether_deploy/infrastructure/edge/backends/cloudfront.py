"""Back end ``cloudfront``: a CloudFormation template of a CloudFront distribution. Nothing runs here."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from aether_deploy.config.base import Fault
from aether_deploy.infrastructure.component import Place, Port
from aether_deploy.infrastructure.edge.cloudfront_functions import closing_function, telling_function
from aether_deploy.infrastructure.edge.cloudfront_template import MAX_ORIGINS, template_text, unique_name
from aether_deploy.infrastructure.edge.outside import (
    HTTPS,
    copies_reached,
    fetching_faults,
    objects_of,
    outside_policy,
    page_faults,
)
from aether_deploy.infrastructure.edge.policy import classes_of
from aether_deploy.infrastructure.edge.provider_runbooks import cloudfront_runbook, template_name
from aether_deploy.infrastructure.estate import Estate
from aether_deploy.problems import suggestion

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.edge import EdgeConfig
    from aether_deploy.infrastructure.kinds.object_store import ObjectStoreConfig

SHIELDS = (
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "eu-central-1",
    "eu-west-1",
    "eu-west-2",
    "me-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-2",
)
"""Where Origin Shield is offered: Amazon CloudFront Developer Guide, *Choosing the AWS Region for Origin Shield*."""

_NEAR = {
    "us-west-1": "us-west-2",
    "af-south-1": "eu-west-1",
    "ap-east-1": "ap-southeast-1",
    "ca-central-1": "us-east-1",
    "eu-south-1": "eu-central-1",
    "eu-west-3": "eu-west-2",
    "eu-north-1": "eu-west-2",
    "me-south-1": "ap-south-1",
}
"""What the same page advises for the others."""

LONGEST_NAME = 64
_LONGEST_ENDING = len("-closing")
LONGEST_FUNCTION = 10_240
"""Its code, characters: *Quotas on CloudFront Functions*."""

MOST_CLASSES = 20
"""Cache policies of an account, by default: *Quotas on policies*."""


class CloudFrontBackend:
    """Renders a template: two origins, and stale answers only where objects ask for them themselves."""

    called = "CloudFront"

    def ports(self, config: "EdgeConfig") -> tuple[Port, ...]:
        return (HTTPS,)

    def own_faults(self, config: "EdgeConfig") -> Iterator[Fault]:
        yield from _shield(config)
        yield from _stale(config)
        if len(kept := classes_of(config)) > MOST_CLASSES:
            reason = f"{len(kept)} classes, each a cache policy, of which an account may have {MOST_CLASSES} by default"
            yield Fault(("cache_classes",), reason, "join some, or ask for a higher quota", severity="warning")

    def placed_faults(self, config: "EdgeConfig", store: "ObjectStoreConfig", estate: Estate) -> Iterator[Fault]:
        origins = copies_reached(config, store, estate)
        yield from fetching_faults(config, store, origins[:MAX_ORIGINS], self.called)
        yield from page_faults(config, estate, self.called)
        if spare := origins[MAX_ORIGINS:]:
            names = ", ".join(each.name for each in spare)
            reason = f"a group of CloudFront has {MAX_ORIGINS} origins: the copy in {names} is never asked"
            fix = "let fewer regions follow the store, or set backend to nginx"
            yield Fault(("origin",), reason, fix, config.origin, "warning")
        yield from _long_functions(config, estate)
        longest = len(unique_name(config, estate)) + _LONGEST_ENDING
        if longest > LONGEST_NAME:
            reason = f"its functions would have names of {longest} characters, and CloudFront takes {LONGEST_NAME}"
            yield Fault(("name",), reason, "shorten it, or the system's name", config.name)

    def render(self, config: "EdgeConfig", place: Place) -> list[dict[str, Any]]:
        return objects_of(config, place)

    def runbooks(self, config: "EdgeConfig", estate: Estate) -> Mapping[str, str]:
        return {
            f"{config.name}.md": cloudfront_runbook(config, estate),
            template_name(config): template_text(config, estate),
        }

    def origins_asked(self, count: int) -> int:
        return min(count, MAX_ORIGINS)


def _long_functions(config: "EdgeConfig", estate: Estate) -> Iterator[Fault]:
    policy = outside_policy(config, estate)
    codes = {
        ("cache_classes",): telling_function(policy.classes),
        ("origin",): closing_function(policy.open_prefixes),
    }
    for at, code in codes.items():
        if len(code) > LONGEST_FUNCTION:
            reason = (
                f"a function with all these paths has {len(code)} characters, and CloudFront takes {LONGEST_FUNCTION}"
            )
            yield Fault(at, reason, "take fewer of them, or shorter ones")


def _shield(config: "EdgeConfig") -> Iterator[Fault]:
    if config.shield is None or config.shield in SHIELDS:
        return
    near = _NEAR.get(config.shield)
    fix = (
        f"name a region that is {near}: it is the nearest to that"
        if near
        else suggestion(config.shield, SHIELDS, f"name one of {', '.join(SHIELDS)}, or remove it")
    )
    yield Fault(("shield",), "CloudFront has no Origin Shield there", fix, config.shield)


def _stale(config: "EdgeConfig") -> Iterator[Fault]:
    told = {each.name: each.cache_control for each in classes_of(config)}
    for at, each in enumerate(config.cache_classes):
        name = "stale_while_revalidate_secs" if each.stale_while_revalidate_secs else "stale_if_error_secs"
        if each.enabled and getattr(each, name):
            reason = "CloudFront answers stale only what its origin lets it: no policy can say so"
            fix = f"upload what is below {each.match} with Cache-Control: {told[each.name]}"
            yield Fault(("cache_classes", at, name), reason, fix, getattr(each, name), "warning")


BACKEND = CloudFrontBackend()
