"""Addresses and ports of the loopback network that no other lab of this machine uses."""

import itertools
import os
import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack

from aether_deploy.problems import EffectError

_BLOCKS = 120 * 256
_FIRST, _LAST = 10, 240
_CLAIM_HOST, _CLAIM_PORT = 250, 52_525
_HOST = "127.0.0.1"
_DATAGRAM_PORTS = range(12_000, 32_000)
"""Below those that systems give to who asks for any: a client of somebody else never sits there by chance."""

_next_port = itertools.count(random.SystemRandom().randrange(len(_DATAGRAM_PORTS)))


def free_datagram_port() -> int:
    """Return a UDP port on the loopback address that nobody has, and that this process was not given before.

    Nothing keeps it so, for two programs that share a UDP port share its datagrams; but nobody is given it by chance.

    Raises:
        EffectError: All of them are taken.
    """
    for _ in _DATAGRAM_PORTS:
        port = _DATAGRAM_PORTS[next(_next_port) % len(_DATAGRAM_PORTS)]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as each:
            try:
                each.bind((_HOST, port))
            except OSError:
                continue
        return port
    raise EffectError("no UDP port of this machine is free\n  fix: end other labs of this machine")


def own_addresses(life: ExitStack) -> Iterator[str]:
    """Yield addresses of 127.0.0.0/8 that are ours as long as ``life`` lasts; only Linux answers at all of them.

    A block of them is claimed by a socket on its last address, which nobody else can bind meanwhile.

    Raises:
        EffectError: All blocks are claimed.
    """
    begin = os.getpid() * 7
    for each in range(_BLOCKS):
        number = (begin + each) % _BLOCKS
        block = f"127.{2 + number // 256}.{number % 256}"
        claim = life.enter_context(socket.socket())
        try:
            claim.bind((f"{block}.{_CLAIM_HOST}", _CLAIM_PORT))
        except OSError:
            claim.close()
            continue
        yield from (f"{block}.{host}" for host in range(_FIRST, _LAST))
    raise EffectError("no address of the loopback network is free\n  fix: end other labs of this machine")
