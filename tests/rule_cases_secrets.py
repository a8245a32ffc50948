"""Failing and sound examples of every rule of the section ``secrets``."""

from typing import Any

from tests.rule_case import GATEWAY, RuleCase
from tests.rule_cases_components import EVENTS, THREE_ZONES

TLS = {**GATEWAY, "secret_files": [{"name": "tls", "secret": "gateway-tls", "key": "tls.key", "path": "/run/tls.key"}]}
FETCHED: dict[str, Any] = {"provider": "external_secrets", "store": {"name": "vault"}, "path": "{environment}/{secret}"}
SEALED: dict[str, Any] = {"provider": "sealed_secrets", "path": "secrets/{secret}.yaml"}
SOPS: dict[str, Any] = {"provider": "sops", "path": "secrets/{secret}.yaml"}
FLUX = {"engine": "flux", "repo": "https://git.example.com/aether.git"}
ARGOCD = {**FLUX, "engine": "argocd"}

SECRETS: dict[str, RuleCase] = {
    "a store is named, and nothing is fetched": RuleCase(
        rule="SecretsConfig.settings_fit_the_provider",
        bad={"store": {"name": "vault"}},
        good={},
        says=["$.store: not used by provider existing\n  fix: remove it, or name another provider"],
    ),
    "Secrets are fetched from nowhere": RuleCase(
        rule="SecretsConfig.settings_fit_the_provider",
        bad={"provider": "external_secrets"},
        good=FETCHED,
        says=[
            "$: lacks 'store', which provider external_secrets needs\n  fix: add store",
            "$: lacks 'path', which provider external_secrets needs\n  fix: add path",
        ],
    ),
    "a key of a file is looked for elsewhere": RuleCase(
        rule="SecretsConfig.settings_fit_the_provider",
        bad={**SEALED, "items": [{"name": "tls", "keys": [{"name": "tls.key"}]}]},
        good={**FETCHED, "items": [{"name": "tls", "keys": [{"name": "tls.key"}]}]},
        says=[
            "$.items[0].keys: not used by provider sealed_secrets: the file has the keys\n  fix: remove it",
        ],
    ),
    "keys of Flux decrypt nothing": RuleCase(
        rule="SecretsConfig.settings_fit_the_provider",
        bad={**SEALED, "sops_key_secret": "sops-age"},
        good={**SOPS, "sops_key_secret": "sops-age"},
        says=["$.sops_key_secret: not used by provider sealed_secrets\n  fix: remove it, or name another provider"],
    ),
    "all Secrets have one path": RuleCase(
        rule="SecretsConfig.paths_tell_secrets_apart",
        bad={**FETCHED, "path": "aether/{environment}"},
        good={**FETCHED, "path": "aether/{environment}/{secret}"},
        says=[
            "$.path: is 'aether/{environment}'; the same for every Secret\n  fix: let {secret} stand in it",
        ],
    ),
    "an encrypted file has an absolute path": RuleCase(
        rule="SecretsConfig.files_lie_beside_the_description",
        bad={**SOPS, "items": [{"name": "tls", "path": "/srv/tls.yaml"}]},
        good={**FETCHED, "items": [{"name": "tls", "path": "/srv/tls.yaml"}]},
        says=[
            "$.items[0].path: is '/srv/tls.yaml'; not a relative path\n"
            "  fix: write it relative to the folder of aether.yaml, with '/'"
        ],
    ),
    "an exception is none": RuleCase(
        rule="SecretItem.an_exception_says_what_differs",
        bad={"name": "tls"},
        good={"name": "tls", "path": "shared/tls"},
        says=["$: says nothing of its Secret\n  fix: give it a path or keys, or remove it"],
    ),
    "a workload takes the folder of the Secrets": RuleCase(
        rule="Platform.secrets_have_a_folder",
        bad={"services": [{**GATEWAY, "name": "secrets"}], "secrets": FETCHED},
        good={"services": [{**GATEWAY, "name": "secrets"}]},
        says=[
            "$.services[0].name: is 'secrets'; the name of the folder that provider external_secrets needs\n"
            "  fix: give it another name"
        ],
    ),
    "an exception is of no Secret": RuleCase(
        rule="Platform.secret_items_are_used",
        bad={"services": [TLS], "secrets": {**FETCHED, "items": [{"name": "gateway-tsl", "path": "tls"}]}},
        good={"services": [TLS], "secrets": {**FETCHED, "items": [{"name": "gateway-tls", "path": "tls"}]}},
        says=[
            "$.secrets.items[0].name: is 'gateway-tsl'; no workload uses a Secret of that name\n"
            "  fix: did you mean 'gateway-tls'?"
        ],
    ),
    "a key that a pod mounts is not fetched": RuleCase(
        rule="Platform.secret_keys_are_fetched",
        bad={
            "services": [TLS],
            "secrets": {**FETCHED, "items": [{"name": "gateway-tls", "keys": [{"name": "tls.crt"}]}]},
        },
        good={
            "services": [TLS],
            "secrets": {**FETCHED, "items": [{"name": "gateway-tls", "keys": [{"name": "tls.key"}]}]},
        },
        says=[
            "$.secrets.items[0].keys: lack 'tls.key', which 'gateway' mounts\n  fix: add {name: tls.key}",
        ],
    ),
    "Argo CD does not decrypt": RuleCase(
        rule="Platform.engines_can_decrypt",
        bad={"secrets": SOPS, "gitops": ARGOCD},
        good={"secrets": SOPS, "gitops": FLUX},
        says=[
            "$.secrets.provider: is 'sops'; Argo CD does not decrypt, and would apply the encrypted text\n"
            "  fix: name another provider, or set gitops.engine to flux"
        ],
    ),
    "kubectl does not decrypt": RuleCase(
        rule="Platform.engines_can_decrypt",
        bad={"secrets": SOPS},
        good={"secrets": SEALED},
        says=[
            "$.secrets.provider: warning: is 'sops'; kubectl does not decrypt: a server refuses the Secrets with their "
            "field 'sops'\n"
            "  fix: set gitops.engine to flux, or apply them by sops -d"
        ],
    ),
    "an encrypted file is to be of two namespaces": RuleCase(
        rule="Platform.encrypted_files_are_of_one_namespace",
        bad={
            "regions": [THREE_ZONES],
            "services": [{**GATEWAY, "uses": ["events"]}],
            "components": [EVENTS],
            "secrets": SEALED,
        },
        good={
            "regions": [THREE_ZONES],
            "services": [{**GATEWAY, "uses": ["events"]}],
            "components": [EVENTS],
            "secrets": {**SEALED, "path": "secrets/{namespace}/{secret}.yaml"},
        },
        says=[
            "$.secrets.path: is 'secrets/{secret}.yaml'; one file for 'events-credentials' of 'aether-prod' and of "
            "'aether-prod-data', and it is encrypted for one\n  fix: let {namespace} stand in it"
        ],
    ),
}
