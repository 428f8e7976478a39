"""Command lines from functions: a function's arguments are a command's flags, its docstring is the help."""

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, get_args, get_origin

_ARGUMENT = re.compile(r"^    (\w+): (.*)$")


def call(command: Callable[..., None], words: Sequence[str], prog: str) -> None:
    """Call a command with the arguments that the words give.

    A parameter's placeholder in the help is the text in its annotation: `Annotated[Path, "CAMPAIGN"]`. An argument
    without a default value to speak of, None or (), is marked as optional.

    Args:
        command: Function whose positional-only parameters are positional arguments, all others flags.
        words: Words of the command line after the command's name.
        prog: Name of the command, as in `mal import`.

    Raises:
        SystemExit: With status 0 after help, with status 2 after wrong words.
    """
    import tyro

    tyro.cli(_described(command), args=list(words), prog=prog)


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
    hint = "(optional)" if parameter.default in {None, ()} else None
    if parameter.default is parameter.empty and get_origin(kind) is tuple:
        hint = "(required)"  # tyro allows none, and shows an empty default
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
