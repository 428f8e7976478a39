"""Number of images by status, which the database itself keeps: counting ten million rows takes it seconds.

Triggers change the numbers in the transaction that changes the images, however it does so. On PostgreSQL one statement
changes them once, COPY included; on SQLite each row does.
"""

from sqlalchemy import DDL, Connection, event, select

from minimax_al.campaign.store.schema import image_counts, items

FILL = """
INSERT INTO image_counts (status, images)
SELECT known.status, count(items.id)
FROM (
    SELECT 'new' AS status UNION ALL SELECT 'active' UNION ALL SELECT 'duplicate'
    UNION ALL SELECT 'set-aside' UNION ALL SELECT 'missing' UNION ALL SELECT 'changed'
) AS known
LEFT JOIN items ON items.status = known.status GROUP BY known.status
"""
"""SQL that counts the images of a database without numbers."""

SQLITE_TRIGGERS = (
    """
    CREATE TRIGGER items_added AFTER INSERT ON items
    BEGIN UPDATE image_counts SET images = images + 1 WHERE status = NEW.status; END
    """,
    """
    CREATE TRIGGER items_removed AFTER DELETE ON items
    BEGIN UPDATE image_counts SET images = images - 1 WHERE status = OLD.status; END
    """,
    """
    CREATE TRIGGER items_changed AFTER UPDATE OF status ON items WHEN OLD.status <> NEW.status
    BEGIN
        UPDATE image_counts SET images = images - 1 WHERE status = OLD.status;
        UPDATE image_counts SET images = images + 1 WHERE status = NEW.status;
    END
    """,
)
"""Statements that make the triggers on SQLite."""

POSTGRESQL_TRIGGERS = (
    """
    CREATE FUNCTION count_items_added() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        UPDATE image_counts SET images = images + more.number
        FROM (SELECT status, count(*) AS number FROM added GROUP BY status) AS more
        WHERE image_counts.status = more.status;
        RETURN NULL;
    END $$
    """,
    """
    CREATE FUNCTION count_items_removed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        UPDATE image_counts SET images = images - fewer.number
        FROM (SELECT status, count(*) AS number FROM removed GROUP BY status) AS fewer
        WHERE image_counts.status = fewer.status;
        RETURN NULL;
    END $$
    """,
    """
    CREATE FUNCTION count_items_changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        UPDATE image_counts SET images = images + more.number
        FROM (
            SELECT status, sum(change) AS number
            FROM (SELECT status, 1 AS change FROM added UNION ALL SELECT status, -1 FROM removed) AS changes
            GROUP BY status
        ) AS more
        WHERE image_counts.status = more.status AND more.number <> 0;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER items_added AFTER INSERT ON items
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_items_added()
    """,
    """
    CREATE TRIGGER items_removed AFTER DELETE ON items
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION count_items_removed()
    """,
    """
    CREATE TRIGGER items_changed AFTER UPDATE ON items
    REFERENCING NEW TABLE AS added OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION count_items_changed()
    """,
)
"""Statements that make the triggers on PostgreSQL."""

for _dialect, _triggers in (("sqlite", SQLITE_TRIGGERS), ("postgresql", POSTGRESQL_TRIGGERS)):
    for _statement in _triggers:
        event.listen(items, "after_create", DDL(_statement).execute_if(dialect=_dialect))  # type: ignore[no-untyped-call]


def count_by_status(connection: Connection) -> dict[str, int]:
    """Return the number of images of each status that has any.

    Args:
        connection: Connection to the campaign's database.
    """
    found = connection.execute(select(image_counts).where(image_counts.c.images > 0).order_by(image_counts.c.status))
    return {row.status: row.images for row in found}
