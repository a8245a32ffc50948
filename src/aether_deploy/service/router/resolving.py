"""Names to addresses, without anybody waiting for a slow name server twice.

The system's resolver blocks and cannot be cancelled. Each name is asked for by one thread at a time, so a name that
hangs costs one thread and no other name waits for it. What was known stays in use while it is asked for again, and
when nobody answers any more.
"""

import asyncio
import contextlib
import ipaddress
import socket
from concurrent.futures import ThreadPoolExecutor

FRESH_SECS = 5.0
NAMES_MAX = 64


class Resolver:
    """Finds addresses, and remembers them."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, tuple[str, ...]]] = {}
        self._asking: dict[str, asyncio.Future[tuple[str, ...]]] = {}
        self._threads = ThreadPoolExecutor(NAMES_MAX, thread_name_prefix="resolve")

    async def addresses(self, host: str, port: int) -> tuple[str, ...]:
        """Return the addresses of a host, at once where they were known before.

        Raises:
            OSError: There is no such name, or nobody can say.
        """
        if _is_address(host):
            return (host,)
        if host not in self._known:
            return await asyncio.shield(self._ask(host, port))
        since, found = self._known[host]
        if asyncio.get_running_loop().time() - since > FRESH_SECS:
            self._ask(host, port)
        return found

    def close(self) -> None:
        """Forget what is asked for; threads that hang end with the process."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _ask(self, host: str, port: int) -> asyncio.Future[tuple[str, ...]]:
        asked = self._asking.get(host)
        if asked is None:
            loop = asyncio.get_running_loop()
            asked = self._asking[host] = loop.run_in_executor(self._threads, _look_up, host, port)
            asked.add_done_callback(lambda answer: self._take(host, answer, loop.time()))
        return asked

    def _take(self, host: str, answer: asyncio.Future[tuple[str, ...]], now: float) -> None:
        del self._asking[host]
        with contextlib.suppress(OSError, UnicodeError, asyncio.CancelledError):
            self._known[host] = now, answer.result()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _look_up(host: str, port: int) -> tuple[str, ...]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"{host} is no name that DNS knows") from error
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))
