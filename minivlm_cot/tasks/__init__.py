from .rooms import answer_things, group_by_picture, Rooms, task_for
