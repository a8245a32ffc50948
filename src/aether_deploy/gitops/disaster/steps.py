"""What people do when a region is lost, when it is back, and if it never is: in order, as commands."""

from collections.abc import Iterable, Iterator, Sequence
from shlex import quote

from aether_deploy.gitops.disaster.deciding import decision_lines
from aether_deploy.gitops.disaster.layer import (
    Layer,
    gone_layer,
    is_routed,
    lost_layer,
    promoted_layer,
    returning_layer,
)
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
    yield "Copy these pages, and follow the copy", _copying(loss)
    if lost_layer(loss).values:
        yield f"Publish what holds without {loss.code}", _publishing_layer(loss)
    if any(recovery.fenced for _, recovery in loss.recoveries):
        yield f"See that {loss.code} takes no more writes", _fencing(loss)
    by_file = [(each, recovery) for each, recovery in loss.recoveries if recovery.lost and recovery.promoted]
    yield from ((_taking(each.name), recovery.lost) for each, recovery in by_file)
    if by_file:
        yield "Publish who takes its place", _publishing_promoted(loss)
    for component, recovery in loss.recoveries:
        if recovery.lost and not recovery.promoted:
            yield _taking(component.name), recovery.lost
    yield "Look", _looking(loss)


def _taking(name: str) -> str:
    return f"Let another region take the place of {name}"


def _copying(loss: RegionLoss) -> str:
    platform, copy = loss.platform, _copy(loss)
    folder = f"{platform.gitops.path}/{platform.environment}/runbooks"
    return f"{_COPYING}\n\n{_shell([f'test -e {copy} || cp -R {folder} {copy}'])}"


_COPYING = (
    "What is published below renders these pages anew, for what holds then: steps that are still to be done are gone "
    "from them, and so are those for the time when the region is back."
)


def _copy(loss: RegionLoss) -> str:
    """Return the folder that the pages are copied to."""
    return f"runbooks-{loss.code}-lost"


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
    file, said = lost_layer(loss).file, []
    if is_routed(loss):
        said.append(f"no player is sent to {loss.code} before its data is right again, though it may look healthy")
    called = [view.name for view in loss.orphans]
    if called:
        said.append(f"who called {_names(called)} in {loss.code} from elsewhere calls another region")
    still = [job for _, recovery in loss.recoveries for job in recovery.still]
    if still:
        said.append(f"CronJob {_names(still)} keeps still, or it would undo what is done below")
    says = "; ".join(said)
    until = f"Until {loss.code} is back every command that publishes names `{file}`, too, and you commit it."
    return f"`{file}` says that {says}.\n\n{_shell([*_first(loss, file), *_then(loss, [file])])}\n{until}\n"


def _publishing_promoted(loss: RegionLoss) -> str:
    lost, promoted = lost_layer(loss), promoted_layer(loss)
    names = _names([each["name"] for each in promoted.values["components"]])
    says = (
        f"`{promoted.file}` says who takes the place of {loss.code}, for {names}. Take the entry of each one out "
        "of the copy whose step you left out: what is published takes writes."
    )
    files = [each.file for each in (lost, promoted) if each.values]
    then = f"From now on every command that publishes names `{promoted.file}`, too, and you commit it."
    return f"{says}\n\n{_shell(_first(loss, promoted.file))}\n{_shell(_then(loss, files))}\n{then}\n"


def _first(loss: RegionLoss, file: str) -> list[str]:
    """Return the command that brings a layer to where aether.yaml is, and leaves one alone that was changed there."""
    return [f"test -e {file} || cp {_copy(loss)}/{file} {file}"]


def _then(loss: RegionLoss, files: Sequence[str]) -> list[str]:
    return list(_publish(loss.platform, files, (each.cluster for each in loss.others)))


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
    pods = " ".join(f"pod/{name}" for _, recovery in loss.recoveries for name in recovery.fenced_pods)
    wait = f"kubectl --context {loss.cluster} -n {loss.platform.data_namespace} wait --for=delete {pods} --timeout=5m"
    commands = _shell([*[f"{each} &&" for each in (*hold, scale)], wait])
    return f"{why}{_where_the_engine_is(loss)}\n\n{commands}\n{_WAITING}\n"


_WAITING = (
    "Go on once it says that they are deleted, or that there are none. Where it ends with `timed out`, a node does not "
    "answer, and the server on it may still take writes: **do not go on** before that machine is switched off, or cut "
    "off from everybody. `kubectl delete pod --force` stops nothing there: it only forgets the pod."
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
    numbers = {title: place for place, (title, _) in enumerate(lost_steps(loss), start=1)}
    for component, recovery in loss.recoveries:
        if recovery.returned and loss.others:
            only = f"**Only if step {numbers[_taking(component.name)]} above was done.**"
            yield f"Bring {component.name} back", f"{only}\n\n{recovery.returned}"
    if (layer := returning_layer(loss)).values:
        yield "Publish who follows", _publishing_returning(loss, layer)
    still = [job for _, recovery in loss.recoveries for job in recovery.still]
    at_once = [job for _, recovery in loss.recoveries for job in recovery.at_once if job not in still]
    if at_once:
        yield "Have Jobs set right what is left", f"{_JOBS}\n\n{_shell(_runs(loss, namespace, at_once))}"
    if lost_layer(loss).values or promoted_layer(loss).values:
        title = "Send players there again" if is_routed(loss) else "Publish as before"
        yield title, _publishing_without(loss, still)


_ENGINE = "Servers come back with the volumes that they had."
_APPLY = "Servers come back with the volumes that they had, and with what was published meanwhile."
_JOBS = "They run every five minutes anyway; servers have other addresses now, and some may have lost their volumes."


def _runs(loss: RegionLoss, namespace: str, jobs: Iterable[str]) -> Iterator[str]:
    for job in jobs:
        yield f"kubectl --context {loss.cluster} -n {namespace} create job --from=cronjob/{job} {job}-$(date +%s)"


def _publishing_returning(loss: RegionLoss, layer: Layer) -> str:
    promoted, lost = promoted_layer(loss).file, lost_layer(loss)
    text = (
        f"**Only if `{promoted}` was published.** `{layer.file}` takes its place, with the same entries: take out what "
        "you took out there."
    )
    files = [lost.file, layer.file] if lost.values else [layer.file]
    clusters = [*(each.cluster for each in loss.others), loss.cluster]
    return f"{text}\n\n{_shell(_first(loss, layer.file))}\n{_shell(_publish(loss.platform, files, clusters))}"


def _publishing_without(loss: RegionLoss, still: Sequence[str]) -> str:
    platform, routing = loss.platform, routing_of(loss.platform)
    clusters = [*(each.cluster for each in loss.others), loss.cluster]
    lost, kept = lost_layer(loss), returning_layer(loss) if returning_layer(loss).values else promoted_layer(loss)
    text = f"Without `{lost.file}`, which is of no use any more.\n" if lost.values else ""
    if kept.values:
        text += (
            f"\nIf `{promoted_layer(loss).file}` was published, others still have the place of {loss.code}: keep "
            f"saying so, or write what `{kept.file}` says into aether.yaml.\n\n"
            f"{_shell(_publish(platform, [kept.file], clusters))}\nIf it was not:\n"
        )
    text += f"\n{_shell(_publish(platform, [], clusters))}"
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
    if kept := _kept_nowhere(loss):
        yield (
            "What is gone",
            f"Kept in {loss.code} only, all or in part: {', '.join(kept)}. Bring back copies you made.\n",
        )
    if loss.others:
        yield "Take it out of the description", _taking_out(loss)
    for component, recovery in loss.recoveries:
        if recovery.gone:
            yield f"Let go of {component.name} there", recovery.gone


def _taking_out(loss: RegionLoss) -> str:
    file, clusters = gone_layer(loss).file, [each.cluster for each in loss.others]
    check = f"aether-deploy check aether.yaml {file} --env {loss.platform.environment}"
    text = f"{_GONE.format(file=file, region=loss.code)}\n{_shell([*_first(loss, file), check])}"
    if lines := [*decision_lines(loss)]:
        text += "\n".join(
            ["\nIt refuses that until you have decided, and written into the copy or aether.yaml:\n", *lines]
        )
        text += "\n"
    publish = _shell(_publish(loss.platform, [file], clusters))
    return f"{text}\nThen, instead of all other files of {loss.code}:\n\n{publish}"


_GONE = """\
`{file}` says what follows: {region} is switched off, others have its place, and what was copied to it is not any more.
Once that is published its folder goes from the tree, and what runs there, if anything does, is left alone.
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
