"""Many long texts in one output of bounded size."""

from collections.abc import Iterable, Iterator, Sequence

from mnesis_jupyter.html import Html, escape

_MAX_TEXT, _MAX_TEXTS = 20_000, 100_000


def texts_html(texts: Sequence[str], longest: int = _MAX_TEXT, total: int = _MAX_TEXTS) -> Iterator[Html]:
    """Each text, escaped; cut at `longest` characters, and earlier where all together would pass `total` bytes.

    A cut says so.
    """
    limit = fair_share([len(escape(text[:longest]).encode()) for text in texts], total)
    return (_clip(text, longest, limit) for text in texts)


def fair_share(sizes: Iterable[int], total: int) -> int:
    """The limit for each at which all of them together stay within `total`: the small ones are left whole."""
    ordered = sorted(sizes)
    for position, size in enumerate(ordered):
        share = total // (len(ordered) - position)
        if size > share:
            return share
        total -= size
    return ordered[-1] if ordered else total


def _clip(text: str, longest: int, limit: int) -> Html:
    """The beginning of a text, of at most `longest` characters and `limit` bytes of markup."""
    count = min(len(text), longest, limit)
    shown = escape(text[:count])
    while (size := len(shown.encode())) > limit:
        count = min(count - 1, count * limit // size)
        shown = escape(text[:count])
    if count == len(text):
        return shown
    return Html(f"{shown}\n… cut here: {count:,} of {len(text):,} characters are shown")
