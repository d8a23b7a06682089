"""What recall costs, and what it finds.

    python benchmarks/recall.py [--sizes 100000 1000000] [--turns 10000] [--locomo locomo10.json]

Grep in a store of many messages, time travel in a long session, and the share of the evidence that ten hits hold, over
generated conversations or the public LoCoMo file (https://github.com/snap-research/locomo), which is only read.
"""

import argparse
import asyncio
import itertools
import json
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from conversation import Conversation, Question, Said, Sort, development, held_out

from mnesis import CompactionConfig, Database, MnesisConfig, MnesisSession, StoreConfig, TextPart
from mnesis.ids import new_id
from mnesis.llm.words import STOP_WORDS
from mnesis.models.context import ContextBreakdown
from mnesis.models.message import Role, TurnState
from mnesis.store import Tx, messages, search, turns
from mnesis.store.messages import NewMessage
from mnesis.store.turns import NewTurn

AT_ONCE = 10_000
NOW = datetime(2026, 1, 1, tzinfo=UTC)
WIDE = MnesisConfig(model_overrides={"context_limit": 2_000_000}, compaction=CompactionConfig(auto=False))

HALVES = {"development": development, "held-out": held_out}
"""The ranking is tuned with the first only; what it does with the second is what it can do."""
EVERYDAY = """
    home house flat live move job work company manager money buy cost film music photo book art concert car bike trip
    hotel city country doctor ill hurt medicine kid mother father husband brother family friend dog cat food dinner cook
    restaurant school class teacher exam study gift party wedding birthday sport game win race hobby piano team start
    repair error fail remove build big small fast best happy sad angry afraid hard problem idea answer choose help
    shop road beach forest mountain phone computer letter password meeting deadline garden river winter paper end
    clothes kitchen
""".split()


# -- text --------------------------------------------------------------------------------------------------------


class Writer:
    """Text whose words are as unevenly frequent as those of English: Zipf's law, stop words in the first ranks, then
    everyday words, for many of which a search tries others, too.
    """

    def __init__(self, seed: int = 1, words: int = 60_000) -> None:
        self._rng = random.Random(seed)
        syllables = [c + v for c in "bcdfgklmnprstvz" for v in "aeiou"]
        made: dict[str, None] = dict.fromkeys([*sorted(STOP_WORDS)[:150], *EVERYDAY])
        while len(made) < words:
            made["".join(self._rng.choices(syllables, k=self._rng.randint(2, 4))) + self._rng.choice("nrsl")] = None
        self.words = list(made)
        self._weights = list(itertools.accumulate(1 / (rank + 2.7) for rank in range(words)))

    def text(self) -> str:
        """One message, of 40 words in the mean."""
        return " ".join(self._rng.choices(self.words, cum_weights=self._weights, k=self._rng.randint(8, 72)))

    def rank(self, word: str) -> int:
        """How frequent a word is: 0 for the most frequent."""
        return self.words.index(word)


def needle(place: int) -> str:
    """A word that stands in one message only."""
    return f"zq{place:07x}"


# -- the store ---------------------------------------------------------------------------------------------------


async def fill(session: MnesisSession, db: Database, count: int, writer: Writer) -> None:
    """Store messages by the store's own functions, many in one transaction."""
    begun, done = time.perf_counter(), 0
    while done < count:
        some = min(AT_ONCE, count - done)
        texts = [f"{writer.text()} {needle(done + index)}" for index in range(some)]
        start = done // 2
        said = [(text, NOW) for text in texts]
        await db.write(lambda cx, said=said, start=start: _append(cx, session.id, said, start))  # type: ignore[misc]
        done += some
        if done % 100_000 == 0 or done == count:
            print(f"  {done:>9,} messages, {(time.perf_counter() - begun) / done * 1e6:.0f} us each", file=sys.stderr)


def _append(cx: Tx, session_id: str, said: Sequence[tuple[str, datetime]], first_turn: int) -> None:
    for index in range(0, len(said), 2):
        turn, number = NewTurn(new_id("turn"), "offline/quote", True), first_turn + index // 2
        at = said[index][1]
        turns.open_turn(cx, session_id, turn, number, 0, "", ContextBreakdown(), at)
        roles: tuple[Role, Role] = ("user", "assistant")
        for role, (text, at) in zip(roles, said[index : index + 2], strict=False):
            message = NewMessage(
                new_id("msg"),
                role,
                (TextPart(text=text),),
                (new_id("part"),),
                ((len(text) // 4, 0),),
            )
            messages.append(cx, session_id, turn.id, number, message, at)
        turns.finish_turn(cx, turn.id, TurnState.COMMITTED, at)


# -- measuring ---------------------------------------------------------------------------------------------------


async def timed(ask: Callable[[int], Awaitable[object]], times: int) -> tuple[float, float]:
    """p50 and p95 of some calls, in milliseconds."""
    taken = []
    for index in range(times):
        begun = time.perf_counter()
        await ask(index)
        taken.append((time.perf_counter() - begun) * 1000)
    return statistics.median(taken), statistics.quantiles(taken, n=20)[-1]


def questions(writer: Writer, rng: random.Random, count: int) -> list[str]:
    """Questions in plain words: three to five words of some message, as they come, without the stop words."""
    asked: list[str] = []
    while len(asked) < count:
        content = [word for word in dict.fromkeys(writer.text().split()) if word not in STOP_WORDS]
        if len(content) >= 5:
            asked.append(f"What did we say about {' '.join(rng.sample(content, rng.randint(3, 5)))}?")
    return asked


@dataclass(frozen=True, slots=True)
class Row:
    """What took how long, in milliseconds. `floor` is the p50 of the same by a bare FTS5 query on the same store."""

    where: str
    what: str
    p50: float
    p95: float
    floor: float | None = None

    def __str__(self) -> str:
        least = f"{self.floor:12.1f}{self.p50 / self.floor:8.1f}x" if self.floor else ""
        return f"{self.where:44}{self.what:18}{self.p50:10.1f}{self.p95:10.1f}{least}"


class Floor:
    """The index asked by itself, on a connection of its own: no ranking of ours, no snippets, no neighbours."""

    def __init__(self, path: Path) -> None:
        self._cx = sqlite3.connect(path)

    def p50(self, words: Sequence[str], order: str) -> float:
        """Of the twenty best documents of the whole store for each of these patterns."""
        taken = []
        for pattern in words:
            expression = " OR ".join(
                f'"{word}"' for word in pattern.rstrip("?").split() if word.lower() not in STOP_WORDS
            )
            begun = time.perf_counter()
            sql = f"SELECT rowid FROM search WHERE search MATCH ? ORDER BY {order} LIMIT 20"
            self._cx.execute(sql, (expression,)).fetchall()
            taken.append((time.perf_counter() - begun) * 1000)
        return statistics.median(taken)

    def sizes(self) -> tuple[int, int]:
        """Bytes of the index and of the whole file; 0 where this SQLite cannot tell."""
        sql = "SELECT sum(pgsize) FILTER (WHERE name LIKE '%search%'), sum(pgsize) FROM dbstat"
        try:
            index, whole = self._cx.execute(sql).fetchone()
        except sqlite3.OperationalError:
            return 0, 0
        return index, whole


async def grep_times(size: int, folder: Path) -> AsyncIterator[Row | str]:
    """Rows for a store of `size` messages: a session that holds 99 % of them, and one that holds 1 %."""
    rng, writer = random.Random(2), Writer()
    path = folder / f"{size}.db"
    db = await Database.open(StoreConfig(db_path=path))
    large = await MnesisSession.create(model="offline/quote", pool=db, config=WIDE)
    small = await MnesisSession.create(model="offline/quote", pool=db, config=WIDE)
    await fill(small, db, size // 100, writer)
    await fill(large, db, size - size // 100, writer)
    asked = questions(writer, rng, 100)
    rare = [needle(rng.randrange(size * 99 // 100)) for _ in range(100)]
    seldom, common = writer.words[20_000:20_100], writer.words[200:300]
    floor = Floor(path)
    for name, session in (("99 %", large), ("1 %", small)):
        where = f"{size:,} messages, session of {name}"
        sought = rare if session is large else [needle(index) for index in range(100)]
        for what, patterns, regex, order in (
            ("rare word", sought, False, "rowid DESC"),
            ("seldom word", seldom, False, "rowid DESC"),
            ("common word", common, False, "rowid DESC"),
            ("plain question", asked, False, "rank"),
            ("substring", [each[2:] for each in rare], False, None),
            ("regex, literal", [rf"\b{each[:8]}[0-9a-f]\b" for each in rare], True, None),
            ("regex, scan", [r"[xq]{4}\d"] * 3, True, None),
        ):
            least = floor.p50(patterns, order) if order else None

            async def ask(
                index: int, session: MnesisSession = session, patterns: list[str] = patterns, regex: bool = regex
            ) -> None:
                await session.grep(patterns[index], regex=regex)

            yield Row(where, what, *await timed(ask, len(patterns)), least)
    index, whole = floor.sizes()
    texts = [writer.text() for _ in range(1000)]
    begun = time.perf_counter()
    await db.write(lambda cx: _index_only(cx, large.id, size, texts))
    each = (time.perf_counter() - begun) / len(texts) * 1e6
    yield f"{size:,} messages: {each:.0f} us for the index of each; {index / size:.0f} of its {whole / size:.0f} bytes"
    await db.close()


def _index_only(cx: Tx, session_id: str, after: int, texts: Sequence[str]) -> None:
    for index, text in enumerate(texts):
        search.add_message(cx, session_id, after + index, [text])


async def travel_times(turns_: int, folder: Path) -> AsyncIterator[Row | str]:
    """Rows for the window of a random past turn of a long session."""
    config = MnesisConfig(model_overrides={"context_limit": 8000, "max_output_tokens": 500})
    rng, writer = random.Random(3), Writer()
    name, path = f"{turns_:,} turns, 8k window", folder / "travel.db"
    tenth = max(1, turns_ // 10)
    grown, taken = [0], []
    async with MnesisSession.open(model="offline/quote", db_path=path, config=config) as session:
        for _ in range(10):
            begun = time.perf_counter()
            for _ in range(tenth):
                await session.record(writer.text(), writer.text())
            taken.append((time.perf_counter() - begun) / tenth * 1000)
            with sqlite3.connect(path) as cx:
                grown.append(
                    cx.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").fetchone()[0]
                )
            print(f"  {tenth * len(taken):>9,} turns, {taken[-1]:.1f} ms each", file=sys.stderr)
        bytes_each = [(after - before) / tenth for before, after in pairwise(grown)]
        yield (
            f"{name}: {taken[1]:.1f} -> {taken[-1]:.1f} ms and {bytes_each[1]:,.0f} -> {bytes_each[-1]:,.0f} bytes "
            "a turn, from the second tenth to the last"
        )
        last = tenth * 10
        yield Row(name, "context(turn)", *await timed(lambda _: session.context(rng.randrange(last)), 200))
        yield Row(name, "diff", *await timed(lambda _: session.diff(rng.randrange(last), rng.randrange(last)), 50))
        begun = time.perf_counter()
        report = await session.verify()
        checked = (time.perf_counter() - begun) * 1000
        assert report.ok, str(report)
        yield Row(name, "verify", checked, checked)


# -- evidence ----------------------------------------------------------------------------------------------------

_SORTS: dict[int, Sort] = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop", 5: "adversarial"}


def locomo(path: Path) -> Iterator[Conversation]:
    """The conversations of a LoCoMo file. A picture counts as its caption. Questions without evidence are left out."""
    for index, sample in enumerate(json.loads(path.read_text())):
        spoken: list[Said] = []
        places: dict[str, int] = {}
        talk = sample["conversation"]
        numbers = (int(key.split("_")[1]) for key in talk if key.count("_") == 1 and "session" in key)
        for number in sorted(numbers):
            at = datetime.strptime(talk[f"session_{number}_date_time"], "%I:%M %p on %d %B, %Y").replace(tzinfo=UTC)
            for line in talk[f"session_{number}"]:
                places[line["dia_id"]] = len(spoken)
                caption = f" [picture: {line['blip_caption']}]" if line.get("blip_caption") else ""
                spoken.append(Said(line["speaker"], line["text"] + caption, at))
        asked = [
            Question(
                qa["question"],
                tuple(sorted({places[id] for id in qa["evidence"] if id in places})),
                _SORTS[qa.get("category", 4)],
            )
            for qa in sample["qa"]
        ]
        yield Conversation(
            sample.get("sample_id", f"locomo-{index}"), spoken, [each for each in asked if each.evidence]
        )


type Shares = dict[Sort, list[tuple[float, float]]]
"""For each question, the share of its evidence in ten hits, and in ten hits with two neighbours each side."""


async def evidence(given: Iterable[Conversation], folder: Path) -> Shares:
    """The shares of some conversations, each in a store of its own."""
    shares: Shares = {}
    for conversation in given:
        path = folder / f"{conversation.name}.db"
        async with MnesisSession.open(model="offline/quote", db_path=path, config=WIDE) as session:
            pass
        db = await Database.open(StoreConfig(db_path=path))
        said = [(f"{each.speaker}: {each.text}", each.at) for each in conversation.said]
        await db.write(lambda cx, id=session.id, said=said: _append(cx, id, said, 0))  # type: ignore[misc]
        await db.close()
        async with await MnesisSession.load(session.id, db_path=path) as session:
            place = {message.id: index for index, message in enumerate(await session.messages())}
            for question in conversation.questions:
                hits = (await session.grep(question.text, limit=10)).matches
                found = {place[hit.id] for hit in hits}
                beside = {place[near.id] for hit in hits for near in (*hit.before, *hit.after)}
                share = _share(question, found), _share(question, found | beside)
                shares.setdefault(question.sort, []).append(share)
    return shares


def _share(question: Question, found: set[int]) -> float:
    return len(found & set(question.evidence)) / len(question.evidence)


def _print_evidence(name: str, shares: Shares) -> None:
    """A line for the questions that have an answer, and one for each sort of question."""
    answerable = [share for sort, some in shares.items() if sort != "adversarial" for share in some]
    for sort, some in [("all with an answer", answerable), *sorted(shares.items())]:
        alone, shown = (statistics.mean(column) for column in zip(*some, strict=True))
        print(
            f"evidence, {name:14}{sort:20}{len(some):6,} questions{alone:8.1%} in ten hits{shown:8.1%} with neighbours"
        )


# -- the table ---------------------------------------------------------------------------------------------------


async def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="*", default=[100_000, 1_000_000], help="messages in a store")
    parser.add_argument("--turns", type=int, default=10_000, help="turns of the session to travel in; 0 for none")
    parser.add_argument("--evidence", nargs="*", choices=HALVES, default=list(HALVES), help="generated conversations")
    parser.add_argument("--locomo", type=Path, help="locomo10.json, where you have it")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in asked.evidence:
            _print_evidence(name, await evidence(HALVES[name](), folder))
        if asked.locomo:
            _print_evidence("LoCoMo", await evidence(locomo(asked.locomo), folder))
        print(f"{'':44}{'':18}{'p50 ms':>10}{'p95 ms':>10}{'bare FTS5':>12}{'ratio':>9}")
        for size in asked.sizes:
            async for row in grep_times(size, folder):
                print(row, flush=True)
        if asked.turns:
            async for row in travel_times(asked.turns, folder):
                print(row, flush=True)


if __name__ == "__main__":
    asyncio.run(main())
