"""What people do for a component when a region is lost, and when it is back: asked of its kind."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from aether_deploy.infrastructure.estate import Estate
from aether_deploy.infrastructure.kind_modules import module_of_kind

if TYPE_CHECKING:
    from aether_deploy.infrastructure.component import ComponentConfig


class Recovery(msgspec.Struct, frozen=True, kw_only=True):
    """What people do for one component when one region is lost. Texts are Markdown without headings, or empty.

    ``promoted``, ``returning`` and ``without`` are fields of the component as a layer of the description has them.

    Attributes:
        functions: Shell functions that its commands use, with what they are; components may share them.
        lost: What is done while the region is away, so that others take its place.
        returned: What is done when it is back, before anybody reaches it.
        gone: What is done if it never comes back.
        fenced: StatefulSets of the lost region that must take no more writes before ``lost`` is done.
        fenced_pods: The pods of ``fenced``.
        grace_secs: The longest time that one of them has to end, seconds.
        still: CronJobs that must not run anywhere meanwhile: they would undo what ``lost`` does.
        at_once: CronJobs of the lost region that set right what is left, and run every few minutes anyway.
        promoted: What is published once another region has taken its place.
        returning: What is published instead while the region, being back, follows the other; empty: the same.
        without: What is published once the region is never to come back.
    """

    functions: str = ""
    lost: str = ""
    returned: str = ""
    gone: str = ""
    fenced: tuple[str, ...] = ()
    fenced_pods: tuple[str, ...] = ()
    grace_secs: int = 0
    still: tuple[str, ...] = ()
    at_once: tuple[str, ...] = ()
    promoted: Mapping[str, Any] = {}
    returning: Mapping[str, Any] = {}
    without: Mapping[str, Any] = {}


NOTHING_TO_DO = Recovery()


def shell(commands: Iterable[str]) -> str:
    """Return commands as a block of Markdown."""
    return "\n".join(["```sh", *commands, "```", ""])


def recovery_of(component: "ComponentConfig", estate: Estate, region: str) -> Recovery:
    """Return what people do for ``component`` when ``region`` is lost.

    A kind's package may hold a module ``recovery`` with ``recovery(component, estate, region)``; of a kind without
    one nothing is done by hand.
    """
    module = module_of_kind(type(component).KIND_NAME, "recovery")
    found: Recovery = NOTHING_TO_DO if module is None else module.recovery(component, estate, region)
    return found
