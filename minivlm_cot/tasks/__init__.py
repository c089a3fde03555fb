from .rooms import answer_things, group_by_picture, Rooms, task_for
from .queries import (
    ABSTAIN,
    check_queries,
    load_queries,
    Near,
    near_duplicates,
    plain_words,
    Query,
    ROUTES,
    shared_values,
)
