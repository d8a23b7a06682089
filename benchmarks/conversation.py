"""A generated conversation with questions whose evidence is known.

Two people talk over many days. What they tell each other is made of templates: a statement, sometimes an answer that
makes sense only beside the question before it, and a question about it in other words, partly. Facts of one kind come
many times with other names, so a question must tell them apart; small talk uses the same words. Deterministic.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

NAMES = "Maya Jonas Priya Tomas Elena Samir Hanna Diego Wei Olga Kofi Ingrid Rafael Noor Petra Malik".split()
PLACES = "Lisbon Kyoto Oslo Denver Cusco Tbilisi Hanoi Galway Ghent Marrakesh Perth Quito Riga Tartu Bergen".split()
FIRMS = "Northwind Halcyon Bluepeak Ferrous Lumen Oakline Quarry Sable Tidewater Umbra Vantage Willow".split()
PETS = "Biscuit Pepper Mochi Ziggy Clover Rufus Olive Nugget Pixel Waffles Juno Basil".split()
BEASTS = ["dog", "cat", "parrot", "rabbit", "tortoise", "ferret"]
CRAFTS = ["pottery", "violin", "fencing", "watercolour", "beekeeping", "bouldering", "calligraphy", "sailing"]
BOOKS = ["Silent Harbor", "The Glass Orchard", "Nine Rivers", "Paper Lanterns", "Winter Atlas", "The Last Ferry"]
KIN = ["sister", "brother", "aunt", "cousin", "nephew", "grandmother"]
DISHES = ["ramen", "paella", "pierogi", "gumbo", "dosa", "goulash", "ceviche", "moussaka"]
AILMENTS = ["a sprained ankle", "a migraine", "a broken wrist", "the flu", "a bad back", "an ear infection"]
MONTHS = "January February March April May June July August September October November December".split()


@dataclass(frozen=True, slots=True)
class Said:
    """One message."""

    speaker: str
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and all places in the conversation that answer it."""

    text: str
    evidence: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Conversation:
    """What was said, in order, and what can be asked about it."""

    name: str
    said: list[Said]
    questions: list[Question]


@dataclass(frozen=True, slots=True)
class _Kind:
    """A fact: lines of the teller and the listener in turn (the teller's first), which of them tell it, questions."""

    lines: tuple[str, ...]
    tells: tuple[int, ...]
    asked: tuple[str, ...]


_KINDS = (
    _Kind(
        (
            "Guess what, I handed in my notice at {firm} on the {day} of {month}!",
            "Wow, {firm} will miss you! What comes next?",
        ),
        (0,),
        ("When did {a} quit working for {firm}?", "Which company did {a} leave in {month}?"),
    ),
    _Kind(
        (
            "I have some news about work.",
            "Did you get the offer you told me about?",
            "Yes! {firm}, I start in {month}.",
        ),
        (2,),
        ("Where will {a} begin a new job?", "In which month does {a} start at {firm}?"),
    ),
    _Kind(
        (
            "We adopted a {beast} last week, we call it {pet}.",
            "A {beast}, so cute! How is {pet} settling in?",
            "It sleeps on my bed.",
        ),
        (0,),
        ("What is the name of {a}'s {beast}?", "What kind of animal is {pet}?"),
    ),
    _Kind(
        (
            "I finally found a new hobby.",
            "Tell me more!",
            "{craft} lessons, every {weekday} evening.",
            "{craft}, really?",
        ),
        (2,),
        ("What hobby did {a} take up?", "On which day of the week does {a} practise {craft}?"),
    ),
    _Kind(
        (
            "My {kin} moved to {place} for good.",
            "{place} is far away. Do you miss your {kin}?",
            "A lot, we talk every Sunday.",
        ),
        (0,),
        ("Where does {a}'s {kin} live now?", "Which relative of {a} relocated to {place}?"),
    ),
    _Kind(
        ("I can't put this book down.", "Which one are you reading?", "{book}, it made me cry on the train."),
        (2,),
        ("What novel did {a} recommend?", "Which book made {a} cry?"),
    ),
    _Kind(
        ("We booked flights to {place} for {month}.", "Lucky you! How long are you staying?", "{number} days."),
        (0, 2),
        ("How long is {a}'s trip to {place}?", "Where is {a} travelling in {month}?"),
    ),
    _Kind(
        ("I went to the doctor today, it is {ailment}.", "Oh no, {ailment}? Get well soon!"),
        (0,),
        ("What health problem did {a} have?", "Why did {a} see a doctor?"),
    ),
    _Kind(
        (
            "I cooked {dish} for {number} people on Saturday.",
            "{dish} for so many, impressive! Did they like it?",
            "Not a bite was left.",
        ),
        (0,),
        ("What meal did {a} prepare for guests?", "How many guests did {a} feed with {dish}?"),
    ),
    _Kind(
        (
            "The rent goes up to {price} euros in {month}.",
            "That is steep. Will you stay?",
            "I am looking around already.",
        ),
        (0,),
        ("How much is {a}'s new rent?", "From when on does {a} pay more for the flat?"),
    ),
    _Kind(
        (
            "I ran the {place} half marathon in {number} minutes over two hours.",
            "A half marathon, be proud of that!",
            "My legs still hurt.",
        ),
        (0,),
        ("What race did {a} take part in?", "How fast was {a} in the {place} race?"),
    ),
    _Kind(
        ("The password hint for our shared album is {pet} and {number}.", "Thanks, I will write that down."),
        (0,),
        ("What is the hint for the photo album?", "Which pet's name is in the hint for the shared album?"),
    ),
)

_SMALL_TALK = (
    "How was your week?", "Busy, work has been a lot lately.", "The weather was lovely so I went for a long walk.",
    "I can't believe it is {month} already.", "Did you see the news this morning?", "I still have to call my {kin}.",
    "My {beast} kept me up all night.", "Someone at {firm} told me the same thing.", "I could go for some {dish} now.",
    "I have been thinking about taking a trip somewhere warm.", "That reminds me of our time in {place}.",
    "Haha, you always say that!", "I need a new book to read, any ideas?", "Let's talk again on {weekday}.",
    "I am so proud of you, really.", "The doctor says I should sleep more.", "I miss going to concerts with you.",
    "We should cook together again some day.", "Same here, it never stops.", "I was up at six to go running.",
    "Oh, that is great to hear!", "Let me know if you need any help with that.", "It means a lot to me, thank you.",
    "I was wondering about that, too.", "The flat is a mess, I spent all day cleaning.", "See you soon, take care!",
)  # fmt: skip


def conversations(count: int = 10, seed: int = 7) -> Iterator[Conversation]:
    """Some conversations of about 600 messages and 150 questions each."""
    for index in range(count):
        yield _conversation(f"generated-{index}", random.Random(f"{seed}-{index}"))


def _conversation(name: str, rng: random.Random, days: int = 24, facts_a_day: int = 5) -> Conversation:
    people = rng.sample(NAMES, 2)
    said: list[Said] = []
    answers: dict[str, list[int]] = {}
    for _ in range(days):
        said += [Said(people[i % 2], _filled(rng.choice(_SMALL_TALK), rng, {})) for i in range(rng.randint(2, 6))]
        for kind in rng.choices(_KINDS, k=facts_a_day):
            teller = rng.randrange(2)
            slots = _slots(rng) | {"a": people[teller], "b": people[1 - teller]}
            start = len(said)
            said += [Said(people[(teller + i) % 2], line.format(**slots)) for i, line in enumerate(kind.lines)]
            for asked in kind.asked:
                answers.setdefault(asked.format(**slots), []).extend(start + index for index in kind.tells)
            said += [
                Said(people[(teller + i) % 2], _filled(rng.choice(_SMALL_TALK), rng, {}))
                for i in range(rng.randint(0, 4))
            ]
    return Conversation(name, said, [Question(text, tuple(places)) for text, places in answers.items()])


def _slots(rng: random.Random) -> dict[str, str]:
    return {
        "firm": rng.choice(FIRMS),
        "place": rng.choice(PLACES),
        "pet": rng.choice(PETS),
        "beast": rng.choice(BEASTS),
        "craft": rng.choice(CRAFTS),
        "book": rng.choice(BOOKS),
        "kin": rng.choice(KIN),
        "dish": rng.choice(DISHES),
        "ailment": rng.choice(AILMENTS),
        "month": rng.choice(MONTHS),
        "weekday": rng.choice(["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"]),
        "day": f"{rng.randint(1, 28)}th",
        "number": str(rng.randint(3, 40)),
        "price": str(rng.randrange(600, 2400, 25)),
    }


def _filled(text: str, rng: random.Random, slots: dict[str, str]) -> str:
    return text.format(**(_slots(rng) | slots))


if __name__ == "__main__":  # what it looks like
    sample = next(conversations(1))
    print(*(f"{each.speaker}: {each.text}" for each in sample.said[:40]), sep="\n")
    print(*(f"? {each.text} {each.evidence}" for each in sample.questions[:20]), sep="\n")
