"""What people do by hand with a provider's edge: apply what was rendered, look, and have it forget."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from aether_deploy.infrastructure.edge.cloudflare_rules import (
    CACHE,
    CACHE_RESPONSE,
    CONNECTOR,
    DNS,
    FIREWALL,
    HEADERS,
    ORIGIN,
    SETTINGS,
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

_FUNCTION = """\
cloudflare() {
  verb=$1 what=$2
  shift 2
  curl --fail-with-body --silent --show-error -H "Authorization: Bearer $CLOUDFLARE_API_TOKEN" \\
    -H 'Content-Type: application/json' -X "$verb" "https://api.cloudflare.com/client/v4/zones$what" "$@"
}"""
"""A request to Cloudflare's API, which fails where the answer is an error."""

_PERMISSIONS = {
    FIREWALL: "Zone WAF",
    TRANSFORM: "Transform Rules",
    HEADERS: "Transform Rules",
    SETTINGS: "Config Rules",
    ORIGIN: "Origin Rules",
    CACHE: "Cache Rules",
    CACHE_RESPONSE: "Cache Rules",
    CONNECTOR: "Cloud Connector",
    DNS: "DNS",
}
"""What a token must be let edit for each document: Cloudflare Docs, *API token permissions*."""


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
        "**This was never executed at Amazon.** The template was held against CloudFormation's published schemas, and "
        "its functions were run elsewhere: try it with a host name of no worth first.\n",
        *_classes(config),
        "\n## Apply it, at first and after every change\n",
        "```sh",
        f"aws cloudformation deploy --region us-east-1 --stack-name {stack} --template-file {template_name(config)} &&",
        f"  aws cloudformation describe-stacks --region us-east-1 --stack-name {stack} --query 'Stacks[0].Outputs'",
        "```\n",
        f"`--no-execute-changeset` shows what would change. `{config.hostname}` must be a CNAME of the output "
        "`DomainName` (an alias record, where the name is that of a zone). CloudFormation's Git sync can take the file "
        "from this repository by itself.\n",
        *_ask(config, "X-Cache"),
        "## Have it forget\n",
        "An object under a name with its hash never need be forgotten: publish another name.\n",
        "```sh",
        f"id=$(aws cloudformation describe-stacks --region us-east-1 --stack-name {stack} --output text \\",
        "  --query \"Stacks[0].Outputs[?OutputKey=='DistributionId'].OutputValue\") &&",
        "  aws cloudfront create-invalidation --distribution-id \"$id\" --paths '/<path>*'",
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
        "**This was never executed at Cloudflare.** Requests were held against what its own library lets them hold, "
        "and expressions against its own parser: try it with a host name of no worth first.\n",
        *_classes(config),
        *_preparing(config, estate),
        "## Apply it, at first and after every change\n",
        "**A request for a phase replaces all rules that the zone has in it.** Where the zone serves other names, too, "
        "add these rules to theirs instead: each has a `ref` by which it is found again. What closes private paths "
        "goes first, and the record of DNS last; where one is refused, none follows. Mend what the answer says, and "
        "send all of them again.\n",
        "```sh",
        " &&\n  ".join(_requests(config, estate)),
        "```\n",
        f"Once `{config.hostname}` has a record, the last request is refused, and the others are done. A record that "
        f"is not as `{_file(config, DNS)}` has it is sent with `PUT` to `/dns_records/<id>`.\n",
        "## Let edges ask each other first\n",
        "Tiered Cache is a setting of the whole zone.\n",
        "```sh",
        'cloudflare PATCH "/$ZONE_ID/argo/tiered_caching" --data \'{"value": "on"}\' &&',
        '  cloudflare PATCH "/$ZONE_ID/cache/tiered_cache_smart_topology_enable" --data \'{"value": "on"}\'',
        "```\n",
        *_ask(config, "CF-Cache-Status"),
        "## Have it forget\n",
        "An object under a name with its hash never need be forgotten: publish another name.\n",
        "```sh",
        f'cloudflare POST "/$ZONE_ID/purge_cache" --data \'{{"files": ["https://{config.hostname}/<path>"]}}\'',
        "```\n",
    ]
    return "\n".join(lines)


def _preparing(config: "EdgeConfig", estate: Estate) -> Iterator[str]:
    assert config.cloudflare is not None
    zone, documents = config.cloudflare.zone, documents_of(config, estate)
    edited = sorted({_PERMISSIONS[each] for each in documents})
    yield "\n## Before all requests\n"
    yield (
        f"`$CLOUDFLARE_API_TOKEN` is a token for the zone `{zone}` alone (dashboard, *My Profile*, *API Tokens*), "
        f"which may edit {', '.join(edited)}, read Zone, edit Zone Settings for Tiered Cache, and purge Cache Purge. "
        "All commands are for one shell, in the folder of this file. The zone's number is asked for by its name:\n"
    )
    yield "```sh"
    yield _FUNCTION
    yield f"ZONE_ID=$(cloudflare GET '?name={zone}' | jq --exit-status --raw-output '.result[0].id') &&"
    yield '  echo "$ZONE_ID"'
    yield "```\n"


def _requests(config: "EdgeConfig", estate: Estate) -> Iterator[str]:
    """Yield one command for each document, that which closes private paths first and the record of DNS last."""
    order = [FIREWALL, TRANSFORM]
    documents = documents_of(config, estate)
    phases = sorted(documents.keys() - {DNS, CONNECTOR}, key=lambda each: (each not in order, each))
    for phase in phases:
        yield f'cloudflare PUT "/$ZONE_ID/rulesets/phases/{phase}/entrypoint" --data @{_file(config, phase)}'
    if CONNECTOR in documents:
        yield f'cloudflare PUT "/$ZONE_ID/cloud_connector/rules" --data @{_file(config, CONNECTOR)}'
    yield f'cloudflare POST "/$ZONE_ID/dns_records" --data @{_file(config, DNS)}'


def _file(config: "EdgeConfig", phase: str) -> str:
    return f"{config.name}-cloudflare-{phase}.json"


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
