"""Ways to run the steps of a case: Roofgate's own, and those that a user adds."""
