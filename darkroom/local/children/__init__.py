"""Child processes: starting, supervising and always ending them, and the servers that run beside the functions.

Nothing here depends on Knative. Every process started here dies with the process that started it (`guard`).
"""
