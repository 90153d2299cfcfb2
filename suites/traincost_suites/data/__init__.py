"""What the models train on: bytes of real text, digits, and synthetic volumes, all in shards."""
