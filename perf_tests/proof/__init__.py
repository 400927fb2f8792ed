"""The proof that the harness sees 1 %: the same code again, real slowdowns, and its own overhead."""
