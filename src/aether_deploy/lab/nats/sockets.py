"""Which socket of this machine is at the other end of a connection, as the Linux kernel numbers them.

The list in ``/proc/net/tcp`` says it too, but it names every connection of the machine, closed ones as well: a quarter
of a second for ten thousand. So the kernel is asked for the one (``sock_diag(7)``), and the list is read where it does
not answer.
"""

import socket
import struct
from pathlib import Path

_TCP = Path("/proc/net/tcp")
_ESTABLISHED = "01"
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST = 1
_HEADER = struct.Struct("=IHHII")
_ASKED = struct.Struct("=BBBxI")
_INODE_AT = _HEADER.size + 68  # the last field of struct inet_diag_msg
_ANY_STATE, _NO_COOKIE, _PADDING = 0xFFFFFFFF, b"\xff" * 8, b"\0" * 12

Address = tuple[str, int]


def inode_of(local: Address, remote: Address) -> int | None:
    """Return the kernel's number of a connected socket of IPv4; None where there is none.

    Args:
        local: Address and port of the socket.
        remote: Those that it is connected to.
    """
    try:
        return _asked(local, remote)
    except OSError:  # this kernel cannot be asked
        return _listed(local, remote)


def _asked(local: Address, remote: Address) -> int | None:
    ends = struct.pack("!HH", local[1], remote[1])
    addresses = b"".join(socket.inet_aton(host) + _PADDING for host, _ in (local, remote))
    question = _ASKED.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, _ANY_STATE) + ends + addresses + bytes(4) + _NO_COOKIE
    header = _HEADER.pack(_HEADER.size + len(question), _SOCK_DIAG_BY_FAMILY, _REQUEST, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_SOCK_DIAG) as kernel:
        kernel.bind((0, 0))
        kernel.send(header + question)
        answer = kernel.recv(8192)
    _, kind, *_ = _HEADER.unpack_from(answer)
    if kind != _SOCK_DIAG_BY_FAMILY:
        code = -int(struct.unpack_from("=i", answer, _HEADER.size)[0])
        if code == 2:  # ENOENT: there is no such socket, or nobody who could tell
            return _listed(local, remote)
        raise OSError(code, "the kernel does not say")
    return int(struct.unpack_from("=I", answer, _INODE_AT)[0])


def _listed(local: Address, remote: Address) -> int | None:
    # By both ends: connections to different addresses may share a port on this side.
    wanted = [_as_listed(local), _as_listed(remote), _ESTABLISHED]
    for line in _TCP.read_text("ascii").splitlines()[1:]:
        fields = line.split()
        if fields[1:4] == wanted:
            return int(fields[9])
    return None


def _as_listed(address: Address) -> str:
    (host,) = struct.unpack("=I", socket.inet_aton(address[0]))
    return f"{host:08X}:{address[1]:04X}"
