"""The formulas, in the symbols of the specification and the columns.

FORMULAS has all of them in LaTeX. A terminal shows the specification's own
docstring, and before it the one of PLAIN where that has no formula.
"""

FORMULAS = {
    "identity": r"g(z) = z \qquad g'(z) = 1",
    "sigmoid": r"g(z) = \frac{1}{1 + e^{-z}} \qquad g'(z) = g(z)\,(1 - g(z))",
    "tanh": r"g(z) = \frac{e^z - e^{-z}}{e^z + e^{-z}} \qquad g'(z) = 1 - g(z)^2",
    "relu": r"g(z) = \max(0, z) \qquad g'(z) = \begin{cases}1 & z > 0\\0 & z \le 0\end{cases}",
    "softmax": r"g(z)_i = \frac{e^{z_i}}{\sum_j e^{z_j}} \qquad "
    r"\frac{\partial g_i}{\partial z_j} = g_i\,(\delta_{ij} - g_j)",
    "leaky_relu": r"g(z) = \begin{cases}z & z > 0\\s z & z \le 0\end{cases} \qquad "
    r"g'(z) = \begin{cases}1 & z > 0\\s & z \le 0\end{cases}",
    "elu": r"g(z) = \begin{cases}z & z > 0\\\alpha\,(e^z - 1) & z \le 0\end{cases} \qquad "
    r"g'(z) = \begin{cases}1 & z > 0\\\alpha\,e^z & z \le 0\end{cases}",
    "softplus": r"g(z) = \log(1 + e^z) \qquad g'(z) = \frac{1}{1 + e^{-z}}",
    "silu": r"g(z) = z\,\sigma(z) \qquad g'(z) = \sigma(z)\,(1 + z\,\sigma(-z))",
    "gelu_erf": r"g(z) = z\,\Phi(z) = \frac{z}{2}\left(1 + "
    r"\mathrm{erf}\frac{z}{\sqrt 2}\right) \qquad g'(z) = \Phi(z) + z\,\varphi(z)",
    "gelu_tanh": r"g(z) = \frac{z}{2}\left(1 + \tanh u\right), \quad "
    r"u = \sqrt{2/\pi}\,(z + 0.044715\,z^3)",
    "dense": r"z = x W + b \qquad a = g(z)",
    "dropout": r"a = \begin{cases}x / (1 - p) & \text{kept, with probability } 1 - p\\"
    r"0 & \text{dropped}\end{cases}",
    "mixed": r"z = \mathrm{fl}\bigl(\mathrm{fl}(x\,\mathrm{fl}(W)) + b\bigr), "
    r"\quad \mathrm{fl}: \text{rounded to the dtype of } x",
    "sequential": r"f(x) = f_n(\dots f_2(f_1(x)))",
    "mse": r"J = \frac{1}{n} \sum_{i=1}^{n} (y_i - \hat y_i)^2 \qquad "
    r"\frac{\partial J}{\partial \hat y_i} = \frac{2}{n} (\hat y_i - y_i)",
    "bce": r"J = -\frac{1}{n} \sum_{i=1}^{n} \bigl(y_i \log p_i + (1 - y_i) \log(1 - p_i)\bigr)",
    "bce_logits": r"J = \frac{1}{n} \sum_{i=1}^{n} \bigl(\log(1 + e^{z_i}) - y_i z_i\bigr) "
    r"\qquad \frac{\partial J}{\partial z_i} = \frac{1}{n} (\sigma(z_i) - y_i)",
    "softmax_cross_entropy": r"J = -\frac{1}{n} \sum_{i=1}^{n} \sum_k y_{ik} "
    r"\log \frac{e^{z_{ik}}}{\sum_j e^{z_{ij}}} \qquad "
    r"\frac{\partial J}{\partial z_{ik}} = \frac{1}{n} (\mathrm{softmax}(z_i)_k - y_{ik})",
    "optimizer": r"\begin{gathered} t \leftarrow t + 1, "
    r"\quad\text{then for each weight decay, and then the rule:} \\ "
    r"g \leftarrow g + \lambda\theta \ \text{(coupled)} \quad\text{or}\quad "
    r"\theta \leftarrow \theta - \eta\lambda\theta \ \text{(decoupled)} \end{gathered}",
    "sgd": r"\theta \leftarrow \theta - \eta\,g \qquad \text{momentum:} \quad "
    r"b \leftarrow \mu b + g, \quad \theta \leftarrow \theta - \eta\,b \qquad "
    r"\text{Nesterov:} \quad \theta \leftarrow \theta - \eta\,(g + \mu b)",
    "adagrad": r"a \leftarrow a + g^2 \qquad "
    r"\theta \leftarrow \theta - \eta\,\frac{g}{\sqrt a + \epsilon}",
    "adadelta": r"v \leftarrow \rho v + (1 - \rho) g^2 \quad "
    r"d = \frac{\sqrt{u + \epsilon}}{\sqrt{v + \epsilon}}\,g \quad "
    r"u \leftarrow \rho u + (1 - \rho) d^2 \quad \theta \leftarrow \theta - \eta\,d",
    "rmsprop": r"v \leftarrow \rho v + (1 - \rho) g^2 \qquad "
    r"\theta \leftarrow \theta - \eta\,\frac{g}{\sqrt v + \epsilon}",
    "adam": r"m \leftarrow \beta_1 m + (1 - \beta_1) g \quad "
    r"v \leftarrow \beta_2 v + (1 - \beta_2) g^2 \quad "
    r"\hat m = \frac{m}{1 - \beta_1^t} \quad \hat v = \frac{v}{1 - \beta_2^t} \quad "
    r"\theta \leftarrow \theta - \eta\,\frac{\hat m}{\sqrt{\hat v} + \epsilon}",
    "adamw": r"\theta \leftarrow \theta - \eta\lambda\theta, \quad \text{then Adam: } \quad "
    r"\theta \leftarrow \theta - \eta\,\frac{\hat m}{\sqrt{\hat v} + \epsilon}",
    "backpropagation": r"\frac{\partial J}{\partial W} = x^\top \frac{\partial J}{\partial z} "
    r"\quad \frac{\partial J}{\partial b} = \sum_i \frac{\partial J}{\partial z_i} \quad "
    r"\frac{\partial J}{\partial x} = \frac{\partial J}{\partial z} W^\top \quad "
    r"\frac{\partial J}{\partial z} = g'(z)\,\frac{\partial J}{\partial a}",
    "training": r"\theta \leftarrow \theta - \eta\,\frac{1}{B} \sum_{i \in \text{batch}} "
    r"\frac{\partial J_i(\theta)}{\partial \theta} \quad \text{for each batch of each epoch}",
    "l2": r"J(\theta) + \frac{\lambda}{2} \sum \lVert W \rVert^2 \qquad "
    r"g_W \leftarrow g_W + \lambda W",
    "trace": r"x \to z_1 \to a_1 \to \dots \to J \to \frac{\partial J}{\partial a_n} "
    r"\to \frac{\partial J}{\partial z_n} \to \dots \to \frac{\partial J}{\partial x}",
    "threefry": r"x_0 \leftarrow x_0 + x_1 \qquad "
    r"x_1 \leftarrow \mathrm{rotl}(x_1, r) \oplus x_0 \qquad \text{20 times, mod } 2^{32}",
}

PLAIN = {
    "mixed": """\
z = fl(fl(x fl(W)) + b), fl: rounded to the dtype of x, a half.

Products are added up in float32; W, b and their gradients are float32.""",
    "sequential": "f(x) = f_n(... f_2(f_1(x)))",
    "optimizer": """\
t += 1, then for each weight the decay, and then the rule:
    decay="coupled":    g += lambda theta
    decay="decoupled":  theta -= eta lambda theta""",
    "backpropagation": """\
From the last layer to the first, with da the gradient of its output:
    dz = g'(z) da
    dW = x^T dz;  db = sum over the batch of dz
    dx = dz W^T, the da of the layer before""",
    "training": """\
For each batch of each epoch:
    J = 1/B sum of the losses of its B samples
    g = dJ/dtheta;  theta -= eta g, or another optimizer's rule""",
    "l2": """\
J(theta) + lambda/2 sum ||W||^2, so g_W += lambda W.

Over the matrices W and not the biases.""",
    "trace": """\
x -> z_1 -> a_1 -> ... -> J, and back by the chain rule:
J -> dJ/da_n -> dJ/dz_n -> ... -> dJ/dx""",
    "threefry": """\
x0 += x1;  x1 = rotl(x1, r) ^ x0

20 times, modulo 2^32; words of the key are added before the first and
after every fourth.""",
}
