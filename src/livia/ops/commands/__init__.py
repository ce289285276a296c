"""The commands of `livia`: what each is told on the command line, and what it says.

They are read at every start, also of a mistyped command, which shall answer at once: what does the work is imported
only when it is run.
"""
