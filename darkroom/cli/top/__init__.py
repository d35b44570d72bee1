"""`darkroom top`: what runs, live in the terminal."""
