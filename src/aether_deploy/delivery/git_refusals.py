"""What git refuses, as errors with a way out."""

import re

from aether_deploy.problems import EffectError, printable

_QUOTED_LINES = 12
_QUOTED_CHARACTERS = 300

# What git says, and what to do about it; {folder} is where it was asked. The first that fits counts.
_WAYS_OUT = (
    (r"not a git repository", "name a clone of the repository, or make one: git init"),
    (r"cannot change to", "name a folder that is there and can be read"),
    (r"dubious ownership", "say that you trust it: git config --global --add safe.directory '{folder}'"),
    (
        r"\.lock': File exists|[Uu]nable to create '.*\.lock'|cannot lock ref .*Unable to create",
        "wait until the other git is done; if none runs, remove the lock that is named above, then run again",
    ),
    (
        r"tell me who you are|auto-detect email|empty ident name|no email was given|no name was given",
        "say who commits: git config --global user.name NAME; git config --global user.email ADDRESS",
    ),
    (r"gpg failed|failed to write commit object|signing failed", "see that the key of user.signingKey can sign here"),
    (
        r"could not read (Username|Password)|Authentication failed|Permission denied|Host key verification failed"
        r"|terminal prompts disabled",
        "give git credentials that need no question: a credential helper, an SSH agent, a token",
    ),
    (
        r"Could not resolve|unable to access|Could not read from remote|does not appear to be a git repository"
        r"|Connection (refused|timed out|closed|reset)|unable to connect|early EOF|hung up",
        "see that the remote's address is right and that it can be reached, then run again",
    ),
    (r"No space left on device|Disk quota exceeded", "free some space, then run again"),
    (r"Read-only file system|Permission denied", "give this user the right to write there, then run again"),
    (
        r"unable to (read|unpack|parse)|inflate|corrupt|bad object|missing blob",
        "the repository is damaged: see git fsck, or clone it anew",
    ),
)
OTHERWISE = "mend what git says, then run again"


class GitError(EffectError):
    """Git could not do what was asked of it.

    Attributes:
        reason: What could not be done, and where.
        said: What git, a hook or a remote said to that.
        fix: The way out.
    """

    def __init__(self, reason: str, said: str = "", *, fix: str) -> None:
        self.reason = reason
        self.said = said
        self.fix = fix
        super().__init__("\n".join([reason, *quoted(said), f"  fix: {fix}"]))


def quoted(said: str) -> list[str]:
    """Return what a program said as lines for a message: the last ones, each short and printable."""
    lines = [line for line in re.split(r"[\r\n]+", said) if line.strip() and not line.startswith("hint: ")]
    return [f"  | {printable(line[:_QUOTED_CHARACTERS])}" for line in lines[-_QUOTED_LINES:]]


def way_out(said: str, folder: str) -> str | None:
    """Return what to do when git, working in ``folder``, says that; None if that is not known."""
    fixes = (fix for pattern, fix in _WAYS_OUT if re.search(pattern, said))
    fix = next(fixes, None)
    return None if fix is None else fix.format(folder=folder)


def last_words(said: str) -> str:
    """Return the lines that git ends with, without those of a hook that it ran: no hook says ``fatal:``."""
    return "\n".join(line for line in said.splitlines() if line.startswith(("fatal: ", "*** ")))
