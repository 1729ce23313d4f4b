"""Triton kernels, private to ``xent.ops``; importing a module here imports triton."""
