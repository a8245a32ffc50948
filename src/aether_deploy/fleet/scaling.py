"""What scales a workload: its autoscaler, and the rules that compute its count."""

from typing import Any

from aether_deploy.fleet.config import DeploymentConfig
from aether_deploy.fleet.deviations import deviations
from aether_deploy.fleet.pod import metadata_of
from aether_deploy.pods.surroundings import Surroundings
from aether_deploy.pods.waivers import waiver_annotations
from aether_deploy.problems import ConfigError, Problem
from aether_deploy.scaling.hpa import autoscaler
from aether_deploy.scaling.keda import scaled_object
from aether_deploy.scaling.modes import mode_of
from aether_deploy.scaling.recording import Scaled, rule_groups

DEFAULT_INTERVAL_SECS = 15


def scaling_bodies(config: DeploymentConfig, surroundings: Surroundings) -> list[dict[str, Any]]:
    """Return the autoscaler of a workload that scales, and the PrometheusRule that its mode needs.

    Raises:
        ConfigError: A recording rule computes its count, and no Prometheus evaluates rules here.
    """
    scaling = config.scaling
    if scaling is None:
        return []
    make = _scaled_object if scaling.backend == "keda" else _autoscaler
    if mode_of(scaling, surroundings.kubernetes) != "desired":
        return [make(config, surroundings)]
    interval, url = surroundings.rule_interval_secs, surroundings.prometheus_url
    if interval is None or url is None:
        raise ConfigError(
            [
                Problem(
                    path="$.scaling",
                    reason="a recording rule computes the count, and no Prometheus that evaluates it is known here",
                    fix="give surroundings a rule_interval_secs and a prometheus_url",
                )
            ]
        )
    groups = rule_groups(scaling, config.custom_metrics, _scaled(config), interval_secs=interval)
    rule = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": metadata_of(config, surroundings),
        "spec": {"groups": groups},
    }
    return [make(config, surroundings), rule]


def _scaled(config: DeploymentConfig) -> Scaled:
    return Scaled(namespace=config.namespace, kind=config.target_kind, name=config.name)


def _metadata(config: DeploymentConfig, surroundings: Surroundings) -> dict[str, Any]:
    return metadata_of(config, surroundings, annotations=waiver_annotations(deviations(config), "autoscaler"))


def _autoscaler(config: DeploymentConfig, surroundings: Surroundings) -> dict[str, Any]:
    assert config.scaling is not None
    return autoscaler(
        config.scaling,
        config.custom_metrics,
        metadata=_metadata(config, surroundings),
        target_kind=config.target_kind,
        target_name=config.name,
        kubernetes=surroundings.kubernetes,
        scrape_interval_secs=surroundings.rule_interval_secs or DEFAULT_INTERVAL_SECS,
    )


def _scaled_object(config: DeploymentConfig, surroundings: Surroundings) -> dict[str, Any]:
    assert config.scaling is not None
    assert surroundings.prometheus_url is not None
    assert surroundings.rule_interval_secs is not None
    return scaled_object(
        config.scaling,
        tuple(config.custom_metrics),
        _scaled(config),
        metadata=_metadata(config, surroundings),
        prometheus_url=surroundings.prometheus_url,
        interval_secs=surroundings.rule_interval_secs,
    )
