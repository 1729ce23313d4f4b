"""Random settings of ``online-softmax.js``: the float64 loss, and the float32 way that meets it."""

COMPARED = ("exact", "maxOut")
RTOL = 1e-5  # "maxOut" is computed in float32; the exact losses agree far better
ATOL = 0.0


def parameters(rng) -> dict:
    return {"gap": rng.integers(0, 61), "offset": 100.0 * rng.integers(0, 101)}
