"""What ``temperature-softmax.js`` must compute."""

import numpy as np

from xent.reference import entropy
from xent.reference.softmax import logsumexp, softmax


def parameters(rng) -> dict:
    z0, z1, z2 = rng.uniform(-3, 3, 3)
    return {"tau": 10 ** rng.uniform(-1, 1), "z0": z0, "z1": z1, "z2": z2}


def expected(tau, z0, z1, z2) -> dict:
    scaled = np.array([z0, z1, z2]) / tau
    probs = softmax(scaled)
    return {"probs": probs, "lse": logsumexp(scaled), "entropy": entropy.entropy(probs)}
