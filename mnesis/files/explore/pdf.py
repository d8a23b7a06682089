"""PDF: pages, outline, and the text of the first pages."""

from collections.abc import Iterator
from typing import Any

from mnesis.files.explore.subject import Subject, Unreadable

_FIRST_PAGES = 3
_MOST_CHARACTERS = 1_500


def explore(subject: Subject) -> Iterator[str]:
    """What pypdf reads."""
    from mnesis.files.documents.pdf import PARSED, reader_of

    if subject.size > PARSED:
        yield "too large to be parsed"
        return
    try:
        reader = reader_of(subject.content)
        if reader.is_encrypted and not reader.decrypt(""):
            yield "encrypted: it needs a password"
            return
        yield f"{len(reader.pages):,} pages"
        title = reader.metadata.title if reader.metadata else None
        if title:
            yield f"title: {title}"
        yield from _outline(reader, reader.outline, 0)
        for number, page in enumerate(reader.pages[:_FIRST_PAGES], 1):
            if subject.late():
                return
            text = page.extract_text()[:_MOST_CHARACTERS]
            yield f"page {number}:" if text.strip() else f"page {number}: no text (it may be a picture)"
            yield from (f"  {each}" for each in text.splitlines()[:12] if each.strip())
    except ImportError:
        yield 'its pages are read by pypdf: pip install "mnesis[files]"'
    except Exception as error:  # a damaged file makes pypdf raise nearly anything
        raise Unreadable(f"{type(error).__name__}: {error}") from error


def _outline(reader: Any, entries: Any, depth: int) -> Iterator[str]:
    for entry in entries[:60]:
        if isinstance(entry, list):
            if depth < 3:
                yield from _outline(reader, entry, depth + 1)
        else:
            page = reader.get_destination_page_number(entry)
            yield f"{'  ' * depth}page {page + 1}: {entry.title}"
