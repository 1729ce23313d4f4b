"""Cross-entropy, softmax, scaling laws and entropy: the library under *The Cross-Entropy Book*.

``xent.reference`` holds the formulas in NumPy float64; ``xent.ops`` their differentiable PyTorch
twins, some with Triton kernels; ``xent.parity`` checks one against the other.
"""

__version__ = "0.1.0"
