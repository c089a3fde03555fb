"""Chat models of real architectures, tiny and random: the same nonsense in every way of asking."""

import pytest
import torch
from fastcore.test import test_close as assert_close
from PIL import Image
from transformers import (
    AutoModelForImageTextToText,
    Idefics3Config,
    Idefics3Processor,
    LlamaConfig,
    Qwen2VLConfig,
)
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from minivlm_cot.core import InputError, set_seed
from minivlm_cot.core.contracts import Asker
from minivlm_cot.dataset import format_direct_prompt
from minivlm_cot.evaluation import evaluate_cot
from minivlm_cot.generation import (
    AskOptions,
    ChatVLM,
    generate_answers,
    generate_cot_answer,
    generate_direct_answer,
    load_any,
    rank_choices,
    sample_chains,
)
from minivlm_cot.model import train_tokenizer
from minivlm_cot.scenes import scene_examples
from minivlm_cot.tasks import ask_query

EXAM = scene_examples(26, "test")[:6]
IMAGES = [e["image"].resize((90, 60)) if n % 2 else e["image"] for n, e in enumerate(EXAM)]
QUESTIONS = [e["question"] for e in EXAM]
WORDS = "Question: What is it? Let me think step by step: Answer: red cube ball cone blue green"
TEXT = dict(
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=2,
    num_attention_heads=2,
    initializer_range=0.2,
    bos_token_id=None,
)


def make_tokenizer(*marks):
    t = train_tokenizer([WORDS] * 5)
    t.add_special_tokens({"extra_special_tokens": list(marks)})
    return t


def template(picture, turn, end, own):
    "A chat template, from how a picture, a turn, its end and the model's own turn are written"
    content = "{% for c in m.content %}{% if c.type == 'image' %}" + picture
    content += "{% else %}{{ c.text }}{% endif %}{% endfor %}"
    turns = "{% for m in messages %}" + turn + content + end + "\n{% endfor %}"
    return turns + "{% if add_generation_prompt %}" + own + "{% endif %}"


def make_qwen2_vl(folder):
    "A picture becomes as many patches as it is large"
    marks = "im_start", "im_end", "vision_start", "vision_end", "image_pad", "video_pad"
    tok = make_tokenizer(*(f"<|{mark}|>" for mark in marks))
    start, end, before, after, image, video = (
        tok.convert_tokens_to_ids(f"<|{mark}|>") for mark in marks
    )
    tok.chat_template = template(
        "<|vision_start|><|image_pad|><|vision_end|>",
        "<|im_start|>{{ m.role }}\n",
        "<|im_end|>",
        "<|im_start|>assistant\n",
    )
    rope = dict(rope_type="default", rope_theta=10000.0, mrope_section=[2, 3, 3])
    ids = dict(vocab_size=len(tok), eos_token_id=end, pad_token_id=tok.pad_token_id)
    text = dict(num_key_value_heads=1, rope_parameters=rope, **ids, **TEXT)
    vision = dict(depth=2, embed_dim=32, num_heads=2, hidden_size=32, patch_size=14, mlp_ratio=2)
    config = Qwen2VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=image,
        video_token_id=video,
        vision_start_token_id=before,
        vision_end_token_id=after,
    )
    set_seed(0)
    AutoModelForImageTextToText.from_config(config).save_pretrained(folder)
    Qwen2VLImageProcessorPil(min_pixels=56 * 56, max_pixels=112 * 112).save_pretrained(folder)
    tok.save_pretrained(folder)


def make_idefics3(folder):
    "The shape of SmolVLM, which wants one size"
    tok = make_tokenizer(
        "<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>"
    )
    turns = template("<image>", "{{ m.role | capitalize }}: ", "<end_of_utterance>", "Assistant: ")
    end = tok.convert_tokens_to_ids("<end_of_utterance>")
    ids = dict(vocab_size=len(tok), eos_token_id=end, pad_token_id=tok.pad_token_id)
    vision = {k: v for k, v in TEXT.items() if k not in ("initializer_range", "bos_token_id")}
    config = Idefics3Config(
        text_config=LlamaConfig(**ids, **TEXT).to_dict(),
        vision_config=vision | dict(image_size=56, patch_size=14),
        image_token_id=tok.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=tok.pad_token_id,
    )
    set_seed(0)
    AutoModelForImageTextToText.from_config(config).save_pretrained(folder)
    edge = dict(longest_edge=56)
    images = Idefics3ImageProcessorPil(size=edge, max_image_size=edge, do_image_splitting=False)
    Idefics3Processor(images, tok, image_seq_len=4, chat_template=turns).save_pretrained(folder)


@pytest.fixture(scope="module", params=[make_qwen2_vl, make_idefics3])
def asked(request, tmp_path_factory):
    "A model and its processor, as they are loaded"
    folder = tmp_path_factory.mktemp("chat") / "model"
    request.param(folder)
    model, processor = load_any(folder, device="cpu")
    assert model.config.model_type == request.param.__name__.removeprefix("make_")
    return model, processor


def test_a_chat_model_can_be_asked(asked):
    assert isinstance(asked[0], Asker)
    answer = generate_direct_answer(*asked, IMAGES[0], QUESTIONS[0], max_new_tokens=8)
    assert (answer.arm, answer.n_tokens <= 8) == ("direct", True)
    short = AskOptions(max_new_tokens=6, seed=0)
    assert len(sample_chains(*asked, IMAGES[0], QUESTIONS[0], k=3, options=short)) == 3


def test_a_batch_says_what_each_question_says_alone(asked):
    said = generate_answers(*asked, IMAGES, QUESTIONS, "cot", max_new_tokens=12)
    alone = [
        generate_cot_answer(*asked, i, q, max_new_tokens=12).text
        for i, q in zip(IMAGES, QUESTIONS)
    ]
    assert [a.text for a in said] == alone


def test_several_pictures_stand_before_the_question_in_order(asked):
    model, processor = asked
    shown, prompts = [IMAGES[:2], IMAGES[1::-1], IMAGES[0]], [format_direct_prompt("Which?")] * 3
    ids = [model.inputs(processor, [p], prompts[:1])["input_ids"] for p in shown]
    assert ids[0].shape == ids[1].shape
    assert ids[0].shape[1] > ids[2].shape[1]
    said = generate_answers(*asked, shown, ["Which?"] * 3, "direct", max_new_tokens=6)
    alone = [generate_direct_answer(*asked, p, "Which?", max_new_tokens=6) for p in shown[2:]]
    assert [a.text for a in said[2:]] == [a.text for a in alone]
    values = [model.inputs(processor, [p], prompts[:1])["pixel_values"] for p in shown[:2]]
    assert not torch.equal(*values)


def test_a_query_goes_to_the_task_of_its_pictures(asked):
    short = AskOptions(max_new_tokens=6)
    for shown, task in ((IMAGES[:3], "several pictures"), (IMAGES[:1], "questions")):
        reply = ask_query(*asked, shown, "What changed?", options=short)
        assert (reply.choice.task, reply.answer.arm) == (task, "cot")


def test_a_seed_repeats(asked):
    chains = []
    for seed in (1, 1, 2):
        options = AskOptions(max_new_tokens=8, seed=seed)
        drawn = sample_chains(*asked, IMAGES[0], QUESTIONS[0], 2, 1.0, options)
        chains.append([a.text for a in drawn])
    assert chains[0] == chains[1]
    assert chains[0] != chains[2]


def long_way(model, processor, image, question, choice):
    "Read prompt and choice in one piece, without padding"
    ids = processor.tokenizer(f" {choice}", add_special_tokens=False)["input_ids"]
    x, total = model.inputs(processor, [image], [format_direct_prompt(question)]), 0.0
    for i in [*ids, model.model.generation_config.eos_token_id]:  # one at a time, all read anew
        with torch.no_grad():
            total += model.model(**x).logits[0, -1].log_softmax(-1)[i].item()
        for name, new in (("input_ids", i), ("attention_mask", 1), ("mm_token_type_ids", 0)):
            if name in x:
                x[name] = torch.cat([x[name], torch.tensor([[new]])], 1)
    return total


def test_ranks_are_those_of_the_long_way(asked):
    choices = EXAM[0]["choices"]
    (scores,) = rank_choices(*asked, IMAGES[:1], QUESTIONS[:1], [choices])
    assert_close(scores, [long_way(*asked, IMAGES[0], QUESTIONS[0], c) for c in choices], eps=1e-3)


def test_the_whole_exam(asked):
    report = evaluate_cot(*asked, EXAM, max_new_tokens=(12, 6))
    assert report.to_dict()["n"] == 6 and "| " in report.table()


def test_what_a_chat_model_refuses_and_shrinks(asked):
    model, processor = asked
    features = dict(image_features=torch.zeros(1, 2, 3))
    with pytest.raises(InputError, match="not stored features"):
        generate_answers(model, processor, None, ["What?"], "direct", **features)
    with pytest.raises(InputError, match="not stored features"):
        model.log_probs(processor, [torch.zeros(2, 3)], [["a"]], [["b"]], are_features=True)
    big, wide = ChatVLM(model.model, max_side=40), Image.new("RGB", (4000, 30), "red")
    assert generate_direct_answer(big, processor, wide, "What?", max_new_tokens=3).arm == "direct"
    assert (big.training, str(big.device)) == (False, "cpu")


def test_no_model_folder(tmp_path):
    with pytest.raises(InputError, match="There is no model folder"):
        load_any(tmp_path / "nowhere")
