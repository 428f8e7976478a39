"""Arguments of a campaign's methods as callers have them: NumPy and pandas values, paths, whole numbers in any type."""

import operator
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Any

from sqlalchemy import Connection, select

from minimax_al.campaign.store.database import portions
from minimax_al.campaign.store.schema import items
from minimax_al.data.masks.mask_store import Mask, check_mask
from minimax_al.errors import BudgetError, DataError

Item = int | str
"""An image: its id, or its path below the images' folder."""

_LARGEST_ID = 2**63 - 1


def as_items(given: Any) -> list[Item]:  # noqa: ANN401 - any value, or any collection of values
    """Return images as a list of ids and paths.

    Args:
        given: Id or path of an image, or a collection of them; integers of any type, text, or `pathlib` paths.

    Raises:
        DataError: A value is neither an id nor a path.
    """
    if isinstance(given, str | bytes | PurePath) or not isinstance(given, Iterable) or getattr(given, "ndim", 1) == 0:
        return [_as_item(given)]
    return [_as_item(value) for value in given]


def find_items(connection: Connection, given: Item | Sequence[Item]) -> list[int]:
    """Return the ids of images given by id or by path.

    Args:
        connection: Connection.
        given: Image or images, as `as_items` accepts them.

    Raises:
        DataError: An image does not exist.
    """
    given = as_items(given)
    ids: dict[Item, int] = {}
    for column, kind in ((items.c.id, int), (items.c.path, str)):
        for portion in portions([key for key in given if isinstance(key, kind)]):
            rows = connection.execute(select(column.label("key"), items.c.id).where(column.in_(portion)))
            ids.update({row.key: row.id for row in rows})
    unknown = next((key for key in given if key not in ids), None)
    if unknown is not None:
        raise DataError(
            f"{unknown!r} is not an image of this campaign: give its id, or its path below the images' folder"
        )
    return [ids[key] for key in given]


def check_mask_of(connection: Connection, item: Item, mask: Mask, class_count: int) -> str:
    """Return the path of a mask's image, if the mask fits the image and the classes.

    Raises:
        DataError: The mask has another size or a number that is not a class, or the image does not exist.
    """
    (found,) = find_items(connection, [item])
    row = connection.execute(select(items.c.path, items.c.height, items.c.width).where(items.c.id == found)).one()
    check_mask(mask, (row.height, row.width), class_count, repr(row.path))
    path: str = row.path
    return path


def as_budget(given: Any) -> int:  # noqa: ANN401 - any value
    """Return a budget as a whole number.

    Raises:
        BudgetError: The value is not a whole number.
    """
    number = _whole(given)
    if number is None:
        raise BudgetError(f"a budget of {given!r} was given; it must be a whole number of images, at least 1")
    return number


def as_share(given: Any) -> float:  # noqa: ANN401 - any value
    """Return a share as a float.

    Raises:
        BudgetError: The value is not a number.
    """
    try:
        return float(given)
    except (TypeError, ValueError):
        raise BudgetError(f"a random share of {given!r} was given; it must be a number from 0 to 1") from None


def _as_item(given: Any) -> Item:  # noqa: ANN401 - any value
    if isinstance(given, str):
        return str(given)
    if isinstance(given, PurePath):
        return given.as_posix()
    number = _whole(given)
    if number is None or abs(number) > _LARGEST_ID:
        raise DataError(
            f"{given!r} is not an image of this campaign: give its id, or its path below the images' folder"
        )
    return number


def _whole(given: Any) -> int | None:  # noqa: ANN401 - any value
    if isinstance(given, bool):
        return None
    try:
        return operator.index(given)
    except TypeError:
        return None
