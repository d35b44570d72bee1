"""Observability: the status, the event log and Prometheus's `/metrics`, served at the admin address.

It reads from all other packages of the runtime and is imported by none of them.
"""
