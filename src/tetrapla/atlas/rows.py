"""All rows, in the order of the atlas."""

from tetrapla.atlas import activations, layers, losses, numbers, optimizers
from tetrapla.atlas.row import Row

ROWS: tuple[Row, ...] = (
    *optimizers.ROWS,
    *losses.ROWS,
    *layers.ROWS,
    *activations.ROWS,
    *numbers.ROWS,
)


def about(word: str) -> list[Row]:
    """Return the rows that a reader who asks for the word means."""
    return [row for row in ROWS if row.matches(word)]


def words() -> list[str]:
    """Return what can be asked for."""
    return sorted({w for row in ROWS for w in (row.topic, *row.words)})
