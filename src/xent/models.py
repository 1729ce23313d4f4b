"""Small networks for experiments: language models that train in seconds on a CPU.

They have no twins; ``torch.compile`` may wrap them like any module.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from xent.reference import arguments


def count_parameters(model: nn.Module, *, embeddings: bool = False) -> int:
    """Number of trained parameters; embedding and output tables count only if asked for.

    Args:
        model: any module; submodules of type ``nn.Embedding`` and one named ``head`` are tables.
        embeddings: count the tables too.
    """
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
    """

    def __init__(self, vocab: int, context: int, *, width: int, hidden: int):
        super().__init__()
        for value, name in ((vocab, "vocab"), (context, "context"), (hidden, "hidden")):
            arguments.integer(value, name, low=1)
        self.context = context
        self.tokens = nn.Embedding(vocab + 1, width, padding_idx=vocab)
        self.hidden, self.head = nn.Linear(context * width, hidden), nn.Linear(hidden, vocab)

    def forward(self, tokens: Tensor) -> Tensor:
        padded = F.pad(tokens, (self.context - 1, 0), value=self.tokens.padding_idx)
        windows = self.tokens(padded).unfold(1, self.context, 1)
        return self.head(F.gelu(self.hidden(windows.flatten(2))))
