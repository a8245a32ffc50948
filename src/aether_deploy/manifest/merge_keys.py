"""By what the lists of an object merge under a strategic merge patch: written by ``python -m tools.make_merge_keys``.

Source: Kubernetes v1.37.2, ``api/openapi-spec/swagger.json``, the marks ``x-kubernetes-patch-strategy`` and
``x-kubernetes-patch-merge-key`` of each field.
"""

from collections.abc import Mapping

Field = tuple[str, str, str]
"""The type of what a field holds, its patch strategy, and the key by which its items meet; empty where none is."""

KINDS: Mapping[tuple[str, str], str] = {
    ("v1", "Namespace"): "Namespace",
    ("v1", "ServiceAccount"): "ServiceAccount",
    ("v1", "ConfigMap"): "ConfigMap",
    ("v1", "Secret"): "Secret",
    ("v1", "Service"): "Service",
    ("v1", "PersistentVolumeClaim"): "PersistentVolumeClaim",
    ("apiregistration.k8s.io/v1", "APIService"): "APIService",
    ("apps/v1", "Deployment"): "Deployment",
    ("apps/v1", "StatefulSet"): "StatefulSet",
    ("autoscaling/v2", "HorizontalPodAutoscaler"): "HorizontalPodAutoscaler",
    ("batch/v1", "Job"): "Job",
    ("batch/v1", "CronJob"): "CronJob",
    ("networking.k8s.io/v1", "NetworkPolicy"): "NetworkPolicy",
    ("networking.k8s.io/v1", "Ingress"): "Ingress",
    ("policy/v1", "PodDisruptionBudget"): "PodDisruptionBudget",
    ("rbac.authorization.k8s.io/v1", "Role"): "Role",
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): "RoleBinding",
    ("rbac.authorization.k8s.io/v1", "ClusterRole"): "ClusterRole",
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): "ClusterRoleBinding",
    ("scheduling.k8s.io/v1", "PriorityClass"): "PriorityClass",
    ("storage.k8s.io/v1", "StorageClass"): "StorageClass",
}
"""The type of each kind that Kubernetes itself has, by API version and kind."""

TYPES: Mapping[str, Mapping[str, Field]] = {
    "APIService": {
        "metadata": ("ObjectMeta", "", ""),
    },
    "ClusterRole": {
        "metadata": ("ObjectMeta", "", ""),
    },
    "ClusterRoleBinding": {
        "metadata": ("ObjectMeta", "", ""),
    },
    "ConfigMap": {
        "metadata": ("ObjectMeta", "", ""),
    },
    "Container": {
        "env": ("", "merge", "name"),
        "ports": ("", "merge", "containerPort"),
        "volumeDevices": ("", "merge", "devicePath"),
        "volumeMounts": ("", "merge", "mountPath"),
    },
    "CronJob": {
        "metadata": ("ObjectMeta", "", ""),
        "spec": ("CronJobSpec", "", ""),
    },
    "CronJobSpec": {
        "jobTemplate": ("JobTemplateSpec", "", ""),
    },
    "Deployment": {
        "metadata": ("ObjectMeta", "", ""),
        "spec": ("DeploymentSpec", "", ""),
    },
    "DeploymentSpec": {
        "strategy": ("", "retainKeys", ""),
        "template": ("PodTemplateSpec", "", ""),
    },
    "EphemeralContainer": {
        "env": ("", "merge", "name"),
        "ports": ("", "merge", "containerPort"),
        "volumeDevices": ("", "merge", "devicePath"),
        "volumeMounts": ("", "merge", "mountPath"),
    },
    "EphemeralVolumeSource": {
        "volumeClaimTemplate": ("PersistentVolumeClaimTemplate", "", ""),
    },
    "HorizontalPodAutoscaler": {
        "metadata": ("ObjectMeta", "", ""),
    },
    "Ingress": {
        "metadata": ("ObjectMeta", "", ""),
    },
    "Job": {
        "metadata": ("ObjectMeta", "", ""),
        "spec": ("JobSpec", "", ""),
    },
    "JobSchedulingConfiguration": {
        "resourceClaims": ("", "merge", "name"),
    },
    "JobSpec": {
        "scheduling": ("JobSchedulingConfiguration", "", ""),
        "template": ("PodTemplateSpec", "", ""),
    },
    "JobTemplateSpec": {
        "metadata": ("ObjectMeta", "", ""),
        "spec": ("JobSpec", "", ""),
    },
    "Namespace": {
        "metadata": ("ObjectMeta", "", ""),
    },
    "NetworkPolicy": {
        "metadata": ("ObjectMeta", "", ""),
    },
    "ObjectMeta": {
        "finalizers": ("", "merge", ""),
        "ownerReferences": ("", "merge", "uid"),
    },
    "PersistentVolumeClaim": {
        "metadata": ("ObjectMeta", "", ""),
    },
    "PersistentVolumeClaimTemplate": {
        "metadata": ("ObjectMeta", "", ""),
    },
    "PodDisruptionBudget": {
        "metadata": ("ObjectMeta", "", ""),
        "spec": ("PodDisruptionBudgetSpec", "", ""),
    },
    "PodDisruptionBudgetSpec": {
        "selector": ("", "replace", ""),
    },
    "PodSpec": {
        "containers": ("Container", "merge", "name"),
        "ephemeralContainers": ("EphemeralContainer", "merge", "name"),
        "evictionResponders": ("", "merge", "name"),
        "hostAliases": ("", "merge", "ip"),
        "imagePullSecrets": ("", "merge", "name"),
        "initContainers": ("Container", "merge", "name"),
        "resourceClaims": ("", "merge,retainKeys", "name"),
        "schedulingGates": ("", "merge", "name"),
        "topologySpreadConstraints": ("", "merge", "topologyKey"),
        "volumes": ("Volume", "merge,retainKeys", "name"),
    },
    "PodTemplateSpec": {
        "metadata": ("ObjectMeta", "", ""),
        "spec": ("PodSpec", "", ""),
    },
    "PriorityClass": {
        "metadata": ("ObjectMeta", "", ""),
    },
    "Role": {
        "metadata": ("ObjectMeta", "", ""),
    },
    "RoleBinding": {
        "metadata": ("ObjectMeta", "", ""),
    },
    "Secret": {
        "metadata": ("ObjectMeta", "", ""),
    },
    "Service": {
        "metadata": ("ObjectMeta", "", ""),
        "spec": ("ServiceSpec", "", ""),
    },
    "ServiceAccount": {
        "metadata": ("ObjectMeta", "", ""),
        "secrets": ("", "merge", "name"),
    },
    "ServiceSpec": {
        "ports": ("", "merge", "port"),
    },
    "StatefulSet": {
        "metadata": ("ObjectMeta", "", ""),
        "spec": ("StatefulSetSpec", "", ""),
    },
    "StatefulSetSpec": {
        "template": ("PodTemplateSpec", "", ""),
        "volumeClaimTemplates": ("PersistentVolumeClaim", "", ""),
    },
    "StorageClass": {
        "metadata": ("ObjectMeta", "", ""),
    },
    "Volume": {
        "ephemeral": ("EphemeralVolumeSource", "", ""),
    },
}  # fmt: skip
