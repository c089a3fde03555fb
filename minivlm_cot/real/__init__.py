from .cost import Cost, real_shape, training_cost
from .older import (
    ADOPTED,
    export_checkpoint,
    import_checkpoint,
    OLD_BASES,
    OLD_MODEL,
    read_old_checkpoint,
)
from .adopting import adopt_training, build_from_base, minivlm_convert
from .alignment import align_to_words, Classifier, imagenet_words, lite_classifier
from .alignment import nearest_words, word_size, word_vectors
from .photographs import ask_real, forget, grey_rows, Mirrored, mirrored_rows, photograph_data
from .photographs import real_parts, real_start, RealRecipe, shared_rows, train_real
from .things import made_up_rooms, named_things, scene_facts, Thing
from .thinking import answers_held, check_scene_chains, confirmed_share, confirmed_things
from .thinking import holds_answer, scene_rationale, with_scene_rationales
from .thinking import with_template_rationales
from .trials import Exam, folder_of, made_from, recipe_of, run_trial, SHORT, THINKS, trial_answers
from .trials import TRIALS
from .study import AGAINST, gain, gains, kept_tallies, marks, plot_gains, plot_kinds, PUBLISHED
from .study import question_parts, shares, study_numbers, study_report, tally
from .study import thinking_gain, word_closeness
from .rooms import drawn_examples, OUTCOMES, sort_by_outcome
