"""Models between the libraries: exact to the bit, there and back."""

import numpy as np
import pytest
import support

import tetrapla as tp
from tetrapla import weights as w

NET = tp.Sequential(
    tp.Dense(3, 5, "relu"),
    tp.Dropout(0.25),
    tp.Dense(5, 4, tp.LeakyReLU(0.125)),
    tp.Dense(4, 4, "gelu_tanh"),
    tp.Dense(4, 2),
)


def plain(net):
    """A network's layers without their initialisers, which no model has."""
    return [
        ("dropout", x.rate)
        if isinstance(x, tp.Dropout)
        else (x.inputs, x.outputs, x.activation)
        for x in net.layers
    ]


def equal(a, b):
    assert list(a) == list(b)
    for name in a:
        assert a[name].dtype == b[name].dtype, name
        np.testing.assert_array_equal(a[name], b[name], strict=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("there", support.LIBRARIES)
@pytest.mark.parametrize("here", support.LIBRARIES)
def test_there_and_back_to_the_bit(here, there, dtype):
    given = {
        name: np.random.default_rng(3).standard_normal(shape).astype(dtype)
        for name, shape in NET.shapes.items()
    }
    support.backend(here, dtype), support.backend(there, dtype)
    first = w.to_model(NET, given, here)
    second = w.convert(first, there)
    net, found = w.from_model(w.convert(second, here))
    assert plain(net) == plain(NET)
    equal(given, found)


@pytest.mark.parametrize("activation", list(tp.spec.ACTIVATIONS))
@pytest.mark.parametrize("name", support.LIBRARIES)
def test_every_activation_is_read_back(name, activation):
    net = tp.Sequential(tp.Dense(2, 3, activation), tp.Dense(3, 1))
    model = support.backend(name).build(net, net.init(0))
    assert plain(w.from_model(model)[0]) == plain(net)


def torch_user():
    from torch import nn

    return nn.Sequential(
        nn.Flatten(),
        nn.Sequential(nn.Linear(3, 4), nn.GELU()),
        nn.Linear(4, 2),
        nn.Softmax(1),
    )


def keras_user():
    import keras

    return keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(4, activation="gelu"),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )


def flax_user():
    from flax import nnx

    rngs = nnx.Rngs(0)
    first, second = nnx.Linear(3, 4, rngs=rngs), nnx.Linear(4, 2, rngs=rngs)
    import functools

    gelu = functools.partial(nnx.gelu, approximate=False)
    return nnx.Sequential(first, gelu, second, nnx.softmax)


USERS = {"torch.nn": torch_user, "tf.keras": keras_user, "jax.flax": flax_user}


@pytest.mark.parametrize("name", USERS)
def test_a_users_own_model_answers_the_same_everywhere(name):
    support.backend(name)
    model = USERS[name]()
    net, found = w.from_model(model)
    assert plain(net) == [(3, 4, tp.GELUErf()), (4, 2, tp.Softmax())]
    x = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    if name == "torch.nn":
        import torch

        expected = model(torch.tensor(x)).detach().numpy()
    else:
        expected = np.asarray(model(x))
    for backend in (*support.BACKENDS, *support.LIBRARIES):
        got = support.backend(backend).forward(net, found, x)
        # probabilities, by another library's matrix product and erf
        np.testing.assert_allclose(got, expected, atol=1e-6)


def test_a_module_with_a_forward_needs_the_network():
    support.backend("torch.nn")
    from torch import nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 2)

    with pytest.raises(tp.InvalidInputError, match="is in its forward: give net"):
        w.from_model(Net())
    net = tp.Sequential(tp.Dense(3, 4, "relu"), tp.Dropout(0.5), tp.Dense(4, 2))
    model = Net()
    _, found = w.from_model(model, net)
    np.testing.assert_array_equal(found["2.weight"], model.second.weight.detach().numpy().T)
    with pytest.raises(tp.InvalidInputError, match="net has 1 dense layers, the model 2"):
        w.from_model(model, tp.Sequential(tp.Dense(3, 4)))


def test_what_has_no_specification_is_refused():
    support.backend("torch.nn")
    from torch import nn

    shared = nn.Linear(2, 2)

    class Own(nn.Sequential):
        def forward(self, x):
            return -super().forward(x)

    for model, message in (
        (nn.Sequential(nn.Linear(2, 2, bias=False)), "Linear without a bias"),
        (
            nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)),
            "BatchNorm1d has no",
        ),
        (nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.ReLU()), "follows a Dense without"),
        (nn.Linear(2, 2).half(), "all in float32 or all in float64"),
        (nn.Sequential(shared, nn.ReLU(), shared), "used twice"),
        (nn.Sequential(nn.Linear(2, 2), nn.Softplus(1, 3.0)), "Softplus has no"),
        (Own(nn.Linear(2, 2)), "is in its forward"),
        ({"0.weight": 1}, "model must be of torch, keras, flax; got a dict"),
    ):
        with pytest.raises(tp.InvalidInputError, match=message):
            w.from_model(model)


RULES = {
    "torch.nn": tp.Adam.torch(),
    "tf.keras": tp.Adam.keras(),
    "jax.flax": tp.Adam.optax(),
}


@pytest.mark.parametrize("name", RULES)
def test_an_optimizer_goes_with_its_model(name):
    """State out of a library's optimizer and into a new one: the same, to the bit."""
    backend = support.backend(name, "float64")
    net = tp.Sequential(tp.Dense(3, 4, "tanh"), tp.Dropout(0.5), tp.Dense(4, 1))
    rng = np.random.default_rng(1)
    given = {k: v.astype(np.float64) for k, v in net.init(0).items()}
    state = backend.init_optimizer(RULES[name], given)
    gradients = {k: rng.standard_normal(v.shape) for k, v in given.items()}
    given, state = backend.update(RULES[name], given, gradients, state)
    model = backend.build(net, given)
    native = w.to_optimizer(model, RULES[name], state)
    equal(state, w.optimizer_state(model, native, RULES[name]))


def test_training_goes_on_in_another_library():
    """torch.optim.Adam's moments, moved to Optax: the next step is torch's."""
    support.backend("torch.nn"), support.backend("jax.flax")
    import torch

    model = torch.nn.Sequential(torch.nn.Linear(3, 1)).double()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    x = torch.tensor(np.random.default_rng(2).standard_normal((8, 3)))

    def step():
        optimizer.zero_grad()
        (model(x) ** 2).mean().backward()
        optimizer.step()

    step()
    net, found = w.from_model(model)
    spec = tp.Adam.torch(lr=0.1)
    state = w.optimizer_state(model, optimizer, spec)
    assert state["t"] == 1
    training = tp.Training(1, 8, spec, tp.MeanSquaredError(), shuffle=False)
    resumed = tp.spec.TrainingState(0, 1, found, state, {"loss": []}, loss=training.loss)
    y = np.zeros((8, 1))
    b = support.backend("jax.flax", "float64")
    run = b.fit(net, found, (x.numpy(), y), training, resume=resumed)
    step()
    _, expected = w.from_model(model)
    for name in expected:
        # one step of float64 in two libraries; a lost moment moves it by 1e-1
        np.testing.assert_allclose(run.weights[name], expected[name], rtol=1e-12)


def test_a_rule_that_the_library_has_not_is_refused():
    backend = support.backend("jax.flax")
    net = tp.Sequential(tp.Dense(2, 1))
    model = backend.build(net, net.init(0))
    with pytest.raises(tp.UnsupportedError, match="no eps_place='uncorrected'"):
        w.to_optimizer(model, tp.Adam.keras(), {})


def test_an_activation_that_is_used_twice_is_there_twice():
    support.backend("torch.nn")
    from torch import nn

    act = nn.Tanh()
    model = nn.Sequential(nn.Linear(3, 4), act, nn.Linear(4, 4), act, nn.Linear(4, 2))
    net, _ = w.from_model(model)
    assert [x.activation for x in net.layers] == [tp.Tanh(), tp.Tanh(), tp.Identity()]


def test_keras_activations_are_read_with_their_arguments():
    support.backend("tf.keras")
    import functools

    import keras

    def dense(**how):
        return keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, **how)])

    elu = functools.partial(keras.activations.elu, alpha=0.5)
    assert w.from_model(dense(activation=elu))[0].layers[0].activation == tp.ELU(0.5)

    def relu(x):
        return x * x

    capped = functools.partial(keras.activations.relu, max_value=6)
    for strange in (relu, capped):
        with pytest.raises(tp.InvalidInputError):
            w.from_model(dense(activation=strange))
    axis = keras.Sequential([*dense().layers, keras.layers.Softmax(axis=0)])
    axis.build((None, 2))
    with pytest.raises(tp.InvalidInputError, match="Softmax has no counterpart"):
        w.from_model(axis)
    with pytest.raises(tp.InvalidInputError, match="not built"):
        w.from_model(keras.Sequential([keras.layers.Dense(2)]))


def test_momentum_goes_to_keras_times_the_rate():
    """torch's velocity holds gradients, Keras's updates: the next step is the same."""
    support.backend("torch.nn"), support.backend("tf.keras")
    import torch

    model = torch.nn.Sequential(torch.nn.Linear(3, 1)).double()
    native = torch.optim.SGD(model.parameters(), lr=0.125, momentum=0.875)
    ones = [torch.ones_like(p) for p in model.parameters()]

    def step(scale):
        for p, g in zip(model.parameters(), ones, strict=True):
            p.grad = scale * g
        native.step()

    step(1.0)
    source = tp.SGD.torch(0.125, momentum=0.875)
    target = tp.SGD.keras(0.125, momentum=0.875)
    _, before = w.from_model(model)
    state = w.optimizer_state(model, native, source)
    moved = w.translate_state(state, source, target)
    keras_model = w.convert(model, "tf.keras")
    other = w.to_optimizer(keras_model, target, moved)
    zeros = [np.zeros(v.shape) for v in keras_model.trainable_variables]
    other.apply(zeros, keras_model.trainable_variables)
    step(0.0)
    _, expected = w.from_model(model)
    _, got = w.from_model(keras_model)
    for name in expected:
        assert (expected[name] != before[name]).all()
        # one step, of numbers that float32 has
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-14)
    equal(w.translate_state(moved, target, source), state)


def test_a_state_that_means_something_else_is_refused():
    raw, corrected = tp.Adam.torch(amsgrad=True), tp.Adam.optax(amsgrad=True)
    with pytest.raises(tp.InvalidInputError, match="has to start anew"):
        w.translate_state({}, raw, corrected)
    with pytest.raises(tp.InvalidInputError, match="is none of"):
        w.translate_state({}, tp.SGD.torch(momentum=0.9), tp.SGD.keras())


def test_an_optimizer_of_another_model_or_rule_is_refused():
    support.backend("torch.nn"), support.backend("jax.flax")
    import torch

    one, other = (torch.nn.Sequential(torch.nn.Linear(2, 1)) for _ in range(2))
    adam = torch.optim.Adam(other.parameters())
    with pytest.raises(tp.InvalidInputError, match="not of this model"):
        w.optimizer_state(one, adam, tp.Adam.torch())
    with pytest.raises(tp.InvalidInputError, match="must be a RMSprop, as spec is"):
        w.optimizer_state(other, adam, tp.RMSProp.torch())
    other(torch.ones(1, 2)).sum().backward()
    adam.step()
    with pytest.raises(tp.InvalidInputError, match="has no 'max_exp_avg_sq'"):
        w.optimizer_state(other, adam, tp.Adam.torch(amsgrad=True))
    from flax import nnx

    inside = nnx.Sequential(nnx.Linear(3, 4, rngs=nnx.Rngs(0)), nnx.relu)
    model = nnx.Sequential(inside, nnx.Linear(4, 2, rngs=nnx.Rngs(1)))
    with pytest.raises(tp.InvalidInputError, match=r"a flat nnx\.Sequential"):
        w.optimizer_state(model, None, tp.Adam.optax())


def test_a_class_of_ones_own_takes_its_optimizer_along():
    support.backend("torch.nn")
    from torch import nn, optim

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 2)

    net = tp.Sequential(tp.Dense(3, 4, "relu"), tp.Dropout(0.5), tp.Dense(4, 2))
    model = Net()
    adam = optim.Adam(model.parameters())
    state = w.optimizer_state(model, adam, tp.Adam.torch(), net)
    assert {key.partition("/")[2] for key in state} == {"", *net.shapes}
    again = w.to_optimizer(model, tp.Adam.torch(), state, net)
    equal(state, w.optimizer_state(model, again, tp.Adam.torch(), net))
