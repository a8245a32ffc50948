"""What is wrong with a patch, and where in it."""

Steps = tuple[str | int, ...]


class PatchFault(Exception):
    """A patch that cannot be applied to an object.

    Attributes:
        at: Steps into the patch: ``("spec", "ports", 0)``, or the operation of a JSON Patch: ``(2, "path")``.
        reason: What is wrong, without the value.
        fix: What to do about it.
    """

    def __init__(self, at: Steps, reason: str, fix: str) -> None:
        super().__init__(reason)
        self.at = at
        self.reason = reason
        self.fix = fix
