#!/usr/bin/env python3
"""The recipe of the storyteller: writes hf/ (config.json, model.safetensors, tokenizer.json).

    python3 models/storyteller/train.py

A LLaMA-style network (RMSNorm, rotary embedding, grouped-query attention, SwiGLU, tied embedding) over its own
byte-fallback BPE, trained on one CPU thread. Needs torch, tokenizers and safetensors; see models/README.md.
"""

import argparse
import json
import math
import time
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import nn
from torch.nn import functional as F

import corpus

HERE = Path(__file__).resolve().parent
VOCAB, DIM, HIDDEN, LAYERS, HEADS, KV_HEADS, CONTEXT = 512, 96, 256, 4, 6, 2, 256
HEAD = DIM // HEADS
BATCH, WARM_UP, PEAK_RATE, SEED = 8, 100, 4e-3, 1
# The learning rate falls as if there were SCHEDULE steps; training ends after STEPS of them, at a third of its peak.
STEPS, SCHEDULE = 1200, 1800


def train_tokenizer(texts):
    """Byte-fallback BPE in the form of LLaMA's: the only difference is that no piece crosses a line's end."""
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split("\n", "isolated"), pre_tokenizers.Split("▁", "merged_with_next")]
    )
    trainer = trainers.BpeTrainer(vocab_size=VOCAB, special_tokens=special, show_progress=False, limit_alphabet=96)
    tokenizer.train_from_iterator(texts, trainer)
    # Byte pieces are ordinary pieces of the vocabulary, not texts to be looked for.
    data = json.loads(tokenizer.to_str())
    data["added_tokens"] = [token for token in data["added_tokens"] if token["id"] < 3]
    data["pre_tokenizer"] = None
    tokenizer = Tokenizer.from_str(json.dumps(data))
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokenizer


class RmsNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(DIM))

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5))


def linear(inputs, outputs):
    layer = nn.Linear(inputs, outputs, bias=False)
    nn.init.normal_(layer.weight, std=0.5 / math.sqrt(inputs))
    return layer


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q_proj, self.o_proj = linear(DIM, DIM), linear(DIM, DIM)
        self.k_proj, self.v_proj = linear(DIM, KV_HEADS * HEAD), linear(DIM, KV_HEADS * HEAD)

    def forward(self, x, cos, sin, mask):
        batch, length, _ = x.shape
        split = lambda y, heads: y.view(batch, length, heads, HEAD).transpose(1, 2)
        rotate = lambda y: y * cos + torch.cat((-y[..., HEAD // 2 :], y[..., : HEAD // 2]), -1) * sin
        q, k = rotate(split(self.q_proj(x), HEADS)), rotate(split(self.k_proj(x), KV_HEADS))
        v = split(self.v_proj(x), KV_HEADS)
        k, v = (y.repeat_interleave(HEADS // KV_HEADS, 1) for y in (k, v))
        scores = q @ k.transpose(2, 3) / math.sqrt(HEAD) + mask[:length, :length]
        return self.o_proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, length, DIM))


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate_proj, self.up_proj, self.down_proj = linear(DIM, HIDDEN), linear(DIM, HIDDEN), linear(HIDDEN, DIM)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.input_layernorm, self.self_attn = RmsNorm(), Attention()
        self.post_attention_layernorm, self.mlp = RmsNorm(), Mlp()

    def forward(self, x, cos, sin, mask):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, mask)
        return x + self.mlp(self.post_attention_layernorm(x))


class Network(nn.Module):
    """Parameters named as Hugging Face's LlamaModel names them."""

    def __init__(self):
        super().__init__()
        self.embed_tokens = nn.Embedding(VOCAB, DIM)
        nn.init.normal_(self.embed_tokens.weight, std=0.1)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = RmsNorm()
        angles = torch.outer(torch.arange(CONTEXT), 10000.0 ** (-torch.arange(0, HEAD, 2) / HEAD)).repeat(1, 2)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        self.register_buffer("mask", torch.full((CONTEXT, CONTEXT), -1e9).triu(1), persistent=False)

    def forward(self, ids):
        x = self.embed_tokens(ids)
        for layer in self.layers:
            x = layer(x, self.cos[: ids.shape[1]], self.sin[: ids.shape[1]], self.mask)
        return F.linear(self.norm(x), self.embed_tokens.weight)


def stream(tokenizer, texts):
    """Documents one after another, each between <s> and </s>."""
    encoded = tokenizer.encode_batch(texts)
    return torch.tensor([id for text in encoded for id in [*text.ids, 2]])


def loss_of(network, batch):
    logits = network(batch[:, :-1])
    return F.cross_entropy(logits.reshape(-1, VOCAB), batch[:, 1:].reshape(-1))


def validate(network, ids):
    """Nats a token over whole windows of the validation stream."""
    windows = ids[: len(ids) // (CONTEXT + 1) * (CONTEXT + 1)].view(-1, CONTEXT + 1)[:48]
    with torch.no_grad():
        losses = [loss_of(network, batch) for batch in windows.split(BATCH)]
    return sum(loss.item() for loss in losses) / len(losses)


def save(network, tokenizer, folder, figures):
    folder.mkdir(exist_ok=True)
    tensors = {f"model.{name}": value.half().contiguous() for name, value in network.state_dict().items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "vocab_size": VOCAB,
        "hidden_size": DIM, "intermediate_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS, "head_dim": HEAD, "max_position_embeddings": CONTEXT, "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "tie_word_embeddings": True, "bos_token_id": 1, "eos_token_id": 2,
        "torch_dtype": "float16",
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "training.json").write_text(json.dumps(figures, indent=2) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--output", type=Path, default=HERE / "hf")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    train_texts, validation_texts = corpus.documents()
    tokenizer = train_tokenizer(train_texts)
    ids, held_out = stream(tokenizer, train_texts), stream(tokenizer, validation_texts)
    network = Network()
    parameters = sum(p.numel() for p in network.parameters())
    print(f"{parameters:,} parameters, {len(ids):,} training tokens", flush=True)
    matrices = [p for p in network.parameters() if p.dim() > 1]
    vectors = [p for p in network.parameters() if p.dim() == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=PEAK_RATE, betas=(0.9, 0.95))
    rate = lambda step: min(1, (step + 1) / WARM_UP) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(step / SCHEDULE, 1))))
    start = time.process_time()
    for step in range(args.steps):
        starts = torch.randint(len(ids) - CONTEXT - 1, (BATCH,))
        loss = loss_of(network, torch.stack([ids[at : at + CONTEXT + 1] for at in starts]))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = PEAK_RATE * rate(step)
        optimizer.step()
        if step % 200 == 199 or step == args.steps - 1:
            figures = {
                "parameters": parameters, "step": step + 1, "tokens_seen": (step + 1) * BATCH * CONTEXT,
                "training_loss": round(loss.item(), 4), "validation_loss": round(validate(network, held_out), 4),
                "cpu_seconds": round(time.process_time() - start),
            }
            print(json.dumps(figures), flush=True)
            save(network, tokenizer, args.output, figures)


if __name__ == "__main__":
    main()
