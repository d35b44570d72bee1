"""The console's process: started when somebody looks, reached through the admin address, ended with the runtime.

The pages are in `darkroom.console`; here is only what brings them up on one machine.
"""
