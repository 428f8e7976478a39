"""Cells that spreadsheet programs run as formulas, and how to write them so that they do not."""

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def is_formula(text: str) -> bool:
    """Return whether Excel, LibreOffice and Google Sheets may run the text as a formula.

    Example:
        >>> is_formula("=1+1"), is_formula("-rf.jpg"), is_formula("a=1.jpg")
        (True, True, False)
    """
    return text.startswith(_FORMULA_STARTS)


def escape_formula(text: str) -> str:
    """Return a cell with an apostrophe before a formula, which spreadsheet programs then show as text."""
    return f"'{text}" if is_formula(text) else text


def unescape_formula(text: str) -> str:
    """Return a cell without the apostrophe that `escape_formula` adds.

    Example:
        >>> unescape_formula(escape_formula("=1+1")), unescape_formula("'quoted'")
        ('=1+1', "'quoted'")
    """
    return text[1:] if text.startswith("'") and is_formula(text[1:]) else text
