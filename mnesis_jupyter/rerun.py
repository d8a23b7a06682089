"""A cell that is run again: its turn is replaced, in a branch that parts from the session before it.

The old branch keeps everything. Which turns are of which cell is in the store, so it is the same in a new kernel.
"""

from dataclasses import dataclass

from mnesis import MnesisSession
from mnesis_jupyter.current import CURRENT
from mnesis_jupyter.frames.branches import origins
from mnesis_jupyter.origin import cell_of, origin
from mnesis_jupyter.output import Output, show
from mnesis_jupyter.state import State
from mnesis_jupyter.views import notice_html, notice_text, span_words


@dataclass(frozen=True, slots=True)
class Again:
    """The turns of a session that the running cell made when it was run before, and how many there are in all."""

    first: int
    last: int
    turns: int

    @property
    def words(self) -> str:
        """The turns that stay behind, in words."""
        return span_words(self.first, self.turns - 1)


def made_before(session: MnesisSession) -> Again | None:
    """What the cell made in this session when it was last run; `None` where it did not, or the front end has no ids.

    `None` as well where the setting `rerun` says that a turn is added.
    What it has made since it was begun this time does not count: one cell may ask several times.
    """
    here = origin()
    if here is None or session.db_path is None or CURRENT.settings.rerun == "append":
        return None
    told = origins(session.db_path, session.id)
    mine = [(turn, by) for turn, by in told if by is not None and cell_of(by) == cell_of(here)]
    if not mine or mine[-1][1] == here:
        return None
    last, run = mine[-1]
    return Again(min(turn for turn, by in mine if by == run), last, len(told))


def replaced(state: State, session: MnesisSession, again: Again) -> MnesisSession:
    """A branch without these turns and what came after them, current from now on; its title means it. Says so."""
    for turn in tuple(state.running):
        if turn.session is session and turn.origin and cell_of(turn.origin) == cell_of(origin() or ""):
            turn.stop()
    branch = state.fork(session, again.first - 1)
    told = f"Run again: this branch begins before turn {again.first}; {again.words} stay in the old one."
    show_notice(told, f"`%mnesis use {session.id}` goes back; `--append` adds a turn instead.")
    return branch


def show_notice(text: str, hint: str) -> None:
    """One line below the cell."""
    show(Output(notice_html(text, hint), notice_text(text, hint)))
