from .options import command
from .demo import (
    demo_figures,
    examine_demo,
    make_validation,
    OOD_SPLITS,
    run_demo,
    run_facts,
    train_demo,
    Trained,
)
from .ready import save_ready
from .ask import minivlm_ask, minivlm_draw
from .train import minivlm_demo, minivlm_eval, minivlm_train
from .calls import ask, examine, load, Loaded, show
