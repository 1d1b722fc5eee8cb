"""From a user's model of torch.nn to the specification.

`build` goes the other way.
"""

from torch import nn

from tetrapla import spec
from tetrapla.spec import Activation, InvalidInputError

from .layers import leaves

PLAIN: dict[type[nn.Module], type[Activation]] = {
    nn.Identity: spec.Identity,
    nn.Sigmoid: spec.Sigmoid,
    nn.Tanh: spec.Tanh,
    nn.ReLU: spec.ReLU,
    nn.SiLU: spec.SiLU,
}


def named(module: nn.Module) -> Activation | None:
    """Return the activation that a module of torch's is, or None."""
    match module:
        case nn.LeakyReLU():
            return spec.LeakyReLU(module.negative_slope)
        case nn.ELU():
            return spec.ELU(module.alpha)
        case nn.GELU(approximate="none"):
            return spec.GELUErf()
        case nn.GELU(approximate="tanh"):
            return spec.GELUTanh()
        case nn.Softmax() if module.dim in (-1, 1):
            return spec.Softmax()
        case nn.Softplus(beta=1) if module.threshold >= 20:
            return spec.Softplus()
    kind = PLAIN.get(type(module))
    return None if kind is None else kind()


def dense(layer: nn.Linear) -> spec.Dense:
    """Return the specification of one layer."""
    return spec.Dense(layer.in_features, layer.out_features)


def network(model: nn.Module) -> spec.Sequential:
    """Return the specification of a network of torch's own modules."""
    every = [m for m in model.modules() if list(m.children())]
    if any(type(m).forward is not nn.Sequential.forward for m in every):
        raise InvalidInputError(
            f"what a {type(model).__name__} does with its modules is "
            "in its forward: give net, or an nn.Sequential of torch's "
            "own modules"
        )
    layers: list[spec.Layer] = []
    for child in leaves(model):
        g = named(child)
        if isinstance(child, nn.Linear):
            layers.append(dense(child))
        elif isinstance(child, nn.Dropout):
            layers.append(spec.Dropout(child.p))
        elif g is not None and layers:
            layers[-1] = spec.activated(layers[-1], g)
        elif not isinstance(child, nn.Flatten):
            kind = type(child).__name__
            raise InvalidInputError(f"a {kind} has no counterpart")
    return spec.Sequential(*layers)
