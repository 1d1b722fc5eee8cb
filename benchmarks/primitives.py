"""How far the frameworks' elementary functions are from the exact values, on CPUs.

One row per framework, primitive, dtype and length of arrays (frameworks run
other code on the last few elements and on short arrays). Errors are

- relative, in units of roundoff u = 2^-24 or 2^-53: |got - exact| / (u |exact|),
  over results from the smallest normal number on; `far` is the same over
  results from smallest / u on, where nothing underflows on the way;
- in ULP, as documentations state them: |got - exact| / 2u / 2^floor(log2 |exact|);
- absolute, in multiples of the smallest normal number: `tail` covers whatever the
  relative error `far` does not, `flush` all results below the smallest normal.

Subnormal arguments have rows of their own; `flushed` tells how many of them were
taken for 0 (of those for which that is visible). `lost` counts finite results that
came out as infinity or NaN, and infinite ones that did not; `special` counts wrong
answers where the exact one is infinite or NaN.

float32 is judged by float64 functions: NumPy's are good to 2^-52, SciPy's erf to
2^-51 and erfc to 2^-44 (measured: `--framework numpy,scipy --dtype float64`);
float64 by 200 bits of python-flint's `arb`. A sample misses up to a quarter of the
worst (measured where `--exhaustive` is possible: float32).

    python benchmarks/primitives.py --primitive tanh,exp --dtype float32
    python benchmarks/primitives.py --primitive tanh --exhaustive --state tanh.json
"""

import argparse
import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import scipy.special
from flint import arb, ctx

Array = np.ndarray[Any, np.dtype[Any]]
Call = Callable[..., Array]

# Where implementations are known, or likely, to change branch; neighbours of
# these and of their negatives are tested densely.
CRITICAL = [
    *(1e-5, 1e-4, 4e-4, 2.0**-12, 0.1, 0.25, 0.29289322, 0.34657359, 0.41421356, 0.5),
    *(0.625, 0.69314718, 0.70710678, 0.75, 0.84375, 0.921875, 1.0, 1.0397208, 1.25),
    *(1.41421356, 2.0, 2.857143, 3.0, 3.7439211, 3.8325069, 3.92, 4.0, 5.863585, 6.0),
    *(7.5, 7.90531111, 7.99881172, 8.0, 9.0, 9.01, 9.0109, 9.19455, 9.3, 10.0, 10.0547),
    *(14.0, 16.0, 16.63553, 17.32868, 18.714973, 19.06154, 20.0, 22.0, 26.5, 26.5432),
    *(27.2263, 28.0, 37.42995, 44.0, 64.0, 86.6434, 87.33654, 87.683, 88.0, 88.02969),
    *(88.37626, 88.72284, 88.8, 89.0, 103.27893, 103.97208, 104.0, 127.0, 128.0),
    *(512.0, 700.0, 708.39642, 709.08956, 709.43613, 709.78271, 744.44, 745.13322),
    *(1e30, 1e300),
]
MIDDLE = range(-30, 11)  # binades in which most of these functions do something
SHORT = (1, 3, 7)
FAR = 1200  # binades from 1: beyond float64's range
CHUNK, BLOCK = 2**24, 2**17  # bit patterns: computed, and compared, at a time
OPERATORS: dict[str, Callable[..., Any]] = {
    "divide": lambda x, y: x / y,
    "reciprocal": lambda x: 1 / x,
    "third": lambda x: x / 3,  # graph compilers may multiply by 1/3
}
PRIMITIVES = [
    *("exp", "expm1", "log", "log1p", "tanh", "erf", "erfc", "sqrt"),
    *OPERATORS,
    "over_sqrt",  # x / sqrt(y): graph compilers may multiply by rsqrt(y)
]
ctx.prec = 200


def over_sqrt(sqrt: Callable[[Any], Any]) -> dict[str, Callable[..., Any]]:
    """Return x / sqrt(y)."""
    return {"over_sqrt": lambda x, y: x / sqrt(y)}


NUMPY = {
    **{name: getattr(np, name) for name in ("exp", "expm1", "log", "log1p", "tanh")},
    **over_sqrt(np.sqrt),
    **OPERATORS,
    "sqrt": np.sqrt,
}
FLOAT64 = {**NUMPY, "erf": scipy.special.erf, "erfc": scipy.special.erfc}
FLINT = {
    **{name: getattr(arb, name) for name in FLOAT64 if hasattr(arb, name)},
    **over_sqrt(arb.sqrt),
    **OPERATORS,
}


def load_numpy(dtype: str) -> dict[str, Call]:
    """Return NumPy's; erf and erfc, which it lacks, from `math`."""
    vectorized = {
        "erf": np.vectorize(math.erf, otypes=[dtype]),
        "erfc": np.vectorize(math.erfc, otypes=[dtype]),
    }
    return {**NUMPY, **vectorized}


def load_scipy(dtype: str) -> dict[str, Call]:
    """Return what judges float32 here, to be judged."""
    return {"erf": scipy.special.erf, "erfc": scipy.special.erfc}


def load_torch(dtype: str) -> dict[str, Call]:
    """Return PyTorch's."""
    import torch

    names = ("exp", "expm1", "log", "log1p", "tanh", "erf", "sqrt")
    functions = {name: getattr(torch, name) for name in names}
    functions |= {"erfc": torch.special.erfc, **over_sqrt(torch.sqrt), **OPERATORS}

    # MKL may choose a kernel of low accuracy in a first call that runs in several
    # threads (pytorch issue 188792): make it a call of one element.
    torch_dtype = getattr(torch, dtype)
    for name in names:
        functions[name](torch.ones(1, dtype=torch_dtype))

    def call(function: Callable[..., Any]) -> Call:
        return lambda *xs: function(*map(torch.from_numpy, xs)).numpy()

    return {name: call(function) for name, function in functions.items()}


def load_torch_in_place(dtype: str) -> dict[str, Call]:
    """Return PyTorch's square root, in place."""
    import torch

    return {"sqrt": lambda x: torch.from_numpy(x.copy()).sqrt_().numpy()}


def load_tf(dtype: str, compiled: bool = False) -> dict[str, Call]:
    """Return TensorFlow's, eager or in graphs."""
    import tensorflow as tf

    names = ("expm1", "log", "log1p", "erf", "erfc")
    functions = {name: getattr(tf.math, name) for name in names}
    functions |= {"exp": tf.exp, "tanh": tf.tanh, "sqrt": tf.sqrt}
    functions |= {**over_sqrt(tf.sqrt), **OPERATORS}

    def call(function: Callable[..., Any]) -> Call:
        if compiled:
            function = tf.function(function, autograph=False, reduce_retracing=True)
        return lambda *xs: np.asarray(function(*map(tf.constant, xs)))

    return {name: call(function) for name, function in functions.items()}


def load_tf_function(dtype: str) -> dict[str, Call]:
    """Return TensorFlow's, in graphs."""
    return load_tf(dtype, compiled=True)


def load_jax(dtype: str) -> dict[str, Call]:
    """Return JAX's, compiled."""
    import jax
    import jax.numpy as jnp
    from jax.scipy import special

    names = ("exp", "expm1", "log", "log1p", "tanh", "sqrt")
    functions = {name: getattr(jnp, name) for name in names}
    functions |= {"erf": special.erf, "erfc": special.erfc}
    functions |= {**over_sqrt(jnp.sqrt), **OPERATORS}

    def call(function: Callable[..., Any]) -> Call:
        jitted = jax.jit(function)

        def run(*xs: Array) -> Array:
            with jax.enable_x64(dtype == "float64"):
                return np.asarray(jitted(*xs))

        return run

    return {name: call(function) for name, function in functions.items()}


FRAMEWORKS: dict[str, Callable[[str], dict[str, Call]]] = {
    "numpy": load_numpy,
    "torch": load_torch,
    "torch_": load_torch_in_place,
    "tf": load_tf,
    "tf.function": load_tf_function,
    "jax": load_jax,
    "scipy": load_scipy,
}


@dataclass
class Exact:
    """(high + low) * 2^shift, where 2^(exponent-1) <= |high| 2^shift < 2^exponent."""

    high: Array
    low: Array | float
    shift: Array | None
    exponent: Array

    @cached_property
    def ordinary(self) -> bool:
        """Whether float32, too, has finite numbers for all of them."""
        return bool(np.isfinite(self.high).all() and self.exponent.max() <= 128)

    @cached_property
    def size(self) -> Array:
        """|high|, but not 0."""
        return np.maximum(np.abs(self.high), 1e-300)

    @cached_property
    def starts(self) -> Array:
        """Where runs of equal exponents begin."""
        return np.flatnonzero(np.diff(self.exponent, prepend=self.exponent[0] - 1))

    def __getitem__(self, index: Any) -> "Exact":
        if self.shift is None:
            return Exact(self.high[index], 0.0, None, self.exponent[index])
        low = np.asarray(self.low)[index]
        return Exact(self.high[index], low, self.shift[index], self.exponent[index])

    def rounded(self, dtype: str) -> Array:
        """Return the nearest numbers of the dtype."""
        shift = 0 if self.shift is None else self.shift
        return np.ldexp(self.high, shift).astype(dtype)


def exact(name: str, xs: list[Array]) -> Exact:
    """Return the exact values."""
    high = np.asarray(FLOAT64[name](*(x.astype(np.float64) for x in xs)))
    if xs[0].dtype == np.float32:
        bits = high.view(np.int64)
        return Exact(high, 0.0, None, ((bits >> 52) & 0x7FF) - 1022)
    low, shift = np.zeros_like(high), np.zeros(high.shape, np.int64)
    for i, x in enumerate(zip(*(x.tolist() for x in xs), strict=True)):
        y = FLINT[name](*map(arb, x))
        if all(map(math.isfinite, x)) and y.is_finite():
            high[i], low[i], shift[i] = parts(y)
    return Exact(high, low, shift, shift)


def parts(y: arb) -> tuple[float, float, int]:
    """Return high, low and shift; high is the nearest float64 with shift 0."""
    mantissa, exponent = (int(n) for n in y.mid().man_exp())
    size = mantissa.bit_length() + exponent
    if mantissa == 0 or size < -FAR:
        return 0.0, 0.0, -FAR
    if size > FAR:
        return math.copysign(0.5, mantissa), 0.0, FAR
    if y.rel_accuracy_bits() < 100:
        raise ArithmeticError(f"{y} is not accurate enough")
    bits = mantissa.bit_length()
    high = float(mantissa)
    low = float(mantissa - int(high))
    return math.ldexp(high, -bits), math.ldexp(low, -bits), exponent + bits


class Worst:
    """The worst errors of one case, by binade of the exact result.

    Every binade has [relative, its arguments, absolute, its arguments], both
    errors in u; the absolute one belongs to a size of 2^exponent.
    """

    def __init__(self, dtype: str, saved: dict[str, Any] | None = None) -> None:
        self.info = np.finfo(dtype)
        self.unit = float(self.info.epsneg)
        saved = saved or {}
        self.binades = {int(e): v for e, v in saved.get("binades", {}).items()}
        self.counts: dict[str, list[Any]] = saved.get("counts", {})

    def saved(self) -> dict[str, Any]:
        """Return what the constructor takes."""
        return {"binades": self.binades, "counts": self.counts}

    def count(self, what: str, where: Array, xs: list[Array]) -> None:
        """Count, and keep the first arguments."""
        if number := int(np.count_nonzero(where)):
            i = int(np.argmax(where))
            entry = self.counts.setdefault(what, [0, [float(x[i]) for x in xs]])
            entry[0] += number

    def add(self, xs: list[Array], got: Array, ex: Exact) -> None:
        """Compare. The exact values must be sorted, or nearly, by binade."""
        g = got.astype(np.float64)
        if not (ex.ordinary and np.isfinite(g).all()):
            keep = self._set_apart(xs, g, ex)
            xs, g, ex = [x[keep] for x in xs], g[keep], ex[keep]
        if not len(g):
            return
        if ex.shift is not None:
            g = np.ldexp(g, -ex.shift)
        error = np.abs(g - ex.high - ex.low)
        relative = error / ex.size
        ends = [*ex.starts[1:].tolist(), len(g)]
        for column, values in ((0, relative), (2, error)):
            tops = np.fmax.reduceat(values, ex.starts).tolist()
            for start, end, top in zip(ex.starts.tolist(), ends, tops, strict=True):
                e = int(ex.exponent[start])
                scale = -e if column and ex.shift is None else 0
                units = math.ldexp(top, scale) / self.unit
                binade = self.binades.setdefault(e, [-1.0, None, -1.0, None])
                if units > binade[column]:
                    i = start + int(np.argmax(values[start:end] == top))
                    binade[column : column + 2] = [units, [float(x[i]) for x in xs]]

    def _set_apart(self, xs: list[Array], g: Array, ex: Exact) -> Array:
        """Count wrong infinities and NaNs; return where all is finite."""
        special = ~np.isfinite(ex.high)
        same = (g == ex.high) | (np.isnan(g) & np.isnan(ex.high))
        self.count("special", special & ~same, xs)
        over = ~special & (ex.exponent > self.info.maxexp)
        overflown = g == np.copysign(np.inf, ex.high)
        lost = np.where(over, ~overflown, ~np.isfinite(g) & ~special)
        self.count("lost", lost, xs)
        return ~special & ~over & ~lost

    def relative(self, beyond: int = 0) -> list[Any]:
        """Return the worst from 2^beyond times the smallest normal number on."""
        low = self.info.minexp + 1 + beyond
        rows = [v[:2] for e, v in self.binades.items() if e >= low]
        return max(rows, key=lambda row: row[0], default=[0.0, None])

    def ulps(self) -> float:
        """Return the worst in ULP, of results in the normal range."""
        low = self.info.minexp + 1
        return max((v[2] for e, v in self.binades.items() if e >= low), default=0.0)

    def absolute(self, among: Callable[[int, float], bool]) -> list[Any]:
        """Return the worst, in smallest normal numbers."""
        rows = [
            [math.ldexp(v[2] * self.unit, e - self.info.minexp), v[3]]
            for e, v in self.binades.items()
            if among(e, v[0])
        ]
        return max(rows, key=lambda row: row[0], default=[0.0, None])

    def row(self) -> list[str]:
        """Return the cells of the table."""
        low = self.info.minexp + 1
        all_, far = self.relative(), self.relative(self.info.nmant + 1)
        tail = self.absolute(lambda e, r: e >= low and r > far[0])
        flush = self.absolute(lambda e, r: e < low)
        notes = [
            f"{name} {self.counts[name][0]}, first at {show(self.counts[name][1])}"
            for name in ("lost", "special")
            if name in self.counts
        ]
        if "visible" in self.counts:
            flushed = self.counts.get("flushed", [0])[0]
            notes.append(f"flushed {flushed} of {self.counts['visible'][0]}")
        return [
            *(f"{all_[0]:.6g}", show(all_[1]), f"{self.ulps():.4g}"),
            *(f"{far[0]:.5g}", show(far[1]), f"{tail[0]:.3g}", show(tail[1])),
            *(f"{flush[0]:.3g}", show(flush[1]), "; ".join(notes)),
        ]


def show(xs: list[float] | None) -> str:
    """Return arguments, rounded for reading."""
    return "" if xs is None else ", ".join(f"{x:.9g}" for x in xs)


def stratified(dtype: str, everywhere: int, middle: int) -> Array:
    """Return so many numbers per binade and sign; the binade's ends among them."""
    info, random = np.finfo(dtype), np.random.default_rng(1)
    numbers = []
    for e in range(info.minexp - 1, info.maxexp):  # the first one: subnormals
        count = middle if e in MIDDLE else everywhere
        stratum = 2**info.nmant // count
        m = np.arange(count) * stratum + random.integers(0, stratum, count)
        m[0], m[-1] = 0, 2**info.nmant - 1
        subnormal = e < info.minexp
        scaled = (m if subnormal else m + 2**info.nmant).astype(np.float64)
        exponent = max(e, info.minexp) - info.nmant
        numbers.append(np.ldexp(scaled, exponent).astype(dtype))
    return np.concatenate(numbers)


def neighbours(dtype: str, count: int) -> Array:
    """Return as many neighbours on both sides of every critical point."""
    integer = np.int32 if dtype == "float32" else np.int64
    with np.errstate(over="ignore"):
        points = np.asarray(CRITICAL).astype(dtype)
    points = points[np.isfinite(points)]
    around = points.view(integer)[:, None] + np.arange(-count, count + 1, dtype=integer)
    return around.ravel().view(dtype)


def arguments(dtype: str, name: str, mantissas: int, short: bool) -> list[Array]:
    """Return the arguments of a quick run, sorted by the result's binade."""
    if short:
        x = stratified(dtype, 4, mantissas // 16)
    elif dtype == "float32":
        around = neighbours(dtype, 2**12)
        x = np.concatenate([stratified(dtype, mantissas, mantissas), around])
    else:
        x = np.concatenate([stratified(dtype, 16, mantissas), neighbours(dtype, 2**6)])
    special = np.array([0, np.inf, np.nan], dtype)
    x = np.unique(np.concatenate([x, -x, special, -special]))
    if name not in ("divide", "over_sqrt"):
        return [x]
    random = np.random.default_rng(2)
    x, y = random.permutation(x), random.permutation(x)
    with np.errstate(all="ignore"):
        order = np.argsort(np.abs(FLOAT64[name](x, y)))
    return [x[order], y[order]]


def shortly(function: Call, xs: list[Array]) -> Array:
    """Return the function, computed on arrays of a few elements each."""
    size = len(xs[0])
    parts, i = [], 0
    while i < size:
        length = SHORT[len(parts) % len(SHORT)]
        parts.append(function(*(x[i : i + length] for x in xs)))
        i += length
    return np.concatenate(parts)


Results = dict[tuple[str, ...], Worst]


def quick(frameworks: list[str], name: str, dtype: str, mantissas: int) -> Results:
    """Return the worst errors on a sample of arguments."""
    results: Results = {}
    tiny = np.finfo(dtype).smallest_normal
    for short in (False, True):
        xs = arguments(dtype, name, mantissas, short)
        reference = exact(name, xs)
        subnormal = np.any([(np.abs(x) < tiny) & (x != 0) for x in xs], axis=0)
        for framework in frameworks:
            function = FRAMEWORKS[framework](dtype).get(name)
            if function is None:
                continue
            got = shortly(function, xs) if short else function(*xs)
            for kind, where in (("", ~subnormal), ("subnormal", subnormal)):
                case = (framework, name, dtype, "short" if short else "long", kind)
                worst = results[case] = Worst(dtype)
                some, ex = [x[where] for x in xs], reference[where]
                worst.add(some, got[where], ex)
                if kind:
                    zeros = [np.where(np.abs(x) < tiny, 0 * x, x) for x in some]
                    blind = NUMPY.get(name, FLOAT64[name])(*zeros)
                    visible = ex.rounded(dtype) != blind
                    worst.count("visible", visible, some)
                    worst.count("flushed", visible & (got[where] == blind), some)
    return results


def exhaustive(frameworks: list[str], name: str, state: Path | None) -> Results:
    """Return the worst errors on all float32 numbers; go on from a saved state."""
    saved = json.loads(state.read_text()) if state and state.exists() else {}
    mine = saved.setdefault(f"{name}: {', '.join(frameworks)}", {"next": 0, "worst": {}})
    calls = {f: FRAMEWORKS[f]("float32").get(name) for f in frameworks}
    results: Results = {}
    for framework, call in calls.items():
        for kind in ("", "subnormal") if call else ():
            case = (framework, name, "float32", "all", kind)
            results[case] = Worst("float32", mine["worst"].get(" ".join(case)))
    began, first = time.monotonic(), mine["next"]
    for chunk in range(first, 2**32 // CHUNK):
        bits = np.arange(chunk * CHUNK, (chunk + 1) * CHUNK, dtype=np.uint32)
        x = bits.view(np.float32)
        got = {framework: call(x) for framework, call in calls.items() if call}
        for start in range(0, CHUNK, BLOCK):
            block = slice(start, start + BLOCK)  # does not span two binades
            some = x[block]
            if np.isnan(some).all():
                continue
            kind = "subnormal" if abs(some[-1]) < np.finfo(np.float32).tiny else ""
            reference = exact(name, [some])
            for case, worst in results.items():
                if case[-1] == kind:
                    worst.add([some], got[case[0]][block], reference)
        mine["next"] = chunk + 1
        mine["worst"] = {" ".join(case): w.saved() for case, w in results.items()}
        if state:
            fresh = state.with_name(state.name + ".new")
            fresh.write_text(json.dumps(saved))
            os.replace(fresh, state)
        seconds = time.monotonic() - began
        print(f"\r{name} {chunk + 1}/256 {seconds:.0f} s", end="", flush=True)
    print()
    return results


HEADER = [
    *("framework", "primitive", "dtype", "arrays", "arguments"),
    *("relative/u", "at", "ULP", "far/u", "at", "tail", "at", "flush", "at", "notes"),
]


def main() -> None:
    """Measure and print a table."""
    description, _, epilog = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = ",".join(f for f in FRAMEWORKS if f != "scipy")
    parser.add_argument("--framework", default=names, help="some of %(default)s")
    parser.add_argument(
        "--primitive", default=",".join(PRIMITIVES), help="some of %(default)s"
    )
    parser.add_argument("--dtype", default="float32,float64")
    parser.add_argument(
        "--mantissas", type=int, default=2**12, help="a binade, when not exhaustive"
    )
    parser.add_argument("--exhaustive", action="store_true", help="all float32 numbers")
    parser.add_argument("--state", type=Path, help="JSON file to go on from")
    parser.add_argument("--profile", action="store_true", help="print every binade")
    options = parser.parse_args()
    frameworks = options.framework.split(",")
    print("| " + " | ".join(HEADER) + " |")
    print("|" + " --- |" * len(HEADER))
    for name in options.primitive.split(","):
        for dtype in options.dtype.split(","):
            with np.errstate(all="ignore"):
                if not options.exhaustive:
                    results = quick(frameworks, name, dtype, options.mantissas)
                elif dtype == "float32":
                    results = exhaustive(frameworks, name, options.state)
                else:
                    continue
            for case, worst in results.items():
                print("| " + " | ".join([*case, *worst.row()]) + " |", flush=True)
                if options.profile:
                    for e, v in sorted(worst.binades.items()):
                        at = f"{v[0]:.6g} at {show(v[1])}, {v[2]:.6g} at {show(v[3])}"
                        print(f"  2^{e - 1}: {at}", flush=True)


if __name__ == "__main__":
    main()
