"""NumPy float64 references: the specification that every twin in ``xent.ops`` meets."""
