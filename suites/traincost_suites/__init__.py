"""What the suites measure: models, data, training steps and the grids of their axes."""
