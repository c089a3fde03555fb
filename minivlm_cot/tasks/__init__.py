from .rooms import answer_things, group_by_picture, Rooms, task_for
from .caption_facts import caption_scene, CaptionMarks, check_caption, facts_f1, mark_caption
from .caption_facts import match_mentions, Mention, read_caption, WORDINGS
from .caption_files import captioned_pictures
from .caption_scores import caption_words, overlap_scores, rouge_l
from .captions import caption_report, caption_row, caption_table, Captions
from .captions_taught import ask_captions, CaptionRecipe, teach_captions, train_captions
