"""Differentiable PyTorch twins of ``xent.reference``: same modules, names and argument order."""
