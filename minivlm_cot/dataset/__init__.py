from .rows import answer_text, as_list, as_text, check_example, example_image, example_images
from .rows import get_most_common_answer, gold_answer, held_image, is_answered
from .image_lists import as_pictures, flat_pictures, given_pictures, held_pictures, join_pictures
from .image_lists import like_pictures, open_pictures, picture_counts
from .prompts import ANSWER, ARMS, format_cot_prompt, format_direct_prompt, format_pair
from .prompts import format_prompt, holds_reasoning, parse_answer, split_chain, teaches, THINK
from .prompts import undress
from .labels import pack_texts, show_labels, tokenize_pairs
from .batches import Collator, CoTReasoningDataset, show_sample
from .packing import same_pictures
from .readers import read_records, Rows
from .aokvqa import coco_picture
from .vqa import create_synthetic_rationale
from .clevr import clevr_rationale, run_clevr_program
from .daquar import answer_things, daquar_kind, daquar_part, is_held_out
from .sources import load_examples, load_with_fallback, real_data, Source, SOURCES
from .questions import Questions
