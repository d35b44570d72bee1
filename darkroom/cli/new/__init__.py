"""`darkroom new`: writes the files of a project, or of one more function.

`layout` reads what a folder has already; `project`, `function` and `job_function` decide what is written; `changes`
writes it and never overwrites anything. The texts are in `templates/`, with `$name` where a value goes. Nothing is
started here.
"""
