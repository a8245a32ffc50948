"""Patches: the way to set what the description has no field for, on objects that are rendered."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from aether_deploy.config.base import Config, Fault, rule
from aether_deploy.config.marks import Distinct, TextRule, Verbatim
from aether_deploy.config.types import DnsLabel, NonEmpty, ObjectName
from aether_deploy.problems import suggestion

if TYPE_CHECKING:
    from aether_deploy.platform.config import Platform


def _operations_schema() -> dict[str, Any]:
    from aether_deploy.manifest.json_patch import OPERATIONS

    pointer = {"type": "string", "pattern": "^(/.*)?$"}
    fields = {"op": {"enum": list(OPERATIONS)}, "path": pointer, "from": pointer, "value": {}}
    item = {"type": "object", "required": ["op", "path"], "properties": fields, "additionalProperties": False}
    return {"items": item}


Kind = Annotated[
    str,
    TextRule(
        what="a kind of object",
        pattern="[A-Z][A-Za-z0-9]*",
        max_length=63,
        fix="write it as manifests do: Deployment, ConfigMap",
    ),
]


class PatchTarget(Config):
    """The object that is patched, in every cluster where it is rendered.

    Attributes:
        kind: Its kind: ``Deployment``.
        name: Its name, which is that of the workload or begins with it: ``gateway``, ``gateway-external``.
        namespace: Its namespace, where two objects of one kind and name are to be told apart.
        regions: ``all``, or codes of the regions where it is patched.
    """

    kind: Kind
    name: ObjectName
    namespace: DnsLabel | None = None
    regions: Literal["all"] | Annotated[Sequence[DnsLabel], Distinct()] = "all"

    @rule
    def regions_are_named(self) -> Iterator[Fault]:
        if not self.regions:
            yield Fault(("regions",), "names no region", "name one, or leave regions out", self.regions)


class PatchConfig(Config):
    """A change of one object after it was rendered. What comes out is held against the same rules.

    Patches are applied in the order of the file.

    Attributes:
        name: Its name, by which overlays change it and problems call it.
        target: The object that it changes.
        merge: A strategic merge patch: maps merge, ``null`` removes, and items of named lists meet by their key,
            as with kubectl. In a custom resource a list replaces the one that is there (RFC 7386).
        json: A JSON Patch (RFC 6902): operations ``add``, ``remove``, ``replace``, ``move``, ``copy``, ``test``.
        waivers: Rules that the patched object may break: the rule's name to your reason.
        enabled: false leaves it out.
    """

    name: DnsLabel
    target: PatchTarget
    merge: Annotated[Mapping[str, Any], Verbatim(what="a strategic merge patch")] | None = None
    json: (
        Annotated[Sequence[Any], Verbatim(what="a list of operations", list=True, schema=_operations_schema)] | None
    ) = None
    waivers: dict[str, NonEmpty] = {}
    enabled: bool = True

    @rule
    def there_is_one_way(self) -> Iterator[Fault]:
        if (self.merge is None) == (self.json is None):
            says = "lacks what it changes" if self.merge is None else "has both 'merge' and 'json'"
            yield Fault((), says, "give exactly one of merge and json")

    @rule
    def operations_are_sound(self) -> Iterator[Fault]:
        if not self.json:
            return
        from aether_deploy.manifest.json_patch import operation_faults

        for fault in operation_faults(self.json):
            yield Fault(("json", *fault.at), fault.reason, fault.fix)

    @rule
    def waivers_are_known(self) -> Iterator[Fault]:
        if not self.waivers:
            return
        from aether_deploy.platform.manifest_checks import CHECKS

        known = [name for name, check in CHECKS.items() if check.waivable]
        for name in self.waivers:
            if name in CHECKS and name not in known:
                yield Fault(("waivers", name), f"not to be waived: {CHECKS[name].because}", "remove it")
            elif name not in known:
                fix = suggestion(name, known, f"known are {', '.join(known)}")
                yield Fault(("waivers", name), "no rule of that name", fix)

    def to_values(self) -> dict[str, Any]:
        """Return the patch as plain values; what is verbatim stays as it is, its nulls too."""
        values = super().to_values()
        verbatim = {"merge": self.merge, "json": self.json}
        return values | {name: each for name, each in verbatim.items() if each is not None}


def patched_regions_exist(self: "Platform") -> Iterator[Fault]:
    """Yield each region of a patch's target that the platform does not have."""
    codes = [region.code for region in self.regions]
    for place, patch in enumerate(self.patches):
        wanted = () if patch.target.regions == "all" else patch.target.regions
        for index, code in enumerate(wanted):
            if code not in codes:
                fix = suggestion(code, codes, f"known are {', '.join(codes)}")
                at = ("patches", place, "target", "regions", index)
                yield Fault(at, "no region has that code", fix, code)
