"""What a failure takes of the copies of a store, from which edges fetch: of one that runs here, or of a provider's."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Optional

from aether_deploy.infrastructure.analysis.failures import PlatformFailure
from aether_deploy.infrastructure.analysis.impacts import Basis
from aether_deploy.infrastructure.estate import Estate, EstateRegion
from aether_deploy.infrastructure.object_store.provider_impact import if_lost, may_go_along, whose_region
from aether_deploy.infrastructure.object_store.regions import SELF_HOSTED, home_regions, reading_order

if TYPE_CHECKING:
    from aether_deploy.infrastructure.kinds.object_store import ObjectStoreConfig

Fate = Literal["there", "doubtful", "gone"]

_ONE_SERVER = Basis("one server holds a region's objects, and goes with its node or zone", "placement; measured")


class StoreCopies:
    """The copies of one store, each in a region of the file."""

    def __init__(self, store: Optional["ObjectStoreConfig"], estate: Estate, only: Sequence[str] | None = None) -> None:
        """Look at where they are: in all regions of the store, or in those that are named, in that order."""
        self._store, self._estate = store, estate
        self._homes = () if store is None else home_regions(store, estate)
        named = [each.code for each in self._homes] if only is None else only
        self.regions = tuple(each for code in named for each in self._homes if each.code == code)

    @property
    def run_here(self) -> bool:
        """Whether they are pods of this platform, to which its links lead."""
        return self._store is not None and self._store.provider == SELF_HOSTED

    @property
    def datacenters(self) -> frozenset[str]:
        """Names of the datacenters with which a copy may go."""
        return frozenset(dc.name for region in self.regions if self._may_go(region) for dc in region.full)

    def nearest_first(self, region: str) -> list[EstateRegion]:
        """Return their regions in the order in which those in ``region`` ask them."""
        order = () if self._store is None else reading_order(self._store, self._estate, region)
        return [each for code in order for each in self.regions if each.code == code]

    def called(self, region: EstateRegion) -> str:
        """Return what a copy is called: by its region, but for the only one of a provider."""
        return region.code if self.run_here or len(self.regions) > 1 else "the store"

    def fate(self, region: EstateRegion, failure: PlatformFailure) -> Fate:
        """Return what becomes of the copy in ``region``.

        Of one that runs here a node or a zone may carry the only server. A provider's may be taken by the loss of a
        whole region: whether that is the provider's own nobody says.
        """
        here = {each.name for each in region.full}
        whole = bool(here) and here <= failure.lost
        if not self.run_here:
            return "doubtful" if whole and failure.single_kind == "region" and self._may_go(region) else "there"
        if whole:
            return "gone"
        return "doubtful" if here & (failure.lost | failure.nodes) else "there"

    def _may_go(self, region: EstateRegion) -> bool:
        return self._store is not None and (self.run_here or may_go_along(self._store, region))

    def if_gone(self, failure: PlatformFailure) -> str:
        """Return the words of the case in which those are gone of which that is not sure; empty where all is sure."""
        doubtful = [each for each in self.regions if self.fate(each, failure) == "doubtful"]
        if self._store is None or not doubtful:
            return ""
        if self.run_here:
            one = len(doubtful) == 1
            return f"if the store's server{' is' if one else 's are'} among the lost"
        return " and ".join(if_lost(self._store, each) for each in doubtful)

    @property
    def rule(self) -> Basis:
        """Why a copy may be gone."""
        return _ONE_SERVER if self._store is None or self.run_here else whose_region(self._store)

    @property
    def fix(self) -> str:
        """What would leave a further copy, as an imperative; empty where the store cannot have one.

        A bucket of Amazon's is copied to one other (``rules``), and those of other providers to none.
        """
        can = self._store is not None and (self.run_here or (self._store.provider == "aws" and len(self._homes) == 1))
        return "let a further region follow the store" if can else ""
