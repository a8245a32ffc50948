"""The parts of an edge's settings: what is kept for how long, and what a provider's edge must know."""

from collections.abc import Iterator
from typing import Annotated, Literal

from aether_deploy.config.base import Config, Fault, rule
from aether_deploy.config.marks import TextRule, WholeRule
from aether_deploy.config.types import DnsLabel, ObjectName

KeptSeconds = Annotated[int, WholeRule(ge=0, le=31_536_000)]
PathPrefix = Annotated[
    str,
    TextRule(
        what="the beginning of a path",
        pattern=r"/([A-Za-z0-9_-][A-Za-z0-9._-]*/)*",
        max_length=512,
        fix="begin and end it with '/': /public/build/",
    ),
]
CertificateArn = Annotated[
    str,
    TextRule(
        what="the ARN of a certificate that CloudFront can use",
        pattern=r"arn:aws:acm:us-east-1:[0-9]{12}:certificate/[0-9a-f-]+",
        fix="CloudFront takes those of us-east-1 only: arn:aws:acm:us-east-1:<account>:certificate/<id>",
    ),
]
_LABEL = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
PUBLIC_NAME = rf"{_LABEL}(\.{_LABEL})*\.[a-z]([-a-z0-9]{{0,61}}[a-z0-9])?"
PublicName = Annotated[
    str,
    TextRule(
        what="a host name",
        pattern=PUBLIC_NAME,
        max_length=253,
        fix="write the name that players ask for, the same in every region: cdn.example.com",
    ),
]
ZoneName = Annotated[
    str,
    TextRule(
        what="the name of a zone",
        pattern=PUBLIC_NAME,
        max_length=253,
        fix="write the domain that Cloudflare answers for, of which hostname is a part: example.com",
    ),
]


class CacheClass(Config):
    """Objects that are kept alike.

    Attributes:
        name: What the class is called.
        match: The beginning of the paths that belong to it; where several do, the longest wins.
        ttl_secs: How long an object is answered without asking its origin, seconds.
        immutable: An object never changes under its name, so that browsers need not ask again either.
        stale_while_revalidate_secs: How long after that it is still answered while it is fetched anew, seconds.
        stale_if_error_secs: How long after that it is still answered where no origin does, seconds.
        enabled: false takes the class away.
    """

    name: DnsLabel
    match: PathPrefix
    ttl_secs: KeptSeconds
    immutable: bool = False
    stale_while_revalidate_secs: KeptSeconds = 0
    stale_if_error_secs: KeptSeconds = 0
    enabled: bool = True

    @rule
    def what_never_changes_is_kept_long(self) -> Iterator[Fault]:
        if self.immutable and self.ttl_secs < 86_400:
            reason = "less than a day for what never changes: browsers would ask for it again and again"
            yield Fault(("ttl_secs",), reason, "set it to 31536000, or immutable to false", self.ttl_secs)


class EdgeTls(Config):
    """The certificate of the edge's host name.

    Attributes:
        secret: Secret with ``tls.crt`` and ``tls.key``.
    """

    secret: ObjectName


class EdgeCloudFront(Config):
    """What an edge of CloudFront must know.

    Attributes:
        certificate_arn: The certificate of ``hostname``, in AWS Certificate Manager of ``us-east-1``.
        price_class: Where it answers from, in Amazon's words: everywhere, without the dearest places
            (``PriceClass_200``), or in North America, Europe and Israel alone (``PriceClass_100``).
    """

    certificate_arn: CertificateArn
    price_class: Literal["PriceClass_All", "PriceClass_200", "PriceClass_100"] = "PriceClass_All"


class EdgeCloudflare(Config):
    """What an edge of Cloudflare must know.

    Attributes:
        zone: The zone that ``hostname`` belongs to: ``example.com``.
    """

    zone: ZoneName
