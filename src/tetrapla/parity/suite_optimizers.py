"""The list of cases: every optimizer in every convention."""

from collections.abc import Iterator
from itertools import combinations, product
from typing import Any

from tetrapla.parity.cases import Case, OptimizerCase
from tetrapla.spec import optimizers as opt
from tetrapla.spec.dialects import PRESETS


def _options(**choices: tuple[Any, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every combination, with a label of what is not each first choice."""
    for values in product(*choices.values()):
        chosen = dict(zip(choices, values, strict=True))
        parts: dict[str, Any] = {}
        words = []
        for name, value in chosen.items():
            parts |= value if isinstance(value, dict) else {name: value}
            if value != choices[name][0]:
                words.append(_word(name, value))
        yield "-".join(words), parts


def _word(name: str, value: Any) -> str:
    if isinstance(value, dict):
        return "-".join(filter(None, (_word(n, v) for n, v in value.items())))
    if isinstance(value, str):
        return value
    if (name, value) in (("momentum", _MU), ("weight_decay", _LAMBDA)):
        return name.replace("_", "-")
    if isinstance(value, bool):
        return name if value else ""
    return f"{name}={value}"


def _pairs(
    groups: tuple[dict[str, tuple[Any, ...]], ...],
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield few combinations across the groups: every two choices meet in one.

    Greedily: the next is always the one with the most pairs that are new.
    """
    choices = {name: options for group in groups for name, options in group.items()}
    every = list(product(*(range(len(options)) for options in choices.values())))

    def pairs(places: tuple[int, ...]) -> set[tuple[tuple[int, int], ...]]:
        return set(combinations(enumerate(places), 2))

    names = list(choices)
    group_of = {name: i for i, group in enumerate(groups) for name in group}
    across = {
        pair
        for places in every
        for pair in pairs(places)
        if len({group_of[names[option]] for option, _ in pair}) == 2
        and all(place for _, place in pair)  # beside a first choice, it was alone
    }
    while across:
        best = max(every, key=lambda places: len(pairs(places) & across))
        across -= pairs(best)
        chosen = {n: (choices[n][i],) for n, i in zip(names, best, strict=True)}
        label = "-".join(
            _word(n, choices[n][i]) for n, i in zip(names, best, strict=True) if i
        )
        yield label, next(_options(**chosen))[1]


_MU, _LAMBDA = 0.9, 0.1
_DECAY = ({}, *({"weight_decay": _LAMBDA, "decay": d} for d in opt.DECAYS))
_MOMENTUM = (
    {},
    *(
        {"momentum": _MU, "velocity": v, "nesterov": n}
        for v in opt.VELOCITIES
        for n in (False, True)
    ),
)
_AMSGRAD = ({}, *({"amsgrad": True, "amsgrad_max": m} for m in opt.AMSGRAD_MAXIMA))

_EPS_PLACE = {"eps_place": opt.EPS_PLACES}
_ADAM = {"eps_place": opt.ADAM_EPS_PLACES, "amsgrad": _AMSGRAD}

# Per optimizer, groups of conventions that meet in one formula: within a
# group all combinations; between groups every pair of choices (`_pairs`).
_CONVENTIONS: dict[str, tuple[dict[str, tuple[Any, ...]], ...]] = {
    "sgd": ({"momentum": _MOMENTUM, "decay": _DECAY},),
    "adagrad": (
        _EPS_PLACE | {"initial_accumulator": (0.0, 0.1)},
        {"eps": (1e-10, 1e-7)},
        {"decay": _DECAY},
    ),
    "adadelta": ({"lr": (1.0, 0.001), "rho": (0.95, 0.9)}, {"decay": _DECAY}),
    "rmsprop": (
        _EPS_PLACE | {"centered": (False, True)},
        {"momentum": _MOMENTUM},
        {"decay": _DECAY},
    ),
    "adam": (_ADAM, {"eps": (1e-8, 1e-7)}, {"decay": _DECAY}),
    "adamw": (
        {"amsgrad": _AMSGRAD},
        {"eps_place": opt.ADAM_EPS_PLACES},
        {"weight_decay": (0.01, 0.0, 1.0)},
    ),
}


def optimizer_cases() -> Iterator[Case]:
    """Yield each optimizer in its conventions, the presets, and odder runs."""
    for name, make in opt.OPTIMIZERS.items():
        row = f"optimizer/{name}"
        conventions = {
            label: options
            for group in _CONVENTIONS[name]
            for label, options in _options(**group)
        }
        if len(_CONVENTIONS[name]) > 1:
            conventions |= dict(_pairs(_CONVENTIONS[name]))
        for label, options in conventions.items():
            spec = make(**{"lr": 0.1} | options)
            case_id = f"{row}-{label}" if label else row
            # Until the rate changes, the two velocities are the same.
            halve_after = 3 if "momentum" in options else None
            yield OptimizerCase(case_id, row, spec, halve_after=halve_after)
            if not label:
                yield OptimizerCase(f"{row}-float64", row, spec, dtypes=("float64",))
    for library, presets in PRESETS.items():
        for name in presets:
            spec = getattr(opt.OPTIMIZERS[name], library)()
            case_id = f"optimizer/{name}-of-{library}"
            yield OptimizerCase(case_id, f"optimizer/{name}", spec, halve_after=3)
    nesterov = opt.SGD(0.1, momentum=0.9, nesterov=True, velocity="updates")
    centered = opt.RMSProp(1e-3, momentum=0.9, centered=True, eps=1e-3)
    for case_id, spec, steps in (
        ("adam-defaults", opt.Adam(), 5),
        ("adam-no-averages", opt.Adam(lr=0.1, beta1=0.0, beta2=0.0), 5),
        ("adam-long", opt.Adam(lr=1e-3), 1000),
        ("sgd-long", nesterov, 30),
        ("rmsprop-long", centered, 30),
        ("adagrad-long", opt.Adagrad(0.1), 30),
        ("adadelta-long", opt.Adadelta(), 30),
        ("adamw-long", opt.AdamW(0.1, amsgrad=True), 30),
        # A rate of 0 leaves v - m^2 to rounding from the first step on.
        ("rmsprop-no-variance", opt.RMSProp(rho=0.0, centered=True, eps=1e-3), 5),
    ):
        row = f"optimizer/{spec.name}"
        yield OptimizerCase(f"optimizer/{case_id}", row, spec, steps=steps)
