"""The section ``secrets``: where the Secrets come from that workloads use, by reference only.

A Secret is declared by being used: ``secret_files`` and ``pull_secrets`` name it, and each cluster gets it once.

Sources: External Secrets Operator, ``apis/externalsecrets/v1/externalsecret_types.go``; Sealed Secrets, README,
"Scopes"; Flux, "Manage Kubernetes secrets with SOPS".
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from aether_deploy.config.base import Config, Fault, rule
from aether_deploy.config.marks import Keyed, Placeholders, TextRule
from aether_deploy.config.types import FileKey, NonEmpty, ObjectName
from aether_deploy.fleet.config import DeploymentConfig
from aether_deploy.manifest.labels import system_labels
from aether_deploy.manifest.value import Manifest, value_at
from aether_deploy.patterns import Pattern
from aether_deploy.platform.components import component_secrets, components_at, place_of
from aether_deploy.platform.encrypted import PULL_TYPE, SecretUse, encrypted_body
from aether_deploy.platform.parts import Site
from aether_deploy.platform.placing import site_configs
from aether_deploy.pods.surroundings import Surroundings
from aether_deploy.problems import suggestion

if TYPE_CHECKING:
    from aether_deploy.platform.config import Platform

FOLDER = "secrets"
"""The folder of a cluster's Secrets, beside those of the workloads."""

SOURCE = "secrets"
ENCRYPTED = ("sealed_secrets", "sops")
_KINDS = ("ExternalSecret", "SealedSecret", "Secret")
_REFRESH = "1h0m0s"
_RELATIVE = Pattern(r"(?!/)(?![A-Za-z]:)[^\\]+")
# What the server fills in by itself. Inside a list an engine that compares would take it for a change.
_AS_READ = {"conversionStrategy": "Default", "decodingStrategy": "None"}
_WITHOUT_METADATA = {"metadataPolicy": "None"}

SecretPath = Annotated[
    str,
    TextRule(what="a path", pattern=r"\S(.*\S)?", max_length=512, fix="write text without space at its ends"),
    Placeholders(("environment", "region", "cluster", "namespace", "secret")),
]


class SecretStore(Config):
    """The store of the External Secrets Operator that Secrets are fetched from; the cluster must have it.

    Attributes:
        kind: ``ClusterSecretStore``, or ``SecretStore`` for one in the namespace of the workloads.
        name: Its name.
    """

    kind: Literal["ClusterSecretStore", "SecretStore"] = "ClusterSecretStore"
    name: ObjectName


class SecretKey(Config):
    """One key of a Secret, and where its value comes from.

    Attributes:
        name: The key in the Secret.
        path: Where it is in the store; left out, where the Secret is.
        property: The field of what is there; left out, all of it.
    """

    name: FileKey
    path: SecretPath | None = None
    property: NonEmpty | None = None


class SecretItem(Config):
    """A Secret that is an exception.

    Attributes:
        name: Its name.
        path: Where it is, instead of ``secrets.path``.
        keys: Its keys, each from a place of its own; for ``external_secrets``. Left out, every field that is at
            its path becomes a key.
    """

    name: ObjectName
    path: SecretPath | None = None
    keys: Annotated[Sequence[SecretKey], Keyed("name")] = ()

    @rule
    def an_exception_says_what_differs(self) -> Iterator[Fault]:
        if self.path is None and not self.keys:
            yield Fault((), "says nothing of its Secret", "give it a path or keys, or remove it")


class SecretsConfig(Config):
    """Where Secrets come from. Their values never stand in a description.

    Attributes:
        provider: ``existing`` expects every Secret in its namespace; ``external_secrets`` renders an ExternalSecret,
            by which the External Secrets Operator fetches it; ``sealed_secrets`` and ``sops`` take the file at
            ``path``, which was encrypted before.
        store: The store that ``external_secrets`` fetches from.
        path: Where a Secret is: in the store, or as a file relative to the folder of aether.yaml. ``{secret}``,
            ``{namespace}``, ``{environment}``, ``{region}`` and ``{cluster}`` are filled in.
        items: Secrets that are exceptions.
        sops_key_secret: Secret in Flux's namespace with the keys that decrypt files of ``sops``; left out, Flux asks a
            key service of the cloud by its own identity.
    """

    provider: Literal["existing", "external_secrets", "sealed_secrets", "sops"] = "existing"
    store: SecretStore | None = None
    path: SecretPath | None = None
    items: Annotated[Sequence[SecretItem], Keyed("name")] = ()
    sops_key_secret: ObjectName | None = None

    @rule
    def settings_fit_the_provider(self) -> Iterator[Fault]:
        provider = self.provider
        used = {
            "store": provider == "external_secrets",
            "path": provider != "existing",
            "items": provider != "existing",
            "sops_key_secret": provider == "sops",
        }
        for name, fits in used.items():
            if getattr(self, name) and not fits:
                yield Fault((name,), f"not used by provider {provider}", "remove it, or name another provider")
        for name in ("store", "path"):
            if used[name] and getattr(self, name) is None:
                yield Fault((), f"lacks '{name}', which provider {provider} needs", f"add {name}")
        for place, item in enumerate(self.items):
            if item.keys and provider in ENCRYPTED:
                reason = f"not used by provider {provider}: the file has the keys"
                yield Fault(("items", place, "keys"), reason, "remove it")

    @rule
    def paths_tell_secrets_apart(self) -> Iterator[Fault]:
        if self.path is not None and "{secret}" not in self.path:
            yield Fault(("path",), "the same for every Secret", "let {secret} stand in it", self.path)

    @rule
    def files_lie_beside_the_description(self) -> Iterator[Fault]:
        if self.provider not in ENCRYPTED:
            return
        said = [(("path",), self.path), *((("items", at, "path"), item.path) for at, item in enumerate(self.items))]
        for at, path in said:
            if path is not None and not _RELATIVE.fullmatch(path):
                fix = "write it relative to the folder of aether.yaml, with '/'"
                yield Fault(at, "not a relative path", fix, path)

    @property
    def encrypts(self) -> bool:
        """Whether Secrets are encrypted files beside the description."""
        return self.provider in ENCRYPTED

    def item_of(self, secret: str) -> SecretItem | None:
        """Return the exception that a Secret is, if it is one."""
        return next((item for item in self.items if item.name == secret), None)


def secrets_used(configs: Iterable[DeploymentConfig]) -> tuple[SecretUse, ...]:
    """Return every Secret that ``configs`` use, each once, by name."""
    keys: dict[str, dict[str, str]] = {}
    pulls: set[str] = set()
    for config in configs:
        pulls.update(config.pull_secrets)
        for file in config.secret_files:
            if file.enabled:
                mounted = {} if file.key is None else {file.key: config.name}
                keys.setdefault(file.secret, {}).update(mounted)
    return tuple(
        SecretUse(name, tuple(sorted(keys.get(name, {}).items())), name in pulls) for name in sorted({*keys, *pulls})
    )


def secrets_brought(manifests: Iterable[Manifest]) -> set[tuple[str | None, str]]:
    """Return namespace and name of every Secret that ``manifests`` bring; others must be in the cluster before."""
    return {(each.namespace, each.name) for each in manifests if each.kind in _KINDS}


def secrets_named(manifests: Iterable[Manifest]) -> tuple[tuple[str, str], ...]:
    """Return namespace and name of every Secret that pods of ``manifests`` mount, read or pull images by, sorted."""
    found: set[tuple[str, str]] = set()
    for manifest in manifests:
        job = value_at(manifest.body, ("spec", "jobTemplate")) or manifest.body
        pod = value_at(job, ("spec", "template", "spec"))
        if pod is not None and manifest.namespace is not None:
            found |= {(manifest.namespace, name) for name in _secrets_of_pod(pod)}
    return tuple(sorted(found))


def _secrets_of_pod(pod: Mapping[str, Any]) -> Iterator[str]:
    yield from (each["name"] for each in pod.get("imagePullSecrets", ()))
    yield from (each["secret"]["secretName"] for each in pod.get("volumes", ()) if "secret" in each)
    for container in (*pod.get("initContainers", ()), *pod.get("containers", ())):
        sources = [value_at(each, ("valueFrom", "secretKeyRef")) for each in container.get("env", ())]
        sources += [each.get("secretRef") for each in container.get("envFrom", ())]
        yield from (source["name"] for source in sources if source is not None)


def path_of(platform: "Platform", site: Site, secret: str, namespace: str) -> str:
    """Return where a Secret is: its path in the store, or that of its file."""
    item = platform.secrets.item_of(secret)
    path = (item.path if item else None) or platform.secrets.path
    assert path is not None
    return _filled(platform, site, secret, path, namespace)


def path_steps(platform: "Platform", secret: str) -> tuple[str | int, ...]:
    """Return where the description says that path."""
    for place, item in enumerate(platform.secrets.items):
        if item.name == secret and item.path is not None:
            return ("secrets", "items", place, "path")
    return ("secrets", "path")


def _filled(platform: "Platform", site: Site, secret: str, path: str, namespace: str) -> str:
    words = {
        "environment": platform.environment,
        "region": site.region.code,
        "cluster": site.cluster,
        "namespace": namespace,
        "secret": secret,
    }
    for name, word in words.items():
        path = path.replace(f"{{{name}}}", word)
    return path


def secrets_at(platform: "Platform", site: Site) -> Iterator[tuple[str, SecretUse]]:
    """Yield every Secret that a cluster needs, with its namespace: of the workloads, then of the components."""
    for use in secrets_used(config for _, config in site_configs(platform, site).values()):
        yield platform.namespace, use
    place = place_of(platform, site, Surroundings())
    for use in component_secrets(components_at(platform, site), place):
        yield platform.data_namespace, use


def render_secrets(
    platform: "Platform", site: Site, namespace: str, uses: Iterable[SecretUse], files: Mapping[str, bytes]
) -> tuple[Manifest, ...]:
    """Return what brings the Secrets of a namespace, one object for each, by name.

    Args:
        platform: The platform, without faults.
        site: The cluster.
        namespace: The namespace.
        uses: What its pods use.
        files: Content of every encrypted file, by its path.

    Raises:
        ConfigError: An encrypted file is missing, or is none.
    """
    secrets = platform.secrets
    if secrets.provider == "existing":
        return ()
    bodies = []
    for use in uses:
        if secrets.encrypts:
            path = path_of(platform, site, use.name, namespace)
            bodies.append(encrypted_body(secrets.provider, use, namespace, files.get(path), path))
        else:
            bodies.append(_external_secret(platform, site, use, namespace))
    return tuple(Manifest(body, SOURCE) for body in bodies)


def _external_secret(platform: "Platform", site: Site, use: SecretUse, namespace: str) -> dict[str, Any]:
    store = platform.secrets.store
    assert store is not None
    # Retain: a record that vanishes from the store must not take the Secret from pods that run.
    target: dict[str, Any] = {"name": use.name, "creationPolicy": "Owner", "deletionPolicy": "Retain"}
    if use.pulls:
        target["template"] = {"type": PULL_TYPE}
    spec = {
        "secretStoreRef": {"name": store.name, "kind": store.kind},
        "target": target,
        "refreshInterval": _REFRESH,
        **_fetched(platform, site, use.name, namespace),
    }
    labels = system_labels(platform.name)
    metadata = {"name": use.name, "namespace": namespace, "labels": labels}
    return {"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "metadata": metadata, "spec": spec}


def _fetched(platform: "Platform", site: Site, secret: str, namespace: str) -> dict[str, Any]:
    """Return what is fetched: each key from its place, or all that is at the Secret's path."""
    item = platform.secrets.item_of(secret)
    path = path_of(platform, site, secret, namespace)
    if item is None or not item.keys:
        return {"dataFrom": [{"extract": {"key": path, **_WITHOUT_METADATA, **_AS_READ}}]}
    data = []
    for key in item.keys:
        place = path if key.path is None else _filled(platform, site, secret, key.path, namespace)
        remote = {"key": place, **_WITHOUT_METADATA}
        remote |= {} if key.property is None else {"property": key.property}
        data.append({"secretKey": key.name, "remoteRef": {**remote, **_AS_READ}})
    return {"data": data}


# --- rules of the platform


def secrets_have_a_folder(self: "Platform") -> Iterator[Fault]:
    if self.secrets.provider == "existing":
        return
    for view in self.entries:
        if view.name == FOLDER:
            yield Fault(
                (*view.at, "name"),
                f"the name of the folder that provider {self.secrets.provider} needs",
                "give it another name",
                view.name,
            )
    for place, component in enumerate(self.components):
        if component.name == FOLDER:
            reason = f"the name of the folder that provider {self.secrets.provider} needs"
            yield Fault(("components", place, "name"), reason, "give it another name", component.name)


def secret_items_are_used(self: "Platform") -> Iterator[Fault]:
    placed = [expanded.config for places in self.expansions.values() for expanded in places.values()]
    configs = [config for config in placed if config is not None]
    if len(configs) < len(placed):
        return  # a faulty workload may be the one that uses it
    used = [use.name for use in secrets_used(configs)]
    used += [use.name for site in self.sites for _, use in secrets_at(self, site) if use.name not in used]
    for place, item in enumerate(self.secrets.items):
        if item.name not in used:
            fix = suggestion(item.name, used, f"remove it; used are {', '.join(used) or 'none'}")
            yield Fault(("secrets", "items", place, "name"), "no workload uses a Secret of that name", fix, item.name)


def encrypted_files_are_of_one_namespace(self: "Platform") -> Iterator[Fault]:
    """Credentials of components stand in both namespaces, and a file is encrypted for one of them."""
    told: set[tuple[str | int, ...]] = set()
    for site in self.sites if self.secrets.encrypts and self.secrets.path is not None else ():
        seen: dict[str, str] = {}
        for namespace, use in secrets_at(self, site):
            at = path_steps(self, use.name)
            other = seen.setdefault(path_of(self, site, use.name, namespace), namespace)
            if other != namespace and at not in told:
                told.add(at)
                reason = f"one file for '{use.name}' of '{other}' and of '{namespace}', and it is encrypted for one"
                item = self.secrets.item_of(use.name)
                path = self.secrets.path if item is None else item.path or self.secrets.path
                yield Fault(at, reason, "let {namespace} stand in it", path)


def secret_keys_are_fetched(self: "Platform") -> Iterator[Fault]:
    seen = set()
    places = {item.name: place for place, item in enumerate(self.secrets.items) if item.keys}
    for site in self.sites if places else ():
        for _, use in secrets_at(self, site):
            place = places.get(use.name)
            fetched = {key.name for key in self.secrets.items[place].keys} if place is not None else set()
            for key, why in use.needs():
                if place is not None and key not in fetched and (place, key) not in seen:
                    seen.add((place, key))
                    at = ("secrets", "items", place, "keys")
                    yield Fault(at, f"lack '{key}', {why}", f"add {{name: {key}}}")


def engines_can_decrypt(self: "Platform") -> Iterator[Fault]:
    at = ("secrets", "provider")
    if self.secrets.provider != "sops":
        return
    if self.gitops.engine == "argocd":
        reason = "Argo CD does not decrypt, and would apply the encrypted text"
        yield Fault(at, reason, "name another provider, or set gitops.engine to flux", "sops")
    elif self.gitops.engine == "none":
        reason = "kubectl does not decrypt: a server refuses the Secrets with their field 'sops'"
        yield Fault(at, reason, "set gitops.engine to flux, or apply them by sops -d", "sops", "warning")
