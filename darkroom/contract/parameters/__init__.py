"""The parameters of jobs: one module per job type, and what they share.

`values` and `gravity` define the values of fields, `output` the fields that every job type has; `parsing` turns what
callers send into a model and lists every mistake. Checks that depend on the picture (a crop outside of it, say) are in
`darkroom.imaging`. The job types themselves are listed in `darkroom.contract.job_types`.
"""
