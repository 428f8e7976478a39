"""Times of labels, as tools write them."""

from datetime import UTC, datetime

from minimax_al.errors import DataError


def read_time(text: str, where: str) -> datetime | None:
    """Return a time in ISO 8601, in UTC; None for a blank one. A time without a zone is in UTC.

    Args:
        text: Time, such as "2026-01-02T03:04:05+00:00".
        where: Start of the error's sentence.

    Raises:
        DataError: The text is not such a time.

    Example:
        >>> read_time("2026-01-02 03:04:05", "line 2").isoformat()
        '2026-01-02T03:04:05+00:00'
    """
    if not text.strip():
        return None
    try:
        time = datetime.fromisoformat(text.strip())
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):  # OverflowError: in UTC, the year would be 0 or 10000
        raise DataError(f"{where}: {text!r} is not a time: write it as 2026-01-02T03:04:05+00:00") from None
