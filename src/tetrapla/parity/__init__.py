"""Cases x backends: whether the implementations agree.

Four separate things, with small dataclasses between them:

    cases.py, suite.py    what is checked, and with which numbers
    reference.py          what must come out, and of what size
    observation.py        what a backend answers
    comparison.py         how far apart they are, by tolerances.py

engine.py runs them and report.py prints.
"""
