"""Field types with their rules, each said once.

Sources: Kubernetes ``apimachinery/pkg/util/validation`` (names, labels, ports), ``distribution/reference``
(images), ``core/validation`` (environment names, ConfigMap keys).
"""

from typing import Annotated

from aether_deploy.config.marks import NumberRule, TextRule, WholeRule
from aether_deploy.quantities import QuantityError, parse_duration_secs, parse_quantity

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_LABEL_FIX = "use lower-case letters, digits and '-', and begin and end with a letter or digit"
_QUALIFIED = "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"

DnsLabel = Annotated[str, TextRule(what="a DNS-1123 label", pattern=_LABEL, max_length=63, fix=_LABEL_FIX)]
ObjectName = Annotated[
    str,
    TextRule(
        what="a DNS-1123 subdomain",
        pattern=rf"{_LABEL}(\.{_LABEL})*",
        max_length=253,
        fix=_LABEL_FIX,
    ),
]
ServiceName = Annotated[
    str,
    TextRule(
        what="a DNS-1035 label",
        pattern="[a-z]([-a-z0-9]*[a-z0-9])?",
        max_length=63,
        fix="use lower-case letters, digits and '-', begin with a letter and end with a letter or digit",
    ),
]
LabelKey = Annotated[
    str,
    TextRule(
        what="a label key",
        pattern=rf"({_LABEL}(\.{_LABEL})*/)?{_QUALIFIED}",
        max_length=317,
        fix="use at most 63 letters, digits, '-', '_' or '.', after an optional DNS prefix and '/'",
    ),
]
LabelValue = Annotated[
    str,
    TextRule(
        what="a label value",
        pattern=rf"({_QUALIFIED})?",
        fix="use at most 63 letters, digits, '-', '_' or '.', beginning and ending with a letter or digit",
    ),
]
_DOMAIN = r"[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?)*(:[0-9]+)?"
_IMAGE_PART = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
ImageRef = Annotated[
    str,
    TextRule(
        what="an image reference",
        pattern=rf"({_DOMAIN}/)?{_IMAGE_PART}(/{_IMAGE_PART})*(:[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(@sha256:[a-f0-9]{{64}})?",
        max_length=512,
        fix="write [registry/]name:tag@sha256:<64 hex digits>",
    ),
]
_HOST_LABEL = r"([a-z0-9]|\{[a-z]+\})([-a-z0-9]|\{[a-z]+\})*"


def _host_fault(text: str) -> str | None:
    return "an address, and a name is wanted" if text.replace(".", "").isdecimal() else None


HOST_NAME = TextRule(
    what="a host name",
    pattern=rf"{_HOST_LABEL}(\.{_HOST_LABEL})+",
    max_length=253,
    check=_host_fault,
    fix="write it without scheme, port and path: name.{region}.example.com",
)
"""A name that DNS knows, in which placeholders may stand."""

PortNumber = Annotated[int, WholeRule(ge=1, le=65535)]
PortName = Annotated[
    str,
    TextRule(
        what="a port name",
        pattern="(?=.*[a-z])(?!.*--)[a-z0-9]([-a-z0-9]*[a-z0-9])?",
        max_length=15,
        fix="use lower-case letters, digits and single '-', with at least one letter",
    ),
]
EnvName = Annotated[
    str,
    TextRule(
        what="an environment variable name",
        pattern="[-._a-zA-Z][-._a-zA-Z0-9]*",
        fix="use letters, digits, '_', '-' or '.', not beginning with a digit",
    ),
]
FileKey = Annotated[
    str,
    TextRule(
        what="a ConfigMap key",
        pattern=r"(?!\.\.?$|\.\.)[-._a-zA-Z0-9]+",
        max_length=253,
        fix="use letters, digits, '-', '_' and '.', not beginning with '..'",
    ),
]
AbsolutePath = Annotated[
    str,
    TextRule(
        what="an absolute path",
        pattern=r"(/(?!\.{1,2}(/|$))[^/:]+)+",
        max_length=4096,
        fix="begin with '/', without '..', ':', a double or a final '/'",
    ),
]
HttpPath = Annotated[
    str, TextRule(what="an HTTP path", pattern=r"/[^\s]*", max_length=1024, fix="begin with '/', and hold no space")
]
NonEmpty = Annotated[str, TextRule(what="text that is not empty", pattern=r"(.|\n)+", fix="write something")]
KubernetesVersion = Annotated[
    str,
    TextRule(
        what="a Kubernetes API version",
        pattern=r"v1\.(0|[1-9][0-9]?)",
        fix='write the minor version as text: "v1.37"',
    ),
]
_CIDR4 = r"([0-9]{1,3}\.){3}[0-9]{1,3}/[0-9]{1,2}"


def _cidr_fault(text: str) -> str | None:
    import ipaddress

    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        return f"not a CIDR block: {error}"
    return None


Cidr = Annotated[
    str,
    TextRule(
        what="a CIDR block",
        pattern=rf"{_CIDR4}|[0-9a-fA-F:.]+/[0-9]{{1,3}}",
        check=_cidr_fault,
        fix="write address/prefix with no host bits set: 203.0.113.0/24",
    ),
]


def _quantity_fault(text: str) -> str | None:
    try:
        amount = parse_quantity(text)
    except QuantityError as error:
        return str(error)
    return None if amount > parse_quantity("0") else "not more than zero"


_QUANTITY = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+|[numkMGTPE]|[KMGTPE]i)?"


def _size_fault(text: str) -> str | None:
    if fault := _quantity_fault(text):
        return fault
    if parse_quantity(text) < parse_quantity("1Mi"):
        return "less than 1Mi, so a suffix is missing or another was meant"
    return "not a whole number of bytes" if parse_quantity(text).nanos % 10**9 else None


CpuQuantity = Annotated[
    str,
    TextRule(
        what="a quantity of CPU",
        pattern=_QUANTITY,
        check=_quantity_fault,
        numbers=True,
        fix="write cores ('2') or thousandths of one ('500m')",
    ),
]
SizeQuantity = Annotated[
    str,
    TextRule(
        what="a size",
        pattern=_QUANTITY,
        check=_size_fault,
        numbers=True,
        fix="write a size such as 512Mi or 10Gi",
    ),
]


def seconds(*, ge: int, le: int = 2**31 - 1) -> WholeRule:
    """Return the rule of a time in whole seconds, which may be written as a duration: ``5m``, ``1h30m``."""
    return WholeRule(ge=ge, le=le, parse=parse_duration_secs, parse_pattern="([0-9]+h)?([0-9]+m)?([0-9]+s)?")


Seconds = Annotated[int, seconds(ge=0)]
PositiveSeconds = Annotated[int, seconds(ge=1)]
Count = Annotated[int, WholeRule(ge=0, le=2**31 - 1)]
PositiveCount = Annotated[int, WholeRule(ge=1, le=2**31 - 1)]
UserId = Annotated[int, WholeRule(ge=0, le=2**31 - 1)]
Latitude = Annotated[float, NumberRule(ge=-90, le=90)]
Longitude = Annotated[float, NumberRule(ge=-180, le=180)]
