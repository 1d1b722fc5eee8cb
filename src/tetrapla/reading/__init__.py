"""The implementations side by side: in the terminal, and on the site.

What is shown is read from the files that the tests run, when it is shown.
"""
