from .cost import Cost, real_shape, training_cost
from .older import (
    ADOPTED,
    export_checkpoint,
    import_checkpoint,
    OLD_BASES,
    OLD_MODEL,
    read_old_checkpoint,
)
from .adopting import adopt_training, build_from_base, minivlm_convert
