"""Small networks for experiments: language models and classifiers that train in seconds on a CPU.

They have no twins; ``torch.compile`` may wrap them like any module.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xent.reference import arguments


def count_parameters(model: nn.Module, *, embeddings: bool = False) -> int:
    """Number of trained parameters; embedding and output tables count only if asked for.

    Args:
        model: any module; submodules of type ``nn.Embedding`` and one named ``head`` are tables.
        embeddings: count the tables too.

    Returns:
        The number.

    Raises:
        TypeError: if ``model`` is no module.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch module, got {type(model).__name__}")
    total = sum(p.numel() for p in model.parameters() if p.requires_grad)
    if embeddings:
        return total
    tables = [m for m in model.modules() if isinstance(m, nn.Embedding)]
    head = getattr(model, "head", None)
    tables += [head] if head is not None else []
    return total - sum(p.numel() for m in tables for p in m.parameters())


class TransformerBlock(nn.Module):
    """Pre-norm causal self-attention and a GELU layer of four times the width."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.attention_norm, self.hidden_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.expand, self.contract = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        parts = self.queries_keys_values(self.attention_norm(x))
        parts = parts.view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.output(mixed.transpose(1, 2).reshape(batch, length, width))
        return x + self.contract(F.gelu(self.expand(self.hidden_norm(x))))


class DecoderTransformer(nn.Module):
    """Decoder-only transformer with learned positions.

    Args:
        vocab: number of tokens.
        context: longest sequence.
        width: model width, a multiple of ``heads``.
        layers: number of blocks.
        heads: number of attention heads.

    ``forward`` takes tokens (B, T), T <= context, and returns next-token logits (B, T, vocab).
    """

    def __init__(self, vocab: int, context: int, *, width: int, layers: int = 2, heads: int = 2):
        super().__init__()
        for value, name in ((vocab, "vocab"), (context, "context"), (width, "width")):
            arguments.integer(value, name, low=1)
        if width % heads:
            raise ValueError(f"width must be a multiple of heads={heads}, got {width}")
        self.tokens, self.positions = nn.Embedding(vocab, width), nn.Embedding(context, width)
        self.blocks = nn.ModuleList(TransformerBlock(width, heads) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocab)
        for table in (self.tokens, self.positions, self.head):
            nn.init.normal_(table.weight, std=0.02)
        nn.init.zeros_(self.head.bias)
        for block in self.blocks:
            for last in (block.output, block.contract):
                nn.init.normal_(last.weight, std=0.02 / (2 * layers) ** 0.5)
                nn.init.zeros_(last.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        if tokens.shape[1] > self.positions.num_embeddings:
            raise ValueError(
                f"tokens must have at most context={self.positions.num_embeddings} positions, "
                f"got {tokens.shape[1]}"
            )
        x = self.tokens(tokens) + self.positions.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class MLPLanguageModel(nn.Module):
    """Predicts each token from the ``context`` tokens before it through one hidden layer.

    Args:
        vocab: number of tokens.
        context: how many previous tokens are read; positions before the start read a blank.
        width: width of an embedding.
        hidden: width of the hidden layer.

    ``forward`` takes tokens (B, T) and returns next-token logits (B, T, vocab).

    Raises:
        ValueError: if a number is below 1.
        TypeError: if a number is no integer.
    """

    def __init__(self, vocab: int, context: int, *, width: int, hidden: int):
        super().__init__()
        _sizes(vocab=vocab, context=context, width=width, hidden=hidden)
        self.context = context
        self.tokens = nn.Embedding(vocab + 1, width, padding_idx=vocab)
        self.hidden, self.head = nn.Linear(context * width, hidden), nn.Linear(hidden, vocab)

    def forward(self, tokens: Tensor) -> Tensor:
        padded = F.pad(tokens, (self.context - 1, 0), value=self.tokens.padding_idx)
        windows = self.tokens(padded).unfold(1, self.context, 1)
        return self.head(F.gelu(self.hidden(windows.flatten(2))))


ACTIVATIONS = {
    "gelu": nn.GELU,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
}


class GatedMLP(nn.Module):
    """One hidden layer gated by a second: ``head(values(x) * silu(gates(x)))``.

    Args:
        inputs: numbers per example.
        width: of the hidden layer.
        classes: number of classes.

    ``forward`` takes inputs (B, inputs) and returns logits (B, classes).

    Raises:
        ValueError: if a number is below 1.
        TypeError: if a number is no integer.
    """

    def __init__(self, inputs: int, width: int, classes: int):
        super().__init__()
        _sizes(inputs=inputs, width=width, classes=classes)
        self.values, self.gates = nn.Linear(inputs, width), nn.Linear(inputs, width)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.values(x) * F.silu(self.gates(x)))


class RowTransformer(nn.Module):
    """Reads an 8 x 8 image as eight rows and a class token; pre-norm blocks, no dropout.

    Args:
        width: model width, a multiple of four.
        layers: number of blocks.
        classes: number of classes.
        qk_norm: normalize queries and keys (LayerNorm without parameters) before the product.

    ``forward`` takes images (B, 64) and returns logits (B, classes). Every block keeps the largest
    attention logit of its last forward pass in ``largest_score``.

    Raises:
        ValueError: if a number is below 1 or ``width`` no multiple of four.
        TypeError: if a number is no integer.
    """

    def __init__(
        self, *, width: int = 32, layers: int = 2, classes: int = 10, qk_norm: bool = False
    ):
        super().__init__()
        _sizes(layers=layers, classes=classes)
        _heads(width, 4)
        self.rows, self.norm = nn.Linear(8, width), nn.LayerNorm(width)
        self.token = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.positions = nn.Parameter(0.02 * torch.randn(9, width))
        self.blocks = nn.ModuleList(RowBlock(width, 4, qk_norm=qk_norm) for _ in range(layers))
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        rows = self.rows(x.reshape(-1, 8, 8))
        x = torch.cat([self.token.expand(rows.shape[0], -1, -1), rows], dim=1) + self.positions
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x[:, 0]))


class RowBlock(nn.Module):
    """Pre-norm attention over all positions, written with a plain softmax, and a GELU layer.

    Args:
        width: model width, a multiple of ``heads``.
        heads: number of attention heads.
        qk_norm: normalize queries and keys (LayerNorm without parameters) before the product.

    ``forward`` takes and returns states (B, T, width).

    Raises:
        ValueError: if a number is below 1 or ``width`` no multiple of ``heads``.
        TypeError: if a number is no integer.
    """

    def __init__(self, width: int, heads: int, *, qk_norm: bool = False):
        super().__init__()
        self.heads, self.qk_norm, self.largest_score = _heads(width, heads), qk_norm, 0.0
        self.attention_norm, self.hidden_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.expand, self.contract = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        parts = self.queries_keys_values(self.attention_norm(x))
        parts = parts.view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        if self.qk_norm:
            q, k = F.layer_norm(q, q.shape[-1:]), F.layer_norm(k, k.shape[-1:])
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        self.largest_score = scores.detach().abs().amax()
        x = x + self.output((scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, length, width))
        return x + self.contract(F.gelu(self.expand(self.hidden_norm(x))))


def digit_classifier(name: str, *, activation: str = "gelu", width: int = 64) -> nn.Module:
    """A small network for 8 x 8 images, flattened to 64 numbers, in ten classes.

    Args:
        name: "linear", "mlp" (two hidden layers), "mlp-norm" (with LayerNorm), "gated-mlp",
            "cnn-norm" (two convolutions with BatchNorm) or "transformer".
        activation: of the MLPs; a key of ``ACTIVATIONS``.
        width: of the hidden layers of the MLPs.

    Returns:
        A module from inputs (B, 64) to logits (B, 10).

    Raises:
        ValueError: for an unknown name or activation, or a width below 1.
        TypeError: if ``width`` is no integer.
    """
    _sizes(width=width)
    arguments.choice(activation, "activation", tuple(ACTIVATIONS))
    names = ("linear", "mlp", "mlp-norm", "gated-mlp", "cnn-norm", "transformer")
    arguments.choice(name, "name", names)
    if name == "linear":
        return nn.Linear(64, 10)
    if name == "gated-mlp":
        return GatedMLP(64, width, 10)
    if name == "transformer":
        return RowTransformer()
    if name == "cnn-norm":
        layers = [nn.Unflatten(1, (1, 8, 8))]
        for channels, stride in ((1, 1), (16, 2)):
            layers += [nn.Conv2d(channels, 16, 3, stride, 1), nn.BatchNorm2d(16), nn.ReLU()]
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * 16, 10))
    layers = []
    for inputs in (64, width):
        layers.append(nn.Linear(inputs, width))
        layers += [nn.LayerNorm(width)] if name == "mlp-norm" else []
        layers.append(ACTIVATIONS[activation]())
    return nn.Sequential(*layers, nn.Linear(width, 10))


def _sizes(**sizes: int) -> None:
    for name, value in sizes.items():
        arguments.integer(value, name, low=1)


def _heads(width: int, heads: int) -> int:
    """The number of heads, which divides the width."""
    _sizes(width=width, heads=heads)
    if width % heads:
        raise ValueError(f"width must be a multiple of heads={heads}, got {width}")
    return heads
