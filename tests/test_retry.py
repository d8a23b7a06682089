"""Transient errors are tried again, with growing delays, and never once the reply has begun."""

import asyncio
import contextlib
import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai_server import Answer, OpenAIServer, refuse

from mnesis.errors import Authentication, BadRequest, ContextOverflow, LLMError, RateLimit, Timeout, Unavailable
from mnesis.llm.base import Chunk, Finish, Request, TextChunk
from mnesis.llm.litellm import LiteLLMProvider
from mnesis.llm.retry import LONGEST_WISH, Retries, Retry
from mnesis.llm.scripted import Reply, ScriptedProvider
from mnesis.models.config import RetryConfig

REQUEST = Request("openai/gpt-4o", [{"role": "user", "content": "hi"}])
WHOLE = [TextChunk("fine"), Finish("stop")]


class Diary:
    """What was retried, and how long it was waited for, without waiting."""

    def __init__(self, config: RetryConfig, jitter: float = 1.0) -> None:
        self.told: list[Retry] = []
        self.waited: list[float] = []
        self.chunks: list[Chunk] = []
        self.retries = Retries(config, self._tell, wait=self._wait, jitter=lambda: jitter)

    async def _tell(self, retry: Retry) -> None:
        self.told.append(retry)

    async def _wait(self, seconds: float, stopped: asyncio.Event) -> None:
        assert len(self.told) == len(self.waited) + 1, "it is told before the wait"
        self.waited.append(seconds)

    async def ask(self, provider: ScriptedProvider | LiteLLMProvider) -> list[Chunk]:
        async with contextlib.aclosing(self.retries.chunks_of(provider, REQUEST)) as chunks:
            self.chunks = []
            async for chunk in chunks:
                self.chunks.append(chunk)
        return self.chunks


async def test_nothing_is_retried_by_default():
    diary, provider = Diary(RetryConfig()), ScriptedProvider([Unavailable("down"), "fine"])
    with pytest.raises(Unavailable, match="down"):
        await diary.ask(provider)
    assert (len(provider.requests), diary.told) == (1, [])


@pytest.mark.parametrize("kind", [RateLimit, Timeout, Unavailable])
async def test_a_transient_error_is_tried_again_with_delays_that_double(kind):
    errors = [kind(f"error {n}") for n in range(6)]
    diary = Diary(RetryConfig(max_retries=6, base_delay=1.0, max_delay=10.0, jitter=False))
    provider = ScriptedProvider([*errors, "fine"])
    assert await diary.ask(provider) == WHOLE
    assert diary.waited == [1, 2, 4, 8, 10, 10]
    assert diary.told == [Retry(n + 1, 6, diary.waited[n], errors[n]) for n in range(6)]
    assert provider.requests == [REQUEST] * 7


@pytest.mark.parametrize("kind", [Authentication, BadRequest, ContextOverflow, LLMError])
async def test_an_error_that_would_come_again_is_raised_at_once(kind):
    diary, provider = Diary(RetryConfig(max_retries=5)), ScriptedProvider([kind("no"), "fine"])
    with pytest.raises(kind, match="no"):
        await diary.ask(provider)
    assert (len(provider.requests), diary.told) == (1, [])


async def test_an_error_that_is_none_of_ours_is_not_retried():
    def fails(_: Request) -> str:
        raise ZeroDivisionError

    diary = Diary(RetryConfig(max_retries=5))
    with pytest.raises(ZeroDivisionError):
        await diary.ask(ScriptedProvider([fails]))
    assert diary.told == []


async def test_the_last_error_is_raised_when_all_attempts_fail():
    diary = Diary(RetryConfig(max_retries=2))
    provider = ScriptedProvider([Unavailable("first"), RateLimit("second"), Timeout("third"), "never"])
    with pytest.raises(Timeout, match="third"):
        await diary.ask(provider)
    assert [str(retry.error) for retry in diary.told] == ["first", "second"]


@pytest.mark.parametrize(
    "begun",
    [
        Reply("some text", then=Unavailable("reset")),
        Reply(reasoning="hm", then=Unavailable("reset")),
        Reply(tool_calls=[{"name": "add"}], then=Unavailable("reset")),
    ],
)
async def test_what_has_begun_to_show_is_never_tried_again(begun):
    diary, provider = Diary(RetryConfig(max_retries=5)), ScriptedProvider([begun, "fine"])
    with pytest.raises(Unavailable, match="reset"):
        await diary.ask(provider)
    assert diary.chunks
    assert (len(provider.requests), diary.told) == (1, [])


async def test_a_reply_that_breaks_off_before_it_begins_is_tried_again():
    diary = Diary(RetryConfig(max_retries=1))
    assert await diary.ask(ScriptedProvider([Reply(broken=True), "fine"])) == WHOLE
    with pytest.raises(Unavailable, match="broke off before it began"):
        await diary.ask(ScriptedProvider([Reply(broken=True)] * 2))


async def test_a_reply_that_breaks_off_later_ends_as_the_provider_ended_it():
    diary = Diary(RetryConfig(max_retries=5))
    assert await diary.ask(ScriptedProvider([Reply("half", broken=True)])) == [TextChunk("half")]
    assert diary.told == []


async def test_an_empty_reply_is_a_reply():
    diary = Diary(RetryConfig(max_retries=5))
    assert await diary.ask(ScriptedProvider([""])) == [Finish("stop")]
    assert diary.told == []


# -- delays ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jitter", [0.0, 0.25, 1.0])
async def test_jitter_takes_any_part_of_the_delay(jitter):
    diary = Diary(RetryConfig(max_retries=3, base_delay=2.0), jitter)
    await diary.ask(ScriptedProvider([Unavailable("down")] * 3 + ["fine"]))
    assert diary.waited == [2 * jitter, 4 * jitter, 8 * jitter]


@pytest.mark.parametrize(("wish", "waited"), [(0.5, 2.0), (7.5, 7.5), (90.0, 90.0), (LONGEST_WISH, LONGEST_WISH)])
async def test_it_is_never_sooner_than_the_provider_wishes_whatever_max_delay_says(wish, waited):
    diary = Diary(RetryConfig(max_retries=1, base_delay=2.0, max_delay=60.0))
    await diary.ask(ScriptedProvider([RateLimit("slow down", retry_after=wish), "fine"]))
    assert diary.waited == [waited]


@pytest.mark.parametrize("wish", [LONGEST_WISH + 1, 86_400.0, math.inf])
async def test_a_wish_that_nobody_waits_for_is_an_error_at_once(wish):
    diary, provider = Diary(RetryConfig(max_retries=5)), ScriptedProvider([RateLimit("no", retry_after=wish), "fine"])
    with pytest.raises(RateLimit) as caught:
        await diary.ask(provider)
    assert caught.value.retry_after == wish
    assert (len(provider.requests), diary.told) == (1, [])


async def test_a_longer_max_delay_allows_longer_wishes():
    diary = Diary(RetryConfig(max_retries=1, max_delay=3600.0))
    await diary.ask(ScriptedProvider([RateLimit("slow down", retry_after=1800.0), "fine"]))
    assert diary.waited == [1800.0]


@given(
    st.lists(st.sampled_from([0.0, 1.0, -5.0, 200.0, math.nan]) | st.none(), max_size=12),
    st.builds(
        RetryConfig,
        max_retries=st.integers(0, 2000),
        base_delay=st.floats(0, 1e6),
        max_delay=st.floats(0, 1e6),
        jitter=st.booleans(),
    ),
    st.floats(0, 1),
)
async def test_any_row_of_failures_ends_in_the_reply_or_the_last_error(wishes, config, jitter):
    diary = Diary(config, jitter)
    errors = [RateLimit(f"error {n}", retry_after=wish) for n, wish in enumerate(wishes)]
    provider = ScriptedProvider([*errors, "fine"])
    if len(errors) <= config.max_retries:
        assert await diary.ask(provider) == WHOLE
    else:
        with pytest.raises(RateLimit, match=f"error {config.max_retries}$"):
            await diary.ask(provider)
    tried = min(len(errors), config.max_retries)
    assert len(provider.requests) == min(len(errors) + 1, config.max_retries + 1)
    assert [retry.attempt for retry in diary.told] == list(range(1, tried + 1))
    for wish, waited in zip(wishes, diary.waited, strict=False):
        assert waited >= 0
        assert waited <= max(config.max_delay, wish or 0)
        assert not (wish and waited < wish)


async def test_the_thousandth_attempt_waits_as_long_as_allowed():
    diary = Diary(RetryConfig(max_retries=3000, base_delay=1.0, max_delay=60.0))
    await diary.ask(ScriptedProvider([Unavailable("down")] * 3000 + ["fine"]))
    assert set(diary.waited[10:]) == {60.0}


# -- stopping ----------------------------------------------------------------------------------------------------


async def test_stopping_ends_a_delay_at_once_with_the_original_error():
    told = asyncio.Event()

    async def tell(_: Retry) -> None:
        told.set()

    retries = Retries(RetryConfig(max_retries=5, base_delay=60, jitter=False), tell)
    provider = ScriptedProvider([Unavailable("down"), "fine"])

    async def ask() -> None:
        async for _ in retries.chunks_of(provider, REQUEST):
            pass

    task = asyncio.create_task(ask())
    await told.wait()
    start = time.monotonic()
    retries.stop()
    with pytest.raises(Unavailable, match="down"):
        await task
    assert time.monotonic() - start < 1
    assert len(provider.requests) == 1


async def test_after_stopping_nothing_is_tried_again_and_replies_still_come():
    diary, provider = Diary(RetryConfig(max_retries=5)), ScriptedProvider(["fine", Unavailable("down"), "never"])
    diary.retries.stop()
    assert await diary.ask(provider) == WHOLE
    with pytest.raises(Unavailable, match="down"):
        await diary.ask(provider)
    assert diary.told == []


async def test_cancelling_ends_a_delay_too():
    retries = Retries(RetryConfig(max_retries=5, base_delay=60, jitter=False), on_retry=_nothing)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            async for _ in retries.chunks_of(ScriptedProvider([Unavailable("down"), "fine"]), REQUEST):
                pass


async def _nothing(_: Retry) -> None:
    pass


# -- through litellm, against a real server ----------------------------------------------------------------------


@pytest.mark.xdist_group("litellm")
async def test_litellm_is_asked_again_until_the_server_answers(openai_server):
    openai_server.answers = [
        refuse(429, "slow down", retry_after=0.2),
        refuse(503, "overloaded"),
        Answer(fault="reset"),
        Answer("fine"),
    ]
    told: list[Retry] = []

    async def tell(retry: Retry) -> None:
        told.append(retry)

    retries = Retries(RetryConfig(max_retries=3, base_delay=0.01), tell)
    start = time.monotonic()
    chunks = [chunk async for chunk in retries.chunks_of(_provider(openai_server), REQUEST)]
    assert chunks == WHOLE
    assert time.monotonic() - start >= 0.2
    assert [(retry.attempt, type(retry.error)) for retry in told] == [
        (1, RateLimit),
        (2, Unavailable),
        (3, Unavailable),
    ]
    assert [request.body for request in openai_server.requests] == [openai_server.requests[0].body] * 4


@pytest.mark.xdist_group("litellm")
@pytest.mark.parametrize("first", [refuse(401, "no key"), refuse(400, "bad"), Answer("half a", fault="reset")])
async def test_litellm_is_asked_once_where_that_is_final(openai_server, first):
    openai_server.answers = [first, Answer("fine")]
    diary = Diary(RetryConfig(max_retries=3))
    with pytest.raises(LLMError):
        await diary.ask(_provider(openai_server))
    assert len(openai_server.requests) == 1


@pytest.mark.xdist_group("litellm")
async def test_an_error_that_nobody_waits_for_says_how_long_the_provider_wishes(openai_server):
    openai_server.answers = [refuse(429, "quota used up", retry_after=7200)]
    with pytest.raises(RateLimit, match="wait 7,200 s"):
        await Diary(RetryConfig(max_retries=3)).ask(_provider(openai_server))


def _provider(server: OpenAIServer) -> LiteLLMProvider:
    return LiteLLMProvider(api_base=server.url, api_key="any", timeout=20)
