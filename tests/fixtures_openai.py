"""The fixture `openai_server`. Registered in `conftest.py` by `pytest_plugins`."""

from collections.abc import AsyncIterator

import pytest_asyncio
from openai_server import OpenAIServer


@pytest_asyncio.fixture
async def openai_server() -> AsyncIterator[OpenAIServer]:
    """A running server with an empty script; append to `openai_server.answers`."""
    async with OpenAIServer() as server:
        yield server
