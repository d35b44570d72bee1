"""Writes the generated files of the repository: reference, gallery, metrics table, rules and dashboards.

Not in the wheel: nothing here runs in production.
"""
