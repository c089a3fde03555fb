from .world import (
    CELLS,
    COLOURS,
    describe_scene,
    draw_grid,
    draw_scene,
    GRID,
    HELD_OUT_PAIRS,
    jitter,
    sample_scene,
    Scene,
    scene_bucket,
    scene_labels,
    SHAPES,
    SIZES,
    SPLITS,
    Thing,
)
from .programs import BACK, find_all, look, OPERATIONS, ORDINALS, run_program
from .families import FAMILIES, Family, GROUPS
from .examples import families_of, grounding_tasks, make_example, scene_examples
from .checking import ChainCheck, check_chain, Step
