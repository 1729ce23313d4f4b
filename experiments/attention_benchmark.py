"""Attention with the entropy of its rows, beside attention without it.

``python -m experiments.attention_benchmark [--device cpu|cuda] [--out results] [--commit ID]``.
PyTorch's ``scaled_dot_product_attention`` gives the output alone; the eager formula stores all
scores and gives the entropy too. Methods take turns. Operations are counted as two products
forward and five backward, halved under a causal mask, whatever a method recomputes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

import torch
import torch.nn.functional as F

from experiments.turns import in_turns, peak_of, show, summary
from xent import records
from xent.ops.attention import attention_with_entropy

SHAPES = {  # batch, heads, tokens, width
    "cpu": ((1, 4, 1024, 64), (1, 4, 512, 128)),
    "cuda": ((4, 16, 4096, 64), (4, 16, 4096, 128), (1, 16, 16384, 128)),
}
DTYPE = {"cpu": torch.float32, "cuda": torch.bfloat16}
TURNS = {"cpu": 5, "cuda": 10}


def sdpa(q, k, v, causal):
    """PyTorch's attention: no entropy."""
    return F.scaled_dot_product_attention(q, k, v, is_causal=causal), None


def eager(q, k, v, causal):
    """All scores in memory; the softmax and its entropy in float32."""
    scores = (q @ k.mT).float() * q.shape[-1] ** -0.5
    if causal:
        ahead = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(1)
        scores = scores.masked_fill(ahead, -torch.inf)
    log_p = scores.log_softmax(-1)
    p = log_p.exp()
    entropy = -(p * log_p.masked_fill(p == 0, 0.0)).sum(-1)
    return p.to(v.dtype) @ v, entropy


def ours(q, k, v, causal):
    """Output and entropy in one sweep over the keys."""
    found = attention_with_entropy(q, k, v, causal=causal)
    return found.output, found.entropy


METHODS = {"torch, output only": sdpa, "eager, with entropy": eager, "ours, with entropy": ours}


def problem(shape, device: str):
    """Queries, keys and values of scale one, and an upstream gradient."""
    generator = torch.Generator().manual_seed(0)
    tensors = [torch.randn(shape, generator=generator).to(device, DTYPE[device]) for _ in range(4)]
    return [t.requires_grad_() for t in tensors[:3]], tensors[3]


def steps(shape, causal: bool, device: str) -> dict:
    """Return (method, pass) -> a step."""
    leaves, upstream = problem(shape, device)

    def forward(method):
        with torch.no_grad():
            method(*leaves, causal)

    def both(method):
        for leaf in leaves:
            leaf.grad = None
        output, entropy = method(*leaves, causal)
        loss = (output * upstream).sum()
        (loss if entropy is None else loss + 1e-3 * entropy.sum()).backward()

    return {
        (name, part): lambda run=run, method=method: run(method)
        for name, method in METHODS.items()
        for part, run in (("forward", forward), ("both", both))
    }


def operations(shape, causal: bool, part: str) -> float:
    """Multiplications and additions of the products that attention needs."""
    batch, heads, tokens, width = shape
    one = 2 * batch * heads * tokens**2 * width / (2 if causal else 1)
    return one * (2 if part == "forward" else 7)


def measure(shape, device: str) -> list[dict]:
    """Rows of one shape, with and without a causal mask."""
    rows = []
    for causal in (False, True):
        work = steps(shape, causal, device)
        for (name, part), times in in_turns(work, device, TURNS[device]).items():
            row = {"method": name, "pass": part, "shape": list(shape), "causal": causal}
            rows.append(row | summary(times, operations(shape, causal, part)))
    return rows


def peak_memory(name: str, shape) -> float:
    """MiB beyond inputs and code at the peak of a forward and backward pass (Linux)."""
    torch.set_num_threads(1)
    steps((1, 1, 64, shape[3]), False, "cpu")[name, "both"]()
    return peak_of(steps(shape, False, "cpu")[name, "both"])


def _memory(name: str, shape) -> float | None:
    command = [sys.executable, "-m", "experiments.attention_benchmark", "--memory", name]
    command += ["--shape", *map(str, shape)]
    found = subprocess.run(command, capture_output=True, text=True)
    return json.loads(found.stdout) if found.returncode == 0 else None


def run(out="results", commit=None, device: str = "cuda"):
    """Measure on a device and write ``attention_benchmark_<device>.json``; return its path."""
    modules = ["xent.ops.attention", "experiments.turns"]
    modules += ["xent.kernels.attention"] if device == "cuda" else []
    rows, path = [], None
    if device == "cpu":
        torch.set_num_threads(1)
    for shape in SHAPES[device]:
        found = measure(shape, device)
        for row in found:
            if device == "cpu" and row["pass"] == "both" and not row["causal"]:
                row["extra MiB"] = _memory(row["method"], shape)
        show(found)
        rows += found
        path = records.save(
            f"attention_benchmark_{device}",
            {"rows": rows},
            script=__file__,
            measures=modules,
            seeds=[0],
            out=out,
            commit=commit,
        )
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--out", default="results")
    parser.add_argument("--commit")
    parser.add_argument("--memory", help="print the peak memory of one method")
    parser.add_argument("--shape", nargs=4, type=int)
    given = parser.parse_args()
    if given.memory:
        print(json.dumps(peak_memory(given.memory, tuple(given.shape))))
    elif given.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch sees no CUDA device here; --device cpu measures this processor")
    else:
        print("recorded in", run(given.out, given.commit, given.device))


if __name__ == "__main__":
    main()
