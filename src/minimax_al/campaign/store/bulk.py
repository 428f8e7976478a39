"""Many rows at once: COPY on PostgreSQL, one statement with many parameters on SQLite."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ARRAY, JSON, ColumnElement, Connection, Select, Table, any_, bindparam
from sqlalchemy.engine import Result

_FEW = 100
"""Number of rows below which COPY is not worth its own statement."""


def add_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, all with the same columns.

    Args:
        connection: Connection in a write transaction.
        table: Table.
        rows: Values by column.
    """
    if not rows:
        return
    if connection.dialect.name != "postgresql" or len(rows) < _FEW:
        connection.execute(table.insert(), list(rows))
        return
    columns = [table.c[name] for name in rows[0]]
    names = ", ".join(f'"{column.name}"' for column in columns)
    converts = [_conversion(connection, column.type) for column in columns]
    cursor = connection.connection.cursor()
    with cursor.copy(f'COPY "{table.name}" ({names}) FROM STDIN') as copy:
        for row in rows:
            copy.write_row([convert(value) for convert, value in zip(converts, row.values(), strict=True)])


def streamed(connection: Connection, statement: Select[Any], at_once: int = 10_000) -> Result[Any]:
    """Return the rows of a statement, of which the client holds a few at a time.

    Args:
        connection: Connection in a transaction.
        statement: Statement with many rows.
        at_once: Rows that are fetched together.
    """
    return connection.execute(statement, execution_options={"yield_per": at_once})


def is_one_of(connection: Connection, column: ColumnElement[Any], values: Sequence[Any]) -> ColumnElement[bool]:
    """Return SQL for: a column has one of the values; on PostgreSQL as one parameter, however many values there are.

    Args:
        connection: Connection, for its database.
        column: Column of text or numbers.
        values: Values; on SQLite at most one portion of `portions`.
    """
    if connection.dialect.name != "postgresql":
        return column.in_(values)
    return column == any_(bindparam(None, list(values), ARRAY(column.type)))


def _conversion(connection: Connection, kind: Any) -> Any:  # noqa: ANN401 - a type of a column
    """Return the function from a value to the form that the driver copies."""
    if isinstance(kind, JSON):
        return lambda value: None if value is None else json.dumps(value)
    process = kind.dialect_impl(connection.dialect).bind_processor(connection.dialect)
    return process or (lambda value: value)
