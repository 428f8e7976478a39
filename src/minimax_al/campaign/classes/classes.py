"""Classes of a campaign: stored in a fixed order, by name.

A class that leaves the list stays in the table, with a negative position, since the history of labels refers to it.
"""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, bindparam, func, select, update

from minimax_al.campaign.classes.name_rules import check_class_names
from minimax_al.campaign.store.schema import classes
from minimax_al.errors import ClassesChangedError, DataError, UnknownNameError


def class_ids(connection: Connection) -> dict[str, int]:
    """Return the id of each class by name, in the order of the classes."""
    listed = select(classes.c.name, classes.c.id).where(classes.c.position >= 0).order_by(classes.c.position)
    return {row.name: row.id for row in connection.execute(listed)}


def class_id(connection: Connection, name: str) -> int:
    """Return the id of a class.

    Raises:
        UnknownNameError: The class does not exist.
    """
    ids = class_ids(connection)
    if name not in ids:
        raise UnknownNameError("class", name, ids)
    return ids[name]


def chosen_class(connection: Connection, name: str, identity: int | None) -> int:
    """Return the id of the class that an annotator chose; renames do not change it.

    Args:
        connection: Connection in a transaction.
        name: Name of the class when it was chosen.
        identity: Id of the class; None where only the name is known.

    Raises:
        UnknownNameError: The class does not exist.
        ClassesChangedError: The class of that id has left the campaign.
    """
    if identity is None:
        return class_id(connection, name)
    check_listed(connection, [identity])
    return identity


def check_listed(connection: Connection, ids: Collection[int], path: str | None = None) -> None:
    """Refuse classes that have left the campaign.

    Args:
        connection: Connection in a transaction.
        ids: Class ids.
        path: Path of the image whose mask has the classes; None for class labels.

    Raises:
        ClassesChangedError: A class has left the campaign.
        UnknownNameError: An id has never been that of a class.
    """
    listed = class_ids(connection).values()
    left = next((one for one in ids if one not in listed), None)
    if left is None:
        return
    name = connection.execute(select(classes.c.name).where(classes.c.id == left)).scalar()
    if name is None:
        raise UnknownNameError("class id", str(left), map(str, listed))
    raise ClassesChangedError(name, path)


def add_classes(connection: Connection, names: Sequence[str]) -> None:
    """Add classes after the existing ones; a class that had left comes back.

    Args:
        connection: Connection in a write transaction.
        names: Names of the new classes.

    Raises:
        ConfigurationError: A name is invalid.
        DataError: A class of that name exists, or one that looks the same.
    """
    known = class_ids(connection)
    for name in names:
        if name in known:
            raise DataError(f"the class {name!r} is there already")
    check_class_names([*known, *names])
    retired = {
        row.name: row.id for row in connection.execute(select(classes.c.name, classes.c.id)) if row.name not in known
    }
    start = connection.execute(select(func.max(classes.c.position))).scalar()
    start = 0 if start is None or start < 0 else start + 1
    for position, name in enumerate(names, start=start):
        if name in retired:
            connection.execute(update(classes).where(classes.c.id == retired[name]).values(position=position))
        else:
            connection.execute(classes.insert().values(position=position, name=name))


def store_order(connection: Connection, ids: Sequence[int]) -> None:
    """Store the order of all listed classes; classes that are left out leave the list.

    Args:
        connection: Connection in a write transaction.
        ids: Class ids, in the new order.
    """
    # Positions are unique: first everything leaves, then the listed ones come back in order.
    connection.execute(update(classes).values(position=-1 - classes.c.id))
    if ids:
        statement = update(classes).where(classes.c.id == bindparam("b_id")).values(position=bindparam("b_position"))
        connection.execute(statement, [{"b_id": one, "b_position": position} for position, one in enumerate(ids)])


def store_name(connection: Connection, old: str, new: str) -> None:
    """Rename a class; its labels keep their class.

    Raises:
        UnknownNameError: The class does not exist.
        ConfigurationError: The new name is invalid.
        DataError: Another class has the new name, or one that looks the same.
    """
    identity = class_id(connection, old)
    check_class_names([new if name == old else name for name in class_ids(connection)])
    taken = connection.execute(select(classes.c.id).where(classes.c.name == new, classes.c.id != identity)).first()
    if taken is not None:  # a class that has left: its labels in the history keep a name of their own
        former = classes.c.id == taken.id
        connection.execute(update(classes).where(former).values(name=f"{new} (former class {taken.id})"))
    connection.execute(update(classes).where(classes.c.id == identity).values(name=new))
