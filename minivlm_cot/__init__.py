"""Teach a small vision-language model to reason step by step, and measure whether it helped."""

__version__ = "0.1.0"

# the model room, so that the Auto classes of transformers know the kind after `import minivlm_cot`
from .model import MiniVLM, MiniVLMConfig, MiniVLMProcessor, load_minivlm

_CALLS = ("load", "ask", "examine", "show")  # the four that a newcomer wants, loaded when asked for
__all__ = ["MiniVLM", "MiniVLMConfig", "MiniVLMProcessor", "load_minivlm", *_CALLS]


def __getattr__(name):
    if name not in _CALLS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .commands import calls

    return getattr(calls, name)


def __dir__():
    return sorted([*globals(), *_CALLS])
