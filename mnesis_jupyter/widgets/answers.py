"""What a front end may ask of a session, and the answers."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from mnesis import MnesisError
from mnesis_jupyter.frames import inspection
from mnesis_jupyter.frames.inspection import ItemRow, SummaryRow
from mnesis_jupyter.html import visible
from mnesis_jupyter.widgets.subject import Listener, Subject
from mnesis_jupyter.widgets.wire import change_of, item_of, original_of, row_of

_PAGE = 200
_SHOWN = 20_000
"""Characters of a text that are sent at once."""

_ORDERS: dict[str, Callable[[ItemRow], Any]] = {
    "largest": lambda item: -item.tokens,
    "kind": lambda item: item.kind,
    "turn": lambda item: -1 if item.turn is None else item.turn,
}


type _Answer = Callable[..., Coroutine[Any, Any, dict[str, Any]]]


class Answers:
    """Answers of one session. All work is done on the bridge's loop, or beside it: the kernel's thread never waits."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject

    def ask(self, listener: Listener, number: int, what: str, arguments: dict[str, Any]) -> None:
        """Answer a question of the front end, when the answer is there."""
        answers: dict[str, _Answer] = {
            "overview": self._overview,
            "facts": self._facts_of,
            "rows": self._rows,
            "at": self._at,
            "item": self._item,
            "text": self._text,
            "expand": self._expand,
            "below": self._below,
            "lanes": self._lanes,
            "diff": self._diff,
        }
        if what in answers:
            self._subject.bridge.start(self._answer, listener, number, answers[what], arguments)

    async def _answer(
        self,
        listener: Listener,
        number: int,
        answer: _Answer,
        arguments: dict[str, Any],
    ) -> None:
        try:
            content = await answer(**arguments)
        except MnesisError as error:
            content = {"error": str(error)}
        except Exception as error:  # noqa: BLE001  # whatever it is, the one who asked is told
            content = {"error": f"{type(error).__name__}: {error}"}
        listener.send({"answer": number, **content})

    async def _overview(self, span: Sequence[int] = ()) -> dict[str, Any]:
        await self._subject.share_out()
        return await asyncio.to_thread(self._subject.locked, lambda: self._subject.overview(span))

    async def _facts_of(self, turn: int | None) -> dict[str, Any]:
        return await asyncio.to_thread(self._subject.locked, lambda: self._subject.facts(turn))

    async def _rows(
        self, turn: int | None, start: int, search: str = "", kinds: Sequence[str] = (), order: str = ""
    ) -> dict[str, Any]:
        def rows() -> dict[str, Any]:
            items = self._subject.window(turn)
            chosen: Sequence[int] = range(len(items))
            if kinds:
                chosen = [at for at in chosen if items[at].kind in kinds]
            if search:
                found = inspection.search(self._subject.path, self._subject.id, turn, search)
                chosen = [at for at in chosen if (items[at].pos, items[at].id, items[at].result) in found]
            if order in _ORDERS:
                chosen = sorted(chosen, key=lambda at: _ORDERS[order](items[at]))
            page = chosen[max(0, start) : max(0, start) + _PAGE]
            return {
                "turn": turn,
                "total": len(chosen),
                "tokens": sum(items[at].tokens for at in chosen) if (kinds or search) else None,
                "start": start,
                "rows": [row_of(at, items[at]) for at in page],
                "epoch": self._subject.epoch,
            }

        return await asyncio.to_thread(self._subject.locked, rows)

    async def _at(self, turn: int | None, tokens: int) -> dict[str, Any]:
        """The item at so many tokens from the beginning of a window."""
        passed = 0
        for at, item in enumerate(await asyncio.to_thread(self._subject.locked, lambda: self._subject.window(turn))):
            passed += item.tokens
            if passed > tokens:
                return {"row": row_of(at, item)}
        return {"row": None}

    async def _item(self, turn: int | None, id: str, result: int = 0) -> dict[str, Any]:
        """All that there is to say of an item, in the window of a turn or out of it."""
        items = await asyncio.to_thread(self._subject.locked, lambda: self._subject.window(turn))
        found = next((item for item in items if item.id == id and item.result == result), None)
        text = await self._exact(turn, found) if found else await self._original(id)
        said: dict[str, Any] = {"id": id, "row": row_of(items.index(found), found) if found else None}
        said |= {"text": text[:_SHOWN], "length": len(text), **_shown(text[:_SHOWN])}
        if id.startswith(("msg_", "part_", "sum_", "file_")):
            said["life"] = await self._life(id)
        if id.startswith("sum_"):
            made = next((each for each in await self._subject.session.summaries() if each.id == id), None)
            said["summary"] = item_of(made) if made else None
        return said

    async def _text(self, turn: int | None, id: str, result: int = 0) -> dict[str, Any]:
        """A text whole, however long it is."""
        items = await asyncio.to_thread(self._subject.locked, lambda: self._subject.window(turn))
        found = next((item for item in items if item.id == id and item.result == result), None)
        text = await self._exact(turn, found) if found else await self._original(id)
        return {"text": text, **_shown(text)}

    async def _exact(self, turn: int | None, item: ItemRow) -> str:
        """The text as it is, or was, sent; as it is stored where it has gone from there since."""
        sent = (await self._subject.session.context(turn, compact=False)).items
        same = (each for each in sent if each.id == item.id and (each.role == "tool") == bool(item.result))
        if found := next(same, None):
            return found.text
        return await asyncio.to_thread(inspection.text, self._subject.path, self._subject.id, turn, item)

    async def _original(self, id: str) -> str:
        if id.startswith("sum_"):
            return next((each.text for each in await self._subject.session.summaries() if each.id == id), "")
        pages, cursor = [], None
        for _ in range(20):
            page = await self._subject.session.expand(id, max_tokens=20_000, cursor=cursor)
            pages += [each.text for each in page.items]
            if (cursor := page.next_cursor) is None:
                break
        return "".join(pages)

    async def _life(self, id: str) -> dict[str, Any]:
        lineage = await self._subject.session.why(id)
        steps = [[step.turn, visible(step.words)] for step in lineage.steps]
        return {"state": lineage.state, "covered": lineage.covered_by, "steps": steps}

    async def _expand(self, id: str, cursor: str | None = None) -> dict[str, Any]:
        page = await self._subject.session.expand(id, max_tokens=1500, cursor=cursor)
        return {"items": [original_of(each) for each in page.items], "next": page.next_cursor}

    async def _below(self, id: str = "", view: int = -1) -> dict[str, Any]:
        """The summaries that went into one; without one, those that stand in a view."""

        def found() -> list[SummaryRow]:
            return self._subject.log.below(id) if id else self._subject.log.standing(view)

        return {"rows": [each._asdict() for each in await asyncio.to_thread(self._subject.locked, found)]}

    async def _lanes(self, axis: str, span: Sequence[float] = ()) -> dict[str, Any]:
        def lanes() -> dict[str, Any]:
            end = self._subject.log.duration() if axis == "time" else float(max(1, len(self._subject.log.turns)))
            first, last = (span[0], span[1]) if len(span) == 2 else (0.0, end)
            return {
                "axis": axis,
                "span": [first, last],
                "origin": self._subject.log.origin // 1000,
                "lanes": self._subject.log.lanes(axis, first, last),
            }

        return await asyncio.to_thread(self._subject.locked, lanes)

    async def _diff(self, turn: int) -> dict[str, Any]:
        """What a turn's window has that the one before had not, and the other way round."""
        found = await self._subject.session.diff(turn - 1, turn)
        changes = [change_of(each) for each in found.changes if each.change != "unchanged"]
        same = len(found.changes) - len(changes)
        return {"turn": turn, "before": found.tokens_before, "after": found.tokens_after, "same": same, "rows": changes}


def _shown(text: str) -> dict[str, str]:
    """How to show a text that hides something."""
    shown = visible(text)
    return {} if shown == text else {"shown": shown}
