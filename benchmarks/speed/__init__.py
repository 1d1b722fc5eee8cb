"""How fast `fit` is, beside what a user would pick instead.

    problems.py             what is trained
    contest.py              runs of everybody in alternation, in one process
    of_numpy.py ... of_tf.py  the contestants of each framework: ours, its
                            peers, written the way their documentation
                            teaches, and the floor
    measure.py              one process per framework; medians and ratios
    chart.py                the figure

In the package it is `tetrapla.benchmarks`; `tetrapla bench` calls it.
"""
