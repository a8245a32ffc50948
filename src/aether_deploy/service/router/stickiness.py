"""The token that brings a player back to the region that he was sent to.

With a key it is the region's code, signed, and one that no router of ours signed is as none. Without a key it is the
code itself, and anyone can write one. Either way the region that a token names is chosen by all the rules that hold for
a returning player; a forged one gains its owner no more than a returning player has: a place in a region that drains
softly, warms up or spills. A token names no player and no time, so it can be passed on, and decisions hang on no wall
clock.
"""

from collections.abc import Mapping

from aether_deploy.service.router.signing import SigningKeys, verified

PURPOSE = b"aether-sticky-1\n"
_KEPT = 1000


def sticky_token(region: str, keys: SigningKeys | None) -> str:
    """Return the token of players who are sent to ``region``."""
    return region if keys is None else keys.sign(region.encode("ascii"), purpose=PURPOSE)


class TokenReader:
    """Reads tokens, and remembers those that were good: players send theirs again and again."""

    def __init__(self, keys: SigningKeys | None) -> None:
        self._public: Mapping[str, str] | None = None if keys is None else keys.public
        self._known: dict[str, str] = {}

    def region(self, token: str) -> str | None:
        """Return the region that a token names; None where it cannot be believed."""
        if self._public is None:
            return token
        region = self._known.get(token)
        if region is None:
            try:
                region = verified(token, self._public, purpose=PURPOSE, fault="the token").decode("ascii")
            except ValueError:
                return None
            if len(self._known) < _KEPT:
                self._known[token] = region
        return region
