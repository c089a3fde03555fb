from .rooms import answer_things, group_by_picture, Rooms, task_for
from .box_sources import BOX_SOURCES, BoxRows, load_boxes
from .boxes import average_precision, box_iou, match_boxes, scene_objects, score_boxes, show_boxes
from .boxes import Tally, tally, thing_box
from .detection import add_marks, Detection, fit_objects, objects_text, read_objects, reading_order
from .detection import score_readings
from .box_grammar import BoxGrammar, write_answers
from .detector import DetectorRecipe, examine_detector, find_objects, measure_detector
from .detector import align_places, object_scores, train_detector
