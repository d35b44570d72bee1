"""Formats shared by the platform and the application: CloudEvents, durations, trace context, strict JSON.

Pure functions on values. This package is the bottom layer and imports nothing from the packages above it, except the
roots of the error tree and redaction.
"""
