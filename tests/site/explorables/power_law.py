"""The least-squares constant and exponent of dragged points."""

import numpy as np

from xent.reference import scaling

RTOL = 2e-5


def parameters(rng):
    decades, alpha = round(rng.uniform(1.5, 5), 1), rng.uniform(0.25, 0.7)
    x = 10 ** (decades * np.arange(8) / 7)
    loss = 2 + x**-alpha + 0.003 * rng.normal(size=8)
    return {"decades": decades, "drag": True, **{f"y{i}": v for i, v in enumerate(loss)}}


def expected(decades, drag, **heights):
    x = 10 ** (decades * np.arange(8) / 7)
    fit = scaling.fit_power_law(x, [heights[f"y{i}"] for i in range(8)], bootstrap=0)
    return {"lInf": fit.l_inf, "alpha": fit.alpha}
