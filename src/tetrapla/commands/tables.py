"""A table of figures that fits a terminal of 80 columns."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table


def plain_table(title: str, caption: str, columns: Sequence[str]) -> "Table":
    """Return a table of right-aligned columns; one without a name is of names."""
    from rich import box
    from rich.table import Table

    table = Table(
        title=title,
        title_justify="left",
        caption=caption,
        caption_justify="left",
        box=box.SIMPLE_HEAD,  # eight columns fit without rules between them
        padding=(0, 0, 0, 1),
        pad_edge=False,
    )
    for name in columns:
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    return table
