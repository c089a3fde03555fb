from .contracts import Asker, Callback, Cost, Strategy, Task
from .basics import (
    check_seed,
    check_sizes,
    cli_errors,
    count_parameters,
    end_on_sigterm,
    short_count,
    InputError,
    package_file,
    progress_bar,
    real_number,
    set_seed,
    whole_number,
)
from .machine import (
    autocast,
    free_memory,
    has_fast_bf16,
    close_processes,
    pick_device,
    process_state,
    waiting_advice,
)
from .files import (
    atomic_files,
    atomic_path,
    file_lock,
    file_path,
    flush_to_disk,
    folder_lock,
    take_places,
    writable_dir,
    writing,
)
from .records import (
    append_jsonl,
    fingerprint,
    load_json,
    read_jsonl,
    read_text,
    save_json,
    save_together,
)
from .pictures import open_image, picture_name
