"""Training steps shared by several ranks: the strategies, and a rank's part of a step."""
