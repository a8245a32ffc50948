"""What people do when a region is lost, when it is back, and if it never is: in order, as commands."""

from collections.abc import Iterable, Iterator, Sequence
from shlex import quote

from aether_deploy.gitops.disaster.layer import is_routed, layer_file, layer_of
from aether_deploy.gitops.disaster.loss import RegionLoss
from aether_deploy.gitops.engines import commands_around
from aether_deploy.infrastructure.analysis.analysing import Cell
from aether_deploy.infrastructure.analysis.impacts import Effect
from aether_deploy.platform.config import Platform
from aether_deploy.platform.routing import routing_of

Step = tuple[str, str]
"""A title, and what is done, as Markdown."""


def steps_text(steps: Iterable[Step]) -> str:
    """Return steps as numbered sections."""
    return "\n".join(f"#### {place}. {title}\n\n{text}" for place, (title, text) in enumerate(steps, start=1))


# --- while it is lost


def lost_steps(loss: RegionLoss) -> Iterator[Step]:
    """Yield what is done while the region is away."""
    yield f"See that {loss.code} is lost", _seeing(loss)
    if not loss.others:
        yield "Wait", f"Nothing of it runs anywhere else. What is kept in {loss.code} comes back with it.\n"
        return
    if layer_of(loss):
        yield f"Publish what holds without {loss.code}", _publishing_layer(loss)
    if any(recovery.fenced for _, recovery in loss.recoveries):
        yield f"See that {loss.code} takes no more writes", _fencing(loss)
    for component, recovery in loss.recoveries:
        if recovery.lost:
            yield f"Let another region take the place of {component.name}", recovery.lost
    yield "Look", _looking(loss)


def _seeing(loss: RegionLoss) -> str:
    commands = [f"kubectl --context {loss.cluster} get --raw /readyz --request-timeout=10s"]
    commands += _asking(loss)
    why = (
        "Ask from two places outside of it. A region that is slow, or that only some do not reach, is not lost: who "
        "lets another one take its place while it still takes writes has two of what must be one, which nothing can "
        "merge."
    )
    return f"{why}\n\n{_shell(commands)}"


def _asking(loss: RegionLoss) -> Iterator[str]:
    """Yield the question that routers ask the region."""
    if routing_of(loss.platform) is None:
        return
    region = next((each for each in loss.around.router.regions if each.code == loss.code), None)
    if region is None or region.probe is None or not region.probe.startswith("http"):
        return
    scheme, _, rest = region.probe.partition("://")
    authority, slash, path = rest.partition("/")
    host, _, port = authority.rpartition(":")
    curl = "curl --fail --silent --show-error --max-time 10"
    if region.server_name is None or not port.isdigit():
        yield f"{curl} {quote(region.probe)}"
        return
    name = f"{region.server_name}:{port}"
    yield f"{curl} --connect-to {name}:{host}:{port} {quote(f'{scheme}://{name}{slash}{path}')}"


def _publishing_layer(loss: RegionLoss) -> str:
    file, folder = layer_file(loss), f"{loss.platform.gitops.path}/{loss.platform.environment}/runbooks"
    said = []
    if is_routed(loss):
        said.append(f"no player is sent to {loss.code} before its data is right again, though it may look healthy")
    called = [view.name for view in loss.orphans]
    if called:
        said.append(f"who called {_names(called)} in {loss.code} from elsewhere calls another region")
    still = [job for _, recovery in loss.recoveries for job in recovery.still]
    if still:
        said.append(f"CronJob {_names(still)} keeps still, or it would undo what is done below")
    says = "; ".join(said)
    commands = [f"cp {folder}/{file} {file}", *_publish(loss.platform, [file], (each.cluster for each in loss.others))]
    until = f"Until {loss.code} is back every command that publishes names `{file}`, too, and you commit it."
    return f"`{file}` says that {says}.\n\n{_shell(commands)}\n{until}\n"


def _publish(platform: Platform, layers: Sequence[str], clusters: Iterable[str]) -> Iterator[str]:
    """Yield the commands by which a description gets to clusters."""
    files = " ".join(["aether.yaml", *layers])
    gitops, environment = platform.gitops, platform.environment
    if gitops.repo is not None:
        yield f"aether-deploy publish {files} --env {environment} --dry-run"
        yield f"aether-deploy publish {files} --env {environment} --push"
    else:
        yield f"aether-deploy diff {files} --env {environment} --against {gitops.path}"
        yield f"aether-deploy render {files} --env {environment} -o {gitops.path}"
    for cluster in clusters if gitops.engine == "none" else ():
        folder = f"{gitops.path}/{environment}/clusters/{cluster}"
        yield f"kubectl --context {cluster} apply --server-side -k {folder}"


def _fencing(loss: RegionLoss) -> str:
    fenced = [name for _, recovery in loss.recoveries for name in recovery.fenced]
    sets = " ".join(f"statefulset/{name}" for name in fenced)
    scale = f"kubectl --context {loss.cluster} -n {loss.platform.data_namespace} scale {sets} --replicas=0"
    hold, _ = engine_commands(loss)
    why = (
        "Where its API server still answers, take the servers away that the next steps replace. Where it does not, see "
        "that nobody starts them unseen: cut its links, or switch its machines off."
    )
    return f"{why}{_where_the_engine_is(loss)}\n\n{_shell([*hold, scale])}"


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
    return " The command without a context is for the cluster that Argo CD runs in: it would start them again."


def _looking(loss: RegionLoss) -> str:
    platform = loss.platform
    spaces = [platform.namespace, *([platform.data_namespace] if loss.components else [])]
    commands = [f"kubectl --context {each.cluster} -n {space} get pods" for each in loss.others for space in spaces]
    return f"Every pod of the others is to be ready; autoscalers add worlds as players arrive.\n\n{_shell(commands)}"


# --- when it is back


def returned_steps(loss: RegionLoss) -> Iterator[Step]:
    """Yield what is done when the region is back, before players are sent there."""
    platform, namespace = loss.platform, loss.platform.data_namespace
    _, resume = engine_commands(loss)
    fenced = any(recovery.fenced for _, recovery in loss.recoveries)
    if resume and fenced and loss.others:
        yield "Let the engine start what was taken away", f"{_ENGINE}\n\n{_shell(resume)}"
    elif fenced and loss.others:
        folder = f"{platform.gitops.path}/{platform.environment}/clusters/{loss.cluster}"
        apply = f"kubectl --context {loss.cluster} apply --server-side -k {folder}"
        yield "Start what was taken away", f"{_APPLY}\n\n{_shell([apply])}"
    for component, recovery in loss.recoveries:
        if recovery.returned and loss.others:
            yield f"Bring {component.name} back", recovery.returned
    still = [job for _, recovery in loss.recoveries for job in recovery.still]
    at_once = [job for _, recovery in loss.recoveries for job in recovery.at_once if job not in still]
    if at_once:
        yield "Have Jobs set right what is left", f"{_JOBS}\n\n{_shell(_runs(loss, namespace, at_once))}"
    if layer_of(loss):
        title = "Send players there again" if is_routed(loss) else "Publish as before"
        yield title, _publishing_without(loss, still)


_ENGINE = "Servers come back with the volumes that they had."
_APPLY = "Servers come back with the volumes that they had, and with what was published meanwhile."
_JOBS = "They run every five minutes anyway; servers have other addresses now, and some may have lost their volumes."


def _runs(loss: RegionLoss, namespace: str, jobs: Iterable[str]) -> Iterator[str]:
    for job in jobs:
        yield f"kubectl --context {loss.cluster} -n {namespace} create job --from=cronjob/{job} {job}-back"


def _publishing_without(loss: RegionLoss, still: Sequence[str]) -> str:
    platform, routing = loss.platform, routing_of(loss.platform)
    clusters = [*(each.cluster for each in loss.others), loss.cluster]
    text = f"Without `{layer_file(loss)}`, which is of no use any more.\n\n{_shell(_publish(platform, [], clusters))}"
    failback = None if routing is None else routing.failback
    if failback is not None and is_routed(loss):
        text += (
            f"\nRouters send nobody there for {failback.hold_secs} s after it is healthy, and then ever more within "
            f"{failback.ramp_secs} s. Who plays elsewhere stays there.\n"
        )
    if still:
        text += f"\nCronJob {_names(still)} runs again, and makes what is described and not there.\n"
    return text


# --- if it never is


def gone_steps(loss: RegionLoss) -> Iterator[Step]:
    """Yield what is done if the region never comes back."""
    for component, recovery in loss.recoveries:
        if recovery.gone:
            yield f"Let go of {component.name} there", recovery.gone
    if kept := _kept_nowhere(loss):
        yield (
            "What is gone",
            f"Kept in {loss.code} only, all or in part: {', '.join(kept)}. Bring back copies you made.\n",
        )
    if loss.others:
        yield "Take it out of the description", _TAKEN_OUT.format(region=loss.code)


_TAKEN_OUT = """\
Set `regions: [{{code: {region}, enabled: false}}]`. `aether-deploy check` says what still names it; publish then. Its
folder goes from the tree, and what runs there, if anything does, is left alone.
"""


def _kept_nowhere(loss: RegionLoss) -> list[str]:
    """Return the components of which something was kept in the region and nowhere else."""
    cells = {} if loss.row is None else loss.row.cells
    return [
        each.name
        for each in loss.components
        if getattr(each, "pvc", None) is not None
        and any(effect.outcome == "down" and not effect.human for effect in _effects(cells.get(each.name)))
    ]


def _effects(cell: Cell | None) -> tuple[Effect, ...]:
    return () if cell is None else cell.impact.effects


# --- what they share


def _names(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _shell(commands: Iterable[str]) -> str:
    return "\n".join(["```sh", *commands, "```", ""])
