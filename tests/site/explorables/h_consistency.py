"""Random settings of ``h-consistency.js``; it searches the middle range on a coarser grid."""

ATOL = 5e-6


def parameters(rng) -> dict:
    tau = round(0.05 * rng.integers(0, 81), 2)
    return {"tau": tau, "n": rng.integers(2, 60), "t": 10 ** rng.uniform(-3, 0)}
