"""`tetrapla train`: one run on real data, watched as it goes."""

import math
import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from tetrapla.backends import BUILT_IN, DTYPES, Backend, load
from tetrapla.commands import HELP, Refusal
from tetrapla.data import DATASETS, Dataset
from tetrapla.spec import (
    OPTIMIZERS,
    EpochReport,
    Sequential,
    StepReport,
    Training,
    TrainingRun,
)
from tetrapla.spec.dialects import PRESETS
from tetrapla.weights import save


def _widths(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> tuple[int, ...] | None:
    if value is None or value == "none":
        return None if value is None else ()
    try:
        return tuple(map(int, value.split(",")))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a list such as 128,64") from None


def _batch_size(ctx: click.Context, param: click.Parameter, value: str) -> int | str:
    try:
        return "all" if value == "all" else int(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a number or 'all'") from None


def _new_file(ctx: click.Context, param: click.Parameter, path: Path | None) -> Path | None:
    if path is not None and not path.parent.is_dir():  # said before, not after training
        raise click.BadParameter(f"there is no folder {str(path.parent)!r}")
    return path


@click.command(context_settings={**HELP, "show_default": True})
@click.argument("dataset", type=click.Choice(list(DATASETS)))
@click.option("--backend", default="numpy", metavar="NAME", help=f"{', '.join(BUILT_IN)}.")
@click.option("--epochs", default=10, help="Passes over the training data.")
@click.option(
    "--batch-size",
    default="32",
    metavar="N|all",
    callback=_batch_size,
    help="Examples per step.",
)
@click.option("--optimizer", default="adam", type=click.Choice(list(OPTIMIZERS)))
@click.option(
    "--dialect",
    type=click.Choice(list(PRESETS)),
    show_default="the library's, or ours",
    help="Whose formula and defaults the optimizer has.",
)
@click.option("--lr", type=float, show_default="the optimizer's", help="Learning rate.")
@click.option(
    "--hidden",
    callback=_widths,
    metavar="N,N,...",
    show_default="the data set's",
    help="Widths of the hidden layers, such as 128,64; or none.",
)
@click.option("--dtype", default="float32", type=click.Choice(DTYPES))
@click.option("--device", default="cpu", help="cpu, gpu or gpu:N.")
@click.option("--seed", default=0, help="Of the first weights and the order.")
@click.option(
    "--save",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_new_file,
    help="Write the trained weights to this .safetensors file.",
)
def train(
    dataset: str,
    backend: str,
    epochs: int,
    batch_size: int | str,
    optimizer: str,
    dialect: str | None,
    lr: float | None,
    hidden: tuple[int, ...] | None,
    dtype: str,
    device: str,
    seed: int,
    path: Path | None,
) -> None:
    """Train a network on DATASET and print loss and score per epoch.

    The same seed gives the same first weights and the same order of the
    examples in every backend: only the rounding differs.
    """
    data = DATASETS[dataset]()
    net = data.network(hidden)
    if dialect is None and backend in BUILT_IN:
        dialect = BUILT_IN[backend].dialect
    make = OPTIMIZERS[optimizer]
    rule = getattr(make, dialect)() if dialect else make()
    rule = rule if lr is None else rule.with_lr(lr)
    training = Training(epochs, batch_size, rule, data.loss, seed=seed)
    console = Console(highlight=False)
    with console.status(f"loading {backend}"):
        b = load(backend, device=device, dtype=dtype)
    _introduce(data, net, training, b, dialect)
    start = time.perf_counter()
    run = _watched(b, net, data, training, console)
    click.echo(f"\ntrained in {time.perf_counter() - start:.1f} s")
    if path is not None:
        try:
            save(path, net, run.weights)
        except OSError as error:
            raise Refusal(f"cannot write {path}: {error.strerror}") from error
        click.echo(f"saved {path}")


def _introduce(
    data: Dataset, net: Sequential, training: Training, b: Backend, dialect: str | None
) -> None:
    widths = [net.inputs, *(layer.outputs for layer in net.dense.values())]
    parameters = sum(math.prod(shape) for shape in net.shapes.values())
    facts = {
        "data": f"{data.name}, {len(data.x_train):,} training and "
        f"{len(data.x_test):,} test examples",
        "network": f"{'-'.join(map(str, widths))}, {parameters:,} parameters",
        "loss": data.loss.name.replace("_", " "),
        "optimizer": f"{training.optimizer.name}{f' of {dialect}' if dialect else ''}, "
        f"learning rate {training.optimizer.lr:g}",
        "backend": f"{b.name} on {b.device}, {b.dtype}",
    }
    for fact, value in facts.items():
        click.echo(f"{click.style(f'{fact:<10}', fg='cyan')} {value}")


def _watched(
    b: Backend, net: Sequential, data: Dataset, training: Training, console: Console
) -> TrainingRun:
    """Train; a row per epoch, and on a terminal a bar below the rows."""
    header = f"epoch  train loss   test loss{'test ' + data.metric:>15}    time"
    click.secho(f"\n{header}", bold=True)
    bar = Progress(
        TextColumn("epoch {task.fields[epoch]}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    steps = training.epochs * len(training.batches(training.order(0, len(data.x_train))))
    task = bar.add_task("", total=steps, epoch=1)
    last = time.perf_counter()

    def on_step(report: StepReport) -> None:
        bar.update(task, advance=1, epoch=report.epoch + 1)

    def on_epoch(report: EpochReport) -> None:
        nonlocal last
        outputs = b.forward(net, report.weights(), data.x_test)
        test_loss = float(b.loss(data.loss, outputs, data.y_test))
        now = time.perf_counter()
        row = (
            f"{report.epoch + 1:>5}{report.history['loss']:>12.6f}{test_loss:>12.6f}"
            f"{_score(data, outputs):>15}{now - last:>7.2f}s"
        )
        last = now
        console.print(row)

    with bar:
        return b.fit(
            net,
            net.init(training.seed),
            (data.x_train, data.y_train),
            training,
            on_step=on_step if console.is_terminal else None,
            on_epoch=on_epoch,
        )


def _score(data: Dataset, outputs: Any) -> str:
    score = data.score(outputs)
    return f"{score:.4f}" if data.metric == "R^2" else f"{score:.1%}"
