"""Writes tests/goldens/mlperf-tiny-logits.txt: what TensorFlow Lite Micro computes just before the softmax.

    pip install numpy flatbuffers tflite-micro==0.dev20261023182759 ai-edge-litert==2.3.0   # into an environment
    python tests/setup/tflm-logits.py ../shared/mlperf-tiny

The softmax is cut off the model and its operand made the output; nothing else changes. ai-edge-litert only brings the
schema of the file format.
"""

import pathlib
import sys

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from tflite_micro.python.tflite_micro import runtime

MODELS = {"kws": "kws_ref_model", "vww": "vww_96_int8", "ic": "pretrainedResnet_quant", "sww": "str_ww_ref_model"}


def run(model, inputs):
    interpreter = runtime.Interpreter.from_bytes(model)
    shape = [int(d) for d in interpreter.get_input_details(0)["shape"]]
    rows = []
    for x in inputs:
        interpreter.set_input(x.reshape(shape), 0)
        interpreter.invoke()
        rows.append(interpreter.get_output(0).reshape(-1).copy())
    return np.array(rows)


def without_softmax(model):
    tree = schema.ModelT.InitFromPackedBuf(model, 0)
    graph = tree.subgraphs[0]
    code = tree.operatorCodes[graph.operators[-1].opcodeIndex]
    assert max(code.builtinCode, code.deprecatedBuiltinCode) == schema.BuiltinOperator.SOFTMAX
    graph.outputs = [graph.operators[-1].inputs[0]]
    graph.operators = graph.operators[:-1]
    tree.signatureDefs = None
    builder = flatbuffers.Builder(len(model))
    builder.Finish(tree.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def main(folder):
    target = pathlib.Path(__file__).parent.parent / "goldens/mlperf-tiny-logits.txt"
    head = [line for line in target.read_text().splitlines() if line.startswith("#")]
    lines = []
    for key, name in MODELS.items():
        stored = np.load(folder / f"{key}_io.npz")
        model = (folder / f"{name}.tflite").read_bytes()
        inputs = stored["x_int8"]
        assert (run(model, inputs) == stored["y_int8_tflm"].reshape(len(inputs), -1)).all(), key
        for i, row in enumerate(run(without_softmax(model), inputs)):
            lines.append(f"{key} {i}: " + " ".join(str(v) for v in row))
    target.write_text("\n".join(head + lines) + "\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
