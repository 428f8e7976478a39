"""Command lines from functions: a function's arguments are a command's flags, its docstring is the help."""

import inspect
import io
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Annotated, Any, TextIO, cast, get_args, get_origin

_REQUIRED, _OPTIONAL, _NO_DEFAULT = "(required)", "(optional)", "(default: None)"
_TITLES = ("positional arguments", "options")
_DRAWING = re.compile(r"\x1b\[[0-9;]*m|[╭╮╰╯│─]")
"""Colours and boxes of the help."""
_NONE_OR = re.compile(r"\{None\}\|(\S+)")
"""Placeholder of a value that may also be None."""

_ARGUMENT = re.compile(r"^    (\w+): (.*)$")


def call(command: Callable[..., None], words: Sequence[str], prog: str) -> None:
    """Call a command with the arguments that the words give.

    A parameter's placeholder in the help is the text in its annotation: `Annotated[Path, "CAMPAIGN"]`. A flag whose
    default is None, () or "" is marked as optional; positional arguments and switches that are off have no mark.

    Args:
        command: Function whose positional-only parameters are positional arguments, all others flags.
        words: Words of the command line after the command's name.
        prog: Name of the command, as in `mal import`.

    Raises:
        SystemExit: With status 0 after help, with status 2 after wrong words.
    """
    import tyro

    with readable_help(words):
        tyro.cli(_described(command), args=list(words), prog=prog)


@contextmanager
def readable_help(words: Sequence[str]) -> Iterator[None]:
    """Print help as `reworded` returns it, if the words ask for help.

    Args:
        words: Words of the command line.
    """
    if not {"-h", "--help"} & set(words):
        yield
        return
    printed = _Collected(sys.stdout)
    try:
        with redirect_stdout(cast("TextIO", printed)):
            yield
    finally:
        sys.stdout.write(reworded(printed.text.getvalue()))


class _Collected:
    """Output that is collected, with the width, colours and encoding of the stream that it is meant for."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.text = stream, io.StringIO()

    def write(self, text: str) -> int:
        return self.text.write(text)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any attribute of a stream
        return getattr(self.stream, name)


def reworded(text: str) -> str:
    r"""Return help without Python's None, and without "(required)" after positional arguments.

    Args:
        text: Help as tyro prints it, groups of arguments under their titles, with or without boxes and colours; boxes
            keep their width.

    Example:
        >>> print(reworded("positional arguments\n|OUT  Folder. (required)|\noptions\n|--a {None}|N  B. (required)|"))
        positional arguments
        |OUT  Folder.           |
        options
        |--a N         B. (required)|
    """
    lines, is_positional = [], False
    for line in text.splitlines(keepends=True):
        words = _DRAWING.sub("", line).strip()
        if words in _TITLES:
            is_positional = words == _TITLES[0]
        if is_positional and words == _REQUIRED:
            continue  # the mark fills a line of its own
        shown = line.replace(_REQUIRED, " " * len(_REQUIRED)) if is_positional else line
        shown = shown.replace(_NO_DEFAULT, _OPTIONAL.ljust(len(_NO_DEFAULT)))
        lines.append(_NONE_OR.sub(lambda found: found[1] + " " * len("{None}|"), shown))
    return "".join(lines)


def _described(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command with placeholders, help and hints in its signature, where tyro reads them."""
    signature, texts = inspect.signature(command), argument_texts(command)
    parameters = [
        parameter.replace(annotation=_annotation(parameter, texts[parameter.name]))
        for parameter in signature.parameters.values()
    ]

    def described(*values: object, **flags: object) -> None:
        command(*values, **flags)

    described.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    described.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    described.__doc__ = inspect.cleandoc(command.__doc__ or "").partition("\n\nArgs:")[0]
    return described


def _annotation(parameter: inspect.Parameter, text: str) -> Any:  # noqa: ANN401 - a type
    import tyro

    kind, placeholder = parameter.annotation, None
    if get_origin(kind) is Annotated:
        kind, placeholder = get_args(kind)
    hint = "(optional)" if parameter.default in {None, (), ""} else None
    if parameter.default is parameter.empty and get_origin(kind) is tuple:
        hint = "(required)"  # tyro allows none, and shows an empty default
    if parameter.kind is parameter.POSITIONAL_ONLY:
        hint = ""  # the usage line shows which ones may be left out
    if parameter.default is False:
        hint = ""  # a switch is off unless it is given
    described: Any = Annotated[kind, tyro.conf.arg(metavar=placeholder, help=text, help_behavior_hint=hint)]
    if parameter.default is False:  # a flag that is off needs no opposite
        return Annotated[described, tyro.conf.FlagCreatePairsOff]
    return described


def argument_texts(command: Callable[..., None]) -> dict[str, str]:
    """Return the description of every argument in a command's docstring, each as one line."""
    texts: dict[str, str] = {}
    name = ""
    for line in inspect.cleandoc(command.__doc__ or "").partition("\n\nArgs:\n")[2].splitlines():
        if found := _ARGUMENT.match(line):
            name = found[1]
            texts[name] = found[2]
        elif line.startswith(" " * 8):
            texts[name] += f" {line.strip()}"
    return texts
