"""Three-pass against two-pass softmax in C on this processor: time per logit, beside a copy.

``python -m experiments.softmax_passes [--out results] [--commit ID]`` needs an x86 C compiler
(``cc``). Each algorithm is written once, with intrinsics, and compiled for AVX2 and for AVX-512.
The passes are those of the paper's open-source benchmark: three passes with recomputing move 4 N
floats, with reloading 5 N, two passes 3 N, a copy 2 N (writes counted once).
"""

from __future__ import annotations

import argparse
import ctypes
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from xent import records

SOURCE = r"""
#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#define WAYS 4
#ifdef __AVX512F__
#define LANES 16
typedef __m512 vec;
#define load _mm512_loadu_ps
#define store _mm512_storeu_ps
#define larger _mm512_max_ps
#define all _mm512_set1_ps
#define scaled _mm512_scalef_ps /* p 2^n */
#else
#define LANES 8
typedef __m256 vec;
#define load _mm256_loadu_ps
#define store _mm256_storeu_ps
#define larger _mm256_max_ps
#define all _mm256_set1_ps
static inline vec scaled(vec p, vec n) { /* n integral and <= 0; zero below -126 */
    vec biased = larger(n, all(-127.0f)) + all(0x1.8000FEp23f);
    return p * _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(biased), 23));
}
#endif

/* e^x = p 2^n with |x - n ln 2| <= ln(2)/2: Taylor of degree 6, remainder 1.3e-7 */
static inline vec mantissa(vec x, vec *n) {
    const vec magic = all(0x1.8p23f);
    *n = (x * all(1.44269504f) + magic) - magic;
    vec t = x - *n * all(0x1.62e4p-1f);
    t = t - *n * all(0x1.7f7d1cp-20f);
    vec p = t * all(1 / 720.0f) + all(1 / 120.0f);
    p = p * t + all(1 / 24.0f);
    p = p * t + all(1 / 6.0f);
    p = p * t + all(0.5f);
    p = p * t + all(1.0f);
    return p * t + all(1.0f);
}
static inline vec exponential(vec x) { vec n, p = mantissa(x, &n); return scaled(p, n); }

static float maximum(const float *x, size_t count) {
    vec m[WAYS];
    for (int w = 0; w < WAYS; w++) m[w] = all(-INFINITY);
    for (size_t i = 0; i < count; i += LANES * WAYS)
        for (int w = 0; w < WAYS; w++) m[w] = larger(m[w], load(x + i + LANES * w));
    float top = -INFINITY;
    for (int w = 0; w < WAYS; w++)
        for (int k = 0; k < LANES; k++) top = fmaxf(top, m[w][k]);
    return top;
}
static float total(const vec *s) {
    float sum = 0;
    for (int w = 0; w < WAYS; w++)
        for (int k = 0; k < LANES; k++) sum += s[w][k];
    return sum;
}
void recompute(const float *x, float *y, size_t count) {
    const float top = maximum(x, count);
    vec s[WAYS] = {{0}};
    for (size_t i = 0; i < count; i += LANES * WAYS)
        for (int w = 0; w < WAYS; w++) s[w] += exponential(load(x + i + LANES * w) - all(top));
    const float scale = 1 / total(s);
    for (size_t i = 0; i < count; i += LANES)
        store(y + i, exponential(load(x + i) - all(top)) * all(scale));
}
void reload(const float *x, float *y, size_t count) {
    const float top = maximum(x, count);
    vec s[WAYS] = {{0}};
    for (size_t i = 0; i < count; i += LANES * WAYS)
        for (int w = 0; w < WAYS; w++) {
            vec e = exponential(load(x + i + LANES * w) - all(top));
            store(y + i + LANES * w, e);
            s[w] += e;
        }
    const float scale = 1 / total(s);
    for (size_t i = 0; i < count; i += LANES) store(y + i, load(y + i) * all(scale));
}
void two_pass(const float *x, float *y, size_t count) {
    vec s[WAYS] = {{0}}, e[WAYS];
    for (int w = 0; w < WAYS; w++) e[w] = all(-1e30f);
    for (size_t i = 0; i < count; i += LANES * WAYS)
        for (int w = 0; w < WAYS; w++) {
            vec n, p = mantissa(load(x + i + LANES * w), &n);
            vec top = larger(e[w], n);
            s[w] = scaled(s[w], e[w] - top) + scaled(p, n - top);
            e[w] = top;
        }
    float top = -1e30f, sum = 0;
    for (int w = 0; w < WAYS; w++)
        for (int k = 0; k < LANES; k++) top = fmaxf(top, e[w][k]);
    for (int w = 0; w < WAYS; w++)
        for (int k = 0; k < LANES; k++) sum += s[w][k] * exp2f(e[w][k] - top);
    const float scale = 1 / sum;
    for (size_t i = 0; i < count; i += LANES) {
        vec n, p = mantissa(load(x + i), &n);
        store(y + i, scaled(p * all(scale), n - all(top)));
    }
}
void copy(const float *x, float *y, size_t count) {
    for (size_t i = 0; i < count; i += LANES) store(y + i, load(x + i));
}
"""

PASSES = {"copy": 2, "recompute": 4, "reload": 5, "two_pass": 3}  # floats moved per logit
TARGETS = {"avx512": ["-mavx512f"], "avx2": ["-mavx2"]}
SIZES = [2**12, 2**16, 2**20, 2**25]
REPEATS = 15


def compiled(target: str, folder: Path) -> ctypes.CDLL:
    """Compile the C source for one instruction set."""
    source, library = folder / "softmax_passes.c", folder / f"{target}.so"
    source.write_text(SOURCE, encoding="utf-8")
    flags = ["-O3", "-mfma", "-shared", "-fPIC", "-fno-tree-loop-distribute-patterns", "-w"]
    subprocess.run(["cc", *flags, *TARGETS[target], source, "-o", library, "-lm"], check=True)
    return ctypes.CDLL(str(library))


def runner(library: ctypes.CDLL, name: str, x, y):
    """Return a call that runs one algorithm on contiguous float32 arrays."""
    function = getattr(library, name)
    function.argtypes, function.restype = [ctypes.c_void_p] * 2 + [ctypes.c_size_t], None
    return lambda: function(x.ctypes.data, y.ctypes.data, x.size)


def worst_errors(library: ctypes.CDLL) -> dict[str, float]:
    """Largest relative error against float64 over probabilities above 1e-30, logits near 8000."""
    x = (8e3 + 10 * np.random.default_rng(1).normal(size=2**16)).astype(np.float32)
    p = np.exp(x.astype(np.float64) - x.max())
    p /= p.sum()
    errors = {}
    for name in PASSES.keys() - {"copy"}:
        y = np.empty_like(x)
        runner(library, name, x, y)()
        errors[name] = float(np.abs(y / p - 1)[p > 1e-30].max())
    return errors


def measure(library: ctypes.CDLL, size: int, repeats: int = REPEATS) -> dict[str, list[float]]:
    """Nanoseconds of processor time per logit; the algorithms take turns in each repeat."""
    x = (100 * np.random.default_rng(0).normal(size=size)).astype(np.float32)
    y = np.empty_like(x)
    calls = max(1, 2**24 // size)
    times = {name: [] for name in PASSES}
    for repeat in range(repeats + 1):
        for name in PASSES:
            run = runner(library, name, x, y)
            began = time.process_time_ns()
            for _ in range(calls):
                run()
            if repeat:  # the first round warms up
                times[name].append((time.process_time_ns() - began) / (calls * size))
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="results")
    parser.add_argument("--commit")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for target in TARGETS:
            library = compiled(target, Path(folder))
            errors = worst_errors(library)
            for size in SIZES:
                times = measure(library, size)
                rows.append({"target": target, "logits": size, "ns": times, "errors": errors})
                medians = {name: round(float(np.median(t)), 3) for name, t in times.items()}
                print(target, size, medians, flush=True)
    values = {"rows": rows, "passes": PASSES}
    path = records.save(
        "softmax_passes",
        values,
        script=__file__,
        seeds=[0, 1],
        out=arguments.out,
        commit=arguments.commit,
    )
    print("recorded in", path)


if __name__ == "__main__":
    main()
