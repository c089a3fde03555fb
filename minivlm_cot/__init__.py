__version__ = "0.1.0"

from .model import MiniVLM, MiniVLMConfig, MiniVLMProcessor, load_minivlm  # so that the Auto classes know the kind after `import minivlm_cot`
