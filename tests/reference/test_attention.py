"""xent.reference.attention against a sum over keys in mpmath."""

import mpmath
import numpy as np
import pytest

from xent.reference import attention as reference


@pytest.mark.parametrize("causal", [False, True])
def test_rows_agree_with_mpmath(causal):
    rng = np.random.default_rng(0)
    q, k, v = rng.normal(size=(3, 4)), rng.normal(size=(5, 4)), rng.normal(size=(5, 2))
    found = reference.attention_with_entropy(q, k, v, causal=causal, scale=0.7)
    for i in range(3):
        seen = range(i + 3 if causal else 5)
        scores = [mpmath.mpf(0.7) * mpmath.fdot(map(float, q[i]), map(float, k[j])) for j in seen]
        total = mpmath.fsum(map(mpmath.exp, scores))
        p = [mpmath.exp(s) / total for s in scores]
        for e in range(2):
            wanted = mpmath.fdot(p, [float(v[j, e]) for j in seen])
            assert found.output[i, e] == pytest.approx(float(wanted), rel=1e-13)
        entropy = -mpmath.fsum(x * mpmath.log(x) for x in p)
        assert found.entropy[i] == pytest.approx(float(entropy), rel=1e-13)
        assert found.lse[i] == pytest.approx(float(mpmath.log(total)), rel=1e-13)
        assert found.maximum[i] == pytest.approx(float(max(scores)), rel=1e-13)


def test_uniform_and_certain_rows():
    keys = np.array([[0.0], [0.0], [0.0], [1.0]])
    found = reference.attention_with_entropy([[0.0], [1e4]], keys, np.eye(4), scale=1.0)
    np.testing.assert_allclose(found.entropy, [np.log(4), 0.0], atol=1e-15)
    np.testing.assert_allclose(found.output, [np.full(4, 0.25), [0, 0, 0, 1]])


@pytest.mark.parametrize(
    ("shapes", "options", "match"),
    [
        (((2,), (3, 2), (3, 2)), {}, "q must have at least two axes"),
        (((2, 2), (3, 1), (3, 2)), {}, "same width"),
        (((2, 2), (3, 2), (4, 2)), {}, "same number"),
        (((2, 2), (0, 2), (0, 2)), {}, "same number > 0"),
        (((1, 2, 2), (2, 3, 2), (2, 3, 2)), {}, "leading axes"),
        (((4, 2), (3, 2), (3, 2)), {"causal": True}, "causal needs"),
        (((2, 2), (3, 2), (3, 2)), {"scale": 0.0}, "scale"),
    ],
)
def test_bad_input_is_named(shapes, options, match):
    with pytest.raises(ValueError, match=match):
        reference.attention_with_entropy(*map(np.zeros, shapes), **options)
