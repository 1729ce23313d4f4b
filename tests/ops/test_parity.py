"""Every twin against its reference: PyTorch on the CPU and Triton in its interpreter."""

import dataclasses

import numpy as np
import pytest

from xent import parity

RUNS = [
    pytest.param(twin, dtype, backend, id=f"{twin.name}-{backend}-{dtype}")
    for twin in parity.TWINS
    for backend in twin.backends
    for dtype in twin.tolerance
]


@pytest.mark.parametrize(("twin", "dtype", "backend"), RUNS)
def test_twin_agrees_with_its_reference(twin, dtype, backend):
    if backend == "triton":
        pytest.importorskip("triton", reason="triton is not installable on this platform")
    result = parity.compare(twin, dtype, backend)
    assert result.passed, parity.table([result])
    assert result.cases > 0


def test_names_are_unique_and_match_their_modules():
    names = [twin.name for twin in parity.TWINS]
    assert len(set(names)) == len(names)
    for twin in parity.TWINS:
        module, function = twin.name.split()[0].split(".")
        assert twin.reference.__module__ == f"xent.reference.{module}"
        assert twin.op.__module__ == f"xent.ops.{module}"
        assert twin.reference.__name__ == function == twin.op.__name__


TWIN = next(t for t in parity.TWINS if t.name == "softmax.softmax")


def test_a_wrong_value_is_found():
    wrong = dataclasses.replace(TWIN, op=lambda z, axis=-1, backend="": TWIN.op(z, axis) * 1.0001)
    assert not parity.compare(wrong, "float32", "torch").passed


def test_a_wrong_gradient_is_found():
    def shifted(z, axis=-1, backend=""):
        wrong = z.clamp_min(-1e6)
        return TWIN.op(z, axis) + 1e-3 * (wrong - wrong.detach())

    result = parity.compare(dataclasses.replace(TWIN, op=shifted), "float32", "torch")
    assert not result.passed and result.gradient_error > result.gradient_tolerance
    assert result.error <= result.tolerance


def test_a_nan_is_found():
    wrong = dataclasses.replace(
        TWIN, op=lambda z, axis=-1, backend="": TWIN.op(z, axis) + z.isinf() * np.nan
    )
    result = parity.compare(wrong, "float32", "torch")
    assert result.error == np.inf and not result.passed


def test_twice_the_eager_error_is_allowed_on_request():
    def rough(z, axis=-1, backend=""):
        return TWIN.op(z, axis) * (1 + 1e-3)

    twin = dataclasses.replace(TWIN, op=rough, gradient=None)
    assert not parity.compare(twin, "float32", "torch").passed
    assert parity.compare(dataclasses.replace(twin, eager=rough), "float32", "torch").passed


def test_autograd_of_a_formula_gives_the_reference_gradient():
    import torch

    gradient = parity.autograd(lambda z, axis=-1: torch.softmax(z, axis))
    z, g = np.random.default_rng(0).normal(size=(2, 4, 5))
    (found,), (wanted,) = gradient(g, z), TWIN.gradient(g, z)
    assert np.allclose(found, wanted, rtol=1e-12, atol=1e-15)


def test_record_and_table(tmp_path):
    results = [parity.compare(TWIN, "float32", "torch")]
    path = parity.record(results, tmp_path, commit="0" * 12)
    assert path.name == "parity_cpu.json" and "softmax.softmax" in path.read_text()
    assert "ok" in parity.table(results)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"backends": ("cuda",)}, ValueError, "backends"),
        ({"only": "no such"}, ValueError, "only"),
        ({"device": "tpu"}, ValueError, "device must be one of 'cpu', 'cuda'"),
        ({"device": None}, ValueError, "device"),
    ],
)
def test_bad_requests_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        parity.run(**arguments)


def test_cuda_without_a_device_says_so():
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a device here")
    with pytest.raises(RuntimeError, match="CUDA"):
        parity.run("cuda")
