"""What a case, a row and a result file are."""
