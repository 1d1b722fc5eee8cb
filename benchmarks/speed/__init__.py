"""How fast `fit` is, beside what a user would pick instead.

    problems.py             what is trained
    contest.py              runs of everybody in alternation, in one process
    of_numpy.py ... of_tf.py  the contestants of each framework: ours, its
                            peers, written the way their documentation
                            teaches, and the floor
    measure.py              one process per framework; medians and ratios
    device_worker.py        what a framework calls a device, asked in its process
    chart.py                the figure
    scaling.py              how cost grows: the points, and what is found there
    scaling_worker.py       its measuring, in a framework's process
    resident.py             the memory that a call needs
    scaling_chart.py        its figure

In the package it is `tetrapla.benchmarks`; `tetrapla bench` calls it.
"""
