"""From text to safe HTML: the only place where words of a model, a tool or a file become markup.

Everything here treats its input as data. Nothing that comes out runs, is fetched, carries a style of its own, or hides
characters from the reader.
"""

import re
from collections.abc import Sequence
from html import escape as escape_markup
from typing import Any, NewType

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererProtocol
from markdown_it.token import Token
from markdown_it.utils import OptionsDict

Html = NewType("Html", str)
"""Markup that is safe to show as it is."""

INERT = "mathjax_ignore tex2jax_ignore"
"""Classes that keep JupyterLab's and nbconvert's MathJax away: a `$` in data is a dollar, and `\\href` no link."""

_JOINERS = "\u200c\u200d"
_VARIATIONS = "\ufe00-\ufe0f"
# Joiners are part of Persian, of Indic scripts and of emoji, one variation selector of emoji and keycaps; anywhere else
# they only hide something.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff\ud800-\udfff]"
    f"|(?<![^\x00-\x7f])[{_JOINERS}]|[{_JOINERS}](?![^\x00-\x7f])"
    f"|(?<![^\x00-\x7f])(?<![0-9#*])[{_VARIATIONS}]|(?<=[{_VARIATIONS}{_JOINERS}])[{_VARIATIONS}]"
)


def visible(text: str) -> str:
    """The text with every character that cannot be seen, or that turns the reading order, written out.

    Control characters become their pictures (`␛`), others their code point (`⟨U+202E⟩`). Tabs and line ends stay; a
    lone carriage return does not pass for one. Idempotent.
    """
    return _HIDDEN.sub(_spell_out, text.replace("\r\n", "\n"))


def _spell_out(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"⟨U+{code:04X}⟩"


def escape(text: object) -> Html:
    """Any text as HTML text or as the value of a quoted attribute."""
    return Html(escape_markup(visible(str(text))))


def reply_html(markdown: str) -> Html:
    """A model's reply, Markdown in safe HTML out. Takes partial text: an open fence or emphasis is no error.

    Raw HTML is shown, not obeyed. Links go to http, https and mailto only and open elsewhere; what would link to
    another place stays as it was written. An image becomes its description and its address, as text. Linear in the
    length of the text: about 1 ms per kB.
    """
    # Once before, as UTF-8 cannot carry a surrogate; once after, as `&#x202e;` only then is a character.
    rendered = visible(_MARKDOWN.render(visible(markdown)))
    return Html(f'<div class="{INERT}">{_CLEANER.clean(rendered)}</div>')


_LINK = re.compile(r"(?:https?://|mailto:)[^\s]", re.IGNORECASE)
_MAX_ADDRESS = 100

_TAGS = "a blockquote br code em h3 h4 h5 h6 hr li ol p pre s strong table tbody td th thead tr ul"
_ALIGN = {"style": {f"text-align:{side}" for side in ("left", "center", "right")}}
_FENCE = "padding:8px 10px;overflow:auto;border:1px solid #80808052;border-radius:4px"
_CLEANER = nh3.Cleaner(
    tags=set(_TAGS.split()),
    attributes={"*": set(), "a": {"href"}, "ol": {"start"}},
    tag_attribute_values={"td": _ALIGN, "th": _ALIGN},
    set_tag_attribute_values={"a": {"target": "_blank"}, "pre": {"style": _FENCE}},
    url_schemes={"http", "https", "mailto"},
    url_relative="deny",
    link_rel="noopener noreferrer",
)


def _image(self: RendererProtocol, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any) -> str:
    token = tokens[index]  # never fetched: that would tell its server who reads this, and when
    address = str(token.attrs.get("src", ""))
    if len(address) > _MAX_ADDRESS:
        address = address[: _MAX_ADDRESS - 1] + "…"
    return escape(f"[image: {token.content} ({address})]" if token.content else f"[image: {address}]")


def _heading(self: RendererProtocol, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any) -> str:
    token = tokens[index]
    level = min(int(token.tag[1]) + 2, 6)  # the notebook's own headings stay the larger ones
    return f"<h{level}>" if token.nesting == 1 else f"</h{level}>\n"


def _cell(self: RendererProtocol, tokens: Sequence[Token], index: int, options: OptionsDict, env: Any) -> str:
    token = tokens[index]  # said for every cell, as JupyterLab sets them right by default
    return f'<{token.tag} style="{token.attrs.get("style", "text-align:left")}">'


def _markdown() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    parser.validateLink = lambda url: bool(_LINK.match(url))  # type: ignore[method-assign]
    parser.add_render_rule("image", _image)
    for rule, render in {"heading": _heading, "th": _cell, "td": _cell}.items():
        parser.add_render_rule(f"{rule}_open", render)
    parser.add_render_rule("heading_close", _heading)
    return parser


_MARKDOWN = _markdown()
