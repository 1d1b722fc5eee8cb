"""`tetrapla train`: one run on real data, watched as it goes."""

import math
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from click.core import ParameterSource
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from tetrapla.backends import BUILT_IN, Backend, load
from tetrapla.checkpoints import Checkpoint, Checkpoints
from tetrapla.commands import FILE, HELP, Refusal, batch_size, check_folders, written
from tetrapla.data import DATASETS, Dataset
from tetrapla.spec import (
    OPTIMIZERS,
    ConstantSchedule,
    CosineDecay,
    EarlyStopping,
    EpochReport,
    Optimizer,
    Sequential,
    StepDecay,
    StepReport,
    Training,
    TrainingRun,
    TrainingState,
    Warmup,
)
from tetrapla.spec.contract import Data
from tetrapla.spec.dialects import PRESETS
from tetrapla.spec.precisions import PRECISIONS
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


FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command(context_settings={**HELP, "show_default": True})
@click.argument("dataset", type=click.Choice(list(DATASETS)), required=False)
@click.option("--backend", default="numpy", metavar="NAME", help=f"{', '.join(BUILT_IN)}.")
@click.option("--epochs", default=10, help="Passes over the training data.")
@click.option(
    "--stop-after",
    type=click.IntRange(1),
    help="Epochs after which to stop for now; schedules are planned for --epochs.",
)
@batch_size
@click.option("--optimizer", default="adam", type=click.Choice(list(OPTIMIZERS)))
@click.option(
    "--dialect",
    type=click.Choice(list(PRESETS)),
    show_default="the library's, or ours",
    help="Whose formula and defaults the optimizer has.",
)
@click.option("--lr", type=float, show_default="the optimizer's", help="Learning rate.")
@click.option(
    "--schedule",
    type=click.Choice(["constant", "step", "cosine", "warmup"]),
    default="constant",
    help="Of the learning rate over the run: step, a tenth after each third; cosine, down "
    "to 0; warmup, up during the first tenth, then cosine.",
)
@click.option("--l2", default=0.0, help="Factor of the L2 penalty on the weight matrices.")
@click.option("--dropout", default=0.0, help="Rate of it, after each hidden layer.")
@click.option(
    "--patience",
    type=click.IntRange(1),
    help="Stop early, after so many epochs without gain on a held-out fifth of the "
    "training data.",
)
@click.option(
    "--hidden",
    callback=_widths,
    metavar="N,N,...",
    show_default="the data set's",
    help="Widths of the hidden layers, such as 128,64; or none.",
)
@click.option("--dtype", default="float32", type=click.Choice(list(PRECISIONS)))
@click.option("--device", default="cpu", help="cpu, gpu or gpu:N.")
@click.option("--seed", default=0, help="Of the first weights, the order and dropout.")
@click.option(
    "--checkpoint",
    type=FOLDER,
    help="Save the run's state in this folder after every epoch.",
)
@click.option(
    "--resume",
    type=FOLDER,
    help="Go on with the run whose checkpoints are in this folder, in any backend.",
)
@click.option("--every", type=click.IntRange(1), help="Steps between two checkpoints.")
@click.option("--keep", default=3, type=click.IntRange(1), help="How many are kept.")
@click.option(
    "--save",
    "path",
    type=FILE,
    help="Write the trained weights to this .safetensors file.",
)
@click.pass_context
def train(ctx: click.Context, /, **given: Any) -> None:
    """Train a network on DATASET and print loss and score per epoch.

    The same seed gives the same first weights, order of the examples and
    dropout masks in every backend: only the rounding differs.

    With --checkpoint a run that is killed, or interrupted with Ctrl-C, goes on
    with --resume: in the same backend to the bit, or in another one.
    """
    check_folders(given["path"])
    console = Console(highlight=False)
    dialect: str | None
    if given["resume"] is not None:
        data, saved = _saved(ctx, given)
        net, training, state = saved.net, saved.training, saved.state
        dialect = saved.about.get("dialect")
        for name in ("backend", "device", "dtype", "every", "keep"):
            if not _is_given(ctx, name):
                given[name] = saved.about[name]
        if _is_given(ctx, "epochs"):
            training = replace(training, epochs=given["epochs"])
    elif given["dataset"] is None:
        raise click.UsageError("Missing argument 'DATASET', or --resume DIR.", ctx)
    else:
        data, state = DATASETS[given["dataset"]](), None
        net, training, dialect = _asked(data, given)
    folder = given["resume"] or given["checkpoint"]
    for name in ("every", "keep"):
        if folder is None and _is_given(ctx, name):
            raise click.UsageError(f"--{name} needs --checkpoint DIR.", ctx)
    checkpoints = None
    if folder is not None:
        every, keep = given["every"], given["keep"]
        about = {"dataset": data.name, "dialect": dialect, "every": every, "keep": keep}
        checkpoints = Checkpoints(folder, every=every, keep=keep, about=about)
    with console.status(f"loading {given['backend']}"):
        b = load(given["backend"], device=given["device"], dtype=given["dtype"])
    _introduce(data, net, training, b, dialect)
    if state is not None:
        click.echo(f"{_label('resumed')} {folder}, after {_done(state, training)}")
    start = time.perf_counter()
    try:
        run = _watched(
            b, net, data, training, console, checkpoints, state, given["stop_after"]
        )
    except OSError as error:
        if checkpoints is None:
            raise
        raise Refusal(f"cannot keep checkpoints in {folder}: {error.strerror}") from error
    except KeyboardInterrupt:
        if checkpoints is not None and checkpoints.paths():
            last = checkpoints.paths()[-1]
            click.echo(f"\n{last} is saved; go on with --resume {folder}", err=True)
        raise
    took = time.perf_counter() - start
    _conclude(training, run.state)
    click.echo(f"\ntrained in {took:.1f} s, {run.state.step:,} steps in all")
    if given["path"] is not None:
        with written(given["path"]):
            save(given["path"], net, run.weights)
        click.echo(f"saved {given['path']}")


# What a resumed run may be told again; the rest is as it was begun.
AGAIN = (
    "backend",
    "device",
    "dtype",
    "epochs",
    "stop_after",
    "every",
    "keep",
    "path",
    "resume",
)


def _is_given(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE


def _saved(ctx: click.Context, given: dict[str, Any]) -> tuple[Dataset, Checkpoint]:
    """Return the data and the newest checkpoint of a run that goes on."""
    folder = given["resume"]
    for parameter in ctx.command.params:
        name = str(parameter.name)
        if name not in (*AGAIN, "dataset") and _is_given(ctx, name):
            raise Refusal(
                f"{parameter.opts[0]} is the run's own and cannot be given with --resume"
            )
    with warnings.catch_warnings(record=True) as passed_over:
        warnings.simplefilter("always")
        saved = Checkpoints(folder).latest()
    for warning in passed_over:
        click.echo(str(warning.message), err=True)
    if saved is None:
        raise Refusal(f"there are no checkpoints in {folder}")
    dataset = saved.about.get("dataset")
    if dataset not in DATASETS:
        raise Refusal(f"the run in {folder} was not begun by `tetrapla train`")
    if given["dataset"] not in (None, dataset):
        raise Refusal(f"the run in {folder} is of {dataset}, not of {given['dataset']}")
    return DATASETS[dataset](), saved


def _asked(data: Dataset, given: dict[str, Any]) -> tuple[Sequential, Training, str | None]:
    """Return the network, the settings and the dialect of a new run."""
    net = data.network(given["hidden"], given["dropout"])
    rule, dialect = rule_of(given["optimizer"], given["backend"], given["dialect"])
    patience = given["patience"]
    training = Training(
        given["epochs"],
        given["batch_size"],
        rule if given["lr"] is None else rule.with_lr(given["lr"]),
        data.loss,
        seed=given["seed"],
        l2=given["l2"],
        early_stopping=None if patience is None else EarlyStopping(patience),
    )
    steps = _steps(data, training)
    schedules = {
        "constant": ConstantSchedule(),
        "step": StepDecay(max(1, steps // 3)),
        "cosine": CosineDecay(steps),
        "warmup": Warmup(max(1, steps // 10), CosineDecay(max(1, steps - steps // 10))),
    }
    return net, replace(training, schedule=schedules[given["schedule"]]), dialect


def rule_of(
    optimizer: str, backend: str, dialect: str | None = None
) -> tuple[Optimizer, str | None]:
    """Return the optimizer, and its dialect: the backend's own unless one is given."""
    if dialect is None and backend in BUILT_IN:
        dialect = BUILT_IN[backend].dialect
    make = OPTIMIZERS[optimizer]
    return (getattr(make, dialect)() if dialect else make()), dialect


def _held_out(data: Dataset, training: Training) -> tuple[Data, Data | None]:
    """Return training and validation data; early stopping needs the latter."""
    x, y = data.x_train, data.y_train
    if training.early_stopping is None:
        return (x, y), None
    n = len(x) - max(1, len(x) // 5)  # the rows are in a random order
    return (x[:n], y[:n]), (x[n:], y[n:])


def _steps(data: Dataset, training: Training) -> int:
    (x, _), _ = _held_out(data, training)
    return training.epochs * len(training.batches(np.arange(len(x))))


def _label(fact: str) -> str:
    return click.style(f"{fact:<10}", fg="cyan")


def _done(state: TrainingState, training: Training) -> str:
    whole = f"{state.epoch} of {training.epochs} epochs, {state.step:,} steps"
    return f"{whole}, inside an epoch" if state.order is not None else whole


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
        click.echo(f"{_label(fact)} {value}")


def _conclude(training: Training, state: TrainingState) -> None:
    """Say why a run ended where it did, if it is not the last epoch's end."""
    stopping = training.early_stopping
    if stopping is not None and state.waited >= stopping.patience:
        best = state.epoch - state.waited
        click.echo(
            f"stopped early: the held-out loss was lowest, {state.best_loss:.6f}, after "
            f"epoch {best}, whose weights are kept"
        )
    if state.epoch > training.epochs:
        click.echo(f"nothing to do: {state.epoch} epochs are done")


def _watched(
    b: Backend,
    net: Sequential,
    data: Dataset,
    training: Training,
    console: Console,
    checkpoints: Checkpoints | None,
    state: TrainingState | None,
    stop_after: int | None,
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
    done, epoch = (state.step, state.epoch) if state is not None else (0, 0)
    task = bar.add_task("", total=_steps(data, training), completed=done, epoch=epoch + 1)
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
        if stop_after is not None and report.epoch + 1 >= stop_after:
            report.stop()

    seen, held_out = _held_out(data, training)
    with bar:
        return b.fit(
            net,
            net.init(training.seed),
            seen,
            training,
            validation=held_out,
            resume=state,
            checkpoints=checkpoints,
            on_step=on_step if console.is_terminal else None,
            on_epoch=on_epoch,
        )


def _score(data: Dataset, outputs: Any) -> str:
    score = data.score(outputs)
    return f"{score:.4f}" if data.metric == "R^2" else f"{score:.1%}"
