"""Habits: forms of the libraries that the specification does not accept.

Each is another formula, or an unstable form of the right one, evaluated by
the oracle with its own bound where `arithmetic.admitting` says so. Who has
it, and since when, is the known-deviations table (parity/deviations.py).
"""

from typing import Final

# s (1 - s) for the sigmoid's slope: 1 - s cancels as s nears 1.
SIGMOID_SLOPE: Final = "sigmoid's slope is s (1 - s)"

# 1/2 + (erf(z / sqrt 2) / 2 + z phi(z)): what is below 2^-25 is lost.
GELU_SLOPE: Final = "GELU's slope is added to 1/2"

# z (1 + erf(z / sqrt 2)) / 2: twice z overflows where z does not.
GELU_HALVED_LAST: Final = "GELU is halved last"

# z^3 without a limit: it overflows where tanh(u) is long 1.
GELU_CUBE: Final = "GELU's tanh form cubes any z"

# (1 - y) z - log sigmoid(z), or max(z, 0) - y z + log(1 + exp(-|z|)), and
# the gradient sigmoid(z) - y: all cancel where the loss is small.
LOGITS_CANCEL: Final = "BCE from logits cancels"

# max(log p, -100), and (p - y) / max((1 - p) p, float32(1e-12)).
CLAMPED_LOGARITHM: Final = "BCE's logarithm is clamped at -100"

# y log softmax(z) summed where y = 0 too: 0 times infinity is NaN.
ALL_CLASSES: Final = "cross-entropy multiplies by labels of 0"

# sqrt(v - m^2), of a difference that rounds below 0.
UNCLAMPED_VARIANCE: Final = "centred RMSProp's variance may be negative"

# Numbers that are no tensors (lr, beta, a slope ...), in float64 too.
FLOAT32_NUMBERS: Final = "numbers pass through float32"

# 1 - beta^t in float32, in float64 too.
FLOAT32_CORRECTION: Final = "the bias correction is formed in float32"

# where(z >= 0, z, slope z): the slope at 0 is that of the positive side.
LEAKY_AT_ZERO: Final = "LeakyReLU's slope at 0 is 1"

# alpha (exp(z) - 1), which cancels near 0.
ELU_EXP: Final = "ELU is exp(z) - 1"

# log(1 + exp(z)) for z > 0 too, where exp's error is not made smaller.
SOFTPLUS_PLAIN: Final = "softplus is log(1 + exp(z)) for z > 0 too"

# exp(z - softplus(z)) for the slope: the difference of two large numbers.
LOGADDEXP_SLOPE: Final = "logaddexp's slope is exp(z - logaddexp)"

# erfc(-z float32(1 / sqrt 2)) in float64 too.
FLOAT32_ROOT: Final = "GELU's square root of 1/2 is a float32"

# p clipped to [1e-7, 1 - 1e-7], where the gradient is 0; log(1 - p).
CLIPPED_PROBABILITY: Final = "BCE clips probabilities at 1e-7"

# log sum exp z - z_label, which cancels where the label's logit is the largest,
# and is infinite where another logit is.
LOG_SUM_CANCELS: Final = "cross-entropy subtracts the logit from log sum exp"

# softmax(z) - y, for rows of labels that add up to 1 but for rounding too.
ROWS_OF_ONE: Final = "cross-entropy takes rows of labels to add up to 1"

# The largest of a row is taken by an instruction that passes over NaN.
SOFTMAX_HIDES_NAN: Final = "softmax passes over a NaN in its row"

# No step where the sum of squares is 0: a square may have been flushed.
NO_STEP_AT_ZERO: Final = "Adagrad takes no step where its sum is 0"

# Each addition of a sum of halves (a bias's gradient) is rounded to the half.
HALF_SUMS: Final = "sums of halves are added up in halves"

# da exp(z) / (1 + exp(z)), from the left, up to where softplus is taken to be z.
SOFTPLUS_PRODUCT: Final = "softplus's gradient multiplies by exp(z) first"

# 1 / (1 + exp(-z)), where exp(-z) is infinite from a half's z of -11.09 down.
SIGMOID_OVERFLOWS: Final = "exp(-z) overflows in the sigmoid"

# tanh(z / 2) (exp(z) + 1) for expm1(z) in ELU, all of it in float16.
HALF_EXPM1: Final = "float16's expm1 is tanh(z / 2) (exp(z) + 1)"

# z from -log(eps) - 2 up, and exp(z) from log(eps) + 2 down: eps is of the half.
SOFTPLUS_THRESHOLD: Final = "softplus is z, or exp(z), beyond a threshold"

# A product that was added up in float32 is cut to bfloat16, and not rounded.
CUT_PRODUCTS: Final = "products are cut to bfloat16"

# Each product of a sum is rounded to the half before it is added up.
HALF_PRODUCTS: Final = "products of halves are rounded one by one"

# A float32 weight is multiplied as it is, where it should be cast to a half.
NO_CASTS: Final = "casts to halves are left out"
