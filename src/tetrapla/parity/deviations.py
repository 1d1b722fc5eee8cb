"""Known deviations: where a library is not the specification, and why.

A row admits one habit of a library's (oracle/habits.py): what the library
makes must then be within the bound of its own formula, so that a known
deviation hides no other. `seen` is a case of the suite in which the row is
needed: a test runs it, and fails when the deviation has disappeared.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tetrapla.oracle import habits

SINGLE = ("float32", "tf32")
WHOLE = (*SINGLE, "float64")
EVERY = (*WHOLE, "bfloat16", "float16")


@dataclass(frozen=True)
class Deviation:
    """One habit of some backends: the cause, a source, and where it shows.

    `presets` are the optimizers that have it with the library's own defaults.
    `setting` is a variable of the environment, and the value with which it shows
    on every machine: the default is the CPU's. A row `on_gpu` is for GPUs alone.
    """

    habit: str
    backends: tuple[str, ...]
    cause: str
    source: str
    seen: tuple[str, str]  # a case of the suite, and the dtype
    dtypes: tuple[str, ...] = WHOLE
    presets: tuple[str, ...] = ()
    setting: tuple[str, str] | None = None
    on_gpu: bool = False


TABLE: tuple[Deviation, ...] = (
    Deviation(
        habits.SIGMOID_SLOPE,
        ("torch.nn", "tf.keras", "jax.flax"),
        "differentiates sigmoid as s (1 - s), where 1 - s cancels: the gradient is 0 "
        "from z = 17 (float32) or 37 (float64) up",
        "https://github.com/pytorch/pytorch/blob/v2.13.0/tools/autograd/derivatives.yaml",
        ("activation/sigmoid", "float64"),
        dtypes=EVERY,
    ),
    Deviation(
        habits.GELU_SLOPE,
        ("torch.nn",),
        "adds the slope of GELU's tail to 1/2 in its vectorised float32 kernel, which "
        "halves use too: the gradient is a multiple of 2^-25 there, and 0 from z = -6.4 "
        "down",
        "https://github.com/pytorch/pytorch/blob/v2.13.0/aten/src/ATen/native/cpu/Activation.cpp",
        ("activation/gelu_erf", "float32"),
        dtypes=(*SINGLE, "bfloat16"),  # a float16 has nothing as small
    ),
    Deviation(
        habits.GELU_HALVED_LAST,
        ("torch.nn",),
        "doubles z before GELU is halved, in its vectorised float32 kernel: above 1.7e38, "
        "half of the largest number, GELU is infinite",
        "https://github.com/pytorch/pytorch/blob/v2.13.0/aten/src/ATen/native/cpu/Activation.cpp",
        ("activation/gelu_erf-largest", "float32"),
        dtypes=(*SINGLE, "bfloat16"),
    ),
    Deviation(
        habits.GELU_CUBE,
        ("torch.nn", "tf.keras", "jax.flax"),
        "cubes z in the gradient of GELU's tanh form: above 1e12 in float32 and bfloat16 "
        "that overflows, and 0 times infinity is NaN",
        "https://github.com/pytorch/pytorch/blob/v2.13.0/aten/src/ATen/native/cpu/Activation.cpp",
        ("activation/gelu_tanh", "float32"),
        dtypes=(*WHOLE, "bfloat16"),
    ),
    Deviation(
        habits.GELU_CUBE,
        ("tf.keras", "jax.flax"),
        "cubes z in float16, which overflows from z = 41 up",
        "https://docs.jax.dev/en/latest/_autosummary/jax.nn.gelu.html",
        ("activation/gelu_tanh", "float16"),
        dtypes=("float16",),
    ),
    Deviation(
        habits.LOGITS_CANCEL,
        ("torch.nn", "tf.keras"),
        "adds (1 - y) z - log sigmoid(z), or max(z, 0) - y z + log(1 + exp(-|z|)), and "
        "sigmoid(z) - y, which cancel where a confident prediction is right: in PyTorch's "
        "float32 the loss of z = -20, y = 0 is 0; and that of a float16 z of -1e5, y = 1 "
        "is NaN, where it is infinite",
        "https://github.com/pytorch/pytorch/blob/v2.13.0/aten/src/ATen/native/Loss.cpp",
        ("loss/bce-logits-tails-none", "float32"),
        dtypes=EVERY,
    ),
    Deviation(
        habits.CLAMPED_LOGARITHM,
        ("torch.nn",),
        "clamps the logarithms of BCELoss at -100, and the divisor of its gradient "
        "at 1e-12: p = 0, y = 1 costs 100",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.BCELoss.html",
        ("loss/bce-probabilities-certain-none", "float64"),
        dtypes=EVERY,
    ),
    Deviation(
        habits.ALL_CLASSES,
        ("torch.nn", "tf.keras", "jax.flax"),
        "multiplies log softmax by labels of 0 too: where it overflowed to "
        "-infinity, the loss is NaN",
        "https://github.com/pytorch/pytorch/blob/v2.13.0/aten/src/ATen/native/LossNLL.cpp",
        ("loss/softmax-cross-entropy-wrong-rows-none", "float32"),
        dtypes=(*WHOLE, "bfloat16"),  # float16 outputs are too small for it
    ),
    Deviation(
        habits.UNCLAMPED_VARIANCE,
        ("torch.nn", "tf.keras", "jax.flax"),
        "takes the root of v - m^2, which rounds below 0 on constant gradients: "
        "centred RMSProp is NaN there",
        "https://docs.pytorch.org/docs/stable/generated/torch.optim.RMSprop.html",
        ("optimizer/rmsprop-no-variance", "float32"),
        dtypes=EVERY,
    ),
    Deviation(
        habits.FLOAT32_NUMBERS,
        ("tf.keras",),
        "keeps the learning rate in a float32 variable, and TensorFlow takes a Python "
        "number (momentum, weight_decay, LeakyReLU's slope, GELU's 0.044715) through "
        "float32, in float64 too",
        "https://www.tensorflow.org/api_docs/python/tf/cast",
        ("optimizer/sgd", "float64"),
        dtypes=("float64",),
        presets=("sgd", "adagrad", "adadelta", "rmsprop", "adam", "adamw"),
    ),
    Deviation(
        habits.FLOAT32_CORRECTION,
        ("tf.keras",),
        "forms Adam's 1 - beta^t of a float32 beta: 7e-6 off at the first step",
        "https://keras.io/api/optimizers/adam/",
        ("optimizer/adam-uncorrected-amsgrad-raw", "float64"),
        dtypes=EVERY,
        presets=("adam", "adamw"),
    ),
    Deviation(
        habits.FLOAT32_CORRECTION,
        ("jax.flax",),
        "forms Adam's 1 - beta^t in the weights' float32, where 1 - 0.999 keeps four "
        "digits: 7e-6 off at the first step",
        "https://github.com/google-deepmind/optax/blob/v0.2.8/optax/tree_utils/_tree_math.py",
        ("optimizer/adam", "float32"),
        dtypes=(*SINGLE, "bfloat16", "float16"),
    ),
    Deviation(
        habits.NO_STEP_AT_ZERO,
        ("jax.flax",),
        "takes no step of Adagrad where the sum of squares is 0, and the square of a "
        "small gradient is flushed to 0",
        "https://github.com/google-deepmind/optax/blob/v0.2.8/optax/_src/transform.py",
        ("optimizer/adagrad-inside", "float32"),
        dtypes=EVERY,
    ),
    Deviation(
        habits.LEAKY_AT_ZERO,
        ("jax.flax",),
        "takes 1 for LeakyReLU's slope at 0",
        "https://docs.jax.dev/en/latest/_autosummary/jax.nn.leaky_relu.html",
        ("activation/leaky_relu", "float64"),
        dtypes=EVERY,
    ),
    Deviation(
        habits.LOGADDEXP_SLOPE,
        ("jax.flax",),
        "differentiates logaddexp, which is softplus and log sigmoid, as "
        "exp(z - logaddexp): a few units more than the sigmoid",
        "https://github.com/jax-ml/jax/blob/main/jax/_src/lax/other.py",
        ("activation/softplus", "float64"),
        dtypes=EVERY,
    ),
    Deviation(
        habits.LOG_SUM_CANCELS,
        ("jax.flax",),
        "subtracts the label's logit from log sum exp, which cancels where it is the "
        "largest by far",
        "https://github.com/google-deepmind/optax/blob/v0.2.8/optax/losses/_classification.py",
        ("loss/softmax-cross-entropy-classes-none-5x3", "float64"),
        dtypes=EVERY,
    ),
    Deviation(
        habits.HALF_SUMS,
        ("jax.flax",),
        "differentiates the bias of a half as a reduce_sum of halves, of which XLA rounds "
        "every addition on a CPU",
        "https://github.com/jax-ml/jax/issues/38885",
        ("layer/dense-identity-3-2-batch-65", "bfloat16"),
        dtypes=("bfloat16", "float16"),
    ),
    Deviation(
        habits.HALF_SUMS,
        ("tf.keras",),
        "adds up a bias's gradient in bfloat16 on a CPU",
        "https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/core/kernels/bias_op.cc",
        ("layer/dense-identity-3-2-batch-65", "bfloat16"),
        dtypes=("bfloat16",),
    ),
    Deviation(
        habits.HALF_SUMS,
        ("tf.keras",),
        "adds up a bias's gradient in float16 on a CPU where a layer has one output",
        "https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/core/kernels/bias_op.cc",
        ("layer/dense-tanh-70-1-batch-100", "float16"),
        dtypes=("float16",),
    ),
    Deviation(
        habits.CUT_PRODUCTS,
        ("tf.keras",),
        "cuts a product to bfloat16 where oneDNN does not multiply (by its setting, or on "
        "CPUs without AVX-512): twice as far off as rounded",
        "https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/core/kernels/matmul_op_impl.h",
        ("layer/dense-tanh-4-4-batch-4", "bfloat16"),
        dtypes=("bfloat16",),
        setting=("TF_ENABLE_ONEDNN_OPTS", "0"),
    ),
    Deviation(
        habits.SIGMOID_OVERFLOWS,
        ("jax.flax",),
        "computes sigmoid and SiLU as 1 / (1 + exp(-z)) in float16: 0 from z = -11.09 "
        "down, where exp(-z) is infinite",
        "https://github.com/openxla/xla/blob/main/xla/hlo/transforms/expanders/logistic_expander.cc",
        ("activation/sigmoid-every-float16", "float16"),
        dtypes=("float16",),
    ),
    Deviation(
        habits.HALF_EXPM1,
        ("jax.flax",),
        "computes float16's expm1 in float16 on a CPU, as tanh(z / 2) (exp(z) + 1): ELU is "
        "up to 2.8 units off",
        "https://github.com/openxla/xla/blob/main/xla/service/elemental_ir_emitter.cc",
        ("training/diabetes-adamw", "float16"),
        dtypes=("float16",),
    ),
    Deviation(
        habits.HALF_PRODUCTS,
        ("jax.flax",),
        "rounds each product to the half where a layer has one output, or the batch one "
        "sample: XLA makes a product and a sum of it on a GPU",
        "https://github.com/pytorch/xla/issues/7077",
        ("layer/dropout-evaluation", "bfloat16"),
        dtypes=("bfloat16", "float16"),
        on_gpu=True,
    ),
    Deviation(
        habits.NO_CASTS,
        ("jax.flax",),
        "leaves out a weight's cast to a half where XLA multiplies without a matrix "
        "product: the weight has more digits than it should",
        "https://github.com/openxla/xla/issues/41605",
        ("layer/dense-identity-1-1-batch-1", "bfloat16"),
        dtypes=("bfloat16", "float16"),
        on_gpu=True,
    ),
    Deviation(
        habits.ELU_EXP,
        ("tf.keras",),
        "computes ELU as exp(z) - 1, which cancels near 0: ELU(-1e-38) is 0",
        "https://www.tensorflow.org/api_docs/python/tf/nn/elu",
        ("activation/elu", "float64"),
        dtypes=EVERY,
    ),
    Deviation(
        habits.SOFTPLUS_PLAIN,
        ("tf.keras",),
        "computes softplus as log(1 + exp(z)) for z > 0 too, where the error of exp is "
        "not made smaller",
        "https://www.tensorflow.org/api_docs/python/tf/math/softplus",
        ("activation/softplus", "float64"),
        dtypes=(*WHOLE, "float16"),
    ),
    Deviation(
        habits.SOFTPLUS_PRODUCT,
        ("torch.nn",),
        "differentiates softplus as da exp(z) / (1 + exp(z)), which is infinite where "
        "da exp(z) is",
        "https://github.com/pytorch/pytorch/blob/v2.13.0/aten/src/ATen/native/cpu/Activation.cpp",
        ("activation/softplus-steep", "float32"),
        dtypes=(*WHOLE, "bfloat16"),
    ),
    Deviation(
        habits.SOFTPLUS_PLAIN,
        ("torch.nn",),
        "computes softplus as log(1 + exp(z)) for z > 0 too, and the log1p of CUDA may be "
        "1 ULP off",
        "https://github.com/pytorch/pytorch/blob/v2.13.0/aten/src/ATen/native/cuda/"
        "ActivationSoftplusKernel.cu",
        ("activation/softplus", "float32"),
        dtypes=EVERY,
        on_gpu=True,
    ),
    Deviation(
        habits.SOFTPLUS_THRESHOLD,
        ("tf.keras",),
        "takes z for softplus above -log(eps) - 2, 2.84 in bfloat16, and exp(z) below "
        "log(eps) + 2: off by up to 7 units",
        "https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/core/kernels/softplus_op.h",
        ("activation/softplus", "bfloat16"),
        dtypes=("bfloat16",),
    ),
    Deviation(
        habits.FLOAT32_ROOT,
        ("tf.keras",),
        "multiplies by a float32 square root of 1/2 in GELU, in float64 too: 4e-9 off at 1",
        "https://www.tensorflow.org/api_docs/python/tf/nn/gelu",
        ("activation/gelu_erf", "float64"),
        dtypes=("float64",),
    ),
    Deviation(
        habits.SOFTMAX_HIDES_NAN,
        ("tf.keras",),
        "takes a row's largest number with an instruction that passes over NaN, where "
        "oneDNN computes softmax (float32 and bfloat16, on CPUs with AVX512-VNNI or "
        "AVX-VNNI): beside a NaN the probabilities are 0",
        "https://github.com/tensorflow/tensorflow/pull/55408",
        ("activation/softmax-nan", "float32"),
        dtypes=(*SINGLE, "bfloat16"),
        setting=("TF_ENABLE_ONEDNN_OPTS", "1"),
    ),
    Deviation(
        habits.CLIPPED_PROBABILITY,
        ("tf.keras",),
        "clips probabilities to [1e-7, 1 - 1e-7]: p = 0, y = 1 costs 16.1, and the "
        "gradient there is 0",
        "https://github.com/keras-team/keras/issues/15249",
        ("loss/bce-probabilities-certain-none", "float64"),
        dtypes=EVERY,
    ),
    Deviation(
        habits.ROWS_OF_ONE,
        ("tf.keras",),
        "takes rows of labels to add up to 1 in the gradient, softmax(z) - y, when they "
        "do but for a float32's rounding",
        "https://www.tensorflow.org/api_docs/python/tf/nn/softmax_cross_entropy_with_logits",
        ("loss/softmax-cross-entropy-distributions-mean-5x3", "float64"),
    ),
)


def of(backend: str, dtype: str, device: str = "cpu") -> Iterator[Deviation]:
    """Yield the rows of a backend."""
    for row in TABLE:
        here = device != "cpu" or not row.on_gpu
        if here and backend in row.backends and dtype in row.dtypes:
            yield row
