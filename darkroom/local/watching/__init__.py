"""What runs, waits and happened: the status, the event log and Prometheus' `/metrics`, served at the admin address.

Reads all other rooms and is imported by none of them.
"""
