"""The public contract: events, jobs and their states, parameters, limits, errors.

Pure: values in, values out. No I/O, no settings from the environment, no logging; those live in `adapters` and
`serving`.
"""
