"""What comes from files as it stands in labels: nothing in it can end a line or a label, or hide."""

import unicodedata

_LONGEST = 200
_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def shown(text: str, longest: int = _LONGEST) -> str:
    """A text in one line, without brackets, control characters and what reorders text; shortened in its middle."""
    kept = "".join("\ufffd" if unicodedata.category(char) in _HIDDEN else char for char in text[: 4 * longest])
    kept = kept.replace("[", "(").replace("]", ")")
    return kept if len(kept) <= longest else f"{kept[: longest // 2]}…{kept[-(longest // 2) :]}"


def line(text: str, longest: int = 160) -> str:
    """A piece of a file in one line, shortened at its end; brackets are left as they are."""
    flat = " ".join(text[: 4 * longest].split())
    kept = "".join("\ufffd" if unicodedata.category(char) in _HIDDEN else char for char in flat)
    return kept if len(kept) <= longest else f"{kept[: longest - 1]}…"


def enclosed(name: str, text: str) -> str:
    """A file's text within a label that nothing in it can end."""
    end, number = f"[end of {name}]", 1
    while end in text:
        number += 1
        end = f"[end of {name} ({number})]"
    body = text if text.endswith("\n") else f"{text}\n"
    return f"[attached: {name}]\n{body}{end}"
