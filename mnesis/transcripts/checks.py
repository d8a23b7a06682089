"""What is refused of a conversation before anything of it is stored."""

from mnesis.intake import check_media, check_user, parts_of, text_of
from mnesis.transcripts.model import Transcript


def check(transcript: Transcript, takes_of: str | None) -> None:
    """Raises `InputError`, naming the place, for what cannot be stored, for parts that no user says, and for media that
    the model `takes_of` is known not to take.
    """
    for number, turn in enumerate(transcript.turns):
        where = f"turns[{number}]"
        if turn.key is not None:
            text_of(turn.key, f"{where}.key")
        check_user(parts_of(turn.user, f"{where}.user", may_be_empty=True), f"{where}.user")
        shown = [(turn.user, f"{where}.user")]
        for place, message in enumerate(turn.messages):
            argument = f"{where}.messages[{place}].parts"
            parts_of(message.parts, argument, may_be_empty=True)
            if message.role == "tool":  # of the assistant's own media only a label is sent
                shown.append((message.parts, argument))
        if takes_of is not None:
            for parts, argument in shown:
                check_media(parts, takes_of, argument)
