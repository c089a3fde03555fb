from .scores import exact_match, strict_match, vqa_score
from .pairs import mcnemar_exact, wilson_interval
from .clusters import bootstrap_difference, clustered_interval, share_right, sign_flip_test
from .power import smallest_detectable_difference
from .rows import make_row, nest_row, summarise_arm, summarise_chains
from .integrity import check_exam
from .report import compare_rows, Comparison, majority_answers, Report, score_rows, summarise
from .tables import markdown_table, strategy_label
from .exam import (
    blank_image,
    blind_row,
    BlindTask,
    evaluate_cot,
    examine,
    ExamOptions,
    map_over_ranks,
    with_picture,
)
from .leaderboards import aokvqa_scores, predict_aokvqa
from .wups import fetch_wordnet, load_wordnet, mean_wups, wu_palmer, wups
from .model_cards import CardFacts, lesson_card, model_card, run_card, write_model_card
