"""One narrow seam per outside system: a Protocol in the package's `__init__`, one module per technology, and an
in-memory fake that passes the same contract suite. Libraries' errors are translated here and nowhere else.
"""
