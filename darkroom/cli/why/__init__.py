"""`darkroom why`: what is wrong now, what a job waits for, what became of an event, what the autoscaler decided."""
