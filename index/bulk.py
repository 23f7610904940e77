"""all-MiniLM-L6-v2 for documents in bulk: the forward pass of `index.minilm` in torch, on the best device it has."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np

from index.minilm import DIM, EPSILON, HEAD_DIM, HEADS, Floats, Layer, Pieces, Weights

CPU_BATCH_TOKENS, GPU_BATCH_TOKENS = 2048, 65_536
"""Tokens of one torch batch: 8 to 32 texts on a CPU, where more leaves the cache; up to 512 on a GPU."""


class TorchForward:
    """Pieces of texts -> unit vectors, in batches of about equal length on the best device that torch has.

    Products run in bf16 where a timed probe finds that to pay, else in fp32; the residual stream, layer norm, softmax,
    pooling and the final scaling stay fp32 (cosine to fp32 at least .9999). Leaves torch's global settings alone.
    """

    def __init__(self, weights: Weights, precision: str | None = None) -> None:
        import torch

        self._device = _device()
        self.precision = precision or _faster_precision(self._device)
        narrow = torch.bfloat16 if self.precision == "bf16" else torch.float32

        def put(array: Floats, dtype: Any = torch.float32) -> Any:
            return torch.from_numpy(array).to(self._device, dtype)

        self._words, self._positions = put(weights.all_words()), put(weights.positions)
        self._norm = put(weights.gain), put(weights.shift)
        self._layers = [
            (
                [(put(w, narrow), put(b, narrow)) for w, b in _matrices(layer)],
                (put(layer.join_gain), put(layer.join_shift)),
                (put(layer.gain), put(layer.shift)),
            )
            for layer in weights.layers
        ]
        self._narrow = narrow

    def __call__(self, rows: Sequence[Pieces]) -> Floats:
        """(n, 384) float32 of n rows of ids."""
        import torch

        order = sorted(range(len(rows)), key=lambda row: -len(rows[row]))  # longest first: short of memory, fail early
        batches = [[rows[row] for row in batch] for batch in self._batches(rows, order)]
        vectors = np.empty((len(rows), DIM), np.float32)
        vectors[order] = torch.cat(self._all(batches)).cpu().numpy()
        return vectors

    def _all(self, batches: Sequence[Sequence[Pieces]]) -> list[Any]:
        """Each batch's vectors. On a CPU every core takes whole batches: nothing waits for the slowest core after each
        product, which is a quarter faster on a quiet machine and twice as fast on a busy one."""
        import torch

        cores = torch.get_num_threads()
        if self._device.type != "cpu" or cores == 1 or len(batches) == 1:
            return [self._batch(batch) for batch in batches]
        try:
            with ThreadPoolExecutor(cores, "embed", initializer=torch.set_num_threads, initargs=(1,)) as threads:
                return list(threads.map(self._batch, batches))
        finally:
            torch.set_num_threads(cores)  # the threads' own setting is also what later threads would start with

    def _batches(self, rows: Sequence[Pieces], order: Sequence[int]) -> Iterator[Sequence[int]]:
        tokens, fewest, most = (CPU_BATCH_TOKENS, 8, 32) if self._device.type == "cpu" else (GPU_BATCH_TOKENS, 64, 512)
        start = 0
        while start < len(order):
            count = min(max(tokens // len(rows[order[start]]), fewest), most)
            yield order[start : start + count]
            start += count

    def _batch(self, rows: Sequence[Pieces]) -> Any:
        """(n, 384) of rows sorted by length, longest first."""
        import torch

        with torch.inference_mode():
            return self._forward(rows)

    def _forward(self, rows: Sequence[Pieces]) -> Any:
        import torch
        from torch.nn import functional

        count, longest = len(rows), len(rows[0])
        padded = np.zeros((count, longest), np.int64)
        for line, row in zip(padded, rows, strict=True):
            line[: len(row)] = row
        ids = torch.from_numpy(padded).to(self._device)
        lengths = torch.tensor([len(row) for row in rows], device=self._device)
        real = torch.arange(longest, device=self._device) < lengths[:, None]
        mask = None if len(rows[-1]) == longest else real[:, None, None, :]

        def norm(x: Any, gain_shift: tuple[Any, Any]) -> Any:
            return functional.layer_norm(x, (DIM,), *gain_shift, EPSILON)

        x = norm(self._words[ids] + self._positions[:longest], self._norm)
        for (mix, join, widen, narrow), join_norm, out_norm in self._layers:
            heads = functional.linear(x.to(self._narrow), *mix).view(count, longest, 3, HEADS, HEAD_DIM)
            query, key, value = heads.permute(2, 0, 3, 1, 4)
            mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=1.0)
            joined = functional.linear(mixed.transpose(1, 2).reshape(count, longest, DIM), *join)
            x = norm(x + joined, join_norm)
            wide = functional.gelu(functional.linear(x.to(self._narrow), *widen))
            x = norm(x + functional.linear(wide, *narrow), out_norm)
        # The mean's divisor is left out: scaling to length 1 undoes it.
        return functional.normalize((x * real[:, :, None]).sum(1), dim=-1)


def _matrices(layer: Layer) -> list[tuple[Floats, Floats]]:
    return [
        (layer.mix, layer.mix_bias),
        (layer.join, layer.join_bias),
        (layer.widen, layer.widen_bias),
        (layer.narrow, layer.narrow_bias),
    ]


def _device() -> Any:
    import torch

    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


@cache
def _faster_precision(device: Any) -> str:
    """`bf16` if a product of the model's shape runs at least a fifth faster in it than in fp32 (probe: about 0.1 s)."""
    import torch

    rows = 1024 if device.type == "cpu" else 32_768  # a GPU would only show its launch time with fewer

    def seconds(dtype: Any) -> float:
        x, w = torch.ones(rows, DIM, device=device, dtype=dtype), torch.ones(4 * DIM, DIM, device=device, dtype=dtype)
        times = []
        for _ in range(7):  # the fastest of seven: the first ones set things up, any may be disturbed
            started = time.perf_counter()
            torch.nn.functional.linear(x, w)[-1, -1].item()  # .item() waits for a GPU
            times.append(time.perf_counter() - started)
        return min(times)

    with torch.inference_mode():
        try:
            return "bf16" if seconds(torch.bfloat16) * 1.2 < seconds(torch.float32) else "fp32"
        except (RuntimeError, TypeError):  # a device or an older driver without bf16
            return "fp32"
