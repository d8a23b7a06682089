"""Which counter belongs to which model."""

import re
from dataclasses import dataclass, replace
from functools import cache, lru_cache

from mnesis.models.media import MediaPart
from mnesis.tokens.encodings import CL100K, O200K, Codec
from mnesis.tokens.estimate import estimate
from mnesis.tokens.local import vocabulary_of
from mnesis.tokens.media import LARGEST, ImageCost, image_cost, media_tokens

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class TokenCounter:
    """Counts the tokens of rendered text. Get one from `counter_for`; safe to use from several threads.

    `message_overhead` is what the provider's wrapper adds per message, `reply_priming` what it adds once per request,
    both in tokens. `encoding` is what it counts with; `None` means an estimate (`mnesis.tokens.estimate`).
    """

    name: str
    message_overhead: int
    reply_priming: int
    encoding: Codec | None = None
    images: ImageCost = LARGEST

    @property
    def exact(self) -> bool:
        """Whether `count` gives the model's own count. The first look may build the encoding (0.2 to 0.4 s)."""
        return self.encoding is not None and self.encoding.available

    def count(self, text: str) -> int:
        """Tokens of the text, without any wrapper. A lone surrogate counts as the replacement character, U+FFFD."""
        if not text.isascii():
            text = _SURROGATE.sub("\ufffd", text)
        exact = self.encoding.count(text) if self.encoding else None
        return estimate(text) if exact is None else exact

    def count_media(self, part: MediaPart) -> int:
        """Tokens of an image, a sound or a document, without any wrapper (`mnesis.tokens.media`)."""
        return media_tokens(part, self.images)

    def warm(self) -> None:
        """Begin to build what the first count needs, in the background."""
        (self.encoding or CL100K).warm()


# 3 per message and 3 that prime the reply: OpenAI cookbook, "How to count tokens with tiktoken",
# https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken
_O200K = TokenCounter("o200k_base", message_overhead=3, reply_priming=3, encoding=O200K)
_CL100K = TokenCounter("cl100k_base", message_overhead=3, reply_priming=3, encoding=CL100K)

# Chat templates of other families spell out role markers: 4 to 7 tokens (Llama 3: <|start_header_id|>, role,
# <|end_header_id|>, two newlines, <|eot_id|>), up to 8 where a marker is no single token.
_ESTIMATE = TokenCounter("estimate", message_overhead=8, reply_priming=8)

_O200K_MODELS = re.compile(r"(gpt-(4o|4\.1|4\.5|5(\.\d+)?|oss)|chatgpt-4o|o[134])(?![a-z0-9.])")
_CL100K_MODELS = re.compile(r"(gpt-(4|3\.5|35)|text-embedding-(3|ada-002))(?![a-z0-9.])")


def counter_for(model: str) -> TokenCounter:
    """The counter of a model, by its litellm string; the provider's part of it may be there or not.

    OpenAI's chat models, gpt-oss, `offline/…` and most of `local/…` are counted exactly, everything else by a
    conservative estimate. An Azure deployment under a name of your own counts as unknown.
    """
    if model.startswith("offline/"):
        return _CL100K
    if model.startswith("local/"):
        return _local(vocabulary_of(model))
    name = model.lower().rpartition("/")[2].removeprefix("ft:").removeprefix("openai.")
    if _O200K_MODELS.match(name):
        return _with_images(_O200K, image_cost(name))
    return _with_images(_CL100K, image_cost(name)) if _CL100K_MODELS.match(name) else _ESTIMATE


@cache
def _with_images(counter: TokenCounter, images: ImageCost) -> TokenCounter:
    return replace(counter, images=images)


@lru_cache(maxsize=32)
def _local(vocabulary: Codec | None) -> TokenCounter:
    return replace(_ESTIMATE, name=vocabulary.name, encoding=vocabulary) if vocabulary else _ESTIMATE


def warm(model: str) -> None:
    """Begin to build the model's counter in a background thread, so that the first count need not wait for it."""
    counter_for(model).warm()
