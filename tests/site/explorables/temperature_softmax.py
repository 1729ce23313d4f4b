"""Random settings of ``temperature-softmax.js``."""


def parameters(rng) -> dict:
    z0, z1, z2 = rng.uniform(-3, 3, 3)
    return {"tau": 10 ** rng.uniform(-1, 1), "z0": z0, "z1": z1, "z2": z2}
