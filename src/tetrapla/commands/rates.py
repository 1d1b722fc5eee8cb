"""`tetrapla rates`: many learning rates at once, to see which are too small or large."""

import math
import time
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from tetrapla.backends import BUILT_IN, DTYPES, load
from tetrapla.commands import HELP, batch_size
from tetrapla.commands.train import rule_of
from tetrapla.data import DATASETS
from tetrapla.spec import OPTIMIZERS, RateSweep, Training, TrainingRun

BLOCKS = "▁▂▃▄▅▆▇█"


def _rates(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> list[float] | None:
    if value is None:
        return None
    try:
        return [float(rate) for rate in value.split(",")]
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a list such as 1e-3,1e-2") from None


@click.command(context_settings={**HELP, "show_default": True})
@click.argument("dataset", type=click.Choice(list(DATASETS)))
@click.option("--backend", default="numpy", metavar="NAME", help=f"{', '.join(BUILT_IN)}.")
@click.option(
    "--lr",
    callback=_rates,
    metavar="X,X,...",
    show_default="16 from 2^-12 to 8 times the optimizer's",
    help="Learning rates.",
)
@click.option("--epochs", default=5, help="Passes over the training data.")
@batch_size
@click.option("--optimizer", default="sgd", type=click.Choice(list(OPTIMIZERS)))
@click.option("--dtype", default="float32", type=click.Choice(DTYPES))
@click.option("--device", default="cpu", help="cpu, gpu or gpu:N.")
@click.option("--seed", default=0, help="Of the first weights and the order.")
def rates(dataset: str, **given: Any) -> None:
    """Train on DATASET once for each learning rate, from the same weights on.

    In torch and jax all of them are trained at once.
    """
    data = DATASETS[dataset]()
    net = data.network()
    name = given["backend"]
    rule, _ = rule_of(given["optimizer"], name)
    chosen = given["lr"] or [rule.lr * 2.0**k for k in range(-12, 4)]
    training = Training(
        given["epochs"], given["batch_size"], rule, data.loss, seed=given["seed"]
    )
    b = load(name, device=given["device"], dtype=given["dtype"])
    start = time.perf_counter()
    found = b.fit_rates(
        net,
        net.init(training.seed),
        (data.x_train, data.y_train),
        training,
        chosen,
        validation=(data.x_test, data.y_test),
    )
    took = time.perf_counter() - start
    table = Table(title=f"{data.name}, {rule.name}, {b.name}: {len(chosen)} learning rates")
    table.add_column("learning rate", justify="right")
    table.add_column("loss by epoch")
    for column in ("train loss", "test loss"):
        table.add_column(column, justify="right")
    table.add_column("")
    highest = max(map(_finite, (x for run in found.runs for x in run.history["loss"])))
    for rate, run in zip(found.rates, found.runs, strict=True):
        table.add_row(
            f"{rate:.3g}",
            "".join(_block(x, highest) for x in run.history["loss"]),
            f"{run.history['loss'][-1]:.4g}",
            f"{run.history['val_loss'][-1]:.4g}",
            _remark(found, rate, run),
        )
    Console().print(table)
    click.echo(f"trained in {took:.1f} s")


def _finite(loss: float) -> float:
    return loss if math.isfinite(loss) else 0.0


def _block(loss: float, highest: float) -> str:
    """Return a block as high as the loss is beside the highest one."""
    if not math.isfinite(loss) or not highest:
        return "x"
    return BLOCKS[min(7, int(8 * loss / highest))]


def _remark(found: RateSweep, rate: float, run: TrainingRun) -> str:
    """Return what became of the run, in a word."""
    first, *_, last = [*run.history["loss"], run.history["loss"][-1]]
    if not math.isfinite(last):
        return "diverged"
    if rate == found.best:
        return "best"
    return "rises" if last > first else ""
