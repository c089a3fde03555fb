from .lengths import length_batches
from .features import cache_dataset, cache_features, features_key, FeatureStore, prepare_pixels
from .features import give_features
from .optimisers import Muon, orthogonalise
from .optimisers import full_tensor, local_shard
from .config import lr_at, make_optimizers, TrainConfig
from .identity import base_identity, check_identity, data_identity, differences, model_identity
from .identity import processor_identity, run_identity
from .identity import began_with, remember_base
from .processes import broadcast_weights, on_rank0, shard, unsharded, wants_fsdp
from .processes import trainable
from .checkpoints import finish_step_first, load_checkpoint, newest_checkpoint
from .checkpoints import previous_checkpoint, save_checkpoint, stop_by
from .checkpoints import StopRequest
from .kernels import can_compile, compile_backend, compiled_layers, fast_attention
from .kernels import compile_on
from .steps import count_texts, History, remember_limits, remember_tasks, steps_per_epoch, text_room
from .steps import training_step
from .steps import epoch_batches, history_until, picture_groups, seconds_so_far, step_batches
from .callbacks import BAD_STEPS, standard_callbacks
from .callbacks import Bar, check_weights, Checkpoints, Compilation, Features, GiveUp, Identity
from .callbacks import Kernels, Metrics, Processes, Resume, Schedule, Signals, Validation
from .loop import Run, train_cot_vlm
from .lora import add_lora
from .recipe import check_recipe, draw_world, Recipe
from .stages import align_words, build_model, CLASSES, naming_accuracy, Pace
from .stages import pretrain_encoder, Stage, stage_config, train_base, train_cot
