"""The classes of a campaign, in a fixed order; more may join, none leaves."""

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import Connection, func, select

from minimax_al.campaign.store.schema import classes
from minimax_al.errors import ConfigurationError, DataError, UnknownNameError


def class_ids(connection: Connection) -> dict[str, int]:
    """Id by name, in the order of the classes."""
    rows = connection.execute(select(classes.c.name, classes.c.id).order_by(classes.c.position))
    return {row.name: row.id for row in rows}


def class_id(connection: Connection, name: str) -> int:
    """The id of a class.

    Raises:
        UnknownNameError: there is no such class.
    """
    ids = class_ids(connection)
    if name not in ids:
        raise UnknownNameError("class", name, ids)
    return ids[name]


def add_classes(connection: Connection, names: Sequence[str]) -> None:
    """Adds classes behind those that are there.

    Raises:
        ConfigurationError: a name that cannot be.
        DataError: a name that is there already.
    """
    check_class_names(names)
    known = class_ids(connection)
    for name in names:
        if name in known:
            raise DataError(f"the class {name!r} is there already")
    start = connection.execute(select(func.coalesce(func.max(classes.c.position), -1))).scalar_one() + 1
    if names:
        connection.execute(classes.insert(), [{"position": start + i, "name": name} for i, name in enumerate(names)])


def check_class_names(names: Sequence[str]) -> None:
    """Refuses names that could not be written to a file and read again.

    Raises:
        ConfigurationError: a name is empty, has spaces around it, or characters that do not print.
        DataError: a name is there twice.
    """
    for name in names:
        if not name or name != name.strip() or not name.isprintable():
            raise ConfigurationError(f"class name {name!r} cannot be: give printable text without spaces around it")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"class names must differ, but {twice[0]!r} is there {names.count(twice[0])} times")
