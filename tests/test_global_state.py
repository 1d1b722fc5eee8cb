"""Using a backend changes nothing of the user's, and obeys nothing of it."""

import contextlib
import subprocess
import sys

import numpy as np
import pytest
import support

import tetrapla as tp

NET = tp.Sequential(tp.Dense(2, 3, "tanh"), tp.Dropout(0.5), tp.Dense(3, 1))
WEIGHTS = NET.init(seed=0)
X = np.linspace(-1.0, 1.0, 8).reshape(4, 2)
Y = np.ones((4, 1))
BOTH = pytest.mark.parametrize("dtype", ["float32", "float64"])


@pytest.fixture(params=support.ALL)
def name(request):
    """From scratch and by calling the library: neither leaves a trace."""
    return request.param


def adam(b):
    """Adam as the backend has it."""
    return tp.Adam.keras() if b.name == "tf.keras" else tp.Adam()


def certain(b):
    """A loss of probabilities 0 and 1, where the backend has one: epsilon decides it."""
    loss = tp.BinaryCrossEntropy(from_logits=False)
    return "bce" if b.supports(loss).status == "no" else loss


def use(b, **callbacks):
    """Go through the whole contract; return what came out."""
    model = b.build(NET, WEIGHTS)
    key = tp.threefry.key(1)
    r = b.loss_and_gradients(NET, WEIGHTS, X, Y, "mse", key=key)
    training = tp.Training(2, 3, adam(b))
    state = b.init_optimizer(adam(b), WEIGHTS)
    run = b.fit(NET, WEIGHTS, (X, Y), training, validation=(X, Y), **callbacks)
    results = [
        b.weights(model),
        {"a": b.activation("gelu_erf", X)},
        {"g": b.activation_gradient("softmax", X, X)},
        {"y": b.forward(NET, WEIGHTS, X, key=key)},
        {"loss": b.loss("bce", X, X > 0)},
        {"loss": b.loss(certain(b), 1.0 * (X > 0), X > 0)},
        {"loss": r.loss, "input": r.input, **r.weights},
        b.trace(NET, WEIGHTS, X, Y, "mse"),
        *b.update(adam(b), WEIGHTS, r.weights, state),
        run.weights,
        run.history,
    ]
    assert b.info()
    return {(i, k): np.array(v) for i, part in enumerate(results) for k, v in part.items()}


def numpy_state():
    kind, words, *rest = np.random.get_state()  # noqa: NPY002
    return {
        "errors": np.geterr(),
        "error call": np.geterrcall(),
        "random": (kind, words.tobytes(), *rest),
        "printing": repr(np.get_printoptions()),
    }


def torch_state():
    import torch

    return {
        "dtype": torch.get_default_dtype(),
        "device": str(torch.get_default_device()),
        "threads": torch.get_num_threads(),
        "interop threads": torch.get_num_interop_threads(),
        "gradients": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "anomaly": torch.is_anomaly_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "matmul": torch.get_float32_matmul_precision(),
        "cudnn": (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic),
        "random": torch.get_rng_state().numpy().tobytes(),
    }


def tf_state():
    import tensorflow as tf
    from tensorflow.python.eager import context

    return {
        "eager": tf.executing_eagerly(),
        "functions eager": tf.config.functions_run_eagerly(),
        "tf32": tf.config.experimental.tensor_float_32_execution_enabled(),
        "deterministic": tf.config.experimental.get_synchronous_execution(),
        "threads": tf.config.threading.get_intra_op_parallelism_threads(),
        "interop threads": tf.config.threading.get_inter_op_parallelism_threads(),
        "seed": context.global_seed(),
        "jit": tf.config.optimizer.get_jit(),
        "device": context.context().device_name,
        "soft placement": tf.config.get_soft_device_placement(),
        "floatx": tf.keras.config.floatx(),
        "epsilon": tf.keras.config.epsilon(),
        "policy": keras_policy(),
    }


def keras_policy():
    """Return the policy; None where Keras has not been asked for one yet."""
    from keras.src.backend.common import global_state

    policy = global_state.get_global_attribute("dtype_policy")
    return policy and policy.name


def jax_state():
    import jax

    return {
        "x64": jax.config.jax_enable_x64,
        "float": jax.dtypes.canonicalize_dtype(float),
        "matmul": jax.config.jax_default_matmul_precision,
        "device": jax.config.jax_default_device,
        "promotion": jax.config.jax_numpy_dtype_promotion,
        "rank promotion": jax.config.jax_numpy_rank_promotion,
        "nans": jax.config.jax_debug_nans,
        "jit": jax.config.jax_disable_jit,
        "generator": jax.config.jax_default_prng_impl,
        "partitionable": jax.config.jax_threefry_partitionable,
        "to a device": jax.config.jax_transfer_guard_host_to_device,
        "between devices": jax.config.jax_transfer_guard_device_to_device,
        "from a device": jax.config.jax_transfer_guard_device_to_host,
    }


STATES = {"numpy": dict, "torch": torch_state, "tf": tf_state, "jax": jax_state}


def framework(name):
    return name.split(".")[0]


def state_of(name):
    return numpy_state() | STATES[framework(name)]()


@contextlib.contextmanager
def users_settings(name):
    """Settings that differ from every default, restored afterwards."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(np.errstate(over="print", invalid="raise", divide="warn"))
        if framework(name) == "jax":
            import jax

            stack.enter_context(jax.enable_x64(True))
            stack.enter_context(jax.default_matmul_precision("bfloat16"))
            stack.enter_context(jax.numpy_dtype_promotion("strict"))
            stack.enter_context(jax.transfer_guard("disallow_explicit"))
        if framework(name) == "torch":
            import torch

            stack.callback(torch.set_default_dtype, torch.get_default_dtype())
            stack.callback(torch.set_num_threads, torch.get_num_threads())
            torch.set_default_dtype(torch.float64)
            torch.set_num_threads(1)
            stack.enter_context(torch.no_grad())
        if framework(name) == "tf":
            import tensorflow as tf

            tf32 = tf.config.experimental.tensor_float_32_execution_enabled()
            switch = tf.config.experimental.enable_tensor_float_32_execution
            stack.callback(switch, tf32)
            switch(not tf32)
            floatx, epsilon = tf.keras.config.floatx(), tf.keras.config.epsilon()
            stack.callback(tf.keras.config.set_floatx, floatx)
            stack.callback(tf.keras.config.set_epsilon, epsilon)
            tf.keras.config.set_floatx("float64")
            tf.keras.config.set_epsilon(1e-3)
        yield


@BOTH
def test_nothing_changes(name, dtype):
    b = support.backend(name, dtype)
    before = state_of(name)
    use(b)
    assert state_of(name) == before


@BOTH
def test_nothing_changes_in_an_error(name, dtype):
    b = support.backend(name, dtype)

    def fail(report):
        raise RuntimeError("from the callback")

    before = state_of(name)
    with pytest.raises(RuntimeError, match="from the callback"):
        use(b, on_step=fail)
    assert state_of(name) == before


@BOTH
def test_callbacks_run_in_the_users_settings(name, dtype):
    b = support.backend(name, dtype)
    seen = []
    with users_settings(name):
        before = state_of(name)
        use(
            b,
            on_step=lambda report: seen.append(state_of(name)),
            on_epoch=lambda report: seen.append((report.weights(), state_of(name))[1]),
        )
        assert state_of(name) == before
    assert len(seen) == 2 * (2 + 1)
    for state in seen:
        assert state == before


@BOTH
def test_the_users_settings_change_no_result(name, dtype):
    b = support.backend(name, dtype)
    expected = use(b)
    with users_settings(name):
        results = use(b)
    assert list(results) == list(expected)
    for place, value in expected.items():
        np.testing.assert_array_equal(
            results[place], value, err_msg=str(place), strict=True
        )


def torch_modes():
    import torch

    return {
        "no_grad": torch.no_grad,
        "inference_mode": torch.inference_mode,
        "meta-device": lambda: torch.device("meta"),
    }


@pytest.mark.parametrize("mode", ["no_grad", "inference_mode", "meta-device"])
def test_torch_in_the_users_mode(mode):
    b = support.backend("torch")
    expected = use(b)
    with torch_modes()[mode]():
        results = use(b)
    for place, value in expected.items():
        np.testing.assert_array_equal(results[place], value, err_msg=str(place))


FIRST_POLICY = """
import numpy as np
import tetrapla as tp

b = tp.load("tf.keras")
net = tp.Sequential(tp.Dense(2, 1))
b.forward(net, net.init(seed=0), np.ones((1, 2)))
import keras

keras.config.set_floatx("float64")
print(keras.layers.Dense(1).dtype)
"""


def test_keras_settles_its_policy_when_the_user_asks():
    """Keras takes floatx once, for the first layer that has no dtype."""
    support.backend("tf.keras")
    ran = subprocess.run(
        [sys.executable, "-c", FIRST_POLICY], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "float64\n"


def test_keras_in_the_users_policy():
    b = support.backend("tf.keras", "float64")
    import keras

    expected, policy = use(b), keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        results = use(b)
        assert keras.config.dtype_policy().name == "mixed_float16"
    finally:
        keras.config.set_dtype_policy(policy)
    for place, value in expected.items():
        np.testing.assert_array_equal(results[place], value, err_msg=str(place))


def test_tf_inside_the_users_graph_says_so():
    b = support.backend("tf")
    import tensorflow as tf

    @tf.function
    def graph():
        return b.activation("tanh", np.ones(2))

    with pytest.raises(RuntimeError, match=r"call it outside tf\.function"):
        graph()


def test_tf_under_the_users_tape():
    # A persistent tape of the user's watches variables; nothing of ours
    # must fail there or differ.
    b = support.backend("tf")
    import tensorflow as tf

    expected = use(b)
    with tf.GradientTape(persistent=True):
        results = use(b)
    for place, value in expected.items():
        np.testing.assert_array_equal(results[place], value, err_msg=str(place))


def test_two_dtypes_in_turn(name):
    single, double = support.backend(name, "float32"), support.backend(name, "float64")
    first = use(single), use(double)
    again = use(single), use(double)
    for results, expected in zip(again, first, strict=True):
        for place, value in expected.items():
            np.testing.assert_array_equal(
                results[place], value, err_msg=str(place), strict=True
            )


def test_one_dtype_inside_the_other(name):
    # A callback of one backend's run uses the other one.
    single, double = support.backend(name, "float32"), support.backend(name, "float64")
    expected = use(double)
    training = tp.Training(2, 3, adam(single))
    plain = single.fit(NET, WEIGHTS, (X, Y), training)
    seen = []
    run = single.fit(
        NET, WEIGHTS, (X, Y), training, on_epoch=lambda report: seen.append(use(double))
    )
    assert run.history == plain.history
    for results in seen:
        for place, value in expected.items():
            np.testing.assert_array_equal(
                results[place], value, err_msg=str(place), strict=True
            )


@BOTH
def test_jax_under_strict_promotion(dtype):
    b = support.backend("jax", dtype)
    import jax

    with jax.numpy_dtype_promotion("strict"):
        jax.clear_caches()  # or what was traced before would not be seen
        use(b)
        for optimizer in tp.spec.OPTIMIZERS:
            state = b.init_optimizer(optimizer, WEIGHTS)
            b.update(optimizer, WEIGHTS, WEIGHTS, state)
        for activation in tp.spec.ACTIVATIONS:
            b.activation_gradient(activation, X, X)
        for loss, y in [
            ("mse", X),
            ("bce", X > 0),
            (tp.BinaryCrossEntropy(from_logits=False), X > 0),
            ("softmax_cross_entropy", np.array([0, 1, 0, 1])),
        ]:
            b.loss(loss, np.abs(X), y)
