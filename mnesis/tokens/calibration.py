"""What reported usage says about our counts."""

from collections import deque
from collections.abc import Iterable

_SMALLEST = 200
_LOWEST, _HIGHEST = 0.5, 2.0
_REMEMBERED = 8


def correction(pairs: Iterable[tuple[int, int]]) -> float:
    """The factor that turns our counts into the provider's: the largest of the last eight, 1.0 when there is none.

    `pairs` are (counted, reported) input tokens of the turns of one model, oldest first. Pairs below 200 counted
    tokens are mostly wrapper, and a ratio outside 0.5 to 2 is another unit or a proxy's fiction: both are ignored.
    """
    ratios = (reported / counted for counted, reported in pairs if counted >= _SMALLEST)
    believed = deque((ratio for ratio in ratios if _LOWEST <= ratio <= _HIGHEST), maxlen=_REMEMBERED)
    return max(believed, default=1.0)
