"""Random settings of ``simplex.js``."""

import numpy as np

TOP = np.sqrt(3) / 2
FIELDS = (
    "D(p‖q) as q moves",
    "D(q‖p) as q moves",
    "Jensen–Shannon of p and q",
    "entropy",
)


def parameters(rng) -> dict:
    p, q = rng.dirichlet(np.ones(3), size=2) * 0.97 + 0.01
    return {
        "field": str(rng.choice(FIELDS)),
        "px": p[1] + p[2] / 2,
        "py": TOP * p[2],
        "qx": q[1] + q[2] / 2,
        "qy": TOP * q[2],
    }
