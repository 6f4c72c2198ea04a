"""Manual pages (troff, section 1) of the program and of each command, from what --help is made of."""

from collections.abc import Callable
from pathlib import Path

from make_commands import EXAMPLE, Row, commands, examples_of, paragraphs, rows
from stma import __version__
from stma_cli.config.file import CONFIG_FILE
from stma_cli.main import app

FOLDER = Path(__file__).parent / "man"
STATUS = (
    ("0", "all went well."),
    ("1", "a command over many clips or files has failed for some of them."),
    ("2", "something that was given cannot be used; the message says what, and ends with the fix."),
    ("130", "Ctrl-C; complete files stay."),
)
ROOT_OPTIONS = (
    Row("--version", "Print the version and exit.", "", False, False),
    Row("--install-completion", "Install completion for the current shell.", "", False, False),
    Row("--show-completion", "Print the completion script of the current shell.", "", False, False),
    Row("--help", "Print the help of the program, or after a command of that command.", "", False, False),
)
HELP = Row("--help", "Print this help and exit.", "", False, False)


def manual() -> dict[str, str]:
    """Return the pages by file name."""
    pages = {"stma.1": _program_page()}
    for name, command in commands().items():
        pages[f"stma-{name}.1"] = _command_page(name, command)
    return pages


def _program_page() -> str:
    text = _head("stma", f"{app.info.help}")
    text += ".SH SYNOPSIS\n.B stma\n.I COMMAND\n[\\fIOPTIONS\\fR]\n"
    text += f".SH DESCRIPTION\n{_roff(app.info.help)}\nEvery command has a page of its own.\n.SH COMMANDS\n"
    for name, command in commands().items():
        text += f".TP\n.BR stma\\-{_roff(name)} (1)\n{_roff(paragraphs(command)[0])}\n"
    text += f".SH OPTIONS\n{_rows(ROOT_OPTIONS)}{_status()}"
    return (
        text
        + f".SH FILES\n.TP\n.I {CONFIG_FILE}\nOptions of the commands, beside the clips or given with \\-\\-config.\n"
    )


def _command_page(name: str, command: Callable[..., None]) -> str:
    first, *others = paragraphs(command)
    declared = rows(command)
    arguments = [row for row in declared if row.is_argument]
    text = _head(f"stma-{name}", first)
    text += f".SH SYNOPSIS\n.B stma {_roff(name)}\n"
    text += "".join(f"\\fI{_roff(row.title)}\\fR\n" for row in arguments) + "[\\fIOPTIONS\\fR]\n"
    text += ".SH DESCRIPTION\n" + "\n.PP\n".join(
        _roff(part.partition(EXAMPLE)[0]) for part in (first, *others) if part.partition(EXAMPLE)[0]
    )
    text += f"\n.SH ARGUMENTS\n{_rows(arguments)}" if arguments else "\n"
    text += f".SH OPTIONS\n{_rows([*(row for row in declared if not row.is_argument), HELP])}"
    text += ".SH EXAMPLES\n" + "".join(f".nf\n{_roff(example)}\n.fi\n" for example in examples_of(command))
    return f"{text}{_status()}.SH SEE ALSO\n.BR stma (1)\n"


def _head(name: str, sentence: str) -> str:
    brief = sentence.removesuffix(".")
    return (
        '.\\" Made by docs/make_commands.py from the help texts in the code.\n'
        f'.TH {name.upper()} 1 "" "stma {__version__}" "stma manual"\n'
        f".SH NAME\n{_roff(name)} \\- {_roff(brief[:1].lower() + brief[1:])}\n"
    )


def _rows(declared: "list[Row] | tuple[Row, ...]") -> str:
    text = ""
    for row in declared:
        default = f" Default: {row.default}." if row.default not in ("", "required") else ""
        default = " Required." if row.default == "required" else default
        text += f".TP\n.B {_roff(row.title)}\n{_roff(row.meaning + default)}\n"
    return text


def _status() -> str:
    return ".SH EXIT STATUS\n" + "".join(f".TP\n.B {code}\n{_roff(meaning)}\n" for code, meaning in STATUS)


def _roff(text: str) -> str:
    """Escape what troff would take for a command; a hyphen stays one that can be copied."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
