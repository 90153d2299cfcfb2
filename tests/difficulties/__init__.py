"""What docs/difficulties.md says of each difficulty, formed from the rows of a reference run."""
