"""The programs that benchmarks/throughput.py compares with, each run in a process of its own.

    PYTHON benchmarks/contenders.py NAME FOLDER MAX_TOKENS [--prepare]

FOLDER holds texts.parquet, docs.parquet, chunks.parquet and model/. `--prepare` makes what the contender needs
besides the model (an exported or quantised one) and is not timed. Otherwise prints one JSON object: `seconds` from
the model being loaded to vectors and a FAISS index being saved, and what was chosen. Vectors: FOLDER/NAME.npy.
This file imports nothing of the workbench: it runs under any Python that has the contender's packages.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Texts = list[str]
#: Batch sizes that the tuned contenders try on the first quarter of the texts.
BATCHES = (8, 16, 32, 64, 128)


@dataclass(frozen=True, slots=True)
class Contender:
    """A program to compare with: its label, number format, the modules it needs, how they are installed."""

    label: str
    dtype: str
    needs: tuple[str, ...]
    install: str


_ST = ("sentence_transformers", "faiss", "pyarrow")
_OV = (*_ST, "optimum.intel", "nncf", "datasets")
_ONNX = (*_ST, "optimum.onnxruntime")
_INSTALL_OV = "sentence-transformers[openvino] nncf datasets"
_INSTALL_ONNX = "sentence-transformers[onnx], which takes sentence-transformers < 6"
CONTENDERS = {
    "usual": Contender("usual script", "fp32", (*_ST, "pandas"), "pandas"),
    "st": Contender("sentence-transformers defaults", "fp32", _ST, "sentence-transformers"),
    "st-tuned-fp32": Contender("sentence-transformers tuned", "fp32", _ST, "sentence-transformers"),
    "st-tuned-bf16": Contender("sentence-transformers tuned", "bf16", _ST, "sentence-transformers"),
    "st-openvino-fp32": Contender("sentence-transformers OpenVINO", "fp32", _OV, _INSTALL_OV),
    "st-openvino-bf16": Contender("sentence-transformers OpenVINO", "bf16", _OV, _INSTALL_OV),
    "st-openvino-int8": Contender("sentence-transformers OpenVINO", "int8", _OV, _INSTALL_OV),
    "st-onnx-fp32": Contender("sentence-transformers ONNX", "fp32", _ONNX, _INSTALL_ONNX),
    "st-onnx-int8": Contender("sentence-transformers ONNX", "int8", _ONNX, _INSTALL_ONNX),
    "fastembed": Contender("fastembed", "fp32", (*_ONNX, "fastembed"), "fastembed, an ONNX export: " + _INSTALL_ONNX),
    "ort-fp32": Contender("plain ONNX Runtime, sorted", "fp32", _ONNX, "an ONNX export: " + _INSTALL_ONNX),
    "ort-int8": Contender("plain ONNX Runtime, sorted", "int8", _ONNX, "an ONNX export: " + _INSTALL_ONNX),
}


@dataclass(slots=True)
class Place:
    """Where a contender works."""

    folder: Path
    name: str
    max_tokens: int

    @property
    def model(self) -> Path:
        return self.folder / "model"

    @property
    def openvino(self) -> Path:
        return self.folder / "model-openvino"

    @property
    def openvino_int8(self) -> Path:
        return self.folder / "model-openvino-int8"

    @property
    def onnx(self) -> Path:
        return self.folder / "model-onnx"

    def texts(self) -> Texts:
        import pyarrow.parquet as pq

        return list(pq.read_table(self.folder / "texts.parquet")["text"].to_pylist())

    def save(self, vectors: Any) -> None:
        """What every contender ends with: vectors on disk and an exact index."""
        import faiss
        import numpy as np

        vectors = np.ascontiguousarray(vectors, np.float32)
        np.save(self.folder / f"{self.name}.npy", vectors)
        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(vectors)
        faiss.write_index(index, str(self.folder / f"{self.name}.faiss"))


def usual(place: Place) -> dict[str, Any]:
    """What people write: pandas, a dict of documents, row-wise slicing and joining, encode, FAISS at the end."""
    import pandas as pd

    docs = pd.read_parquet(place.folder / "docs.parquet")
    chunks = pd.read_parquet(place.folder / "chunks.parquet")
    by_id = {row["doc_id"]: row for _, row in docs.iterrows()}
    encoder = _encoder(place, place.model)
    began = time.perf_counter()
    texts = []
    for _, row in chunks.iterrows():
        document = by_id[row["doc_id"]]
        texts.append(document["title"] + "\n" + document["text"][row["start"] : row["end"]])
    place.save(encoder.encode(texts, show_progress_bar=False, normalize_embeddings=True))
    chunks.to_parquet(place.folder / "usual.parquet")
    return {"seconds": time.perf_counter() - began}


def sentence_transformers(place: Place) -> dict[str, Any]:
    """`encode` over texts that lie ready, by the backend and number format that the name says."""
    options: dict[str, Any] = {}
    path = place.model
    if place.name == "st-tuned-bf16":
        import torch

        options = {"model_kwargs": {"dtype": torch.bfloat16}}
    elif place.name.startswith("st-openvino"):
        precision = "bf16" if place.name.endswith("bf16") else "f32"
        kwargs: dict[str, Any] = {"ov_config": {"INFERENCE_PRECISION_HINT": precision}}
        if place.name.endswith("int8"):
            kwargs = {}
        path = place.openvino_int8 if place.name.endswith("int8") else place.openvino
        options = {"backend": "openvino", "model_kwargs": kwargs}
    elif place.name.startswith("st-onnx"):
        file = "model_qint8_avx512_vnni.onnx" if place.name.endswith("int8") else "model.onnx"
        kwargs = {"file_name": f"onnx/{file}", "provider": "CPUExecutionProvider"}
        path, options = place.onnx, {"backend": "onnx", "model_kwargs": kwargs}
    encoder = _encoder(place, path, **options)
    texts = place.texts()
    batch = 32
    if place.name != "st":
        part = texts[: max(64, len(texts) // 4)]
        batch = _best(place, lambda size: encoder.encode(part, batch_size=size, show_progress_bar=False))
    began = time.perf_counter()
    place.save(encoder.encode(texts, batch_size=batch, show_progress_bar=False))  # it sorts by length itself
    return {"seconds": time.perf_counter() - began, "batch": batch}


def fastembed(place: Place) -> dict[str, Any]:
    """fastembed with the exported model added as one of the user's own; batches in the order of the texts."""
    from fastembed import TextEmbedding
    from fastembed.common.model_description import ModelSource, PoolingType

    pooling = PoolingType.CLS if _pooling(place.model) == "cls" else PoolingType.MEAN
    dim = json.loads((place.model / "config.json").read_text(encoding="utf-8"))["hidden_size"]
    TextEmbedding.add_custom_model(
        model="benchmark/model", pooling=pooling, normalization=True, sources=ModelSource(url="https://localhost/none"),
        dim=dim, model_file="onnx/model.onnx",
    )
    encoder = TextEmbedding("benchmark/model", specific_model_path=str(place.onnx))
    encoder.model.tokenizer.enable_truncation(place.max_tokens)
    texts = place.texts()
    part = texts[: max(64, len(texts) // 4)]
    batch = _best(place, lambda size: list(encoder.embed(part, batch_size=size)))
    began = time.perf_counter()
    place.save(list(encoder.embed(texts, batch_size=batch)))
    return {"seconds": time.perf_counter() - began, "batch": batch}


def onnxruntime(place: Place) -> dict[str, Any]:
    """tokenizers and one ONNX Runtime session: sorted by tokens, padded to the longest of a batch, mean or cls."""
    import numpy as np
    import onnxruntime as ort
    from tokenizers import Tokenizer

    file = "model_qint8_avx512_vnni.onnx" if place.name.endswith("int8") else "model.onnx"
    session = ort.InferenceSession(str(place.onnx / "onnx" / file), providers=["CPUExecutionProvider"])
    inputs = {item.name for item in session.get_inputs()}
    tokenizer = Tokenizer.from_file(str(place.model / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(place.max_tokens)
    cls = _pooling(place.model) == "cls"

    def encode(texts: Texts, size: int) -> Any:
        rows = [encoding.ids for encoding in tokenizer.encode_batch_fast(texts)]
        order = sorted(range(len(rows)), key=lambda row: -len(rows[row]))
        found: list[Any] = [None] * len(rows)
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            ids = np.zeros((len(chosen), len(rows[chosen[0]])), np.int64)
            mask = np.zeros_like(ids)
            for at, row in enumerate(chosen):
                ids[at, : len(rows[row])], mask[at, : len(rows[row])] = rows[row], 1
            feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
            hidden = session.run(None, {name: feed[name] for name in inputs})[0]
            weight = mask[:, :, None].astype(np.float32)
            pooled = hidden[:, 0] if cls else (hidden * weight).sum(1) / weight.sum(1)
            for row, vector in zip(chosen, pooled, strict=True):
                found[row] = vector
        return found

    texts = place.texts()
    part = texts[: max(64, len(texts) // 4)]
    batch = _best(place, lambda size: encode(part, size))
    began = time.perf_counter()
    place.save(encode(texts, batch))
    return {"seconds": time.perf_counter() - began, "batch": batch}


def _encoder(place: Place, path: Path, **options: Any) -> Any:
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTransformer(str(path), device="cpu", **options)
    encoder.max_seq_length = place.max_tokens
    return encoder


def _best(place: Place, encode: Callable[[int], object]) -> int:
    """The quickest batch size; found once, kept for the turns that follow."""
    kept = place.folder / f"{place.name}.batch"
    if kept.exists():
        return int(kept.read_text(encoding="utf-8"))
    encode(BATCHES[0])  # warms up
    took = {}
    for size in BATCHES:
        began = time.perf_counter()
        encode(size)
        took[size] = time.perf_counter() - began
    best = min(took, key=lambda size: took[size])
    kept.write_text(str(best), encoding="utf-8")
    return best


def _pooling(model: Path) -> str:
    file = model / "1_Pooling" / "config.json"
    config = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return "cls" if config.get("pooling_mode_cls_token") or config.get("pooling_mode") == "cls" else "mean"


def prepare(place: Place) -> None:
    """Export and quantise by sentence-transformers' own means, once."""
    if "openvino" in place.name:
        if not place.openvino.exists():
            _encoder(place, place.model, backend="openvino").save_pretrained(str(place.openvino))
        if place.name.endswith("int8") and not place.openvino_int8.exists():
            _quantise_openvino(place)
    elif place.name.startswith(("st-onnx", "ort", "fastembed")):
        if not place.onnx.exists():
            _encoder(place, place.model, backend="onnx").save_pretrained(str(place.onnx))
        if place.name.endswith("int8") and not list(place.onnx.rglob("*qint8_avx512_vnni.onnx")):
            from sentence_transformers import export_dynamic_quantized_onnx_model

            encoder = _encoder(place, place.onnx, backend="onnx", model_kwargs={"file_name": "onnx/model.onnx"})
            export_dynamic_quantized_onnx_model(encoder, "avx512_vnni", str(place.onnx))


def _quantise_openvino(place: Place) -> None:
    """As `export_static_quantized_openvino_model` does, calibrated on these texts instead of a data set of the hub."""
    from datasets import Dataset
    from optimum.intel.openvino import OVConfig, OVQuantizationConfig, OVQuantizer

    encoder = _encoder(place, place.openvino, backend="openvino")
    rows = encoder.tokenizer(place.texts()[:300], padding="max_length", max_length=place.max_tokens, truncation=True)
    quantizer = OVQuantizer.from_pretrained(encoder.transformers_model)
    quantizer.quantize(Dataset.from_dict(dict(rows)), ov_config=OVConfig(quantization_config=OVQuantizationConfig()))
    encoder.save_pretrained(str(place.openvino_int8))


def versions() -> str:
    """Packages that decide the speed, for the table's foot."""
    names = ("sentence-transformers", "transformers", "torch", "openvino", "optimum-intel", "onnxruntime", "fastembed")
    found = []
    for name in names:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return ", ".join(found)


def main() -> None:
    name, folder, tokens = sys.argv[1:4]
    place = Place(Path(folder), name, int(tokens))
    if "--prepare" in sys.argv:
        prepare(place)
        return
    own = {"usual": usual, "fastembed": fastembed, "ort-fp32": onnxruntime, "ort-int8": onnxruntime}
    run = own.get(name, sentence_transformers)
    print(json.dumps({**run(place), "versions": versions()}))


if __name__ == "__main__":
    main()
