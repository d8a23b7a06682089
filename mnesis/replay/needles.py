"""Where a text is: in a window as it was said, in the words of a summary, or only in the store."""

from collections.abc import Iterable, Mapping, Sequence

from mnesis.errors import InputError, NotFound, describe_value
from mnesis.ids import kind_of
from mnesis.intake import text_of
from mnesis.models.context import ContextItem
from mnesis.models.message import Message
from mnesis.models.replay import Evidence
from mnesis.rendering import blocks


class Needles:
    """Texts whose whereabouts are followed. What differs in case or in white space only is the same text."""

    def __init__(self, texts: Mapping[str, str], since: Mapping[str, int]) -> None:
        self.names = tuple(texts)
        self._texts = tuple(texts.values())
        self._since = tuple(since[name] for name in texts)
        self._plain: dict[str, str] = {}

    @classmethod
    def of(cls, wanted: Sequence[str], said: Sequence[Message]) -> "Needles":
        """These texts, or the texts of the messages with these ids. Raises `InputError` for what nobody said."""
        if isinstance(wanted, str) or not isinstance(wanted, Iterable):
            raise InputError(f"needles={describe_value(wanted)} is not a list; give texts, or ids of messages")
        log = [(message.turn, _plain(_sent(message))) for message in said if not message.partial]
        texts: dict[str, str] = {}
        since: dict[str, int] = {}
        for name in wanted:
            texts[name] = _plain(_text(text_of(name, "needles"), said))
            turn = next((turn for turn, text in log if texts[name] in text), None)
            if turn is None or not texts[name]:
                raise InputError(
                    f"needles: {describe_value(name)} stands nowhere in the conversation; copy it from there"
                )
            since[name] = turn
        return cls(texts, since)

    def __len__(self) -> int:
        return len(self.names)

    def look(self, items: Iterable[ContextItem], turn: int) -> tuple[Evidence, ...]:
        """Where each is, seen from the window of a turn."""
        if not self.names:
            return ()
        said: list[str] = []
        summaries: list[str] = []
        for item in items:
            (summaries if item.kind == "summary" else said).append(self._of(item))
        return tuple(
            _state(text, since > turn, "\n".join(said), "\n".join(summaries))
            for text, since in zip(self._texts, self._since, strict=True)
        )

    def _of(self, item: ContextItem) -> str:
        """The text of an item, made plain once: windows share most of theirs."""
        if item.text not in self._plain:
            self._plain[item.text] = _plain(item.text)
        return self._plain[item.text]


def _state(text: str, unsaid: bool, said: str, summaries: str) -> Evidence:
    if text in said:
        return "verbatim"
    if unsaid:
        return "unsaid"
    return "summary" if text in summaries else "recall"


def _text(name: str, said: Sequence[Message]) -> str:
    if kind_of(name) != "message":
        return name
    message = next((each for each in said if each.id == name), None)
    if message is None:
        raise NotFound("message", name, "the session does not hold it; needles are texts, or ids of its messages")
    return message.text or _sent(message)


def _sent(message: Message) -> str:
    return "\n".join(block.text for block in blocks(message.role, message.parts))


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
