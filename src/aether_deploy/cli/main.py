"""The entry point: runs a verb and turns what happened into an exit code.

0 done · 1 what was asked does not hold · 2 the input is wrong · 3 the world refused · 70 our bug ·
130 Ctrl-C · 141 broken pipe
"""

import gc
import os
import signal
import sys
from collections.abc import Sequence

import click

from aether_deploy.problems import ConfigError, DecisionError, EffectError

OK, DOES_NOT_HOLD, WRONG_INPUT, REFUSED, OUR_BUG, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 3, 70, 130, 141


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    gc.disable()  # a run builds one large tree of values and ends: collecting it costs a tenth of the time
    code = run(sys.argv[1:] if arguments is None else arguments)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = BROKEN_PIPE
    except OSError as error:
        print(f"error: standard output: {error.strerror}", file=sys.stderr)
        code = REFUSED
    if code == BROKEN_PIPE:
        _die_of_broken_pipe()
    sys.stderr.flush()
    os._exit(code)  # all is written; taking a large tree of values apart piece by piece would only cost time


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code. Messages go to standard error."""
    from aether_deploy.cli.app import cli
    from aether_deploy.cli.output import report_error

    try:
        result = cli.main(list(arguments), prog_name="aether-deploy", standalone_mode=False)
        return result if isinstance(result, int) else OK
    except ConfigError as error:
        report_error(arguments, error.problems, str(error))
        return WRONG_INPUT
    except EffectError as error:
        report_error(arguments, (), f"error: {error}")
        return REFUSED
    except DecisionError as error:
        report_error(arguments, (), f"error: {error}")
        return DOES_NOT_HOLD
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.Abort:
        return INTERRUPTED
    except KeyboardInterrupt:
        return INTERRUPTED
    except click.ClickException as error:
        report_error(arguments, (), _usage_text(error))
        return WRONG_INPUT
    except BrokenPipeError:
        return BROKEN_PIPE
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        report_error(arguments, (), f"error: {where}{error.strerror or error}")
        return REFUSED
    except Exception:
        import traceback

        traceback.print_exc()
        print("error: this is a bug in aether-deploy; please report it with the lines above", file=sys.stderr)
        return OUR_BUG


def _usage_text(error: click.ClickException) -> str:
    usage = ""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        usage = f"\n  fix: see {error.ctx.command_path} --help"
    return f"error: {error.format_message()}{usage}"


def _die_of_broken_pipe() -> None:
    """End as other programs do whose reader went away: by SIGPIPE, in silence."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)
    sys.exit(BROKEN_PIPE)
