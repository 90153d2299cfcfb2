"""What a training run would cost that nobody has paid for yet, from rows of smaller ones."""
