"""A reply as the cell asked to see it: as Markdown, as it was written, as JSON, or only its code."""

import json
import re
from typing import Literal, NamedTuple, get_args

from markdown_it import MarkdownIt

from mnesis_jupyter.html import Html, escape, reply_html

type Format = Literal["markdown", "text", "json", "code"]

FORMATS: tuple[Format, ...] = get_args(Format.__value__)


class Shown(NamedTuple):
    """A reply for eyes, and for terminals. `remark` says where it could not be shown as it was asked for."""

    html: Html
    text: str
    remark: str | None = None


def shown_as(reply: str, format: Format) -> Shown:
    """A reply that is complete. What is no JSON, or has no code, is shown as it was written."""
    match format:
        case "markdown":
            return Shown(reply_html(reply), reply)
        case "text":
            return Shown(_plain(reply), reply)
        case "json":
            value = _json(reply)
            if value is None:
                return Shown(_plain(reply), reply, "the reply is not JSON: it is shown as it was written")
            return Shown(reply_html(_fenced(value, "json")), value)
        case "code":
            blocks = code_of(reply)
            if not blocks:
                return Shown(_plain(reply), reply, "there is no code in the reply: it is shown as it was written")
            markdown = "\n\n".join(_fenced(code, language) for language, code in blocks)
            return Shown(reply_html(markdown), "\n\n".join(code for _, code in blocks))


def shown_so_far(reply: str, format: Format) -> Shown:
    """A reply that is still being written."""
    return shown_as(reply, "markdown" if format == "markdown" else "text")


def code_of(markdown: str) -> list[tuple[str, str]]:
    """The fenced blocks of a text, each with its language."""
    fences = (token for token in MarkdownIt().parse(markdown) if token.type == "fence")
    return [(token.info.strip(), token.content.rstrip("\n")) for token in fences]


def _json(reply: str) -> str | None:
    """The reply, or the only code in it, as indented JSON; `None` where it is none."""
    blocks = code_of(reply)
    text = blocks[0][1] if len(blocks) == 1 else reply
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        return None


def _fenced(code: str, language: str) -> str:
    """Code between fences longer than any in it."""
    fence = "`" * (1 + max([2, *map(len, re.findall(r"`+", code))]))
    return f"{fence}{language}\n{code}\n{fence}"


def _plain(text: str) -> Html:
    return Html(f'<pre style="white-space:pre-wrap">{escape(text)}</pre>')
