"""Names of images: what they must say so that every start runs the same."""

from collections.abc import Iterator

from aether_deploy.config.base import Fault


def tag_of(image: str) -> str | None:
    """Return the tag of an image reference, or None."""
    name = image.partition("@")[0]
    _, colon, tag = name.rpartition(":")
    return tag if colon and "/" not in tag else None


def image_faults(at: tuple[str | int, ...], image: str, *, waived: bool) -> Iterator[Fault]:
    """Yield what is wrong with the name of an image.

    Args:
        at: Steps to it.
        image: The name.
        waived: A tag without a digest is meant.
    """
    tag = tag_of(image)
    if "@sha256:" in image:
        return
    if tag is None:
        reason = "has neither tag nor digest, so every start may run another version"
        yield Fault(at, reason, "write name:tag@sha256:digest", image)
    elif tag == "latest":
        reason = "the tag latest moves, so every start may run another version"
        yield Fault(at, reason, "write name:tag@sha256:digest", image)
    elif not waived:
        fix = "add the digest: name:tag@sha256:digest, or give the waiver image_digest a reason"
        yield Fault(at, "named by its tag only, which can be moved", fix, image, "warning")
