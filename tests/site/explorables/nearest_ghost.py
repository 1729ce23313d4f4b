"""The nearest zero, the bound and the Taylor series of a three-class line."""

import numpy as np

from xent.reference import ghosts

RTOL = 1e-6
ATOL = 1e-9


def parameters(rng):
    slopes = np.linspace(-2, 2, 41)[rng.choice(41, 3, replace=False)]
    setting = {f"z{k}": rng.uniform(-4, 4) for k in (1, 2, 3)}
    setting |= {f"a{k}": slopes[k - 1] for k in (1, 2, 3)}
    return {"degree": rng.integers(1, 21), **setting}


def expected(degree, z1, z2, z3, a1, a2, a3):
    z, a = np.array([z1, z2, z3]), np.array([a1, a2, a3])
    return {
        "radius": ghosts.convergence_radius(z, a),
        "bound": ghosts.radius_lower_bound(a),
        "series": ghosts.taylor_coefficients(z, a, degree),
    }
