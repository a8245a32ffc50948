"""Failing and sound examples of the rules of the section ``gitops``."""

from tests.rule_case import GATEWAY, RuleCase
from tests.rule_cases_components import EVENTS, THREE_ZONES

REPO = "https://git.example.com/aether/deploy.git"

GITOPS: dict[str, RuleCase] = {
    "an engine has no repository": RuleCase(
        rule="GitOpsConfig.engines_read_a_repository",
        bad={"engine": "flux"},
        good={"engine": "flux", "repo": REPO},
        says=["$.engine: is 'flux'; it has nothing to read\n  fix: add repo, or leave engine out"],
    ),
    "the revision is a range": RuleCase(
        rule="GitOpsConfig.branches_are_names",
        bad={"revision": "main..next"},
        good={"revision": "releases/eu"},
        says=["$.revision: is 'main..next'; no name that Git takes for a branch\n  fix: name a branch, such as main"],
    ),
    "all clusters would be one to Argo CD": RuleCase(
        rule="ArgoCdConfig.clusters_are_told_apart",
        bad={"cluster_name": "{environment}"},
        good={"cluster_name": "{environment}-{cluster}"},
        says=["$.cluster_name: is '{environment}'; the same for every cluster\n  fix: let {cluster} stand in it"],
    ),
    "a workload is named like a piece of every cluster": RuleCase(
        rule="Platform.pieces_are_told_apart",
        bad={
            "gitops": {"engine": "flux", "repo": REPO, "split": "workload"},
            "services": [{**GATEWAY, "name": "monitoring"}],
        },
        good={"gitops": {"engine": "flux", "repo": REPO}, "services": [{**GATEWAY, "name": "monitoring"}]},
        says=[
            "$.services[0].name: is 'monitoring'; with gitops.split: workload, the name of a piece that every "
            "cluster has\n  fix: give it another name"
        ],
    ),
    "a component is named like a piece of every cluster": RuleCase(
        rule="Platform.pieces_are_told_apart",
        bad={
            "regions": [THREE_ZONES],
            "gitops": {"engine": "argocd", "repo": REPO, "split": "workload"},
            "components": [{**EVENTS, "name": "data-secrets"}],
        },
        good={
            "regions": [THREE_ZONES],
            "gitops": {"engine": "argocd", "repo": REPO, "split": "workload"},
            "components": [EVENTS],
        },
        says=[
            "$.components[0].name: is 'data-secrets'; with gitops.split: workload, the name of a piece that every "
            "cluster has\n  fix: give it another name"
        ],
    ),
}
