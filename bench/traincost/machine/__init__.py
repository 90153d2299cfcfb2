"""Which machine this is, and what it could do at most."""
