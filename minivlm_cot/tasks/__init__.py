from .rooms import answer_things, group_by_picture, Rooms, task_for
from .caption_facts import caption_scene, CaptionMarks, check_caption, facts_f1, mark_caption
from .caption_facts import match_mentions, Mention, read_caption, WORDINGS
from .caption_files import captioned_pictures
from .caption_scores import caption_words, overlap_scores, rouge_l
from .captions import caption_report, caption_row, caption_table, Captions
from .captions_taught import ask_captions, CaptionRecipe, teach_captions, train_captions
from .box_sources import box_in_shares, BOX_SOURCES, BoxRows, load_boxes
from .boxes import average_precision, box_iou, match_boxes, SAID_COLOUR, scene_objects
from .boxes import score_boxes, show_boxes, Tally, tally, thing_box, TRUE_COLOUR
from .detection import add_marks, Detection, detection_row, fit_objects, instruction, INSTRUCTIONS
from .detection import LABELS, MARKS, objects_text, read_objects, Reading, reading_order
from .detection import score_readings
from .box_grammar import box_automaton, BoxGrammar, write_answers
from .detector import align_places, DetectorRecipe, examine_detector, find_objects
from .detector import measure_detector, object_scores, sure_readings, train_detector
from .detector import written_log_probs
from .vqa_scores import answer_kind, consensus, official_form, official_score, question_kind
from .vqa_scores import vqa_report, vqa_table
from .vqa_task import ask_about, picture_questions, PICTURE_KINDS, PictureQuestions
from .vqa_task import split_by_picture
from .vqa_taught import ask_pictures, question_report, QuestionRecipe, teach_questions
from .vqa_taught import train_questions
from .mixing import deal, mix_shares, mixed_rows, MixedDataset, Mixture, share_out, tagged
from .task_losses import task_curves, task_losses, TaskLosses, token_losses, validate_tasks
from .one_for_all import ask_task, compare_all, compare_bases, learn_chains, learn_tasks
from .one_for_all import measure_multitask, paired_difference, save_base, start_model
from .one_for_all import TASKS, TogetherRecipe
from .queries import ABSTAIN, check_queries, load_queries, Near, near_duplicates, PARTS
from .queries import plain_words, Query, ROUTES, shared_values
from .routing import CHAT, fit_head, fit_state_head, Head, label_ids, load_router, mark_places
from .routing import mark_rarity, mark_vectors, read_states, read_tag, Route, ROUTE_NAMES, Router
from .routing import TAGS, text_marks
from .router_exam import Bin, calibration, cross_router, cross_scores, examine_router, fit_router
from .router_exam import fit_temperature, fit_threshold, ready_router, risk_coverage, route
from .router_exam import settle_router, settle_scores, task_risk, train_router
from .changes import all_changes, Change, CHANGES, differences, draw_strip, find_change
from .changes import sample_strip
from .frame_questions import changes_text, FRAME_KINDS, FRAME_STEPS, FrameKind, make_frames
from .frame_questions import numbers_text, run_frames
from .frames_compared import make_comparison
from .frames_marked import check_frames
from .several import check_pictures, load_boxes_apart, mark_line, nlvr_boxes, SeveralPictures
from .shortcuts import glance, guess_by_table, hide_picture, possible_answers, short_answer
from .shortcuts import swap_pictures
from .several_taught import examine_several, several_controls, several_data, SeveralRecipe
from .several_taught import teach_several, train_several
from .named import asked_in, fit_task, LESSONS, NAMED_TASKS, own_scores, own_table, task_named
from .named import task_rows, teach_task
from .one_query import ask_query, ASKED, Choice, choose_task, learned_style, measure_queries
from .one_query import query_exam, query_row, Reply, routed_tasks, score_by, SERVES, task_class
from .one_query import taught_tasks, why_unread
