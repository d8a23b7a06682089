"""Images: which kind, and how many pixels."""

import re
from collections.abc import Iterator

from mnesis.files.explore.subject import Subject, Unreadable
from mnesis.models.media import sniff


def explore(subject: Subject) -> Iterator[str]:
    """Width and height as the header says."""
    import imagesize

    kind = sniff(subject.head) or ("SVG" if subject.encoding else subject.suffix.lstrip(".").upper())
    subject.content.file.seek(0)
    try:
        width, height = imagesize.get(subject.content.file)
    except Exception as error:  # a damaged header makes imagesize raise nearly anything
        raise Unreadable(f"its header is damaged ({type(error).__name__})") from error
    if width <= 0 or height <= 0:
        if subject.encoding is None:
            raise Unreadable("its header tells no size")
        yield f"{kind}, {_drawn(subject)}"
        return
    yield f"{kind}, {width:,} x {height:,} pixels"


def _drawn(subject: Subject) -> str:
    box = re.search(r"viewBox=\"([^\"]{1,60})\"", subject.text(1 << 16)[0])
    return f"drawn in {box[1]}" if box else "drawn"
