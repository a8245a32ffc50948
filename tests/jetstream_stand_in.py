"""A program in the place of ``nats``: what the API of JetStream says of streams, which it keeps in a file.

It follows what servers do (``tests/test_lab_nats_failover.py`` asks real ones): a stream that is not there is error
404, two streams have no subject in common, a mirror that is made anew has what it mirrors.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PROGRAM = """\
#!{python}
import json, sys
from pathlib import Path

_, option, context, verb, raw, subject, body = sys.argv
assert (option, verb, raw) == ("--context", "request", "--raw"), sys.argv
file = Path({file!r})
streams = json.loads(file.read_text())
api, name = subject.removeprefix("$JS.API.STREAM.").split(".")
with open({log!r}, "a") as log:
    log.write(f"nats --context {{context}} {{api}} {{name}}\\n")
config = json.loads(body or "{{}}")
taken = {{each for other, held in streams.items() if other != name for each in held["config"].get("subjects", ())}}
if api != "CREATE" and name not in streams:
    answer = {{"error": {{"code": 404, "description": "stream not found"}}}}
elif taken & set(config.get("subjects", ())):
    answer = {{"error": {{"code": 400, "description": "subjects overlap with an existing stream"}}}}
elif api == "DELETE":
    answer = {{"success": streams.pop(name) is not None}}
else:
    if api == "CREATE":
        streams[name] = {{"config": {{}}, "state": streams[config["mirror"]["name"]]["state"]}}
    streams[name]["config"] = config or streams[name]["config"]
    answer = streams[name]
file.write_text(json.dumps(streams))
print(json.dumps(answer))
"""


def write_nats(folder: Path, streams: Mapping[str, Mapping[str, Any]], log: Path) -> Path:
    """Write the program, which notes every call in ``log``; return the file that has its streams."""
    file = folder / "streams.json"
    file.write_text(json.dumps({name: stream(name, **config) for name, config in streams.items()}), "utf-8")
    program = folder / "nats"
    program.write_text(_PROGRAM.format(python=sys.executable, file=str(file), log=str(log)), "utf-8")
    program.chmod(0o755)
    return file


def stream(name: str, **config: Any) -> dict[str, Any]:
    """Return a stream as servers tell of it."""
    return {"config": {"name": name, **config}, "state": {"messages": 20, "last_seq": 20, "last_ts": "2026-01-01"}}
