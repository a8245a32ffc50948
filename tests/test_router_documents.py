"""What a router says of itself: an OpenAPI document that is complete, metrics that Prometheus reads, and events."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from aether_deploy.contract.exposition import read_exposition
from aether_deploy.service import http
from aether_deploy.service.http.messages import PROBLEMS, Request, Stream
from aether_deploy.service.http.messages import problem as server_problem
from aether_deploy.service.router.application import RouterApplication
from aether_deploy.service.router.endpoints import ENDPOINTS, Endpoint, find
from aether_deploy.service.router.openapi import openapi_values
from aether_deploy.service.router.questions import QUERY, RouteQuestion, read_body, read_query
from tests.real import miss, need
from tests.router_cases import FULL_POLICY, TOKEN, Answer, Bench, new_keys

EAST, WEST, SOUTH = "us-east-1", "eu-west-1", "ap-south-1"
DOCUMENT = openapi_values()


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": DOCUMENT["components"]})


# --- OpenAPI


def test_every_path_and_method_is_in_the_document_and_nothing_else() -> None:
    told = {(method.upper(), path) for path, item in DOCUMENT["paths"].items() for method in item}

    assert told == {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}
    assert len({endpoint.name for endpoint in ENDPOINTS}) == len(ENDPOINTS)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
def test_every_path_leads_to_what_answers_it(endpoint: Endpoint) -> None:
    found = find(endpoint.path.replace("{code}", "x").replace("{id}", "y"))

    assert found is not None
    assert found.by_method[endpoint.method] is endpoint
    assert callable(getattr(RouterApplication, f"_{endpoint.name}"))


def test_exactly_the_orders_ask_for_the_token() -> None:
    secured = {
        item["operationId"] for path in DOCUMENT["paths"].values() for item in path.values() if "security" in item
    }

    assert secured == {endpoint.name for endpoint in ENDPOINTS if endpoint.is_order}


@pytest.mark.real
def test_the_document_is_openapi() -> None:
    try:
        judge = import_module("openapi_spec_validator")
    except ImportError:
        miss("openapi-spec-validator is not installed; to bring it: pip install openapi-spec-validator")
    broken = json.loads(json.dumps(DOCUMENT))
    broken["paths"]["/v1/route"]["get"]["responses"]["200"].pop("description")

    assert list(judge.OpenAPIV31SpecValidator(DOCUMENT).iter_errors()) == []
    assert list(judge.OpenAPIV31SpecValidator(broken).iter_errors())


def test_what_the_server_itself_refuses_is_a_problem_as_the_document_says() -> None:
    problem = validator({"$ref": "#/components/schemas/Problem"})
    used = {
        int(status)
        for path in Path(http.__file__).parent.glob("*.py")
        for status in re.findall(r"\b(?:problem|Refusal)\((\d{3}),", path.read_text())
    }
    told = [json.loads(server_problem(status, "why").body) for status in PROBLEMS]

    assert used == set(PROBLEMS)
    assert [list(problem.iter_errors(each)) for each in told] == [[]] * len(told)
    assert len({each["code"] for each in told}) == len(told)
    assert not problem.is_valid({**told[0], "code": "nonsense"})


def test_every_operation_tells_what_the_server_may_refuse() -> None:
    operations = [item for path in DOCUMENT["paths"].values() for item in path.values()]
    bodies = [each for each in operations if "requestBody" in each]

    assert all("application/problem+json" in each["responses"]["default"]["content"] for each in operations)
    assert all({"413", "415", "501"} <= set(each["responses"]) for each in bodies)
    assert all("65536 bytes" in each["requestBody"]["description"] for each in bodies)


def test_the_document_that_is_served_is_this_one() -> None:
    answer = Bench().ask("/openapi.json")

    assert (answer.content_type, answer.json) == ("application/json", DOCUMENT)


def asked(bench: Bench) -> Iterator[tuple[str, str, Answer]]:
    """Ask everything that can be asked in many states; yield method, path and answer."""

    def ask(method: str, path: str, target: str | None = None, body: object = None, token: str | None = TOKEN) -> Any:
        answer = bench.ask(target or path, body, method=method, token=token)
        return method, path, answer

    def everything() -> Iterator[Any]:
        for code in (EAST, SOUTH, "mars-1"):
            yield ask("GET", "/v1/route", f"/v1/route?preferred={code}&lat=1&lon=2&player=x")
            yield ask("GET", "/v1/explain", f"/v1/explain?preferred={code}")
        yield ask("GET", "/v1/route", "/v1/route?lat=1")
        yield ask("GET", "/v1/explain", "/v1/explain?nope=1")
        for path in ("/v1/route", "/v1/explain"):
            yield ask("POST", path, None, {"party": [{"preferred": EAST}], "measured": {WEST: {"rtt_ms": 3}}})
            yield ask("POST", path, None, {"residency": "eu-players"})
            yield ask("POST", path, None, b"nonsense")
        for path in ("/v1/regions", "/v1/keys", "/healthz", "/readyz", "/metrics", "/openapi.json", "/"):
            yield ask("GET", path)

    def orders(token: str | None) -> Iterator[Any]:
        load, drain = "/v1/regions/{code}/load", "/v1/regions/{code}/drain"
        for code in (EAST, "mars-1"):
            yield ask("PUT", load, f"/v1/regions/{code}/load", {"players": 9, "capacity": 10, "builds": ["1"]}, token)
            yield ask("POST", drain, f"/v1/regions/{code}/drain", {"bleed_secs": 9, "deadline_secs": 99}, token)
            yield ask("POST", "/v1/reservations", None, {"region": code, "players": 1}, token)
        yield ask("PUT", load, f"/v1/regions/{EAST}/load", {"players": -1}, token)
        yield ask("DELETE", "/v1/reservations/{id}", "/v1/reservations/t-1", None, token)
        yield ask("DELETE", "/v1/reservations/{id}", "/v1/reservations/t-1", None, token)
        yield ask("POST", "/v1/reservations", None, {"region": EAST, "players": 1}, token)
        yield ask("POST", "/v1/reservations/{id}/joined", "/v1/reservations/t-2/joined", None, token)
        yield ask("POST", "/v1/reservations/{id}/joined", "/v1/reservations/t-2/joined", None, token)

    yield from everything()
    bench.probe("ready")
    yield from everything()
    yield from orders(None)
    yield from orders(TOKEN)
    bench.now += 4
    yield from everything()
    bench.probe("not_ready", WEST).probe("ready", WEST, times=2).self_check("refused")
    yield from everything()
    yield ask("DELETE", "/v1/regions/{code}/drain", f"/v1/regions/{EAST}/drain")
    yield ask("DELETE", "/v1/regions/{code}/drain", "/v1/regions/mars-1/drain")
    bench.application.token = None
    yield from orders(TOKEN)
    bench.probe("not_ready")
    yield from everything()


@pytest.mark.parametrize("signs", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("policy", [{}, {**FULL_POLICY, "on_unknown": "error"}], ids=["plain", "full"])
def test_every_answer_is_as_the_document_says(signs: bool, policy: dict[str, Any]) -> None:
    bench = Bench(keys=new_keys()[1] if signs else None, **policy)
    seen = set()
    for method, path, answer in asked(bench):
        responses = DOCUMENT["paths"][path][method.lower()]["responses"]
        assert str(answer.status) in responses, (method, path, answer)
        content = responses[str(answer.status)].get("content", {})
        kind = answer.content_type.partition(";")[0]
        if content:
            assert list(content) == [kind], (method, path, answer)
        if kind.endswith("json") and content:
            faults = list(validator(content[kind]["schema"]).iter_errors(answer.json))
            assert faults == [], (method, path, answer.json)
        seen.add((method, path, answer.status))

    assert {(method, path) for method, path, _ in seen} == {
        (endpoint.method, endpoint.path) for endpoint in ENDPOINTS if endpoint.name != "events"
    }


def test_the_schema_of_an_answer_is_strict_enough_to_miss_nothing() -> None:
    answer = Bench().probe("ready").ask(f"/v1/route?preferred={EAST}").json
    schema = validator({"$ref": "#/components/schemas/Route"})

    assert schema.is_valid(answer)
    for name in answer:
        assert not schema.is_valid({key: each for key, each in answer.items() if key != name}) or name == "address"
    assert not schema.is_valid({**answer, "regoin": EAST})


BODIES: list[Any] = [
    {},
    {"preferred": EAST},
    {"preferred": None},
    {"preferred": "US"},
    {"player": ""},
    {"player": "x" * 201},
    {"waited_secs": -1},
    {"position": {"lat": 1}},
    {"position": {"lat": 1, "lon": 2.5}},
    {"measured": {WEST: {"rtt_ms": 3, "samples": 1.5}}},
    {"measured": {"Not a region": {"rtt_ms": 3}}},
    {"measured": {WEST: {"rtt_ms": 3}}, "party": [{"preferred": EAST}, {}], "joining": True},
    {"party": [{"player": "x"}]},
    {"party": [{}] * 99},
    {"joining": 1},
    [],
]


@pytest.mark.parametrize("body", BODIES, ids=json.dumps)
def test_the_document_and_the_reader_take_and_refuse_the_same(body: Any) -> None:
    schema = validator({"$ref": "#/components/schemas/RouteQuestion"})

    assert schema.is_valid(body) == isinstance(read_body(RouteQuestion, json.dumps(body).encode()), RouteQuestion)


def test_the_document_and_the_router_take_parties_of_the_same_size() -> None:
    schema, bench = validator({"$ref": "#/components/schemas/RouteQuestion"}), Bench().probe("ready")
    parties: list[dict[str, Any]] = [{"party": [{}] * size} for size in (99, 100)]

    assert [schema.is_valid(each) for each in parties] == [True, False]
    assert [bench.ask("/v1/route", each).status for each in parties] == [200, 400]


def test_every_parameter_of_a_query_is_read_and_told() -> None:
    values = {"player": "a", "preferred": EAST, "lat": "1", "lon": "2", "sticky": "t", "joining": "true", "build": "b"}
    given = {**values, "residency": "r", "waited_secs": "3"}
    told = [each["name"] for each in DOCUMENT["paths"]["/v1/route"]["get"]["parameters"]]

    read = read_query(given)

    assert set(given) == set(told) == set(QUERY)
    assert isinstance(read, RouteQuestion)
    assert (read.joining, read.waited_secs, read.position and read.position.lon) == (True, 3.0, 2.0)


# --- metrics


def lived() -> Bench:
    bench = Bench(keys=new_keys()[1], **FULL_POLICY)
    for _ in asked(bench):
        pass
    return bench


@pytest.mark.real
def test_prometheus_reads_the_metrics_and_finds_nothing_to_say() -> None:
    promtool = need(shutil.which("promtool"), "promtool", "apt-get install prometheus")
    body = lived().ask("/metrics").body

    told = subprocess.run([promtool, "check", "metrics"], input=body, capture_output=True)
    broken = subprocess.run(
        [promtool, "check", "metrics"], input=body.replace(b"gauge", b"gage", 1), capture_output=True
    )

    assert (told.returncode, told.stdout, told.stderr) == (0, b"", b"")
    assert broken.returncode != 0


def test_metrics_say_what_happened() -> None:
    bench = Bench(**FULL_POLICY).probe("ready").probe("not_ready", WEST)
    bench.order("PUT", f"/v1/regions/{EAST}/load", {"players": 30, "capacity": 100})
    bench.order("POST", f"/v1/regions/{SOUTH}/drain", {"mode": "hard"})
    bench.ask(f"/v1/route?preferred={WEST}")
    bench.application.counted(f"/v1/route?preferred={EAST}".encode())
    bench.ask("/v1/regions/x/load", {}, method="PUT")

    text = bench.ask("/metrics").body.decode()

    for line in (
        'aether_router_decisions_total{decision="failover",reason="preferred_unhealthy",region="us-east-1"} 1',
        'aether_router_decisions_total{decision="primary",reason="",region="us-east-1"} 1',
        'aether_router_probes_total{outcome="not_ready",region="eu-west-1"} 1',
        'aether_router_probes_total{outcome="timeout",region="eu-west-1"} 0',
        'aether_router_probe_duration_seconds_count{region="eu-west-1"} 2',
        'aether_router_region_healthy{region="eu-west-1"} 0',
        'aether_router_region_penalty{region="eu-west-1"} 1000',
        'aether_router_region_load_ratio{region="us-east-1"} 0.3',
        'aether_router_region_draining{mode="hard",region="ap-south-1"} 1',
        'aether_router_region_takes_players{region="ap-south-1"} 0',
        'aether_router_requests_total{method="GET",path="/v1/route",status="200"} 2',
        'aether_router_requests_total{method="PUT",path="/v1/regions/{code}/load",status="401"} 1',
        "aether_router_admin_refused_total 1",
        f"aether_router_epoch {bench.live.view.epoch}",
    ):
        assert f"{line}\n" in text
    assert 'load_ratio{region="eu-west-1"}' not in text


def test_metrics_tell_how_the_self_check_is() -> None:
    bench = Bench()
    unasked = bench.ask("/metrics").body.decode()
    silent = bench.self_check("ready", "timeout", "timeout").ask("/metrics").body.decode()
    heard = bench.self_check("not_ready").ask("/metrics").body.decode()
    bench.live.forget_self_check()

    assert 'aether_router_self_checks_total{outcome="timeout"} 0\n' in unasked
    assert 'aether_router_self_checks_total{outcome="timeout"} 2\n' in silent
    assert "aether_router_self_check_answers 0\n" in silent
    assert "aether_router_self_check_answers 1\n" in heard
    assert "self_check_answers" not in unasked + bench.ask("/metrics").body.decode()


def test_a_reason_is_counted_by_its_code_alone() -> None:
    bench = Bench().probe("ready", WEST)
    reason = bench.ask(f"/v1/route?preferred={EAST}").json["reason"]

    text = bench.ask("/metrics").body.decode()

    assert reason == "preferred_unhealthy: no probe has answered yet"
    assert 'decisions_total{decision="failover",reason="preferred_unhealthy",region="eu-west-1"} 1\n' in text


def test_no_path_that_somebody_makes_up_becomes_a_label() -> None:
    bench = Bench().probe("ready")
    for number in range(100):
        bench.ask(f"/made/up/{number}")
        bench.ask(f"/v1/regions/r{number}/load", method="GET")
        bench.ask(f"/v1/route?preferred=r{number}")

    text = bench.ask("/metrics").body.decode()

    assert len(re.findall(r"^aether_router_requests_total", text, re.MULTILINE)) == 3
    assert len(re.findall(r"^aether_router_decisions_total", text, re.MULTILINE)) == 1


def test_our_own_reader_of_metrics_agrees() -> None:
    read = read_exposition(lived().ask("/metrics").body)

    assert read.faults == []
    assert len(read.samples) > 50


# --- events


class Listener:
    """Who listens to a router's events."""

    def __init__(self, bench: Bench) -> None:
        stream = bench.application.answer(Request("GET", "/v1/events"))
        assert isinstance(stream, Stream)
        self.content_type = stream.content_type
        self._heard = b""
        self.leave = stream.subscribe(self._hear)

    def _hear(self, told: bytes) -> None:
        self._heard += told

    def take(self) -> list[tuple[str, dict[str, Any]]]:
        events = []
        for each in self._heard.decode().split("\n\n")[:-1]:
            fields = dict(line.split(": ", 1) for line in each.split("\n"))
            assert set(fields) == {"id", "event", "data"}
            events.append((fields["event"], json.loads(fields["data"])))
        self._heard = b""
        return events


def test_who_begins_to_listen_is_told_how_things_are_and_then_what_changes() -> None:
    bench = Bench(**FULL_POLICY).probe("ready")
    known = bench.ask("/v1/regions").json
    listener = Listener(bench)
    first = listener.take()
    bench.probe("not_ready", EAST)
    health = listener.take()
    bench.order("POST", f"/v1/regions/{WEST}/drain", {"mode": "hard"})
    drain = listener.take()

    assert listener.content_type == "text/event-stream"
    assert [name for name, _ in first + health + drain] == ["snapshot", "change", "change"]
    assert first[0][1] == known
    assert health[0][1]["changes"] == [
        {"region": EAST, "what": "health", "before": "healthy", "after": "unhealthy"},
    ]
    assert drain[0][1]["changes"] == [{"region": WEST, "what": "drain", "before": "none", "after": "hard"}]
    assert drain[0][1]["epoch"] == bench.live.view.epoch


def test_decisions_are_told_each_second_the_same_ones_together() -> None:
    bench = Bench().probe("ready")
    listener = Listener(bench)
    for _ in range(3):
        bench.application.counted(f"/v1/route?preferred={EAST}".encode())
    bench.ask("/v1/route?preferred=mars-1")
    bench.live.tick()
    told, at = dict(listener.take()), bench.wall
    bench.wall += 1
    bench.live.tick()

    assert told["decisions"]["decisions"] == [
        {"at": at, "preferred": EAST, "decision": "primary", "region": EAST, "reason": None, "count": 3},
        {
            "at": at,
            "preferred": "mars-1",
            "decision": "failover",
            "region": EAST,
            "reason": "preferred_unknown",
            "count": 1,
        },
    ]
    assert [name for name, _ in listener.take()] == ["regions"]
    assert bench.ask("/v1/regions").json["recent"] == told["decisions"]["decisions"]


def test_who_left_is_told_nothing_more_and_forgotten() -> None:
    bench = Bench().probe("ready")
    listeners = [Listener(bench) for _ in range(3)]
    for each in listeners:
        each.take()
    listeners[1].leave()
    bench.probe("not_ready", EAST)

    assert [len(each.take()) for each in listeners] == [1, 0, 1]
    assert bench.live.feed.listeners == 2


def test_a_listener_may_leave_while_it_is_told_something() -> None:
    bench = Bench().probe("ready")
    told: list[bytes] = []
    stream = bench.application.answer(Request("GET", "/v1/events"))
    assert isinstance(stream, Stream)

    def send(each: bytes) -> None:
        told.append(each)
        if len(told) == 2:
            leave()

    leave = stream.subscribe(send)
    other = Listener(bench)
    bench.probe("not_ready", EAST).probe("not_ready", WEST)

    assert len(told) == 2
    assert len(other.take()) == 3


def test_a_change_is_told_only_once_answers_show_it() -> None:
    bench = Bench().probe("ready")
    shown: list[str] = []
    stream = bench.application.answer(Request("GET", "/v1/events"))
    assert isinstance(stream, Stream)
    target = f"/v1/route?preferred={EAST}".encode()
    stream.subscribe(
        lambda _: shown.append(json.loads(bench.application.ready[target].split(b"\r\n\r\n")[1])["region"])
    )

    bench.probe("not_ready", EAST)

    assert shown == [EAST, WEST]
