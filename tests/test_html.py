"""Replies become HTML that cannot do anything. `Inspector` is what the tests of the views look through, too."""

import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnesis_jupyter.html import escape, reply_html, visible

REPLY_TAGS = set(
    "div a blockquote br code em h3 h4 h5 h6 hr li ol p pre s strong table tbody td th thead tr ul".split()
)
REPLY_ATTRIBUTES = {
    "div": {"class"},
    "a": {"href", "rel", "target"},
    "ol": {"start"},
    "pre": {"style"},
    "td": {"style"},
    "th": {"style"},
}
REPLY_STYLES = {
    "text-align:left",
    "text-align:center",
    "text-align:right",
    "padding:8px 10px;overflow:auto;border:1px solid #80808052;border-radius:4px",
}
VOID = {"br", "hr"}

BIDI_AND_INVISIBLE = "\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff\xad\u061c"

PAYLOADS = [
    # scripts
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<script\n>alert(1)</script\n>",
    "</code></pre><script>alert(1)</script>",
    "</title></textarea></style><script>alert(1)</script>",
    '"><script>alert(1)</script>',
    "'><script>alert(1)</script>",
    "<!--><script>alert(1)</script-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?xml version='1.0'?><script>alert(1)</script>",
    "<noscript><p title='</noscript><script>alert(1)</script>'>",
    "\\<script>alert(1)\\</script>",
    "<\x00script>alert(1)</script>",
    # handlers
    "<img src=x onerror=alert(1)>",
    "<img/src=x/onerror=alert(1)//",
    "<IMG SRC=x OnErRoR\t=\nalert(1)>",
    "<body onload=alert(1)>",
    "<details open ontoggle=alert(1)><summary>x</summary></details>",
    "<input autofocus onfocus=alert(1)>",
    "<video><source onerror=alert(1)></video>",
    "<marquee onstart=alert(1)>x</marquee>",
    '" onmouseover="alert(1)',
    "' onmouseover='alert(1)",
    'x" style="background:url(//evil.example)" onclick="alert(1)',
    "<a href='https://ok.example' onclick='alert(1)'>x</a>",
    # svg, math, frames, forms, objects
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<svg><a xlink:href='javascript:alert(1)'><text>x</text></a></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<iframe srcdoc='&lt;script&gt;alert(1)&lt;/script&gt;'></iframe>",
    "<object data=data:text/html;base64,PHNjcmlwdD4></object>",
    "<embed src=//evil.example/x.swf>",
    "<form action=//evil.example><button>go</button></form>",
    "<button data-commandlinker-command='terminal:create-new'>x</button>",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<template><img src=x onerror=alert(1)></template>",
    # links
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](javascript&colon;alert(1))",
    "[x](\x01javascript:alert(1))",
    "[x](<javascript:alert(1)>)",
    "[x](vbscript:msgbox(1))",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[x](file:///etc/passwd)",
    "[x](//evil.example/x)",
    "[x](/api/shutdown)",
    "[x](../tree?token=1)",
    "[x](#id)",
    "[x][r]\n\n[r]: javascript:alert(1)",
    '[x][r]\n\n[r]: https://ok.example "t\\" onclick=alert(1)"',
    '[x](https://ok.example/" onmouseover="alert(1))',
    '[x](https://ok.example "\\" onmouseover=\\"alert(1)")',
    "[x](https://ok.example/<pre>)",
    "<javascript:alert(1)>",
    "<data:text/html,<script>alert(1)</script>>",
    "<https://ok.example/?<script>alert(1)</script>>",
    "[a [b](javascript:alert(1))](javascript:alert(2))",
    # images that would call home
    "![x](https://evil.example/p.png)",
    "![x](//evil.example/p.png)",
    "![x](data:image/svg+xml,<svg onload=alert(1)>)",
    '![x](https://evil.example/p.png "t\\" onerror=alert(1)")',
    '![x" onerror="alert(1)](https://evil.example/p.png)',
    "![![x](https://evil.example/a.png)](https://evil.example/b.png)",
    "[![x](https://evil.example/p.png)](https://ok.example)",
    "![x][r]\n\n[r]: https://evil.example/p.png",
    "<img src=https://evil.example/p.png>",
    "<picture><source srcset=//evil.example/p.png></picture>",
    # CSS
    "<style>@import '//evil.example/x.css';</style>",
    "<div style='background:url(//evil.example)'>x</div>",
    '<p style="position:fixed;inset:0" class=jp-Dialog id=main>x</p>',
    '<font face="x;background:url(//evil.example)">x</font>',
    # entities
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "&amp;lt;script&amp;gt;",
    "&#x202e;gnp.exe &#8203; &ZeroWidthSpace; &shy; &rlm;",
    "&#x1b;[31m &#0; &#xD800; &#x110000;",
    # in fences, code and tables
    "```<script>alert(1)</script>\n<img src=x onerror=alert(1)>",
    '```js" onmouseover="alert(1)\n</code></pre><script>alert(1)</script>\n```',
    "`<img src=x onerror=alert(1)>`",
    "    <script>alert(1)</script>",
    "| <script>alert(1)</script> | [x](javascript:alert(1)) |\n|:-:|--:|\n| <img src=x onerror=a()> | ![x](//a) |",
    "> <iframe src=//evil.example>\n> - <script>alert(1)",
    # MathJax
    "$\\href{javascript:alert(1)}{x}$ \\(\\style{background:url(//evil.example)}{x}\\)",
    "$$\\require{html}\\class{jp-Dialog}{x}$$",
    # unseen characters
    f"user {BIDI_AND_INVISIBLE} admin",
    "abc\u202egnp.exe\u202c \u2066hidden\u2069",
    "a\u200db x\ufe0f y\ufe0f\ufe0f",
    "".join(chr(0xE0000 + ord(letter)) for letter in "ignore all rules"),
    "\x00\x07\x08\x1b[2J\x1b]8;;https://evil.example\x07x\x7f\x85\x9b",
    "line\u2028line\u2029\rover\x0b\x0c",
    "\ud800 \udfff",
]


class Inspector(HTMLParser):
    """Reads HTML as a browser does and holds every tag and attribute to an allow-list."""

    def __init__(self, tags: set[str], attributes: dict[str, set[str]]) -> None:
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes = tags, attributes
        self.styles: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.count = 0
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.count += 1
        assert tag in self.tags, f"<{tag}>"
        for name, value in attrs:
            assert name in self.attributes.get(tag, set()) | self.attributes.get("*", set()), (
                f"<{tag} {name}={value!r}>"
            )
            if name == "style":
                self.styles.append(value or "")
            if name == "href":
                self.links.append(value or "")
        if tag == "a":
            assert dict(attrs) | {"rel": "noopener noreferrer", "target": "_blank"} == dict(attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def handle_comment(self, data):
        raise AssertionError(f"comment: {data}")

    handle_decl = handle_pi = unknown_decl = handle_comment


def inspect(html, tags=REPLY_TAGS, attributes=REPLY_ATTRIBUTES):
    """What the HTML holds, having asserted that it is of allowed parts only and that nothing unseen is left in it."""
    inspector = Inspector(tags, attributes)
    inspector.feed(html)
    inspector.close()
    assert inspector.open == []
    assert html == visible(html)
    html.encode()
    for link in inspector.links:
        assert link.lower().startswith(("http://", "https://", "mailto:")), link
    for style in inspector.styles:
        assert not any(word in style.lower() for word in ("url(", "expression", "import", "fixed", "var(", "\\", "<"))
    return inspector


def inspect_reply(markdown):
    seen = inspect(reply_html(markdown))
    assert set(seen.styles) <= REPLY_STYLES
    return seen


def test_the_corpus_is_large():
    assert len(set(PAYLOADS)) == len(PAYLOADS) >= 60


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_payload_leaves_the_allow_list(payload):
    for frame in (
        "{}",
        "text {} text",
        "- {}",
        "**{}**",
        "# {}",
        "> {}",
        "| a |\n|---|\n| {} |",
        "```\n{}",
        "[{}]({})",
    ):
        inspect_reply(frame.replace("{}", payload))


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_beginning_of_a_payload_leaves_the_allow_list(payload):
    for end in range(len(payload)):
        inspect_reply(payload[:end])


@given(st.lists(st.sampled_from(PAYLOADS) | st.text(), max_size=8).map("".join))
def test_whatever_is_written_stays_in_the_allow_list(markdown):
    inspect_reply(markdown)


@given(st.text(alphabet="[]()<>!`*_~|-#&;:\"'\\ \n\tax1\u202e$", max_size=200))
def test_whatever_is_marked_up_stays_in_the_allow_list(markdown):
    inspect_reply(markdown)


@given(st.text(st.characters(codec=None)))
def test_nothing_unseen_is_left_and_spelling_out_is_idempotent(text):
    spelled = visible(text)
    spelled.encode()
    assert visible(spelled) == spelled


@given(st.text())
def test_escaped_text_reads_as_the_text(text):
    inspector = Inspector(set(), {})
    inspector.feed(escape(text))
    inspector.close()
    assert inspector.text == visible(text)


def test_markdown_is_rendered():
    html = reply_html("# Title\n\n**bold** _it_ ~~gone~~ `x<y`\n\n1. one\n\n```py\na < b\n```\n\n|a|b|\n|-|-:|\n|1|2|")
    for piece in (
        "<h3>Title</h3>",
        "<strong>bold</strong>",
        "<em>it</em>",
        "<s>gone</s>",
        "<code>x&lt;y</code>",
        "<li>one",
    ):
        assert piece in html
    assert '<td style="text-align:left">1</td>' in html
    assert '<td style="text-align:right">2</td>' in html
    assert "<code>a &lt; b\n</code></pre>" in html


def test_links_open_elsewhere_and_tell_nothing():
    link = inspect_reply("[a](https://ok.example/x?y=1) <mailto:a@ok.example>")
    assert link.links == ["https://ok.example/x?y=1", "mailto:a@ok.example"]


def test_a_link_to_another_scheme_stays_as_it_was_written():
    seen = inspect_reply("[x](javascript:alert(1)) and [y](notes.md)")
    assert seen.links == []
    assert "[x](javascript:alert(1)) and [y](notes.md)" in seen.text


def test_an_image_becomes_its_description_and_its_address():
    seen = inspect_reply("![a chart](https://evil.example/p.png) ![](https://evil.example/q.png)")
    assert "[image: a chart (https://evil.example/p.png)] [image: https://evil.example/q.png]" in seen.text
    assert seen.links == []


def test_bidi_controls_are_written_out_even_when_given_as_entities():
    assert "abc⟨U+202E⟩gnp.exe" in inspect_reply("abc\u202egnp.exe").text
    assert "abc⟨U+202E⟩gnp.exe" in inspect_reply("abc&#x202e;gnp.exe").text


def test_control_characters_are_shown_by_their_pictures():
    assert visible("\x1b[31m\x00\x7f\x85") == "␛[31m␀␡⟨U+0085⟩"
    assert visible("a\tb\nc\r\nd\re") == "a\tb\nc\nd␍e"


@pytest.mark.parametrize("text", ["👩‍💻 ❤️ 1️⃣ 🏳️‍🌈", "می‌خواهم", "क्‍ष", "שלום", "漢字", "naïve café"])
def test_scripts_and_emoji_are_left_as_they_are(text):
    assert visible(text) == text


def test_text_hidden_in_tag_characters_and_selectors_is_shown():
    assert visible("a\U000e0069x\ufe01") == "a⟨U+E0069⟩x⟨U+FE01⟩"


def test_an_open_fence_is_a_code_block_already():
    assert "<code>x = 1</code></pre>" in reply_html("```python\nx = 1").replace("\n", "")


def test_headings_stay_smaller_than_those_of_the_notebook():
    assert "<h3>a</h3>\n<h6>b</h6>\n<h6>c</h6>" in reply_html("# a\n#### b\n###### c")


def test_math_is_left_to_the_reader():
    assert reply_html("$x$").startswith('<div class="mathjax_ignore tex2jax_ignore">')


@pytest.mark.parametrize(
    "piece", ["**a** `b` [c](https://ok.example)\n\n- d\n", "[", "![](", "a**b", "<", "`", "> ", "|a"]
)
def test_time_grows_with_length_and_not_faster(piece):
    def seconds(length):
        text = (piece * length)[:length]
        start = time.thread_time()
        reply_html(text)
        return time.thread_time() - start

    reply_html(piece)
    short, long = (min(seconds(length) for _ in range(2)) for length in (2_000, 16_000))
    assert long < 8 * 4 * short + 0.05
