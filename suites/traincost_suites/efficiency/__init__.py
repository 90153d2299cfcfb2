"""Ways to make a training step cheaper: the step in each, and whether it learns the same."""
