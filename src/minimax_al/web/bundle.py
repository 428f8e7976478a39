"""One script from the page's modules, and one style sheet: two requests of a browser instead of fifty.

The modules stay as they are written; nothing is built before the server starts. Each module becomes a function that
returns its exports, and comes after the modules that it imports.
"""

import re
from collections.abc import Iterator
from pathlib import Path

_IMPORT = re.compile(
    r'^import (?:\* as (?P<all>\w+)|\{(?P<some>[^}]*)\}) from "\./(?P<file>\w+\.js)";\n?', re.MULTILINE
)
_EXPORT = re.compile(r"^export (?=(?:const|let|async function|function|class) (?P<name>\w+))", re.MULTILINE)
_OTHER = re.compile(r"^(?:import|export)\b.*$", re.MULTILINE)


def join_styles(files: list[Path]) -> str:
    """Return style sheets as one, in their order."""
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def bundle_modules(entry: Path) -> str:
    """Return a module and all that it imports as one script.

    Args:
        entry: Module that imports the others, directly or not, from its own folder.

    Raises:
        ValueError: Modules import one another in a circle, or one imports or exports in another form than the project
            uses.
    """
    order = list(dict.fromkeys(_after_its_imports(entry, ())))
    numbers = {path.name: number for number, path in enumerate(order)}
    return '"use strict";\n' + "".join(_as_function(path, numbers) for path in order)


def _after_its_imports(module: Path, importers: tuple[str, ...]) -> Iterator[Path]:
    if module.name in importers:
        raise ValueError(
            f"{' imports '.join([*importers, module.name])}: modules must not import one another in a circle"
        )
    for found in _IMPORT.finditer(module.read_text(encoding="utf-8")):
        yield from _after_its_imports(module.parent / found["file"], (*importers, module.name))
    yield module


def _as_function(module: Path, numbers: dict[str, int]) -> str:
    """Return a module as a function; its exports are read when they are used, so that variables may change."""
    text = module.read_text(encoding="utf-8")
    exported = [found["name"] for found in _EXPORT.finditer(text)]
    body = _EXPORT.sub("", _IMPORT.sub(lambda found: _constant(found, numbers), text))
    if (other := _OTHER.search(body)) is not None:
        raise ValueError(f"{module.name}: {other[0]!r} is in a form that cannot be bundled")
    getters = " ".join(f"get {name}() {{ return {name}; }}," for name in exported)
    return f"const m{numbers[module.name]} = (() => {{ // {module.name}\n{body}\nreturn {{ {getters} }};\n}})();\n"


def _constant(found: re.Match[str], numbers: dict[str, int]) -> str:
    source = f"m{numbers[found['file']]}"
    if found["all"]:
        return f"const {found['all']} = {source};\n"
    names = ", ".join(name.strip().replace(" as ", ": ") for name in found["some"].split(",") if name.strip())
    return f"const {{ {names} }} = {source};\n"
