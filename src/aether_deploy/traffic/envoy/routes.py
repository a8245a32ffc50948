"""From a listener to regions: which address and port of which region, in which order, and what tells its health."""

from collections.abc import Iterable, Iterator

import msgspec

from aether_deploy.config.base import Fault
from aether_deploy.problems import suggestion
from aether_deploy.routing.tracking.health import Scheme
from aether_deploy.traffic.backend import Landscape, Port, Question, Target
from aether_deploy.traffic.envoy.parts import ListenerConfig

_EXPOSE = "expose a TCP port of it that answers health, or name it in check"


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """One region that a listener sends sessions to.

    Attributes:
        region: Its code.
        host: Name of the workload there: its Service at home, else where the outside reaches it.
        name: Where the outside reaches it, at home too where it does: what it is asked for.
    """

    region: str
    host: str
    name: str


def stops(landscape: Landscape, region: str, target: Target) -> tuple[Stop, ...]:
    """Return the regions that take sessions of players of ``region``, best first."""
    return tuple(_stops(landscape, region, target, landscape.order[region]))


def last_stop(landscape: Landscape, region: str, target: Target) -> Stop | None:
    """Return where players of ``region`` go when no region is healthy and routing fails open; None is nowhere."""
    codes = (landscape.last_resort or landscape.order)[region]
    return next(_stops(landscape, region, target, codes), None)


def _stops(landscape: Landscape, region: str, target: Target, codes: Iterable[str]) -> Iterator[Stop]:
    for code in codes:
        if code not in target.regions:
            continue
        name = target.addresses.get(code)
        host = f"{target.name}.{landscape.namespace}.svc" if code == region else name
        if host is not None:
            yield Stop(region=code, host=host, name=name or host)


def target_port(listener: ListenerConfig, target: Target) -> Port | None:
    """Return the workload's port that a listener leads to; None where that is not clear."""
    if listener.to_port is not None:
        return target.port(listener.to_port)
    same = [port for port in target.ports if port[2] == listener.transport]
    outside = [port for port in same if port[0] in target.exposed] or same
    named = [port for port in same if port[0] == listener.name]
    return named[0] if named else outside[0] if len(outside) == 1 else None


def question(landscape: Landscape, listener: ListenerConfig, target: Target) -> Question | None:
    """Return what tells whether a region's workload takes sessions; None where nothing does.

    The entry is asked what the router asks it. Any other workload is asked as the kubelet asks it: any certificate
    will do, since a check tells whether somebody serves, and sends no secret.
    """
    is_entry = target.name == landscape.entry.name
    if (check := listener.check) is not None:
        port = target.port(check.port)
        if port is None:
            return None
        name = landscape.hostname if is_entry else None
        scheme: Scheme = check.scheme if check.path else "tcp"
        return Question(port=port, scheme=scheme, path=check.path, server_name=name, verified=is_entry)
    if is_entry:
        return landscape.question
    if target.readiness is None:
        return None
    path, number, kind = target.readiness
    if kind not in ("http", "https", "tcp"):
        return None
    named = next((each for each in target.ports if each[1] == number and each[2] == "TCP"), None)
    asked = named or (f"check-{number}", number, "TCP")
    if kind == "tcp":
        return Question(port=asked, scheme="tcp")
    return Question(port=asked, scheme="https" if kind == "https" else "http", path=path)


def listener_faults(landscape: Landscape, listener: ListenerConfig) -> Iterator[Fault]:
    """Yield what keeps one listener from leading anywhere; steps begin at the listener."""
    target = landscape.target(listener.to)
    if target is None:
        known = [landscape.entry.name, *landscape.targets]
        fix = suggestion(listener.to, known, "name a world or a service")
        yield Fault(("to",), "nothing in this file has that name, or nothing of it can be called", fix, listener.to)
        return
    if not target.sound:
        return  # what it lacks may be among its own faults
    yield from _port_faults(landscape, listener, target)
    yield from _region_faults(landscape, listener, target)
    yield from _check_faults(landscape, listener, target)


def _port_faults(landscape: Landscape, listener: ListenerConfig, target: Target) -> Iterator[Fault]:
    transport, port = listener.transport, target_port(listener, target)
    if port is None and listener.to_port is not None:
        names = [each[0] for each in target.ports]
        fix = suggestion(listener.to_port, names, f"known are {', '.join(names) or 'none'}")
        yield Fault(("to_port",), f"'{target.name}' has no port of that name", fix, listener.to_port)
    elif port is None:
        fitting = [each[0] for each in target.ports if each[2] == transport]
        says = (
            f"has {len(fitting)} ports of protocol {transport}" if fitting else f"has no port of protocol {transport}"
        )
        fix = (
            f"set to_port to one of {', '.join(fitting)}"
            if fitting
            else "change the protocol, or name another workload"
        )
        yield Fault((), f"does not say where it leads: '{target.name}' {says}", fix)
    elif port[2] != transport:
        reason = f"of protocol {port[2]}, and the listener's is {listener.protocol}"
        yield Fault(("to_port",), reason, "name another port, or change the protocol", port[0])
    elif _crosses(landscape) and port[0] not in target.exposed:
        reason = f"leads to port '{port[0]}' of '{target.name}', which other regions cannot reach"
        yield Fault(("to",), reason, f"add it to expose.ports of '{target.name}'", listener.to)


def _region_faults(landscape: Landscape, listener: ListenerConfig, target: Target) -> Iterator[Fault]:
    if not target.regions:
        yield Fault(("to",), f"'{target.name}' runs nowhere", "name a workload that runs", listener.to)
    lost = [code for code in landscape.regions if code in target.regions and code not in target.addresses]
    if lost and _crosses(landscape):
        reason = f"'{target.name}' has no address that other regions reach it at in {', '.join(lost)}"
        yield Fault(("to",), reason, f"give '{target.name}' an endpoint, or routing a hostname", listener.to)
    if len(target.regions) == 1 and len(landscape.regions) > 1:
        reason = f"'{target.name}' runs in one region, so there is nowhere else to send its players"
        yield Fault(("to",), reason, "run it in more regions", listener.to, "warning")


def _check_faults(landscape: Landscape, listener: ListenerConfig, target: Target) -> Iterator[Fault]:
    if listener.check is not None and target.port(listener.check.port) is None:
        names = [each[0] for each in target.ports if each[2] == "TCP"]
        fix = suggestion(listener.check.port, names, f"known are {', '.join(names) or 'none'}")
        yield Fault(("check", "port"), f"'{target.name}' has no port of that name", fix, listener.check.port)
        return
    asked = question(landscape, listener, target)
    if asked is None and target.name == landscape.entry.name:
        return  # that the entry cannot be asked is told of routing.health
    if asked is None:
        why = "nothing that Envoy can ask tells whether a region takes its players"
        yield Fault(
            ("to",), f"{why}: '{target.name}' has no readiness probe of type http, https or tcp", _EXPOSE, listener.to
        )
        return
    port = asked.port
    if port not in target.ports:
        reason = f"port {port[1]} of '{target.name}', which tells its health, is no TCP port of its Service"
        yield Fault(("to",), reason, _EXPOSE, listener.to)
    elif _crosses(landscape) and port[0] not in target.exposed:
        reason = f"port '{port[0]}' of '{target.name}' tells its health, and other regions cannot reach it"
        yield Fault(
            ("to",), reason, f"add {port[0]} to expose.ports of '{target.name}', or name another in check", listener.to
        )


def _crosses(landscape: Landscape) -> bool:
    """Whether sessions of one region may go to another."""
    return len(landscape.regions) > 1
