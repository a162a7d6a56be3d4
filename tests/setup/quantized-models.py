"""Makes small quantized ONNX models with ONNX Runtime's own quantizer, and what ONNX Runtime computes with them.

    python quantized-models.py FOLDER

Each NAME.onnx has a NAME.npz: x (samples), y (the outputs with all optimizations off). The weights are random (seed 7).

Products of uint8 and int8 are summed in pairs by ONNX Runtime's kernels, in saturating int16 where the processor has no VNNI.
There int8 weights have 7 bits (`reduce_range`, ONNX Runtime's own remedy), so that every processor gives the same outputs.
"""

import itertools
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static

RNG = np.random.default_rng(7)
SAMPLES = 8


class Builder:
    def __init__(self, shape):
        self.nodes, self.weights, self.shape, self.count = [], [], shape, 0

    def weight(self, shape, scale=None):
        name = f"w{len(self.weights)}"
        scale = scale or 1.5 / np.sqrt(np.prod(shape[1:]))
        self.weights.append(numpy_helper.from_array((RNG.normal(size=shape) * scale).astype(np.float32), name))
        return name

    def constant(self, values):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def __call__(self, op, *inputs, outputs=1, **attributes):
        self.count += 1
        names = [f"t{self.count}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, name=f"{op.lower()}{self.count}", **attributes))
        return names[0] if outputs == 1 else names

    def conv(self, x, c_in, c_out, k=3, stride=1, group=1):
        w, b = self.weight([c_out, c_in // group, k, k]), self.weight([c_out], 0.1)
        return self("Conv", x, w, b, kernel_shape=[k, k], pads=[k // 2] * 4, strides=[stride] * 2, group=group)

    def model(self, y, shape):
        value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        graph = helper.make_graph(self.nodes, "g", [value("x", self.shape)], [value(y, shape)], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        onnx.checker.check_model(model)
        return model


def residual():
    """Residual sum, pools, a fully connected layer and softmax."""
    b = Builder([1, 3, 16, 16])
    a = b("Relu", b.conv("x", 3, 8))
    y = b("Relu", b.conv(a, 8, 8, group=8))
    y = b("Relu", b("Add", b.conv(y, 8, 8, k=1), a))
    y = b("MaxPool", y, kernel_shape=[2, 2], strides=[2, 2])
    y = b("Flatten", b("GlobalAveragePool", b.conv(y, 8, 12, stride=2)))
    y = b("Gemm", y, b.weight([5, 12]), b.weight([5], 0.1), transB=1)
    return b.model(b("Softmax", y, axis=1), [1, 5])


def gated():
    """A gate by channel (squeeze and excitation), leaky relu, concatenation, swish."""
    b = Builder([1, 4, 12, 12])
    a = b("LeakyRelu", b.conv("x", 4, 8), alpha=0.1)
    gate = b("Sigmoid", b.conv(b("Relu", b.conv(b("GlobalAveragePool", a), 8, 4, k=1)), 4, 8, k=1))
    y = b("Concat", b("Mul", a, gate), b.conv(a, 8, 4), axis=1)
    y = b("Mul", y, b("Sigmoid", y))
    y = b("AveragePool", y, kernel_shape=[2, 2], strides=[2, 2])
    return b.model(b.conv(y, 12, 3, k=1), [1, 3, 6, 6])


def upsampled():
    """Nearest resizing, clip, slices, a reshape and a matrix product."""
    b = Builder([1, 3, 8, 8])
    a = b.conv("x", 3, 6, stride=2)
    a = b("Clip", a, b.constant(np.float32(0)), b.constant(np.float32(6)))
    y = b("Resize", a, "", b.constant(np.array([1, 1, 2, 2], np.float32)), mode="nearest", nearest_mode="floor",
          coordinate_transformation_mode="asymmetric")
    y = b.conv(y, 6, 4)
    y = b("Transpose", y, perm=[0, 2, 3, 1])
    y = b("Slice", y, b.constant(np.array([1], np.int64)), b.constant(np.array([7], np.int64)),
          b.constant(np.array([1], np.int64)))
    y = b("Reshape", y, b.constant(np.array([1, 6, 32], np.int64)))
    y = b("Add", b("MatMul", y, b.weight([32, 7])), b.weight([7], 0.1))
    return b.model(b("Tanh", y), [1, 6, 7])


class Samples(CalibrationDataReader):
    def __init__(self, x):
        self.rest = iter([{"x": v[None]} for v in x])

    def get_next(self):
        return next(self.rest, None)


def save(folder, name, x):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(str(folder / f"{name}.onnx"), options)
    y = np.stack([session.run(None, {"x": v[None]})[0] for v in x])
    np.savez(folder / f"{name}.npz", x=x, y=y)


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for make in (residual, gated, upsampled):
        model, source = make(), folder / "float.onnx"
        onnx.save(model, source)
        shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim][1:]
        x = RNG.normal(size=[SAMPLES, *shape]).astype(np.float32)
        kinds = itertools.product(
            (QuantFormat.QDQ, QuantFormat.QOperator),
            ((QuantType.QInt8, QuantType.QInt8), (QuantType.QUInt8, QuantType.QInt8), (QuantType.QUInt8, QuantType.QUInt8)),
            (False, True),
        )
        for form, (activation, weight), per_channel in kinds:
            if per_channel and weight == QuantType.QUInt8:
                continue
            name = "_".join([make.__name__, form.name.lower(), activation.name[1:].lower(), weight.name[1:].lower()])
            name += "_by_channel" if per_channel else ""
            quantize_static(source, folder / f"{name}.onnx", Samples(x), quant_format=form, per_channel=per_channel,
                            activation_type=activation, weight_type=weight, reduce_range=activation != weight)
            save(folder, name, x)
        # Convolutions only: the other tensors stay float.
        name = f"{make.__name__}_part"
        quantize_static(source, folder / f"{name}.onnx", Samples(x), op_types_to_quantize=["Conv"])
        save(folder, name, x)
        # ONNX Runtime has no ConvInteger with int8 weights.
        for weight, types in ((QuantType.QInt8, ["MatMul"]), (QuantType.QUInt8, ["MatMul", "Conv"])):
            if weight == QuantType.QInt8 and not any(node.op_type == "MatMul" for node in model.graph.node):
                continue
            name = f"{make.__name__}_dynamic_{weight.name[1:].lower()}"
            quantize_dynamic(source, folder / f"{name}.onnx", weight_type=weight, op_types_to_quantize=types,
                             reduce_range=weight == QuantType.QInt8)
            save(folder, name, x)
        source.unlink()


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
