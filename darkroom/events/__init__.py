"""What both halves say to each other and to the world: CloudEvents, durations, trace context, strict JSON.

Pure, and the ground floor of the house: values in, values out, and nothing of the project above is known here.
"""
