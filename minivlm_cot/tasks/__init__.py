from .rooms import answer_things, group_by_picture, Rooms, task_for
from .caption_facts import caption_scene, CaptionMarks, check_caption, facts_f1, mark_caption
from .caption_facts import match_mentions, Mention, read_caption, WORDINGS
from .caption_files import captioned_pictures
from .caption_scores import caption_words, overlap_scores, rouge_l
from .captions import caption_report, caption_row, caption_table, Captions
from .captions_taught import ask_captions, CaptionRecipe, teach_captions, train_captions
from .box_sources import BOX_SOURCES, BoxRows, load_boxes
from .boxes import average_precision, box_iou, match_boxes, scene_objects, score_boxes, show_boxes
from .boxes import Tally, tally, thing_box
from .detection import add_marks, Detection, fit_objects, objects_text, read_objects, reading_order
from .detection import score_readings
from .box_grammar import BoxGrammar, write_answers
from .detector import DetectorRecipe, examine_detector, find_objects, measure_detector
from .queries import ABSTAIN, check_queries, load_queries, Near, near_duplicates, plain_words
from .queries import Query, ROUTES, shared_values
