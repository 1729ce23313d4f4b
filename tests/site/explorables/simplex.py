"""The triangle of laws against xent.reference.entropy."""

import numpy as np

from xent.reference import entropy as reference

TOP = np.sqrt(3) / 2
FIELDS = (
    "D(p‖q) as q moves",
    "D(q‖p) as q moves",
    "Jensen–Shannon of p and q",
    "entropy",
)


def parameters(rng):
    p, q = rng.dirichlet(np.ones(3), size=2) * 0.97 + 0.01
    return {
        "field": str(rng.choice(FIELDS)),
        "px": p[1] + p[2] / 2,
        "py": TOP * p[2],
        "qx": q[1] + q[2] / 2,
        "qy": TOP * q[2],
    }


def expected(field, px, py, qx, qy):
    p, q = (
        np.array([1 - y / TOP - (x - y / TOP / 2), x - y / TOP / 2, y / TOP])
        for x, y in ((px, py), (qx, qy))
    )
    forward, backward = reference.kl_divergence(p, q), reference.kl_divergence(q, p)
    js = reference.js_divergence(p, q)
    levels = (forward, backward, js, np.log(3) - reference.entropy(q))
    return {
        "p": p,
        "q": q,
        "level": levels[FIELDS.index(field)],
        "entropyP": reference.entropy(p),
        "entropyQ": reference.entropy(q),
        "cross": reference.cross_entropy(p, q),
        "forward": forward,
        "backward": backward,
        "js": js,
        "variation": reference.total_variation(p, q),
    }
