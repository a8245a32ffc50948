"""What people do by hand with a provider's edge: apply what was rendered, look, and have it forget."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from aether_deploy.infrastructure.edge.cloudflare_rules import (
    CONNECTOR,
    DNS,
    FIREWALL,
    TRANSFORM,
    asked_origin,
    documents_of,
)
from aether_deploy.infrastructure.edge.cloudfront_template import MAX_ORIGINS, unique_name
from aether_deploy.infrastructure.edge.outside import outside_origins
from aether_deploy.infrastructure.edge.policy import classes_of
from aether_deploy.infrastructure.estate import Estate

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.edge import EdgeConfig

_API = "https://api.cloudflare.com/client/v4/zones/$ZONE_ID"
_SEND = "curl -sS -H \"Authorization: Bearer $CLOUDFLARE_API_TOKEN\" -H 'Content-Type: application/json'"


def template_name(config: "EdgeConfig") -> str:
    """Return the name of the file with the template."""
    return f"{config.name}-cloudfront.json"


def cloudfront_runbook(config: "EdgeConfig", estate: Estate) -> str:
    """Return the runbook of an edge of CloudFront as Markdown."""
    stack = unique_name(config, estate)
    origins = outside_origins(config, estate.component(config.store), estate)[:MAX_ORIGINS]
    asked = ", then ".join(f"{each.name} ({each.address.url}{each.path})" for each in origins)
    lines = [
        f"# {config.name}: what is done by hand\n",
        f"An edge of CloudFront at `{config.hostname}`. It asks {asked}. Nothing of it runs in a cluster, and no "
        f"engine applies it: its stack is `{template_name(config)}` beside this file.\n",
        *_classes(config),
        "\n## Apply it, at first and after every change\n",
        "```sh",
        f"aws cloudformation deploy --region us-east-1 --stack-name {stack} --template-file {template_name(config)}",
        f"aws cloudformation describe-stacks --region us-east-1 --stack-name {stack} --query 'Stacks[0].Outputs'",
        "```\n",
        f"`--no-execute-changeset` shows what would change. `{config.hostname}` must be a CNAME of the output "
        "`DomainName` (an alias record, where the name is that of a zone). CloudFormation's Git sync can take the file "
        "from this repository by itself.\n",
        *_ask(config, "X-Cache"),
        "## Have it forget\n",
        "An object under a name with its hash never need be forgotten: publish another name.\n",
        "```sh",
        f"id=$(aws cloudformation describe-stacks --region us-east-1 --stack-name {stack} --output text \\",
        "  --query \"Stacks[0].Outputs[?OutputKey=='DistributionId'].OutputValue\")",
        "aws cloudfront create-invalidation --distribution-id \"$id\" --paths '/<path>*'",
        "```\n",
    ]
    return "\n".join(lines)


def cloudflare_runbook(config: "EdgeConfig", estate: Estate) -> str:
    """Return the runbook of an edge of Cloudflare as Markdown."""
    origin = asked_origin(config, estate)
    assert config.cloudflare is not None
    lines = [
        f"# {config.name}: what is done by hand\n",
        f"An edge of Cloudflare at `{config.hostname}`, in the zone `{config.cloudflare.zone}`. It asks {origin.name} "
        f"({origin.address.url}{origin.path}). Nothing of it runs in a cluster, and no engine applies it: each file "
        "beside this one is the body of one request to Cloudflare's API.\n",
        *_classes(config),
        "\n## Apply it, at first and after every change\n",
        "**A request for a phase replaces all rules that the zone has in it.** Where the zone serves other names, too, "
        "add these rules to theirs instead: each has a `ref` by which it is found again. What closes private paths "
        "goes first, and the record of DNS last.\n",
        "```sh",
        *_requests(config, estate),
        "```\n",
        f"An edge that had answered `{config.hostname}` before has a record already: send it with `PUT` to "
        "`/dns_records/<id>`.\n",
        "## Let edges ask each other first\n",
        "Tiered Cache is a setting of the whole zone.\n",
        "```sh",
        f'{_SEND} -X PATCH {_API}/argo/tiered_caching --data \'{{"value": "on"}}\'',
        f'{_SEND} -X PATCH {_API}/cache/tiered_cache_smart_topology_enable --data \'{{"value": "on"}}\'',
        "```\n",
        *_ask(config, "CF-Cache-Status"),
        "## Have it forget\n",
        "An object under a name with its hash never need be forgotten: publish another name.\n",
        "```sh",
        f'{_SEND} -X POST {_API}/purge_cache --data \'{{"files": ["https://{config.hostname}/<path>"]}}\'',
        "```\n",
    ]
    return "\n".join(lines)


def _requests(config: "EdgeConfig", estate: Estate) -> Iterator[str]:
    order = [FIREWALL, TRANSFORM]
    documents = documents_of(config, estate)
    phases = sorted(documents.keys() - {DNS, CONNECTOR}, key=lambda each: (each not in order, each))
    for phase in phases:
        yield f"{_SEND} -X PUT {_API}/rulesets/phases/{phase}/entrypoint --data @{config.name}-cloudflare-{phase}.json"
    if CONNECTOR in documents:
        yield f"{_SEND} -X PUT {_API}/cloud_connector/rules --data @{config.name}-cloudflare-{CONNECTOR}.json"
    yield f"{_SEND} -X POST {_API}/dns_records --data @{config.name}-cloudflare-{DNS}.json"


def _classes(config: "EdgeConfig") -> Iterator[str]:
    yield "| class | paths | what browsers are told |"
    yield "|---|---|---|"
    for each in classes_of(config):
        yield f"| {each.name} | `{each.match}` | `{each.cache_control}` |"


def _ask(config: "EdgeConfig", header: str) -> Iterator[str]:
    yield "## Ask it\n"
    yield f"`{header}` says where an answer comes from.\n"
    yield "```sh"
    yield f"curl -sI https://{config.hostname}/<path>"
    yield "```\n"
