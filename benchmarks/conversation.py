"""Generated conversations with questions whose evidence is known.

Two friends chat over some months, in the manner of the public LoCoMo conversations: sessions some days apart, messages
of two or three sentences around what they tell, answers that say the matter of the one before again. They are asked
about as there: for one fact, for several that are told in different sessions, for a time, for what can only be guessed
from it, and, to mislead, for one that the other person told. Deterministic.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from topics import DEVELOPMENT, HELD_OUT, Topic

type Sort = Literal["single-hop", "multi-hop", "temporal", "open-domain", "adversarial"]

NAMES = "Maya Jonas Priya Tomas Elena Samir Hanna Diego Wei Olga Kofi Ingrid Rafael Noor Petra Malik".split()
PLACES = "Lisbon Kyoto Oslo Denver Cusco Tbilisi Hanoi Galway Ghent Marrakesh Perth Quito Riga Tartu Bergen".split()
KIN = "sister brother aunt cousin nephew grandmother father daughter son".split()
MONTHS = "January February March April May June July August September October November December".split()
WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()

_AROUND = {
    "hey": (
        "Hey {b}!", "Hey {b}, long time no talk!", "Hi {b}, how have you been?", "Hey there!",
        "{b}, you won't believe it.",
        "Since we last spoke, a lot has happened.", "Good to hear from you, {b}!", "",
    ),
    "wow": (
        "Wow, {a}!", "That's awesome!", "That's so cool, {a}!", "Oh, that is great to hear.", "Wow!", "Congrats, {a}!",
        "Sounds amazing!", "I love that!", "Way to go!",
    ),
    "so": (
        "It has been quite a ride lately.", "I'm really grateful for that.", "Life keeps surprising me.",
        "It means a lot to me.", "I needed that after the last weeks.", "You never know what comes next.",
        "Thanks for always being there, {b}.", "Small things like that keep me going.", "",
    ),
    "ago": (
        "yesterday", "last week", "last {weekday}", "two days ago", "last weekend", "this morning", "last month",
        "a few weeks ago", "on {weekday}",
    ),
}  # fmt: skip

_SMALL_TALK = (
    "How was your week, {b}?", "Busy, but good! What have you been up to?",
    "The weather was lovely so I went for a walk.",
    "I can't believe it is {month} already, where does the time go?", "That's the spirit! Keep me posted, {b}.",
    "Haha, you always say that, {b}!", "Let's talk again on {weekday}, I want to hear more.", "Totally agree with you.",
    "I am so proud of you, really. You have come a long way.", "Same here, it never stops. How do you keep up?",
    "Oh, that is great to hear! Family and friends are what matters.", "It means a lot to me, thank you, {b}.",
    "Let me know if you need any help with that, I'm here for you.", "I was wondering about that, too.",
    "Thanks, {b}! Your support keeps me motivated.", "See you soon, take care!", "What are your plans for the weekend?",
    "Nothing special, just some quiet time with my {kin}.", "That reminds me of our time in {place}, remember?",
    "Wow, {b}, sounds like a lot of fun. Any pictures?", "Yeah, it was so much fun! I'd do it again right away.",
    "You're so thoughtful, {b}. I appreciate you.", "I've been feeling a bit down, but talking to you helps.",
    "Take your time, {b}. There's no rush at all.",
)  # fmt: skip

_SORTS: dict[str, Sort] = {"fact": "single-hop", "time": "temporal", "guess": "open-domain"}
_ANSWERABLE: tuple[Sort, ...] = ("single-hop", "temporal", "open-domain")


@dataclass(frozen=True, slots=True)
class Said:
    """One message, and when it was said."""

    speaker: str
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and all places in the conversation that answer it."""

    text: str
    evidence: tuple[int, ...]
    sort: Sort


@dataclass(frozen=True, slots=True)
class Conversation:
    """What was said, in order, and what can be asked about it."""

    name: str
    said: list[Said]
    questions: list[Question]


def development() -> Iterator[Conversation]:
    """Ten conversations of about 600 messages to tune with."""
    return _conversations("development", DEVELOPMENT)


def held_out() -> Iterator[Conversation]:
    """Ten conversations on other topics, which nothing was tuned with."""
    return _conversations("held-out", HELD_OUT)


def _conversations(half: str, topics: Sequence[Topic], count: int = 10) -> Iterator[Conversation]:
    for index in range(count):
        name = f"{half}-{index}"
        yield _Writer(name, topics, random.Random(name)).conversation()


class _Writer:
    """One conversation while it is being written."""

    def __init__(self, name: str, topics: Sequence[Topic], rng: random.Random) -> None:
        self._name, self._topics, self._rng = name, topics, rng
        self._people = rng.sample(NAMES, 2)
        self._at = datetime(2025, rng.randint(1, 12), rng.randint(1, 28), rng.randint(7, 21), tzinfo=UTC)
        self._said: list[Said] = []
        self._asked: dict[tuple[str, Sort], list[int]] = {}
        self._later: list[str] = []

    def conversation(self, sessions: int = 24, facts: int = 3) -> Conversation:
        """About 600 messages, and 200 questions."""
        for _ in range(sessions):
            self._chat(self._rng.randint(2, 6))
            for topic in self._rng.sample(self._topics, facts):
                self._tell(topic)
                self._chat(self._rng.randint(1, 5))
            self._at += timedelta(days=self._rng.randint(3, 16), minutes=self._rng.randint(-200, 200))
        return Conversation(self._name, self._said, self._questions())

    def _tell(self, topic: Topic) -> None:
        teller = self._rng.randrange(2)
        slots = self._slots() | {"a": self._people[teller], "b": self._people[1 - teller]}
        slots |= {name: self._rng.choice(values) for name, values in topic.slots.items()}
        start = len(self._said)
        for number, line in enumerate(topic.lines):
            if not isinstance(line, str):
                (line,) = self._rng.choices(line, (2, 1))
            so = " {so}" if "{so}" not in line and self._rng.random() < 0.5 else ""
            self._say((teller + number) % 2, self._filled(line + so, slots))
        for ask in topic.asked:
            sort = _SORTS[ask.sort]
            places = [start + number for number in ask.told_in]
            self._asked.setdefault((ask.text.format(**slots), sort), []).extend(places)
            if sort == "single-hop" and self._rng.random() < 0.2:
                swapped = ask.text.format(**(slots | {"a": slots["b"], "b": slots["a"]}))
                self._asked.setdefault((swapped, "adversarial"), []).extend(places)
        self._later += [self._filled(line, slots) for line in topic.later]

    def _chat(self, lines: int) -> None:
        speaker = self._rng.randrange(2)
        for _ in range(lines):
            speaker = 1 - speaker
            slots = self._slots() | {"a": self._people[1 - speaker], "b": self._people[1 - speaker]}
            recalled = self._later and self._rng.random() < 0.3
            self._say(speaker, self._rng.choice(self._later if recalled else _SMALL_TALK).format(**slots))

    def _say(self, speaker: int, text: str) -> None:
        self._said.append(Said(self._people[speaker], " ".join(text.split()), self._at))
        self._at += timedelta(minutes=1)

    def _questions(self, count: int = 200) -> list[Question]:
        """Some whose evidence is not all over the conversation; a misleading one only if it has no answer."""
        found = []
        for (text, sort), places in self._asked.items():
            if sort == "adversarial" and any((text, other) in self._asked for other in _ANSWERABLE):
                continue
            if sort == "single-hop" and len(places) > 1:
                sort = "multi-hop"
            if len(set(places)) <= 8:
                found.append(Question(text, tuple(sorted(set(places))), sort))
        return self._rng.sample(found, min(count, len(found)))

    def _slots(self) -> dict[str, str]:
        return {
            "place": self._rng.choice(PLACES),
            "kin": self._rng.choice(KIN),
            "month": self._rng.choice(MONTHS),
            "inmonth": MONTHS[self._at.month - 1],
            "weekday": self._rng.choice(WEEKDAYS),
        }

    def _filled(self, line: str, slots: dict[str, str]) -> str:
        around = {name: self._rng.choice(choices).format(**slots) for name, choices in _AROUND.items()}
        return line.format(**(slots | around))


if __name__ == "__main__":  # what it looks like
    sample = next(development())
    print(*(f"{each.at:%d %b %H:%M} {each.speaker}: {each.text}" for each in sample.said[:60]), sep="\n")
    print(*(f"? {each.text} {each.sort} {each.evidence}" for each in sample.questions[:60]), sep="\n")
