"""Writes what is in the repository and made from the code: reference, gallery, metrics table, rules and dashboards.

Not in the wheel: nothing here runs in a product.
"""
