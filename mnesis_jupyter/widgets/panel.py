"""What the widgets have in common: a session, what is selected in it, and a static copy for where they cannot live."""

from typing import Any, ClassVar
from weakref import WeakValueDictionary

import traitlets

from mnesis import MnesisSession
from mnesis_jupyter.html import Html, visible
from mnesis_jupyter.state import state
from mnesis_jupyter.views import Inspection, inspection_text
from mnesis_jupyter.widgets.answers import Answers
from mnesis_jupyter.widgets.assets import module, styles
from mnesis_jupyter.widgets.copied import Copied
from mnesis_jupyter.widgets.copies import facts_of
from mnesis_jupyter.widgets.subject import Subject

_SUBJECTS: WeakValueDictionary[str, Subject] = WeakValueDictionary()
"""By session. Widgets keep them, and sessions while they are open."""


def subject_of(session: MnesisSession | str | None) -> Subject:
    """The one subject of a session, by object, id or title; of the current session for `None`."""
    here = state()
    session = here.chosen(session)
    hosted = here.hosted(session)
    subject = _SUBJECTS.get(session.id)
    if subject is None or subject.bridge is not here.bridge:
        subject = _SUBJECTS[session.id] = Subject(hosted, here.bridge)
    here.listen(session.id, subject.heard)
    subject.session = hosted
    subject.follow(hosted)
    subject.follow(session)
    return subject


class Panel(Copied):
    """A view of one session. `turn` is the turn whose window is shown, `None` the next one; `selected` the id of an
    item, with "#result" behind it for the result of a tool call; `span` the turns that are shown, all if empty.

    A widget like any other: its traits can be observed and linked. It follows its session live.
    """

    turn = traitlets.Int(None, allow_none=True, min=0).tag(sync=True)
    selected = traitlets.Unicode("").tag(sync=True)
    span = traitlets.List(traitlets.Int()).tag(sync=True)

    name: ClassVar[str] = ""
    draw: "ClassVar[staticmethod[[Inspection], Html]]"
    """Makes the static copy of what is known."""

    def __init_subclass__(cls, **options: Any) -> None:
        if name := cls.__dict__.get("name"):
            cls._esm, cls._css = module(name, f"widget({name})"), styles(name)
        super().__init_subclass__(**options)

    def __init__(self, session: MnesisSession | str | None = None, **traits: Any) -> None:
        """Without `session`, of the kernel's current one."""
        self.subject = subject_of(session)
        self._answers = Answers(self.subject)
        super().__init__(**traits)
        self.on_msg(self._asked)
        self.subject.join(self)

    @traitlets.validate("turn")
    def _check_turn(self, proposal: Any) -> int | None:
        turn: int | None = proposal["value"]
        if turn is not None and turn >= len(self.subject.log.turns):
            raise traitlets.TraitError(f"turn={turn}: the session has {len(self.subject.log.turns):,} turns, from 0")
        return turn

    def _asked(self, widget: Any, content: Any, buffers: Any) -> None:
        match content:
            case {"ask": str(what), "number": int(number), "with": dict(arguments)}:
                self._answers.ask(self, number, what, {str(name): value for name, value in arguments.items()})

    # -- where it cannot live -----------------------------------------------------------------------------------------

    def static_html(self) -> Html:
        """What it shows, as HTML that needs neither kernel nor script nor style sheet."""
        return self.draw(facts_of(self.subject, self.turn))

    def version(self) -> object:
        return self.subject.changes, self.turn

    def copy(self) -> tuple[str, str]:
        self.subject.catch_up()
        seen = facts_of(self.subject, self.turn)
        return self.draw(seen), inspection_text(seen)

    def __repr__(self) -> str:
        title = self.subject.session.title
        named = f" of “{visible(title)}”" if title else ""
        return f"<mnesis {type(self).__name__}{named}>"
