"""Training on several ranks: a process each, one device each, measured as one.

The process that runs pytest (`ranks`) hands each case to the ranks as an `Order`. They build the
work, take the same passes in step (`passes`), and rank 0 merges what all of them saw into one row
(`merge`), which goes back and is saved. The processes live on from case to case.
"""
