"""The entry point: runs a verb and turns what happened into an exit code.

0 done · 1 what was asked does not hold · 2 the input is wrong · 3 the world refused · 70 our bug ·
130 Ctrl-C · 141 broken pipe
"""

import gc
import io
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

import click

from aether_deploy.problems import ConfigError, DecisionError, EffectError

PROGRAM, COMPLETION_VARIABLE = "aether-deploy", "_AETHER_DEPLOY_COMPLETE"
OK, DOES_NOT_HOLD, WRONG_INPUT, REFUSED, OUR_BUG, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 3, 70, 130, 141

_SAME_PRESS_SECS = 2.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    gc.disable()  # a run builds one large tree of values and ends: collecting it costs a tenth of the time
    _hear_ctrl_c_once()
    _prepare_streams()
    code = run(sys.argv[1:] if arguments is None else arguments)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = BROKEN_PIPE
    except OSError as error:
        if code != REFUSED:  # else it was said when it was met
            _complain(_os_text(error))
        code = REFUSED
    if code == BROKEN_PIPE:
        _die_of_broken_pipe()
    with suppress(OSError):
        sys.stderr.flush()
    os._exit(code)  # all is written; taking a large tree of values apart piece by piece would only cost time


def _hear_ctrl_c_once() -> None:
    """Take one that is pressed again and again for one, so that it does not interrupt what cleans up after it."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return
    heard_at = -_SAME_PRESS_SECS

    def interrupt(number: int, frame: object) -> None:
        nonlocal heard_at
        now = time.monotonic()
        if now - heard_at >= _SAME_PRESS_SECS:
            heard_at = now
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code. Messages go to standard error."""
    try:
        return _run_verb(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return BROKEN_PIPE
    except OSError as error:
        from aether_deploy.cli.output import report_error

        text = _os_text(error)
        try:
            report_error(arguments, (), text)
        except OSError:
            _complain(text)
        return REFUSED
    except Exception:
        import traceback

        traceback.print_exc()
        _complain("error: this is a bug in aether-deploy; please report it with the lines above")
        return OUR_BUG


def _run_verb(arguments: Sequence[str]) -> int:
    from aether_deploy.cli.app import cli
    from aether_deploy.cli.output import refusal_problems, report_error

    try:
        if COMPLETION_VARIABLE in os.environ:
            return _complete(os.environ[COMPLETION_VARIABLE])
        # click's own main would end the process by itself, and with 1, where a pipe breaks
        with cli.make_context(PROGRAM, list(arguments)) as context:
            result = cli.invoke(context)
        return result if isinstance(result, int) else OK
    except ConfigError as error:
        report_error(arguments, error.problems, str(error))
        return WRONG_INPUT
    except EffectError as error:
        report_error(arguments, refusal_problems(error), f"error: {error}")
        return REFUSED
    except DecisionError as error:
        report_error(arguments, (), f"error: {error}")
        return DOES_NOT_HOLD
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return WRONG_INPUT
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        report_error(arguments, (), _usage_text(error, arguments))
        return WRONG_INPUT


def _complete(instruction: str) -> int:
    """Answer the shell that asks for words to complete."""
    from click.shell_completion import shell_complete

    from aether_deploy.cli.app import cli

    return shell_complete(cli, {}, PROGRAM, COMPLETION_VARIABLE, instruction)


def _usage_text(error: click.ClickException, arguments: Sequence[str]) -> str:
    from aether_deploy.cli.output import verb_of

    known = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx is not None else None
    command = known or f"{PROGRAM} {verb_of(arguments)}".strip()
    return f"error: {_usage_reason(error)}\n  fix: see {command} --help"


def _usage_reason(error: click.ClickException) -> str:
    if not isinstance(error, click.NoSuchOption):
        return " ".join(error.format_message().split()).removesuffix(".")
    if error.ctx is not None and error.ctx.parent is None:
        return f"no option is named '{error.option_name}' before the verb; options of a verb stand after it"
    from aether_deploy.problems import did_you_mean

    close = did_you_mean(error.option_name, error.possibilities or ())
    return f"no option is named '{error.option_name}'" + (f"; did you mean '{close}'?" if close else "")


def _os_text(error: OSError) -> str:
    """Return what the system refused; an error without a file name comes from printing."""
    where = error.filename if error.filename is not None else "standard output"
    return f"error: {where}: {error.strerror or error}"


def _complain(text: str) -> None:
    """Print to standard error, which may be full or closed itself."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def _prepare_streams() -> None:
    """Make the standard streams such that whatever is printed arrives, or fails.

    Python has None for a stream that was closed before it began. Data that is printed to a closed standard output
    is an error, as in other programs; a message may get lost. With PYTHONUNBUFFERED, Python takes no notice of a
    write that wrote only a part, because the disk got full or the reader went away.
    """
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w", encoding="utf-8")
    elif isinstance(raw := getattr(sys.stdout, "buffer", None), io.RawIOBase):
        buffered = io.BufferedWriter(raw)
        sys.stdout = io.TextIOWrapper(buffered, encoding=sys.stdout.encoding, errors=sys.stdout.errors)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def _die_of_broken_pipe() -> None:
    """End as other programs do whose reader went away: by SIGPIPE, in silence."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)
    sys.exit(BROKEN_PIPE)
