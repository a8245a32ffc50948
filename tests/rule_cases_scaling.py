"""What a cluster cannot carry of a workload's scaling."""

from typing import Any

from tests.rule_case import GATEWAY, WORLD, RuleCase

WATCHED: dict[str, Any] = {"prometheus": {"url": "http://prometheus:9090", "namespace": "monitoring"}}
KEEPING: dict[str, Any] = {**WORLD, "drain": {"pre_stop": {"path": "/drain", "port": 8080}}}


def hurried(grace_secs: int) -> dict[str, Any]:
    drain = {**KEEPING["drain"], "grace_period_secs": grace_secs}
    return {**KEEPING, "drain": drain, "scaling": {"protect_occupied": True}}


def scaled(*, metrics: tuple[str, ...] = ("Pods",), **scaling: Any) -> dict[str, Any]:
    named = [{"name": f"players{place or ''}", "metric_type": kind} for place, kind in enumerate(metrics)]
    return {**GATEWAY, "scaling": scaling, "custom_metrics": named}


def adapter_of(kind: Any) -> dict[str, Any]:
    return {**WATCHED, "metrics_adapter": kind}


QUEUED = {**scaled(metrics=("External",)), "name": "lobby"}

SCALINGS: dict[str, RuleCase] = {
    "a cluster that drops tolerances is asked for mode pods": RuleCase(
        rule="Platform.versions_carry_the_fields",
        bad={"kubernetes": "v1.34", "services": [scaled(mode="pods")]},
        good={"kubernetes": "v1.35", "services": [scaled(mode="pods")]},
        says=[
            "$.services[0].scaling.mode: is 'pods'; Kubernetes v1.34 of cluster 'us-east-1' drops the autoscaler's "
            "tolerance without a word: loads in band are acted upon\n"
            "  fix: declare v1.35 or newer once the cluster runs it, or set it to auto"
        ],
    ),
    "a cluster that drops tolerances is asked for KEDA": RuleCase(
        rule="Platform.versions_carry_the_fields",
        bad={"kubernetes": "v1.34", "services": [scaled(backend="keda")], "observability": WATCHED},
        good={"kubernetes": "v1.35", "services": [scaled(backend="keda")], "observability": WATCHED},
        says=[
            "$.services[0].scaling.backend: is 'keda'; Kubernetes v1.34 of cluster 'us-east-1' drops the autoscaler's "
            "tolerance without a word: above 10 pods a step of one is never made\n"
            "  fix: declare v1.35 or newer once the cluster runs it, or do without it"
        ],
    ),
    "a newer cluster is asked for mode legacy": RuleCase(
        rule="Platform.versions_carry_the_fields",
        bad={"services": [scaled(mode="legacy")]},
        good={"services": [scaled(mode="auto")]},
        says=[
            "$.services[0].scaling.mode: warning: is 'legacy'; Kubernetes v1.37 of cluster 'us-east-1' keeps "
            "tolerances, and legacy does without: it acts below 0.9 and above 1.1 of the target only\n"
            "  fix: set it to auto"
        ],
    ),
    "nobody evaluates the rules": RuleCase(
        rule="Platform.versions_carry_the_fields",
        bad={"services": [scaled(mode="desired")]},
        good={"services": [scaled(mode="desired")], "observability": WATCHED},
        says=[
            "$.services[0].scaling.mode: is 'desired'; needs recording rules, and no Prometheus evaluates any\n"
            "  fix: add observability.prometheus (and leave observability.rules on)"
        ],
    ),
    "the rules are switched off": RuleCase(
        rule="Platform.versions_carry_the_fields",
        bad={"services": [scaled(backend="keda")], "observability": {**WATCHED, "rules": False}},
        good={"services": [scaled(backend="keda")], "observability": {**WATCHED, "rules": True}},
        says=[
            "$.services[0].scaling.backend: is 'keda'; needs recording rules, and no Prometheus evaluates any\n"
            "  fix: add observability.prometheus (and leave observability.rules on)"
        ],
    ),
    "no metric counts players": RuleCase(
        rule="Platform.versions_carry_the_fields",
        bad={"services": [scaled(metrics=("Object",), mode="desired")], "observability": WATCHED},
        good={"services": [scaled(metrics=("Pods", "Object"), mode="desired")], "observability": WATCHED},
        says=[
            "$.services[0].custom_metrics: mode desired computes the count from the players of each pod, and no "
            "metric has the type Pods\n"
            "  fix: add the metric that counts them"
        ],
    ),
    "two metrics count players": RuleCase(
        rule="Platform.versions_carry_the_fields",
        bad={"services": [scaled(metrics=("Pods", "Pods"), mode="desired")], "observability": WATCHED},
        good={"services": [scaled(metrics=("Pods", "Pods"), mode="pods")], "observability": WATCHED},
        says=[
            "$.services[0].custom_metrics[1]: is 'players1'; mode desired computes the count from one metric of type "
            "Pods, the first\n"
            "  fix: remove it, or set scaling.mode to pods"
        ],
    ),
    "occupied pods are kept in a mode with tolerances": RuleCase(
        rule="Platform.versions_carry_the_fields",
        bad={"worlds": [{**KEEPING, "scaling": {"protect_occupied": True, "mode": "pods"}}], "observability": WATCHED},
        good={"worlds": [{**KEEPING, "scaling": {"protect_occupied": True}}], "observability": WATCHED},
        says=[
            "$.worlds[0].scaling.mode: is 'pods'; with tolerances an occupied pod is not told from a load in band, so "
            "'pods' protects none\n"
            "  fix: set it to auto or desired, or remove protect_occupied"
        ],
    ),
    "occupied pods drain in a hurry": RuleCase(
        rule="Platform.versions_carry_the_fields",
        bad={"worlds": [hurried(74)], "observability": {**WATCHED, "scrape_interval_secs": 30}},
        good={"worlds": [hurried(75)], "observability": {**WATCHED, "scrape_interval_secs": 30}},
        says=[
            "$.worlds[0].drain.grace_period_secs: is 74; shorter than the 75 s for which a player may have joined "
            "unnoticed: scrape, rule and sync\n"
            "  fix: set it to 75 or more"
        ],
    ),
    "KEDA is asked for metrics of pods": RuleCase(
        rule="Platform.versions_carry_the_fields",
        bad={"services": [scaled(backend="keda", mode="pods")], "observability": WATCHED},
        good={"services": [scaled(backend="keda", mode="desired")], "observability": WATCHED},
        says=[
            "$.services[0].scaling.mode: is 'pods'; KEDA has no metrics of pods, and an average within tolerance lets "
            "ending pods bounce back\n"
            "  fix: set it to auto or desired, or use backend: hpa"
        ],
    ),
    "two serve external metrics": RuleCase(
        rule="Platform.external_metrics_have_one_server",
        bad={"services": [scaled(backend="keda"), QUEUED], "observability": {**WATCHED, "metrics_adapter": True}},
        good={
            "services": [scaled(backend="keda"), QUEUED],
            "observability": {**WATCHED, "metrics_adapter": "existing"},
        },
        says=[
            "$.observability.metrics_adapter: is true; registers the API of external metrics for 'lobby' in cluster "
            "'us-east-1', and so does KEDA, which scales 'gateway': a cluster has one\n"
            "  fix: scale 'lobby' by KEDA too, or by a metric of another type"
        ],
    ),
    "ending pods bounce back": RuleCase(
        rule="Platform.versions_carry_the_fields",
        bad={"worlds": [{**WORLD, "custom_metrics": [{"name": "queue", "metric_type": "External"}]}]},
        good={
            "services": [{**GATEWAY, "scaling": {}, "custom_metrics": [{"name": "queue", "metric_type": "External"}]}]
        },
        says=[
            "$.worlds[0].custom_metrics[0]: is 'queue'; in band the autoscaler takes status.replicas for its proposal, "
            "which counts ending pods: after each scale-down the count bounces back\n"
            "  fix: set its target_type to Value, or scaling.mode to desired"
        ],
    ),
}
