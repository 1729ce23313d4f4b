"""Random settings of ``policy-triangle.js``."""

import numpy as np

RTOL = 1e-8
ATOL = 1e-10


def parameters(rng) -> dict:
    p = 0.97 * rng.dirichlet(np.ones(3)) + 0.01
    method = str(rng.choice(["policy gradient", "natural gradient"]))
    rewards = {f"r{i}": round(0.05 * rng.integers(0, 21), 2) for i in range(3)}
    return {"method": method, **rewards, "x": p[1] + p[2] / 2, "y": np.sqrt(3) / 2 * p[2]}
