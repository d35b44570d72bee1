"""Darkroom: an image pipeline of serverless functions on Knative.

The packages, from the ground up: `contract` (what the outside world sees), `imaging` (pixels), `adapters` (one narrow
seam for each outside system), `serving` (what makes a plain function a Knative Service), `local` (Knative on one
machine), `cli` (the command). Each imports only those named before it.
"""

__version__ = "0.1.0"
