"""The files that a summary stands for: it names them, so that they can still be read."""

import re
from collections.abc import Sequence

from mnesis.context.assembly import Entry
from mnesis.tokens import TokenCounter

_REFERENCE = re.compile(r"\[file (file_\w+) · (.*?) · ")
_LINE = re.compile(r"^Files that can still be read: (.+)$", re.MULTILINE)
_NAMED = re.compile(r"(file_\w+) \((.*?)\)(?:; |$)")


def references_line(entries: Sequence[Entry], room: int, counter: TokenCounter) -> str:
    """A line with the ids and names of the files that these entries refer to; of as many as `room` tokens allow.

    Of the others it says how many they are: they are found by expanding the summary.
    """
    found: dict[str, str] = {}
    for entry in entries:
        for line in _LINE.findall(entry.body):
            found |= dict(_NAMED.findall(line))
        for item in entry.items:
            if item.kind == "file" and (match := _REFERENCE.match(item.text)):
                found[match[1]] = match[2].replace(")", "").replace("(", "")
    named = [f"{id} ({name})" for id, name in found.items()]
    for count in range(len(named), -1, -1):
        more = f"; and {len(named) - count} more" if count < len(named) else ""
        line = f"Files that can still be read: {'; '.join(named[:count])}{more}"
        if count and counter.count(line) <= room:
            return line
    return ""
