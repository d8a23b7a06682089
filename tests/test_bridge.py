"""The thread that the engine lives on."""

import asyncio
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import AsyncGenerator

import pytest

from mnesis import MnesisError
from mnesis_jupyter.bridge import Bridge


@pytest.fixture
def bridge():
    bridge = Bridge()
    yield bridge
    bridge.close()


async def count(to: int, delay: float = 0.0, log: list[str] | None = None) -> AsyncGenerator[int]:
    try:
        for number in range(to):
            await asyncio.sleep(delay)
            yield number
    except asyncio.CancelledError:
        await asyncio.sleep(0.05)  # a last write
        if log is not None:
            log.append("cancelled, and cleaned up")
        raise


def test_a_call_gives_the_result_or_the_error_of_the_coroutine(bridge):
    async def half(number: int, *, of: int = 2) -> float:
        await asyncio.sleep(0)
        return number / of

    assert bridge.call(half, 3) == 1.5
    with pytest.raises(ZeroDivisionError):
        bridge.call(half, 3, of=0)


def test_the_engine_has_a_thread_of_its_own_that_is_a_daemon(bridge):
    async def where() -> threading.Thread:
        return threading.current_thread()

    thread = bridge.call(where)
    assert thread is not threading.current_thread()
    assert thread.daemon


def test_a_stream_gives_the_events_in_order(bridge):
    with bridge.stream(count, 1000) as numbers:
        assert list(numbers) == list(range(1000))


def test_while_nothing_comes_this_thread_may_do_something_else(bridge):
    idle: list[threading.Thread] = []
    with bridge.stream(count, 2, delay=0.35) as numbers:
        numbers.idle = lambda: idle.append(threading.current_thread())
        assert list(numbers) == [0, 1]
    assert set(idle) == {threading.current_thread()}
    assert 2 <= len(idle) <= 8


def test_an_error_while_idle_cancels_the_work(bridge):
    log: list[str] = []

    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), bridge.stream(count, 9, delay=0.5, log=log) as numbers:
        numbers.idle = fail
        list(numbers)
    assert log == ["cancelled, and cleaned up"]


def test_events_arrive_while_the_generator_still_runs(bridge):
    heard = threading.Event()

    async def waits() -> AsyncGenerator[bool]:
        yield heard.is_set()
        yield await asyncio.to_thread(heard.wait, 20)

    with bridge.stream(waits) as events:
        assert next(events) is False
        heard.set()
        assert list(events) == [True]


def test_an_error_in_the_middle_comes_after_the_events_before_it(bridge):
    async def breaks() -> AsyncGenerator[int]:
        yield 1
        raise LookupError("gone")

    seen: list[int] = []
    with pytest.raises(LookupError, match="gone"), bridge.stream(breaks) as numbers:
        seen.extend(numbers)
    assert seen == [1]


def test_leaving_a_stream_early_cancels_it_once_and_waits_for_its_last_write(bridge):
    log: list[str] = []
    with bridge.stream(count, 1000, 0.01, log) as numbers:
        next(numbers)
    assert log == ["cancelled, and cleaned up"]


def test_cancelling_returns_what_had_arrived_and_was_not_taken(bridge):
    arrived = threading.Event()

    async def four() -> AsyncGenerator[int]:
        for number in range(4):
            yield number
        arrived.set()
        await asyncio.sleep(60)

    with bridge.stream(four) as numbers:
        assert next(numbers) == 0
        assert arrived.wait(20)
        assert numbers.cancel() == [1, 2, 3]
        assert list(numbers) == []


def test_a_stream_that_is_cancelled_before_its_first_step_ends_at_once(bridge):
    began = time.monotonic()
    for _ in range(20):
        bridge.stream(count, 10).cancel()
    assert time.monotonic() - began < 2


def test_what_was_started_goes_on_between_calls(bridge):
    done = threading.Event()

    async def later() -> None:
        await asyncio.sleep(0.05)
        done.set()

    tasks = set()

    async def start() -> None:
        tasks.add(asyncio.create_task(later()))

    bridge.call(start)
    assert done.wait(5)


def test_the_engine_cannot_wait_for_itself(bridge):
    async def nested() -> None:
        bridge.call(nested)

    with pytest.raises(MnesisError, match="await it instead"):
        bridge.call(nested)


def test_closing_twice_and_closing_with_work_under_way_end_the_thread():
    bridge = Bridge()

    async def where() -> threading.Thread:
        return threading.current_thread()

    thread = bridge.call(where)
    stream = bridge.stream(count, 1000, 0.01)
    next(stream)
    bridge.close()
    bridge.close()
    assert not thread.is_alive()


def test_a_script_that_forgets_everything_ends_by_itself_and_says_nothing(tmp_path):
    script = textwrap.dedent(
        """
        from mnesis_jupyter import open_session
        from mnesis_jupyter.state import state

        session = open_session(title="left open")
        state().bridge.call(session.send, "My name is Ada.")
        stream = state().bridge.stream(session.stream, "What is my name?")
        print(next(stream).type)
        """
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "text_delta\n"


def test_work_can_be_started_without_waiting_for_it_also_after_the_end():
    bridge = Bridge()
    done = threading.Event()

    async def work(event: threading.Event) -> None:
        await asyncio.sleep(0)
        event.set()

    bridge.start(work, done)
    assert done.wait(5)
    bridge.close()
    never = threading.Event()
    bridge.start(work, never)
    assert not never.wait(0.05)
