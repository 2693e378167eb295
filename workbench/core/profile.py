"""The profile: one frozen value that fixes every choice of a run. Reading and checking: `profile_io`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

#: Processes that read and tokenise, at most: what is tuned or planned stays below it too.
MOST_WORKERS = 58


def key(default: Any, help: str, **limits: Any) -> Any:
    """A profile key: its default, one sentence for people, and limits (`choices`, `least`, `most`)."""
    return field(default=default, metadata={"help": help, **limits})


@dataclass(frozen=True, slots=True)
class SourceSection:
    """How the input is read."""

    chunk_id: str = key("", "column with the chunk id; empty: chunk_id, id or _id")
    doc_id: str = key("", "column with the document id; empty: doc_id, document_id or doc")
    title: str = key("", "column with the title; empty: title, if there is one")
    text: str = key("", "column with the text; empty: text, content, body, contents, passage or document")
    start: str = key("", "column with the first character of a chunk; empty: start")
    end: str = key("", "column with the character after a chunk; empty: end")
    unit_rows: int = key(8192, "rows a unit aims at (a unit is read, embedded and committed whole)", least=1)
    unit_bytes: int = key(8_000_000, "bytes of text a unit aims at", least=1024)
    chunk_tokens: int = key(
        0, "tokens of a chunk cut from a document; 0: what the model takes, at most 256", least=0
    )
    overlap_tokens: int = key(32, "tokens that neighbouring chunks of a document share", least=0)
    read_bytes_per_second: int = key(0, "read no faster than this (bytes/s); 0: no limit", least=0)


@dataclass(frozen=True, slots=True)
class EncoderSection:
    """The model and how it computes."""

    engine: str = key("torch", "what computes: torch, remote (a server over HTTP), or simulated (keeps time only)")
    model: str = key("default", "default, a Hugging Face model folder, or a hub id such as BAAI/bge-m3")
    revision: str = key("", "commit of a hub model; empty: the newest")
    device: str = key("auto", "auto, cpu, cuda, cuda:1, mps; several with commas: cuda:0,cuda:1")
    dtype: str = key(
        "auto", "number format of the computation; auto chooses by device, never int8 (BERT's family on a CPU with "
        "AVX-512 VNNI: faster than bf16, cosine to fp32 about 0.9999, odd texts 0.99; queries use it too)",
        choices=("auto", "fp32", "fp16", "bf16", "int8"),
    )
    token_budget: int = key(0, "tokens of a batch, padding included; 0: chosen by device", least=0)
    max_tokens: int = key(0, "longer texts are cut; 0: what the model takes", least=0)
    pooling: str = key(
        "auto", "how token vectors become one; auto: as the model says",
        choices=("auto", "mean", "cls", "last", "max"),
    )
    normalise: str = key(
        "auto", "scale vectors to length 1; auto: as the model says", choices=("auto", "yes", "no")
    )
    query_prefix: str = key("auto", "put before a query; auto: as the model says")
    document_prefix: str = key("auto", "put before a document; auto: as the model says")
    template: str = key("{title}\n{text}", "how title and text are joined; only {title} and {text} are filled in")
    truncate_dim: int = key(
        0, "keep the first N values of a vector (Matryoshka models; `index --tune` measures the loss); 0: all", least=0
    )
    attention: str = key("auto", "attention kernel", choices=("auto", "sdpa", "eager"))
    threads: int = key(0, "CPU threads of the encoder; 0: all cores the workers leave", least=0, most=1024)
    tokens_per_second: float = key(0.0, "simulated: speed of the device (tokens/s); 0: no time at all", least=0.0)
    launch_seconds: float = key(0.0, "simulated: fixed cost of every batch (s)", least=0.0)
    copy_bytes_per_second: float = key(0.0, "simulated: speed of copies to the device (bytes/s); 0: no time", least=0.0)
    memory_tokens: int = key(0, "simulated: a batch with more padded tokens is out of memory; 0: never", least=0)
    dim: int = key(384, "simulated: length of a vector", least=8, most=16384)
    endpoint: str = key(
        "", "remote: address of the server, such as http://localhost:8080/embed or https://api.openai.com/v1"
    )
    protocol: str = key(
        "auto", "remote: OpenAI's API or text-embeddings-inference (tei); auto: tei if the address ends in /embed",
        choices=("auto", "openai", "tei"),
    )
    endpoint_model: str = key("", "remote: the model's name on the server; tei: empty asks the server")
    key_variable: str = key("", "remote: environment variable that holds the API key; empty: none is sent")
    payload: str = key(
        "text", "remote: send texts, or token ids (only to a server with the very same tokenizer)",
        choices=("text", "tokens"),
    )
    requests: int = key(4, "remote: requests under way at once", least=1, most=256)
    request_rows: int = key(32, "remote: most texts of a request", least=1, most=2048)
    timeout_seconds: float = key(60.0, "remote: patience with one request (s)", least=0.1, most=3600.0)
    retries: int = key(5, "remote: tries after the first when the server is busy or gone", least=0, most=20)


@dataclass(frozen=True, slots=True)
class PipelineSection:
    """Processes and what lies between them."""

    workers: int = key(
        0, "processes that read and tokenise; 0: physical cores − 1, at least 1", least=0, most=MOST_WORKERS
    )
    slots: int = key(8, "batches that may wait for the encoder", least=1, most=1024)
    vector_slots: int = key(4, "batches of vectors that may wait for the writer", least=1, most=1024)
    batching: str = key(
        "tokens", "tokens: rows of like length under the token budget; rows: fixed rows in source order",
        choices=("tokens", "rows"),
    )
    batch_rows: int = key(32, "rows of a batch with batching = rows", least=1)
    telemetry: str = key(
        "full", "what is recorded of a run: full (samples and trace), samples, or none (not even shown live)",
        choices=("full", "samples", "none"),
    )
    write_bytes_per_second: int = key(0, "write no faster than this (bytes/s); 0: no limit", least=0)


@dataclass(frozen=True, slots=True)
class CollectionSection:
    """What is kept on disk."""

    vectors: str = key("float16", "number format of stored vectors", choices=("float16", "float32"))
    compression: str = key(
        "lz4", "compression of stored texts: lz4 is read quickest, zstd takes a third less space",
        choices=("lz4", "zstd", "none"),
    )


@dataclass(frozen=True, slots=True)
class IndexSection:
    """The FAISS index, derived from the shards."""

    kind: str = key(
        "auto", "auto, Flat, SQ8, HNSW, IVF, PQ, RaBitQ, IVF-RaBitQ, Matryoshka-N, none, or any FAISS factory string"
    )
    rescore: int = key(
        0, "candidates per hit that lossy kinds check again on the stored vectors; 0: calibrated", least=0
    )
    nprobe: int = key(0, "inverted lists that IVF kinds visit per query; 0: calibrated", least=0)
    sample: int = key(200, "queries (own vectors) on which recall@10 is measured at build time", least=10)
    text: str = key("yes", "index of the words too, for hybrid and lexical search", choices=("yes", "no"))


@dataclass(frozen=True, slots=True)
class Profile:
    """Every choice of a run. `name` and `about` describe it, the sections hold the keys."""

    name: str = "unnamed"
    about: str = ""
    source: SourceSection = SourceSection()
    encoder: EncoderSection = EncoderSection()
    pipeline: PipelineSection = PipelineSection()
    collection: CollectionSection = CollectionSection()
    index: IndexSection = IndexSection()
