"""What can be wrong with the image pipeline itself: its job store, lanes, storage, dead letters, webhooks and files.

Each module looks at one thing and returns findings, in the form that `darkroom.diagnosis` gives them. What is wrong
with the platform below (a server, a function, a Trigger) is found there.
"""

from darkroom.job_diagnosis.look import JobDiagnosis

__all__ = ["JobDiagnosis"]
