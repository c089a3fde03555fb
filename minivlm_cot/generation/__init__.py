from .writing import (
    check_temperature,
    decode,
    decode_from,
    fitting_batch_size,
    in_batches,
    inference_copy,
    prefill,
    row_generators,
    sample_token,
    Sampling,
)
from .again import embed_prompts, picture_order, read_behind, reads_once
from .asking import (
    Answer,
    answer_prompts,
    arm_limits,
    AskOptions,
    generate_answers,
    make_prompts,
    prompt_ids,
    Prompts,
    read_prompts,
    response_limit,
    sample_answers,
)
from .arms import (
    answer_together,
    generate_both,
    generate_cot_answer,
    generate_direct_answer,
    sample_chains,
)
from .ranking import rank_both, rank_choices
from .chat_models import chat_turns, ChatVLM, load_any, load_chat_processor
from .strategies import ask_all, Chain, Direct, prompts_of, STRATEGIES, strategies_named
