"""Random settings of ``isoflop.js``; the share of the budget is the root of the reference's law."""

RTOL = 1e-8


def parameters(rng) -> dict:
    return {
        "fit": str(rng.choice(["replication", "as first published"])),
        "compute": 10 ** rng.uniform(18, 26),
        "size": 10 ** rng.uniform(8, 12),
    }
