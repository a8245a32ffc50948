"""How players of a lost region learn where to go now: by the router, and by every back end."""

from typing import TYPE_CHECKING

from aether_deploy.platform.routing import router_config, routing_of
from aether_deploy.routing.waits import RECONNECT_SECS, Path, paths_of, router_path

if TYPE_CHECKING:
    from aether_deploy.platform.config import Platform


def arrival_paths(platform: "Platform", *, reconnect_secs: int = RECONNECT_SECS) -> tuple[Path, ...]:
    """Return every way, with how long it takes; none where nothing sends players to regions.

    Args:
        platform: A platform without faults.
        reconnect_secs: What a client needs until it asks again, seconds: an assumption about clients.
    """
    routing, landscape = routing_of(platform), platform.landscape
    if routing is None or landscape is None:
        return ()
    ways = [router_path(router_config(platform).health)] if routing.service is not None else []
    for each in routing.sound_backends:
        name = f"{each.name}, {each.PROVISO}" if each.PROVISO else each.name
        ways.append(Path(name=name, waits=each.waits(landscape)))
    return paths_of(ways, reconnect_secs=reconnect_secs)
