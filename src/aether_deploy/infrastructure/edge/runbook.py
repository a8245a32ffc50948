"""What people do by hand with edges: ask one, see what it keeps, and have it forget."""

from typing import TYPE_CHECKING

from aether_deploy.infrastructure.edge.policy import classes_of, policy_of
from aether_deploy.infrastructure.edge.ports import HTTP
from aether_deploy.infrastructure.estate import Estate

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.edge import EdgeConfig


def runbook(config: "EdgeConfig", estate: Estate) -> str:
    """Return the runbook as Markdown."""
    placed = [each for each in estate.regions if each.code in config.placed_in(estate)]
    lines = [
        f"# {config.name}: what is done by hand\n",
        "Commands use `kubectl` with a context for each cluster, named as it is.\n",
        "| edge | asks, in this order |",
        "|---|---|",
    ]
    for region in placed:
        origins = ", ".join(
            f"{each.name} ({each.address.url})" for each in policy_of(config, estate, region.code).origins
        )
        lines.append(f"| {region.code} | {origins} |")
    lines += ["", "| class | paths | what browsers are told |", "|---|---|---|"]
    lines += [f"| {each.name} | `{each.match}` | `{each.cache_control}` |" for each in classes_of(config)]
    lines += [
        "",
        "## Ask one\n",
        "`X-Cache` says where an answer comes from; `BYPASS`: it belongs to no class that is kept.\n",
        "```sh",
    ]
    for region in placed:
        host = estate.filled(config.endpoint or config.hostname, region.code)
        if config.tls is None:
            lines.append(f"curl -sI -H 'Host: {config.hostname}' http://{host}/<path>")
        else:  # the certificate is that of the one name
            lines.append(f"curl -sI --connect-to {config.hostname}:443:{host}:443 https://{config.hostname}/<path>")
    lines += [
        "```\n",
        "## Have edges forget\n",
        "An object under a name with its hash never need be forgotten: publish another name. To forget everything, "
        "replace the pods; each fetches anew, and asks once for each object however many players do.\n",
        "```sh",
    ]
    space = estate.data_namespace
    lines += [
        f"kubectl --context {each.cluster} -n {space} rollout restart deployment/{config.name}" for each in placed
    ]
    lines += ["```\n", "## See how much is a hit\n", "```sh"]
    lines += [
        f"kubectl --context {each.cluster} -n {space} logs deployment/{config.name} | awk '{{ n[$6]++ }} "
        "END { for (word in n) print n[word], word }'"
        for each in placed
    ]
    lines += ["```\n", f"Pods answer on port {HTTP[1]}; each keeps {config.cache_size} at most, and its own.\n"]
    return "\n".join(lines)
