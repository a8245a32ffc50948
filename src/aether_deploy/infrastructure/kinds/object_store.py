"""The kind ``object_store``: buckets behind the S3 API, of a provider or of a store that runs here."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from aether_deploy.config.base import FILLED, Fault, rule
from aether_deploy.config.marks import Keyed, Placeholders, TextRule
from aether_deploy.config.types import ObjectName
from aether_deploy.infrastructure.component import ComponentConfig, FileChange, Place, Port
from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.object_store import provider_rules, rules
from aether_deploy.infrastructure.object_store.capabilities import Provider
from aether_deploy.infrastructure.object_store.examples import EXAMPLES
from aether_deploy.infrastructure.object_store.parts import ObjectBucket, StoreUser
from aether_deploy.infrastructure.object_store.ports import EXPOSABLE, S3
from aether_deploy.infrastructure.object_store.regions import (
    HTTP,
    HTTPS,
    SELF_HOSTED,
    active_region,
    home_regions,
    inside_address,
)
from aether_deploy.pods.storage import PvcConfig


def _address_fault(url: str) -> str | None:
    host, _, port = url.partition("://")[2].partition(":")
    if port and not 1 <= int(port) <= 65_535:
        return "has a port that TCP does not know"
    if all(label.isdecimal() for label in host.split(".")):
        return "an address, and a name is wanted: Kubernetes leads clients there by it"
    return None


# A label of a host name; a placeholder may stand in it, or be all of it.
_LABEL = "([a-z0-9]|\\{[a-z]+\\})([a-z0-9-]|\\{[a-z]+\\})*"
StoreUrl = Annotated[
    str,
    Placeholders(("region", "environment", "cluster")),
    TextRule(
        what="the address of an S3 API",
        pattern=rf"https?://{_LABEL}(\.{_LABEL})*(:[0-9]{{1,5}})?",
        max_length=253,
        check=_address_fault,
        fix="write scheme and host, and no path: https://s3.{region}.example.com",
    ),
]
SigningRegion = Annotated[
    str,
    TextRule(what="a region of signatures", pattern="[A-Za-z0-9-]+", max_length=63, fix="write it as in the S3 API"),
]
RoleArn = Annotated[
    str,
    TextRule(
        what="an ARN of a role",
        pattern=r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+",
        fix="write arn:aws:iam::<account of 12 digits>:role/<name>",
    ),
]


class ObjectStoreConfig(ComponentConfig):
    """An object store: buckets that are set up as described, in one region that takes writes and some that follow.

    Attributes:
        kind: ``object_store``.
        provider: Whose it is: ``seaweedfs`` runs here, all others elsewhere, and nothing of them has pods.
        regions: Where its objects are. The first takes writes, the others follow it.
        pvc: The volume of a store that runs here, in each region.
        url: Address of a provider's S3 API; left out, that of Amazon's region, or of Google's.
        signing_region: Region that signatures name; left out, what the provider wants. Amazon and Google make buckets
            there.
        buckets: Buckets that are to exist.
        users: Who logs in to a store that runs here, beside those who set up buckets; left out, one user ``app``.
        admin_secret: Secret with ``access_key`` and ``secret_key`` of who sets up buckets; left out, ``<name>-admin``.
        encryption_key_secret: Secret with ``kek``, 64 hex digits, of buckets with ``encryption``; left out,
            ``<name>-encryption``.
        replication_role: aws: the role as which S3 copies to the second region.
    """

    KIND_NAME: ClassVar[str] = "object_store"

    DATA_PATH: ClassVar[str] = "/data"

    EXAMPLES: ClassVar[Mapping[str, Mapping[str, Any]]] = EXAMPLES

    kind: Literal["object_store"] = FILLED
    provider: Provider = "seaweedfs"
    pvc: PvcConfig | None = None
    url: StoreUrl | None = None
    signing_region: SigningRegion | None = None
    buckets: Annotated[Sequence[ObjectBucket], Keyed("name")] = ()
    users: Annotated[Sequence[StoreUser], Keyed("name")] = FILLED
    admin_secret: ObjectName | None = None
    encryption_key_secret: ObjectName | None = None
    replication_role: RoleArn | None = None

    @classmethod
    def fill(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what is given and the defaults of the kind beneath it."""
        filled = {"kind": cls.KIND_NAME, **super().fill(given)}
        own = filled.get("provider", SELF_HOSTED) == SELF_HOSTED
        filled.setdefault("users", [{"name": "app"}] if own else [])
        expose, regions = given.get("expose"), given.get("regions")
        several = isinstance(regions, Sequence) and not isinstance(regions, str) and len(regions) > 1
        if isinstance(expose, Mapping) and "ports" not in expose and several:
            filled["expose"] = {**expose, "ports": [name for name, _, _ in EXPOSABLE]}
        return filled

    @classmethod
    def default_limits(cls) -> Mapping[str, str]:
        """Return what a server of some thousand requests a second needs: idle it takes 120 MiB."""
        return {
            "cpu_limit": "1",
            "memory_limit": "2Gi",
            "ephemeral_limit": "256Mi",
        }

    @classmethod
    def default_exposed(cls) -> Sequence[str]:
        return [S3[0]]

    # --- what others need to know of it

    @property
    def client_ports(self) -> tuple[Port, ...]:
        if self.provider == SELF_HOSTED:
            return (S3,)
        scheme, _, rest = (self.url or "https://").partition("://")
        port = rest.partition(":")[2]
        return ((S3[0], int(port) if port else HTTPS if scheme == "https" else HTTP, "TCP"),)

    def placed_in(self, estate: Estate) -> tuple[str, ...]:
        """Return the regions that have objects of it; what a provider runs has a name in every cluster."""
        if self.provider == SELF_HOSTED or not self.enabled or not home_regions(self, estate):
            return super().placed_in(estate)
        return tuple(region.code for region in estate.regions)

    def serving_region(self, estate: Estate, region: str) -> str | None:
        """Return the region itself where it takes writes; a copy answers nobody who asks for the component."""
        active = active_region(self, estate)
        own = self.provider == SELF_HOSTED and self.enabled and active is not None and active.code == region
        return region if own else None

    def client_url(self, estate: Estate) -> str | None:
        """Return the address for clients of S3: a provider's by its own name, which alone its certificate has."""
        active = active_region(self, estate)
        if active is None:
            return None
        return inside_address(self, estate, active.code).url

    @property
    def logins(self) -> tuple[tuple[StoreUser, str], ...]:
        """Everybody who logs in to a store that runs here, with the Secret of each."""
        return tuple((user, user.secret or f"{self.name}-credentials") for user in self.users if user.enabled)

    @property
    def credentials(self) -> str | None:
        """The Secret that those who use the component log in with: that of the first user."""
        if self.provider != SELF_HOSTED:
            return f"{self.name}-credentials"
        return self.logins[0][1] if self.logins else None

    @property
    def operators_secret(self) -> str:
        """Secret of who sets up buckets."""
        return self.admin_secret or f"{self.name}-admin"

    @property
    def encryption_secret(self) -> str:
        """Secret with the key of encryption on disk."""
        return self.encryption_key_secret or f"{self.name}-encryption"

    @property
    def encrypts(self) -> bool:
        """Whether a store that runs here needs a key of encryption."""
        return self.provider == SELF_HOSTED and any(each.enabled and each.encryption for each in self.buckets)

    @property
    def has_lifecycle(self) -> bool:
        """Whether objects of it are to go in time."""
        return any(each.enabled and each.lifecycle is not None and each.lifecycle.acts for each in self.buckets)

    def secrets(self, place: Place) -> Mapping[str, tuple[str, ...]]:
        """Return the Secrets of those who log in, and of encryption; of a provider's store, of who sets it up."""
        from aether_deploy.infrastructure.object_store.job import ENCRYPTION_KEYS, LOGIN_KEYS, sets_up_buckets

        if self.provider != SELF_HOSTED:
            here = sets_up_buckets(self, place.estate, place.region.code)
            return {self.operators_secret: LOGIN_KEYS} if here else {}
        found = dict.fromkeys((self.operators_secret, *(secret for _, secret in self.logins)), LOGIN_KEYS)
        return {**found, self.encryption_secret: ENCRYPTION_KEYS} if self.encrypts else found

    def faults(self, estate: Estate) -> Iterator[Fault]:
        yield from rules.faults_of(self, estate)

    def render(self, place: Place) -> list[dict[str, Any]]:
        from aether_deploy.infrastructure.object_store.rendering import objects_of

        return objects_of(self, place)

    @classmethod
    def file_changes(cls, before: Mapping[str, str], after: Mapping[str, str]) -> Sequence[FileChange]:
        from aether_deploy.infrastructure.object_store.changes import file_changes

        return file_changes(before, after)

    def runbooks(self, estate: Estate) -> Mapping[str, str]:
        from aether_deploy.infrastructure.object_store.runbook import runbook

        return {f"{self.name}.md": runbook(self, estate)}

    # --- rules between its fields

    a_store_that_runs_has_pods = rule(rules.a_store_that_runs_has_pods)
    a_provider_runs_no_pods = rule(rules.a_provider_runs_no_pods)
    a_provider_has_an_address = rule(rules.a_provider_has_an_address)
    providers_can_what_is_asked = rule(rules.providers_can_what_is_asked)
    a_copy_at_a_provider_has_a_role = rule(rules.a_copy_at_a_provider_has_a_role)
    exposed_ports_exist = rule(rules.exposed_ports_exist)
    the_filer_stays_inside = rule(rules.the_filer_stays_inside)
    users_are_told_apart = rule(rules.users_are_told_apart)
    keys_have_a_secret_of_their_own = rule(rules.keys_have_a_secret_of_their_own)
    objects_have_a_folder = rule(rules.objects_have_a_folder)
    a_server_has_memory = rule(rules.a_server_has_memory)
    names_can_be_given = rule(provider_rules.names_can_be_given)
    copies_have_names = rule(provider_rules.copies_have_names)
    classes_are_the_providers = rule(provider_rules.classes_are_the_providers)


KIND = ObjectStoreConfig
