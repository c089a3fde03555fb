from .parts import (
    MiniVLMConfig,
    TokenLoss,
    VisionProjector,
    join_prefix,
    out_of_memory,
    segment_mask,
    small_attention,
)
from .probing import Capabilities, cache_sizes, capabilities, logits_of, probe
from .limits import check_length, check_texts, check_words, may_batch, may_pack, most_tokens
from .vlm import MiniVLM, run_encoder, unpack_rows
from .wheels import (
    PARTS,
    EfficientNetLite,
    EfficientNetLiteConfig,
    Part,
    efficientnet_lite,
    fetch_part,
    gguf_file,
    gguf_tokenizer,
    lite_image_processor,
    load_gguf,
    part_name,
    parts_folder,
)
from .processor import MiniVLMProcessor, prepared_side, set_side, train_tokenizer
from .markers import MARKER
from .maps import (
    as_configured,
    check_fit,
    encoder_maps,
    fit_encoder,
    join_maps,
    last_map,
    listening,
    map_names,
    MapEncoder,
    MapEncoderConfig,
    maps_by_depth,
    NO_ENCODER,
    usual_size,
)
from .building import small_image_processor, small_language_config, small_vision_config
from .saving import (
    check_named,
    load_minivlm,
    on_hub,
    own_weights,
    part_fingerprint,
    save_minivlm,
    vision_fingerprint,
)
