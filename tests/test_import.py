"""`import mnesis` is cheap: what is slow to come is not there yet."""

from workers import output


def test_importing_builds_no_model_and_brings_nothing_that_is_needed_later():
    """A model that is the default of another one's field would be built, and pydantic's validators with it."""
    said = output(
        """
        import sys
        from pydantic import BaseModel
        import mnesis

        def below(kind):
            for each in kind.__subclasses__():
                yield each
                yield from below(each)

        ours = [kind for kind in below(BaseModel) if kind.__module__.startswith("mnesis.")]
        print(len(ours) > 50, [kind.__qualname__ for kind in ours if kind.__pydantic_complete__])
        later = "litellm tiktoken tokenizers pandas IPython numpy filelock regex jinja2 jsonschema click tqdm".split()
        print([name for name in later if name in sys.modules])
        """
    )
    assert said == "True []\n[]\n"
