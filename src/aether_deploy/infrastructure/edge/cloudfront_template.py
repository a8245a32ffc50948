"""What CloudFormation makes of an edge: a distribution, and what belongs to it.

Kubernetes custom resources exist for all of these (ACK's cloudfront-controller), but there a distribution names its
policies and functions by identifiers that exist only once they do; in a template they refer to each other.

Sources: AWS CloudFormation Template Reference, ``AWS::CloudFront::*``; Amazon CloudFront Developer Guide.
"""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from aether_deploy.infrastructure.edge.cloudfront_functions import closing_function, telling_function
from aether_deploy.infrastructure.edge.nginx import CONNECT_SECS, READ_SECS
from aether_deploy.infrastructure.edge.outside import (
    OutsideOrigin,
    outside_origins,
    outside_policy,
)
from aether_deploy.infrastructure.edge.policy import METHODS, NOT_FOUND_SECS, EdgeClass, EdgePage, EdgePolicy
from aether_deploy.infrastructure.estate import Estate

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.edge import EdgeConfig

Resource = dict[str, Any]

NOT_KEPT = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
"""CloudFront's own policy ``CachingDisabled``, the same in every account."""

MAX_ORIGINS = 2
"""Origins of a group: *Optimize high availability with CloudFront origin failover*."""

_FAILS_OVER = (403, 404, 500, 502, 503, 504)
"""S3 says 403 of what is not there; a copy may lack what the other has."""

_STORES_OWN = ("x-amz-version-id", "x-amz-request-id", "x-amz-id-2", "x-amz-server-side-encryption")


def template_text(config: "EdgeConfig", estate: Estate) -> str:
    """Return the template as JSON. Equal input gives equal text."""
    return json.dumps(template(config, estate), indent=2, sort_keys=True) + "\n"


def template(config: "EdgeConfig", estate: Estate) -> Resource:
    """Return the template of one edge."""
    policy = outside_policy(config, estate)
    origins = outside_origins(config, estate.component(config.store), estate)[:MAX_ORIGINS]
    prefix = unique_name(config, estate)
    resources = {
        "Closing": _function(f"{prefix}-closing", closing_function(policy.open_prefixes)),
        "Telling": _function(f"{prefix}-telling", telling_function(policy.classes)),
        "Headers": _headers(prefix, policy.pages),
        **{_class_id(each): _cache_policy(prefix, each) for each in policy.classes},
        "Distribution": _distribution(config, policy, origins),
    }
    if any(each.is_s3 for each in origins):
        resources["OriginAccess"] = _origin_access(prefix)
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"Edge {config.name} of {estate.system}, environment {estate.environment}",
        "Resources": resources,
        "Outputs": {
            "DomainName": {
                "Description": f"What {config.hostname} must lead to",
                "Value": {"Fn::GetAtt": ["Distribution", "DomainName"]},
            },
            "DistributionId": {
                "Description": "What invalidations name",
                "Value": {"Ref": "Distribution"},
            },
        },
    }


def unique_name(config: "EdgeConfig", estate: Estate) -> str:
    """Return what names of policies and functions begin with: they are one space in an account."""
    return f"{estate.namespace}-{config.name}"


def _class_id(each: EdgeClass) -> str:
    # Names of resources are letters and digits; no label has a capital one.
    return "Class" + each.name.replace("-", "X")


def _function(name: str, code: str) -> Resource:
    return {
        "Type": "AWS::CloudFront::Function",
        "Properties": {
            "Name": name,
            "AutoPublish": True,
            "FunctionCode": code,
            "FunctionConfig": {"Comment": name, "Runtime": "cloudfront-js-2.0"},
        },
    }


def _cache_policy(prefix: str, each: EdgeClass) -> Resource:
    stale = max(each.swr_secs, each.sie_secs)
    nothing = {"EnableAcceptEncodingBrotli": False, "EnableAcceptEncodingGzip": False}
    return {
        "Type": "AWS::CloudFront::CachePolicy",
        "Properties": {
            "CachePolicyConfig": {
                "Name": f"{prefix}-{each.name}",
                # What may be answered stale is said by the object's own Cache-Control, which a minimum would overrule.
                "MinTTL": 0 if stale else each.ttl_secs,
                "DefaultTTL": each.ttl_secs,
                "MaxTTL": max(each.ttl_secs, stale),
                "ParametersInCacheKeyAndForwardedToOrigin": {
                    **nothing,
                    "CookiesConfig": {"CookieBehavior": "none"},
                    "HeadersConfig": {"HeaderBehavior": "none"},
                    "QueryStringsConfig": {"QueryStringBehavior": "none"},
                },
            }
        },
    }


def _headers(prefix: str, pages: Sequence[EdgePage]) -> Resource:
    settings: Resource = {
        "Name": prefix,
        "RemoveHeadersConfig": {"Items": [{"Header": name} for name in _STORES_OWN]},
    }
    exposed = list(dict.fromkeys(name for each in pages for name in each.expose_headers))
    if pages:
        settings["CorsConfig"] = {
            "AccessControlAllowCredentials": False,
            "AccessControlAllowHeaders": {"Items": ["*"]},
            "AccessControlAllowMethods": {"Items": list(METHODS)},
            "AccessControlAllowOrigins": {"Items": [each.origin for each in pages]},
            **({"AccessControlExposeHeaders": {"Items": exposed}} if exposed else {}),
            "OriginOverride": True,
        }
    return {"Type": "AWS::CloudFront::ResponseHeadersPolicy", "Properties": {"ResponseHeadersPolicyConfig": settings}}


def _origin_access(prefix: str) -> Resource:
    settings = {
        "Name": prefix,
        "OriginAccessControlOriginType": "s3",
        "SigningBehavior": "always",
        "SigningProtocol": "sigv4",
    }
    return {"Type": "AWS::CloudFront::OriginAccessControl", "Properties": {"OriginAccessControlConfig": settings}}


def _distribution(config: "EdgeConfig", policy: EdgePolicy, origins: Sequence[OutsideOrigin]) -> Resource:
    own = config.cloudfront
    assert own is not None
    target = "group" if len(origins) > 1 else origins[0].name
    classes = [_behavior(target, {"Ref": _class_id(each)}, each.match) for each in policy.classes]
    rest = [_behavior(target, NOT_KEPT, prefix) for prefix in policy.open_prefixes]
    settings: Resource = {
        "Aliases": [config.hostname],
        "CacheBehaviors": classes + [each for each in rest if each["PathPattern"] not in _patterns(classes)],
        "Comment": f"edge {config.name}",
        "CustomErrorResponses": [{"ErrorCode": code, "ErrorCachingMinTTL": NOT_FOUND_SECS} for code in (403, 404)],
        "DefaultCacheBehavior": _behavior(target, NOT_KEPT),
        "Enabled": True,
        "HttpVersion": "http2and3",
        "IPV6Enabled": True,
        "Origins": [_origin(each, config.shield) for each in origins],
        "PriceClass": own.price_class,
        "ViewerCertificate": {
            "AcmCertificateArn": own.certificate_arn,
            "MinimumProtocolVersion": "TLSv1.2_2021",
            "SslSupportMethod": "sni-only",
        },
    }
    if len(origins) > 1:
        settings["OriginGroups"] = {"Quantity": 1, "Items": [_group(target, origins)]}
    return {"Type": "AWS::CloudFront::Distribution", "Properties": {"DistributionConfig": settings}}


def _patterns(behaviors: Sequence[Resource]) -> set[str]:
    return {each["PathPattern"] for each in behaviors}


def _behavior(target: str, kept: object, prefix: str | None = None) -> Resource:
    functions = {"viewer-request": "Closing", "viewer-response": "Telling"}
    return {
        **({} if prefix is None else {"PathPattern": f"{prefix}*"}),
        "AllowedMethods": list(METHODS),
        "CachedMethods": list(METHODS),
        "CachePolicyId": kept,
        "Compress": False,
        "FunctionAssociations": [
            {"EventType": event, "FunctionARN": {"Fn::GetAtt": [name, "FunctionARN"]}}
            for event, name in functions.items()
        ],
        "ResponseHeadersPolicyId": {"Ref": "Headers"},
        "TargetOriginId": target,
        "ViewerProtocolPolicy": "redirect-to-https",
    }


def _origin(origin: OutsideOrigin, shield: str | None) -> Resource:
    settings: Resource = {
        "ConnectionAttempts": 1,
        "ConnectionTimeout": CONNECT_SECS,
        "DomainName": origin.address.host,
        "Id": origin.name,
    }
    if origin.path:
        settings["OriginPath"] = origin.path
    if shield is not None:
        settings["OriginShield"] = {"Enabled": True, "OriginShieldRegion": shield}
    return settings | dict(_reaching(origin))


def _reaching(origin: OutsideOrigin) -> Iterator[tuple[str, object]]:
    if origin.is_s3:
        yield "OriginAccessControlId", {"Fn::GetAtt": ["OriginAccess", "Id"]}
        yield "S3OriginConfig", {"OriginAccessIdentity": ""}  # that of old; empty, since the new one is used
        return
    secure = origin.address.scheme == "https"
    yield (
        "CustomOriginConfig",
        {
            "HTTPPort": 80 if secure else origin.address.port,
            "HTTPSPort": origin.address.port if secure else 443,
            "OriginProtocolPolicy": "https-only" if secure else "http-only",
            "OriginReadTimeout": READ_SECS,
            "OriginSSLProtocols": ["TLSv1.2"],
        },
    )


def _group(name: str, origins: Sequence[OutsideOrigin]) -> Resource:
    members = [{"OriginId": each.name} for each in origins]
    return {
        "Id": name,
        "FailoverCriteria": {"StatusCodes": {"Quantity": len(_FAILS_OVER), "Items": list(_FAILS_OVER)}},
        "Members": {"Quantity": len(members), "Items": members},
    }
