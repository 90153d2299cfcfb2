"""Terminal tables and pages: the only layer that prints."""
