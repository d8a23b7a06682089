"""What is refused of a conversation before anything of it is stored."""

from mnesis.intake import check_media
from mnesis.transcripts.model import Transcript


def check(transcript: Transcript, takes_of: str | None) -> None:
    """Raises `InputError`, naming the place, for media that the model `takes_of` is known not to take."""
    for number, turn in enumerate(transcript.turns):
        if takes_of is not None:
            check_media(turn.user, takes_of, f"turns[{number}].user")
        for place, message in enumerate(turn.messages):
            if takes_of is not None and message.role == "tool":  # of the assistant's own media only a label is sent
                check_media(message.parts, takes_of, f"turns[{number}].messages[{place}].parts")
