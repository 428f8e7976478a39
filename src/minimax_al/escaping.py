"""Text from outside, such as file names, made safe for terminals."""


def escape(text: str, keep: str = "") -> str:
    r"""Return `text` with every character that a terminal would obey or hide as an escape.

    Control characters, escape codes, line breaks, direction marks, zero-width characters and bytes that are not UTF-8
    become backslash escapes as in Python's literals. Letters of every script, marks and emoji stay.

    Args:
        text: Text that may come from a file name, a label or an archive.
        keep: Unprintable characters that stay, such as the line breaks of the program's own text.

    Returns:
        Text whose characters are all printable or in `keep`.

    Example:
        >>> escape("red\x1b[31m\u202egpj.exe\n")
        'red\\x1b[31m\\u202egpj.exe\\n'
        >>> escape("Zürich, 東京 🐦")
        'Zürich, 東京 🐦'
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character in keep else _escaped(character) for character in text
    )


def _escaped(character: str) -> str:
    # A lone surrogate encodes a byte that is not UTF-8: show that byte.
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")
