from .meter import BudgetSpent, Meter, picture_price, Spent
from .branches import Branches, Engine, shares_cache
from .moves import ends_step, Piece, STOPS
from . import scoring  # the engine's `score` and `log_ps`
from .text_branches import engine_for, TextEngine
from .thoughts import dials_of, Node, NODE_FATES, NODE_KINDS, NODE_MAKERS, Once, steps_of
from .thoughts import Thinker, Thought, Trace
from .longer import FORMS, make_listing, make_walk, NAME_THEM, numbered, NUMBERS, step_heads, Walks
from .longer_parts import ask_in_parts, OneMoveEach, Plan, read_plan
from .longer_taught import ask_walks, longer_rows, LongerRecipe, teach_walks, train_longer
