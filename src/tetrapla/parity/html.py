"""stub"""


def write(report, path):
    raise NotImplementedError
