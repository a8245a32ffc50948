"""How a region is kept from writing: its servers are taken away, and the engine is kept from starting them."""

from collections.abc import Sequence

from aether_deploy.gitops.disaster.loss import RegionLoss
from aether_deploy.gitops.disaster.publishing import joined
from aether_deploy.gitops.engines import commands_around
from aether_deploy.infrastructure.recovery import shell

SPARE_SECS = 120
"""What a cluster may take beyond the time that its slowest server has to end, seconds."""


def fencing(loss: RegionLoss) -> str:
    """Return how writes of the region are stopped while it is away, as Markdown."""
    why = (
        "Where its API server still answers, take the servers away that the next steps replace. Where it does not, see "
        "that nobody starts them unseen: cut its links, or switch its machines off."
    )
    return f"{why}{_where_the_engine_is(loss)}\n\n{_commands(loss)}\n{_WAITING.format(done=_done(loss))}\n"


def fencing_again(loss: RegionLoss, steps: Sequence[int]) -> str:
    """Return how writes of the region are stopped once it is back, if one of ``steps`` was done while it was away."""
    only = f"**Only if step {' or '.join(str(each) for each in steps)} above was done.**"
    why = (
        f"When machines of {loss.code} start, they start the servers that ran on them, which take writes as before; "
        "those that nobody could take away above are among them. So do this, once more where it was done, **before "
        "its links are joined** or its names lead there. What is `not found` runs nowhere: leave it out."
    )
    waiting = _WAITING.format(done=_done(loss))
    return f"{only}\n\n{why}{_where_the_engine_is(loss)}\n\n{_commands(loss)}\n{waiting}\n"


def _commands(loss: RegionLoss) -> str:
    fenced = [recovery for _, recovery in loss.recoveries if recovery.fenced]
    sets = " ".join(f"statefulset/{name}" for recovery in fenced for name in recovery.fenced)
    pods = " ".join(f"pod/{name}" for recovery in fenced for name in recovery.fenced_pods)
    secs = max(recovery.grace_secs for recovery in fenced) + SPARE_SECS
    ask = f"kubectl --context {loss.cluster} -n {loss.platform.data_namespace}"
    hold, _ = engine_commands(loss)
    scale, wait = f"{ask} scale {sets} --replicas=0", f"{ask} wait --for=delete {pods} --timeout={secs}s"
    return shell(joined([*hold, scale, wait, f'echo "{_done(loss)}"']))


def _done(loss: RegionLoss) -> str:
    return f"nothing of it runs in {loss.code}"


_WAITING = (
    "Go on once it says `{done}`. Where it ends with `timed out`, a node does not answer, and the server on it may "
    "still take writes: **do not go on** before that machine is switched off, or cut off from everybody. `kubectl "
    "delete pod --force` stops nothing there: it only forgets the pod."
)


def engine_commands(loss: RegionLoss) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the commands that keep the engine from what is fenced in the region, and that let it go on."""
    platform = loss.platform
    folders = [f"{platform.data_namespace}/{each.name}" for each, recovery in loss.recoveries if recovery.fenced]
    both = [commands_around(platform, loss.cluster, folder) for folder in folders]
    hold, resume = (tuple(dict.fromkeys(each for pair in both for each in pair[side])) for side in (0, 1))
    if platform.gitops.engine == "flux":  # it runs in the cluster that it writes to
        hold, resume = (tuple(_in(loss.cluster, each) for each in side) for side in (hold, resume))
    return hold, resume


def _in(cluster: str, command: str) -> str:
    return command.replace("kubectl ", f"kubectl --context {cluster} ", 1)


def _where_the_engine_is(loss: RegionLoss) -> str:
    if loss.platform.gitops.engine != "argocd":
        return ""
    return (
        " The command without a context is for the cluster that Argo CD runs in: it would start them again. Where "
        "Argo CD does not answer either, leave its line out."
    )
