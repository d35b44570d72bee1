"""One narrow seam for each outside system: a Protocol in the package's `__init__`, one module for each technology, and
a fake in memory that passes the same contract suite. Libraries' errors are translated here and nowhere else.
"""
