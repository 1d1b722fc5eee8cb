"""Cases x backends: whether the implementations agree.

Separate things, with small dataclasses between them:

    cases.py, suite*.py   what is checked, and with which numbers
    verification.py       what a backend answers, beside what the oracle expects
    comparison.py         how far apart they are, within the oracle's bounds
    engine.py             verdicts, in both dtypes, and why a case differs
    processes.py          the same for backends by name, each in its own process
    pairwise.py           backends against each other
    drift*, traject*.py   how far whole runs drift apart: a figure and no verdict

report.py prints, document.py writes JSON and html.py a page.
"""
