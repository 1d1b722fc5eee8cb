"""The atlas: how the installed libraries differ, observed and never typed in.

A row (row.py) asks one question of each library and runs it for the answer;
what people are told beside it, why and what to write, is checked by running
that too. `seen.json` is what the rows said when they were written, so that a
library that changes is noticed (seen.py).
"""
