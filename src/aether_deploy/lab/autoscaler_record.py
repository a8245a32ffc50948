"""What an autoscaler read, proposed and did at each of its syncs, from three records of the same moments.

kube-apiserver writes down the scale that the controller read and the one that it wrote, the controller itself logs
what it proposes, and the proxy notes what the adapter served. All three name their moments by this machine's clock.
"""

import datetime
import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from aether_deploy.lab.adapter_proxy import Served
from aether_deploy.lab.flags import AUDIT_LOG
from aether_deploy.lab.syncs import Answer, ObservedSync, PodTimeline
from aether_deploy.lab.watching import PodWatch
from aether_deploy.quantities import parse_quantity

_HTTP_OK = 200
_RESOURCES = {"StatefulSet": "statefulsets", "Deployment": "deployments", "ReplicaSet": "replicasets"}
_LOG_LINE = re.compile(r'I(\d\d)(\d\d) (\d\d):(\d\d):(\d\d)(\.\d+) +\d+ horizontal\.go:\d+\] "([^"]+)"(.*)')
_LOG_FIELD = re.compile(r'(\w+)=("[^"]*"|\S+)')


class _Event(NamedTuple):
    """``read``, ``wrote`` and ``refused`` are of kube-apiserver; the others of the controller."""

    at: float
    what: Literal["read", "wrote", "refused", "proposed", "kept", "written"]
    value: int
    scale: Mapping[str, Any]


class AutoscalerRecord:
    """The records of one control plane that was told to keep them."""

    def __init__(self, folder: Path, served: Iterable[Served]) -> None:
        """Name the records.

        Args:
            folder: The folder of the control plane.
            served: What the proxy notes; it may grow.
        """
        self._audit = folder / AUDIT_LOG
        self._log = folder / "kube-controller-manager.log"
        self._served = served

    def syncs(self, autoscaler: Mapping[str, Any], watch: PodWatch) -> list[ObservedSync]:
        """Return every sync of an autoscaler that has come to its end, in order.

        Args:
            autoscaler: The HorizontalPodAutoscaler.
            watch: The pods of its namespace.
        """
        namespace, target = autoscaler["metadata"]["namespace"], autoscaler["spec"]["scaleTargetRef"]
        itself = f"{namespace}/{autoscaler['metadata']['name']}"
        events = [
            *_audited(_lines(self._audit), namespace, target["kind"], target["name"]),
            *_logged(_lines(self._log), f"{target['kind']}/{namespace}/{target['name']}", itself),
        ]
        served = [each for each in list(self._served) if f"/namespaces/{namespace}/" in each.path]
        timeline = PodTimeline(list(watch.history), target["name"])
        return [timeline.beside(sync) for sync in _syncs(sorted(events, key=lambda each: each.at), autoscaler, served)]


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8", "replace").splitlines() if path.exists() else []


def _audited(lines: Iterable[str], namespace: str, kind: str, name: str) -> Iterator[_Event]:
    wanted = f"/namespaces/{namespace}/{_RESOURCES[kind]}/{name}/scale"
    for line in lines:
        if wanted not in line:
            continue
        try:
            event = json.loads(line)
        except ValueError:  # the last line may not be complete yet
            continue
        taken = event["responseStatus"]["code"] == _HTTP_OK
        at = _audit_time(event["requestReceivedTimestamp"])
        if event["verb"] == "get" and taken:
            yield _Event(at, "read", event["responseObject"]["spec"].get("replicas", 0), event["responseObject"])
        elif event["verb"] == "update":
            count = event["requestObject"]["spec"].get("replicas", 0)
            yield _Event(at, "wrote" if taken else "refused", count, {})


def _audit_time(text: str) -> float:
    return datetime.datetime.fromisoformat(text).timestamp()


def _logged(lines: Iterable[str], target: str, autoscaler: str) -> Iterator[_Event]:
    for line in lines:
        found = _LOG_LINE.match(line)
        if found is None:
            continue
        fields = {name: value.strip('"') for name, value in _LOG_FIELD.findall(found[8])}
        at = _log_time(*map(int, found.groups()[:5])) + float(found[6])
        match found[7], fields:
            case "Successfully rescaled", {"HPA": name, "desiredReplicas": count} if name == autoscaler:
                yield _Event(at, "written", int(count), {})
            case "Decided not to scale", {"scaleTarget": name, "desiredReplicas": count} if name == target:
                yield _Event(at, "kept", int(count), {})
            case message, {"scaleTarget": name, "desiredReplicas": count} if name == target:
                if message.startswith("Proposing desired replicas"):
                    yield _Event(at, "proposed", int(count), {})


def _log_time(month: int, day: int, hour: int, minute: int, second: int) -> float:
    """Return seconds since the epoch for a moment in local time that leaves its year out."""
    now = time.localtime()
    year = now.tm_year - (month > now.tm_mon)
    return time.mktime((year, month, day, hour, minute, second, 0, 0, -1))


# --- events become syncs


class _Open:
    """A sync that has not come to its end."""

    def __init__(self, read: _Event) -> None:
        self.read = read
        self.decided: float | None = None
        self.done: float | None = None
        self.proposed: int | None = None
        self.desired: int | None = None
        self.written: float | None = None
        self.refused = False

    def note(self, event: _Event) -> None:
        match event.what:
            case "proposed":
                self.proposed, self.decided = event.value, event.at
            case "kept" | "wrote":
                self.desired = self.read.value if event.what == "kept" else event.value
                self.decided, self.done = self.decided or event.at, self.done or event.at
            case "written":
                self.written = event.at
            case "refused":
                self.refused = True
            case "read":
                self.refused = False

    def sync(self, autoscaler: Mapping[str, Any], served: Iterable[Served], until: float) -> ObservedSync:
        """Return the sync, which was over before ``until``."""
        began = self.read.at
        mine = [each for each in served if began <= each.began < until]
        selector = self.read.scale["status"].get("selector", "")
        metrics = autoscaler["spec"].get("metrics") or ()
        found = [(metric, _of_metric(metric, mine, selector)) for metric in metrics]
        ended = max((each.ended for _, each in found if each is not None), default=None)
        at = self.decided or ended or began
        return ObservedSync(
            read_secs=began,
            served_secs=at if ended is None else ended,
            at_secs=at,
            done_secs=self.done or at,
            written_secs=self.written,
            spec_replicas=self.read.value,
            status_replicas=self.read.scale["status"].get("replicas", 0),
            answers=tuple(_answer(metric, each) for metric, each in found),
            proposed=self.proposed,
            desired=self.read.value if self.desired is None else self.desired,
            failed=self.desired is None,
        )


def _syncs(events: Iterable[_Event], autoscaler: Mapping[str, Any], served: list[Served]) -> Iterator[ObservedSync]:
    current: _Open | None = None
    for event in events:
        if event.what == "read" and not (current is not None and current.refused):
            if current is not None:
                yield current.sync(autoscaler, served, event.at)
            current = _Open(event)
        elif current is not None:
            current.note(event)
    if current is not None and current.desired is not None:
        yield current.sync(autoscaler, served, float("inf"))


def _of_metric(metric: Mapping[str, Any], served: Iterable[Served], selector: str) -> Served | None:
    """Return the answer among ``served`` that is about ``metric``, for pods that ``selector`` selects."""
    kind = metric["type"]
    said = metric[kind.lower()]
    name, labels = said["metric"]["name"], _labels(said["metric"].get("selector"))
    for each in served:
        parts = urlsplit(each.path)
        path = unquote(parts.path)
        asked = {key: set(values[0].split(",")) for key, values in parse_qs(parts.query).items()}
        match kind:
            case "Pods":
                right = path.endswith(f"/pods/*/{name}") and asked.get("labelSelector") == set(selector.split(","))
            case "Object":
                right = path.endswith(f"/{said['describedObject']['name']}/{name}")
            case _:
                right = "/external.metrics" in path and path.endswith(f"/{name}")
                right = right and asked.get("labelSelector", set()) == labels
        if right:
            return each
    return None


def _labels(selector: Mapping[str, Any] | None) -> set[str]:
    return {f"{key}={value}" for key, value in ((selector or {}).get("matchLabels") or {}).items()}


def _answer(metric: Mapping[str, Any], served: Served | None) -> Answer:
    kind = metric["type"]
    values = None
    if served is not None and served.status == _HTTP_OK:
        items = enumerate(served.body.get("items", ()))
        values = {
            item.get("describedObject", {}).get("name", str(number)): parse_quantity(item["value"]).millis
            for number, item in items
        }
    return Answer(source=kind, metric=metric[kind.lower()]["metric"]["name"], values=values)
