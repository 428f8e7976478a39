"""Links to images as Label Studio and other tools write them: which names a link may mean."""

import base64
import binascii
import re
from collections.abc import Iterator
from urllib.parse import unquote, unquote_plus

LOCAL_FILES = "/data/local-files/?d="
"""Start of Label Studio's links to files of its local storage."""

_LOCAL = re.compile(r".*/data/local-files/?\?d=", re.DOTALL)
_UPLOADED = re.compile(r".*/data/upload/(?:\d+/)?(?:[0-9a-f]{8}-)?", re.DOTALL)
_RESOLVED = re.compile(r".*[?&]fileuri=([^&#]+)", re.DOTALL)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://[^/]*/", re.DOTALL)


def readings(link: str) -> tuple[str, ...]:
    """Return the names that a link may mean: as it is written first, then without query and decoded.

    Tools quote some names and leave others as they are, which the link does not tell: `a%20b.jpg` may be that file or
    `a b.jpg`, and `a#b.jpg` may end at the `#`. A text that is not a link has no readings.

    Args:
        link: Link or path of an image.

    Example:
        >>> readings("/data/local-files/?d=cats/my%20cat.jpg")
        ('cats/my%20cat.jpg', 'cats/my cat.jpg')
        >>> readings("/data/upload/3/6c39e7e0-heron.jpg"), readings("heron.jpg")
        (('heron.jpg',), ())
    """
    if (resolved := _RESOLVED.match(link)) is not None:
        return readings(_decoded(unquote(resolved.group(1))) or "")
    for pattern in (_LOCAL, _UPLOADED, _SCHEME):
        if (start := pattern.match(link)) is not None:
            rest = link[start.end() :]
            ends = "&" if pattern is _LOCAL else "?#"
            return tuple(dict.fromkeys(_variants(rest, ends)))
    return ()


def _variants(rest: str, ends: str) -> Iterator[str]:
    raw = dict.fromkeys([rest, *(rest.partition(end)[0] for end in ends), re.split(f"[{ends}]", rest)[0]])
    for decode in (str, unquote, unquote_plus):
        for name in raw:
            yield decode(name).removeprefix("/")


def _decoded(text: str) -> str | None:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return None
