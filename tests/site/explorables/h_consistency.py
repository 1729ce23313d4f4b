"""What ``h-consistency.js`` must compute; it searches the middle range on a coarser grid."""

import numpy as np

from xent.reference import comp_sum

ATOL = 5e-6
BETAS = np.linspace(0, 1, 101)


def parameters(rng) -> dict:
    tau = round(0.05 * rng.integers(0, 81), 2)
    return {"tau": tau, "n": rng.integers(2, 60), "t": 10 ** rng.uniform(-3, 0)}


def expected(tau, n, t) -> dict:
    return {
        "old": comp_sum.h_consistency_transform(BETAS, tau, n),
        "now": comp_sum.exact_transform(BETAS, tau, n),
    }
