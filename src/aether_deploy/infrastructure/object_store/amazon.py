"""Amazon's regions: which partition each is in, and what that changes.

Source: AWS Fault Isolation Boundaries, Partitions; AWS General Reference, Amazon S3 endpoints.
"""

from aether_deploy.patterns import Pattern

_REGION = Pattern(r"[a-z]{2,4}(-[a-z]+)+-[0-9]+")
_PARTITIONS = {"cn-": ("aws-cn", "amazonaws.com.cn"), "us-gov-": ("aws-us-gov", "amazonaws.com"),
               "eusc-": ("aws-eusc", "amazonaws.eu")}  # fmt: skip
_USUAL = ("aws", "amazonaws.com")


def is_region_of_amazon(code: str) -> bool:
    """Return whether a code is written as Amazon's are: ``eu-west-1``."""
    return _REGION.fullmatch(code) is not None


def region_of_address(url: str) -> str | None:
    """Return the region that an address of Amazon's names: one label of its host is written as such."""
    labels = url.partition("://")[2].partition(":")[0].split(".")
    return next((each for each in labels if "amazonaws" in labels and is_region_of_amazon(each)), None)


def partition_of(region: str) -> str:
    """Return the partition of a region, which names of its buckets hold: ``aws``, ``aws-cn`` …"""
    return _row(region)[0]


def endpoint_of_amazon(region: str) -> str:
    """Return the address of S3 in a region."""
    return f"https://s3.{region}.{_row(region)[1]}"


def _row(region: str) -> tuple[str, str]:
    return next((row for begins, row in _PARTITIONS.items() if region.startswith(begins)), _USUAL)
