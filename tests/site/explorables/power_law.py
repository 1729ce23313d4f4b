"""Random settings of ``power-law.js``: points that fall like a power, some with its own noise."""

import numpy as np

RTOL = 2e-5


def parameters(rng) -> dict:
    decades, alpha = round(rng.uniform(1.5, 5), 1), round(rng.uniform(0.25, 0.7), 2)
    x = 10 ** (decades * np.arange(8) / 7)
    loss = 2 + x**-alpha + 0.003 * rng.normal(size=8)
    own = {"alpha": alpha, "noise": 0.003, "sample": rng.integers(1, 41)}
    points = {f"y{i}": v for i, v in enumerate(loss)}
    return {"decades": decades, "drag": bool(rng.random() < 0.5), **own, **points}
