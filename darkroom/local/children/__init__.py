"""Processes: how they are started, kept alive, watched and always ended, and the servers that run beside the functions.

Knows nothing of Knative. Every process that is started here dies with the one that started it (`guard`).
"""
