"""CPU time of an inference on one thread: Teff, TensorFlow Lite with XNNPACK, tract. Started by host-comparison.sh.

Teff runs each model twice: converted from the float model, calibrated on the stored inputs ("int8"), and as it was quantized for
TensorFlow Lite, whose two roundings it then computes bit for bit ("tflite"). The three programs take turns; medians are given.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile
import time

import numpy as np
from ai_edge_litert.interpreter import Interpreter

MODELS = {
    "kws": ("kws_ref_model_float32", "kws_ref_model"),
    "vww": ("vww_96_float32", "vww_96_int8"),
    "ic": ("pretrainedResnet_float32", "pretrainedResnet_quant"),
    "ad": ("ad01_float32", "ad01_int8"),
}


def xnnpack(path):
    """A function that measures microseconds of the thread's CPU time of an inference."""
    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    detail = interpreter.get_input_details()[0]
    interpreter.set_tensor(detail["index"], np.zeros(detail["shape"], detail["dtype"]))
    for _ in range(50):
        interpreter.invoke()

    def measure():
        times = []
        for _ in range(15):
            start = time.thread_time_ns()
            for _ in range(50):
                interpreter.invoke()
            times.append((time.thread_time_ns() - start) / 50_000)
        return statistics.median(times)

    return measure


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--teff", required=True)
    parser.add_argument("--models", type=pathlib.Path, default=pathlib.Path("../shared/mlperf-tiny"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if not args.models.is_dir():
        raise SystemExit(f"{args.models} is not there: --models says where the models lie")

    def teff(*arguments):
        run = subprocess.run([args.teff, *map(str, arguments)], capture_output=True, text=True)
        if run.returncode != 0:
            raise SystemExit(run.stderr)
        return run.stdout

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        for key, (float_name, tflite_name) in MODELS.items():
            onnx, tflite = args.models / f"{float_name}.onnx", args.models / f"{tflite_name}.tflite"
            np.savez(work / "x.npz", x=np.load(args.models / f"{key}_io.npz")["x_f32"])
            own, same = work / f"{key}.teff", work / f"{key}-tflite.teff"
            teff("convert", onnx, "--calibration", work / "x.npz", "-o", own)
            teff("convert", tflite, "-o", same)
            measure = xnnpack(tflite)
            times = {"teff_int8": [], "teff_tflite": [], "xnnpack": [], "tract": []}
            for _ in range(args.rounds):
                report = json.loads(teff("bench", own, "--board", "host", "--float", onnx, "--json"))
                times["teff_int8"].append(report["microseconds"])
                times["tract"].append(report["tract_microseconds"])
                times["xnnpack"].append(measure())
                report = json.loads(teff("bench", same, "--board", "host", "--json"))
                times["teff_tflite"].append(report["microseconds"])
            rows.append({"model": key, **{name: statistics.median(values) for name, values in times.items()}})
    if args.json:
        print(json.dumps(rows, indent=2))
        return
    print("microseconds of CPU time, one thread")
    print("model   Teff int8   Teff tflite   XNNPACK   tract   int8/XNNPACK   tflite/XNNPACK   tract/Teff")
    for row in rows:
        ours, same, other, tract = (row[k] for k in ("teff_int8", "teff_tflite", "xnnpack", "tract"))
        print(f"{row['model']:5} {ours:11.1f} {same:13.1f} {other:9.1f} {tract:7.1f} "
              f"{ours / other:14.2f} {same / other:16.2f} {tract / ours:12.2f}")


if __name__ == "__main__":
    main()
