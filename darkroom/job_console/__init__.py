"""The application's pages of the console: jobs, and what was given up.

They read the job store, the storage and the dead letters as functions do, and act by the same code as the API and the
command line. The frame, the access checks and the audit log are `darkroom.console`'s.
"""
