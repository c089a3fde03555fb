from .meter import BudgetSpent, Meter, picture_price, Spent
from .branches import Branches, Engine, shares_cache
from .moves import ends_step, Piece, STOPS
from . import scoring  # the engine's `score` and `log_ps`
from .text_branches import engine_for, TextEngine
from .thoughts import dials_of, Node, NODE_FATES, NODE_KINDS, NODE_MAKERS, Once, steps_of
from .thoughts import Thinker, Thought, Trace
