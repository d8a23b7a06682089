"""`%mnesis` and `%%mnesis`: parse, dispatch, show. No logic.

Everything behind is imported when a magic first runs, so that `%load_ext` is quick.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from IPython import get_ipython
from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand


@magics_class
class MnesisMagics(Magics):
    """The magics of this extension."""

    @no_var_expand
    @line_cell_magic
    def mnesis(self, line: str, cell: str | None = None) -> Any:
        """Talk to a language model in a session that forgets nothing, and see what it sees.

        A message, and the reply below it:

            %%mnesis [-s SESSION] [-m MODEL] [--tools NAME, …] [--system TEXT] [-o VAR] [--raw] [--dry-run]
                     [--bg] [--append] [--attach PATH|NAME] [--format markdown|text|json|code]
                     [--max-tokens N] [--temperature T]
            What does {{ name }} mean?

        The session, and what is in it:

            %mnesis new [TITLE] [-m MODEL] [--system TEXT] [--window TOKENS]
            %mnesis use | load | close SESSION
            %mnesis sessions
            %mnesis ask MESSAGE
            %mnesis model [WORD]
            %mnesis context [TURN]
            %mnesis budget | history | messages | events [SESSION]
            %mnesis attach PATH|NAME [--copy]
            %mnesis files [SESSION]

        Branches of it:

            %mnesis fork [N] [--title TITLE]
            %mnesis branches [A [B]]
            %mnesis rename TITLE
            %mnesis delete SESSION [--yes]

        All of it live, in one widget, and as one file:

            %mnesis ui [SESSION] [--turn TURN]
            %mnesis export FILE.html [SESSION]

        What left the window, and how to bring it back:

            %mnesis compact | summaries | verify [SESSION]
            %mnesis diff TURN TURN
            %mnesis grep PATTERN [--regex] [--summary ID] [--role ROLE] [-n COUNT]
            %mnesis expand | describe | why ID

        One prompt about each of many items, with a DataFrame of what came of them:

            %%mnesis map NAME|FILE [-o VAR] [--schema NAME] [-m MODEL] [--system TEXT] [--concurrency N] [--limit N]
                     [--retries N] [--resume RUN [--retry-failed]] [--bg]
            What is the mood of {{ item.text }}?

            %mnesis maps

        And:

            %mnesis help [SUBCOMMAND]
            %mnesis config | doctor | debug

        `%mnesis help` explains each; the same as DataFrames: `from mnesis_jupyter import frames`.
        """
        with _told():
            return _run(line, cell)


def _run(line: str, cell: str | None) -> Any:
    """A chat cell, a map, or a subcommand. What is to stand in `_` is returned."""
    from mnesis_jupyter import cell as chat_cell
    from mnesis_jupyter import commands, map_cell
    from mnesis_jupyter.arguments import split
    from mnesis_jupyter.current import CURRENT
    from mnesis_jupyter.interpolation import interpolate
    from mnesis_jupyter.output import show
    from mnesis_jupyter.state import state

    shell = get_ipython()
    if cell is None:
        if "{{" in line:  # else no setting is looked at: `%mnesis doctor` is there to say which one is wrong
            line = interpolate(line, shell.user_ns, CURRENT.settings.rows)
        if output := commands.run(state(), line):
            show(output)
        return None
    words = split(line)
    if words[:1] == [map_cell.NAME]:
        return map_cell.run(shell, map_cell.parser().read(words[1:]), cell)
    return chat_cell.run(state(), shell, chat_cell.parser().read(words), cell)


@contextmanager
def _told() -> Iterator[None]:
    """Errors of ours as one line and a hint; the cell fails all the same. Help that was asked for is shown."""
    from mnesis import MnesisError
    from mnesis_jupyter.arguments import UsageShown
    from mnesis_jupyter.output import hint_for, in_one_line, preformatted, show
    from mnesis_jupyter.state import state

    try:
        yield
    except UsageShown as usage:
        show(preformatted(str(usage)))
    except KeyboardInterrupt as interrupt:
        if not hasattr(interrupt, "_render_traceback_"):
            in_one_line(interrupt, "stopped; the next cell works")
        raise
    except MnesisError as error:
        state().error = error
        in_one_line(error, hint=hint_for(error))
        raise
