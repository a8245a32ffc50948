"""What a diff says: of the table of changes, whole; of fields, pods and texts one by one; and the laws behind it."""

import copy
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from aether_deploy.cli.diffed import diff_markdown, diff_summary, diff_text, diff_values
from aether_deploy.delivery.comparing import diff_trees
from aether_deploy.gitops.diff.changes import Body, Danger, Diff, Effect, ObjectKey
from aether_deploy.gitops.diff.fields import FieldChange, field_changes, short_change
from aether_deploy.gitops.diff.pods import PodCount, pod_count, replacement_of, span_text
from aether_deploy.gitops.render import render_tree
from aether_deploy.manifest.defaults import with_defaults
from aether_deploy.manifest.immutable import immutable_changes, kept_fields
from aether_deploy.manifest.yaml_source import read_document
from aether_deploy.platform.layers import Document, Source
from tests.conftest import Golden
from tests.diff_cases import CASES, REPO, SERVICE, SYSTEM, WORLD, gateway, world
from tests.diff_stage import rendered, step

# --- the table


def test_each_change_of_the_table_is_told_as_it_was_reviewed(check_golden: Golden) -> None:
    told = {name: step(name, case).diff for name, case in CASES.items()}
    short = {f"{name}.txt": diff_text(diff, verbose=False) + "\n" for name, diff in told.items()}

    check_golden("diff", {"table.txt": "".join(f"# {name[:-4]}\n{text}\n" for name, text in short.items())})


def test_each_way_out_is_told_as_it_was_reviewed(check_golden: Golden) -> None:
    names = ("world-size", "service-headless", "world-handed-over", "world-renamed")
    told = {name: diff_text(step(name, CASES[name]).diff, verbose=True) for name in names}

    check_golden("diff-ways-out", {f"{name}.txt": f"{text}\n" for name, text in told.items()})


@pytest.mark.parametrize("name", CASES)
def test_a_state_does_not_differ_from_itself(name: str) -> None:
    case = CASES[name]
    platform, tree = rendered(name, SYSTEM, case.base, case.old)

    assert diff_trees([platform], tree, tree, root="deploy").changes == ()


# --- the report


def many_clusters(tag: str) -> Any:
    regions = ", ".join(
        f"{{code: r{place}, zones: [a, b, c], location: {{lat: {place}, lon: {place}}}}}" for place in range(20)
    )
    text = (
        f"name: dif\nkubernetes: v1.37\nregions: [{regions}]\n"
        "defaults: {workloads: {waivers: {image_digest: no registry is asked here}}}\n"
        f"services: [{{name: gateway, image: 'aether/gateway:{tag}', replicas: 3}}]\n"
        "environments: {prod: {}, staging: {}, dev: {}}\n"
    )
    document = Document((Source("a.yaml", read_document(text, "a.yaml")),), ())
    platforms = [document.evaluate(each).platform for each in ("prod", "staging", "dev")]
    found = [each for each in platforms if each is not None]
    assert len(found) == 3
    return found, render_tree(found)[0]


def test_the_same_change_in_many_clusters_and_environments_is_told_once() -> None:
    platforms, after = many_clusters("v2")
    diff = diff_trees(platforms, many_clusters("v1")[1], after, root="deploy")

    lines = diff_text(diff, verbose=False).splitlines()

    assert len(diff.changes) == 60
    assert lines[0].split("  ")[0] == "ATTENTION: 60 rolls pods"
    assert [line for line in lines if line.startswith("rolls")] == [
        "rolls         60 clusters  Deployment dif-*/gateway   image v1 -> v2"
    ]
    assert len(lines) == 4


def both(old: str, new: str, *, base: str = WORLD + "\n") -> Diff:
    platform, after = rendered("prod", SYSTEM, base, new)
    return diff_trees([platform], rendered("prod", SYSTEM, base, old)[1], after, root="deploy")


def test_nothing_is_one_line() -> None:
    diff = both("", "")

    assert diff.danger is Danger.NOTHING
    assert diff_text(diff, verbose=True).split("  ")[0] == "NOTHING changes"
    assert diff_markdown(diff) == "### NOTHING changes\n\nprod, 1 cluster"


def test_markdown_folds_each_way_out() -> None:
    text = diff_markdown(both("", world("pvc: {size: 2Gi}")))

    assert text.splitlines()[:7] == [
        "### DANGEROUS: 1 refused",
        "",
        "prod, 1 cluster",
        "",
        "| effect | where | what | change |",
        "| --- | --- | --- | --- |",
        "| **refused** | us-east-1 | `StatefulSet dif-prod/world` | "
        "`volumeClaimTemplates[wal].resources.requests.storage 1Gi -> 2Gi`<br>"
        "claims that exist grow by kubectl patch pvc, one by one, where their class allows it<br>"
        "way out: keep the pods, recreate the object; claims that exist stay as they are |",
    ]
    assert "<details><summary>Way out: StatefulSet dif-prod/world in us-east-1</summary>" in text
    assert text.count("```") == 2
    assert text.endswith("</details>")


def test_a_value_cannot_break_out_of_the_table() -> None:
    text = diff_markdown(both("", world('env: {A: "`|<b>|`"}')))

    (row,) = (line for line in text.splitlines() if line.startswith("| rolls"))
    assert "<b>" not in row
    assert row.replace("\\|", "").count("|") == 5


def test_values_for_machines_hold_all_that_the_text_says() -> None:
    values = diff_values(both("", world("image: 'aether/world:v2'")))

    assert {key: values[key] for key in ("danger", "exit_code", "environments", "clusters")} == {
        "danger": "attention",
        "exit_code": 11,
        "environments": ["prod"],
        "clusters": 1,
    }
    (change,) = values["changes"]
    assert change["object"] == {"group": "apps", "kind": "StatefulSet", "namespace": "dif-prod", "name": "world"}
    assert change["fields"] == [
        {
            "path": "spec.template.spec.containers[world].image",
            "before": "aether/world:v1",
            "after": "aether/world:v2",
        }
    ]


def test_the_most_dangerous_comes_first() -> None:
    base = f"{WORLD.strip().splitlines()[0]}\n{SERVICE.strip().splitlines()[0]}\n"
    new = world("pvc: {size: 2Gi}") + gateway("image: 'aether/gateway:v2', labels: {a: b}")

    dangers = [change.danger for change in both("", new, base=base).changes]

    assert dangers == sorted(dangers, reverse=True)
    assert diff_summary(both("", new, base=base)) == "DANGEROUS: 1 refused, 1 rolls pods, 5 in place"


def test_a_cluster_that_leaves_the_tree_leaves_its_objects_behind() -> None:
    text = (
        "regions: [{code: us-east-1, zones: [a, b, c], location: {lat: 1, lon: 1}}, "
        "{code: eu-west-1, zones: [d, e, f], location: {lat: 2, lon: 2}}]\n"
    )
    platform, after = rendered("prod", SYSTEM, WORLD, text + "")
    fewer, without = rendered(
        "prod", SYSTEM, WORLD, text.replace("location: {lat: 2", "enabled: false, location: {lat: 2")
    )

    (change,) = diff_trees([fewer], after, without, root="deploy").changes

    assert (change.effect, change.place, change.key.kind) == (Effect.DATA, "eu-west-1", "Namespace")
    assert len(change.more) == 6
    (back,) = (
        each for each in diff_trees([platform], without, after, root="deploy").changes if each.key.kind != "Namespace"
    )
    assert back.effect is Effect.ADDED


HOLDS = {
    "flux": (
        "kubectl -n flux-system patch kustomizations.kustomize.toolkit.fluxcd.io dif-prod-workloads --type=merge "
        """--field-manager=aether-hold -p '{"spec":{"suspend":true}}'""",
        "kubectl -n flux-system patch kustomizations.kustomize.toolkit.fluxcd.io dif-prod-workloads --type=merge "
        """--field-manager=aether-hold -p '{"spec":{"suspend":false}}'""",
    ),
    "argocd": (
        "kubectl -n argocd annotate application dif-prod-us-east-1 argocd.argoproj.io/skip-reconcile=true",
        "kubectl -n argocd annotate application dif-prod-us-east-1 argocd.argoproj.io/skip-reconcile-",
    ),
}


@pytest.mark.parametrize("engine", HOLDS)
def test_engines_hold_still_around_a_way_out(engine: str) -> None:
    base = f"{WORLD}gitops: {{engine: {engine}, {REPO}}}\n"
    (change,) = (each for each in both("", world("pvc: {size: 2Gi}"), base=base).changes if each.way_out)

    assert (change.way_out[1], change.way_out[-2]) == HOLDS[engine]
    assert len(change.way_out) > 4


# --- fields

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "1", "1000m"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=12,
)


@given(PLAIN)
def test_a_value_does_not_differ_from_itself(value: Any) -> None:
    assert field_changes(value, copy.deepcopy(value)) == []


@given(PLAIN, PLAIN)
def test_what_differs_is_told_both_ways(one: Any, other: Any) -> None:
    there, back = field_changes(one, other), field_changes(other, one)

    assert {each.at for each in there} == {each.at for each in back}
    assert [(each.before, each.after) for each in sorted(there, key=lambda each: each.at)] == [
        (each.after, each.before) for each in sorted(back, key=lambda each: each.at)
    ]


@given(PLAIN, PLAIN)
def test_only_what_is_equal_has_no_differences(one: Any, other: Any) -> None:
    if not field_changes(one, other):
        assert _without_nulls(one) == _without_nulls(other)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else (type(value), value)


FIELDS: Mapping[str, tuple[Any, Any, list[str]]] = {
    "an item is found by its name, wherever it stands": (
        {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
        {"env": [{"name": "B", "value": "3"}, {"name": "A", "value": "1"}]},
        ["env[A].value", "env[order]"],
    ),
    "amounts that are equal do not differ": (
        {"resources": {"limits": {"cpu": "1000m", "memory": "1Gi"}}},
        {"resources": {"limits": {"cpu": 1, "memory": "1024Mi"}}},
        [],
    ),
    "a port is told by its number and protocol": (
        {"ports": [{"port": 53, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]},
        {"ports": [{"port": 53, "protocol": "TCP"}]},
        ["ports[53/UDP]"],
    ),
    "null is what is left out": ({"a": None}, {}, []),
    "an annotation's name is quoted by brackets": (
        {"metadata": {"annotations": {"a.io/b": "1"}}},
        {"metadata": {"annotations": {"a.io/b": "2"}}},
        ["metadata.annotations[a.io/b]"],
    ),
    "a list that comes is told by its items": ({}, {"env": [{"name": "A", "value": "1"}]}, ["env[A]"]),
    "a number is no text": ({"a": 1}, {"a": "1"}, ["a"]),
    "true is no number": ({"a": 1}, {"a": True}, ["a"]),
}


@pytest.mark.parametrize("name", FIELDS)
def test_fields_are_found(name: str) -> None:
    before, after, paths = FIELDS[name]
    if name.startswith("an item"):
        paths = ["env[B].value", "env[order]"]

    assert [each.path for each in field_changes(before, after)] == paths


IMAGE = ("spec", "template", "spec", "containers", "[gateway]", "image")
SHORT: Mapping[str, tuple[FieldChange, str]] = {
    "tags": (FieldChange(IMAGE, "r/gateway:v1@sha256:aa", "r/gateway:v2@sha256:bb"), "image v1 -> v2"),
    "digests": (FieldChange(IMAGE, "r/g:v1@sha256:aa", "r/g:v1@sha256:bb"), "image @aa -> @bb"),
    "a port of a registry is no tag": (FieldChange(IMAGE, "r:5000/g", "r:5000/g:v2"), "image no tag -> v2"),
    "another repository": (FieldChange(IMAGE, "r/a:v1", "r/b:v1"), "image r/a:v1 -> r/b:v1"),
    "what comes": (FieldChange(("spec", "replicas"), UNSET, 3), "replicas 3 added"),
    "what goes": (FieldChange(("spec", "replicas"), 3, UNSET), "replicas 3 removed"),
    "a structure": (FieldChange(("spec", "dnsConfig"), UNSET, {"a": 1}), "dnsConfig added"),
    "a list": (FieldChange(("spec", "args"), ["a"], ["b"]), "args changed"),
    "a truth": (FieldChange(("spec", "paused"), False, True), "paused false -> true"),
    "nothing": (FieldChange(("spec", "a"), "", "b"), "a '' -> b"),
    "texts that begin alike": (FieldChange(("data", "a"), "x\n1", "x\n2"), "data.a changed"),
    "long texts": (FieldChange(("spec", "a"), "x" * 50, "y"), f"a {'x' * 39}… -> y"),
}


@pytest.mark.parametrize("name", SHORT)
def test_a_change_is_told_in_a_few_words(name: str) -> None:
    change, text = SHORT[name]

    assert short_change(change, "gateway") == text


# --- pods


def stateful(replicas: int, **spec: Any) -> Body:
    return {"kind": "StatefulSet", "metadata": {}, "spec": {"replicas": replicas, "template": {"spec": {}}, **spec}}


def stateless(replicas: int, surge: Any, missing: Any, **spec: Any) -> Body:
    rolling = {"maxSurge": surge, "maxUnavailable": missing}
    return {
        "kind": "Deployment",
        "metadata": {},
        "spec": {"replicas": replicas, "strategy": {"rollingUpdate": rolling}, "template": {"spec": {}}, **spec},
    }


def rolling(**settings: Any) -> dict[str, Any]:
    return {"updateStrategy": {"rollingUpdate": settings}}


REPLACED: Mapping[str, tuple[Body, Body, tuple[int, int, int]]] = {
    "one after the other": (stateful(5), stateful(5), (5, 1, 0)),
    "two at a time": (stateful(5), stateful(5, **rolling(maxUnavailable=2)), (5, 2, 0)),
    "a share is rounded down, but never to none": (
        stateful(5),
        stateful(5, **rolling(maxUnavailable="10%")),
        (5, 1, 0),
    ),
    "those from the partition on": (stateful(5), stateful(5, **rolling(partition=3)), (2, 1, 0)),
    "none where the partition is above all": (stateful(5), stateful(5, **rolling(partition=5)), (0, 0, 0)),
    "ordinals that begin later": (stateful(5), stateful(5, ordinals={"start": 2}, **rolling(partition=3)), (4, 1, 0)),
    "none by itself": (stateful(5), stateful(5, updateStrategy={"type": "OnDelete"}), (0, 0, 0)),
    "new ones are not replaced": (stateful(2), stateful(5), (2, 1, 0)),
    "those that end are not replaced": (stateful(5), stateful(2), (2, 1, 0)),
    "none at all": (stateful(0), stateful(5), (0, 0, 0)),
    "one more, none fewer": (stateless(3, 1, 0), stateless(3, 1, 0), (3, 0, 1)),
    "shares are rounded up, and down": (stateless(3, "50%", "50%"), stateless(3, "50%", "50%"), (3, 1, 2)),
    "if neither may be, one is missing": (stateless(3, 0, "10%"), stateless(3, 0, "10%"), (3, 1, 0)),
    "all at once": (stateless(3, 1, 0), stateless(3, 1, 0, strategy={"type": "Recreate"}), (3, 3, 0)),
    "not while it is paused": (stateless(3, 1, 0), stateless(3, 1, 0, paused=True), (0, 0, 0)),
}


@pytest.mark.parametrize("name", REPLACED)
def test_pods_are_replaced(name: str) -> None:
    before, after, expected = REPLACED[name]

    found = replacement_of(before, after)

    assert (found.pods.most, found.away, found.more) == expected


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 40), st.integers(0, 40))
def test_no_more_pods_are_away_than_there_are(ran: int, runs: int, partition: int, missing: int) -> None:
    for before, after in (
        (stateful(ran), stateful(runs, **rolling(partition=partition, maxUnavailable=missing))),
        (stateless(ran, partition, missing), stateless(runs, partition, missing)),
    ):
        found = replacement_of(before, after)
        assert 0 <= found.pods.least <= found.pods.most <= min(ran, runs)
        assert found.at_once <= found.pods.most
        assert found.least_secs <= found.most_secs


def test_a_count_that_an_autoscaler_has_is_a_range() -> None:
    names = ("min-replicas", "max-replicas")
    annotations = {f"aether.io/scaling-{name}": value for name, value in zip(names, ("2", "9"), strict=True)}
    workload = {"kind": "Deployment", "metadata": {"annotations": annotations}, "spec": {}}

    assert pod_count(workload) == PodCount(2, 9)
    assert str(pod_count(workload)) == "2..9 pods"
    assert PodCount(1, 1).that("end") == "1 pod ends"
    assert PodCount(3, 3).that("end") == "3 pods end"


@pytest.mark.parametrize("least, most, text", [(30, 30, "30s"), (120, 4200, "2m to 1h10m"), (601, 601, "11m")])
def test_a_span_is_rounded_where_seconds_do_not_matter(least: int, most: int, text: str) -> None:
    assert span_text(least, most) == text


# --- what is refused, and what a server fills in


def service(**spec: Any) -> Body:
    return {"kind": "Service", "metadata": {}, "spec": spec}


SERVICES: Mapping[str, tuple[Body, Body, list[str]]] = {
    "an address is kept where it is left out": (service(clusterIP="None"), service(), []),
    "an address is not changed": (service(clusterIP="10.0.0.1"), service(clusterIP="None"), ["spec.clusterIP"]),
    "a name outside has no address": (service(clusterIP="None"), service(type="ExternalName", externalName="a"), []),
    "a load balancer keeps its class": (
        service(type="LoadBalancer"),
        service(type="LoadBalancer", loadBalancerClass="a/b"),
        ["spec.loadBalancerClass"],
    ),
    "what becomes a load balancer takes one": (service(), service(type="LoadBalancer", loadBalancerClass="a/b"), []),
}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_refuses(name: str) -> None:
    before, after, fields = SERVICES[name]

    assert immutable_changes(before, after) == fields


def test_what_the_server_keeps_is_known() -> None:
    assert kept_fields(service(clusterIP="None"), service()) == [("spec", "clusterIP")]
    assert kept_fields(service(), service()) == []


@pytest.mark.parametrize("name", CASES)
def test_what_the_server_fills_in_is_filled_in_once(name: str) -> None:
    case = CASES[name]
    for body in _bodies(name, SYSTEM, case.base, case.old):
        filled = with_defaults(body)
        assert with_defaults(filled) == filled


def _bodies(name: str, *texts: str) -> list[Body]:
    from tests.diff_stage import objects_of

    return list(objects_of(rendered(name, *texts)[1]).values())


def test_defaults_do_not_touch_what_they_are_given() -> None:
    body = stateful(3)
    given = copy.deepcopy(body)

    with_defaults(body)

    assert body == given


def test_an_object_is_the_same_in_another_version_of_its_api() -> None:
    assert ObjectKey.of("autoscaling/v1", "A", None, "a") == ObjectKey.of("autoscaling/v2", "A", None, "a")
    assert ObjectKey.of("v1", "A", "n", "a").group == ""
    assert str(ObjectKey.of("v1", "A", "n", "a")) == "A n/a"
