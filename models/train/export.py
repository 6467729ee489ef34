"""Writes a trained network as a registry folder: model.onnx, embeddings.bin, schema.toml, parity.jsonl, card.md, gate.json.

Invariant: what is written was run: ONNX Runtime and numpy agree on every row of parity.jsonl before it is kept.
"""

import hashlib
import json
import struct
import zlib

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from network import sigmoid

# The order of the hash; the same list stands in src/store/models/registry.rs.
FILES = ["model.onnx", "embeddings.bin", "schema.toml", "parity.jsonl", "card.md"]
# Opset 17 and IR 8: the newest that tract has tests for at the time of each field.
OPSET, IR = 17, 8
PARITY_TOLERANCE = 1e-6


def model(network):
    p = network.parameters
    node = lambda op, inputs, output, **attributes: helper.make_node(op, inputs, [output], name=output, **attributes)
    nodes = [
        node("Gemm", ["context", "Ws", "a"], "scale"),
        node("Gemm", ["context", "Wt", "b"], "shift"),
        node("Gemm", ["candidate", "V", "c"], "half"),
        node("Mul", ["half", "scale"], "scaled"),
        node("Add", ["scaled", "shift"], "z"),
        node("Gemm", ["z", "W1", "d"], "hidden"),
        node("Relu", ["hidden"], "m"),
        node("Concat", ["z", "m"], "last", axis=1),
        node("Gemm", ["last", "U", "u"], "logits"),
        node("Sigmoid", ["logits"], "probabilities"),
        # Slice takes data, starts, ends, axes: column 0, then column 1.
        node("Slice", ["probabilities", "zero", "one", "one"], "click"),
        node("Slice", ["probabilities", "one", "two", "one"], "conversion_given_click"),
    ]
    weights = {name: p[name] for name in ("Ws", "Wt", "V", "W1", "a", "b", "c", "d", "u")}
    weights["U"] = np.concatenate([p["Uz"], p["Um"]])
    constants = {"zero": 0, "one": 1, "two": 2}
    initializers = [numpy_helper.from_array(np.ascontiguousarray(v, np.float32), k) for k, v in weights.items()]
    initializers += [numpy_helper.from_array(np.array([v], np.int64), k) for k, v in constants.items()]
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(
        nodes,
        "ctr",
        [value("context", [1, network.widths["context"]]), value("candidate", ["N", network.widths["candidate"]])],
        [value("click", ["N", 1]), value("conversion_given_click", ["N", 1])],
        initializers,
    )
    built = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    built.producer_name = "outbid"
    onnx.checker.check_model(built, full_check=True)
    return built.SerializeToString()


def embeddings(network):
    tables = [network.parameters[f"table/{f.name}"] for group in ("context", "candidate") for f in network.groups[group] if f.has_table]
    body = b"".join(struct.pack("<II", *table.shape) for table in tables)
    body += b"".join(np.ascontiguousarray(table, "<f4").tobytes() for table in tables)
    return b"OBEMB\0\0\x01" + struct.pack("<II", len(tables), zlib.crc32(body)) + body


def parity(network, graph, rows, seed, count=24):
    """Rows of encoded inputs with what ONNX Runtime answers; batches of 1, 2, 8 and 32 candidates. Also the largest
    difference between ONNX Runtime and numpy."""
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(seed)
    lines, worst = [], 0.0
    for k in range(count):
        n = (1, 2, 8, 32)[k % 4] if k < 8 else (1, 2, 3)[k % 3]
        context_slots = np.asarray(rows.context[rng.integers(len(rows.context))])[None, :]
        slots = rows.candidates[rng.integers(0, len(rows.candidates), n)]
        context, candidate = network.columns("context", context_slots)[0], network.columns("candidate", slots)[0]
        click, conversion = session.run(["click", "conversion_given_click"], {"context": context, "candidate": candidate})
        own = sigmoid(network.forward(context, candidate)[0])
        worst = max(worst, float(np.abs(own - np.concatenate([click, conversion], axis=1)).max()))
        line = {"context": context_slots[0].tolist(), "candidates": slots.tolist()}
        line |= {"click": floats(click), "conversion_given_click": floats(conversion)}
        lines.append(json.dumps(line, separators=(",", ":")))
    if worst > PARITY_TOLERANCE:
        raise SystemExit(f"ONNX Runtime and numpy differ by {worst}; at most {PARITY_TOLERANCE}")
    return "\n".join(lines) + "\n", worst


def floats(column):
    return [float(np.format_float_positional(v, unique=True)) for v in column[:, 0]]


def sha256(folder):
    """See src/store/models/registry.rs."""
    digest = hashlib.sha256()
    for name in FILES:
        content = (folder / name).read_bytes()
        digest.update(name.encode() + b"\0" + struct.pack("<Q", len(content)))
        digest.update(content)
    return digest.hexdigest()


def write(folder, network, rows, schema, seed, card, gate):
    """Writes all files. `card` is a function from the parity difference to the text of the card."""
    folder.mkdir(parents=True, exist_ok=True)
    graph = model(network)
    lines, worst = parity(network, graph, rows, seed)
    (folder / "model.onnx").write_bytes(graph)
    (folder / "embeddings.bin").write_bytes(embeddings(network))
    (folder / "schema.toml").write_text(schema, encoding="utf-8")
    (folder / "parity.jsonl").write_text(lines, encoding="utf-8")
    (folder / "card.md").write_text(card(worst), encoding="utf-8")
    gate = {"model_sha256": sha256(folder)} | gate
    (folder / "gate.json").write_text(json.dumps(gate, indent=2) + "\n", encoding="utf-8")
