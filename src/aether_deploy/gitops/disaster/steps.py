"""What people do when a region is lost, when it is back, and if it never is: in order, as commands."""

from collections.abc import Iterable, Iterator, Sequence
from shlex import quote

from aether_deploy.gitops.disaster.deciding import decision_lines
from aether_deploy.gitops.disaster.fencing import engine_commands, fencing, fencing_again
from aether_deploy.gitops.disaster.layer import (
    Layer,
    gone_layer,
    is_routed,
    layers_of,
    lost_layer,
    promoted_layer,
    returning_layer,
)
from aether_deploy.gitops.disaster.loss import RegionLoss
from aether_deploy.gitops.disaster.publishing import SAYING_ALL, publishing
from aether_deploy.infrastructure.analysis.analysing import Cell
from aether_deploy.infrastructure.analysis.impacts import Effect
from aether_deploy.infrastructure.recovery import shell
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
    yield from (before := [*_before_others_take_its_place(loss)])
    by_file = [(each, recovery) for each, recovery in loss.recoveries if recovery.lost and recovery.promoted]
    publishes = 1 + len(before) + len(by_file) + 1
    for each, recovery in by_file:
        yield _taking(each.name), f"{recovery.lost}\nStep {publishes} publishes that, of all components at once.\n"
    if by_file:
        yield "Publish who takes its place", _publishing_promoted(loss)
    for component, recovery in loss.recoveries:
        if recovery.lost and not recovery.promoted:
            yield _taking(component.name), recovery.lost
    yield "Look", _looking(loss)


def _before_others_take_its_place(loss: RegionLoss) -> Iterator[Step]:
    yield "Copy these pages, and follow the copy", _copying(loss)
    if lost_layer(loss).values:
        yield f"Publish what holds without {loss.code}", _publishing_layer(loss)
    if any(recovery.fenced for _, recovery in loss.recoveries):
        yield f"See that {loss.code} takes no more writes", fencing(loss)


def _taking(name: str) -> str:
    return f"Let another region take the place of {name}"


def _copying(loss: RegionLoss) -> str:
    platform, copy = loss.platform, _copy(loss)
    folder = f"{platform.gitops.path}/{platform.environment}/runbooks"
    look = f"find . -maxdepth 1 -name '*-{loss.code}*' -ls"
    whole = f"rm -rf {copy}.part && cp -R {folder} {copy}.part && mv {copy}.part {copy}"
    earlier = _EARLIER.format(region=loss.code)
    return f"{_COPYING}\n\n{earlier}\n\n{shell([look])}\n{shell([f'test -e {copy} || {{ {whole}; }}'])}"


_COPYING = (
    "What is published below renders these pages anew, for what holds then: steps that are still to be done are gone "
    "from them, and so are those for the time when the region is back."
)

_EARLIER = (
    "Look first what lies there already, and at its date. **What an earlier loss of {region} left says what held "
    "then**, and commands below would keep it: write what of it is still published into aether.yaml, and remove it."
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
    return f"{why}\n\n{shell(commands)}"


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
    return f"`{file}` says that {says}.\n\n{shell(_first(loss, file))}\n{_then(loss, [file])}\n{until}\n"


def _publishing_promoted(loss: RegionLoss) -> str:
    lost, promoted = lost_layer(loss), promoted_layer(loss)
    names = _names([each["name"] for each in promoted.values["components"]])
    says = (
        f"`{promoted.file}` says who takes the place of {loss.code}, for {names}. Take the entry of each one out "
        "of the copy whose step you left out: what is published takes writes."
    )
    files = [each.file for each in (lost, promoted) if each.values]
    then = f"From now on every command that publishes names `{promoted.file}`, too, and you commit it."
    return f"{says}\n\n{shell(_first(loss, promoted.file))}\n{_then(loss, files)}\n{then}\n"


def _first(loss: RegionLoss, file: str) -> list[str]:
    """Return the command that brings a layer to where aether.yaml is, and leaves one alone that was changed there."""
    return [f"test -e {file} || cp {_copy(loss)}/{file} {file}"]


def _then(loss: RegionLoss, files: Sequence[str]) -> str:
    return publishing(loss.platform, files, [each.cluster for each in loss.others])


def _looking(loss: RegionLoss) -> str:
    platform = loss.platform
    spaces = [platform.namespace, *([platform.data_namespace] if loss.components else [])]
    commands = [f"kubectl --context {each.cluster} -n {space} get pods" for each in loss.others for space in spaces]
    return f"Every pod of the others is to be ready; autoscalers add worlds as players arrive.\n\n{shell(commands)}"


# --- when it is back


def returned_steps(loss: RegionLoss) -> Iterator[Step]:
    """Yield what is done when the region is back, before players are sent there."""
    platform, namespace = loss.platform, loss.platform.data_namespace
    numbers = {title: place for place, (title, _) in enumerate(lost_steps(loss), start=1)}
    _, resume = engine_commands(loss)
    fenced = any(recovery.fenced for _, recovery in loss.recoveries)
    still = [job for _, recovery in loss.recoveries for job in recovery.still]
    if fenced and loss.others:
        took = [numbers[_taking(each.name)] for each, recovery in loss.recoveries if recovery.fenced]
        yield f"Before it is reached: see that {loss.code} takes no writes", fencing_again(loss, took)
    if resume and fenced and loss.others:
        yield "Let the engine start what was taken away", f"{_ENGINE}\n\n{shell(resume)}"
    elif platform.gitops.engine == "none" and (fenced or still) and loss.others:
        folder = f"{platform.gitops.path}/{platform.environment}/clusters/{loss.cluster}"
        apply = f"kubectl --context {loss.cluster} apply --server-side -k {folder}"
        yield "Apply what was published meanwhile", f"{_APPLY if fenced else _UNHEARD}\n\n{shell([apply])}"
    for component, recovery in loss.recoveries:
        if recovery.returned and loss.others:
            only = f"**Only if step {numbers[_taking(component.name)]} above was done.**"
            yield f"Bring {component.name} back", f"{only}\n\n{recovery.returned}"
    if (layer := returning_layer(loss)).values:
        yield "Publish who follows", _publishing_returning(loss, layer)
    at_once = [job for _, recovery in loss.recoveries for job in recovery.at_once if job not in still]
    if at_once:
        yield "Have Jobs set right what is left", f"{_JOBS}\n\n{shell(_runs(loss, namespace, at_once))}"
    if lost_layer(loss).values or promoted_layer(loss).values:
        title = "Send players there again" if is_routed(loss) else "Publish as before"
        yield title, _publishing_without(loss, still)
    if loss.others:
        kept = _kept(loss)
        yield _CLEARING, _clearing(loss, kept.file if kept.values else "")


_ENGINE = "Servers come back with the volumes that they had."
_APPLY = "Servers come back with the volumes that they had, and with what was published meanwhile."
_UNHEARD = "It did not hear that Jobs are to keep still."
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
    return f"{text}\n\n{shell(_first(loss, layer.file))}\n{publishing(loss.platform, files, clusters)}"


def _kept(loss: RegionLoss) -> Layer:
    """Return the layer that holds on once the region is back, if others took its place."""
    returning = returning_layer(loss)
    return returning if returning.values else promoted_layer(loss)


_CLEARING = "Clear away what was for this loss"


def _clearing(loss: RegionLoss, kept: str) -> str:
    """Return how copies are removed, so that no later loss of the region finds them; ``kept`` is still published."""
    files = [each.file for each in layers_of(loss) if each.file != kept]
    text = f"The next loss of {loss.code} has pages and files of the same names. Commit that these are gone."
    commands = [f"rm -rf {' '.join([_copy(loss), *files])}"]
    if not kept:
        return f"{text}\n\n{shell(commands)}"
    later = f"Remove `{kept}`, too, once aether.yaml says what it says, or if it was not published."
    return f"{text}\n\n{shell(commands)}\n{later}\n"


def _publishing_without(loss: RegionLoss, still: Sequence[str]) -> str:
    platform, routing = loss.platform, routing_of(loss.platform)
    clusters = [*(each.cluster for each in loss.others), loss.cluster]
    lost, kept = lost_layer(loss), _kept(loss)
    text = f"Without `{lost.file}`, which is of no use any more.\n" if lost.values else ""
    if kept.values:
        text += (
            f"\nIf `{promoted_layer(loss).file}` was published, others still have the place of {loss.code}: keep "
            f"saying so, or write what `{kept.file}` says into aether.yaml.\n\n"
            f"{publishing(platform, [kept.file], clusters)}\nIf it was not:\n"
        )
    text += f"\n{publishing(platform, [], clusters)}"
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
    if loss.others:
        yield _CLEARING, _clearing(loss, gone_layer(loss).file)


def _taking_out(loss: RegionLoss) -> str:
    file, clusters = gone_layer(loss).file, [each.cluster for each in loss.others]
    check = f"aether-deploy check aether.yaml {file} --env {loss.platform.environment}"
    text = f"{_GONE.format(file=file, region=loss.code)}\n{SAYING_ALL}\n\n{shell([*_first(loss, file), check])}"
    if lines := [*decision_lines(loss)]:
        text += "\n".join(
            ["\nIt refuses that until you have decided, and written into the copy or aether.yaml:\n", *lines]
        )
        text += "\n"
    publish = publishing(loss.platform, [file], clusters)
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
