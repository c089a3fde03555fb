from .options import command, depths_of, give_advice, own_device, packed_by, room_for
from .options import taught_arms
from .folders import alone, check_run, Run
from .demo import (
    demo_figures,
    examine_demo,
    make_validation,
    OOD_SPLITS,
    run_demo,
    run_facts,
    train_demo,
    train_on_scenes,
    Trained,
)
from .fetching import minivlm_parts
from .ready import save_ready
from .draw_ask import AskingOptions, minivlm_ask, minivlm_draw
from .train import EvalOptions, minivlm_demo, minivlm_eval, minivlm_train, TrainOptions
from .calls import ask, examine, load, Loaded, show, Shown
from .rooms_study import minivlm_photographs, PhotographsOptions
from .graphs import FORMS, GRAPHS, needs, parts_apart, to_int8, write_graphs
from .export import export_onnx, ExportOptions, file_sizes, minivlm_export, onnx_answer, OnnxVLM
from .export import page_facts, question_words, same_words
