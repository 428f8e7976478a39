"""Filter on the further columns of a manifest, such as "site = A and year >= 2020", as SQL."""

import re
from dataclasses import dataclass
from operator import eq, ge, gt, le, lt, ne
from typing import Any

from sqlalchemy import ColumnElement, Connection, Float, and_, case, cast, null, select, true

from minimax_al.campaign.store.schema import items
from minimax_al.errors import ConfigurationError, UnknownNameError

_OPERATORS = {"=": eq, "==": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}
_NUMBER = r"^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$"
_VALUE = r"""'[^']*'|"[^"]*"|[^\s'"]+(?:\s+(?!and\b)[^\s'"]+)*"""
_TERM = re.compile(rf"\s*(?P<column>[^\s=!<>'\"]+)\s*(?P<operator>==|!=|<=|>=|=|<|>)\s*(?P<value>{_VALUE})\s*")
_AND = re.compile(r"and\s", re.IGNORECASE)


@dataclass(frozen=True)
class Term:
    """Comparison of one column.

    Attributes:
        column: Name of the column.
        operator: "=", "!=", "<", "<=", ">" or ">=".
        value: Text to compare with; the last four compare numbers.
    """

    column: str
    operator: str
    value: str


def parse_filter(text: str) -> list[Term]:
    """Return the comparisons of a filter, all of which must hold.

    Args:
        text: Comparisons `COLUMN OPERATOR VALUE`, joined by "and"; a value may be in quotes.

    Raises:
        ConfigurationError: The text is not such a filter, or a number is missing.

    Example:
        >>> parse_filter("site = A and year >= 2020")
        [Term(column='site', operator='=', value='A'), Term(column='year', operator='>=', value='2020')]
    """
    terms, position = [], 0
    while position < len(text):
        match = _TERM.match(text, position)
        if match is None:
            break
        value = match["value"]
        terms.append(Term(match["column"].lower(), match["operator"], value[1:-1] if value[0] in "'\"" else value))
        position = match.end()
        joined = _AND.match(text, position)
        if joined is None:
            break
        position = joined.end()
    if not terms or position != len(text):
        raise ConfigurationError(
            f"where={text!r} is not a filter: give COLUMN=VALUE, with one of =, !=, <, <=, >, >= between the two, and "
            "several joined by 'and'"
        )
    for term in terms:
        if term.operator in {"<", "<=", ">", ">="} and not re.match(_NUMBER, term.value):
            raise ConfigurationError(f"where={text!r}: {term.operator} compares numbers, and {term.value!r} is not one")
    return terms


def matches(where: str | None) -> ColumnElement[bool]:
    """Return SQL for: a row of `items` passes the filter; true without one.

    Args:
        where: Filter, see `parse_filter`.
    """
    return true() if where is None else and_(*(_compared(term) for term in parse_filter(where)))


def check_filter(connection: Connection, where: str | None) -> None:
    """Refuse a filter that is not one, or whose columns no image has.

    Raises:
        ConfigurationError: The filter is wrong.
        UnknownNameError: A column does not exist; the sentence has the nearest one.
    """
    if where is None:
        return
    for term in parse_filter(where):
        has_column = items.c.attributes[term.column].as_string().is_not(None)
        if connection.execute(select(items.c.id).where(has_column).limit(1)).first() is None:
            some = select(items.c.attributes).where(items.c.attributes.is_not(None)).limit(100)
            known = {name for attributes in connection.scalars(some) for name in attributes}
            raise UnknownNameError("column of the manifest", term.column, known)


def _compared(term: Term) -> ColumnElement[bool]:
    cell: ColumnElement[Any] = items.c.attributes[term.column].as_string()
    if term.operator in {"<", "<=", ">", ">="}:
        # A cell that is not a number passes no comparison.
        number = case((cell.regexp_match(_NUMBER), cast(cell, Float)), else_=null())
        compared: ColumnElement[bool] = _OPERATORS[term.operator](number, float(term.value))
        return compared
    if term.operator == "!=":
        return cell.is_distinct_from(term.value)
    equal: ColumnElement[bool] = cell == term.value
    return equal
