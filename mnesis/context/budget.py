"""How much of a model's window may be filled."""

from mnesis.llm.base import ModelLimits
from mnesis.models.config import MnesisConfig
from mnesis.models.context import Budget


def share(limits: ModelLimits, config: MnesisConfig, correction: float = 1.0) -> Budget:
    """Share out a model's window: `usable = context_limit - max_output_tokens - compaction_output_budget`.

    Where that leaves less than half of the window, both reserves shrink in proportion until it is half. `correction`
    is what the provider counts for each token that we count; the parts are in tokens as we count them.
    """
    overrides, compaction = config.model_overrides, config.compaction
    context = overrides.context_limit or limits.context
    output = overrides.max_output_tokens or limits.output
    reserve = compaction.compaction_output_budget
    notes = []
    if not limits.known and overrides.context_limit is None:
        notes.append("the model is not in the model map, a default window is assumed")
    if 2 * (output + reserve) > context:
        wanted = output + reserve
        output = context // 2 * output // wanted
        reserve = context // 2 * reserve // wanted
        notes.append(f"reserves of {wanted:,} tokens were scaled down to half of the window")
    usable = context - output - reserve
    if correction != 1.0:
        usable = int(usable / correction)
        notes.append(f"the provider counts {correction:.2f} tokens for each of ours")
    return Budget(
        context_limit=context,
        output_reserve=output,
        compaction_reserve=reserve,
        usable=usable,
        soft=int(usable * compaction.soft_threshold_fraction),
        note="; ".join(notes),
    )
