from .ladder import (
    Contender,
    Lengths,
    count_positions,
    make_batch,
    our_step,
    plain_loss,
    plain_step,
)
from .ladder import pooled_model, ratios, time_in_turn, training_ways
from .answering import answering_ways, library_answers, make_questions, plain_answer, word_processor
from .peak import (
    measured_bandwidth,
    measured_peak,
    own_peak,
    peak_memory,
    preset_model,
    PRESETS,
    scaling,
    scaling_data,
    scaling_processes,
)
from .per_picture import answering_by_picture, Asked, learning_by_picture
from .per_picture import picture_batch, picture_speeds
from .benchmark import machine, minivlm_benchmark, run_benchmark, show_benchmark
