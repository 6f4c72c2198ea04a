"""The `stma` command: registers the subcommands and turns errors into one clear line and an exit status."""

import codecs
import errno
import gc
import os
import sys
from io import TextIOWrapper
from pathlib import Path

import typer

from stma.errors import InputError, StmaError
from stma.saving import DISK_FULL, output_error
from stma_cli.commands.batch import batch
from stma_cli.commands.bench import bench
from stma_cli.commands.calibrate import calibrate
from stma_cli.commands.check import check
from stma_cli.commands.convert import convert
from stma_cli.commands.evaluate import evaluate
from stma_cli.commands.info import info
from stma_cli.commands.models import models
from stma_cli.commands.overlay import overlay
from stma_cli.commands.pack import pack
from stma_cli.commands.report import report
from stma_cli.commands.segment import segment
from stma_cli.commands.train import train
from stma_cli.commands.validate import validate
from stma_cli.config.option import ConfiguredCommand, with_config
from stma_cli.wording import print_error

app = typer.Typer(
    name="stma",
    help="Follow the objects marked on one frame through a whole video.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from stma import __version__

        typer.echo(f"stma {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    """Follow the objects marked on one frame through a whole video."""
    if isinstance(sys.stdout, TextIOWrapper):
        is_utf8 = codecs.lookup(sys.stdout.encoding).name == "utf-8"
        # names of files that are no UTF-8 byte by byte; of letters that another encoding lacks their code
        sys.stdout.reconfigure(errors="surrogateescape" if is_utf8 else "backslashreplace")


app.command(cls=ConfiguredCommand)(with_config(segment, saves=True))
app.command(cls=ConfiguredCommand)(with_config(batch))
app.command(cls=ConfiguredCommand)(with_config(overlay))
app.command(cls=ConfiguredCommand)(with_config(report))
app.command(cls=ConfiguredCommand)(with_config(check))
app.command(cls=ConfiguredCommand)(with_config(convert))
app.command(cls=ConfiguredCommand)(with_config(evaluate))
app.command(cls=ConfiguredCommand)(with_config(train))
app.command(cls=ConfiguredCommand)(with_config(calibrate))
app.command(cls=ConfiguredCommand)(with_config(validate))
app.command(cls=ConfiguredCommand)(with_config(pack))
app.command()(models)
app.command()(info)
app.command(cls=ConfiguredCommand)(with_config(bench))


def main() -> None:
    """Run the command line; errors of stma and of places that cannot be used end in one message and exit status 2."""
    try:
        app()
    except StmaError as error:
        print_error(str(error))
        sys.exit(error.exit_code)
    except (OSError, RuntimeError) as error:
        told = _error_of_place(error)
        if told is None:
            raise
        print_error(str(told))
        sys.exit(told.exit_code)
    finally:
        gc.freeze()  # or the interpreter looks through all of torch several times before it leaves: 0.3 s


def _error_of_place(error: OSError | RuntimeError) -> StmaError | None:
    """Return the error to tell where a path or the standard output is at fault, or None."""
    cause = error.__context__
    if isinstance(cause, OSError) and cause.errno == errno.ELOOP:  # what Path.resolve met, before Python 3.13
        return InputError(
            f"{cause.filename} leads over a link to that link itself", "correct it, or choose another path"
        )
    if isinstance(
        error, PermissionError
    ):  # even to ask whether a file is there fails in a folder that is locked
        return InputError(
            f"{error.filename} may not be used", "change its permissions, or those of its folder"
        )
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return InputError(f"{error.filename} is longer than the file system takes", "choose a shorter name")
    if isinstance(error, OSError) and error.errno in DISK_FULL and error.filename is None:
        _drop_waiting_output()
        return output_error(Path("the output"), error)
    return None


def _drop_waiting_output() -> None:
    """Keep the interpreter from writing once more, and failing, when it leaves."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
