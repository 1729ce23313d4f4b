"""Random settings of ``nearest-ghost.js``."""

import numpy as np

RTOL = 1e-6
ATOL = 1e-9


def parameters(rng) -> dict:
    slopes = np.linspace(-2, 2, 41)[rng.choice(41, 3, replace=False)]
    setting = {f"z{k}": rng.uniform(-4, 4) for k in (1, 2, 3)}
    setting |= {f"a{k}": slopes[k - 1] for k in (1, 2, 3)}
    return {"degree": rng.integers(1, 21), **setting}
